//! SQL for persons: who holds which token, who was seen when.

use rusqlite::{Connection, OptionalExtension, Row, params};
use sha2::{Digest, Sha256};

use crate::adapters::memory_forgetting;
use crate::adapters::session_deleting::{self, Deleted};
use crate::adapters::session_store::{self, public_id, timestamp};
use crate::domain::clock::Timestamp;
use crate::domain::person::{Person, PersonId, PersonToken};

fn person(row: &Row<'_>) -> rusqlite::Result<Person> {
    Ok(Person {
        key: row.get(0)?,
        id: public_id(row, 1)?,
        created_at: timestamp(row, 2)?,
        last_seen_at: timestamp(row, 3)?,
    })
}

/// Only the hash of a token is kept: whoever reads the database cannot become anyone.
fn hash(token: &PersonToken) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

/// A new person who holds `token`; returns the key.
///
/// # Errors
/// What `SQLite` says.
pub fn insert(connection: &Connection, token: &PersonToken, at: Timestamp) -> rusqlite::Result<i64> {
    insert_as(connection, PersonId::random(), token, at)
}

/// The same, with an id that was chosen before.
///
/// # Errors
/// What `SQLite` says.
pub fn insert_as(
    connection: &Connection,
    id: PersonId,
    token: &PersonToken,
    at: Timestamp,
) -> rusqlite::Result<i64> {
    connection
        .prepare_cached(
            "INSERT INTO persons (public_id, token_hash, created_at, last_seen_at) VALUES (?1, ?2, ?3, ?3)",
        )?
        .execute(params![id.as_bytes(), hash(token), at.as_millis()])?;
    Ok(connection.last_insert_rowid())
}

/// Gives a person another token; the one before is worth nothing from then on.
///
/// # Errors
/// What `SQLite` says.
pub fn replace_token(connection: &Connection, key: i64, token: &PersonToken) -> rusqlite::Result<()> {
    connection.execute("UPDATE persons SET token_hash = ?2 WHERE id = ?1", params![key, hash(token)])?;
    Ok(())
}

/// The person who holds `token`.
///
/// # Errors
/// What `SQLite` says.
pub fn find(connection: &Connection, token: &PersonToken) -> rusqlite::Result<Option<Person>> {
    find_with_visit(connection, token).map(|found| found.map(|(person, _)| person))
}

/// The same, and when they were last seen with this very token: their other browsers do not count.
///
/// # Errors
/// What `SQLite` says.
pub fn find_with_visit(
    connection: &Connection,
    token: &PersonToken,
) -> rusqlite::Result<Option<(Person, Timestamp)>> {
    connection
        .prepare_cached(
            "SELECT id, public_id, created_at, last_seen_at, last_seen_at FROM persons WHERE token_hash = ?1
             UNION ALL SELECT p.id, p.public_id, p.created_at, p.last_seen_at, d.seen_at
                 FROM devices d JOIN persons p ON p.id = d.person_id WHERE d.token_hash = ?1",
        )?
        .query_row([hash(token)], |row| Ok((person(row)?, timestamp(row, 4)?)))
        .optional()
}

/// The row of the person with this id, if they are there.
///
/// # Errors
/// What `SQLite` says.
pub fn key_of(connection: &Connection, person: PersonId) -> rusqlite::Result<Option<i64>> {
    let mut statement = connection.prepare_cached("SELECT id FROM persons WHERE public_id = ?1")?;
    statement.query_row([person.as_bytes()], |row| row.get(0)).optional()
}

/// Notes that a person was seen.
///
/// # Errors
/// What `SQLite` says.
pub fn touch(connection: &Connection, key: i64, at: Timestamp) -> rusqlite::Result<()> {
    connection
        .prepare_cached("UPDATE persons SET last_seen_at = max(last_seen_at, ?2) WHERE id = ?1")?
        .execute([key, at.as_millis()])?;
    Ok(())
}

/// Counts one more turn of a person on `day` (UTC, days since 1970), unless that would be more than `most`. True when it was
/// counted.
///
/// # Errors
/// What `SQLite` says.
pub fn count_turn(connection: &Connection, key: i64, day: i64, most: u32) -> rusqlite::Result<bool> {
    let counted = connection
        .prepare_cached(
            "UPDATE persons SET turns_day = ?2, turns_on_day = CASE turns_day WHEN ?2 THEN turns_on_day + 1 ELSE 1 END
             WHERE id = ?1 AND (turns_day <> ?2 OR turns_on_day < ?3)",
        )?
        .execute(params![key, day, most])?;
    Ok(counted > 0)
}

