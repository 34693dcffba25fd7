//! `backup-db`: one proven backup, then the old ones by the keep rule.

use std::io::Write;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

use crate::adapters::backup_store::{self, BackupFile};
use crate::adapters::backup_writer::{self, Backup, Proven, Stage, StageTimes};
use crate::adapters::expiry_store;
use crate::adapters::sqlite::During;
use crate::domain::maintenance::BACKUP_DB;
use crate::domain::retention::{ClockWitness, check_clock};
use crate::maint::{ItemError, Job, MaintError, Needs, Report, Run, Schema};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Where the backup goes.
pub enum Destination<'a> {
    /// Into a directory; `None`: `BACKUP_DIR`.
    Directory(Option<PathBuf>),
    /// Into a pipe; nothing is rotated.
    Pipe(Box<dyn Write + 'a>),
}

/// What the command line asks for.
pub struct Options<'a> {
    /// `--keep`; `None`: `BACKUP_KEEP`.
    pub keep: Option<NonZeroU32>,
    /// `--output-dir` or `--stdout`.
    pub destination: Destination<'a>,
}

/// A backup that stays, and why.
#[derive(Debug, Clone, Serialize)]
pub struct Kept {
    /// Its file name.
    pub file: String,
    /// Why it stays.
    pub reasons: Vec<String>,
}

/// What was made and what went.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Counts {
    /// The backup; `-` for a pipe, `null` when there is none.
    pub path: Option<String>,
    /// Its size.
    pub bytes: u64,
    /// Its SHA-256, hexadecimal.
    pub sha256: Option<String>,
    /// Size of the database in it.
    pub database_bytes: u64,
    /// Sessions in it.
    pub sessions: u64,
    /// Checkpoints in it.
    pub checkpoints: u64,
    /// Memories in it.
    pub memories: u64,
    /// True when the copy was proven whole.
    pub verified: bool,
    /// How long each stage took.
    #[serde(flatten)]
    pub times: StageTimes,
    /// Backups that stay.
    pub kept: Vec<Kept>,
    /// Backups that went, or would.
    pub removed: Vec<String>,
}

/// Runs the job.
pub fn run(run: &Run<'_>, options: Options<'_>) -> Report<Counts> {
    run.recorded(Needs { job: BACKUP_DB, schema: Schema::CurrentOrOlder, reserve: false }, |job, counts| {
        back_up(job, options, counts)
    })
}

fn back_up(job: &mut Job<'_>, options: Options<'_>, counts: &mut Counts) -> Result<(), MaintError> {
    let keep = options.keep.unwrap_or(job.run.config.retention.backup_keep);
    let into = match &options.destination {
        Destination::Directory(Some(dir)) => dir.clone(),
        Destination::Directory(None) | Destination::Pipe(_) => job.dir.backups().to_owned(),
    };
    if job.run.dry_run {
        if let Destination::Directory(_) = options.destination
            && into.is_dir()
        {
            rotate(job, &into, keep, None, counts)?;
        }
        return Ok(());
    }
    job.dir.owner().create_dir(&into)?;
    // What was there before tells whether most rows have gone since.
    let before = backup_store::list(&into)?.into_iter().next();
    let doubt = check_fuse(job, keep);
    let proven = prove(job, &into)?;
    let Destination::Pipe(pipe) = options.destination else {
        let backup = observed(job, |observe| backup_writer::keep(proven, &job.dir, &into, job.now, observe))?;
        take_up(counts, &backup);
        doubt?;
        if let Some(before) = before.filter(|before| has_halved(before, &backup)) {
            keep_all(job, &into, &before, counts)?;
            return Ok(());
        }
        return rotate(job, &into, keep, Some(&backup), counts);
    };
    let backup = observed(job, |observe| backup_writer::stream(proven, job.now, pipe, observe))?;
    take_up(counts, &backup);
    Ok(())
}

