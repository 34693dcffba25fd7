//! `backup-db`: one proven backup, then the old ones by the keep rule.

use std::io::Write;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;

use crate::adapters::backup_store::{self, BackupFile};
use crate::adapters::backup_writer::{self, Backup, Proven, Stage, StageTimes};
use crate::adapters::expiry_store;
use crate::adapters::set_aside;
use crate::adapters::sqlite::During;
use crate::domain::backup::{GUARDED_FOR, KeepRules, has_halved};
use crate::domain::clock::Timestamp;
use crate::domain::maintenance::BACKUP_DB;
use crate::domain::retention::check_clock;
use crate::maint::{ItemError, Job, MaintError, Needs, Report, Run, Schema};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Which old backups stay, as the command line asks for it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Keep {
    /// `--keep`; `None`: `BACKUP_KEEP`.
    pub newest: Option<NonZeroU32>,
    /// `--keep-daily`.
    pub daily: u32,
    /// `--keep-weekly`.
    pub weekly: u32,
    /// `--keep-monthly`.
    pub monthly: u32,
}

/// Where the backup goes.
pub enum Destination<'a> {
    /// Into a directory; `None`: `BACKUP_DIR`.
    Directory(Option<PathBuf>),
    /// Into a pipe; nothing is rotated.
    Pipe(Box<dyn Write + 'a>),
}

/// What the command line asks for.
pub struct Options<'a> {
    /// Which old ones stay.
    pub keep: Keep,
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
    /// The longest a backup made now can stay by these rules and at this pace; an erasure is promised by it.
    pub kept_at_most_days: Option<u64>,
    /// Databases set aside by a restore that went, because their time was over.
    pub set_aside_removed: Vec<String>,
}

/// Runs the job.
pub fn run(run: &Run<'_>, options: Options<'_>) -> Report<Counts> {
    run.recorded(Needs { job: BACKUP_DB, schema: Schema::CurrentOrOlder, reserve: false }, |job, counts| {
        back_up(job, options, counts)
    })
}

fn back_up(job: &mut Job<'_>, options: Options<'_>, counts: &mut Counts) -> Result<(), MaintError> {
    let rules = rules(job, options.keep);
    let into = match &options.destination {
        Destination::Directory(Some(dir)) => dir.clone(),
        Destination::Directory(None) | Destination::Pipe(_) => job.dir.backups().to_owned(),
    };
    if job.run.dry_run {
        if let Destination::Directory(_) = options.destination
            && into.is_dir()
        {
            rotate(job, &into, rules, None, counts)?;
        }
        return Ok(());
    }
    job.dir.owner().create_dir(&into)?;
    // What was there before tells whether most rows have gone since.
    let before = backup_store::list(&into)?.into_iter().next();
    let doubt = check_fuse(job, rules);
    let proven = prove(job, &into)?;
    if let Destination::Pipe(pipe) = options.destination {
        let backup = observed(job, |observe| backup_writer::stream(proven, job.now, pipe, observe))?;
        take_up(counts, &backup);
        return Ok(());
    }
    let richer = before.filter(|before| !job.run.force && is_richer(before, &proven));
    if let Some(before) = &richer {
        // Before the new one has its name: the next run must not take this one for an ordinary one.
        backup_store::guard(before, job.now.later_by(GUARDED_FOR), job.dir.owner())?;
    }
    let backup = observed(job, |observe| backup_writer::keep(proven, &job.dir, &into, job.now, observe))?;
    take_up(counts, &backup);
    doubt?;
    counts.kept_at_most_days = Some(longest_days(rules, &into)?);
    if let Some(before) = richer {
        return keep_all(job, &into, &before, counts);
    }
    rotate(job, &into, rules, Some(&backup), counts)?;
    counts.set_aside_removed =
        set_aside::remove_older(&job.dir, job.now, DAY * job.run.config.retention.backup_keep.get())?;
    Ok(())
}

fn rules(job: &Job<'_>, keep: Keep) -> KeepRules {
    KeepRules {
        newest: keep.newest.unwrap_or(job.run.config.retention.backup_keep),
        daily: keep.daily,
        weekly: keep.weekly,
        monthly: keep.monthly,
    }
}

fn is_richer(before: &BackupFile, now: &Proven) -> bool {
    has_halved(before.manifest.contents().rows(), now.contents().rows())
}

fn longest_days(rules: KeepRules, into: &Path) -> Result<u64, MaintError> {
    let taken: Vec<_> = backup_store::list(into)?.into_iter().map(|backup| backup.name.taken).collect();
    Ok(rules.longest(&taken).as_secs().div_ceil(DAY.as_secs()))
}

fn prove(job: &Job<'_>, into: &Path) -> Result<Proven, MaintError> {
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
fn check_fuse(job: &Job<'_>, rules: KeepRules) -> Result<(), MaintError> {
    if job.run.force {
        return Ok(());
    }
    let witness = expiry_store::clock_witness(&job.db, job.last_success).during("find the newest turn")?;
    check_clock(job.now, witness, DAY * rules.newest.get()).map_err(Into::into)
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

/// An accident must not rotate away what undoes it.
fn keep_all(
    job: &mut Job<'_>,
    into: &Path,
    before: &BackupFile,
    counts: &mut Counts,
) -> Result<(), MaintError> {
    let reason = "more than half of the rows have gone since the last backup";
    for file in backup_store::list(into)? {
        counts.kept.push(Kept { file: file.name.to_string(), reasons: vec![reason.to_owned()] });
    }
    let until = job.now.later_by(GUARDED_FOR).day();
    job.errors.push(ItemError {
        item: before.name.to_string(),
        error: format!(
            "{reason}: no backup was removed, and this one stays until {until}; if that was no accident, the next run \
             removes the others again, and --force this one, too"
        ),
    });
    Ok(())
}

/// Removes the backups that no rule keeps; never the one just made, never one that is guarded.
fn rotate(
    job: &mut Job<'_>,
    into: &Path,
    rules: KeepRules,
    made: Option<&Backup>,
    counts: &mut Counts,
) -> Result<(), MaintError> {
    let files = backup_store::list(into)?;
    let taken: Vec<_> = files.iter().map(|file| file.name.taken).collect();
    for (file, mut reasons) in files.into_iter().zip(rules.reasons(&taken)) {
        if made.is_some_and(|made| made.path == file.path) {
            reasons.push("just made and verified".to_owned());
        }
        if let Some(until) = guarded(job, &file) {
            reasons.push(format!(
                "the last one before more than half of the rows went; stays until {}",
                until.day()
            ));
        }
        let name = file.name.to_string();
        if !reasons.is_empty() {
            counts.kept.push(Kept { file: name, reasons });
        } else if job.run.dry_run {
            counts.removed.push(name);
        } else {
            match backup_store::remove(&file) {
                Ok(()) => counts.removed.push(name),
                Err(error) => job.failed(name, &error),
            }
        }
    }
    Ok(())
}

fn guarded(job: &Job<'_>, file: &BackupFile) -> Option<Timestamp> {
    file.manifest.guarded_until().filter(|until| *until > job.now && !job.run.force)
}
