//! SQL for sessions and their checkpoints.

use std::collections::HashSet;

use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::adapters::memory_store;
use crate::domain::audio::{AudioFormat, AudioId};
use crate::domain::clock::Timestamp;
use crate::domain::session::{Checkpoint, PublicId, Session, SessionId, TurnId};

/// A session with its internal keys.
#[derive(Debug, Clone)]
pub struct StoredSession {
    /// The row.
    pub key: i64,
    /// The row of the person it belongs to.
    pub person: i64,
    /// What the person sees of it.
    pub session: Session,
}

/// How many there are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Sessions.
    pub sessions: u64,
    /// Checkpoints.
    pub checkpoints: u64,
    /// Memories; 0 in a database from before there were any.
    pub memories: u64,
}

/// What became of a turn.
#[derive(Clone, PartialEq, Eq)]
pub enum Committed {
    /// It is kept; the session now has so many turns.
    New(u64),
    /// A turn with the same turn id was kept before; this is it.
    Before(Checkpoint),
    /// The session is gone; nothing was kept.
    SessionGone,
}

const SESSION: &str =
    "id, person_id, public_id, title, created_at, last_active_at, pinned, remembered, checkpoints";
/// Whose deletion has begun is gone for everybody, though some of it is left (`session_deleting`).
const WITHIN_REACH: &str = "NOT EXISTS (SELECT 1 FROM deletions WHERE session_id = sessions.id)";
const CHECKPOINT: &str = "c.public_id, c.said, c.answered, c.said_at, c.answered_at, a.public_id, c.memories";

/// Of a person: conversations in which something was said, and memories.
///
/// # Errors
/// What `SQLite` says.
pub fn holdings(connection: &Connection, person: i64) -> rusqlite::Result<(u64, u64)> {
    let sql = format!(
        "SELECT (SELECT count(*) FROM sessions WHERE person_id = ?1 AND checkpoints > 0 AND {WITHIN_REACH}),
                (SELECT memories FROM persons WHERE id = ?1)"
    );
    connection.prepare_cached(&sql)?.query_row([person], |row| Ok((row.get(0)?, row.get(1)?)))
}

/// Reads a public id from column `index`.
pub(crate) fn public_id(row: &Row<'_>, index: usize) -> rusqlite::Result<PublicId> {
    Ok(PublicId::from_bytes(row.get(index)?))
}

/// Reads a moment from column `index`.
pub(crate) fn timestamp(row: &Row<'_>, index: usize) -> rusqlite::Result<Timestamp> {
    row.get(index).map(Timestamp::from_millis)
}

fn session(row: &Row<'_>) -> rusqlite::Result<StoredSession> {
    Ok(StoredSession {
        key: row.get(0)?,
        person: row.get(1)?,
        session: Session {
            id: public_id(row, 2)?,
            title: row.get(3)?,
            created_at: timestamp(row, 4)?,
            last_active_at: timestamp(row, 5)?,
            pinned: row.get(6)?,
            remembered: row.get(7)?,
            checkpoints: row.get(8)?,
        },
    })
}

fn checkpoint(row: &Row<'_>) -> rusqlite::Result<Checkpoint> {
    let audio: Option<[u8; 16]> = row.get(5)?;
    let memories: Option<Vec<u8>> = row.get(6)?;
    Ok(Checkpoint {
        id: public_id(row, 0)?,
        said: row.get(1)?,
        answered: row.get(2)?,
        said_at: timestamp(row, 3)?,
        answered_at: timestamp(row, 4)?,
        audio: audio.map(PublicId::from_bytes),
        memories: memories
            .iter()
            .flat_map(|ids| ids.as_chunks().0)
            .map(|id| PublicId::from_bytes(*id))
            .collect(),
    })
}

/// Keeps a new session of `person`.
///
/// # Errors
/// What `SQLite` says.
pub fn insert(connection: &Connection, person: i64, session: &Session) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO sessions (public_id, person_id, title, pinned, remembered, created_at, last_active_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?;
    statement.execute(params![
        session.id.as_bytes(),
        person,
        session.title,
        session.pinned,
        session.remembered,
        session.created_at.as_millis(),
        session.last_active_at.as_millis(),
    ])?;
    add_to_totals(connection, 1, 0)
}

