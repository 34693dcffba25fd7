//! SQL for what is learned from turns: which turns are still to be learned from, and what becomes of what they tell.

use rusqlite::{Connection, OptionalExtension, Row};

use crate::adapters::memory_store::{self, NewMemory, Traits};
use crate::adapters::session_store::{public_id, timestamp};
use crate::domain::clock::Timestamp;
use crate::domain::memory::Memory;
use crate::domain::memory::learning;
use crate::domain::memory::ranking::Question;
use crate::domain::memory::words::terms;
use crate::domain::session::{PublicId, SessionId};

/// As many memories are looked at for one that a person wants forgotten.
const LOOKED_AT: usize = 50;

/// A turn to be learned from.
#[derive(Clone)]
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

/// What became of a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// It is new.
    Added,
    /// It was known, and was said again.
    SaidAgain,
    /// It is new, and so many others are no longer true.
    InPlaceOf(u64),
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

/// The turn that has waited longest.
///
/// # Errors
/// What `SQLite` says.
pub fn next(connection: &Connection) -> rusqlite::Result<Option<ToLearn>> {
    let read = |row: &Row<'_>| {
        Ok(ToLearn {
            key: row.get(0)?,
            person: row.get(1)?,
            session_key: row.get(2)?,
            session: public_id(row, 3)?,
            said: row.get(4)?,
            said_at: timestamp(row, 5)?,
        })
    };
    connection
        .prepare_cached(
            "SELECT c.id, s.person_id, s.id, s.public_id, c.said, c.said_at FROM to_learn l
             JOIN checkpoints c ON c.id = l.checkpoint_id JOIN sessions s ON s.id = c.session_id
             ORDER BY l.checkpoint_id LIMIT 1",
        )?
        .query_row([], read)
        .optional()
}

/// How many turns are still to be learned from.
///
/// # Errors
/// What `SQLite` says.
pub fn waiting(connection: &Connection) -> rusqlite::Result<u64> {
    connection.prepare_cached("SELECT count(*) FROM to_learn")?.query_row([], |row| row.get(0))
}

/// Strikes a turn off: what it tells was learned in the same transaction.
///
/// # Errors
/// What `SQLite` says.
pub fn strike_off(connection: &Connection, turn: &ToLearn) -> rusqlite::Result<()> {
    connection.prepare_cached("DELETE FROM to_learn WHERE checkpoint_id = ?1")?.execute([turn.key])?;
    Ok(())
}

/// Keeps a statement: one that is known is only said again, one that contradicts another takes its place.
///
/// # Errors
/// What `SQLite` says.
pub fn keep(
    connection: &Connection,
    turn: &ToLearn,
    text: &str,
    most: u32,
    now: Timestamp,
) -> rusqlite::Result<Kept> {
    let traits = Traits::of(text);
    let (same, about) = memory_store::like(connection, turn.person, &traits)?;
    let Some(known) = same.first() else {
        for other in &about {
            memory_store::supersede(connection, other.place, now)?;
        }
        let memory = Memory {
            id: PublicId::random(),
            text: text.to_owned(),
            said_at: turn.said_at,
            source: None,
            session: Some(turn.session),
            created_at: now,
            superseded_at: None,
        };
        let new = NewMemory { memory, session_key: Some(turn.session_key), traits };
        memory_store::add(connection, turn.person, &new, most)?;
        return Ok(if about.is_empty() { Kept::Added } else { Kept::InPlaceOf(about.len() as u64) });
    };
    for other in about.iter().filter(|other| other.place.key != known.place.key) {
        memory_store::supersede(connection, other.place, now)?;
    }
    let again = Memory {
        text: text.to_owned(),
        said_at: turn.said_at,
        session: Some(turn.session),
        ..known.memory.clone()
    };
    memory_store::correct(connection, known.place, &again, &traits, now)?;
    Ok(Kept::SaidAgain)
}

/// Forgets what was learned from the turn before the newest one of a session, or would be; returns how many memories that
/// were.
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
    let sql = "DELETE FROM memories WHERE session_id = ?1 AND said_at = ?2";
    Ok(connection.prepare_cached(sql)?.execute([session, said_at])? as u64)
}

/// Forgets which turns of a person are still to be learned from.
///
/// # Errors
/// What `SQLite` says.
pub fn forget_all(connection: &Connection, person: i64) -> rusqlite::Result<()> {
    let sql = "DELETE FROM to_learn WHERE checkpoint_id IN (SELECT c.id FROM to_learn l
        JOIN checkpoints c ON c.id = l.checkpoint_id JOIN sessions s ON s.id = c.session_id WHERE s.person_id = ?1)";
    connection.prepare_cached(sql)?.execute([person])?;
    Ok(())
}

/// Forgets every memory of a person that has all the words of `text`, and a "not" where that has one; returns how many there
/// were.
///
/// # Errors
/// What `SQLite` says.
pub fn forget_like(
    connection: &Connection,
    person: i64,
    text: &str,
    now: Timestamp,
) -> rusqlite::Result<u64> {
    let wanted = terms(text);
    let question = Question::new(&wanted);
    let found = memory_store::search(connection, person, &question, LOOKED_AT, now)?;
    let mut forgotten = 0;
    for memory in found.into_iter().map(|found| found.memory) {
        let has = terms(&memory.text);
        let all = wanted.iter().all(|word| has.contains(word));
        if all && learning::is_denial(text) == learning::is_denial(&memory.text) {
            forgotten += u64::from(memory_store::forget(connection, person, memory.id)?);
        }
    }
    Ok(forgotten)
}
