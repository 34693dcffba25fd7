//! Giving freed space back to the file system, in slices so short that no conversation notices.

use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::Connection;

use crate::adapters::sqlite::{self, DbError, During};
use crate::adapters::{disk, write_ahead_log};
use crate::maint::{Job, MaintError};

/// How long one write transaction of ours may hold up everybody else's, while there is anybody else.
const SHORT_SLICE: Duration = Duration::from_millis(1);
/// The same while nobody else has written for a while: fewer, larger transactions are done sooner.
const LONG_SLICE: Duration = Duration::from_millis(12);
const SOMEONE_WRITES_FOR: Duration = Duration::from_millis(500);
/// At first someone is taken to write for so long: of twenty turns a second one has most likely been seen by then, and
/// with fewer the odd one that meets a long slice hardly notices.
const FIRST_LOOK: Duration = Duration::from_millis(50);
/// What is left to everybody else between two of ours: the server looks for the lock twice a millisecond.
pub(crate) const GAP: Duration = Duration::from_micros(1500);
/// The same while somebody else does write: the disk, too, is theirs for most of the time.
const LONG_GAP: Duration = Duration::from_millis(10);

const FIRST_PAGES: u32 = 64;
const MOST_PAGES: u32 = 4096;
const LOG_TRIES: u32 = 100;

/// Watches whether others write, to know how long a slice may take. Until it knows better, someone does.
pub(crate) struct Courtesy {
    seen_version: Option<i64>,
    /// Slices are short until then.
    until: Instant,
    /// Someone did when the last slice began.
    others: bool,
}

impl Courtesy {
    pub(crate) fn new() -> Self {
        Self { seen_version: None, until: Instant::now() + FIRST_LOOK, others: true }
    }

    /// How long the next transaction may take. Sets how much of the log one copy takes up, too.
    pub(crate) fn slice(&mut self, db: &Connection) -> Result<Duration, DbError> {
        // Changes when another connection commits, and only then.
        let version = db
            .pragma_query_value(None, "data_version", |row| row.get(0))
            .during("see whether others write")?;
        if self.seen_version.replace(version).is_some_and(|seen: i64| seen != version) {
            self.until = Instant::now() + SOMEONE_WRITES_FOR;
        }
        self.others = Instant::now() < self.until;
        sqlite::copy_log_for(db, self.others)?;
        Ok(if self.others { SHORT_SLICE } else { LONG_SLICE })
    }

    /// Leaves the lock and the disk to everybody else after a slice.
    pub(crate) fn make_way(&self) {
        pause(if self.others { LONG_GAP } else { GAP });
    }
}

/// Shrinks the database file by its free pages and empties the write-ahead log. The connection is one of
/// [`sqlite::for_many_batches`].
pub(crate) fn compact(job: &Job<'_>) -> Result<(), MaintError> {
    let given_back = give_back_all(job);
    // Also when there was no room for more of it: what comes after, the record of the run first, needs some.
    let emptied = empty_log(&job.db);
    given_back.and(emptied.map_err(Into::into))
}

fn give_back_all(job: &Job<'_>) -> Result<(), MaintError> {
    let total = free_pages(&job.db)?;
    let mut left = total;
    let mut pages = FIRST_PAGES;
    let mut courtesy = Courtesy::new();
    while left > 0 {
        job.check_stop()?;
        let slice = courtesy.slice(&job.db)?;
        let began = Instant::now();
        sqlite::give_back_pages(&job.db, pages)?;
        let took = began.elapsed();
        write_ahead_log::flush(job.dir.database())?;
        pages = next_size(pages, took, slice);
        let now_left = free_pages(&job.db)?;
        if now_left >= left && now_left > 0 {
            tracing::warn!(pages = now_left, "Some free pages could not be given back");
            break;
        }
        left = now_left;
        job.run.progress.advance("pages given back", total.saturating_sub(left), total);
        courtesy.make_way();
    }
    Ok(())
}

/// Empties the write-ahead log without making anyone wait: copy first, truncate when nobody is in the way.
pub(crate) fn empty_log(db: &Connection) -> Result<(), DbError> {
    for _ in 0..LOG_TRIES {
        if write_ahead_log::empty_at_once(db)? {
            return Ok(());
        }
        pause(Duration::from_millis(5));
    }
    tracing::info!("The write-ahead log is in use; it will shrink later");
    Ok(())
}

/// Bytes the database and its log take on disk.
pub(crate) fn database_bytes(path: &Path) -> u64 {
    disk::allocated_bytes(path) + log_bytes(path)
}

/// Bytes the write-ahead log of the database at `path` takes on disk.
pub(crate) fn log_bytes(path: &Path) -> u64 {
    disk::allocated_bytes(&write_ahead_log::beside(path))
}

/// Waits for a moment so that others get their turn.
#[expect(
    clippy::disallowed_methods,
    reason = "milliseconds, so that the server gets the write lock in between"
)]
pub(crate) fn pause(span: Duration) {
    std::thread::sleep(span);
}

fn free_pages(db: &Connection) -> Result<u64, DbError> {
    db.pragma_query_value(None, "freelist_count", |row| row.get(0)).during("count free pages")
}

fn next_size(pages: u32, took: Duration, slice: Duration) -> u32 {
    if took > slice {
        (pages / 2).max(1)
    } else if took < slice / 2 {
        (pages * 2).min(MOST_PAGES)
    } else {
        pages
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_is_measured_on_its_own() {
        let dir = tempfile::tempdir().unwrap();
        let database = dir.path().join("companion.db");
        std::fs::write(&database, vec![7; 100_000]).unwrap();
        assert_eq!(log_bytes(&database), 0);
        std::fs::write(dir.path().join("companion.db-wal"), vec![7; 5_000]).unwrap();
        // However the database's own size changes meanwhile.
        std::fs::write(&database, "").unwrap();
        assert_eq!((log_bytes(&database), database_bytes(&database)), (8192, 8192));
    }
}
