//! The ways in which other browsers become the person somebody is here, and how they end.
//!
//! Each browser holds a token of its own. A link makes one more browser the same person, once, within ten minutes. A
//! recovery code does so as often as it is typed in, until there is another one: an answer that is lost on its way must not
//! cost somebody the only code they have. Replacing one's token ends all of them.
//!
//! Who asks is looked up again by their token in the transaction that acts: a token that was replaced a moment ago makes
//! nothing any more.

use std::time::Duration;

use rusqlite::Connection;

use crate::adapters::ways_in_store::{self, WaysIn};
use crate::adapters::{person_store, session_store};
use crate::app::{App, AppError};
use crate::domain::clock::Timestamp;
use crate::domain::person::{Person, PersonToken};
use crate::domain::recovery::RecoveryCode;
use crate::domain::token::Token;

pub use crate::adapters::ways_in_store::MadeCode;

/// How long a link can be used.
pub const LINK_LIFE: Duration = Duration::from_secs(10 * 60);

/// What somebody shows to become a person.
#[derive(Debug, Clone)]
pub enum WayIn {
    /// The secret of a link.
    Link(Token),
    /// A recovery code.
    Code(RecoveryCode),
}

/// What became of showing it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Arrived {
    /// Whoever holds this token is the person from now on.
    With(PersonToken),
    /// Whoever showed it is that person already; nothing was used up.
    Already,
}

/// What somebody holds who would give it up by becoming another person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct LeftBehind {
    /// Conversations in which something was said.
    pub conversations: u64,
    /// What is remembered of them.
    pub memories: u64,
}

/// Why somebody does not become the person they would be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WayInError {
    /// A link that has expired, or never was one.
    #[error("no such link")]
    LinkNotFound,
    /// A link that somebody has used.
    #[error("the link was used before")]
    LinkUsed,
    /// Nobody's recovery code, or not any more.
    #[error("no such recovery code")]
    CodeNotFound,
    /// They are somebody already, and did not say that they want to be another one.
    #[error("they are somebody already")]
    AlreadySomeone(LeftBehind),
}

impl App {
    /// Replaces a person's token: the one returned is the only one from then on, and no link or recovery code leads to them.
    /// Whoever names the `attempt`, a secret of theirs, may ask again with the old token: an answer that is lost on its way
    /// must not lock anybody out.
    ///
    /// # Errors
    /// [`AppError::Unauthorized`] when nobody holds the old one (any more).
    pub async fn rotate(&self, token: PersonToken, attempt: Option<Token>) -> Result<PersonToken, AppError> {
        let fresh = attempt.map_or_else(Self::new_token, |attempt| Ok(token.replaced_in(&attempt)))?;
        let given = fresh.clone();
        let replace = move |db: &Connection| match person_store::find(db, &token)? {
            Some(person) => ways_in_store::replace_all(db, person.key, &fresh).map(|()| Some(true)),
            None => person_store::find(db, &fresh).map(|holder| holder.map(|_| false)),
        };
        let replaced =
            self.database.write("replace a token", replace).await?.ok_or(AppError::Unauthorized)?;
        if replaced {
            tracing::info!(event = "token_replaced", "A person has replaced their token");
        }
        Ok(given)
    }

    /// Makes a link that leads to the person; returns its secret, and until when it can be used.
    ///
    /// # Errors
    /// [`AppError::Unauthorized`], [`AppError::DiskFull`].
    pub async fn make_link(&self, token: PersonToken) -> Result<(Token, Timestamp), AppError> {
        self.room_to_grow()?;
        let (secret, now) = (Self::new_token()?, self.clock.now());
        let (given, expires_at) = (secret.clone(), now.later_by(LINK_LIFE));
        self.as_holder("make a link", token, move |db, person| {
            ways_in_store::add_link(db, person.key, &secret, (now, expires_at))
        })
        .await?;
        tracing::info!(event = "link_made", "A link to a person was made");
        Ok((given, expires_at))
    }

    /// Makes a recovery code; one from before is worth nothing from then on.
    ///
    /// # Errors
    /// [`AppError::Unauthorized`], [`AppError::DiskFull`].
    pub async fn make_recovery_code(
        &self,
        token: PersonToken,
    ) -> Result<(RecoveryCode, Timestamp), AppError> {
        self.room_to_grow()?;
        let mut bytes = [0; 26];
        getrandom::fill(&mut bytes).map_err(|error| AppError::Internal(Box::new(error)))?;
        let (code, now) = (RecoveryCode::from_random(bytes), self.clock.now());
        let given = code.clone();
        self.as_holder("make a recovery code", token, move |db, person| {
            ways_in_store::set_code(db, person.key, &code, now)
        })
        .await?;
        tracing::info!(event = "recovery_code_made", "A recovery code was made");
        Ok((given, now))
    }

