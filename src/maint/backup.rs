//! `backup-db`: one proven backup, then the old ones by the keep rules.

use std::io::Write;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;

use crate::adapters::backup_store::{self, BackupFile};
use crate::adapters::backup_writer::{self, Backup, BackupError, Proven, Stage, StageTimes};
use crate::adapters::installation::{self, Claim};
use crate::adapters::set_aside;
use crate::adapters::snapshot;
use crate::adapters::sqlite::During;
use crate::adapters::{erasure_ledger, expiry_store, import_owners};
use crate::domain::backup::{GUARDED_FOR, KeepRules};
use crate::domain::maintenance::BACKUP_DB;
use crate::domain::retention::check_clock;
use crate::maint::{Job, MaintError, Needs, Report, Run, Schema};

pub(crate) mod place;
mod shelf;

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
    let into = match options.destination {
        Destination::Directory(asked) => asked.unwrap_or_else(|| job.dir.backups().to_owned()),
        Destination::Pipe(pipe) => return into_pipe(job, pipe, counts),
    };
    if job.run.dry_run {
        return rehearse(job, &into, rules, counts);
    }
    place::refuse_vanished(job, &into)?;
    job.dir.owner().create_dir(&into)?;
    backup_writer::claim(&job.dir, &into, job.run.force)?;
    // What was there before tells whether most rows have gone since.
    let before = Shelf::look(&into, job.now)?;
    let doubt = check_fuse(job, rules);
    let proven = prove(job, &into)?;
    let richer = before.richer(proven.contents().rows());
    // Before the new one has its name: the next run must not take these for ordinary ones.
    guard_newest(job, &richer)?;
    let backup = observed(job, |observe| backup_writer::keep(proven, &job.dir, &into, job.now, observe))?;
    take_up(counts, &backup);
    let lists =
        erasure_ledger::copy_to(&job.dir, &into).and_then(|()| import_owners::copy_to(&job.dir, &into));
    if let Err(error) = lists {
        // The backup is good; what goes with it is not complete.
        job.failed(into.display().to_string(), &error);
    }
    doubt?;
    let shelf = Shelf::look(&into, job.now)?.with_made(&backup.path);
    counts.kept_at_most_days = Some(shelf.longest_days(rules));
    if let Some(before) = richer.first().filter(|_| !job.run.force) {
        shelf.keep_all(job, before, counts);
        return Ok(());
    }
    shelf.rotate(job, rules, counts);
    counts.set_aside_removed = set_aside::remove_older(&job.dir, job.now, kept_aside(job))?;
    Ok(())
}

/// A dry run: the same checks in the same order, and the same plan with the backup that would be made in it. What only
/// the copy itself could tell, that it is whole, stays open.
fn rehearse(job: &mut Job<'_>, into: &Path, rules: KeepRules, counts: &mut Counts) -> Result<(), MaintError> {
    backup_writer::try_place(&job.dir, into)?;
    place::refuse_vanished(job, into)?;
    if !job.run.force && installation::claim(&job.dir, into)? == Claim::Anothers {
        return Err(BackupError::Anothers(into.to_owned()).into());
    }
    let contents = snapshot::count(job.dir.database())?;
    counts.database_bytes = contents.bytes;
    counts.sessions = contents.sessions;
    counts.checkpoints = contents.checkpoints;
    counts.memories = contents.memories;
    check_fuse(job, rules)?;
    let shelf = Shelf::look(into, job.now)?;
    let richer = shelf.richer(contents.rows());
    let shelf = shelf.with_one_more(job.dir.backup_recipient().is_some())?;
    counts.kept_at_most_days = Some(shelf.longest_days(rules));
    if let Some(before) = richer.first().filter(|_| !job.run.force) {
        shelf.keep_all(job, before, counts);
        return Ok(());
    }
    shelf.rotate(job, rules, counts);
    counts.set_aside_removed = set_aside::older(&job.dir, job.now, kept_aside(job))?;
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

/// A backup for a pipe goes nowhere else: its copy lies in the data directory, and nothing is rotated.
fn into_pipe(job: &Job<'_>, pipe: Box<dyn Write + '_>, counts: &mut Counts) -> Result<(), MaintError> {
    let place = backup_writer::own_place(&job.dir);
    if job.run.dry_run {
        return backup_writer::try_place(&job.dir, &place).map_err(Into::into);
    }
    job.dir.owner().create_dir(&place)?;
    let proven = prove(job, &place)?;
    let backup = observed(job, |observe| backup_writer::stream(proven, job.now, pipe, observe))?;
    take_up(counts, &backup);
    Ok(())
}

/// Guards the newest of those with more than twice the rows. The others are marked as told of, with a time that is
/// over, and so are all by `--force`: the next night goes on as usual.
fn guard_newest(job: &Job<'_>, richer: &[BackupFile]) -> Result<(), MaintError> {
    // The newest last: whoever is killed before it is guarded begins again.
    for (place, file) in richer.iter().enumerate().rev() {
        let guarded = place == 0 && !job.run.force;
        let until = if guarded { job.now.later_by(GUARDED_FOR) } else { job.now };
        backup_store::guard(file, until, job.dir.owner())?;
    }
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
