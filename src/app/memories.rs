//! What is remembered of a person, in their hand: add, list, search, correct, forget.

use std::sync::Arc;

use rusqlite::Connection;

use crate::adapters::learning_store;
use crate::adapters::memory_forgetting;
use crate::adapters::memory_store::{self, NewMemory, Traits};
use crate::adapters::person_store;
use crate::adapters::session_deleting::Deleted;
use crate::app::recall::Searched;
use crate::app::{App, AppError};
use crate::domain::clock::Timestamp;
use crate::domain::memory::ranking::Question;
use crate::domain::memory::unwanted::Unwanted;
use crate::domain::memory::words;
use crate::domain::memory::{Found, MAX_QUESTION_CHARS, MAX_SOURCE_CHARS, MAX_TEXT_CHARS, Memory, MemoryId};
use crate::domain::person::Person;
use crate::domain::session::PublicId;

/// What a person adds, or corrects; `None` leaves a thing as it is, or out.
#[derive(Clone, Default)]
pub struct MemoryChange {
    /// What is to be remembered.
    pub text: Option<String>,
    /// When it was said.
    pub said_at: Option<Timestamp>,
    /// Where it is from.
    pub source: Option<String>,
}

impl App {
    /// Remembers something for good.
    ///
    /// # Errors
    /// [`AppError::Invalid`], [`AppError::DiskFull`], [`AppError::Unauthorized`] when the person was erased meanwhile.
    pub async fn remember(&self, person: Person, given: MemoryChange) -> Result<Memory, AppError> {
        self.room_to_grow()?;
        let now = self.clock.now();
        let text = given.text.as_deref().map(valid_text).transpose()?;
        let memory = Memory {
            id: PublicId::random(),
            text: text.ok_or_else(|| wrong("text", "must not be empty"))?,
            said_at: given.said_at.unwrap_or(now),
            source: given.source.as_deref().map(valid_source).transpose()?,
            session: None,
            created_at: now,
            superseded_at: None,
        };
        let traits = Traits::of(&memory.text);
        let new = NewMemory { memory, session_key: None, traits };
        let most = self.limits.max_memories_per_person;
        let add = move |db: &Connection| {
            let there = person_store::is_there(db, person)?;
            if there {
                memory_store::add(db, person.key, &new, most)?;
            }
            Ok(there.then_some(new.memory))
        };
        let added = self.database.write("remember something", add).await?;
        self.memories_changed();
        added.ok_or(AppError::Unauthorized)
    }

    /// Up to `limit` memories of a person, the newest first, and whether there are more.
    ///
    /// # Errors
    /// What the database says.
    pub async fn memories(
        &self,
        person: Person,
        after: Option<(Timestamp, MemoryId)>,
        limit: usize,
    ) -> Result<(Vec<Memory>, bool), AppError> {
        let list = move |db: &Connection| {
            if !person_store::is_there(db, person)? {
                return Ok(Vec::new());
            }
            memory_store::list(db, person.key, after, limit + 1)
        };
        let mut memories = self.database.read("list memories", list).await?;
        let more = memories.len() > limit;
        memories.truncate(limit);
        Ok((memories, more))
    }

    /// The best `limit` of a person's memories for what is asked, best first.
    ///
    /// # Errors
    /// [`AppError::Invalid`] for a question longer than [`MAX_QUESTION_CHARS`].
    pub async fn recall(&self, person: Person, asked: &str, limit: usize) -> Result<Vec<Found>, AppError> {
        if asked.chars().count() > MAX_QUESTION_CHARS {
            let message = format!("must have at most {MAX_QUESTION_CHARS} characters");
            return Err(AppError::Invalid { field: "q", message });
        }
        let meaning = self.meaning_of(person, asked).await;
        let question = Question::new(&words::asked(asked)).meaning_also(meaning.unwrap_or_default());
        let search = self.search_for(question, limit);
        let begin = search.clone();
        let begin = move |db: &Connection| {
            if !person_store::is_there(db, person)? {
                return Ok(Searched::Found(Vec::new()));
            }
            begin.begin(db, person)
        };
        let searched = self.database.read("search memories", begin).await?;
        Ok(self.finish_search(search, searched).await?.0)
    }

