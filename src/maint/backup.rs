//! `backup-db`: one proven backup, then the old ones by the keep rules.

use std::fs::File;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;

use crate::adapters::backup_store::{self, BackupFile};
use crate::adapters::backup_writer::{self, Backup, BackupError, Proven, Stage, StageTimes};
use crate::adapters::scratch;
use crate::adapters::set_aside;
use crate::adapters::snapshot;
use crate::adapters::sqlite::During;
use crate::adapters::{erasure_ledger, expiry_store, import_owners, run_store};
use crate::domain::backup::{GUARDED_FOR, KeepRules};
use crate::domain::maintenance::BACKUP_DB;
use crate::domain::retention::check_clock;
use crate::maint::{Job, MaintError, Needs, Report, Run, Schema};

mod patient_pipe;
pub(crate) mod place;
mod shelf;

use patient_pipe::PatientPipe;
use shelf::Shelf;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Which old backups stay, as the command line asks for it; where that asks for nothing, the settings count.
#[derive(Debug, Clone, Copy, Default)]
pub struct Keep {
    /// `--keep`; `None`: `BACKUP_KEEP`.
    pub newest: Option<NonZeroU32>,
    /// `--keep-daily`; `None`: `BACKUP_KEEP_DAILY`.
    pub daily: Option<u32>,
    /// `--keep-weekly`; `None`: `BACKUP_KEEP_WEEKLY`.
    pub weekly: Option<u32>,
    /// `--keep-monthly`; `None`: `BACKUP_KEEP_MONTHLY`.
    pub monthly: Option<u32>,
}

/// Where the backup goes.
pub enum Destination {
    /// Into a directory; `None`: `BACKUP_DIR`.
    Directory(Option<PathBuf>),
    /// Into a pipe; nothing is rotated.
    Pipe(File),
}

/// What the command line asks for.
pub struct Options {
    /// Which old ones stay.
    pub keep: Keep,
    /// `--output-dir` or `--stdout`.
    pub destination: Destination,
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
    /// The longest a backup made now can stay by these rules and at this pace, and guarded on its last day; an erasure is
    /// promised by it.
    pub kept_at_most_days: Option<u64>,
    /// The newest backup from before more than half of the rows went, when this run tells of it; it is guarded now.
    pub most_rows_gone_since: Option<String>,
    /// Databases set aside by a restore that went, because their time was over.
    pub set_aside_removed: Vec<String>,
}

/// Runs the job.
pub fn run(run: &Run<'_>, options: Options) -> Report<Counts> {
    run.recorded(Needs { job: BACKUP_DB, schema: Schema::CurrentOrOlder, reserve: false }, |job, counts| {
        back_up(job, options, counts)
    })
}

fn back_up(job: &mut Job<'_>, options: Options, counts: &mut Counts) -> Result<(), MaintError> {
    let rules = rules(job, options.keep);
    let into = match options.destination {
        Destination::Directory(asked) => asked.unwrap_or_else(|| job.dir.backups().to_owned()),
        Destination::Pipe(pipe) => return into_pipe(job, pipe, rules, counts),
    };
    if job.run.dry_run {
        return rehearse(job, &into, rules, counts);
    }
    let anew = place::begins_anew(job, &into)?;
    job.dir.owner().create_dir(&into)?;
    let taken_over = place::is_taken_over(job, &into)?;
    if taken_over {
        guard_last(job, &into)?;
    }
    backup_writer::claim(&job.dir, &into, taken_over)?;
    // What was there before tells whether most rows have gone since.
    let before = Shelf::look(&into, job.now)?;
    let proven = prove(job, &into)?;
    let richer = before.richer(proven.contents().rows());
    let backup = observed(job, |observe| backup_writer::keep(proven, &job.dir, &into, job.now, observe))?;
    take_up(counts, &backup);
    let lists =
        erasure_ledger::copy_to(&job.dir, &into).and_then(|()| import_owners::copy_to(&job.dir, &into));
    if let Err(error) = lists {
        // The backup is good; what goes with it is not complete.
        job.failed(into.display().to_string(), &error);
    }
    let shelf = Shelf::look(&into, job.now)?.with_made(&backup.path);
    settle(job, shelf, &Settling { rules, richer: &richer, forced: anew || taken_over }, counts)
}

