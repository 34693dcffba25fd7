//! What there is: bytes on disk by kind, rows, the last run of each job, and what the next cleanup would take. Shown by
//! `companion-maint status` and `GET /api/v1/admin/status`.

use std::convert::Infallible;
use std::path::Path;

use rusqlite::Connection;
use serde::Serialize;

use crate::adapters::data_dir::DataDir;
use crate::adapters::disk::{self, DiskError, Naming};
use crate::adapters::expiry_store::{self, Cutoffs};
use crate::adapters::installation::{self, Claim};
use crate::adapters::session_store::{self, Totals};
use crate::adapters::{
    audio_store, backup_store, person_store, release_assets, run_store, set_aside, write_ahead_log,
};
use crate::config::RetentionConfig;
use crate::domain::clock::Timestamp;
use crate::domain::maintenance::{DAILY, JOBS, is_overdue};

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
    /// The web client's files of the last releases; `null` where they may not be looked at.
    pub asset_bytes: Option<u64>,
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
    /// True when a job that is to run daily has not succeeded for 48 h.
    pub overdue: bool,
    /// Bytes it gave back to the file system; `null` when it has not ended, or frees none.
    pub bytes_reclaimed: Option<u64>,
}

/// What the next cleanup would take: what `--dry-run` counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct NextCleanup {
    /// Sessions the next `cleanup-sessions` would delete.
    pub next_cleanup_sessions: u64,
    /// Their checkpoints.
    pub next_cleanup_checkpoints: u64,
    /// Memories it would delete.
    pub next_cleanup_memories: u64,
    /// People it would erase.
    pub next_cleanup_persons: u64,
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
    /// People.
    pub persons: u64,
    /// The newest backup's file name.
    pub newest_backup: Option<String>,
    /// When it was taken.
    pub newest_backup_at: Option<Timestamp>,
    /// The last run of each job.
    pub last_runs: Vec<LastRun>,
    /// What the next cleanup would take of the database.
    #[serde(flatten)]
    pub next: NextCleanup,
    /// False when it was not counted.
    pub next_cleanup_counted: bool,
    /// Audio files the next `cleanup-audio` would delete.
    pub next_cleanup_audio_files: u64,
    /// Their bytes.
    pub next_cleanup_audio_bytes: u64,
    /// False when the database could not be read: then the rows and runs told here are not known.
    pub database_read: bool,
}

impl Inventory {
    /// What the database holds. What lies beside it is added by [`Self::add_files`], what goes next by [`Self::add_next`].
    ///
    /// # Errors
    /// What `SQLite` says.
    pub fn of_rows(db: &Connection, now: Timestamp) -> rusqlite::Result<Self> {
        let Totals { sessions, checkpoints, memories } = session_store::totals(db)?;
        let in_use_since = run_store::in_use_since(db)?;
        let runs = JOBS.iter().map(|job| last_run(db, job, now, in_use_since));
        Ok(Self {
            database_read: true,
            sessions,
            checkpoints,
            memories,
            persons: person_store::count(db)?,
            last_runs: runs.collect::<rusqlite::Result<_>>()?,
            ..Self::default()
        })
    }

    /// Adds what the next cleanup would take of the database, where that was counted.
    pub fn add_next(&mut self, next: Option<NextCleanup>) {
        self.next = next.unwrap_or_default();
        self.next_cleanup_counted = next.is_some();
    }

