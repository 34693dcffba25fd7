//! `restore-db`: brings a backup back, or changes nothing.
//!
//! The backup is unpacked beside the database and proven there; people who asked to be forgotten since are erased from
//! that copy; only then is the current database set aside and the copy put in its place. Whatever fails is undone, and
//! what was interrupted is undone by the next run.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Instant;

use serde::Serialize;

use crate::adapters::acting::Acting;
use crate::adapters::backup_codec::{self, Identities};
use crate::adapters::backup_store::Manifest;
use crate::adapters::backup_writer::ensure_room;
use crate::adapters::data_dir::{DataDir, DataDirError, Lock};
use crate::adapters::disk::{self, Naming};
use crate::adapters::leftovers::remove_leftovers;
use crate::adapters::scratch::Scratch;
use crate::adapters::snapshot::{self, Contents, Depth, SnapshotError};
use crate::adapters::{inspection, run_store, set_aside, sqlite};
use crate::domain::clock::Timestamp;
use crate::domain::maintenance::{BACKUP_DB, JOBS, RESTORE_DB};
use crate::maint::{MaintError, Outcome, Report, Run, item};

mod choice;
mod expiring;
mod new_home;
mod since;
mod way_back;
mod whose;

pub(crate) use choice::Chosen;

/// What the command line asks for.
#[derive(Debug, Clone)]
pub struct Options {
    /// A backup's path, its name in `BACKUP_DIR`, or `latest`.
    pub backup: String,
    /// `--identity`: the file with the secret key of an encrypted backup.
    pub identity: Option<PathBuf>,
}

/// What was brought back.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Counts {
    /// The backup.
    pub path: Option<String>,
    /// When it was taken.
    pub created_at: Option<String>,
    /// Size of the packed file.
    pub bytes: u64,
    /// Its SHA-256, hexadecimal.
    pub sha256: Option<String>,
    /// The schema version of the database in it.
    pub schema_version: i64,
    /// Size of the database in it.
    pub database_bytes: u64,
    /// Sessions in it.
    pub sessions: u64,
    /// Checkpoints in it.
    pub checkpoints: u64,
    /// Memories in it.
    pub memories: u64,
    /// True when it was proven whole.
    pub verified: bool,
    /// Sessions of it that `cleanup-sessions` deletes within a day, unless they are used or the retention is raised.
    pub would_expire: u64,
    /// People it still held who had asked to be forgotten, and were.
    pub erased_again: u64,
    /// True when an earlier restore that was interrupted had to be undone first.
    pub interrupted_restore_undone: bool,
    /// Whom a data directory that was made for it belongs to, as user:group; `null` when there was one.
    pub data_dir_made_for: Option<String>,
    /// Where the database from before lies.
    pub set_aside: Option<String>,
    /// How to go back to it.
    pub go_back: Option<String>,
}

/// A copy of the database in a backup, proven; gone when dropped.
pub(crate) struct Unpacked {
    pub scratch: Scratch,
    pub contents: Contents,
}

/// What an unpacked copy is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To be put in place: flushed to the disk. What its indexes miss does not keep it from coming back.
    Return,
    /// To be looked through only: every index, too, and it need not survive the power going.
    Look,
}

/// Every lock there is: no server and no job can run meanwhile.
pub(crate) struct Fence {
    _locks: Vec<Lock>,
}

/// The data directory, and nobody else in it.
struct Entered {
    dir: DataDir,
    _lock: Lock,
    _fence: Fence,
    _acting: Acting,
}

/// Runs the job.
pub fn run(run: &Run<'_>, options: &Options) -> Report<Counts> {
    let (began, now) = (Instant::now(), run.clock.now());
    let mut counts = Counts::default();
    let (entered, ended) = match enter(run, options, &mut counts) {
        Ok(entered) => {
            let ended =
                restore(run, entered.as_ref().map(|entered| &entered.dir), options, (now, &mut counts));
            (entered, ended)
        }
        Err(error) => (None, Err(error)),
    };
    let ended = ended.map_err(|error| run.stop.explain(error));
    let made = counts.data_dir_made_for.take_if(|_| ended.is_err()).is_some();
    if made {
        new_home::unmake(&run.config.storage);
    }
    let (outcome, errors) = match &ended {
        Ok(()) => (Outcome::Done, Vec::new()),
        Err(error) => (error.outcome(), vec![item(options.backup.clone(), error)]),
    };
    let report = Report::of(run, RESTORE_DB, (now, began), counts, (outcome, errors));
    if let Some(entered) = entered.filter(|_| !run.dry_run && !made) {
        record(&entered.dir, outcome, &report);
    }
    report
}