/// The session with this id.
///
/// # Errors
/// What `SQLite` says.
pub fn find(connection: &Connection, id: SessionId) -> rusqlite::Result<Option<StoredSession>> {
    let sql = format!("SELECT {SESSION} FROM sessions WHERE public_id = ?1 AND {WITHIN_REACH}");
    connection.prepare_cached(&sql)?.query_row([id.as_bytes()], session).optional()
}

/// Up to `limit` sessions of `person`, the last active first, those after `(last_active_at, id)` in that order.
///
/// # Errors
/// What `SQLite` says.
pub fn list(
    connection: &Connection,
    person: i64,
    after: Option<(Timestamp, SessionId)>,
    limit: usize,
) -> rusqlite::Result<Vec<StoredSession>> {
    let (at, id) = after.map_or((i64::MAX, [0xFF; 16]), |(at, id)| (at.as_millis(), *id.as_bytes()));
    let sql = format!(
        "SELECT {SESSION} FROM sessions WHERE person_id = ?1 AND (last_active_at, public_id) < (?2, ?3)
         AND {WITHIN_REACH} ORDER BY last_active_at DESC, public_id DESC LIMIT ?4"
    );
    connection.prepare_cached(&sql)?.query_map(params![person, at, id, limit], session)?.collect()
}

/// The checkpoints of a session from the `from`-th on, at most `limit`, in order.
///
/// # Errors
/// What `SQLite` says.
pub fn checkpoints(
    connection: &Connection,
    session: i64,
    from: u64,
    limit: u64,
) -> rusqlite::Result<Vec<Checkpoint>> {
    // Those before are stepped over in the index, not read.
    let sql = format!(
        "SELECT {CHECKPOINT} FROM checkpoints c LEFT JOIN audio a ON a.id = c.audio_id
         WHERE c.id IN (SELECT id FROM checkpoints WHERE session_id = ?1 ORDER BY id LIMIT ?2 OFFSET ?3)
         ORDER BY c.id"
    );
    connection.prepare_cached(&sql)?.query_map(params![session, limit, from], checkpoint)?.collect()
}

/// The checkpoints of a session that come after the one in row `after` (0: from the first on), at most `limit`, in order, each with
/// its row: to go through a conversation from its beginning to its end.
///
/// # Errors
/// What `SQLite` says.
pub fn checkpoints_after(
    connection: &Connection,
    session: i64,
    after: i64,
    limit: usize,
) -> rusqlite::Result<Vec<(i64, Checkpoint)>> {
    let sql = format!(
        "SELECT {CHECKPOINT}, c.id FROM checkpoints c LEFT JOIN audio a ON a.id = c.audio_id
         WHERE c.session_id = ?1 AND c.id > ?2 ORDER BY c.id LIMIT ?3"
    );
    let with_row = |row: &Row<'_>| Ok((row.get(7)?, checkpoint(row)?));
    connection.prepare_cached(&sql)?.query_map(params![session, after, limit], with_row)?.collect()
}

/// The ids of all turns of a session that have one.
///
/// # Errors
/// What `SQLite` says.
pub fn turn_ids(connection: &Connection, session: i64) -> rusqlite::Result<HashSet<TurnId>> {
    let sql = "SELECT turn_id FROM checkpoints WHERE session_id = ?1 AND turn_id IS NOT NULL";
    connection.prepare_cached(sql)?.query_map([session], |row| public_id(row, 0))?.collect()
}

/// The checkpoint that was kept for this turn id.
///
/// # Errors
/// What `SQLite` says.
pub fn find_turn(
    connection: &Connection,
    session: i64,
    turn: TurnId,
) -> rusqlite::Result<Option<Checkpoint>> {
    let sql = format!(
        "SELECT {CHECKPOINT} FROM checkpoints c LEFT JOIN audio a ON a.id = c.audio_id
         WHERE c.session_id = ?1 AND c.turn_id = ?2"
    );
    connection.prepare_cached(&sql)?.query_row(params![session, turn.as_bytes()], checkpoint).optional()
}

