//! SQL for memories: the truth, and with every change that of the index they are found by.

use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::adapters::memory_index::{self, Place};
use crate::adapters::memory_room;
use crate::adapters::session_store::{public_id, timestamp};
use crate::domain::clock::Timestamp;
use crate::domain::memory::copy::Hit;
use crate::domain::memory::learning;
use crate::domain::memory::ranking::{Question, Scored};
use crate::domain::memory::sameness::sameness;
use crate::domain::memory::words::{Term, terms};
use crate::domain::memory::{Found, Memory, MemoryId, thread_of};
use crate::domain::session::PublicId;

/// A memory with its internal keys.
#[derive(Clone)]
pub struct StoredMemory {
    /// Where it stands in the index.
    pub place: Place,
    /// What its person sees of it.
    pub memory: Memory,
}

/// What a memory is found by: made once, before the transaction.
#[derive(Clone)]
pub struct Traits {
    words: Vec<Term>,
    sameness: i64,
    about: Option<String>,
}

impl Traits {
    /// Those of a text.
    #[must_use]
    pub fn of(text: &str) -> Self {
        Self { words: terms(text), sameness: sameness(text), about: learning::about(text) }
    }

    /// What the text is about, where only one memory can be true at a time.
    #[must_use]
    pub fn about(&self) -> Option<&str> {
        self.about.as_deref()
    }

    /// What memories share that say the same.
    #[must_use]
    pub fn sameness(&self) -> i64 {
        self.sameness
    }
}

/// A memory to be added, with what it is found by.
#[derive(Clone)]
pub struct NewMemory {
    /// What its person will see.
    pub memory: Memory,
    /// The row of the conversation it was said in.
    pub session_key: Option<i64>,
    /// What it is found by.
    pub traits: Traits,
}

const MEMORY: &str =
    "m.id, m.person_id, m.thread, m.said_at, m.public_id, m.text, m.source, s.public_id, m.created_at,
    m.superseded_at FROM memories m LEFT JOIN sessions s ON s.id = m.session_id";

fn memory(row: &Row<'_>) -> rusqlite::Result<StoredMemory> {
    let said_at = timestamp(row, 3)?;
    let session: Option<[u8; 16]> = row.get(7)?;
    let superseded_at: Option<i64> = row.get(9)?;
    Ok(StoredMemory {
        place: Place { key: row.get(0)?, person: row.get(1)?, thread: row.get(2)?, said_at },
        memory: Memory {
            id: public_id(row, 4)?,
            text: row.get(5)?,
            said_at,
            source: row.get(6)?,
            session: session.map(PublicId::from_bytes),
            created_at: timestamp(row, 8)?,
            superseded_at: superseded_at.map(Timestamp::from_millis),
        },
    })
}

/// Adds a memory of a person, who is to have at most `most`: the least useful ones go where there is no room.
///
/// # Errors
/// What `SQLite` says.
pub fn add(connection: &Connection, person: i64, new: &NewMemory, most: u32) -> rusqlite::Result<()> {
    let memory = &new.memory;
    memory_room::make(connection, person, most, memory.created_at)?;
    let thread = thread_of(memory.source.as_deref(), memory.session);
    connection
        .prepare_cached(
            "INSERT INTO memories (public_id, person_id, session_id, thread, text, source, said_at, created_at, changed_at,
                 sameness, about)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?8, ?9, ?10)",
        )?
        .execute(params![
            memory.id.as_bytes(),
            person,
            new.session_key,
            thread,
            memory.text,
            memory.source,
            memory.said_at.as_millis(),
            memory.created_at.as_millis(),
            new.traits.sameness,
            new.traits.about,
        ])?;
    let place = Place { person, thread, said_at: memory.said_at, key: connection.last_insert_rowid() };
    memory_index::add(connection, place, &new.traits.words)
}

/// The memory of a person with this id.
///
/// # Errors
/// What `SQLite` says.
pub fn find(connection: &Connection, person: i64, id: MemoryId) -> rusqlite::Result<Option<StoredMemory>> {
    let sql = format!("SELECT {MEMORY} WHERE m.public_id = ?1 AND m.person_id = ?2");
    connection.prepare_cached(&sql)?.query_row(params![id.as_bytes(), person], memory).optional()
}

/// Up to `limit` memories of a person, the newest first, those after `(created_at, id)` in that order.
///
/// # Errors
/// What `SQLite` says.
pub fn list(
    connection: &Connection,
    person: i64,
    after: Option<(Timestamp, MemoryId)>,
    limit: usize,
) -> rusqlite::Result<Vec<Memory>> {
    let (at, id) = after.map_or((i64::MAX, [0xFF; 16]), |(at, id)| (at.as_millis(), *id.as_bytes()));
    let sql = format!(
        "SELECT {MEMORY} WHERE m.person_id = ?1 AND (m.created_at, m.public_id) < (?2, ?3)
         ORDER BY m.created_at DESC, m.public_id DESC LIMIT ?4"
    );
    let read = |row: &Row<'_>| memory(row).map(|stored| stored.memory);
    connection.prepare_cached(&sql)?.query_map(params![person, at, id, limit], read)?.collect()
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
) -> rusqlite::Result<Vec<Found>> {
    let best = memory_index::search(connection, person, question, limit, now)?;
    let mut statement = connection.prepare_cached(&format!("SELECT {MEMORY} WHERE m.id = ?1"))?;
    let mut found = Vec::with_capacity(best.len());
    for Scored { key, score } in best {
        found.push(Found { memory: statement.query_row([key], memory)?.memory, score });
    }
    Ok(found)
}

