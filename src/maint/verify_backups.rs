//! `verify-backups`: every backup is unpacked and looked through, as if it had to be restored tonight.
//!
//! Nothing is written where the backups lie: that may be another machine, which is not to see what is decrypted here.
//!
//! One without a readable manifest does not verify: there is nothing to hold it against. An encrypted one without its key is held against its SHA-256: what it was before encryption was checked then. With
//! `--restore-drill` the newest one that verifies is restored into a directory of its own, opened as the server would,
//! brought up to date there and read from.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Instant;

use serde::Serialize;

use crate::adapters::acting::Rights;
use crate::adapters::backup_codec::{self, Identities, UnpackError};
use crate::adapters::backup_store::{self, BackupFile, Listing};
use crate::adapters::backup_writer::{BackupError, ensure_room};
use crate::adapters::data_dir::DataDir;
use crate::adapters::disk::{self, DiskError, Naming};
use crate::adapters::snapshot::SnapshotError;
use crate::adapters::sqlite::{self, Access, During};
use crate::adapters::{erasure_ledger, expiry_store, session_store};
use crate::config::StorageConfig;
use crate::domain::clock::Timestamp;
use crate::domain::maintenance::VERIFY_BACKUPS;
use crate::maint::restore::{self, Chosen, Purpose, Unpacked};
use crate::maint::{Job, MaintError, Needs, Report, Run, Schema, millis};

/// What the command line asks for.
#[derive(Debug, Clone)]
pub struct Options {
    /// `--restore-drill`.
    pub drill: bool,
    /// `--identity`.
    pub identity: Option<PathBuf>,
}

/// How a backup was looked through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Checked {
    /// Unpacked, every page and index.
    Content,
    /// Its SHA-256 only: it is encrypted, and no key was given.
    Sha256,
}

/// A backup that verifies.
#[derive(Debug, Clone, Serialize)]
pub struct Verified {
    /// Its file name.
    pub file: String,
    /// How it was looked through.
    pub checked: Checked,
    /// Sessions in it.
    pub sessions: u64,
    /// Checkpoints in it.
    pub checkpoints: u64,
}

/// A restore that was tried.
#[derive(Debug, Clone, Serialize)]
pub struct Drill {
    /// The backup.
    pub file: String,
    /// How long it took.
    pub duration_ms: u64,
    /// Sessions that came back; people who asked to be forgotten are erased from it as in a real restore.
    pub sessions: u64,
    /// Checkpoints that came back.
    pub checkpoints: u64,
    /// Memories that came back.
    pub memories: u64,
    /// When the newest of them was last active.
    pub newest_activity: Option<Timestamp>,
}

/// What was found.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Counts {
    /// Backups there are.
    pub backups: u64,
    /// Those that verify.
    pub verified: Vec<Verified>,
    /// How many do not; they are in `errors`.
    pub failed: u64,
    /// The restore that was tried.
    pub drill: Option<Drill>,
}

/// Runs the job.
pub fn run(run: &Run<'_>, options: &Options) -> Report<Counts> {
    let needs = Needs { job: VERIFY_BACKUPS, schema: Schema::CurrentOrOlder, reserve: false };
    run.recorded(needs, |job, counts| look_through(job, options, counts))
}

fn look_through(job: &mut Job<'_>, options: &Options, counts: &mut Counts) -> Result<(), MaintError> {
    let identities = options.identity.as_deref().map(Identities::read).transpose()?.unwrap_or_default();
    let place = job.dir.backups().to_owned();
    let there = disk::is_dir(&place).naming("look at", &place)?;
    let listing = if there { backup_store::look_through(&place)? } else { Listing::default() };
    counts.backups = (listing.backups.len() + listing.without_manifest.len()) as u64;
    if counts.backups == 0 {
        return Err(MaintError::NoBackup(place));
    }
    for name in &listing.without_manifest {
        bare(job, &place.join(name.to_string()), counts);
    }
    let bench = Bench::set_up(&job.dir)?;
    let (mut newest, mut excuse) = (None, None);
    for backup in listing.backups {
        job.check_stop()?;
        match check(job.run, &bench.0, &backup, &identities) {
            Ok(verified) => {
                counts.verified.push(verified);
                newest = newest.or(Some(backup));
            }
            // The keep rules may have taken it meanwhile.
            Err(_) if backup_store::is_gone(&backup.path) => counts.backups -= 1,
            Err(
                MaintError::Unpack(UnpackError::Stopped)
                | MaintError::Copy(SnapshotError::Stopped)
                | MaintError::Stopped,
            ) => return Err(MaintError::Stopped),
            Err(error) => {
                counts.failed += 1;
                job.failed(backup.name.to_string(), &error);
                excuse = excuse_of(error, options, &place).or(excuse);
            }
        }
    }
    let newest = newest.ok_or_else(|| excuse.unwrap_or(MaintError::NoneVerifies(place)))?;
    if options.drill {
        counts.drill = Some(drill(job, &bench, &newest, &identities)?);
    }
    tracing::info!(
        event = "backups_verified",
        backups = counts.backups,
        verified = counts.verified.len(),
        failed = counts.failed,
        drill = counts.drill.is_some(),
        "Looked through the backups"
    );
    Ok(())
}