/// A dry run: the same checks in the same order, and the same plan with the backup that would be made in it. What only
/// the copy itself could tell, that it is whole, stays open.
fn rehearse(job: &mut Job<'_>, into: &Path, rules: KeepRules, counts: &mut Counts) -> Result<(), MaintError> {
    backup_writer::try_place(&job.dir, into)?;
    let forced = place::begins_anew(job, into)? || place::is_taken_over(job, into)?;
    let contents = snapshot::count(job.dir.database())?;
    counts.database_bytes = contents.bytes;
    counts.sessions = contents.sessions;
    counts.checkpoints = contents.checkpoints;
    counts.memories = contents.memories;
    let shelf = Shelf::look(into, job.now)?;
    let richer = shelf.richer(contents.rows());
    let shelf = shelf.with_one_more(job.dir.backup_recipient().is_some())?;
    settle(job, shelf, &Settling { rules, richer: &richer, forced }, counts)
}

/// Whether what the clock says is backed by what has happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Clock {
    Sure,
    /// It is taken for right by `--force` alone: no guard is over by it.
    Doubted,
}

/// What is to be settled once the backup is made.
struct Settling<'a> {
    rules: KeepRules,
    /// Those from before most rows went, newest first.
    richer: &'a [BackupFile],
    /// `--force` was spent on the directory: it passes nothing else, and nothing is removed.
    forced: bool,
}

/// Which of the backups stay. Only here, where a run that is not refused ends, are they marked as told of: what a refused
/// run had seen would never be told.
fn settle(
    job: &mut Job<'_>,
    shelf: Shelf<'_>,
    on: &Settling<'_>,
    counts: &mut Counts,
) -> Result<(), MaintError> {
    // In a directory that was just taken over the newest is guarded already: it is told of now or never.
    let told_first = on.forced && !on.richer.is_empty();
    let clock = if told_first { Clock::Doubted } else { check_fuse(job, on.rules, on.forced)? };
    counts.kept_at_most_days = Some(shelf.longest_days(on.rules));
    if let Some(before) = on.richer.first() {
        counts.most_rows_gone_since = Some(before.name.to_string());
        shelf.tell_of_loss(job, before, counts);
        return if job.run.dry_run { Ok(()) } else { mark_told(job, on.richer) };
    }
    if on.forced {
        shelf.keep_all("the directory was not this installation's before: this run removes nothing", counts);
        return Ok(());
    }
    shelf.rotate(job, (on.rules, clock), counts);
    clear_set_aside(job, counts)
}

/// Removes the databases that restores have set aside and whose time is over.
fn clear_set_aside(job: &Job<'_>, counts: &mut Counts) -> Result<(), MaintError> {
    let clear = if job.run.dry_run { set_aside::older } else { set_aside::remove_older };
    counts.set_aside_removed = clear(&job.dir, job.now, kept_aside(job))?;
    Ok(())
}

fn kept_aside(job: &Job<'_>) -> Duration {
    DAY * job.run.config.retention.backup_keep.get()
}

fn rules(job: &Job<'_>, keep: Keep) -> KeepRules {
    let set = job.run.config.retention.keep_rules();
    KeepRules {
        newest: keep.newest.unwrap_or(set.newest),
        daily: keep.daily.unwrap_or(set.daily),
        weekly: keep.weekly.unwrap_or(set.weekly),
        monthly: keep.monthly.unwrap_or(set.monthly),
    }
}

