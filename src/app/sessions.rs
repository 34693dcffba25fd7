//! Sessions: start, list, look at, rename, pin; how what goes is deleted, in portions and on a full disk.

use rusqlite::Connection;

use crate::adapters::session_deleting::Deleted;
use crate::adapters::session_store::{self, StoredSession};
use crate::adapters::{memory_store, person_store, reserve};
use crate::app::{App, AppError, persons};
use crate::config::RetentionConfig;
use crate::domain::clock::Timestamp;
use crate::domain::memory::MemoryId;
use crate::domain::person::{Person, PersonToken};
use crate::domain::session::{Checkpoint, Kept, PublicId, Session, SessionId};

mod deleting;

/// The longest title, in characters.
pub const MAX_TITLE_CHARS: usize = 200;

/// So many turns, and sessions, are deleted in one transaction: a few milliseconds.
pub(crate) const ROWS_AT_ONCE: usize = 200;

/// A session that has just begun.
pub struct Started {
    /// Its id: the capability for the conversation.
    pub id: SessionId,
    /// What the companion says first.
    pub greeting: String,
    /// The token of a person made on this occasion.
    pub new_token: Option<PersonToken>,
    /// True when a known person was not seen within the last hour.
    pub first_for_a_while: bool,
}

/// A turn as its person sees it.
pub struct ShownTurn {
    /// What was kept.
    pub checkpoint: Checkpoint,
    /// The memories its answer was given that are still there, and what they say now.
    pub memories: Vec<(MemoryId, String)>,
}

impl ShownTurn {
    /// The turns of a person.
    pub(super) fn all(db: &Connection, person: i64, turns: Vec<Checkpoint>) -> rusqlite::Result<Vec<Self>> {
        let shown = |checkpoint: Checkpoint| {
            let memories = memory_store::texts(db, person, &checkpoint.memories)?;
            Ok(Self { checkpoint, memories })
        };
        turns.into_iter().map(shown).collect()
    }
}

/// What a person changes about a session; `None` leaves a thing as it is.
#[derive(Debug, Clone, Default)]
pub struct SessionChange {
    /// The new title.
    pub title: Option<String>,
    /// Whether it stays for good.
    pub pinned: Option<bool>,
}

impl App {
    /// Starts a session for whoever holds `token`; makes a new person when nobody does.
    ///
    /// # Errors
    /// [`AppError::DiskFull`] when there is no room; [`AppError::Unavailable`] when the server stops: the session could not
    /// be talked in.
    pub async fn start_session(
        &self,
        token: Option<PersonToken>,
        remembered: bool,
    ) -> Result<Started, AppError> {
        self.turns.take_new()?;
        self.room_to_grow()?;
        let now = self.clock.now();
        let id = SessionId::random();
        let fresh = Self::new_token()?;
        let session = Session {
            id,
            title: None,
            created_at: now,
            last_active_at: now,
            pinned: false,
            remembered,
            checkpoints: 0,
        };
        let start = move |db: &Connection| {
            let known = match token {
                Some(token) => person_store::find_with_visit(db, &token)?.map(|found| (found, token)),
                None => None,
            };
            let (person, new_token, first_for_a_while) = match known {
                Some(((person, last_seen_at), token)) => {
                    let first_for_a_while = persons::is_first_for_a_while(last_seen_at, now);
                    if first_for_a_while {
                        persons::note_visit(db, person.key, &token, now)?;
                    }
                    (person.key, None, first_for_a_while)
                }
                None => (person_store::insert(db, &fresh, now)?, Some(fresh), false),
            };
            session_store::insert(db, person, &session)?;
            Ok((new_token, first_for_a_while))
        };
        let (new_token, first_for_a_while) = self.database.write("start a session", start).await?;
        tracing::info!(
            event = "session_started",
            session = id.short(),
            new_person = new_token.is_some(),
            remembered,
            "A session was started"
        );
        Ok(Started { id, greeting: self.greeting(id), new_token, first_for_a_while })
    }

    fn greeting(&self, id: SessionId) -> String {
        let greetings = &self.persona.greetings;
        let chosen = usize::from(id.as_bytes()[0]) % greetings.len().max(1);
        greetings.get(chosen).cloned().unwrap_or_default()
    }

    /// Up to `limit` sessions of a person, the last active first, and whether there are more.
    ///
    /// # Errors
    /// What the database says.
    pub async fn sessions(
        &self,
        person: Person,
        after: Option<(Timestamp, SessionId)>,
        limit: usize,
    ) -> Result<(Vec<Session>, bool), AppError> {
        let list = move |db: &Connection| {
            if !person_store::is_there(db, person)? {
                return Ok(Vec::new());
            }
            session_store::list(db, person.key, after, limit + 1)
        };
        let mut stored = self.database.read("list sessions", list).await?;
        let more = stored.len() > limit;
        stored.truncate(limit);
        Ok((stored.into_iter().map(|stored| stored.session).collect(), more))
    }

    /// When one of a person's sessions goes if they do not come again; `None` when it stays.
    #[must_use]
    pub fn expires_at(&self, session: &Session, person: Person) -> Option<Timestamp> {
        let RetentionConfig { session_days, person_days, .. } = self.retention;
        session.expires_at(Kept { session_days, person_days }, person.last_seen_at)
    }