    /// Adds what lies on disk, and returns what could not be looked at: of that nothing is told here. Waits for the disk.
    #[must_use]
    pub fn add_files(
        &mut self,
        dir: &DataDir,
        now: Timestamp,
        retention: &RetentionConfig,
    ) -> Vec<DiskError> {
        let mut failed = Vec::new();
        let claim = looked(installation::claim(dir, dir.backups()).map(Some), &mut failed);
        let ours = matches!(claim, Some(Claim::Ours | Claim::Nobodys)) && is_dir(dir.backups(), &mut failed);
        let backups = if ours { looked(backup_store::list(dir.backups()), &mut failed) } else { Vec::new() };
        let audio = if is_dir(dir.audio(), &mut failed) {
            looked(audio_store::list(dir.audio()), &mut failed)
        } else {
            Vec::new()
        };
        self.newest_backup = backups.first().map(|backup| backup.name.to_string());
        self.newest_backup_at = backups.first().map(|backup| backup.name.taken);
        self.disk = DiskUse {
            database_bytes: disk::allocated_bytes(dir.database()),
            log_bytes: disk::allocated_bytes(&write_ahead_log::beside(dir.database())),
            audio_bytes: audio.iter().map(|file| file.bytes).sum(),
            audio_files: audio.len() as u64,
            backup_bytes: backups.iter().map(|backup| backup.manifest.bytes).sum(),
            backups: backups.len() as u64,
            set_aside_bytes: looked(set_aside::bytes(dir), &mut failed),
            asset_bytes: release_assets::bytes(dir).ok(),
            reserve_bytes: dir.reserves().iter().map(|path| disk::allocated_bytes(path)).sum(),
            free_bytes: looked(disk::free_bytes(dir.database_place()), &mut failed),
            backups_free_bytes: looked(disk::free_bytes_apart(dir.backups(), dir.database()), &mut failed),
            backups_share_the_databases_disk: disk::same_file_system(dir.database(), dir.backups()),
            backups_are_anothers: claim == Some(Claim::Anothers),
        };
        (self.next_cleanup_audio_files, self.next_cleanup_audio_bytes) = next_audio(audio, now, retention);
        failed
    }
}

/// What was found; nothing where it could not be looked at, which is noted.
fn looked<T: Default>(found: Result<T, DiskError>, failed: &mut Vec<DiskError>) -> T {
    found.unwrap_or_else(|error| {
        failed.push(error);
        T::default()
    })
}

fn is_dir(path: &Path, failed: &mut Vec<DiskError>) -> bool {
    looked(disk::is_dir(path).naming("look at", path), failed)
}

impl NextCleanup {
    /// Counts it. Of an older schema, too, in which there may be nothing to remember.
    ///
    /// # Errors
    /// What `SQLite` says.
    pub fn of_rows(db: &Connection, now: Timestamp, retention: &RetentionConfig) -> rusqlite::Result<Self> {
        let cutoffs = Cutoffs::at(now, retention.session_days, retention.person_days);
        let doomed = expiry_store::count_doomed(db, cutoffs)?;
        let known = "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = 'memories')";
        let remembers: bool = db.query_row(known, [], |row| row.get(0))?;
        let unchanged_since = retention.memory_days.map(|days| days.cutoff(now));
        let memories =
            if remembers { expiry_store::count_doomed_memories(db, cutoffs, unchanged_since)? } else { 0 };
        Ok(Self {
            next_cleanup_sessions: doomed.sessions,
            next_cleanup_checkpoints: doomed.checkpoints,
            next_cleanup_memories: memories,
            next_cleanup_persons: doomed.persons,
        })
    }
}

fn last_run(
    db: &Connection,
    job: &str,
    now: Timestamp,
    in_use_since: Option<Timestamp>,
) -> rusqlite::Result<LastRun> {
    let last = run_store::last_run(db, job)?;
    let last_success = run_store::last_success(db, job)?;
    Ok(LastRun {
        job: job.to_owned(),
        started_at: last.as_ref().map(|run| run.started_at),
        ended_at: last.as_ref().and_then(|run| run.ended_at),
        bytes_reclaimed: last.as_ref().and_then(|run| run.bytes_reclaimed),
        outcome: last.map_or_else(|| "never".to_owned(), |run| run.outcome),
        last_success,
        overdue: DAILY.contains(&job) && is_overdue(now, last_success, in_use_since),
    })
}

/// What the next `cleanup-audio` would take of these: how many files, and how many bytes they have.
#[must_use]
pub fn next_audio(
    mut files: Vec<audio_store::AudioFile>,
    now: Timestamp,
    retention: &RetentionConfig,
) -> (u64, u64) {
    files.sort_by_key(|file| file.written_at);
    let cutoff = now.earlier_by(retention.audio_max_age);
    let no_orphans = |_: &audio_store::AudioFile| Ok::<_, Infallible>(false);
    let Ok(doomed) = audio_store::doomed(&files, cutoff, retention.audio_max_total_bytes, no_orphans);
    (doomed.len() as u64, doomed.iter().map(|file| file.bytes).sum())
}
