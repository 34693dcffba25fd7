//! What is remembered of the person takes part in a turn: what fits is recalled before the reply, what is told is kept to be learned
//! from, or forgotten, with the turn.
//!
//! Only when the person's own token came with the turn, and the session is one that is remembered: a session's id alone
//! neither reads nor writes anybody's memories.

use rusqlite::Connection;

use super::work::Work;
use crate::adapters::session_deleting::Deleted;
use crate::adapters::session_store::{self, Committed};
use crate::adapters::sqlite::DbError;
use crate::adapters::{memory_store, person_store};
use crate::app::learning::{self, Heard};
use crate::app::recall::Search;
use crate::domain::embedding::{EmbedError, Meaning};
use crate::domain::memory::learning::learned;
use crate::domain::memory::ranking::Question;
use crate::domain::memory::wishes::{Done, done, wishes};
use crate::domain::memory::words::asked;
use crate::domain::memory::{Found, MemoryId};
use crate::domain::person::{Person, PersonToken};
use crate::domain::session::SessionId;

/// What a turn has to do with memories; nothing, unless it may.
#[derive(Default)]
pub(super) struct Remembered {
    /// Whose.
    person: Option<Person>,
    /// What fits, best first.
    pub(super) memories: Vec<Found>,
    /// True when they could not be searched, or not as they should be.
    pub(super) degraded: bool,
    /// What is done about what the person wants to be done with what they say.
    pub(super) done: Vec<Done>,
}

/// What a turn leaves, in the transaction that keeps it.
pub(super) struct Trace {
    person: Option<Person>,
    /// Of whom it is not known yet whether they may be remembered.
    token: Option<PersonToken>,
    used: Vec<MemoryId>,
    pub(super) heard: Heard,
}

impl Remembered {
    /// What is told of the memories that the reply was given.
    pub(super) fn tell(&mut self) -> Vec<(MemoryId, String)> {
        let memories = std::mem::take(&mut self.memories);
        memories.into_iter().map(|found| (found.memory.id, found.memory.text)).collect()
    }
}

impl Work {
    /// Finds what the reply should know. When that fails, the turn goes on without.
    pub(super) async fn recall(&self) -> Remembered {
        let Some(token) = self.request.token.clone() else { return Remembered::default() };
        let meaning = self.meaning().await;
        let without_meaning = meaning.is_err();
        let question = Question::new(&asked(&self.request.message)).meaning_also(meaning.unwrap_or_default());
        let search = self.app.search_for(question, self.app.limits.memory_top_k);
        match self.search(token, search).await {
            Ok(Some(found)) => Remembered { degraded: found.degraded || without_meaning, ..found },
            Ok(None) => Remembered::default(),
            Err(error) => {
                tracing::warn!(event = "recall_failed", error = %error, "A turn goes on without memories");
                Remembered { degraded: true, ..self.without_memories().await }
            }
        }
    }

    /// What is told is learned from, and what is wished done, also when the memories could not be searched. Where not even whose they are
    /// can be known, nothing is promised, and the transaction that keeps the turn finds out.
    async fn without_memories(&self) -> Remembered {
        let person = self.person_to_remember().await.unwrap_or_default();
        let wishes = wishes(&self.request.message).all;
        // Whether anything is meant cannot be looked up: that no such note is left is true in any case.
        let done = if person.is_some() { done(&wishes, &vec![true; wishes.len()]) } else { Vec::new() };
        Remembered { person, done, ..Remembered::default() }
    }

    /// `None` where nobody's memories may be read.
    async fn search(&self, token: PersonToken, search: Search) -> Result<Option<Remembered>, DbError> {
        let (session, owner, begin) = (self.request.session, self.person, search.clone());
        let wishes = wishes(&self.request.message).all;
        let begin = move |db: &Connection| {
            let Some(person) = who(db, &token, owner, session)? else { return Ok(None) };
            let done = done(&wishes, &learning::which_are_found(db, person.key, &wishes)?);
            Ok(Some((person, begin.begin(db, person)?, done)))
        };
        let Some((person, searched, done)) = self.app.database.read("recall memories", begin).await? else {
            return Ok(None);
        };
        let (memories, degraded) = self.app.finish_search(search, searched).await?;
        Ok(Some(Remembered { person: Some(person), memories, degraded, done }))
    }