/// Keeps one turn and marks its session active; the first turn gives an untitled session its title.
///
/// The session is looked up by its public id: the row it had when the turn began may be another session's by now.
///
/// # Errors
/// What `SQLite` says.
pub fn commit_turn(
    connection: &Connection,
    session: SessionId,
    turn: Option<TurnId>,
    checkpoint: &Checkpoint,
    title: &str,
) -> rusqlite::Result<Committed> {
    let Some(StoredSession { key, session, .. }) = find(connection, session)? else {
        return Ok(Committed::SessionGone);
    };
    if let Some(turn) = turn
        && let Some(before) = find_turn(connection, key, turn)?
    {
        return Ok(Committed::Before(before));
    }
    connection
        .prepare_cached(
            "UPDATE sessions SET checkpoints = checkpoints + 1, last_active_at = max(last_active_at, ?2),
             title = coalesce(title, ?3) WHERE id = ?1",
        )?
        .execute(params![key, checkpoint.answered_at.as_millis(), title])?;
    connection
        .prepare_cached(
            "INSERT INTO checkpoints (session_id, public_id, turn_id, said, answered, said_at, answered_at, memories)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, nullif(?8, x''))",
        )?
        .execute(params![
            key,
            checkpoint.id.as_bytes(),
            turn.as_ref().map(PublicId::as_bytes),
            checkpoint.said,
            checkpoint.answered,
            checkpoint.said_at.as_millis(),
            checkpoint.answered_at.as_millis(),
            checkpoint.memories.iter().flat_map(PublicId::as_bytes).copied().collect::<Vec<u8>>(),
        ])?;
    add_to_totals(connection, 0, 1)?;
    Ok(Committed::New(session.checkpoints + 1))
}

/// Marks a session active. False when it is gone.
///
/// # Errors
/// What `SQLite` says.
pub fn touch(connection: &Connection, session: SessionId, at: Timestamp) -> rusqlite::Result<bool> {
    let sql = format!(
        "UPDATE sessions SET last_active_at = max(last_active_at, ?2) WHERE public_id = ?1 AND {WITHIN_REACH}"
    );
    Ok(connection.prepare_cached(&sql)?.execute(params![session.as_bytes(), at.as_millis()])? > 0)
}

/// Changes what a person may change; `None` leaves a thing as it is.
///
/// # Errors
/// What `SQLite` says.
pub fn update(
    connection: &Connection,
    session: i64,
    title: Option<&str>,
    pinned: Option<bool>,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "UPDATE sessions SET title = coalesce(?2, title), pinned = coalesce(?3, pinned) WHERE id = ?1",
        )?
        .execute(params![session, title, pinned])?;
    Ok(())
}

/// Reads an audio reply's id and format from the first two columns.
pub(crate) fn audio_file(row: &Row<'_>) -> rusqlite::Result<(AudioId, AudioFormat)> {
    let format: String = row.get(1)?;
    let known = AudioFormat::from_extension(&format);
    let known = known.ok_or_else(|| rusqlite::Error::InvalidColumnType(1, format, Type::Text))?;
    Ok((public_id(row, 0)?, known))
}

/// The ids of all sessions of a person, the last active first.
///
/// # Errors
/// What `SQLite` says.
pub fn ids_of(connection: &Connection, person: i64) -> rusqlite::Result<Vec<SessionId>> {
    let sql = format!(
        "SELECT public_id FROM sessions WHERE person_id = ?1 AND {WITHIN_REACH}
         ORDER BY last_active_at DESC, public_id DESC"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    statement.query_map([person], |row| public_id(row, 0))?.collect()
}

/// The keys of up to `limit` sessions of a person, also of those whose deletion has begun.
///
/// # Errors
/// What `SQLite` says.
pub fn keys_of(connection: &Connection, person: i64, limit: usize) -> rusqlite::Result<Vec<i64>> {
    let mut statement = connection.prepare_cached("SELECT id FROM sessions WHERE person_id = ?1 LIMIT ?2")?;
    statement.query_map(params![person, limit], |row| row.get(0))?.collect()
}

/// How many sessions and checkpoints there are, without counting them.
///
/// # Errors
/// What `SQLite` says.
pub fn totals(connection: &Connection) -> rusqlite::Result<Totals> {
    let memories = memory_store::total(connection)?;
    connection.query_row("SELECT sessions, checkpoints FROM totals", [], |row| {
        Ok(Totals { sessions: row.get(0)?, checkpoints: row.get(1)?, memories })
    })
}

pub(super) fn add_to_totals(
    connection: &Connection,
    sessions: i64,
    checkpoints: i64,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached("UPDATE totals SET sessions = sessions + ?1, checkpoints = checkpoints + ?2")?
        .execute([sessions, checkpoints])?;
    Ok(())
}
