//! SQL for what was brought in from a predecessor: which thread became which session, whose it is, turn by turn.

use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::adapters::person_store;
use crate::adapters::session_store;
use crate::domain::clock::Timestamp;
use crate::domain::person::{PersonId, PersonToken};
use crate::domain::session::{PublicId, Session, SessionId, TurnId};

/// Names a predecessor's thread without telling its id.
pub type ThreadHash = [u8; 32];

/// What is known of a thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Known {
    /// It was never brought in.
    Never,
    /// It was, and its session is there.
    Here(i64),
    /// It was, and its session has been deleted since, or is being deleted.
    Gone,
}

/// One turn as it was in the predecessor. One of the two sides may be empty.
#[derive(Clone, PartialEq, Eq)]
pub struct Turn {
    /// The same every time it is brought in.
    pub id: TurnId,
    /// What the person said.
    pub said: String,
    /// What the companion answered.
    pub answered: String,
    /// When the person said it.
    pub said_at: Timestamp,
    /// When the answer was complete.
    pub answered_at: Timestamp,
}

/// What a turn needs to be as it is in the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needed {
    /// It is not there.
    Insert,
    /// It is there without its answer, which has come since.
    Complete,
    /// It is there.
    Nothing,
}

/// What became of a thread.
///
/// # Errors
/// What `SQLite` says.
pub fn known(connection: &Connection, thread: &ThreadHash) -> rusqlite::Result<Known> {
    let sql = "SELECT (SELECT id FROM sessions WHERE id = session_id AND id NOT IN (SELECT session_id FROM deletions))
        FROM imported_threads WHERE thread = ?1";
    let mut statement = connection.prepare_cached(sql)?;
    let found: Option<Option<i64>> = statement.query_row([thread], |row| row.get(0)).optional()?;
    Ok(match found {
        None => Known::Never,
        Some(None) => Known::Gone,
        Some(Some(session)) => Known::Here(session),
    })
}

/// True when there is a session with this id, also when its deletion has begun.
///
/// # Errors
/// What `SQLite` says.
pub fn is_taken(connection: &Connection, session: SessionId) -> rusqlite::Result<bool> {
    connection.prepare_cached("SELECT 1 FROM sessions WHERE public_id = ?1")?.exists([session.as_bytes()])
}

/// Keeps a new session for a thread; returns its row.
///
/// # Errors
/// What `SQLite` says.
pub fn begin(
    connection: &Connection,
    thread: &ThreadHash,
    person: i64,
    session: &Session,
) -> rusqlite::Result<i64> {
    session_store::insert(connection, person, session)?;
    let key = session_store::find(connection, session.id)?.map(|stored| stored.key);
    connection
        .prepare_cached(
            "INSERT INTO imported_threads (thread, session_id) VALUES (?1, ?2)
             ON CONFLICT (thread) DO UPDATE SET session_id = excluded.session_id",
        )?
        .execute(params![thread, key])?;
    key.ok_or(rusqlite::Error::QueryReturnedNoRows)
}

/// Whether a turn is still to be brought in.
///
/// # Errors
/// What `SQLite` says.
pub fn needed(connection: &Connection, session: i64, turn: &Turn) -> rusqlite::Result<Needed> {
    let mut statement = connection
        .prepare_cached("SELECT answered = '' FROM checkpoints WHERE session_id = ?1 AND turn_id = ?2")?;
    let unanswered: Option<bool> =
        statement.query_row(params![session, turn.id.as_bytes()], |row| row.get(0)).optional()?;
    Ok(match unanswered {
        None => Needed::Insert,
        Some(true) if !turn.answered.is_empty() => Needed::Complete,
        Some(_) => Needed::Nothing,
    })
}