/// The data directory behind its fence; `None` when it is only tried on a new host, which has none.
fn enter(run: &Run<'_>, options: &Options, counts: &mut Counts) -> Result<Option<Entered>, MaintError> {
    let storage = &run.config.storage;
    if !storage.data_dir.exists() {
        if run.dry_run {
            return Ok(None);
        }
        let backup = choice::choose(run, &options.backup)?.path;
        let (user, group) = new_home::make(&storage.data_dir, &backup)?;
        counts.data_dir_made_for = Some(format!("{user}:{group}"));
    }
    let enter = if run.dry_run { DataDir::enter } else { DataDir::create_and_enter };
    let (dir, acting) = enter(storage)?;
    let lock = run.lock(&dir, RESTORE_DB)?;
    let fence = Fence::around(run, &dir, RESTORE_DB)?;
    Ok(Some(Entered { dir, _lock: lock, _fence: fence, _acting: acting }))
}

impl Fence {
    /// Takes every lock but that of the job `but`, which the caller holds; waits for jobs as long as `--wait-lock` says.
    pub(crate) fn around(run: &Run<'_>, dir: &DataDir, but: &str) -> Result<Self, MaintError> {
        let mut locks = Vec::new();
        match dir.lock("server") {
            Err(DataDirError::Locked { place, .. }) => return Err(MaintError::ServerRuns(place)),
            server => locks.push(server?),
        }
        for job in JOBS.into_iter().filter(|job| *job != but) {
            locks.push(run.lock(dir, job)?);
        }
        Ok(Self { _locks: locks })
    }
}

fn restore(
    run: &Run<'_>,
    dir: Option<&DataDir>,
    options: &Options,
    (now, counts): (Timestamp, &mut Counts),
) -> Result<(), MaintError> {
    let identities = options.identity.as_deref().map(Identities::read).transpose()?.unwrap_or_default();
    if let Some(dir) = dir.filter(|_| !run.dry_run) {
        counts.interrupted_restore_undone = set_aside::undo(dir)?;
        // Nobody else is at work here; a copy that was never finished would take the room of the one to come.
        for place in [dir.root(), dir.database().parent().unwrap_or(dir.root())] {
            remove_leftovers(place)?;
        }
    }
    let chosen = choice::choose(run, &options.backup)?;
    if let Some(dir) = dir {
        whose::check(run, dir, &options.backup)?;
    }
    take_up(counts, &chosen);
    let beside =
        dir.map_or_else(|| new_home::around(&run.config.storage.data_dir), |dir| beside(dir.database()));
    let unpacked = unpack(run, beside, &chosen, &identities, Purpose::Return)?;
    counts.verified = true;
    counts.schema_version = unpacked.contents.schema_version;
    counts.sessions = unpacked.contents.sessions;
    counts.checkpoints = unpacked.contents.checkpoints;
    counts.memories = unpacked.contents.memories;
    counts.database_bytes = unpacked.contents.bytes;
    counts.would_expire = expiring::count(&run.config.retention, &unpacked.scratch.0, now)?;
    match dir {
        Some(dir) if !run.dry_run => {
            whose::go_on(dir, &chosen)?;
            since::take_lists_along(dir, &chosen)?;
            put_in_place(run, dir, unpacked, (now, &mut *counts))?;
        }
        _ => return Ok(()),
    }
    log_completed(counts);
    Ok(())
}

