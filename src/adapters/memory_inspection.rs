//! SQL that holds the index of memories against the memories, one by one, and each person's count against what there is.

use rusqlite::{Connection, Row, Transaction, TransactionBehavior, params};

use crate::adapters::memory_index::{self, Place};
use crate::adapters::session_store::{public_id, timestamp};
use crate::domain::memory::MemoryId;
use crate::domain::memory::words::terms;

/// A memory whose place in the index is not as its text says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Differing {
    /// Where it stands, or should.
    pub place: Place,
    /// Its id.
    pub id: MemoryId,
}

/// Of the `limit` memories after the row `after`, those that the index does not have as they are, and the last row that was
/// looked at; `None` when there are no more.
///
/// # Errors
/// What `SQLite` says.
pub fn differing(
    connection: &Connection,
    after: i64,
    limit: u32,
) -> rusqlite::Result<(Vec<Differing>, Option<i64>)> {
    let mut statement = connection.prepare_cached(
        "SELECT m.id, m.person_id, m.thread, m.said_at, m.public_id, m.text, m.superseded_at IS NULL, w.words
         FROM memories m LEFT JOIN memory_words w ON w.person_id = m.person_id AND w.thread = coalesce(m.thread, 0)
             AND w.said_at = m.said_at AND w.memory_id = m.id
         WHERE m.id > ?1 ORDER BY m.id LIMIT ?2",
    )?;
    let (mut found, mut last) = (Vec::new(), None);
    let mut rows = statement.query(params![after, limit])?;
    while let Some(row) = rows.next()? {
        let (key, counts, has) = (row.get(0)?, row.get::<_, bool>(6)?, row.get::<_, Option<Vec<u8>>>(7)?);
        let text = row.get_ref(5)?.as_str()?;
        let should = counts.then(|| memory_index::packed(&terms(text)));
        if has != should {
            let place = Place { key, person: row.get(1)?, thread: row.get(2)?, said_at: timestamp(row, 3)? };
            found.push(Differing { place, id: public_id(row, 4)? });
        }
        last = Some(key);
    }
    Ok((found, last))
}

/// The places of up to `limit` memories after the row `after`, in order.
///
/// # Errors
/// What `SQLite` says.
pub fn places(connection: &Connection, after: i64, limit: u32) -> rusqlite::Result<Vec<Place>> {
    let sql = "SELECT id, person_id, thread, said_at FROM memories WHERE id > ?1 ORDER BY id LIMIT ?2";
    let place = |row: &Row<'_>| {
        Ok(Place { key: row.get(0)?, person: row.get(1)?, thread: row.get(2)?, said_at: timestamp(row, 3)? })
    };
    connection.prepare_cached(sql)?.query_map(params![after, limit], place)?.collect()
}

/// How many memories are to be found: those that are not superseded.
///
/// # Errors
/// What `SQLite` says.
pub fn to_be_found(connection: &Connection) -> rusqlite::Result<u64> {
    connection.query_row("SELECT count(*) FROM memories WHERE superseded_at IS NULL", [], |row| row.get(0))
}

/// Up to `limit` places of the index where no memory is.
///
/// # Errors
/// What `SQLite` says.
pub fn strays(connection: &Connection, limit: u32) -> rusqlite::Result<Vec<Place>> {
    let sql = "SELECT w.memory_id, w.person_id, nullif(w.thread, 0), w.said_at FROM memory_words w WHERE NOT EXISTS (
            SELECT 1 FROM memories m WHERE m.id = w.memory_id AND m.person_id = w.person_id
                AND coalesce(m.thread, 0) = w.thread AND m.said_at = w.said_at)
        LIMIT ?1";
    let place = |row: &Row<'_>| {
        Ok(Place { key: row.get(0)?, person: row.get(1)?, thread: row.get(2)?, said_at: timestamp(row, 3)? })
    };
    connection.prepare_cached(sql)?.query_map([limit], place)?.collect()
}

/// Puts these memories into the index as they are now, in one transaction.
///
/// # Errors
/// What `SQLite` says.
pub fn index_again(connection: &Connection, places: &[Place]) -> rusqlite::Result<()> {
    let transaction = Transaction::new_unchecked(connection, TransactionBehavior::Immediate)?;
    for place in places {
        memory_index::remove(&transaction, *place)?;
        let mut statement = transaction.prepare_cached(
            "SELECT text FROM memories WHERE id = ?1 AND person_id = ?2 AND coalesce(thread, 0) = ?3 AND said_at = ?4
             AND superseded_at IS NULL",
        )?;
        let row = params![place.key, place.person, place.thread.unwrap_or(0), place.said_at.as_millis()];
        let texts: Vec<String> =
            statement.query_map(row, |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
        for text in texts {
            memory_index::add(&transaction, *place, &terms(&text))?;
        }
    }
    transaction.commit()
}

/// The rows of persons whose count of memories is wrong, at most `limit`.
///
/// # Errors
/// What `SQLite` says.
pub fn miscounted(connection: &Connection, limit: u32) -> rusqlite::Result<Vec<i64>> {
    let sql = "SELECT id FROM persons WHERE memories <> (SELECT count(*) FROM memories WHERE person_id = persons.id) LIMIT ?1";
    connection.prepare_cached(sql)?.query_map([limit], |row| row.get(0))?.collect()
}

/// Counts the memories of these persons again, in one transaction.
///
/// # Errors
/// What `SQLite` says.
pub fn recount(connection: &Connection, persons: &[i64]) -> rusqlite::Result<()> {
    let transaction = Transaction::new_unchecked(connection, TransactionBehavior::Immediate)?;
    for person in persons {
        let sql = "UPDATE persons SET memories = (SELECT count(*) FROM memories WHERE person_id = ?1) WHERE id = ?1";
        transaction.prepare_cached(sql)?.execute([person])?;
    }
    transaction.commit()
}
