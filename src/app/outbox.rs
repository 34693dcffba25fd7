//! Carries changes of memories from the truth to the copy of their index that a service outside keeps: in the order in which
//! they were made, each struck off only once the service has confirmed it. What is carried is how a memory is by then, so that
//! doing it twice is the same as once.
//!
//! A copy that is not the one this store knows of (a new one, another's place, an older one after a restore) is begun anew and
//! filled from the truth, beside the changes that go on.
//!
//! Only one process carries: the server, or `companion-maint` while there is none. Bounds: 64 changes, or 256 memories of
//! a new copy, at once; 100,000 changes wait, of more a new copy is made instead (`migrations/0010_memory_copy.sql`).

use std::sync::Arc;

use crate::adapters::copy_store::{self, CopyState};
use crate::adapters::database::Database;
use crate::adapters::outbox_store;
use crate::adapters::sqlite::DbError;
use crate::domain::memory::copy::{CopyError, MemoryCopy, Standing};
use crate::domain::session::PublicId;

/// The lock of whoever carries.
pub const CARRYING: &str = "outbox";
const CHANGES_AT_ONCE: u32 = 64;
const MEMORIES_AT_ONCE: u32 = 256;

/// Why nothing was carried.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CarryError {
    /// The copy.
    #[error(transparent)]
    Copy(#[from] CopyError),
    /// The database.
    #[error(transparent)]
    Database(#[from] Arc<DbError>),
}

impl From<DbError> for CarryError {
    fn from(error: DbError) -> Self {
        Self::Database(Arc::new(error))
    }
}

/// What one step did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Something was carried; there may be more.
    Carried,
    /// There is nothing to carry.
    Nothing,
    /// The copy is to be begun anew: [`Carrier::stand`] does so.
    Anew,
}

/// Carries changes from one database to one copy.
#[derive(Clone)]
pub struct Carrier {
    database: Database,
    copy: Arc<dyn MemoryCopy>,
}

impl Carrier {
    /// Nothing is asked yet.
    #[must_use]
    pub fn new(database: Database, copy: Arc<dyn MemoryCopy>) -> Self {
        Self { database, copy }
    }

    /// The copy.
    #[must_use]
    pub fn copy(&self) -> &Arc<dyn MemoryCopy> {
        &self.copy
    }

    /// Looks whether the copy can be used, and begins it where it is not the one that is known; `force` gives up whatever else is
    /// in its place.
    ///
    /// # Errors
    /// When it cannot be used now, or without people.
    pub async fn stand(&self, force: bool) -> Result<(), CarryError> {
        let place = self.copy.place();
        let want = move |db: &rusqlite::Connection| {
            Ok((copy_store::want(db, &place)?.owner, copy_store::edition(db)?))
        };
        let (owner, known) = self.database.write("want a copy of memories", want).await?;
        match self.copy.look(owner, known).await {
            Ok(Standing::Ours(there)) if known.is_some_and(|known| known.generation == there) => {
                return Ok(());
            }
            Ok(Standing::Ours(_) | Standing::Nothing) => {}
            Err(CopyError::Anothers(_)) if force => {}
            Err(error) => return Err(error.into()),
        }
        let generation = *PublicId::random().as_bytes();
        let begin = move |db: &rusqlite::Connection| copy_store::begin(db, generation);
        let new = self.database.write("begin a copy of memories", begin).await?;
        self.copy.begin(owner, new, force).await?;
        tracing::info!(event = "memory_copy_begun", "A copy of the index of memories is begun in Qdrant");
        Ok(())
    }

    /// Carries the changes that have waited longest, and goes on with a copy that is being made.
    ///
    /// # Errors
    /// When the copy does not confirm; all that was not confirmed still waits.
    pub async fn step(&self) -> Result<Step, CarryError> {
        let look = |db: &rusqlite::Connection| {
            Ok((copy_store::state(db)?, outbox_store::first(db, CHANGES_AT_ONCE)?))
        };
        let (state, batch) = self.database.read("read the outbox", look).await?;
        if state.generation.is_none() {
            return Ok(Step::Anew);
        }
        let changes = batch.changes;
        if changes > 0 {
            self.copy.change(batch.put.clone(), batch.gone.clone()).await?;
            let strike = move |db: &rusqlite::Connection| outbox_store::strike_off(db, &batch);
            self.database.write("strike off what was carried", strike).await?;
        }
        let copying = self.copy_on(&state).await?;
        Ok(if changes > 0 || copying { Step::Carried } else { Step::Nothing })
    }

    /// The next page of a copy that is being made. False when it is whole.
    async fn copy_on(&self, state: &CopyState) -> Result<bool, CarryError> {
        let (Some(generation), Some(after)) = (state.generation, state.copied_until) else {
            return Ok(false);
        };
        let page = move |db: &rusqlite::Connection| {
            let keys = copy_store::keys_after(db, after, MEMORIES_AT_ONCE)?;
            let mut points = Vec::with_capacity(keys.len());
            for key in &keys {
                points.extend(copy_store::point(db, *key)?);
            }
            Ok((keys.last().copied(), points))
        };
        let (last, points) = self.database.read("read memories to be copied", page).await?;
        if !points.is_empty() {
            self.copy.change(points, Vec::new()).await?;
        }
        let note = move |db: &rusqlite::Connection| copy_store::copied(db, generation, last);
        self.database.write("note how far a copy is", note).await?;
        if last.is_none() {
            tracing::info!(
                event = "memory_copy_whole",
                "The copy of the index of memories in Qdrant is whole"
            );
        }
        Ok(true)
    }
}
