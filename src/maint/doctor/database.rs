//! What is wrong with the database, and with the record of runs in it.

use std::path::Path;

use rusqlite::{Connection, ErrorCode};

use crate::adapters::inspection::{self, Miscounted};
use crate::adapters::session_store::Totals;
use crate::adapters::sqlite::{self, Access, DbError, During};
use crate::adapters::{disk, run_store, write_ahead_log};
use crate::domain::maintenance::{DAILY, DOCTOR, is_overdue};
use crate::maint::compact::{self, GAP};
use crate::maint::doctor::Visit;
use crate::maint::{MaintError, Schema, item, open_database};

/// A write-ahead log beyond this does not get smaller by itself: somebody has been reading for very long.
const LARGE_LOG: u64 = 64 * 1024 * 1024;
/// Sessions looked at in one read, and the most put right in one transaction.
const PAGE: u32 = 500;
const AT_ONCE: usize = 50;
/// SQLite's instructions between two looks at whether to stop; looking through the pages, it counts each as one.
const INSTRUCTIONS: i32 = 5_000;

const RESTORE: &str =
    "it is not touched: stop the server and run companion-maint restore-db latest, which sets it aside";

/// Checks the whole file without writing to it, and opens it for the other checks if it is whole.
pub fn open_if_whole(visit: &mut Visit<'_>) -> Result<Option<Connection>, MaintError> {
    visit.check = "integrity";
    let whole = check_whole(visit);
    visit.run.check_stop()?;
    if !whole? {
        visit.left.end_check("integrity");
        return Ok(None);
    }
    match open_database(&visit.dir, Schema::Current) {
        Ok(db) => {
            hear_stop(visit, &db)?;
            Ok(Some(db))
        }
        Err(error) => could_not_open(visit, error),
    }
}

/// False when it is damaged or cannot be opened; the visit knows why.
fn check_whole(visit: &mut Visit<'_>) -> Result<bool, MaintError> {
    let path = visit.dir.database().to_owned();
    let db = match sqlite::open_current(&path, Access::ReadOnly) {
        Ok(db) => db,
        Err(error) => return could_not_open(visit, error).map(|_| false),
    };
    hear_stop(visit, &db)?;
    let told = match inspection::damage(&db) {
        Err(error) if is_damage(&error) => vec![error.to_string()],
        other => other.during("check the database's integrity")?,
    };
    for found in &told {
        visit.finding("database", found.clone(), RESTORE);
    }
    if !told.is_empty() {
        return Ok(false);
    }
    let dangling = inspection::dangling(&db).during("check the database's references")?;
    for (table, rows) in &dangling {
        let found = format!("{rows} rows refer to what is not there");
        visit.finding(&format!("table {table}"), found, RESTORE);
    }
    Ok(dangling.is_empty())
}

/// What damage and a full disk keep from being opened leaves the other checks to be made; the rest ends the run.
fn could_not_open(visit: &mut Visit<'_>, error: DbError) -> Result<Option<Connection>, MaintError> {
    if let DbError::NotOurs { why, .. } = &error {
        let repair = "set DATA_DIR or SHORT_TERM_MEMORY_DB_PATH to where the database is; if this is it, restore: \
                      companion-maint restore-db latest";
        visit.finding("database", why.clone(), repair);
        return Ok(None);
    }
    if let DbError::Sqlite { source, .. } = &error
        && is_damage(source)
    {
        visit.finding("database", source.to_string(), RESTORE);
        return Ok(None);
    }
    if matches!(error, DbError::Missing(_) | DbError::Newer { .. } | DbError::Older { .. }) {
        return Err(error.into());
    }
    // Without a byte free SQLite cannot even make its shared memory, and calls that an I/O error.
    let error = if visit.dir.has_no_room() { DbError::Full("the database cannot be opened") } else { error };
    visit.errors.push(item("database".to_owned(), &error));
    Ok(None)
}

fn is_damage(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
}

fn hear_stop(visit: &Visit<'_>, db: &Connection) -> Result<(), MaintError> {
    let stop = visit.run.stop.clone();
    let heard = db.progress_handler(INSTRUCTIONS, Some(move || stop.reason().is_some()));
    heard.during("listen for the wish to stop").map_err(Into::into)
}

/// How the run ended is written down even when it was told to stop.
pub fn hear_nothing(db: &Connection) {
    // It fails only on connections that are not ours.
    drop(db.progress_handler(0, None::<fn() -> bool>));
}

