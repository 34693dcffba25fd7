//! SQL for the outbox: changes of the index of memories that the copy of it does not have yet. Triggers write them, in whatever
//! program and for whatever reason a memory changes (`migrations/0010_memory_copy.sql`).

use std::collections::{BTreeMap, HashSet};

use rusqlite::{Connection, Row, params};

use crate::adapters::copy_store::{self, Spot};
use crate::adapters::session_store::public_id;
use crate::domain::memory::MemoryId;
use crate::domain::memory::copy::Point;

/// Changes that are carried out together.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    /// How many changes these are.
    pub changes: u64,
    /// What is to be put in, as it is now.
    pub put: Vec<Point>,
    /// What is to be taken out.
    pub gone: Vec<MemoryId>,
    /// The rows that are done with it.
    rows: Vec<i64>,
}

/// How much waits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Waiting {
    /// Changes.
    pub changes: u64,
    /// How long the first one has waited, in milliseconds.
    pub oldest_ms: u64,
}

/// How much waits, and for how long.
///
/// # Errors
/// What `SQLite` says.
pub fn waiting(connection: &Connection) -> rusqlite::Result<Waiting> {
    let sql =
        "SELECT count(*), max(0, coalesce(CAST(unixepoch('subsec') * 1000 AS INTEGER) - min(noted_at), 0))
        FROM memory_outbox";
    let read = |row: &Row<'_>| Ok(Waiting { changes: row.get(0)?, oldest_ms: row.get(1)? });
    connection.prepare_cached(sql)?.query_row([], read)
}

/// True when nothing of this person's waits.
///
/// # Errors
/// What `SQLite` says.
pub fn is_empty_for(connection: &Connection, person: i64) -> rusqlite::Result<bool> {
    let sql = "SELECT NOT EXISTS (SELECT 1 FROM memory_outbox WHERE person_id = ?1)";
    connection.prepare_cached(sql)?.query_row([person], |row| row.get(0))
}

/// The first changes that wait, at most `limit`, and what they and their neighbours are now.
///
/// # Errors
/// What `SQLite` says.
pub fn first(connection: &Connection, limit: u32) -> rusqlite::Result<Batch> {
    let mut statement = connection.prepare_cached(
        "SELECT id, person_id, thread, said_at, memory_id, public_id FROM memory_outbox ORDER BY id LIMIT ?1",
    )?;
    let mut rows = statement.query([limit])?;
    let (mut batch, mut keys, mut gone) = (Batch::default(), BTreeMap::new(), HashSet::new());
    while let Some(row) = rows.next()? {
        batch.rows.push(row.get(0)?);
        let spot = Spot { person: row.get(1)?, thread: row.get(2)?, said_at: row.get(3)?, key: row.get(4)? };
        let id = public_id(row, 5)?;
        match copy_store::key_of(connection, id)? {
            Some(key) => drop(keys.insert(key, Some(id))),
            None => drop(gone.insert(id)),
        }
        for key in copy_store::neighbours(connection, spot)? {
            keys.entry(key).or_insert(None);
        }
    }
    for (key, id) in keys {
        match copy_store::point(connection, key)? {
            Some(point) => batch.put.push(point),
            // The index here does not have it either.
            None => gone.extend(id),
        }
    }
    batch.gone.extend(gone);
    batch.changes = batch.rows.len() as u64;
    Ok(batch)
}

/// Strikes off what the copy has confirmed.
///
/// # Errors
/// What `SQLite` says.
pub fn strike_off(connection: &Connection, batch: &Batch) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached("DELETE FROM memory_outbox WHERE id = ?1")?;
    for row in &batch.rows {
        statement.execute([row])?;
    }
    Ok(())
}

/// Has a memory carried that is, or should not be, in the copy.
///
/// # Errors
/// What `SQLite` says.
pub fn note(connection: &Connection, id: MemoryId) -> rusqlite::Result<()> {
    // One that is not there belongs to nobody, and has no neighbours.
    let sql = "INSERT INTO memory_outbox (person_id, thread, said_at, memory_id, public_id)
        SELECT coalesce(m.person_id, 0), coalesce(m.thread, 0), coalesce(m.said_at, 0), coalesce(m.id, 0), ?1
        FROM (SELECT 1) LEFT JOIN memories m ON m.public_id = ?1";
    connection.prepare_cached(sql)?.execute(params![id.as_bytes()])?;
    Ok(())
}

/// True when a change of this memory waits, or of another one of the same person, which may be its neighbour.
///
/// # Errors
/// What `SQLite` says.
pub fn holds(connection: &Connection, id: MemoryId) -> rusqlite::Result<bool> {
    let sql = "SELECT EXISTS (SELECT 1 FROM memory_outbox WHERE public_id = ?1 OR person_id =
        (SELECT person_id FROM memories WHERE public_id = ?1))";
    connection.prepare_cached(sql)?.query_row([id.as_bytes()], |row| row.get(0))
}
