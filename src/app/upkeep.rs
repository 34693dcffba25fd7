//! Whether maintenance is being done: the server does none itself, but it tells when nobody does.

use std::time::Duration;

use rusqlite::Connection;

use crate::adapters::run_store;
use crate::app::{App, AppError};
use crate::domain::clock::Timestamp;
use crate::domain::maintenance::{DAILY, is_overdue};

const LOOK_EVERY: Duration = Duration::from_secs(6 * 60 * 60);

impl App {
    /// The jobs that have not succeeded for 48 h although there are people whose things they keep in order.
    ///
    /// # Errors
    /// What the database says.
    pub async fn overdue_jobs(&self) -> Result<Vec<&'static str>, AppError> {
        let now = self.clock.now();
        let look = move |db: &Connection| overdue(db, now);
        Ok(self.database.read("read the record of runs", look).await?)
    }

    /// Warns in the log, at once and every six hours, of jobs that are overdue. Goes on until it is dropped.
    pub async fn watch_upkeep(&self) {
        let mut looks = tokio::time::interval(LOOK_EVERY);
        loop {
            looks.tick().await;
            match self.overdue_jobs().await {
                Ok(jobs) if jobs.is_empty() => {}
                Ok(jobs) => tracing::warn!(
                    event = "maintenance_overdue",
                    jobs = jobs.join(" "),
                    "Maintenance has not succeeded for 48 h: is companion-maint scheduled, and does it report errors?"
                ),
                Err(error) => {
                    tracing::warn!(error = %error, "Whether maintenance is done could not be looked up");
                }
            }
        }
    }
}

fn overdue(db: &Connection, now: Timestamp) -> rusqlite::Result<Vec<&'static str>> {
    let in_use_since = run_store::in_use_since(db)?;
    let mut jobs = Vec::new();
    for job in DAILY {
        if is_overdue(now, run_store::last_success(db, job)?, in_use_since) {
            jobs.push(job);
        }
    }
    Ok(jobs)
}