pub fn totals(visit: &mut Visit<'_>, db: &Connection) -> Result<(), MaintError> {
    let (kept, counted) = inspection::count_all(db).during("count everything")?;
    if kept == Some(counted) {
        return Ok(());
    }
    let says = kept.map_or_else(|| "nothing usable".to_owned(), told);
    let found = format!("they say {says}, there are {}", told(counted));
    visit.mendable("totals".to_owned(), found, "correct the totals", |_| {
        inspection::correct_totals(db, kept, counted).during("correct the totals").map_err(Into::into)
    });
    Ok(())
}

fn told(totals: Totals) -> String {
    let Totals { sessions, checkpoints, memories } = totals;
    format!("{sessions} sessions, {checkpoints} checkpoints and {memories} memories")
}

pub fn session_counts(visit: &mut Visit<'_>, db: &Connection) -> Result<(), MaintError> {
    let mut last = Some(0);
    while let Some(after) = last {
        visit.run.check_stop()?;
        let (wrong, next) = inspection::miscounted(db, after, PAGE).during("count the checkpoints")?;
        for some in wrong.chunks(AT_ONCE) {
            one_batch(visit, db, some)?;
        }
        last = next;
    }
    Ok(())
}

fn one_batch(visit: &mut Visit<'_>, db: &Connection, wrong: &[Miscounted]) -> Result<(), MaintError> {
    if visit.mending {
        inspection::recount(db, wrong).during("correct a session's count of checkpoints")?;
        compact::pause(GAP);
    }
    for session in wrong {
        let found = format!("says {} checkpoints, has {}", session.kept, session.counted);
        let name = format!("session {}…", session.id.short());
        visit.mendable(name, found, "correct the count", |_| Ok(()));
    }
    Ok(())
}

pub fn killed_runs(visit: &mut Visit<'_>, db: &Connection) -> Result<(), MaintError> {
    for run in inspection::running(db, visit.record).during("read the record of runs")? {
        // The lock of this job is held by this run.
        let jobs = [run.job.as_str()];
        let jobs: &[&str] = if run.job == DOCTOR { &[] } else { &jobs };
        // A job whose name is no file name was not recorded by us and has no lock.
        if run.job.contains('/') {
            continue;
        }
        visit.while_idle(jobs, |visit| {
            // It may have ended between the two looks.
            let still = inspection::running(db, visit.record).during("read the record of runs")?;
            if still.contains(&run) {
                let name = format!("{} of {}", run.job, run.started_at);
                let found = "is recorded as running, but its process is gone".to_owned();
                visit.mendable(name, found, "mark the run as killed", |_| {
                    inspection::mark_killed(db, run.key).during("mark a run as killed").map_err(Into::into)
                });
            }
            Ok(())
        })?;
    }
    Ok(())
}

pub fn overdue_jobs(visit: &mut Visit<'_>, db: &Connection) -> Result<(), MaintError> {
    let in_use_since = run_store::in_use_since(db).during("find the first person")?;
    for job in DAILY {
        let last = run_store::last_success(db, job).during("read the record of runs")?;
        if is_overdue(visit.now, last, in_use_since) {
            let found = last.map_or_else(
                || "has never succeeded".to_owned(),
                |at| format!("last succeeded at {at}, more than 48 h ago"),
            );
            let repair =
                format!("run companion-maint {job}, and look whether it is scheduled and what it reports");
            visit.finding(job, found, &repair);
        }
    }
    Ok(())
}

pub fn log_size(visit: &mut Visit<'_>, db: &Connection) -> Result<(), MaintError> {
    const TRIES: u32 = 20;
    let mut name = visit.dir.database().as_os_str().to_owned();
    name.push("-wal");
    let bytes = disk::allocated_bytes(Path::new(&name));
    if bytes <= LARGE_LOG {
        return Ok(());
    }
    let found = format!("{bytes} bytes: it cannot be emptied while somebody reads for long");
    let repair = "empty it; if it stays, a program has been reading for long: a backup, or a forgotten shell";
    visit.mendable("write-ahead log".to_owned(), found, repair, |_| {
        for _ in 0..TRIES {
            if write_ahead_log::scrub(db)? {
                return Ok(());
            }
            compact::pause(std::time::Duration::from_millis(50));
        }
        Err(MaintError::InUse("the write-ahead log"))
    });
    Ok(())
}