    /// One session of a person and the last `limit` of its first `before` turns (of all, if `None`), in order; with
    /// them how many turns lie before those.
    ///
    /// # Errors
    /// [`AppError::SessionNotFound`] when it is not this person's.
    pub async fn session(
        &self,
        person: Person,
        id: SessionId,
        before: Option<u64>,
        limit: u64,
    ) -> Result<(Session, Vec<ShownTurn>, u64), AppError> {
        let read = move |db: &Connection| {
            let Some(stored) = owned(db, person, id)? else { return Ok(None) };
            let until = before.map_or(stored.session.checkpoints, |n| n.min(stored.session.checkpoints));
            let from = until.saturating_sub(limit);
            let turns = session_store::checkpoints(db, stored.key, from, until - from)?;
            Ok(Some((stored.session, ShownTurn::all(db, person.key, turns)?, from)))
        };
        self.database.read("read a session", read).await?.ok_or(AppError::SessionNotFound)
    }

    /// Renames or pins a session.
    ///
    /// # Errors
    /// [`AppError::SessionNotFound`]; [`AppError::Invalid`] for an empty or too long title or when nothing is changed.
    pub async fn change_session(
        &self,
        person: Person,
        id: SessionId,
        change: SessionChange,
    ) -> Result<Session, AppError> {
        let title = change.title.as_deref().map(valid_title).transpose()?;
        if title.is_none() && change.pinned.is_none() {
            let message = "give a title, or pinned as true or false".to_owned();
            return Err(AppError::Invalid { field: "title", message });
        }
        let update = move |db: &Connection| {
            let Some(stored) = owned(db, person, id)? else { return Ok(None) };
            session_store::update(db, stored.key, title.as_deref(), change.pinned)?;
            owned(db, person, id)
        };
        let changed = self.database.write("change a session", update).await?;
        changed.map(|stored| stored.session).ok_or(AppError::SessionNotFound)
    }

    /// Runs a deletion of any size, a portion in each transaction so that nobody else waits for long, until one says that it was the
    /// last. Between two the log is emptied: on a full disk there is no room for it to grow.
    pub(crate) async fn delete_all(
        &self,
        operation: &'static str,
        portion: impl FnOnce(&Connection) -> rusqlite::Result<(Deleted, bool)> + Clone + Send + 'static,
    ) -> Result<Deleted, AppError> {
        let mut all = Deleted::default();
        loop {
            let (deleted, is_last) = match self.delete_rows(operation, portion.clone()).await {
                Ok(went) => went,
                Err(error) => {
                    // What has gone before has gone, with its files.
                    drop(self.forget_files(all).await);
                    return Err(error);
                }
            };
            all.add(deleted);
            if is_last {
                return Ok(all);
            }
            self.database.scrub().await?;
        }
    }

    /// Runs a deletion; on a full disk once more with the reserve's space, because even deleting needs some.
    pub(crate) async fn delete_rows<T: Send + 'static>(
        &self,
        operation: &'static str,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Clone + Send + 'static,
    ) -> Result<T, AppError> {
        match self.database.write(operation, work.clone()).await {
            Err(error) if error.is_full() => {}
            other => return other.map_err(Into::into),
        }
        let dir = self.data_dir.clone();
        self.blocking(move || reserve::release(&dir)).await??;
        let deleted = self.database.write(operation, work).await;
        self.make_reserve_whole().await?;
        Ok(deleted?)
    }

    /// Makes the reserve whole again, if there is room for it.
    pub(crate) async fn make_reserve_whole(&self) -> Result<(), AppError> {
        let dir = self.data_dir.clone();
        if let Err(error) = self.blocking(move || reserve::restore(&dir)).await? {
            tracing::warn!(error = %error, "The reserve could not be restored; cleanup will try again");
        }
        Ok(())
    }
}

fn owned(db: &Connection, person: Person, id: SessionId) -> rusqlite::Result<Option<StoredSession>> {
    let found = session_store::find(db, id)?.filter(|stored| stored.person == person.key);
    Ok(if person_store::is_there(db, person)? { found } else { None })
}

fn valid_title(title: &str) -> Result<String, AppError> {
    let title = title.trim();
    let wrong = |message: &str| AppError::Invalid { field: "title", message: message.to_owned() };
    if title.is_empty() {
        return Err(wrong("must not be empty"));
    }
    if title.chars().count() > MAX_TITLE_CHARS {
        return Err(wrong("must have at most 200 characters"));
    }
    if title.chars().any(char::is_control) {
        return Err(wrong("must not contain control characters"));
    }
    Ok(title.to_owned())
}

/// A session's cursor: the place after it in the list. Reads what [`cursor_after`] wrote.
#[must_use]
pub fn parse_cursor(text: &str) -> Option<(Timestamp, SessionId)> {
    let (at, id) = text.split_once('_')?;
    Some((Timestamp::from_millis(at.parse().ok()?), id.parse::<PublicId>().ok()?))
}

/// The cursor that continues a list after `session`.
#[must_use]
pub fn cursor_after(session: &Session) -> String {
    format!("{}_{}", session.last_active_at.as_millis(), session.id)
}