/// True when `most` turns of a person were counted on `day`.
///
/// # Errors
/// What `SQLite` says.
pub fn has_had_turns(connection: &Connection, key: i64, day: i64, most: u32) -> rusqlite::Result<bool> {
    connection
        .prepare_cached("SELECT 1 FROM persons WHERE id = ?1 AND turns_day = ?2 AND turns_on_day >= ?3")?
        .exists(params![key, day, most])
}

/// Takes back a turn that was counted on `day`.
///
/// # Errors
/// What `SQLite` says.
pub fn uncount_turn(connection: &Connection, key: i64, day: i64) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "UPDATE persons SET turns_on_day = turns_on_day - 1
             WHERE id = ?1 AND turns_day = ?2 AND turns_on_day > 0",
        )?
        .execute([key, day])?;
    Ok(())
}

/// When the first of the people who are still here came.
///
/// # Errors
/// What `SQLite` says.
pub fn first_came(connection: &Connection) -> rusqlite::Result<Option<Timestamp>> {
    let mut statement = connection.prepare_cached("SELECT created_at FROM persons ORDER BY id LIMIT 1")?;
    statement.query_row([], |row| timestamp(row, 0)).optional()
}

/// How many there are.
///
/// # Errors
/// What `SQLite` says.
pub fn count(connection: &Connection) -> rusqlite::Result<u64> {
    connection.prepare_cached("SELECT count(*) FROM persons")?.query_row([], |row| row.get(0))
}

/// Up to `limit` people not seen since `cutoff` and with no session active since then.
///
/// # Errors
/// What `SQLite` says.
pub fn unseen_since(
    connection: &Connection,
    cutoff: Timestamp,
    limit: usize,
) -> rusqlite::Result<Vec<Person>> {
    let sql = format!(
        "SELECT id, public_id, created_at, last_seen_at FROM persons WHERE {UNSEEN} ORDER BY last_seen_at LIMIT ?2"
    );
    connection.prepare_cached(&sql)?.query_map(params![cutoff.as_millis(), limit], person)?.collect()
}

const UNSEEN: &str = "last_seen_at < ?1
    AND NOT EXISTS (SELECT 1 FROM sessions WHERE person_id = persons.id AND last_active_at >= ?1)";

/// True when the person is still one of [`unseen_since`].
///
/// # Errors
/// What `SQLite` says.
pub fn is_unseen_since(connection: &Connection, key: i64, cutoff: Timestamp) -> rusqlite::Result<bool> {
    let sql = format!("SELECT EXISTS (SELECT 1 FROM persons WHERE {UNSEEN} AND id = ?2)");
    connection.prepare_cached(&sql)?.query_row([cutoff.as_millis(), key], |row| row.get(0))
}

/// True while the person's row is still theirs: `SQLite` gives the number of a deleted newest row to the next person.
/// Whoever was looked up in an earlier transaction is to be asked for again in the one that acts.
///
/// # Errors
/// What `SQLite` says.
pub fn is_there(connection: &Connection, person: Person) -> rusqlite::Result<bool> {
    connection
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM persons WHERE id = ?1 AND public_id = ?2)")?
        .query_row(params![person.key, person.id.as_bytes()], |row| row.get(0))
}

/// Deletes a person with every memory, session, checkpoint and audio row of theirs, and takes them off the totals.
///
/// # Errors
/// What `SQLite` says.
pub fn erase(connection: &Connection, key: i64) -> rusqlite::Result<Deleted> {
    let mut deleted = Deleted::default();
    while !erase_some(connection, key, usize::MAX >> 1, &mut deleted)? {}
    Ok(deleted)
}

/// Deletes up to so many turns and sessions of a person, taken together with the memories that these leave, or else 200 of their memories, or at last themselves, takes them off the
/// totals, and adds what went to `deleted`. True when the person is gone.
///
/// # Errors
/// What `SQLite` says.
pub fn erase_some(
    connection: &Connection,
    key: i64,
    limit: usize,
    deleted: &mut Deleted,
) -> rusqlite::Result<bool> {
    let mut went = Deleted::default();
    let taken = |went: &Deleted| {
        usize::try_from(went.checkpoints + went.sessions + went.outlived).unwrap_or(usize::MAX)
    };
    for session in session_store::keys_of(connection, key, limit)? {
        session_deleting::delete_some(
            connection,
            session,
            limit.saturating_sub(taken(&went)).max(1),
            &mut went,
        )?;
        if taken(&went) >= limit {
            break;
        }
    }
    if went.is_nothing() {
        went.memories = memory_forgetting::forget_some(connection, key)?;
    }
    let is_over = went.is_nothing();
    if is_over {
        connection.prepare_cached("DELETE FROM persons WHERE id = ?1")?.execute([key])?;
    }
    session_deleting::subtract_from_totals(connection, &went)?;
    deleted.add(went);
    Ok(is_over)
}
