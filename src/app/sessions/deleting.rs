//! Sessions that their person deletes: a portion in each transaction, on to the end. As long as some of one is left it is noted as begun and
//! out of everybody's reach: what a kill interrupts goes on at the next start, also what a cleanup has begun.

use std::sync::Arc;

use rusqlite::Connection;

use super::ROWS_AT_ONCE;
use crate::adapters::session_deleting::{self, Deleted};
use crate::adapters::{learning_store, memory_forgetting, person_store};
use crate::app::{App, AppError, learning};
use crate::domain::clock::Timestamp;
use crate::domain::person::Person;
use crate::domain::session::SessionId;

impl App {
    /// Deletes a session with its checkpoints and audio, and with what was learned in it unless that is kept. Once begun it goes
    /// on to the end, whether or not anyone waits for it: after a kill, at the next start.
    ///
    /// # Errors
    /// [`AppError::SessionNotFound`] when it is not this person's.
    pub async fn delete_session(
        self: &Arc<Self>,
        person: Person,
        id: SessionId,
        keep_memories: bool,
    ) -> Result<(), AppError> {
        let (most, now) = (self.limits.max_memories_per_person, self.clock.now());
        let portion = move |db: &Connection| match row_of(db, person, id)? {
            Some(session) => delete_portion(db, session, keep_memories, (most, now)),
            None => Ok((Deleted::default(), true)),
        };
        let app = self.clone();
        let work = async move {
            if app.delete_whole(id, portion).await? { Ok(()) } else { Err(AppError::SessionNotFound) }
        };
        self.turns.to_its_end(work).await
    }

    /// Goes on with the deletions that were begun and did not come to their end.
    ///
    /// # Errors
    /// What the database or the disk says; then the next start goes on with them.
    pub async fn finish_deletions(&self) -> Result<(), AppError> {
        let (most, now) = (self.limits.max_memories_per_person, self.clock.now());
        while let Some(id) =
            self.database.read("look for begun deletions", session_deleting::first_begun).await?
        {
            let portion = move |db: &Connection| match session_deleting::begun(db, id)? {
                Some((session, keep_memories)) => delete_portion(db, session, keep_memories, (most, now)),
                None => Ok((Deleted::default(), true)),
            };
            self.delete_whole(id, portion).await?;
        }
        Ok(())
    }

    /// False when it was not there.
    async fn delete_whole(
        &self,
        id: SessionId,
        portion: impl FnOnce(&Connection) -> rusqlite::Result<(Deleted, bool)> + Clone + Send + 'static,
    ) -> Result<bool, AppError> {
        let deleted = self.delete_all("delete a session", portion).await;
        self.recent.forget(id);
        self.passing.forget(id);
        let deleted = deleted?;
        if deleted.sessions == 0 {
            return Ok(false);
        }
        // Some are gone, or were learned just now.
        self.memories_changed();
        tracing::info!(
            event = "session_deleted",
            session = id.short(),
            memories = deleted.memories,
            "A session was deleted"
        );
        self.forget_files(deleted).await?;
        Ok(true)
    }
}

/// The row of a person's session, also when its deletion has begun: whoever asks again goes on with it.
fn row_of(db: &Connection, person: Person, id: SessionId) -> rusqlite::Result<Option<i64>> {
    let found = session_deleting::row_of(db, person.key, id)?;
    Ok(if person_store::is_there(db, person)? { found } else { None })
}

/// What went, and whether the session is gone.
fn delete_portion(
    db: &Connection,
    session: i64,
    keep_memories: bool,
    (most, now): (u32, Timestamp),
) -> rusqlite::Result<(Deleted, bool)> {
    let mut deleted = Deleted::default();
    let is_learned = if keep_memories {
        learning::learn_some_of_session(db, session, most, now)?
    } else {
        // First of all: what is learned meanwhile would change what is known from elsewhere.
        learning_store::forget_session(db, session)?;
        deleted.memories = memory_forgetting::forget_some_of_session(db, session)?;
        deleted.memories == 0
    };
    let is_gone = is_learned && session_deleting::delete_some(db, session, ROWS_AT_ONCE, &mut deleted)?;
    if !is_gone {
        session_deleting::note_begun(db, session, keep_memories)?;
    }
    session_deleting::subtract_from_totals(db, &deleted)?;
    Ok((deleted, is_gone))
}