/// Those of `hits` that are this person's and to be found, with what they say.
///
/// # Errors
/// What `SQLite` says.
pub fn with_texts(connection: &Connection, person: i64, hits: &[Hit]) -> rusqlite::Result<Vec<Found>> {
    let mut found = Vec::with_capacity(hits.len());
    for Hit { id, score } in hits {
        let stored = find(connection, person, *id)?;
        let memory = stored.map(|stored| stored.memory).filter(|memory| memory.superseded_at.is_none());
        found.extend(memory.map(|memory| Found { memory, score: *score }));
    }
    Ok(found)
}

/// Puts what `changed` says in a memory's place, found by `traits` from now on.
///
/// # Errors
/// What `SQLite` says.
pub fn correct(
    connection: &Connection,
    before: Place,
    changed: &Memory,
    traits: &Traits,
    now: Timestamp,
) -> rusqlite::Result<()> {
    let thread = thread_of(changed.source.as_deref(), changed.session);
    // Whose conversation has expired stays in its thread, unless the source says otherwise.
    let thread = thread.or(before.thread);
    memory_index::remove(connection, before)?;
    connection
        .prepare_cached(
            "UPDATE memories SET text = ?2, source = ?3, said_at = ?4, thread = ?5, changed_at = ?6,
             sameness = ?7, about = ?8, session_id = (SELECT id FROM sessions WHERE public_id = ?9), superseded_at = ?10
             WHERE id = ?1",
        )?
        .execute(params![
            before.key,
            changed.text,
            changed.source,
            changed.said_at.as_millis(),
            thread,
            now.as_millis(),
            traits.sameness,
            traits.about,
            changed.session.map(|session| *session.as_bytes()),
            changed.superseded_at.map(Timestamp::as_millis),
        ])?;
    if changed.superseded_at.is_some() {
        return Ok(());
    }
    memory_index::add(connection, Place { thread, said_at: changed.said_at, ..before }, &traits.words)
}

/// Takes a memory for no longer true: it is kept, and not found any more.
///
/// # Errors
/// What `SQLite` says.
pub fn supersede(connection: &Connection, place: Place, now: Timestamp) -> rusqlite::Result<()> {
    memory_index::remove(connection, place)?;
    let sql = "UPDATE memories SET superseded_at = ?2, changed_at = ?2 WHERE id = ?1";
    connection.prepare_cached(sql)?.execute([place.key, now.as_millis()])?;
    Ok(())
}

/// Of the memories of a person that are not superseded the first that says the same, and up to `limit` that are about the same.
///
/// # Errors
/// What `SQLite` says.
pub fn like(
    connection: &Connection,
    person: i64,
    traits: &Traits,
    limit: usize,
) -> rusqlite::Result<(Option<StoredMemory>, Vec<StoredMemory>)> {
    let sql = format!(
        "SELECT {MEMORY} WHERE m.person_id = ?1 AND m.sameness = ?2 AND m.superseded_at IS NULL ORDER BY m.id LIMIT 1"
    );
    let same =
        connection.prepare_cached(&sql)?.query_row(params![person, traits.sameness], memory).optional()?;
    let sql = format!(
        "SELECT {MEMORY} WHERE m.person_id = ?1 AND m.about = ?2 AND m.superseded_at IS NULL ORDER BY m.id LIMIT ?3"
    );
    let about = connection
        .prepare_cached(&sql)?
        .query_map(params![person, traits.about, limit], memory)?
        .collect::<rusqlite::Result<_>>()?;
    Ok((same, about))
}

/// What those of these memories say that the person has, in the order of the ids.
///
/// # Errors
/// What `SQLite` says.
pub fn texts(
    connection: &Connection,
    person: i64,
    memories: &[MemoryId],
) -> rusqlite::Result<Vec<(MemoryId, String)>> {
    let mut text =
        connection.prepare_cached("SELECT text FROM memories WHERE public_id = ?1 AND person_id = ?2")?;
    let mut told = Vec::new();
    for memory in memories {
        let found = text.query_row(params![memory.as_bytes(), person], |row| row.get(0)).optional()?;
        told.extend(found.map(|text| (*memory, text)));
    }
    Ok(told)
}

/// Counts that memories of a person have helped with a reply.
///
/// # Errors
/// What `SQLite` says.
pub fn count_use(connection: &Connection, person: i64, memories: &[MemoryId]) -> rusqlite::Result<()> {
    let sql = "UPDATE memories SET used = used + 1 WHERE public_id = ?1 AND person_id = ?2";
    for memory in memories {
        connection.prepare_cached(sql)?.execute(params![memory.as_bytes(), person])?;
    }
    Ok(())
}

/// How many memories a person has, without counting them.
///
/// # Errors
/// What `SQLite` says.
pub fn count_of(connection: &Connection, person: i64) -> rusqlite::Result<u64> {
    let mut count = connection.prepare_cached("SELECT memories FROM persons WHERE id = ?1")?;
    count.query_row([person], |row| row.get(0))
}

/// How many memories there are, without counting them; 0 in a database from before there were any.
///
/// # Errors
/// What `SQLite` says.
pub fn total(connection: &Connection) -> rusqlite::Result<u64> {
    let known = "SELECT EXISTS (SELECT 1 FROM pragma_table_info('totals') WHERE name = 'memories')";
    if !connection.query_row(known, [], |row| row.get::<_, bool>(0))? {
        return Ok(0);
    }
    connection.query_row("SELECT memories FROM totals", [], |row| row.get(0))
}
