//! Making one backup: snapshot, proof, compression, and only then its name.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use age::x25519::Recipient;
use rustix::fs::{AtFlags, CWD, accessat};
use rustix::io::Errno;

use crate::adapters::backup_codec::{self, Packed};
use crate::adapters::backup_store::{self, Manifest};
use crate::adapters::data_dir::{DataDir, DataDirError};
use crate::adapters::disk::{self, DiskError, Naming};
use crate::adapters::installation::{self, Claim};
use crate::adapters::leftovers::remove_leftovers;
use crate::adapters::scratch::{self, Scratch};
use crate::adapters::snapshot::{self, Contents, Depth, SnapshotError};
use crate::domain::clock::Timestamp;

/// Why there is no backup. Older ones are untouched and nothing half-made is left.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The copy could not be made or does not verify.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// The copy does not verify, because what it is of is damaged.
    #[error(
        "the database is damaged, and no backup is made of it: {0}. `companion-maint doctor` tells more; bring a backup back with `companion-maint restore-db latest` (the handbook: \"The database is damaged\")"
    )]
    Damaged(String),
    /// Making it would leave less free space than `MIN_FREE_DISK_BYTES`.
    #[error("not enough space in {path}: {free} bytes are free, {needed} are needed, {spare} of them to stay free (MIN_FREE_DISK_BYTES)", path = path.display())]
    NoSpace {
        /// Where the backup should go.
        path: PathBuf,
        /// Free bytes there.
        free: u64,
        /// Bytes it takes, with those that are to stay free.
        needed: u64,
        /// Bytes that are to stay free.
        spare: u64,
    },
    /// The directory is that of another installation.
    #[error("refused: {path} holds the backups of another installation, and nothing in it was touched: set BACKUP_DIR (or --output-dir) to another directory; `companion-maint backup-db --force` takes it over with all that is in it, and removes nothing in that run", path = .0.display())]
    Anothers(PathBuf),
    /// The caller wanted to stop.
    #[error("stopped before the backup was complete")]
    Stopped,
    /// The disk said no.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The data directory cannot be used.
    #[error(transparent)]
    DataDir(#[from] DataDirError),
}

impl BackupError {
    fn of_copy(error: SnapshotError) -> Self {
        match error {
            SnapshotError::Stopped => Self::Stopped,
            SnapshotError::Broken(how) => Self::Damaged(how),
            error @ SnapshotError::Database(_) => error.into(),
        }
    }

    fn from_io(operation: &'static str, path: &Path, source: io::Error) -> Self {
        if source.kind() == io::ErrorKind::Interrupted {
            return Self::Stopped;
        }
        DiskError { operation, path: path.to_owned(), source }.into()
    }
}

/// What is being done, for a progress bar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Copying the database.
    Copying,
    /// Checking the copy.
    Checking,
    /// Compressing the copy.
    Compressing,
}

/// Hears how far the backup is, in bytes done and in all, and says whether to go on.
pub type Observer<'a> = &'a mut dyn FnMut(Stage, u64, u64) -> ControlFlow<()>;

/// How long each stage took.
#[derive(Debug, Clone, Copy, Default, serde::Serialize)]
pub struct StageTimes {
    /// Copying the database, in milliseconds.
    pub snapshot_ms: u64,
    /// Checking the copy, in milliseconds.
    pub verify_ms: u64,
    /// Compressing the copy, in milliseconds.
    pub compress_ms: u64,
}

/// A proven copy that is not compressed yet; gone when dropped.
pub struct Proven {
    scratch: Scratch,
    recipient: Option<Recipient>,
    contents: Contents,
    times: StageTimes,
}

impl Proven {
    /// What the copy holds.
    #[must_use]
    pub fn contents(&self) -> Contents {
        self.contents
    }
}

/// A finished backup.
pub struct Backup {
    /// Where it lies.
    pub path: PathBuf,
    /// Its manifest.
    pub manifest: Manifest,
    /// How long it took.
    pub times: StageTimes,
}

