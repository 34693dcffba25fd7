//! `status`: what is on disk, what is in the database, when each job last ran, what the next cleanup would take.

use std::time::Instant;

use serde::Serialize;

use crate::adapters::data_dir::DataDir;
use crate::adapters::installation::{self, Claim};
use crate::adapters::session_store::{self, Totals};
use crate::adapters::sqlite::{DbError, During};
use crate::adapters::{audio_store, backup_store, disk, release_assets, run_store, set_aside};
use crate::domain::clock::Timestamp;
use crate::domain::maintenance::JOBS;
use crate::maint::{
    MaintError, Outcome, Report, Run, Schema, cleanup_audio, cleanup_sessions, compact, item, open_database,
};

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

/// What `status` tells.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Counts {
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
}

/// Looks; changes nothing and takes no lock.
pub fn run(run: &Run<'_>) -> Report<Counts> {
    let began = Instant::now();
    let now = run.clock.now();
    let mut counts = Counts::default();
    let (outcome, errors) = match look(run, now, &mut counts) {
        Ok(()) => (Outcome::Done, Vec::new()),
        Err(error) => (error.outcome(), vec![item(run.place(), &error)]),
    };
    Report::of(run, "status", (now, began), counts, (outcome, errors))
}

fn look(run: &Run<'_>, now: Timestamp, counts: &mut Counts) -> Result<(), MaintError> {
    let dir = DataDir::open(&run.config.storage)?;
    set_aside::refuse_pending(&dir)?;
    let db = open_database(&dir, Schema::CurrentOrOlder)?;
    let Totals { sessions, checkpoints } = session_store::totals(&db).during("count sessions")?;
    counts.sessions = sessions;
    counts.checkpoints = checkpoints;
    counts.disk = disk_use(&dir, counts)?;
    for job in JOBS {
        counts.last_runs.push(last_run(&db, job).during("read the record of runs")?);
    }
    let next = cleanup_sessions::next_run(&db, now, &run.config.retention)?;
    counts.next_cleanup_sessions = next.sessions;
    counts.next_cleanup_checkpoints = next.checkpoints;
    counts.next_cleanup_audio_files = cleanup_audio::next_run(audio_files(&dir)?, now, &run.config.retention);
    Ok(())
}

fn last_run(db: &rusqlite::Connection, job: &str) -> rusqlite::Result<LastRun> {
    let last = run_store::last_run(db, job)?;
    Ok(LastRun {
        job: job.to_owned(),
        started_at: last.as_ref().map(|run| run.started_at),
        ended_at: last.as_ref().and_then(|run| run.ended_at),
        outcome: last.map_or_else(|| "never".to_owned(), |run| run.outcome),
        last_success: run_store::last_success(db, job)?,
    })
}

fn audio_files(dir: &DataDir) -> Result<Vec<audio_store::AudioFile>, DbError> {
    if dir.audio().is_dir() { Ok(audio_store::list(dir.audio())?) } else { Ok(Vec::new()) }
}

fn disk_use(dir: &DataDir, counts: &mut Counts) -> Result<DiskUse, DbError> {
    let backups_are_anothers = installation::claim(dir, dir.backups())? == Claim::Anothers;
    let backups = if dir.backups().is_dir() && !backups_are_anothers {
        backup_store::list(dir.backups())?
    } else {
        Vec::new()
    };
    counts.newest_backup = backups.first().map(|backup| backup.name.to_string());
    let audio = audio_files(dir)?;
    Ok(DiskUse {
        database_bytes: disk::allocated_bytes(dir.database()),
        log_bytes: compact::log_bytes(dir.database()),
        audio_bytes: audio.iter().map(|file| file.bytes).sum(),
        audio_files: audio.len() as u64,
        backup_bytes: backups.iter().map(|backup| backup.manifest.bytes).sum(),
        backups: backups.len() as u64,
        set_aside_bytes: set_aside::bytes(dir)?,
        asset_bytes: release_assets::bytes(dir)?,
        reserve_bytes: disk::allocated_bytes(&dir.reserve()),
        free_bytes: disk::free_bytes(dir.root())?,
        backups_share_the_databases_disk: disk::same_file_system(dir.database(), dir.backups()),
        backups_are_anothers,
    })
}