fn prove(job: &Job<'_>, into: &std::path::Path) -> Result<Proven, MaintError> {
    observed(job, |observe| backup_writer::prove(&job.dir, into, observe))
}

/// Runs `work` with an observer that shows progress and hears the wish to stop.
fn observed<T>(
    job: &Job<'_>,
    work: impl FnOnce(backup_writer::Observer<'_>) -> Result<T, backup_writer::BackupError>,
) -> Result<T, MaintError> {
    let observe = &mut |stage, done, total| {
        let what = match stage {
            Stage::Copying => "bytes copied",
            Stage::Checking => "bytes checked",
            Stage::Compressing => "bytes compressed",
        };
        job.run.progress.advance(what, done, total);
        job.run.go_on()
    };
    work(observe).map_err(Into::into)
}

/// A wrong clock must not rotate good backups away; it does not keep a new one from being made.
fn check_fuse(job: &Job<'_>, keep: NonZeroU32) -> Result<(), MaintError> {
    if job.run.force {
        return Ok(());
    }
    let newest_row = expiry_store::newest_activity(&job.db).during("find the newest turn")?;
    let witness = ClockWitness { newest_row, last_success: job.last_success };
    check_clock(job.now, witness, DAY * keep.get()).map_err(Into::into)
}

fn take_up(counts: &mut Counts, backup: &Backup) {
    counts.path = Some(backup.path.display().to_string());
    counts.bytes = backup.manifest.bytes;
    counts.sha256 = Some(backup.manifest.sha256.clone());
    counts.database_bytes = backup.manifest.database_bytes;
    counts.sessions = backup.manifest.sessions;
    counts.checkpoints = backup.manifest.checkpoints;
    counts.verified = true;
    counts.times = backup.times;
    tracing::info!(
        event = "backup_completed",
        path = counts.path,
        bytes = counts.bytes,
        sessions = counts.sessions,
        checkpoints = counts.checkpoints,
        snapshot_ms = backup.times.snapshot_ms,
        verify_ms = backup.times.verify_ms,
        compress_ms = backup.times.compress_ms,
        "The backup is made and verified"
    );
}

fn has_halved(before: &BackupFile, now: &Backup) -> bool {
    now.manifest.rows().saturating_mul(2) < before.manifest.rows()
}

/// An accident must not rotate away what undoes it.
fn keep_all(
    job: &mut Job<'_>,
    into: &std::path::Path,
    before: &BackupFile,
    counts: &mut Counts,
) -> Result<(), MaintError> {
    let reason = "more than half of the rows have gone since the last backup";
    for file in backup_store::list(into)? {
        counts.kept.push(Kept { file: file.name, reasons: vec![reason.to_owned()] });
    }
    job.errors.push(ItemError {
        item: before.name.clone(),
        error: format!(
            "{reason}: no backup was removed; if that was no accident, the next run removes again"
        ),
    });
    Ok(())
}

/// Removes all but the newest `keep` backups, and never the one just made.
fn rotate(
    job: &mut Job<'_>,
    into: &std::path::Path,
    keep: NonZeroU32,
    made: Option<&Backup>,
    counts: &mut Counts,
) -> Result<(), MaintError> {
    let newest = usize::try_from(keep.get()).unwrap_or(usize::MAX);
    for (place, file) in backup_store::list(into)?.into_iter().enumerate() {
        let mut reasons = Vec::new();
        if place < newest {
            reasons.push(format!("among the newest {keep}"));
        }
        if made.is_some_and(|made| made.path == file.path) {
            reasons.push("just made and verified".to_owned());
        }
        if !reasons.is_empty() {
            counts.kept.push(Kept { file: file.name, reasons });
        } else if job.run.dry_run {
            counts.removed.push(file.name);
        } else {
            match backup_store::remove(&file) {
                Ok(()) => counts.removed.push(file.name),
                Err(error) => job.failed(file.name, &error),
            }
        }
    }
    Ok(())
}