/// A backup without a readable manifest would be found by no restore of `latest`, so it counts as one that does not verify,
/// unless it has gone since.
fn bare(job: &mut Job<'_>, path: &Path, counts: &mut Counts) {
    if backup_store::is_gone(path) || backup_store::at(path).is_some() {
        counts.backups -= 1;
        return;
    }
    counts.failed += 1;
    let told = "it has no readable manifest beside it: put its .json back, or move it elsewhere".to_owned();
    let item = path.file_name().unwrap_or_default().to_string_lossy();
    job.failed(item.into_owned(), &MaintError::Unpack(UnpackError::Broken(told)));
}

/// A backup that could not be looked at is not a bad one: what to say of all of them where none verifies.
fn excuse_of(error: MaintError, options: &Options, place: &Path) -> Option<MaintError> {
    match (error, &options.identity) {
        (error @ MaintError::Backup(BackupError::NoSpace { .. }), _) => Some(error),
        (MaintError::Unpack(UnpackError::WrongIdentity), Some(identity)) => {
            Some(MaintError::NoneOpens { backups: place.to_owned(), identity: identity.clone() })
        }
        _ => None,
    }
}

/// Its name in the data directory: one that nobody gives to a directory of their own.
pub(crate) const BENCH: &str = ".companion-tmp-verify";

/// A directory to unpack in, which belongs to whoever holds the lock of this job; gone when dropped.
struct Bench(PathBuf);

impl Bench {
    fn set_up(dir: &DataDir) -> Result<Self, DiskError> {
        let bench = Self(dir.root().join(BENCH));
        bench.clear()?;
        dir.owner().create_dir(&bench.0)?;
        Ok(bench)
    }

    fn clear(&self) -> Result<(), DiskError> {
        match fs::remove_dir_all(&self.0) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error).naming("remove", &self.0),
            _ => Ok(()),
        }
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        if let Err(error) = self.clear() {
            tracing::warn!(error = %error, "The scratch directory could not be removed; the next run does so");
        }
    }
}

fn check(
    run: &Run<'_>,
    bench: &Path,
    backup: &BackupFile,
    identities: &Identities,
) -> Result<Verified, MaintError> {
    let file = backup.name.to_string();
    let (sessions, checkpoints) = (backup.manifest.sessions, backup.manifest.checkpoints);
    if backup.name.encrypted && identities.is_empty() {
        if backup_codec::sha256(&backup.path)? != backup.manifest.sha256 {
            let told = "its SHA-256 is not the one in its manifest".to_owned();
            return Err(UnpackError::Broken(told).into());
        }
        return Ok(Verified { file, checked: Checked::Sha256, sessions, checkpoints });
    }
    unpack(run, bench, backup, (identities, Purpose::Look))?;
    Ok(Verified { file, checked: Checked::Content, sessions, checkpoints })
}

/// Unpacks and proves one, and leaves as much room as those need who write there.
fn unpack(
    run: &Run<'_>,
    into: &Path,
    backup: &BackupFile,
    (identities, purpose): (&Identities, Purpose),
) -> Result<Unpacked, MaintError> {
    ensure_room(into, backup.manifest.database_bytes, run.config.storage.min_free_disk_bytes)?;
    let manifest = Some(backup.manifest.clone());
    let (path, encrypted) = (backup.path.clone(), backup.name.encrypted);
    let chosen = Chosen { path, rights: Rights::Owners, encrypted, manifest };
    restore::unpack(run, into, &chosen, identities, purpose)
}

/// A whole restore into a data directory of its own, up to the first reading.
fn drill(
    job: &Job<'_>,
    bench: &Bench,
    backup: &BackupFile,
    identities: &Identities,
) -> Result<Drill, MaintError> {
    let began = Instant::now();
    let root = bench.0.join("drill");
    let storage = StorageConfig {
        database: root.join("companion.db"),
        audio_dir: root.join("audio"),
        backup_dir: root.join("backups"),
        data_dir: root,
        ..job.run.config.storage.clone()
    };
    let dir = DataDir::create_or_open(&storage)?;
    for list in [job.dir.root(), job.dir.backups()] {
        erasure_ledger::take_along(&dir, list, Rights::Owners)?;
    }
    let unpacked = unpack(job.run, dir.root(), backup, (identities, Purpose::Return))?;
    restore::put_in_place(job.run, &dir, unpacked, (job.now, &mut restore::Counts::default()))?;
    let (mut db, _) = sqlite::open(dir.database(), Access::ReadWrite)?;
    sqlite::migrate(&mut db)?;
    let totals = session_store::totals(&db).during("count what came back")?;
    let newest_activity = expiry_store::newest_activity(&db).during("read what came back")?;
    Ok(Drill {
        file: backup.name.to_string(),
        duration_ms: millis(began.elapsed()),
        sessions: totals.sessions,
        checkpoints: totals.checkpoints,
        memories: totals.memories,
        newest_activity,
    })
}
