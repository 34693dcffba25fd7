//! How the memory of the server is: what finds memories, and what waits.

use std::sync::Arc;

use rusqlite::Connection;

use crate::adapters::{learning_store, memory_store, vector_store};
use crate::app::{App, AppError};

/// How it is.
#[derive(Debug, Clone)]
pub struct MemoryStatus {
    /// Memories there are.
    pub memories: u64,
    /// Turns that are still to be learned from.
    pub to_learn: u64,
    /// How the vectors are; `None` without a model that makes them.
    pub vectors: Option<Vectors>,
}

/// How the vectors of memories are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vectors {
    /// The model that makes them.
    pub model: Arc<str>,
    /// Memories that it is still to be asked about.
    pub waiting: u64,
}

impl App {
    /// How the memory is.
    ///
    /// # Errors
    /// What the database says.
    pub async fn memory_status(&self) -> Result<MemoryStatus, AppError> {
        let model = self.embedder.as_ref().map(|embedder| embedder.model());
        let look = move |db: &Connection| {
            let waiting = |model: Arc<str>| {
                let waiting = vector_store::waiting(db, &model)?;
                Ok::<_, rusqlite::Error>(Vectors { model, waiting })
            };
            let vectors = model.map(waiting).transpose()?;
            Ok(MemoryStatus {
                memories: memory_store::total(db)?,
                to_learn: learning_store::waiting(db)?,
                vectors,
            })
        };
        Ok(self.database.read("look over the memory", look).await?)
    }
}
