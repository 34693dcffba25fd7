//! What there is: bytes on disk by kind, rows, the last run of each job, and what the next cleanup would take. Shown by
//! `companion-maint status` and `GET /api/v1/admin/status`.

use std::convert::Infallible;

use rusqlite::Connection;
use serde::Serialize;

use crate::adapters::data_dir::DataDir;
use crate::adapters::disk::{self, DiskError};
use crate::adapters::expiry_store::{self, Cutoffs};
use crate::adapters::installation::{self, Claim};
use crate::adapters::session_store::{self, Totals};
use crate::adapters::{audio_store, backup_store, release_assets, run_store, set_aside, write_ahead_log};
use crate::config::RetentionConfig;
use crate::domain::clock::Timestamp;
use crate::domain::maintenance::JOBS;

/// Where the bytes are.
#[derive(Debug, Clone, Default, Serialize)]
pub struct DiskUse {
    /// The database file.
    pub database_bytes: u64,
    /// Its write-ahead log.
    pub log_bytes: u64,
    /// Audio replies.
    pub audio_bytes: u64,
    /// How many of them.
    pub audio_files: u64,
    /// Backups.
    pub backup_bytes: u64,
    /// How many of them.
    pub backups: u64,
    /// Databases that restores have set aside.
    pub set_aside_bytes: u64,
    /// The web client's files of the last releases.
    pub asset_bytes: u64,
    /// Kept back for cleanup on a full disk.
    pub reserve_bytes: u64,
    /// Free where the database lies.
    pub free_bytes: u64,
    /// Free where the backups lie; `null` where that is no disk of its own.
    pub backups_free_bytes: Option<u64>,
    /// True when one broken disk takes the database and its backups.
    pub backups_share_the_databases_disk: bool,
    /// True when what lies in the directory of backups belongs to another installation; none of it is counted here.
    pub backups_are_anothers: bool,
}

/// The last run of a job.
#[derive(Debug, Clone, Serialize)]
pub struct LastRun {
    /// The job's name.
    pub job: String,
    /// When it began; `null` when it never ran.
    pub started_at: Option<Timestamp>,
    /// When it ended; `null` while it runs, or when it was killed.
    pub ended_at: Option<Timestamp>,
    /// How it ended; `never` when it never ran.
    pub outcome: String,
    /// When it last succeeded.
    pub last_success: Option<Timestamp>,
}

/// All of it.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Inventory {
    /// Where the bytes are.
    pub disk: DiskUse,
    /// Sessions.
    pub sessions: u64,
    /// Checkpoints.
    pub checkpoints: u64,
    /// Memories.
    pub memories: u64,
    /// The newest backup's file name.
    pub newest_backup: Option<String>,
    /// The last run of each job.
    pub last_runs: Vec<LastRun>,
    /// Sessions the next `cleanup-sessions` would delete.
    pub next_cleanup_sessions: u64,
    /// Their checkpoints.
    pub next_cleanup_checkpoints: u64,
    /// Audio files the next `cleanup-audio` would delete.
    pub next_cleanup_audio_files: u64,
    /// False when the database could not be read: then the rows and runs told here are not known.
    pub database_read: bool,
}

impl Inventory {
    /// What the database holds; what lies beside it is added by [`Self::add_files`].
    ///
    /// # Errors
    /// What `SQLite` says.
    pub fn of_rows(db: &Connection, now: Timestamp, retention: &RetentionConfig) -> rusqlite::Result<Self> {
        let Totals { sessions, checkpoints, memories } = session_store::totals(db)?;
        let cutoffs = Cutoffs::at(now, retention.session_days, retention.person_days);
        let next = expiry_store::count_doomed(db, cutoffs)?;
        Ok(Self {
            database_read: true,
            sessions,
            checkpoints,
            memories,
            last_runs: JOBS.iter().map(|job| last_run(db, job)).collect::<rusqlite::Result<_>>()?,
            next_cleanup_sessions: next.sessions,
            next_cleanup_checkpoints: next.checkpoints,
            ..Self::default()
        })
    }

    /// Adds what lies on disk. Waits for the disk.
    ///
    /// # Errors
    /// When a directory cannot be read.
    pub fn add_files(
        &mut self,
        dir: &DataDir,
        now: Timestamp,
        retention: &RetentionConfig,
    ) -> Result<(), DiskError> {
        let backups_are_anothers = installation::claim(dir, dir.backups())? == Claim::Anothers;
        let ours = dir.backups().is_dir() && !backups_are_anothers;
        let backups = if ours { backup_store::list(dir.backups())? } else { Vec::new() };
        let audio = if dir.audio().is_dir() { audio_store::list(dir.audio())? } else { Vec::new() };
        self.newest_backup = backups.first().map(|backup| backup.name.to_string());
        self.disk = DiskUse {
            database_bytes: disk::allocated_bytes(dir.database()),
            log_bytes: disk::allocated_bytes(&write_ahead_log::beside(dir.database())),
            audio_bytes: audio.iter().map(|file| file.bytes).sum(),
            audio_files: audio.len() as u64,
            backup_bytes: backups.iter().map(|backup| backup.manifest.bytes).sum(),
            backups: backups.len() as u64,
            set_aside_bytes: set_aside::bytes(dir)?,
            asset_bytes: release_assets::bytes(dir)?,
            reserve_bytes: disk::allocated_bytes(&dir.reserve()),
            free_bytes: disk::free_bytes(dir.root())?,
            backups_free_bytes: disk::free_bytes_apart(dir.backups(), dir.database())?,
            backups_share_the_databases_disk: disk::same_file_system(dir.database(), dir.backups()),
            backups_are_anothers,
        };
        self.next_cleanup_audio_files = next_audio(audio, now, retention);
        Ok(())
    }
}

fn last_run(db: &Connection, job: &str) -> rusqlite::Result<LastRun> {
    let last = run_store::last_run(db, job)?;
    Ok(LastRun {
        job: job.to_owned(),
        started_at: last.as_ref().map(|run| run.started_at),
        ended_at: last.as_ref().and_then(|run| run.ended_at),
        outcome: last.map_or_else(|| "never".to_owned(), |run| run.outcome),
        last_success: run_store::last_success(db, job)?,
    })
}

fn next_audio(mut files: Vec<audio_store::AudioFile>, now: Timestamp, retention: &RetentionConfig) -> u64 {
    files.sort_by_key(|file| file.written_at);
    let cutoff = now.earlier_by(retention.audio_max_age);
    let no_orphans = |_: &audio_store::AudioFile| Ok::<_, Infallible>(false);
    let Ok(doomed) = audio_store::doomed(&files, cutoff, retention.audio_max_total_bytes, no_orphans);
    doomed.len() as u64
}
