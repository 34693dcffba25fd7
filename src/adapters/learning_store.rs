//! SQL for which turns are still to be learned from, what has to be known for it, and what is held against it.

use std::collections::BTreeSet;

use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::adapters::memory_store;
use crate::adapters::session_store::{public_id, timestamp};
use crate::domain::clock::Timestamp;
use crate::domain::memory::Memory;
use crate::domain::memory::extraction::MOST_KNOWN;
use crate::domain::memory::ranking::Question;
use crate::domain::memory::unwanted::Unwanted;
use crate::domain::memory::words::asked;
use crate::domain::session::SessionId;

/// As many memories are looked at for the newest that count.
const LOOKED_AT: usize = 50;
/// So much is held against a turn that is still to be learned from.
const MOST_UNWANTED_CHARS: usize = 16 * 1024;

/// A turn to be learned from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToLearn {
    /// The row of its checkpoint.
    pub key: i64,
    /// The row of its person.
    pub person: i64,
    /// The row of its session.
    pub session_key: i64,
    /// Its session.
    pub session: SessionId,
    /// What the person said.
    pub said: String,
    /// When.
    pub said_at: Timestamp,
}

/// What whoever decides what is learned from a turn has to know.
#[derive(Clone, Default)]
pub struct Around {
    /// What is known of the person: what has to do with what they said, and the newest.
    pub known: Vec<Memory>,
    /// What the companion had said before.
    pub before: Option<String>,
}

/// Notes, with the newest turn of a session, that it is to be learned from.
///
/// # Errors
/// What `SQLite` says.
pub fn note(connection: &Connection, session: SessionId) -> rusqlite::Result<()> {
    let sql = "INSERT INTO to_learn (checkpoint_id) SELECT max(id) FROM checkpoints
        WHERE session_id = (SELECT id FROM sessions WHERE public_id = ?1)";
    connection.prepare_cached(sql)?.execute([session.as_bytes()])?;
    Ok(())
}

/// From what waits, which is little, to whose it is. A cross join keeps `SQLite` from going the other way, through all that somebody has
/// ever said.
const WAITING: &str = "FROM to_learn l CROSS JOIN checkpoints c ON c.id = l.checkpoint_id
    CROSS JOIN sessions s ON s.id = c.session_id";
const TURN: &str = "c.id, s.person_id, s.id, s.public_id, c.said, c.said_at";

fn of_person_in_order() -> String {
    format!("SELECT {TURN} {WAITING} WHERE s.person_id = ?1 ORDER BY l.checkpoint_id LIMIT ?2")
}

fn of_session_in_order() -> String {
    format!("SELECT {TURN} {WAITING} WHERE c.session_id = ?1 ORDER BY l.checkpoint_id LIMIT ?2")
}

/// The rows of what waits of a person.
fn of_person() -> String {
    format!("SELECT l.checkpoint_id {WAITING} WHERE s.person_id = ?1")
}

/// The same of one session.
fn of_session() -> String {
    format!("SELECT l.checkpoint_id {WAITING} WHERE c.session_id = ?1")
}

fn to_learn(row: &Row<'_>) -> rusqlite::Result<ToLearn> {
    Ok(ToLearn {
        key: row.get(0)?,
        person: row.get(1)?,
        session_key: row.get(2)?,
        session: public_id(row, 3)?,
        said: row.get(4)?,
        said_at: timestamp(row, 5)?,
    })
}

/// The row of the person whose turn has waited longest, but for these people.
///
/// # Errors
/// What `SQLite` says.
pub fn next_person(connection: &Connection, but_not: &BTreeSet<i64>) -> rusqlite::Result<Option<i64>> {
    let sql = format!("SELECT s.person_id {WAITING} ORDER BY l.checkpoint_id");
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let person = row.get(0)?;
        if !but_not.contains(&person) {
            return Ok(Some(person));
        }
    }
    Ok(None)
}

/// The turns of a person that have waited longest, up to `limit`.
///
/// # Errors
/// What `SQLite` says.
pub fn waiting_of(connection: &Connection, person: i64, limit: usize) -> rusqlite::Result<Vec<ToLearn>> {
    connection.prepare_cached(&of_person_in_order())?.query_map(params![person, limit], to_learn)?.collect()
}

/// How many turns are still to be learned from.
///
/// # Errors
/// What `SQLite` says.
pub fn waiting(connection: &Connection) -> rusqlite::Result<u64> {
    connection.prepare_cached("SELECT count(*) FROM to_learn")?.query_row([], |row| row.get(0))
}

/// The first turns of a session that wait, up to `limit`.
///
/// # Errors
/// What `SQLite` says.
pub fn waiting_in(connection: &Connection, session: i64, limit: usize) -> rusqlite::Result<Vec<ToLearn>> {
    connection.prepare_cached(&of_session_in_order())?.query_map(params![session, limit], to_learn)?.collect()
}

/// True when this very turn is still to be learned from: neither forgotten nor deleted, and no other one in its place.
///
/// # Errors
/// What `SQLite` says.
pub fn still_waits(connection: &Connection, turn: &ToLearn) -> rusqlite::Result<bool> {
    let sql = format!("SELECT {TURN} {WAITING} WHERE l.checkpoint_id = ?1");
    let there = connection.prepare_cached(&sql)?.query_row([turn.key], to_learn).optional()?;
    Ok(there.as_ref() == Some(turn))
}

