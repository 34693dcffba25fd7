//! What memories mean: their vectors are made beside the replies, from whatever has none yet, and what is asked gets one when it is asked.
//!
//! Which memories have a vector of the model that is set stands with them: a crash loses nothing, and another model makes all
//! anew. What cannot be made now is tried again; a text that the model refuses is found by its words alone.
//!
//! Bounds: as many texts at once as the embedder takes; pauses of 1 to 60 s after a failure.

use std::sync::Arc;
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::Notify;

use crate::adapters::vector_store::{self, ToEmbed};
use crate::adapters::{memory_store, person_store};
use crate::app::{App, AppError};
use crate::domain::embedding::{EmbedError, Embedder, Haste, Meaning, Vector, told};
use crate::domain::person::Person;

const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Wakes whoever makes the vectors of memories.
#[derive(Default)]
pub(crate) struct Meanings {
    memories: Notify,
}

impl Meanings {
    /// A memory is new, or says something else.
    pub(crate) fn wake(&self) {
        self.memories.notify_one();
    }
}

/// Why a vector was not kept.
#[derive(Debug, thiserror::Error)]
enum NotKept {
    #[error(transparent)]
    App(#[from] AppError),
    #[error(transparent)]
    Embedder(#[from] EmbedError),
}

impl App {
    /// What is asked of a person's memories means; nothing without an embedder, and for whom nothing is remembered nothing is sent.
    ///
    /// # Errors
    /// What the embedder says.
    pub(crate) async fn meaning_of(
        &self,
        person: Person,
        asked: &str,
    ) -> Result<Option<Meaning>, EmbedError> {
        let Some(embedder) = self.embedder.clone() else { return Ok(None) };
        let has_any = move |db: &Connection| {
            Ok(person_store::is_there(db, person)? && memory_store::count_of(db, person.key)? > 0)
        };
        // What is wrong with the database the search will tell.
        if !self.database.read("see whether anything is remembered", has_any).await.unwrap_or(false) {
            return Ok(None);
        }
        match embedder.embed(vec![told(asked)], Haste::Asked).await {
            Ok(mut vectors) => Ok(vectors.pop().map(|vector| Meaning { model: embedder.model(), vector })),
            Err(error) => {
                tracing::warn!(event = "meaning_unknown", error = %error, "Memories are searched by words alone");
                Err(error)
            }
        }
    }

    /// Makes vectors of the memories that have none, and of each that comes. Goes on until it is dropped.
    pub async fn embed_memories(&self) {
        let Some(embedder) = self.embedder.clone() else { return std::future::pending().await };
        let mut pause = FIRST_PAUSE;
        loop {
            match self.embed_some(&embedder).await {
                Ok(true) => pause = FIRST_PAUSE,
                Ok(false) => self.meanings.memories.notified().await,
                Err(error) => {
                    tracing::warn!(event = "embedding_failed", error = %error, "Vectors of memories could not be made; it is tried again");
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
    }

    /// False when no memory is without a vector.
    async fn embed_some(&self, embedder: &Arc<dyn Embedder>) -> Result<bool, NotKept> {
        let Some((model, memories)) = self.without_vector(embedder).await? else { return Ok(false) };
        self.room_to_grow()?;
        let texts = memories.iter().map(|memory| told(&memory.text)).collect();
        let vectors = match embedder.embed(texts, Haste::Aside).await {
            Ok(vectors) => vectors.into_iter().map(Some).collect(),
            Err(EmbedError::Refused(_)) => one_by_one(embedder, &memories).await?,
            Err(error) => return Err(error.into()),
        };
        let keep = move |db: &Connection| {
            memories
                .iter()
                .zip(&vectors)
                .try_for_each(|(memory, vector)| vector_store::keep(db, model, memory, vector.as_ref()))
        };
        self.database.write("keep vectors of memories", keep).await.map_err(AppError::from)?;
        self.index_changed();
        Ok(true)
    }

    /// Some memories that have no vector of the model that is set, with its number.
    async fn without_vector(
        &self,
        embedder: &Arc<dyn Embedder>,
    ) -> Result<Option<(i64, Vec<ToEmbed>)>, AppError> {
        let (name, most) = (embedder.model(), embedder.most_at_once());
        let read = {
            let name = name.clone();
            move |db: &Connection| {
                let model = vector_store::current(db, &name)?;
                model.map(|model| Ok((model, vector_store::without(db, model, most)?))).transpose()
            }
        };
        let found = match self.database.read("look for memories without a vector", read).await? {
            Some(found) => found,
            None => {
                let set = move |db: &Connection| {
                    let model = vector_store::set(db, &name)?;
                    Ok((model, vector_store::without(db, model, most)?))
                };
                self.database.write("set the model that makes vectors", set).await?
            }
        };
        Ok(Some(found).filter(|(_, memories)| !memories.is_empty()))
    }
}

/// Of some texts at least one is refused: which they are shows when each is asked about by itself.
async fn one_by_one(
    embedder: &Arc<dyn Embedder>,
    memories: &[ToEmbed],
) -> Result<Vec<Option<Vector>>, EmbedError> {
    let mut vectors = Vec::with_capacity(memories.len());
    for memory in memories {
        match embedder.embed(vec![told(&memory.text)], Haste::Aside).await {
            Ok(mut made) => vectors.push(made.pop()),
            Err(EmbedError::Refused(why)) => {
                // Some services say so of a model that they do not have, too.
                if let Err(EmbedError::Refused(why)) =
                    embedder.embed(vec!["a word".to_owned()], Haste::Aside).await
                {
                    return Err(EmbedError::Unavailable(why));
                }
                tracing::warn!(
                    event = "memory_without_vector",
                    why,
                    "A memory is refused by the embedder: it is found by its words alone"
                );
                vectors.push(None);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(vectors)
}