/// Keeps one turn; the caller counts it with [`count`] in the same transaction.
///
/// # Errors
/// What `SQLite` says.
pub fn insert(connection: &Connection, session: i64, turn: &Turn) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO checkpoints (session_id, public_id, turn_id, said, answered, said_at, answered_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?
        .execute(params![
            session,
            PublicId::random().as_bytes(),
            turn.id.as_bytes(),
            turn.said,
            turn.answered,
            turn.said_at.as_millis(),
            turn.answered_at.as_millis(),
        ])?;
    Ok(())
}

/// Gives a turn the answer it was brought in without.
///
/// # Errors
/// What `SQLite` says.
pub fn complete(connection: &Connection, session: i64, turn: &Turn) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "UPDATE checkpoints SET answered = ?3, answered_at = ?4
             WHERE session_id = ?1 AND turn_id = ?2 AND answered = ''",
        )?
        .execute(params![session, turn.id.as_bytes(), turn.answered, turn.answered_at.as_millis()])?;
    Ok(())
}

/// Counts the turns a transaction has inserted, and moves the session's last activity on.
///
/// # Errors
/// What `SQLite` says.
pub fn count(connection: &Connection, session: i64, inserted: u64, last: Timestamp) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "UPDATE sessions SET checkpoints = checkpoints + ?2, last_active_at = max(last_active_at, ?3) WHERE id = ?1",
        )?
        .execute(params![session, inserted, last.as_millis()])?;
    connection.prepare_cached("UPDATE totals SET checkpoints = checkpoints + ?1")?.execute([inserted])?;
    Ok(())
}

/// When a session was last active, and whether it is pinned; `None` when it is gone.
///
/// # Errors
/// What `SQLite` says.
pub fn activity(connection: &Connection, session: i64) -> rusqlite::Result<Option<(Timestamp, bool)>> {
    let mut statement =
        connection.prepare_cached("SELECT last_active_at, pinned FROM sessions WHERE id = ?1")?;
    statement.query_row([session], |row| Ok((session_store::timestamp(row, 0)?, row.get(1)?))).optional()
}

/// Pins a session. True when it was not pinned.
///
/// # Errors
/// What `SQLite` says.
pub fn pin(connection: &Connection, session: i64) -> rusqlite::Result<bool> {
    let sql = "UPDATE sessions SET pinned = 1 WHERE id = ?1 AND pinned = 0";
    Ok(connection.prepare_cached(sql)?.execute([session])? > 0)
}

/// The person who holds what was brought in.
#[derive(Debug, Clone, Copy)]
pub struct Owner {
    /// Their row.
    pub key: i64,
    /// Their id in the erasure ledger.
    pub id: PersonId,
    /// Whether the operator was ever told the token.
    pub told: bool,
}

/// The person who holds what was brought in.
///
/// # Errors
/// What `SQLite` says.
pub fn owner(connection: &Connection) -> rusqlite::Result<Option<Owner>> {
    let sql = "SELECT p.id, p.public_id, o.told FROM import_owner o JOIN persons p ON p.id = o.person_id";
    let owner = |row: &Row<'_>| {
        Ok(Owner { key: row.get(0)?, id: session_store::public_id(row, 1)?, told: row.get(2)? })
    };
    connection.query_row(sql, [], owner).optional()
}

/// Makes the person who will hold what is brought in, unless somebody with that id is here.
///
/// # Errors
/// What `SQLite` says.
pub fn make_owner(
    connection: &Connection,
    id: PersonId,
    token: &PersonToken,
    at: Timestamp,
) -> rusqlite::Result<i64> {
    let person = match person_store::key_of(connection, id)? {
        Some(person) => person,
        None => person_store::insert_as(connection, id, token, at)?,
    };
    let sql = "INSERT INTO import_owner (id, person_id, told) VALUES (1, ?1, 0)
        ON CONFLICT (id) DO UPDATE SET person_id = excluded.person_id, told = 0";
    connection.execute(sql, [person])?;
    Ok(person)
}

/// Notes that the operator is being told the token.
///
/// # Errors
/// What `SQLite` says.
pub fn mark_told(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute("UPDATE import_owner SET told = 1", [])?;
    Ok(())
}
