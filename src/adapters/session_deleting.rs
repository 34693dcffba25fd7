//! SQL for sessions that go: whole, or a long one in portions, the oldest turns first.

use rusqlite::{Connection, params};

use crate::adapters::{memory_forgetting, session_store};
use crate::domain::audio::{AudioFormat, AudioId};

/// What a deletion took with it.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Deleted {
    /// Sessions.
    pub sessions: u64,
    /// Their checkpoints.
    pub checkpoints: u64,
    /// Memories.
    pub memories: u64,
    /// Audio replies whose files are now to be removed.
    pub audio: Vec<(AudioId, AudioFormat)>,
}

impl Deleted {
    /// Nothing went.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }

    /// Takes up what another transaction deleted.
    pub fn add(&mut self, other: Self) {
        self.sessions += other.sessions;
        self.checkpoints += other.checkpoints;
        self.memories += other.memories;
        self.audio.extend(other.audio);
    }
}

/// Deletes one session with all that hangs on it and adds what went to `deleted`. Of a long one it takes as long as it is: see [`delete_some`].
///
/// # Errors
/// What `SQLite` says.
pub fn delete(connection: &Connection, session: i64, deleted: &mut Deleted) -> rusqlite::Result<()> {
    let checkpoints =
        connection.prepare_cached("DELETE FROM checkpoints WHERE session_id = ?1")?.execute([session])?;
    let mut audio =
        connection.prepare_cached("DELETE FROM audio WHERE session_id = ?1 RETURNING public_id, format")?;
    for file in audio.query_map([session], session_store::audio_file)? {
        deleted.audio.push(file?);
    }
    memory_forgetting::outlive_session(connection, session)?;
    let sessions = connection.prepare_cached("DELETE FROM sessions WHERE id = ?1")?.execute([session])?;
    deleted.sessions += sessions as u64;
    deleted.checkpoints += checkpoints as u64;
    Ok(())
}

/// Deletes a session of up to `limit` turns whole, or the `limit` oldest turns of a longer one, and adds what went to `deleted`. True when
/// the session is gone.
///
/// # Errors
/// What `SQLite` says.
pub fn delete_some(
    connection: &Connection,
    session: i64,
    limit: usize,
    deleted: &mut Deleted,
) -> rusqlite::Result<bool> {
    let turns: usize = connection
        .prepare_cached("SELECT coalesce(max(checkpoints), 0) FROM sessions WHERE id = ?1")?
        .query_row([session], |row| row.get(0))?;
    if turns > limit {
        let sql = "DELETE FROM checkpoints WHERE id IN
            (SELECT id FROM checkpoints WHERE session_id = ?1 ORDER BY id LIMIT ?2)";
        let went = connection.prepare_cached(sql)?.execute(params![session, limit])?;
        let sql = "UPDATE sessions SET checkpoints = checkpoints - ?2 WHERE id = ?1";
        connection.prepare_cached(sql)?.execute(params![session, went])?;
        deleted.checkpoints += went as u64;
        if went == limit {
            return Ok(false);
        }
    }
    delete(connection, session, deleted)?;
    Ok(true)
}

/// Takes what a transaction deleted off the totals; the same transaction must do so.
///
/// # Errors
/// What `SQLite` says.
pub fn subtract_from_totals(connection: &Connection, deleted: &Deleted) -> rusqlite::Result<()> {
    let negative = |count: u64| i64::try_from(count).map_or(i64::MIN, |count| -count);
    session_store::add_to_totals(connection, negative(deleted.sessions), negative(deleted.checkpoints))
}