/// Where the copy is made and proven: beside the backups; where these are encrypted, in the data directory, which holds
/// the same words anyway. Nobody else writes there while the backup lock is held.
fn place_of_copy(dir: &DataDir, into: &Path) -> Result<PathBuf, DiskError> {
    if dir.backup_recipient().is_none() {
        return Ok(into.to_owned());
    }
    let place = scratch::own_place(dir);
    dir.owner().create_dir(&place)?;
    Ok(place)
}

/// Makes `into` the directory of this installation's backups; one that is another's only by `force`. The caller holds
/// the backup lock.
///
/// # Errors
/// [`BackupError::Anothers`], before anything there is touched; or what the disk says.
pub fn claim(dir: &DataDir, into: &Path, force: bool) -> Result<(), BackupError> {
    refuse_unwritable(into)?;
    match installation::take_over(dir, into, force)? {
        Claim::Ours | Claim::Nobodys => Ok(()),
        Claim::Anothers => Err(BackupError::Anothers(into.to_owned())),
    }
}

/// Copies the database into `into`, where nobody but this installation writes, and proves the copy. The caller holds the
/// backup lock. `stop` is asked while the copy is checked.
///
/// # Errors
/// See [`BackupError`].
pub fn prove(
    dir: &DataDir,
    into: &Path,
    observe: Observer<'_>,
    stop: impl FnMut() -> bool + Clone + Send + 'static,
) -> Result<Proven, BackupError> {
    remove_leftovers(into)?;
    scratch::clear_own_place(dir)?;
    backup_store::remove_lone_manifests(into)?;
    let size = database_size(dir);
    let place = place_of_copy(dir, into)?;
    ensure_room(&place, size, dir.min_free_bytes())?;
    let scratch = Scratch::new(&place)?;
    let mut times = StageTimes::default();
    let began = Instant::now();
    let mut full = Ok(());
    let taken = snapshot::take(dir.database(), &scratch.0, &mut |progress| {
        full = ensure_room(&place, 0, dir.min_free_bytes());
        if full.is_err() {
            ControlFlow::Break(())
        } else {
            observe(Stage::Copying, progress.done, progress.total)
        }
    });
    full?;
    taken.map_err(BackupError::of_copy)?;
    times.snapshot_ms = millis(began.elapsed());
    if observe(Stage::Checking, 0, size).is_break() {
        return Err(BackupError::Stopped);
    }
    let began = Instant::now();
    let contents = snapshot::verify(&scratch.0, Depth::Full, stop).map_err(BackupError::of_copy)?;
    times.verify_ms = millis(began.elapsed());
    Ok(Proven { scratch, recipient: dir.backup_recipient().cloned(), contents, times })
}

fn database_size(dir: &DataDir) -> u64 {
    std::fs::metadata(dir.database()).map_or(0, |meta| meta.len())
}

/// Looks whether [`prove`] would find its place, making nothing: a directory that is there or can be made, can be
/// written to and has room.
///
/// # Errors
/// Those that making the directory and [`prove`] would begin with.
pub fn try_place(dir: &DataDir, into: &Path) -> Result<(), BackupError> {
    // Nothing is above the root, and that is there.
    let there = into.ancestors().find(|place| place.as_os_str().is_empty() || place.exists()).unwrap_or(into);
    let there = if there.as_os_str().is_empty() { Path::new(".") } else { there };
    if !there.is_dir() {
        let error = if there == into { Errno::EXIST } else { Errno::NOTDIR };
        return Err(
            DiskError { operation: "create directory", path: into.to_owned(), source: error.into() }.into()
        );
    }
    refuse_unwritable(there)?;
    ensure_room(there, database_size(dir), dir.min_free_bytes())
}

fn refuse_unwritable(place: &Path) -> Result<(), DiskError> {
    let access = rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK;
    accessat(CWD, place, access, AtFlags::EACCESS).naming("write to", place)
}

