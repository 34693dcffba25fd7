//! How the memory of the server is: what finds memories, and what waits.

use std::sync::Arc;

use rusqlite::Connection;

use crate::adapters::outbox_store::{self, Waiting};
use crate::adapters::{copy_store, learning_store, memory_store, vector_store};
use crate::app::{App, AppError};
use crate::domain::chat::ServiceState;
use crate::domain::upstream::UpstreamReport;

/// How it is.
#[derive(Debug, Clone)]
pub struct MemoryStatus {
    /// Memories there are.
    pub memories: u64,
    /// Turns that are still to be learned from.
    pub to_learn: u64,
    /// How the vectors are; `None` without a model that makes them.
    pub vectors: Option<Vectors>,
    /// The copy of the index that a service outside keeps.
    pub copy: Option<CopyStatus>,
    /// Changes that wait for it.
    pub outbox: Waiting,
}

/// How the vectors of memories are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vectors {
    /// The model that makes them.
    pub model: Arc<str>,
    /// Memories that it is still to be asked about.
    pub waiting: u64,
}

/// How the copy is.
#[derive(Debug, Clone)]
pub struct CopyStatus {
    /// Whether it answers.
    pub state: ServiceState,
    /// Why it does not.
    pub problem: Option<String>,
    /// True once it holds all that is to be found, but for what waits.
    pub whole: bool,
    /// Memories looked at for it, while it is being made.
    pub copied: Option<u64>,
    /// The calls.
    pub upstream: UpstreamReport,
}

impl App {
    /// How the memory is.
    ///
    /// # Errors
    /// What the database says.
    pub async fn memory_status(&self) -> Result<MemoryStatus, AppError> {
        let model = self.embedder.as_ref().map(|embedder| embedder.model());
        let look = move |db: &Connection| {
            let state = copy_store::state(db)?;
            let copied = state.copied_until.map(|last| copy_store::count_until(db, last)).transpose()?;
            let status = MemoryStatus {
                memories: memory_store::total(db)?,
                to_learn: learning_store::waiting(db)?,
                vectors: model.map(|model| vectors(db, model)).transpose()?,
                copy: None,
                outbox: outbox_store::waiting(db)?,
            };
            Ok((status, state.is_whole(), copied))
        };
        let (status, whole, copied) = self.database.read("look over the memory", look).await?;
        let copy = self.copying.as_ref().map(|copying| CopyStatus {
            state: copying.state(),
            problem: copying.problem(),
            whole,
            copied,
            upstream: copying.report(),
        });
        Ok(MemoryStatus { copy, ..status })
    }
}

fn vectors(db: &Connection, model: Arc<str>) -> rusqlite::Result<Vectors> {
    let waiting = vector_store::waiting(db, &model)?;
    Ok(Vectors { model, waiting })
}
