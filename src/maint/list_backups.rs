//! `list-backups`: what there is to restore. Needs neither the database nor the data directory.

use std::time::Instant;

use serde::Serialize;

use crate::adapters::backup_store::{self, BackupFile};
use crate::adapters::data_dir::{DataDir, DataDirError};
use crate::domain::clock::Timestamp;
use crate::maint::{MaintError, Outcome, Report, Run, item};

/// One backup.
#[derive(Debug, Clone, Serialize)]
pub struct Listed {
    /// Its file name.
    pub file: String,
    /// When it was taken.
    pub created_at: String,
    /// What made it.
    pub program: String,
    /// Size of the file.
    pub bytes: u64,
    /// Size of the database in it.
    pub database_bytes: u64,
    /// The schema version of the database in it.
    pub schema_version: i64,
    /// Whether it needs an identity.
    pub encrypted: bool,
    /// Sessions in it.
    pub sessions: u64,
    /// Checkpoints in it.
    pub checkpoints: u64,
    /// Until then it stays whatever the keep rules say: it is the last one before most rows went.
    pub guarded_until: Option<String>,
}

/// What there is.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Counts {
    /// The directory.
    pub directory: String,
    /// Newest first.
    pub backups: Vec<Listed>,
    /// Files with a backup's name and no readable manifest: foreign, or damaged.
    pub without_manifest: Vec<String>,
    /// All of them together.
    pub bytes: u64,
}

/// Looks; changes nothing and takes no lock.
pub fn run(run: &Run<'_>) -> Report<Counts> {
    let (began, now) = (Instant::now(), run.clock.now());
    let mut counts = Counts::default();
    let (outcome, errors) = match look(run, now, &mut counts) {
        Ok(()) => (Outcome::Done, Vec::new()),
        Err(error) => (error.outcome(), vec![item(counts.directory.clone(), &error)]),
    };
    Report::of(run, "list-backups", (now, began), counts, (outcome, errors))
}

fn look(run: &Run<'_>, now: Timestamp, counts: &mut Counts) -> Result<(), MaintError> {
    let dir = &run.config.storage.backup_dir;
    counts.directory = dir.display().to_string();
    let _acting = match DataDir::act_as_owner(&run.config.storage) {
        // Whoever may not look would see nothing, and take that for the truth.
        Err(error @ (DataDirError::WrongUser { .. } | DataDirError::NotAsOwner { .. })) => {
            return Err(error.into());
        }
        other => other.ok(),
    };
    let listing = match backup_store::look_through(dir) {
        Err(error) if error.is_missing() => return Err(MaintError::NoBackup(dir.clone())),
        other => other?,
    };
    counts.bytes = listing.backups.iter().map(|backup| backup.manifest.bytes).sum();
    counts.backups = listing.backups.into_iter().map(|backup| listed(backup, now)).collect();
    counts.without_manifest = listing.without_manifest.iter().map(ToString::to_string).collect();
    Ok(())
}

fn listed(backup: BackupFile, now: Timestamp) -> Listed {
    let still_guarded = backup.manifest.guarded_until().is_some_and(|until| until > now);
    let manifest = backup.manifest;
    Listed {
        file: backup.name.to_string(),
        created_at: manifest.created_at,
        program: manifest.program,
        bytes: manifest.bytes,
        database_bytes: manifest.database_bytes,
        schema_version: manifest.schema_version,
        encrypted: backup.name.encrypted,
        sessions: manifest.sessions,
        checkpoints: manifest.checkpoints,
        guarded_until: manifest.guarded_until.filter(|_| still_guarded),
    }
}