/// A backup for a pipe goes nowhere else: its copy lies in the data directory, and no backup is rotated. Whoever makes
/// no others has databases set aside all the same.
fn into_pipe(job: &Job<'_>, pipe: File, rules: KeepRules, counts: &mut Counts) -> Result<(), MaintError> {
    let place = scratch::own_place(&job.dir);
    if job.run.dry_run {
        backup_writer::try_place(&job.dir, &place)?;
    } else {
        job.dir.owner().create_dir(&place)?;
        let proven = prove(job, &place)?;
        let pipe = PatientPipe::new(pipe, job.run.stop.clone());
        let backup = observed(job, |observe| backup_writer::stream(proven, job.now, pipe, observe))?;
        take_up(counts, &backup);
    }
    if !set_aside::older(&job.dir, job.now, kept_aside(job))?.is_empty() {
        check_fuse(job, rules, false)?;
    }
    clear_set_aside(job, counts)
}

/// Guards the newest of those with more than twice the rows, and marks the others as told of, with a time that is over:
/// the next night goes on as usual.
fn mark_told(job: &Job<'_>, richer: &[BackupFile]) -> Result<(), MaintError> {
    // The newest last: whoever is killed before it is guarded begins again.
    for (place, file) in richer.iter().enumerate().rev() {
        let until = if place == 0 { job.now.later_by(GUARDED_FOR) } else { job.now };
        backup_store::guard(file, until, job.dir.owner())?;
    }
    Ok(())
}

/// Guards the last one of another installation, before its directory is taken over: nobody else has what is in it.
fn guard_last(job: &Job<'_>, into: &Path) -> Result<(), MaintError> {
    let shelf = Shelf::look(into, job.now)?;
    let last = shelf.last();
    last.map_or(Ok(()), |file| backup_store::guard(file, job.now.later_by(GUARDED_FOR), job.dir.owner()))?;
    Ok(())
}

fn prove(job: &Job<'_>, into: &Path) -> Result<Proven, MaintError> {
    observed(job, |observe| backup_writer::prove(&job.dir, into, observe, job.run.stop.asked()))
}

/// Runs `work` with an observer that shows progress and hears the wish to stop.
fn observed<T>(
    job: &Job<'_>,
    work: impl FnOnce(backup_writer::Observer<'_>) -> Result<T, BackupError>,
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

/// A wrong clock must not rotate good backups away; it does not keep a new one from being made. A `--force` that was
/// `spent` on something else does not pass it.
fn check_fuse(job: &Job<'_>, rules: KeepRules, spent: bool) -> Result<Clock, MaintError> {
    // One that took over a directory did part of its work without a look at the clock, one into a pipe all of it.
    let last = run_store::last_backup_on_disk(&job.db).during("read the record of runs")?;
    let witness = expiry_store::clock_witness(&job.db, last).during("find the newest turn")?;
    match check_clock(job.now, witness, DAY * rules.newest.get()) {
        Ok(()) => Ok(Clock::Sure),
        Err(_) if job.run.force && !spent => Ok(Clock::Doubted),
        Err(doubt) => Err(doubt.into()),
    }
}

fn take_up(counts: &mut Counts, backup: &Backup) {
    counts.path = Some(backup.path.display().to_string());
    counts.bytes = backup.manifest.bytes;
    counts.sha256 = Some(backup.manifest.sha256.clone());
    counts.database_bytes = backup.manifest.database_bytes;
    counts.sessions = backup.manifest.sessions;
    counts.checkpoints = backup.manifest.checkpoints;
    counts.memories = backup.manifest.memories;
    counts.verified = true;
    counts.times = backup.times;
    tracing::info!(
        event = "backup_completed",
        path = counts.path,
        bytes = counts.bytes,
        sessions = counts.sessions,
        checkpoints = counts.checkpoints,
        memories = counts.memories,
        snapshot_ms = backup.times.snapshot_ms,
        verify_ms = backup.times.verify_ms,
        compress_ms = backup.times.compress_ms,
        "The backup is made and verified"
    );
}
