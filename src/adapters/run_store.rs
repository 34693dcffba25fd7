//! SQL for the record of maintenance runs. Of each job the last 1000 are kept.

use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::adapters::person_store;
use crate::adapters::session_store::timestamp;
use crate::domain::clock::Timestamp;
use crate::domain::maintenance::{BACKUP_DB, RESTORE_DB};

const KEPT_RUNS: u32 = 1000;

/// One recorded run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// The job's name: `cleanup-sessions`.
    pub job: String,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended; `None` while it runs, or when it was killed.
    pub ended_at: Option<Timestamp>,
    /// `running`, `succeeded`, `partial`, `failed` or `refused`.
    pub outcome: String,
    /// Bytes it gave back to the file system, by its report.
    pub bytes_reclaimed: Option<u64>,
}

/// Records that a run has begun; returns its key. The caller holds the job's lock: whatever else is recorded as running
/// was killed, or found no room to tell its end.
///
/// # Errors
/// What `SQLite` says.
pub fn begin(connection: &Connection, job: &str, at: Timestamp) -> rusqlite::Result<i64> {
    connection.execute(
        "UPDATE maintenance_runs SET outcome = 'killed' WHERE job = ?1 AND outcome = 'running'",
        [job],
    )?;
    connection.execute(
        "INSERT INTO maintenance_runs (job, started_at, outcome) VALUES (?1, ?2, 'running')",
        params![job, at.as_millis()],
    )?;
    Ok(connection.last_insert_rowid())
}

/// Records how a run ended, with its report as JSON, and forgets the runs of the job that were recorded first.
///
/// # Errors
/// What `SQLite` says.
pub fn finish(
    connection: &Connection,
    run: i64,
    at: Timestamp,
    outcome: &str,
    report: &str,
) -> rusqlite::Result<()> {
    connection.execute(
        "UPDATE maintenance_runs SET ended_at = ?2, outcome = ?3, report = ?4 WHERE id = ?1",
        params![run, at.as_millis(), outcome, report],
    )?;
    connection.execute(
        "DELETE FROM maintenance_runs WHERE id IN (
             SELECT id FROM maintenance_runs
             WHERE job = (SELECT job FROM maintenance_runs WHERE id = ?1)
             ORDER BY id DESC LIMIT -1 OFFSET ?2)",
        params![run, KEPT_RUNS],
    )?;
    Ok(())
}

/// Records as done, at the moment it began, the run of a job that a copy of the database was made by: the copy was taken
/// while that run was under way. What the run reported is not known.
///
/// # Errors
/// What `SQLite` says.
pub fn tell_maker(copy: &Connection, job: &str, began: Timestamp) -> rusqlite::Result<()> {
    copy.execute(
        "UPDATE maintenance_runs SET outcome = 'succeeded', ended_at = started_at
         WHERE job = ?1 AND outcome = 'running' AND started_at = ?2",
        params![job, began.as_millis()],
    )?;
    Ok(())
}

/// When the job last succeeded. Runs that were refused or only looked do not count. The last is the one that was recorded
/// last, not the one with the latest time: a clock that was ahead is forgotten with the next success.
///
/// # Errors
/// What `SQLite` says.
pub fn last_success(connection: &Connection, job: &str) -> rusqlite::Result<Option<Timestamp>> {
    last_with(connection, job, "outcome = 'succeeded'")
}

/// When the job last did its work, at least in part: then its clock was believed. What one file keeps from succeeding night
/// after night knows what time it is all the same.
///
/// # Errors
/// What `SQLite` says.
pub fn last_work(connection: &Connection, job: &str) -> rusqlite::Result<Option<Timestamp>> {
    last_with(connection, job, "outcome IN ('succeeded', 'partial')")
}

/// When `backup-db` last succeeded with a backup that stays here. One that went into a pipe was made by any clock.
///
/// # Errors
/// What `SQLite` says.
pub fn last_backup_on_disk(connection: &Connection) -> rusqlite::Result<Option<Timestamp>> {
    let stays = "(json_valid(report) AND report ->> '$.path' = '-') IS NOT TRUE";
    last_with(connection, BACKUP_DB, &format!("outcome = 'succeeded' AND {stays}"))
}

fn last_with(connection: &Connection, job: &str, which: &str) -> rusqlite::Result<Option<Timestamp>> {
    connection.query_row(&start_of_last(which), [job], |row| timestamp(row, 0)).optional()
}

/// The index of jobs knows their ids, in no order: it is asked for the last one, and no report is read on the way.
fn start_of_last(which: &str) -> String {
    format!(
        "SELECT started_at FROM maintenance_runs
         WHERE id = (SELECT max(id) FROM maintenance_runs WHERE job = ?1 AND {which})"
    )
}