    /// Corrects a memory. What it said before is gone from every file.
    ///
    /// # Errors
    /// [`AppError::MemoryNotFound`] when it is not this person's; [`AppError::Invalid`].
    pub async fn correct_memory(
        self: &Arc<Self>,
        person: Person,
        id: MemoryId,
        change: MemoryChange,
    ) -> Result<Memory, AppError> {
        if change.text.is_none() && change.said_at.is_none() && change.source.is_none() {
            return Err(wrong("text", "give a text, said_at or source"));
        }
        let text = change.text.as_deref().map(valid_text).transpose()?;
        let source = change.source.as_deref().map(valid_source).transpose()?;
        self.room_to_grow()?;
        let now = self.clock.now();
        let correct = move |db: &Connection| {
            let Some(before) = find(db, person, id)? else { return Ok(None) };
            let old = before.memory;
            let is_reworded = text.as_ref().is_some_and(|text| *text != old.text);
            if is_reworded {
                // What is still to be learned may tell it again.
                learning_store::note_unwanted(db, person.key, &Unwanted::same_as(&old.text))?;
            }
            let changed = Memory {
                text: text.unwrap_or(old.text),
                said_at: change.said_at.unwrap_or(old.said_at),
                source: source.or(old.source),
                // What its person puts a hand to goes with no conversation, and is true again once it says something else.
                session: None,
                superseded_at: old.superseded_at.filter(|_| !is_reworded),
                ..old
            };
            memory_store::correct(db, before.place, &changed, &Traits::of(&changed.text), now)?;
            Ok(Some(changed))
        };
        let app = self.clone();
        let work = async move {
            let changed = app.database.write("correct a memory", correct).await?;
            app.memories_changed();
            app.forget_files(Deleted::default()).await?;
            changed.ok_or(AppError::MemoryNotFound)
        };
        self.turns.to_its_end(work).await
    }

    /// Forgets one memory. Once begun it goes on to the end, whether or not anyone waits for it.
    ///
    /// # Errors
    /// [`AppError::MemoryNotFound`] when it is not this person's.
    pub async fn forget_memory(self: &Arc<Self>, person: Person, id: MemoryId) -> Result<(), AppError> {
        let forget = move |db: &Connection| {
            let Some(there) = find(db, person, id)? else { return Ok((Deleted::default(), true)) };
            // What is still to be learned may tell it again.
            learning_store::note_unwanted(db, person.key, &Unwanted::same_as(&there.memory.text))?;
            memory_forgetting::forget(db, person.key, id)?;
            Ok((Deleted { memories: 1, ..Deleted::default() }, true))
        };
        match self.clone().forget_rows("forget a memory", forget).await? {
            0 => Err(AppError::MemoryNotFound),
            _ => Ok(()),
        }
    }

    /// Forgets all memories of a person. Once begun it goes on to the end, whether or not anyone waits for it, but after a kill:
    /// then it is to be asked for again.
    ///
    /// # Errors
    /// What the database or the disk says; then it is safe to ask again.
    pub async fn forget_memories(self: &Arc<Self>, person: Person) -> Result<(), AppError> {
        let forget = move |db: &Connection| {
            if !person_store::is_there(db, person)? {
                return Ok((Deleted::default(), true));
            }
            learning_store::forget_all(db, person.key)?;
            let memories = memory_forgetting::forget_some(db, person.key)?;
            Ok((Deleted { memories, ..Deleted::default() }, memories == 0))
        };
        self.clone().forget_rows("forget all memories", forget).await.map(drop)
    }

    async fn forget_rows(
        self: Arc<Self>,
        operation: &'static str,
        portion: impl FnOnce(&Connection) -> rusqlite::Result<(Deleted, bool)> + Clone + Send + 'static,
    ) -> Result<u64, AppError> {
        let app = self.clone();
        let work = async move {
            let deleted = app.delete_all(operation, portion).await?;
            app.memories_changed();
            let memories = deleted.memories;
            if memories > 0 {
                tracing::info!(
                    event = "memories_forgotten",
                    memories,
                    "Memories were forgotten by their person"
                );
                app.forget_files(deleted).await?;
            }
            Ok(memories)
        };
        self.turns.to_its_end(work).await
    }
}

fn find(
    db: &Connection,
    person: Person,
    id: MemoryId,
) -> rusqlite::Result<Option<memory_store::StoredMemory>> {
    if person_store::is_there(db, person)? { memory_store::find(db, person.key, id) } else { Ok(None) }
}

fn wrong(field: &'static str, message: &str) -> AppError {
    AppError::Invalid { field, message: message.to_owned() }
}

fn valid_text(text: &str) -> Result<String, AppError> {
    valid("text", text, MAX_TEXT_CHARS)
}

fn valid_source(source: &str) -> Result<String, AppError> {
    valid("source", source, MAX_SOURCE_CHARS)
}

fn valid(field: &'static str, text: &str, most: usize) -> Result<String, AppError> {
    if text.trim().is_empty() {
        return Err(wrong(field, "must not be empty"));
    }
    if text.chars().count() > most {
        return Err(AppError::Invalid { field, message: format!("must have at most {most} characters") });
    }
    Ok(text.to_owned())
}

/// Reads what [`cursor_after`] wrote.
#[must_use]
pub fn parse_cursor(text: &str) -> Option<(Timestamp, MemoryId)> {
    crate::app::sessions::parse_cursor(text)
}

/// The cursor that continues a list after `memory`.
#[must_use]
pub fn cursor_after(memory: &Memory) -> String {
    format!("{}_{}", memory.created_at.as_millis(), memory.id)
}