fn beside(database: &Path) -> &Path {
    database.parent().filter(|place| !place.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Not where the copy is put in its place: a drill does that too.
fn log_completed(counts: &Counts) {
    tracing::info!(
        event = "restore_completed",
        path = counts.path,
        sessions = counts.sessions,
        checkpoints = counts.checkpoints,
        erased_again = counts.erased_again,
        would_expire = counts.would_expire,
        set_aside = counts.set_aside,
        data_dir_made_for = counts.data_dir_made_for,
        "The backup is restored"
    );
}

fn take_up(counts: &mut Counts, chosen: &Chosen) {
    counts.path = Some(chosen.path.display().to_string());
    if let Some(manifest) = &chosen.manifest {
        counts.created_at = Some(manifest.created_at.clone());
        counts.bytes = manifest.bytes;
        counts.sha256 = Some(manifest.sha256.clone());
    }
}

/// Erases who asked to be forgotten, ends every sign-in, then sets the current database aside for the copy. Undone when anything fails.
pub(crate) fn put_in_place(
    run: &Run<'_>,
    dir: &DataDir,
    unpacked: Unpacked,
    (now, counts): (Timestamp, &mut Counts),
) -> Result<(), MaintError> {
    let Unpacked { scratch, .. } = unpacked;
    counts.erased_again = since::make_true(dir, &scratch.0)?;
    let expected = snapshot::count(&scratch.0)?;
    dir.owner().adopt(&scratch.0)?;
    if run.go_on().is_break() {
        return Err(MaintError::Stopped);
    }
    let replaced = set_aside::replace(dir, &scratch.0, now).map_err(MaintError::from);
    let proven = replaced.and_then(|aside| {
        let found = snapshot::count(dir.database())?;
        if found == expected {
            Ok(aside)
        } else {
            Err(MaintError::Copy(SnapshotError::Broken("it holds other counts in its place".to_owned())))
        }
    });
    match proven {
        Ok(aside) => {
            set_aside::finish(dir)?;
            counts.go_back = aside.as_deref().map(|aside| way_back::commands(dir, aside));
            counts.set_aside = aside.map(|aside| aside.display().to_string());
            Ok(())
        }
        Err(error) => {
            set_aside::undo(dir)?;
            Err(error)
        }
    }
}

/// In the database that is there now: the restored one, or the one from before.
fn record(dir: &DataDir, outcome: Outcome, report: &Report<Counts>) {
    let recorded = sqlite::open(dir.database(), sqlite::Access::ReadWrite).and_then(|(db, _)| {
        let text = serde_json::to_string(report).unwrap_or_default();
        // Every lock is held, so nothing is running: that is how the backup saw itself.
        let made = report.counts.created_at.as_deref().filter(|_| outcome == Outcome::Done);
        made.and_then(Timestamp::parse)
            .map_or(Ok(()), |at| run_store::tell_maker(&db, BACKUP_DB, at))
            .and_then(|()| inspection::mark_all_killed(&db))
            .and_then(|()| run_store::begin(&db, RESTORE_DB, report.started_at))
            .and_then(|key| run_store::finish(&db, key, report.ended_at(), outcome.recorded_as(), &text))
            .map_err(|source| sqlite::DbError::from_sqlite("record the run", source))
    });
    if let Err(error) = recorded {
        tracing::warn!(error = %error, "This run could not be recorded");
    }
}

/// Unpacks a backup into a scratch file in `into` and proves it: its hash, its pages and rows, its references, and that
/// it holds what its manifest says.
pub(crate) fn unpack(
    run: &Run<'_>,
    into: &Path,
    chosen: &Chosen,
    identities: &Identities,
    purpose: Purpose,
) -> Result<Unpacked, MaintError> {
    let total = chosen.manifest.as_ref().map_or(0, |manifest| manifest.database_bytes);
    ensure_room(into, total, 0)?;
    let scratch = Scratch::new(into)?;
    let file: File = OpenOptions::new().write(true).open(&scratch.0).naming("open", &scratch.0)?;
    let observe = &mut |done| {
        run.progress.advance("bytes unpacked", done, total);
        if run.go_on().is_break() { Err(io::ErrorKind::Interrupted.into()) } else { Ok(()) }
    };
    let packed = chosen.rights.lend(|| disk::open_to_read(&chosen.path))?;
    backup_codec::unpack((&chosen.path, packed), &file, chosen.expected(), identities, observe)?;
    let contents = prove(run, &scratch, &file, purpose)?;
    if let Some(promised) = chosen.manifest.as_ref().map(Manifest::contents).filter(|told| *told != contents)
    {
        let told = format!("its manifest promises {}, it holds {}", rows(&promised), rows(&contents));
        return Err(SnapshotError::Broken(told).into());
    }
    Ok(Unpacked { scratch, contents })
}

fn rows(held: &Contents) -> String {
    let Contents { schema_version, sessions, checkpoints, memories, .. } = held;
    format!(
        "{sessions} sessions, {checkpoints} checkpoints and {memories} memories of schema {schema_version}"
    )
}

/// Looks the copy through while the disk is still taking it in.
fn prove(run: &Run<'_>, scratch: &Scratch, file: &File, purpose: Purpose) -> Result<Contents, MaintError> {
    if purpose == Purpose::Look {
        return Ok(snapshot::verify(&scratch.0, Depth::Full, run.stop.asked())?);
    }
    let (proven, flushed) = thread::scope(|scope| {
        let flushing = scope.spawn(|| file.sync_all());
        (snapshot::verify(&scratch.0, Depth::Quick, run.stop.asked()), flushing.join())
    });
    flushed.unwrap_or_else(|panic| std::panic::resume_unwind(panic)).naming("flush", &scratch.0)?;
    Ok(proven?)
}
