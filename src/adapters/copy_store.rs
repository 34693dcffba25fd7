//! SQL for the copy of the index of memories that others keep: where it is, how far it is, what it is to hold of a memory.

use std::fs::File;
use std::path::Path;

use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::adapters::disk::Naming;
use crate::adapters::session_store::{public_id, timestamp};
use crate::adapters::sqlite::{self, DbError, During};
use crate::domain::embedding::Vector;
use crate::domain::memory::MemoryId;
use crate::domain::memory::copy::{Edition, Point};
use crate::domain::memory::ranking::NEIGHBOURS;
use crate::domain::memory::words::Term;

/// How the copy stands, as this store knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyState {
    /// Tells this store's collection from another's.
    pub owner: [u8; 16],
    /// Where the copy is; `None` while none is wanted.
    pub place: Option<String>,
    /// Which copy it is; `None` when it is to be begun anew.
    pub generation: Option<[u8; 16]>,
    /// The last row that is in it, while it is being made; `None` once it is whole.
    pub copied_until: Option<i64>,
    /// Whose vectors of meanings are in it; `None`: none are.
    pub meant: Option<Meant>,
}

/// Vectors that can be compared with each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Meant {
    /// The number of the model that made them.
    pub model: i64,
    /// How many numbers each has.
    pub dimensions: u32,
}

impl CopyState {
    /// True when all that is to be in the copy is, but for what waits in the outbox.
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        self.generation.is_some() && self.copied_until.is_none()
    }
}

/// Reads how it stands.
///
/// # Errors
/// What `SQLite` says.
pub fn state(connection: &Connection) -> rusqlite::Result<CopyState> {
    let read = |row: &Row<'_>| {
        Ok(CopyState {
            owner: row.get(0)?,
            place: row.get(1)?,
            generation: row.get(2)?,
            copied_until: row.get(3)?,
            meant: row
                .get::<_, Option<i64>>(4)?
                .zip(row.get(5)?)
                .map(|(model, dimensions)| Meant { model, dimensions }),
        })
    };
    connection
        .prepare_cached("SELECT owner, place, generation, copied_until, model, dimensions FROM memory_copy")?
        .query_row([], read)
}

/// The newest vector of the model that was set last: all that are made now have as many numbers.
const MADE_NOW: &str = "SELECT v.model, length(v.vector) / 4
    FROM memories m JOIN memory_vectors v ON v.memory_id = m.id AND v.model = m.embedded
    WHERE m.superseded_at IS NULL AND m.embedded = (SELECT max(id) FROM embedding_models) ORDER BY m.id DESC LIMIT 1";

/// The copy that is to be there, in the shape in which it could hold what is made now; `None` when it is to be begun anew.
///
/// # Errors
/// What `SQLite` says.
pub fn edition(connection: &Connection) -> rusqlite::Result<Option<Edition>> {
    let CopyState { generation: Some(generation), meant, .. } = state(connection)? else { return Ok(None) };
    let made_now = connection.prepare_cached(MADE_NOW)?.query_row([], |row| row.get(1)).optional()?;
    Ok(Some(Edition { generation, dimensions: made_now.or(meant.map(|meant| meant.dimensions)) }))
}

/// Wants a copy at `place`; one at another place, or none, is to be begun anew. Returns how it stands then.
///
/// # Errors
/// What `SQLite` says.
pub fn want(connection: &Connection, place: &str) -> rusqlite::Result<CopyState> {
    let moved = connection
        .prepare_cached("UPDATE memory_copy SET place = ?1, generation = NULL WHERE place IS NOT ?1")?
        .execute([place])?;
    if moved > 0 {
        clear(connection)?;
    }
    state(connection)
}

/// Wants no copy any more: nothing waits for it. True when there was one.
///
/// # Errors
/// What `SQLite` says.
pub fn want_none(connection: &Connection) -> rusqlite::Result<bool> {
    let sql = "UPDATE memory_copy SET place = NULL, generation = NULL WHERE place IS NOT NULL";
    let gone = connection.execute(sql, [])? > 0;
    if gone {
        clear(connection)?;
    }
    Ok(gone)
}

/// Has the copy begun anew by whoever carries.
///
/// # Errors
/// What `SQLite` says.
pub fn mark_for_rebuilding(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute("UPDATE memory_copy SET generation = NULL", [])?;
    clear(connection)
}

/// Has the copy begun anew that the database at `copy` knows of, which nobody else uses and which may have any schema up to ours: a
/// backup does not know what has changed since.
///
/// # Errors
/// When that cannot be noted; then the copy is worth nothing.
pub fn mark_restored(copy: &Path) -> Result<(), DbError> {
    let db = sqlite::open_scratch(copy)?;
    let known = "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = 'memory_copy')";
    if db.query_row(known, [], |row| row.get(0)).during("look at the schema")? {
        mark_for_rebuilding(&db).during("have the copy of memories begun anew")?;
    }
    db.close().map_err(|(_, error)| error).during("close the copy")?;
    Ok(File::open(copy).and_then(|file| file.sync_all()).naming("flush", copy)?)
}

/// A new copy with this mark is begun, which holds nothing yet; all that changes from now on is noted.
///
/// # Errors
/// What `SQLite` says.
pub fn begin(connection: &Connection, generation: [u8; 16]) -> rusqlite::Result<Edition> {
    let sql = format!(
        "UPDATE memory_copy SET generation = ?1, copied_until = 0, (model, dimensions) = ({MADE_NOW})"
    );
    connection.execute(&sql, [generation])?;
    clear(connection)?;
    Ok(Edition { generation, dimensions: state(connection)?.meant.map(|meant| meant.dimensions) })
}

fn clear(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute("DELETE FROM memory_outbox", []).map(drop)
}