/// Since when the house is to be kept in order: since the first person came, or since a backup was restored, whose record
/// of runs is as old as it is.
///
/// # Errors
/// What `SQLite` says.
pub fn in_use_since(connection: &Connection) -> rusqlite::Result<Option<Timestamp>> {
    let Some(began) = person_store::first_came(connection)? else { return Ok(None) };
    Ok(Some(last_success(connection, RESTORE_DB)?.map_or(began, |restored| restored.max(began))))
}

/// The reports, as JSON, of the runs of a job recorded last that did their work, at least in part; the last first.
///
/// # Errors
/// What `SQLite` says.
pub fn reports(connection: &Connection, job: &str, most: u32) -> rusqlite::Result<Vec<String>> {
    let mut statement = connection.prepare_cached(
        "SELECT report FROM maintenance_runs WHERE id IN (
             SELECT id FROM maintenance_runs
             WHERE job = ?1 AND outcome IN ('succeeded', 'partial') AND report IS NOT NULL
             ORDER BY id DESC LIMIT ?2)
         ORDER BY id DESC",
    )?;
    statement.query_map(params![job, most], |row| row.get(0))?.collect()
}

/// The run of a job that was recorded last, whatever became of it.
///
/// # Errors
/// What `SQLite` says.
pub fn last_run(connection: &Connection, job: &str) -> rusqlite::Result<Option<Run>> {
    let run = |row: &Row<'_>| {
        let ended: Option<i64> = row.get(2)?;
        let report: Option<String> = row.get(4)?;
        Ok(Run {
            job: row.get(0)?,
            started_at: timestamp(row, 1)?,
            ended_at: ended.map(Timestamp::from_millis),
            outcome: row.get(3)?,
            bytes_reclaimed: report.as_deref().and_then(bytes_reclaimed),
        })
    };
    connection.query_row(LAST_RUN, [job], run).optional()
}

const LAST_RUN: &str = "SELECT job, started_at, ended_at, outcome, report FROM maintenance_runs
    WHERE id = (SELECT max(id) FROM maintenance_runs WHERE job = ?1)";

fn bytes_reclaimed(report: &str) -> Option<u64> {
    let report: serde_json::Value = serde_json::from_str(report).ok()?;
    report.get("bytes_reclaimed")?.as_u64()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::sqlite::empty_for_testing as empty;

    #[test]
    fn of_each_job_the_last_thousand_runs_are_known() {
        let (_root, db) = empty();
        let at = Timestamp::from_millis;
        db.execute_batch("BEGIN").unwrap();
        let run = |job: &str, millis| {
            let key = begin(&db, job, at(millis)).unwrap();
            finish(&db, key, at(millis), "succeeded", "{}").unwrap();
        };
        run("backup-db", 1);
        (0..1003).for_each(|millis| run("cleanup-audio", millis));
        let known = "SELECT count(*), min(started_at) FROM maintenance_runs WHERE job = ?1";
        let known = |job: &str| {
            db.query_row(known, [job], |row| Ok((row.get::<_, u32>(0)?, row.get::<_, i64>(1)?))).unwrap()
        };
        assert_eq!((known("cleanup-audio"), known("backup-db")), ((1000, 3), (1, 1)));
    }

    #[test]
    fn the_last_run_is_found_without_sorting_reports() {
        let (_root, db) = empty();
        for sql in [LAST_RUN.to_owned(), start_of_last("outcome = 'succeeded'")] {
            let mut plan = db.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
            let steps = plan.query_map(["backup-db"], |row| row.get::<_, String>(3)).unwrap();
            let steps: Vec<_> = steps.map(Result::unwrap).collect();
            assert!(steps.iter().any(|step| step.contains("INTEGER PRIMARY KEY (rowid=?)")), "{steps:?}");
            assert!(!steps.iter().any(|step| step.contains("TEMP B-TREE")), "{steps:?}");
        }
    }

    #[test]
    fn runs_of_a_clock_that_was_ahead_are_behind_the_next_one() {
        let (_root, db) = empty();
        let at = Timestamp::from_millis;
        db.execute_batch("BEGIN").unwrap();
        let run = |millis, outcome, report| {
            let key = begin(&db, "cleanup-audio", at(millis)).unwrap();
            finish(&db, key, at(millis), outcome, report).unwrap();
        };
        (0..1000).for_each(|_| run(5000, "refused", "{}"));
        run(6000, "partial", "{\"of\":\"then\"}");
        run(10, "succeeded", "{\"of\":\"now\"}");
        let last = last_run(&db, "cleanup-audio").unwrap().unwrap();
        assert_eq!((last.started_at, last.outcome.as_str()), (at(10), "succeeded"));
        assert_eq!(last_success(&db, "cleanup-audio").unwrap(), Some(at(10)));
        assert_eq!(last_work(&db, "cleanup-audio").unwrap(), Some(at(10)));
        assert_eq!(reports(&db, "cleanup-audio", 1).unwrap(), ["{\"of\":\"now\"}"]);
    }
}