    /// Makes whoever shows a way in the person it leads to. `presented` is the token they have come with; whoever is somebody
    /// else by it, and would leave something behind, has to say that they want to be `instead`.
    ///
    /// # Errors
    /// [`AppError::WayIn`], [`AppError::DiskFull`]. Nothing was used up then.
    pub async fn arrive(
        &self,
        way: WayIn,
        presented: Option<PersonToken>,
        instead: bool,
    ) -> Result<Arrived, AppError> {
        self.room_to_grow()?;
        let (fresh, now) = (Self::new_token()?, self.clock.now());
        let arrive = move |db: &Connection| arrive(db, &way, (presented, instead), (fresh, now));
        let arrived = self.database.write("let somebody in", arrive).await??;
        if arrived != Arrived::Already {
            tracing::info!(event = "arrived", "A browser has become a person who is here");
        }
        Ok(arrived)
    }

    /// From now on nobody is the person by this token. They stay, for their other browsers, links and recovery code.
    ///
    /// # Errors
    /// What the database says; then they may still be.
    pub async fn leave(&self, token: PersonToken) -> Result<(), AppError> {
        let leave = move |db: &Connection| ways_in_store::end_token(db, &token);
        if self.database.write("end a token", leave).await? {
            tracing::info!(event = "left", "A browser is nobody from now on");
        }
        Ok(())
    }

    /// The ways in of a person.
    ///
    /// # Errors
    /// What the database says.
    pub async fn ways_in(&self, person: Person) -> Result<WaysIn, AppError> {
        let now = self.clock.now();
        let look = move |db: &Connection| {
            if person_store::is_there(db, person)? {
                ways_in_store::of(db, person.key, now)
            } else {
                Ok(WaysIn::default())
            }
        };
        Ok(self.database.read("look for ways in", look).await?)
    }

    async fn as_holder(
        &self,
        operation: &'static str,
        token: PersonToken,
        work: impl FnOnce(&Connection, Person) -> rusqlite::Result<()> + Send + 'static,
    ) -> Result<(), AppError> {
        let work = move |db: &Connection| match person_store::find(db, &token)? {
            Some(person) => work(db, person).map(Some),
            None => Ok(None),
        };
        self.database.write(operation, work).await?.ok_or(AppError::Unauthorized)
    }
}

/// One transaction: of two who show the same link one arrives.
fn arrive(
    db: &Connection,
    way: &WayIn,
    (presented, instead): (Option<PersonToken>, bool),
    (fresh, now): (PersonToken, Timestamp),
) -> rusqlite::Result<Result<Arrived, WayInError>> {
    let link = match way {
        WayIn::Link(secret) => ways_in_store::find_link(db, secret, now)?,
        WayIn::Code(_) => None,
    };
    let owner = match (way, link) {
        (WayIn::Link(_), Some(link)) => link.person,
        (WayIn::Link(_), None) => return Ok(Err(WayInError::LinkNotFound)),
        (WayIn::Code(code), _) => match ways_in_store::find_code(db, code)? {
            Some(owner) => owner,
            None => return Ok(Err(WayInError::CodeNotFound)),
        },
    };
    let before = presented.map(|token| person_store::find(db, &token)).transpose()?.flatten();
    if before.is_some_and(|before| before.key == owner) {
        return Ok(Ok(Arrived::Already));
    }
    if link.is_some_and(|link| link.used) {
        return Ok(Err(WayInError::LinkUsed));
    }
    if let Some(before) = before.filter(|_| !instead) {
        let (conversations, memories) = session_store::holdings(db, before.key)?;
        if conversations + memories > 0 {
            return Ok(Err(WayInError::AlreadySomeone(LeftBehind { conversations, memories })));
        }
    }
    match link {
        Some(link) => ways_in_store::use_link(db, link.key, now)?,
        None => ways_in_store::note_code(db, owner, now)?,
    }
    ways_in_store::add_device(db, owner, &fresh, now)?;
    person_store::touch(db, owner, now)?;
    Ok(Ok(Arrived::With(fresh)))
}
