//! SQL for the summaries of sessions, and for the turns that no summary holds yet.

use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::domain::chat::Exchange;
use crate::domain::session::SessionId;

/// A summary and how far it goes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// The text; `None` when nothing was summed up yet.
    pub text: Option<String>,
    /// The row of the last checkpoint that it holds.
    pub until: i64,
}

/// The summary of a session.
///
/// # Errors
/// What `SQLite` says.
pub fn find(connection: &Connection, session: i64) -> rusqlite::Result<Summary> {
    let sql = "SELECT summary, summary_until FROM sessions WHERE id = ?1";
    let summary = |row: &Row<'_>| Ok(Summary { text: row.get(0)?, until: row.get(1)? });
    Ok(connection.prepare_cached(sql)?.query_row([session], summary).optional()?.unwrap_or_default())
}

/// How many turns of a session no summary holds, and the last `limit` of them, oldest first. An answer is empty where nothing
/// of it was heard; turns in which nothing was said, as imports have them, are left out.
///
/// # Errors
/// What `SQLite` says.
pub fn recent_exchanges(
    connection: &Connection,
    session: i64,
    summary: &Summary,
    limit: usize,
) -> rusqlite::Result<(usize, Vec<Exchange>)> {
    let those = "session_id = ?1 AND id > ?2 AND said <> ''";
    let count = format!("SELECT count(*) FROM checkpoints WHERE {those}");
    let count = connection.prepare_cached(&count)?.query_row([session, summary.until], |row| row.get(0))?;
    let sql = format!("SELECT said, answered FROM checkpoints WHERE {those} ORDER BY id DESC LIMIT ?3");
    let exchange = |row: &Row<'_>| Ok(Exchange { said: row.get(0)?, answered: row.get(1)? });
    let mut statement = connection.prepare_cached(&sql)?;
    let rows = statement.query_map(params![session, summary.until, limit], exchange)?;
    let mut exchanges: Vec<_> = rows.collect::<rusqlite::Result<_>>()?;
    exchanges.reverse();
    Ok((count, exchanges))
}

/// The first `limit` turns of a session that no summary holds, oldest first, each with its row.
///
/// # Errors
/// What `SQLite` says.
pub fn oldest_exchanges(
    connection: &Connection,
    session: i64,
    summary: &Summary,
    limit: usize,
) -> rusqlite::Result<Vec<(i64, Exchange)>> {
    let sql =
        "SELECT id, said, answered FROM checkpoints WHERE session_id = ?1 AND id > ?2 ORDER BY id LIMIT ?3";
    let exchange = |row: &Row<'_>| Ok((row.get(0)?, Exchange { said: row.get(1)?, answered: row.get(2)? }));
    let mut statement = connection.prepare_cached(sql)?;
    statement.query_map(params![session, summary.until, limit], exchange)?.collect()
}

/// Puts a summary in the place of the one that went until `before`. False when there is another by now, or no session.
///
/// # Errors
/// What `SQLite` says.
pub fn replace(
    connection: &Connection,
    session: SessionId,
    before: i64,
    summary: &Summary,
) -> rusqlite::Result<bool> {
    let sql =
        "UPDATE sessions SET summary = ?3, summary_until = ?4 WHERE public_id = ?1 AND summary_until = ?2";
    let mut statement = connection.prepare_cached(sql)?;
    Ok(statement.execute(params![session.as_bytes(), before, summary.text, summary.until])? == 1)
}