/// What has to be known to decide what is learned from a turn.
///
/// # Errors
/// What `SQLite` says.
pub fn around(connection: &Connection, turn: &ToLearn, now: Timestamp) -> rusqlite::Result<Around> {
    let question = Question::new(&asked(&turn.said));
    let found = memory_store::search(connection, turn.person, &question, MOST_KNOWN / 2, now)?;
    let mut known: Vec<_> = found.into_iter().map(|found| found.memory).collect();
    let newest = memory_store::list(connection, turn.person, None, LOOKED_AT)?;
    for memory in newest.into_iter().filter(|memory| memory.superseded_at.is_none()) {
        if known.len() < MOST_KNOWN && known.iter().all(|other| other.id != memory.id) {
            known.push(memory);
        }
    }
    let sql = "SELECT answered FROM checkpoints WHERE session_id = ?1 AND id < ?2 ORDER BY id DESC LIMIT 1";
    let before = connection.prepare_cached(sql)?.query_row([turn.session_key, turn.key], |row| row.get(0));
    Ok(Around { known, before: before.optional()? })
}

/// What its person wanted forgotten since they said what a turn tells.
///
/// # Errors
/// What `SQLite` says.
pub fn unwanted(connection: &Connection, turn: &ToLearn) -> rusqlite::Result<Vec<Unwanted>> {
    let sql = "SELECT but_not FROM to_learn WHERE checkpoint_id = ?1";
    let lines: Option<String> = connection.prepare_cached(sql)?.query_row([turn.key], |row| row.get(0))?;
    Ok(lines.unwrap_or_default().lines().map(Unwanted::of_line).collect())
}

/// Strikes a turn off: what it tells was learned in the same transaction.
///
/// # Errors
/// What `SQLite` says.
pub fn strike_off(connection: &Connection, turn: &ToLearn) -> rusqlite::Result<()> {
    connection.prepare_cached("DELETE FROM to_learn WHERE checkpoint_id = ?1")?.execute([turn.key])?;
    Ok(())
}

/// Forgets what was learned from the turn before the newest one of a session, or would be, also what was known and only said again in it;
/// returns how many memories that were.
///
/// # Errors
/// What `SQLite` says.
pub fn forget_before(connection: &Connection, session: SessionId) -> rusqlite::Result<u64> {
    let sql = "SELECT c.id, c.session_id, c.said_at FROM checkpoints c JOIN sessions s ON s.id = c.session_id
        WHERE s.public_id = ?1 ORDER BY c.id DESC LIMIT 1 OFFSET 1";
    let read = |row: &Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, i64>(2)?));
    let before = connection.prepare_cached(sql)?.query_row([session.as_bytes()], read).optional()?;
    let Some((checkpoint, session, said_at)) = before else { return Ok(0) };
    connection.prepare_cached("DELETE FROM to_learn WHERE checkpoint_id = ?1")?.execute([checkpoint])?;
    let sql = "DELETE FROM memories WHERE person_id = (SELECT person_id FROM sessions WHERE id = ?1) AND said_at = ?2";
    Ok(connection.prepare_cached(sql)?.execute([session, said_at])? as u64)
}

/// Forgets which turns of a person are still to be learned from.
///
/// # Errors
/// What `SQLite` says.
pub fn forget_all(connection: &Connection, person: i64) -> rusqlite::Result<()> {
    let sql = format!("DELETE FROM to_learn WHERE checkpoint_id IN ({})", of_person());
    connection.prepare_cached(&sql)?.execute([person])?;
    Ok(())
}

/// The same of one session.
///
/// # Errors
/// What `SQLite` says.
pub fn forget_session(connection: &Connection, session: i64) -> rusqlite::Result<()> {
    let sql = format!("DELETE FROM to_learn WHERE checkpoint_id IN ({})", of_session());
    connection.prepare_cached(&sql)?.execute([session])?;
    Ok(())
}

/// Notes, once, with what is still to be learned of a person that they wanted something forgotten. Where that is more than can be held
/// against a turn, nothing is learned from it.
///
/// # Errors
/// What `SQLite` says.
pub fn note_unwanted(connection: &Connection, person: i64, unwanted: &Unwanted) -> rusqlite::Result<()> {
    let sql = format!(
        "UPDATE to_learn SET but_not = coalesce(but_not || char(10), '') || ?2
         WHERE instr(char(10) || coalesce(but_not, '') || char(10), char(10) || ?2 || char(10)) = 0
             AND checkpoint_id IN ({})",
        of_person()
    );
    connection.prepare_cached(&sql)?.execute(params![person, unwanted.line()])?;
    let sql =
        format!("DELETE FROM to_learn WHERE length(but_not) > ?2 AND checkpoint_id IN ({})", of_person());
    connection.prepare_cached(&sql)?.execute(params![person, MOST_UNWANTED_CHARS])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::sqlite::empty_for_testing as empty;

    #[test]
    fn what_waits_is_found_without_reading_what_was_said_before() {
        let (_root, db) = empty();
        for sql in [of_person_in_order(), of_session_in_order(), of_person(), of_session()] {
            let mut plan = db.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
            let bound = rusqlite::params_from_iter(vec![1; plan.parameter_count()]);
            let steps = plan.query_map(bound, |row| row.get::<_, String>(3)).unwrap();
            let steps: Vec<_> = steps.map(Result::unwrap).collect();
            let (first, others) = steps.split_first().unwrap();
            let by_row = |step: &String| step.starts_with("SEARCH") && step.contains("rowid=?");
            assert!(first == "SCAN l" && others.iter().all(by_row), "{sql}: {steps:?}");
        }
    }
}
