//! The embedded index of memories: the words of each, as hashes, in the same `SQLite` file. It is changed in the transaction
//! that changes the memory, so the two never differ; `memory_store` alone does so.
//!
//! A search reads all memories of its person, and of nobody else, once from one end to the other, with their vectors where it is asked by
//! meaning, too: what it costs grows with their number, which `MAX_MEMORIES_PER_PERSON` bounds.

use rusqlite::{Connection, params};

use crate::adapters::session_store::timestamp;
use crate::adapters::vector_store;
use crate::domain::clock::Timestamp;
use crate::domain::memory::ranking::{Candidate, Question, Ranking, Scored};
use crate::domain::memory::words::Term;

/// Where a memory stands in the index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The row of its person.
    pub person: i64,
    /// Its thread.
    pub thread: Option<i64>,
    /// When it was said.
    pub said_at: Timestamp,
    /// Its own row.
    pub key: i64,
}

/// The thread of those that have none.
const ALONE: i64 = 0;

const WORDS_ALONE: &str = "SELECT thread, said_at, memory_id, words FROM memory_words WHERE person_id = ?1
    ORDER BY person_id, thread, said_at, memory_id";
const WITH_VECTORS: &str = "SELECT w.thread, w.said_at, w.memory_id, w.words, v.vector FROM memory_words w
    LEFT JOIN memory_vectors v ON v.memory_id = w.memory_id AND v.model = ?2 WHERE w.person_id = ?1
    ORDER BY w.person_id, w.thread, w.said_at, w.memory_id";

/// Words as the index keeps them: four bytes each, the lowest first.
pub(crate) fn packed(words: &[Term]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// Adds a memory that is not there.
pub(crate) fn add(connection: &Connection, place: Place, words: &[Term]) -> rusqlite::Result<()> {
    let thread = place.thread.unwrap_or(ALONE);
    connection
        .prepare_cached(
            "INSERT INTO memory_words (person_id, thread, said_at, memory_id, words) VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute(params![place.person, thread, place.said_at.as_millis(), place.key, packed(words)])?;
    Ok(())
}

/// Takes a memory out. One that is deleted is taken out by its trigger.
pub(crate) fn remove(connection: &Connection, place: Place) -> rusqlite::Result<()> {
    let thread = place.thread.unwrap_or(ALONE);
    connection
        .prepare_cached(
            "DELETE FROM memory_words WHERE person_id = ?1 AND thread = ?2 AND said_at = ?3 AND memory_id = ?4",
        )?
        .execute(params![place.person, thread, place.said_at.as_millis(), place.key])?;
    Ok(())
}

/// The best `limit` of a person's memories for a question, best first.
///
/// # Errors
/// What `SQLite` says.
pub fn search(
    connection: &Connection,
    person: i64,
    question: &Question,
    limit: usize,
    now: Timestamp,
) -> rusqlite::Result<Vec<Scored>> {
    if question.is_empty() {
        return Ok(Vec::new());
    }
    let meaning = match question.meaning() {
        Some(meaning) => {
            vector_store::current(connection, &meaning.model)?.map(|model| (model, &meaning.vector))
        }
        None => None,
    };
    let mut ranking = Ranking::new(question);
    // Each search has a statement of its own: one that reads no vectors does not look for any.
    let mut statement =
        connection.prepare_cached(if meaning.is_some() { WITH_VECTORS } else { WORDS_ALONE })?;
    let mut rows = match meaning {
        Some((model, _)) => statement.query([person, model])?,
        None => statement.query([person])?,
    };
    while let Some(row) = rows.next()? {
        let thread = Some(row.get(0)?).filter(|thread| *thread != ALONE);
        let words = row.get_ref(3)?.as_blob()?;
        let terms = words.as_chunks().0.iter().map(|word| Term::from_le_bytes(*word));
        let likeness = match meaning {
            Some((_, vector)) => row.get_ref(4)?.as_blob_or_null()?.and_then(|kept| vector.likeness(kept)),
            None => None,
        };
        ranking.look(Candidate { key: row.get(2)?, thread, said_at: timestamp(row, 1)?, likeness }, terms);
    }
    Ok(ranking.best(limit, now))
}
