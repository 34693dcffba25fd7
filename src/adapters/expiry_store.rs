//! SQL that tells which sessions have expired, and when anyone was last active.

use rusqlite::{Connection, named_params, params};

use crate::adapters::session_store::Totals;
use crate::domain::clock::Timestamp;
use crate::domain::retention::ClockWitness;

/// Which sessions have outlived their retention.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cutoffs {
    /// Sessions idle since before this go; `None` keeps them.
    pub idle_since: Option<Timestamp>,
    /// Unremembered sessions idle since before this go.
    pub unremembered_since: Timestamp,
}

/// The keys of up to `limit` expired sessions, the longest idle first.
///
/// # Errors
/// What `SQLite` says.
pub fn expired(connection: &Connection, cutoffs: Cutoffs, limit: usize) -> rusqlite::Result<Vec<i64>> {
    let mut by_age = connection.prepare_cached(
        "SELECT id FROM sessions WHERE pinned = 0 AND last_active_at < ?1 ORDER BY last_active_at LIMIT ?2",
    )?;
    let idle_since = cutoffs.idle_since.map_or(i64::MIN, Timestamp::as_millis);
    let keys: Vec<i64> =
        by_age.query_map(params![idle_since, limit], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    if !keys.is_empty() {
        return Ok(keys);
    }
    let mut unremembered = connection.prepare_cached(
        "SELECT id FROM sessions WHERE pinned = 0 AND remembered = 0 AND last_active_at < ?1
         ORDER BY last_active_at LIMIT ?2",
    )?;
    let since = cutoffs.unremembered_since.as_millis();
    unremembered.query_map(params![since, limit], |row| row.get(0))?.collect()
}

/// How many sessions and checkpoints [`expired`] would yield in all.
///
/// # Errors
/// What `SQLite` says.
pub fn count_expired(connection: &Connection, cutoffs: Cutoffs) -> rusqlite::Result<Totals> {
    let idle_since = cutoffs.idle_since.map_or(i64::MIN, Timestamp::as_millis);
    connection.query_row(
        COUNT_EXPIRED,
        named_params! {":idle": idle_since, ":unremembered": cutoffs.unremembered_since.as_millis()},
        |row| Ok(Totals { sessions: row.get(0)?, checkpoints: row.get(1)? }),
    )
}

const COUNT_EXPIRED: &str = "SELECT count(*), coalesce(sum(checkpoints), 0) FROM (
    SELECT checkpoints FROM sessions WHERE pinned = 0 AND last_active_at < :idle
    UNION ALL
    SELECT checkpoints FROM sessions WHERE pinned = 0 AND remembered = 0
        AND last_active_at < :unremembered AND last_active_at >= :idle)";

/// How many audio replies hang on what [`expired`] would yield in all.
///
/// # Errors
/// What `SQLite` says.
pub fn count_expired_audio(connection: &Connection, cutoffs: Cutoffs) -> rusqlite::Result<u64> {
    let idle_since = cutoffs.idle_since.map_or(i64::MIN, Timestamp::as_millis);
    connection.query_row(
        COUNT_EXPIRED_AUDIO,
        named_params! {":idle": idle_since, ":unremembered": cutoffs.unremembered_since.as_millis()},
        |row| row.get(0),
    )
}

/// Two ranges of two indexes: one condition with OR would read through every session there is. A cross join keeps
/// `SQLite` from beginning with the audio.
const COUNT_EXPIRED_AUDIO: &str = "SELECT count(*) FROM (
    SELECT id FROM sessions WHERE pinned = 0 AND last_active_at < :idle
    UNION ALL
    SELECT id FROM sessions WHERE pinned = 0 AND remembered = 0
        AND last_active_at < :unremembered AND last_active_at >= :idle) AS expired
    CROSS JOIN audio ON audio.session_id = expired.id";

/// When any session was last active.
///
/// # Errors
/// What `SQLite` says.
pub fn newest_activity(connection: &Connection) -> rusqlite::Result<Option<Timestamp>> {
    let newest: Option<i64> = connection.query_row(
        "SELECT max(at) FROM (SELECT max(last_active_at) AS at FROM sessions WHERE pinned = 0
         UNION ALL SELECT max(last_active_at) FROM sessions WHERE pinned = 1)",
        [],
        |row| row.get(0),
    )?;
    Ok(newest.map(Timestamp::from_millis))
}

/// When anybody last said something: the last activity of a session that holds a turn.
///
/// # Errors
/// What `SQLite` says.
pub fn newest_turn(connection: &Connection) -> rusqlite::Result<Option<Timestamp>> {
    let newest: Option<i64> = connection.query_row(NEWEST_TURN, [], |row| row.get(0))?;
    Ok(newest.map(Timestamp::from_millis))
}

/// Each half goes down its index and stops at the first session with a turn.
const NEWEST_TURN: &str = "SELECT max(at) FROM (
    SELECT * FROM (SELECT last_active_at AS at FROM sessions WHERE pinned = 0 AND checkpoints > 0
        ORDER BY last_active_at DESC LIMIT 1)
    UNION ALL
    SELECT * FROM (SELECT last_active_at FROM sessions WHERE pinned = 1 AND checkpoints > 0
        ORDER BY last_active_at DESC LIMIT 1))";

/// What the clock is held against before a job whose last success is given deletes anything by age.
///
/// # Errors
/// What `SQLite` says.
pub fn clock_witness(
    connection: &Connection,
    last_success: Option<Timestamp>,
) -> rusqlite::Result<ClockWitness> {
    let (newest_row, newest_turn) = (newest_activity(connection)?, newest_turn(connection)?);
    Ok(ClockWitness { newest_row, newest_turn, last_success })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::data_dir::DataDir;
    use crate::adapters::sqlite::{self, Access};
    use crate::config::ServerConfig;

    fn empty() -> (tempfile::TempDir, Connection) {
        let root = tempfile::tempdir().unwrap();
        let config = ServerConfig::for_testing(root.path()).unwrap();
        let dir = DataDir::create_or_open(&config.storage).unwrap();
        sqlite::create(&dir).unwrap();
        let db = sqlite::open_current(dir.database(), Access::ReadWrite).unwrap();
        (root, db)
    }

    #[test]
    fn counting_what_has_expired_reads_nothing_else() {
        let (_root, db) = empty();
        for sql in [COUNT_EXPIRED, COUNT_EXPIRED_AUDIO] {
            let mut plan = db.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
            let bounds = named_params! {":idle": 0, ":unremembered": 0};
            let steps = plan.query_map(bounds, |row| row.get::<_, String>(3)).unwrap();
            let steps: Vec<_> = steps.map(Result::unwrap).collect();
            let whole = |step: &&String| step.starts_with("SCAN sessions") || step.starts_with("SCAN audio");
            assert_eq!(steps.iter().find(whole), None, "{steps:?}");
        }
    }
    #[test]
    fn the_newest_turn_is_found_without_sorting() {
        let (_root, db) = empty();
        let mut plan = db.prepare(&format!("EXPLAIN QUERY PLAN {NEWEST_TURN}")).unwrap();
        let steps: Vec<_> =
            plan.query_map([], |row| row.get::<_, String>(3)).unwrap().map(Result::unwrap).collect();
        for index in ["sessions_by_activity", "sessions_pinned"] {
            assert!(
                steps.iter().any(|step| step == &format!("SCAN sessions USING INDEX {index}")),
                "{steps:?}"
            );
        }
        assert!(!steps.iter().any(|step| step.contains("TEMP B-TREE")), "{steps:?}");
    }
}
