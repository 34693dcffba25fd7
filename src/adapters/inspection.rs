//! SQL that looks for what is wrong in a database, and mends single rows.

use rusqlite::{Connection, OptionalExtension, Row, Transaction, TransactionBehavior, params};

use crate::adapters::session_store::{Totals, public_id, timestamp};
use crate::domain::audio::AudioId;
use crate::domain::clock::Timestamp;
use crate::domain::session::SessionId;

/// `SQLite` looks for no more damage than this: one is enough to restore a backup.
const MOST_DAMAGE: u32 = 20;

/// What is damaged in the file, in `SQLite`'s words; empty when it is whole. Reads all of it.
///
/// # Errors
/// What `SQLite` says; for some damage that is an error.
pub fn damage(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut statement = connection.prepare(&format!("PRAGMA integrity_check({MOST_DAMAGE})"))?;
    let rows: Vec<String> = statement.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    // One row may hold many lines below a heading.
    let lines = rows.iter().flat_map(|row| row.lines());
    let told = lines.filter(|line| *line != "ok" && !line.starts_with("*** in database "));
    Ok(told.take(MOST_DAMAGE as usize).map(str::to_owned).collect())
}

/// The tables with rows that refer to what is not there, and how many.
///
/// # Errors
/// What `SQLite` says.
pub fn dangling(connection: &Connection) -> rusqlite::Result<Vec<(String, u64)>> {
    let sql = "SELECT \"table\", count(*) FROM pragma_foreign_key_check GROUP BY 1";
    connection.prepare(sql)?.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}

/// The kept totals, if there are any, and what counting says, of one moment.
///
/// # Errors
/// What `SQLite` says.
pub fn count_all(connection: &Connection) -> rusqlite::Result<(Option<Totals>, Totals)> {
    let read = Transaction::new_unchecked(connection, TransactionBehavior::Deferred)?;
    let totals =
        |row: &Row<'_>| Ok(Totals { sessions: row.get(0)?, checkpoints: row.get(1)?, memories: row.get(2)? });
    let kept = read.query_row("SELECT sessions, checkpoints, memories FROM totals", [], totals);
    // A negative total is as wrong as none.
    let kept = match kept {
        Err(rusqlite::Error::IntegralValueOutOfRange(..)) => None,
        other => other.optional()?,
    };
    let counted = read.query_row(
        "SELECT (SELECT count(*) FROM sessions), (SELECT count(*) FROM checkpoints), (SELECT count(*) FROM memories)",
        [],
        totals,
    )?;
    Ok((kept, counted))
}

/// Corrects the totals. The difference is put right, not the number: others go on counting meanwhile, and need not wait
/// until all is counted. With no usable totals it is counted again while they wait.
///
/// # Errors
/// What `SQLite` says.
pub fn correct_totals(
    connection: &Connection,
    kept: Option<Totals>,
    counted: Totals,
) -> rusqlite::Result<()> {
    let Some(kept) = kept else {
        connection.execute(
            "INSERT OR REPLACE INTO totals (id, sessions, checkpoints, memories) SELECT 1,
             (SELECT count(*) FROM sessions), (SELECT count(*) FROM checkpoints), (SELECT count(*) FROM memories)",
            [],
        )?;
        return Ok(());
    };
    let difference =
        |counted: u64, kept: u64| i64::try_from(i128::from(counted) - i128::from(kept)).unwrap_or_default();
    connection.execute(
        "UPDATE totals SET sessions = sessions + ?1, checkpoints = checkpoints + ?2, memories = memories + ?3",
        params![
            difference(counted.sessions, kept.sessions),
            difference(counted.checkpoints, kept.checkpoints),
            difference(counted.memories, kept.memories)
        ],
    )?;
    Ok(())
}

/// A session whose count of checkpoints is wrong.
#[derive(Debug, Clone, Copy)]
pub struct Miscounted {
    /// Its row.
    pub key: i64,
    /// Its id.
    pub id: SessionId,
    /// What it says.
    pub kept: i64,
    /// What there is.
    pub counted: u64,
}

