//! Giving freed space back to the file system, in slices so short that no conversation notices.

use std::time::{Duration, Instant};

use rusqlite::Connection;

use crate::adapters::sqlite::{self, DbError, During};
use crate::adapters::{disk, write_ahead_log};
use crate::maint::{Job, MaintError};

/// How long one write transaction of ours may hold up everybody else's.
pub(crate) const SLICE: Duration = Duration::from_millis(8);
/// What is left to everybody else between two of ours: the server looks for the lock twice a millisecond.
pub(crate) const GAP: Duration = Duration::from_micros(1500);

const FIRST_PAGES: u32 = 64;
const MOST_PAGES: u32 = 4096;
const LOG_TRIES: u32 = 100;

/// Shrinks the database file by its free pages and empties the write-ahead log.
pub(crate) fn compact(job: &Job<'_>) -> Result<(), MaintError> {
    let total = free_pages(&job.db)?;
    let mut left = total;
    let mut pages = FIRST_PAGES;
    while left > 0 {
        job.check_stop()?;
        let began = Instant::now();
        sqlite::give_back_pages(&job.db, pages)?;
        pages = next_size(pages, began.elapsed());
        let now_left = free_pages(&job.db)?;
        if now_left >= left && now_left > 0 {
            tracing::warn!(pages = now_left, "Some free pages could not be given back");
            break;
        }
        left = now_left;
        job.run.progress.advance("pages given back", total.saturating_sub(left), total);
        pause(GAP);
    }
    empty_log(&job.db).map_err(Into::into)
}

/// Empties the write-ahead log without making anyone wait: copy first, truncate when nobody is in the way.
pub(crate) fn empty_log(db: &Connection) -> Result<(), DbError> {
    for _ in 0..LOG_TRIES {
        if write_ahead_log::empty(db)? {
            return Ok(());
        }
        pause(Duration::from_millis(5));
    }
    tracing::info!("The write-ahead log is in use; it will shrink later");
    Ok(())
}

/// Bytes the database and its log take on disk.
pub(crate) fn database_bytes(path: &std::path::Path) -> u64 {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    disk::allocated_bytes(path) + disk::allocated_bytes(std::path::Path::new(&log))
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

fn next_size(pages: u32, took: Duration) -> u32 {
    if took > SLICE {
        (pages / 2).max(1)
    } else if took < SLICE / 2 {
        (pages * 2).min(MOST_PAGES)
    } else {
        pages
    }
}