/// The copy holds all rows up to `last`, or all; nothing happens when another one was begun meanwhile.
///
/// # Errors
/// What `SQLite` says.
pub fn copied(connection: &Connection, generation: [u8; 16], last: Option<i64>) -> rusqlite::Result<()> {
    connection
        .prepare_cached("UPDATE memory_copy SET copied_until = ?2 WHERE generation = ?1")?
        .execute(params![generation, last])?;
    Ok(())
}

/// Rows of up to `limit` memories after the row `after` that are to be found, in order.
///
/// # Errors
/// What `SQLite` says.
pub fn keys_after(connection: &Connection, after: i64, limit: u32) -> rusqlite::Result<Vec<i64>> {
    let sql = "SELECT id FROM memories WHERE id > ?1 AND superseded_at IS NULL ORDER BY id LIMIT ?2";
    connection.prepare_cached(sql)?.query_map(params![after, limit], |row| row.get(0))?.collect()
}

/// How many memories there are up to this row: how far a copy is that is being made.
///
/// # Errors
/// What `SQLite` says.
pub fn count_until(connection: &Connection, last: i64) -> rusqlite::Result<u64> {
    connection
        .prepare_cached("SELECT count(*) FROM memories WHERE id <= ?1")?
        .query_row([last], |row| row.get(0))
}

/// The row of a memory that is to be found.
///
/// # Errors
/// What `SQLite` says.
pub fn key_of(connection: &Connection, id: MemoryId) -> rusqlite::Result<Option<i64>> {
    connection
        .prepare_cached("SELECT id FROM memories WHERE public_id = ?1 AND superseded_at IS NULL")?
        .query_row([id.as_bytes()], |row| row.get(0))
        .optional()
}

/// A place in the index of one person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spot {
    /// The row of the person.
    pub person: i64,
    /// The thread; 0 is of those that stand alone.
    pub thread: i64,
    /// When it was said.
    pub said_at: i64,
    /// The row of the memory that is or was there.
    pub key: i64,
}

const BEFORE: &str =
    "FROM memory_words WHERE person_id = ?1 AND thread = ?2 AND (said_at, memory_id) < (?3, ?4)
    ORDER BY said_at DESC, memory_id DESC LIMIT ?5";
const AFTER: &str =
    "FROM memory_words WHERE person_id = ?1 AND thread = ?2 AND (said_at, memory_id) > (?3, ?4)
    ORDER BY said_at, memory_id LIMIT ?5";

/// The rows of the memories whose neighbour whoever is at `spot` is or was.
///
/// # Errors
/// What `SQLite` says.
pub fn neighbours(connection: &Connection, spot: Spot) -> rusqlite::Result<Vec<i64>> {
    let mut found = Vec::new();
    around(connection, spot, "memory_id", |row| {
        found.push(row.get(0)?);
        Ok(())
    })?;
    Ok(found)
}

fn around(
    connection: &Connection,
    spot: Spot,
    column: &str,
    mut take: impl FnMut(&Row<'_>) -> rusqlite::Result<()>,
) -> rusqlite::Result<()> {
    if spot.thread == 0 {
        return Ok(());
    }
    for side in [BEFORE, AFTER] {
        let mut statement = connection.prepare_cached(&format!("SELECT {column} {side}"))?;
        let mut rows =
            statement.query(params![spot.person, spot.thread, spot.said_at, spot.key, NEIGHBOURS])?;
        while let Some(row) = rows.next()? {
            take(row)?;
        }
    }
    Ok(())
}

/// What the copy is to hold of the memory in this row; `None` when it is not to be found.
///
/// # Errors
/// What `SQLite` says.
pub fn point(connection: &Connection, key: i64) -> rusqlite::Result<Option<Point>> {
    let found = connection
        .prepare_cached(
            "SELECT m.public_id, p.public_id, w.said_at, w.person_id, w.thread, w.words FROM memories m
             JOIN persons p ON p.id = m.person_id
             JOIN memory_words w ON w.person_id = m.person_id AND w.thread = coalesce(m.thread, 0)
                 AND w.said_at = m.said_at AND w.memory_id = m.id
             WHERE m.id = ?1",
        )?
        .query_row([key], |row| {
            let at = timestamp(row, 2)?;
            let spot = Spot { person: row.get(3)?, thread: row.get(4)?, said_at: at.as_millis(), key };
            Ok(((public_id(row, 0)?, public_id(row, 1)?, at), spot, words(row, 5)?))
        })
        .optional()?;
    let Some((of, spot, own)) = found else { return Ok(None) };
    let mut beside = Vec::new();
    around(connection, spot, "words", |row| {
        beside.extend(words(row, 0)?);
        Ok(())
    })?;
    Ok(Some(Point::new(of, &own, &beside, dense(connection, key)?)))
}

/// The vector of a memory, if it can be compared with those of the copy.
fn dense(connection: &Connection, key: i64) -> rusqlite::Result<Option<Vec<f32>>> {
    let sql = "SELECT v.vector FROM memory_vectors v JOIN memory_copy c ON c.model = v.model
        WHERE v.memory_id = ?1 AND length(v.vector) = 4 * c.dimensions";
    let read = |row: &Row<'_>| Ok(Vector::unpacked(row.get_ref(0)?.as_blob()?));
    let vector = connection.prepare_cached(sql)?.query_row([key], read).optional()?.flatten();
    Ok(vector.map(|vector| vector.numbers().to_vec()))
}

fn words(row: &Row<'_>, column: usize) -> rusqlite::Result<Vec<Term>> {
    let bytes = row.get_ref(column)?.as_blob()?;
    Ok(bytes.as_chunks().0.iter().map(|word| Term::from_le_bytes(*word)).collect())
}