/// Of the `limit` sessions after the row `after`, those that count wrong, and the last row that was looked at; `None`
/// when there are no more.
///
/// # Errors
/// What `SQLite` says.
pub fn miscounted(
    connection: &Connection,
    after: i64,
    limit: u32,
) -> rusqlite::Result<(Vec<Miscounted>, Option<i64>)> {
    let mut statement = connection.prepare_cached(
        "SELECT id, public_id, checkpoints,
             (SELECT count(*) FROM checkpoints WHERE session_id = sessions.id)
         FROM sessions WHERE id > ?1 ORDER BY id LIMIT ?2",
    )?;
    let mut last = None;
    let mut found = Vec::new();
    let mut rows = statement.query(params![after, limit])?;
    while let Some(row) = rows.next()? {
        let session =
            Miscounted { key: row.get(0)?, id: public_id(row, 1)?, kept: row.get(2)?, counted: row.get(3)? };
        last = Some(session.key);
        if u64::try_from(session.kept) != Ok(session.counted) {
            found.push(session);
        }
    }
    Ok((found, last))
}

/// Counts the checkpoints of these sessions again, in one transaction.
///
/// # Errors
/// What `SQLite` says.
pub fn recount(connection: &Connection, sessions: &[Miscounted]) -> rusqlite::Result<()> {
    let transaction = Transaction::new_unchecked(connection, TransactionBehavior::Immediate)?;
    for session in sessions {
        transaction
            .prepare_cached(
                "UPDATE sessions SET checkpoints =
                     (SELECT count(*) FROM checkpoints WHERE session_id = ?1) WHERE id = ?1",
            )?
            .execute([session.key])?;
    }
    transaction.commit()
}

/// What is noted of an audio reply.
#[derive(Debug, Clone)]
pub struct AudioRow {
    /// Its row.
    pub key: i64,
    /// Its id.
    pub id: AudioId,
    /// Its format as it is written.
    pub format: String,
    /// When it was spoken.
    pub created_at: Timestamp,
}

/// Up to `limit` audio rows after the row `after`.
///
/// # Errors
/// What `SQLite` says.
pub fn audio_rows(connection: &Connection, after: i64, limit: u32) -> rusqlite::Result<Vec<AudioRow>> {
    let audio_row = |row: &Row<'_>| {
        let (id, created_at) = (public_id(row, 1)?, timestamp(row, 3)?);
        Ok(AudioRow { key: row.get(0)?, id, format: row.get(2)?, created_at })
    };
    connection
        .prepare_cached(
            "SELECT id, public_id, format, created_at FROM audio WHERE id > ?1 ORDER BY id LIMIT ?2",
        )?
        .query_map(params![after, limit], audio_row)?
        .collect()
}

/// A run that is recorded as running.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Running {
    /// Its row.
    pub key: i64,
    /// Its job.
    pub job: String,
    /// When it began.
    pub started_at: Timestamp,
}

/// The runs recorded as running, but for the one with the row `own`.
///
/// # Errors
/// What `SQLite` says.
pub fn running(connection: &Connection, own: Option<i64>) -> rusqlite::Result<Vec<Running>> {
    connection
        .prepare_cached(
            "SELECT id, job, started_at FROM maintenance_runs
             WHERE outcome = 'running' AND id IS NOT ?1 ORDER BY id",
        )?
        .query_map([own], |row| {
            Ok(Running { key: row.get(0)?, job: row.get(1)?, started_at: timestamp(row, 2)? })
        })?
        .collect()
}

/// Records that a run was killed, if it is still recorded as running.
///
/// # Errors
/// What `SQLite` says.
pub fn mark_killed(connection: &Connection, run: i64) -> rusqlite::Result<()> {
    connection.execute(
        "UPDATE maintenance_runs SET outcome = 'killed' WHERE id = ?1 AND outcome = 'running'",
        [run],
    )?;
    Ok(())
}

/// Records every run that is recorded as running as killed. The caller holds every lock.
///
/// # Errors
/// What `SQLite` says.
pub fn mark_all_killed(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute("UPDATE maintenance_runs SET outcome = 'killed' WHERE outcome = 'running'", [])?;
    Ok(())
}
