//! Where backups went, and how long they stay there at most: by the recorded reports of `backup-db`.

use std::path::{Path, PathBuf};

use rusqlite::Connection;
use serde::Deserialize;

use crate::adapters::run_store;
use crate::domain::maintenance::BACKUP_DB;

/// So many runs are looked at: what was written elsewhere before those is no longer known.
const RUNS: u32 = 200;

/// A place that backups went to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The directory; empty for a pipe.
    pub into: PathBuf,
    /// What the last of them said of how long it stays; `None` when nothing is rotated there.
    pub kept_at_most_days: Option<u64>,
}

/// What is read of a report.
#[derive(Deserialize)]
struct Told {
    path: Option<PathBuf>,
    kept_at_most_days: Option<u64>,
}

/// Every place that backups went to, as the last run that wrote there tells; the latest first.
///
/// # Errors
/// What `SQLite` says.
pub fn places(connection: &Connection) -> rusqlite::Result<Vec<Written>> {
    let mut places: Vec<Written> = Vec::new();
    for report in run_store::reports(connection, BACKUP_DB, RUNS)? {
        let Ok(Told { path: Some(path), kept_at_most_days }) = serde_json::from_str(&report) else {
            continue;
        };
        let into = path.parent().unwrap_or(Path::new("")).to_owned();
        if !places.iter().any(|place| place.into == into) {
            places.push(Written { into, kept_at_most_days });
        }
    }
    Ok(places)
}