    /// What the message means, where vectors are made; nothing of it is sent anywhere unless it may be remembered.
    async fn meaning(&self) -> Result<Option<Meaning>, EmbedError> {
        if self.app.embedder.is_none() {
            return Ok(None);
        }
        match self.person_to_remember().await {
            Ok(Some(person)) => self.app.meaning_of(person, &self.request.message).await,
            // What is wrong with the database the search will tell.
            Ok(None) | Err(_) => Ok(None),
        }
    }

    async fn person_to_remember(&self) -> Result<Option<Person>, DbError> {
        let Some(token) = self.request.token.clone() else { return Ok(None) };
        let (owner, session) = (self.person, self.request.session);
        let may = move |db: &Connection| who(db, &token, owner, session);
        self.app.database.read("see whom a turn may remember", may).await
    }

    /// What the turn will leave.
    pub(super) fn trace(&self) -> Trace {
        let heard = Heard {
            person: self.person,
            wishes: wishes(&self.request.message),
            tells_nothing: self.app.small_model.is_none() && learned(&self.request.message).is_empty(),
        };
        let used = self.remembered.memories.iter().map(|found| found.memory.id).collect();
        // They could not be looked up, or were not yet: what is said is interrupted at any time.
        let is_unknown = self.remembered.person.is_none();
        let token = self.request.token.clone().filter(|_| is_unknown);
        Trace { person: self.remembered.person, token, used, heard }
    }

    /// What was forgotten with the turn goes from every file, what is to be learned from is; nobody waits for either.
    pub(super) fn follow(&self, forgotten: u64) {
        if self.request.token.is_some() {
            self.app.learns_from.wake();
        }
        self.is_forgotten(forgotten);
    }

    /// So many memories are gone.
    pub(super) fn is_forgotten(&self, forgotten: u64) {
        if forgotten > 0 {
            self.app.memories_changed();
            let app = self.app.clone();
            self.app.turns.spawn(async move {
                if let Err(error) = app.forget_files(Deleted::default()).await {
                    tracing::warn!(error = %error, "Forgotten words are in the database's log until it is next emptied");
                }
            });
        }
    }
}

/// Whose memories a turn may read: who sent their own token with it, in a session that is remembered.
pub(super) fn who(
    db: &Connection,
    token: &PersonToken,
    owner: i64,
    session: SessionId,
) -> rusqlite::Result<Option<Person>> {
    let person = person_store::find(db, token)?.filter(|person| person.key == owner);
    let remembered = session_store::find(db, session)?.is_some_and(|stored| stored.session.remembered);
    Ok(person.filter(|_| remembered))
}

impl Trace {
    /// Leaves it with a turn that was just kept; returns how many memories were forgotten.
    pub(super) fn leave(
        &self,
        db: &Connection,
        session: SessionId,
        committed: &Committed,
    ) -> rusqlite::Result<u64> {
        if !matches!(committed, Committed::New(_)) {
            return Ok(0);
        }
        let Some(person) = self.whose(db, session)? else { return Ok(0) };
        memory_store::count_use(db, person.key, &self.used)?;
        learning::heed(db, session, &self.heard)
    }

    /// Whose memories they are, if they may be touched.
    pub(super) fn whose(&self, db: &Connection, session: SessionId) -> rusqlite::Result<Option<Person>> {
        if let Some(token) = &self.token {
            return who(db, token, self.heard.person, session);
        }
        // They may have been erased meanwhile, and the session with them.
        self.person.map_or(Ok(None), |person| Ok(person_store::is_there(db, person)?.then_some(person)))
    }
}
