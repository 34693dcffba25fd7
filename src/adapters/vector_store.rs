//! SQL for the vectors of memories: which have none of the model that is set, and what is kept of the others.
//!
//! [`keep`] is the only place where a vector comes in; it goes with its memory, and with the text it tells of, by the database's own rules.

use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::domain::embedding::Vector;

/// A memory that has no vector of a model yet.
#[derive(Clone)]
pub struct ToEmbed {
    /// Its row.
    pub key: i64,
    /// What it says.
    pub text: String,
}

/// The number of the model of this name, if it is the one that was set last.
///
/// # Errors
/// What `SQLite` says.
pub fn current(connection: &Connection, name: &str) -> rusqlite::Result<Option<i64>> {
    let sql = "SELECT id, name = ?1 FROM embedding_models ORDER BY id DESC LIMIT 1";
    let read = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?));
    let last: Option<(i64, bool)> = connection.prepare_cached(sql)?.query_row([name], read).optional()?;
    Ok(last.and_then(|(model, is_it)| is_it.then_some(model)))
}

/// From now on the model of this name makes the vectors: those of another one are made anew. Returns its number.
///
/// # Errors
/// What `SQLite` says.
pub fn set(connection: &Connection, name: &str) -> rusqlite::Result<i64> {
    if let Some(model) = current(connection, name)? {
        return Ok(model);
    }
    connection.prepare_cached("INSERT INTO embedding_models (name) VALUES (?1)")?.execute([name])?;
    Ok(connection.last_insert_rowid())
}

/// Up to `limit` memories that a model was not asked about yet: those without any vector first, of these the newest.
///
/// # Errors
/// What `SQLite` says.
pub fn without(connection: &Connection, model: i64, limit: usize) -> rusqlite::Result<Vec<ToEmbed>> {
    let sql = "SELECT id, text FROM memories WHERE superseded_at IS NULL AND embedded < ?1 ORDER BY embedded, id DESC LIMIT ?2";
    let read = |row: &Row<'_>| Ok(ToEmbed { key: row.get(0)?, text: row.get(1)? });
    connection.prepare_cached(sql)?.query_map(params![model, limit], read)?.collect()
}

/// How many memories the model of this name is still to be asked about.
///
/// # Errors
/// What `SQLite` says.
pub fn waiting(connection: &Connection, name: &str) -> rusqlite::Result<u64> {
    let model = current(connection, name)?.unwrap_or(i64::MAX);
    let sql = "SELECT count(*) FROM memories WHERE superseded_at IS NULL AND embedded < ?1";
    connection.prepare_cached(sql)?.query_row([model], |row| row.get(0))
}

/// Keeps the vector of a memory; `None`: the model refuses its text. Not when the memory is gone meanwhile, or says something else.
///
/// # Errors
/// What `SQLite` says.
pub fn keep(
    connection: &Connection,
    model: i64,
    memory: &ToEmbed,
    vector: Option<&Vector>,
) -> rusqlite::Result<()> {
    let sql = "UPDATE memories SET embedded = ?2 WHERE id = ?1 AND text = ?3 AND superseded_at IS NULL";
    let there = connection.prepare_cached(sql)?.execute(params![memory.key, model, memory.text])? > 0;
    if !there {
        return Ok(());
    }
    connection.prepare_cached("DELETE FROM memory_vectors WHERE memory_id = ?1")?.execute([memory.key])?;
    if let Some(vector) = vector {
        let sql = "INSERT INTO memory_vectors (memory_id, model, vector) VALUES (?1, ?2, ?3)";
        connection.prepare_cached(sql)?.execute(params![memory.key, model, vector.packed()])?;
    }
    Ok(())
}

/// The vector of a memory, and the name of the model that made it.
///
/// # Errors
/// What `SQLite` says.
pub fn of(connection: &Connection, memory: i64) -> rusqlite::Result<Option<(String, Vector)>> {
    let sql = "SELECT m.name, v.vector FROM memory_vectors v JOIN embedding_models m ON m.id = v.model WHERE v.memory_id = ?1";
    let read = |row: &Row<'_>| Ok((row.get(0)?, Vector::unpacked(row.get_ref(1)?.as_blob()?)));
    let found: Option<(String, Option<Vector>)> =
        connection.prepare_cached(sql)?.query_row([memory], read).optional()?;
    Ok(found.and_then(|(name, vector)| Some((name, vector?))))
}
