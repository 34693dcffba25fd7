//! What there is, for whoever runs the server.
//!
//! Bounds: what the next cleanup would take is counted for 2 s at most, and counts for a minute, also when it was not done in time.

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode};
use tokio::sync::Mutex;

use crate::adapters::disk::DiskError;
use crate::adapters::inventory::{Inventory, NextCleanup};
use crate::app::{App, AppError};

const KEPT: Duration = Duration::from_secs(60);
const LONGEST: Duration = Duration::from_secs(2);
/// Whether time is up is looked at after so many of `SQLite`'s instructions: about every 0.1 ms.
const INSTRUCTIONS: i32 = 10_000;

/// What the next cleanup would take, as it was last counted; one at a time counts.
#[derive(Default)]
pub(crate) struct Forecast {
    last: Mutex<Option<(Instant, Option<NextCleanup>)>>,
}

impl App {
    /// Bytes on disk by kind, rows, the last run of each job, what the next cleanup would take.
    ///
    /// # Errors
    /// What the database or the disk says.
    pub async fn inventory(&self) -> Result<Inventory, AppError> {
        let now = self.clock.now();
        let mut inventory = self.database.read("take stock", move |db| Inventory::of_rows(db, now)).await?;
        inventory.add_next(self.next_cleanup().await?);
        let (dir, retention) = (self.data_dir.clone(), self.retention.clone());
        let add_files = move || {
            let failed = inventory.add_files(&dir, now, &retention);
            failed.into_iter().next().map_or(Ok(inventory), Err)
        };
        let added = self.backup_disk.look(add_files).await;
        Ok(added.unwrap_or_else(|| Err(self.no_answer()))?)
    }

    fn no_answer(&self) -> DiskError {
        let source = ErrorKind::TimedOut.into();
        DiskError { operation: "look at", path: self.data_dir.backups().to_owned(), source }
    }

    /// What the next cleanup would take of the database; `None` when it could not be counted in time.
    pub(crate) async fn next_cleanup(&self) -> Result<Option<NextCleanup>, AppError> {
        let mut last = self.forecast.last.lock().await;
        if let Some((at, next)) = *last
            && at.elapsed() < KEPT
        {
            return Ok(next);
        }
        let (now, retention) = (self.clock.now(), self.retention.clone());
        let count =
            move |db: &Connection| in_time(db, LONGEST, |db| NextCleanup::of_rows(db, now, &retention));
        let next = self.database.read("count what goes next", count).await?;
        *last = Some((Instant::now(), next));
        Ok(next)
    }
}

/// What `look` finds; `None` when that takes longer than `longest`.
fn in_time<T>(
    db: &Connection,
    longest: Duration,
    look: impl FnOnce(&Connection) -> rusqlite::Result<T>,
) -> rusqlite::Result<Option<T>> {
    let began = Instant::now();
    db.progress_handler(INSTRUCTIONS, Some(move || began.elapsed() > longest))?;
    let found = look(db);
    // The connection is used for other things afterwards.
    db.progress_handler(0, None::<fn() -> bool>)?;
    match found {
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::OperationInterrupted) => Ok(None),
        found => found.map(Some),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_takes_too_long_is_given_up_and_the_connection_is_as_before() {
        let db = Connection::open_in_memory().unwrap();
        let endless =
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n";
        let count =
            |sql: &'static str| move |db: &Connection| db.query_row(sql, [], |row| row.get::<_, i64>(0));
        let soon = Duration::from_millis(20);
        assert_eq!(in_time(&db, soon, count(endless)).unwrap(), None);
        let long = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 200000) SELECT count(*) FROM n";
        assert_eq!(count(long)(&db).unwrap(), 200_000);
        assert_eq!(in_time(&db, LONGEST, count("SELECT 7")).unwrap(), Some(7));
    }
}