/// Compresses a proven copy to `to` instead of into a file.
///
/// # Errors
/// See [`BackupError`].
pub fn stream(
    mut proven: Proven,
    at: Timestamp,
    to: impl Write,
    observe: Observer<'_>,
) -> Result<Backup, BackupError> {
    let mut pipe = Pipe { inner: to, refused: false };
    let packed = compress(&mut proven, &mut pipe, &mut |_| Ok(()), observe);
    let packed = packed.map_err(|error| if pipe.refused { of_pipe(error) } else { error })?;
    let manifest = Manifest::new(at, proven.contents, &packed);
    Ok(Backup { path: PathBuf::from("-"), manifest, times: proven.times })
}

fn of_pipe(error: BackupError) -> BackupError {
    let BackupError::Disk(error) = error else { return error };
    // Not the system's, which has a number: who writes has given up, for the work has to stop and nobody reads.
    if error.source.kind() == io::ErrorKind::TimedOut && error.source.raw_os_error().is_none() {
        return BackupError::Stopped;
    }
    DiskError { operation: "write to", path: PathBuf::from("stdout"), ..error }.into()
}

/// Remembers whether it was the pipe that failed, or the copy that is read.
struct Pipe<W> {
    inner: W,
    refused: bool,
}

impl<W: Write> Write for Pipe<W> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.inner.write(data).inspect_err(|_| self.refused = true)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush().inspect_err(|_| self.refused = true)
    }
}

/// Compresses a proven copy into `into` and gives it its name.
///
/// # Errors
/// See [`BackupError`].
pub fn keep(
    mut proven: Proven,
    dir: &DataDir,
    into: &Path,
    at: Timestamp,
    observe: Observer<'_>,
) -> Result<Backup, BackupError> {
    let packed = Scratch(DataDir::temporary_in(into));
    let mut out = BufWriter::new(disk::create_private(&packed.0)?);
    let room = &mut |_| ensure_room(into, 0, dir.min_free_bytes());
    let written = compress(&mut proven, &mut out, room, observe)?;
    flush(out, &packed.0)?;
    let manifest = Manifest::new(at, proven.contents, &written);
    let encrypted = proven.recipient.is_some();
    let path = backup_store::publish(into, &packed.0, (at, encrypted), &manifest, dir.owner())?;
    Ok(Backup { path, manifest, times: proven.times })
}

fn flush(out: BufWriter<File>, path: &Path) -> Result<(), DiskError> {
    let file = out.into_inner().map_err(io::IntoInnerError::into_error).naming("write", path)?;
    file.sync_all().naming("flush", path)
}

fn compress(
    proven: &mut Proven,
    to: impl Write,
    room: &mut dyn FnMut(u64) -> Result<(), BackupError>,
    observe: Observer<'_>,
) -> Result<Packed, BackupError> {
    let began = Instant::now();
    let total = proven.contents.bytes;
    let mut refused = Ok(());
    let packed = backup_codec::pack(&proven.scratch.0, to, proven.recipient.as_ref(), &mut |done| {
        refused = room(done);
        let stop = refused.is_err() || observe(Stage::Compressing, done, total).is_break();
        if stop { Err(io::ErrorKind::Interrupted.into()) } else { Ok(()) }
    });
    refused?;
    let packed = packed.map_err(|error| BackupError::from_io("compress", &proven.scratch.0, error))?;
    proven.times.compress_ms = millis(began.elapsed());
    Ok(packed)
}

/// Refuses to write `bytes` into a directory that would then have less than `spare` bytes free.
pub(crate) fn ensure_room(into: &Path, bytes: u64, spare: u64) -> Result<(), BackupError> {
    let free = disk::free_bytes(into)?;
    let needed = bytes.saturating_add(spare);
    if free < needed {
        return Err(BackupError::NoSpace { path: into.to_owned(), free, needed, spare });
    }
    Ok(())
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
