//! The file system beneath: free space, its kind, atomic publishing, flushing.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags, RenameFlags, renameat_with};
use rustix::io::Errno;

/// What went wrong with a file or directory.
#[derive(Debug, thiserror::Error)]
#[error("{operation} {path}: {source}", path = path.display())]
pub struct DiskError {
    /// What was tried, as a verb: `create`, `rename`.
    pub operation: &'static str,
    /// What it was tried on.
    pub path: PathBuf,
    /// Why it failed.
    pub source: io::Error,
}

impl DiskError {
    /// True when the file system has no room.
    #[must_use]
    pub fn is_full(&self) -> bool {
        matches!(self.source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
    }

    /// True when the path does not exist.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        self.source.kind() == io::ErrorKind::NotFound
    }
}

/// Names the operation and the path of a failed call.
pub(crate) trait Naming<T> {
    /// `self`, with its error telling what was tried on what.
    fn naming(self, operation: &'static str, path: &Path) -> Result<T, DiskError>;
}

impl<T, E: Into<io::Error>> Naming<T> for Result<T, E> {
    fn naming(self, operation: &'static str, path: &Path) -> Result<T, DiskError> {
        self.map_err(|source| DiskError { operation, path: path.to_owned(), source: source.into() })
    }
}

/// Bytes that may still be written to the file system that holds `path`.
///
/// # Errors
/// When the path does not exist or cannot be asked.
pub fn free_bytes(path: &Path) -> Result<u64, DiskError> {
    let stat = rustix::fs::statvfs(path).naming("measure the free space of", path)?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

/// Whatever the process's mask (`umask`) takes away from others, it takes nothing from the owner of what is made: that could not
/// be opened again. For the beginning of a program, before it has threads: the mask can only be read by setting it.
pub fn keep_owners_rights() {
    let of_owner = Mode::RWXU;
    let mask = rustix::process::umask(of_owner);
    rustix::process::umask(mask - of_owner);
}

/// Bytes the file takes on disk; 0 when there is none.
#[must_use]
pub fn allocated_bytes(path: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    fs::symlink_metadata(path).map_or(0, |meta| meta.blocks() * 512)
}

/// The name of the network file system that holds `path`, or would hold it once it is made, if it is one: `SQLite`'s locks do
/// not hold there. The numbers are those of Linux's `magic.h`.
///
/// # Errors
/// When it cannot be asked.
pub fn network_file_system(path: &Path) -> Result<Option<&'static str>, DiskError> {
    let there = path.ancestors().find(|place| place.exists()).unwrap_or(Path::new("."));
    let stat = rustix::fs::statfs(there).naming("ask for the file system of", there)?;
    // The width and sign of the field differ between platforms; the low 32 bits carry the number.
    let kind = (stat.f_type as u64) & 0xFFFF_FFFF;
    Ok(match kind {
        0x6969 => Some("NFS"),
        0x517B | 0xFF53_4D42 | 0xFE53_4D42 => Some("SMB"),
        0x0102_1997 => Some("9p"),
        0x6573_5546 => Some("FUSE"),
        _ => None,
    })
}

/// True when both paths lie on the same file system.
#[must_use]
pub fn same_file_system(a: &Path, b: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    matches!((fs::metadata(a), fs::metadata(b)), (Ok(a), Ok(b)) if a.dev() == b.dev())
}

/// Bytes that can still be written to the file system of `path`, where that is there and not also the one of `other`.
///
/// # Errors
/// When the file system cannot be asked.
pub fn free_bytes_apart(path: &Path, other: &Path) -> Result<Option<u64>, DiskError> {
    if !path.exists() || !other.exists() || same_file_system(path, other) {
        return Ok(None);
    }
    free_bytes(path).map(Some)
}

/// A new file, mode 0600, that must not exist yet.
///
/// # Errors
/// When it exists or cannot be made.
pub fn create_private(path: &Path) -> Result<File, DiskError> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true).mode(0o600).open(path).naming("create", path)
}

/// A directory with mode 0700, if there is none; made by root it is given to `heir`. It has another name until all that is
/// done: whoever is killed on the way leaves nothing that is in somebody's way.
///
/// # Errors
/// When it cannot be made or given away, or something else has its name.
pub fn create_private_dir(path: &Path, heir: Option<(u32, u32)>) -> Result<(), DiskError> {
    if is_dir(path).naming("create directory", path)? {
        return Ok(());
    }
    refuse_dangling(path)?;
    let around = path.parent().filter(|around| !around.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if !around.exists() {
        fs::create_dir_all(around).naming("create directory", path)?;
    }
    let staged = temporary_in(around);
    DirBuilder::new().mode(0o700).create(&staged).naming("create directory", path)?;
    let named = || name_once(&staged, path).naming("create directory", path);
    let made = heir.map_or(Ok(()), |heir| give_to(&staged, heir)).and_then(|()| named());
    if made.is_err() {
        drop(fs::remove_dir(&staged));
        // Somebody else may have been faster.
        return if path.is_dir() { Ok(()) } else { made };
    }
    made
}

/// Refuses a link to what is not there, in the place of `path` or on the way to it: nobody makes anything there, for the disk it
/// leads to may come back.
///
/// # Errors
/// When there is one.
pub(super) fn refuse_dangling(path: &Path) -> Result<(), DiskError> {
    let leads_nowhere = |place: &&Path| place.is_symlink() && matches!(place.try_exists(), Ok(false));
    let Some(link) = path.ancestors().find(leads_nowhere) else { return Ok(()) };
    let end = end_of_links(link.to_owned());
    let told =
        format!("it is a link to {}, which is not there: mount its disk, or mend the link", end.display());
    Err(io::Error::new(io::ErrorKind::NotFound, told)).naming("use", link)
}

/// As many links as the kernel follows.
const MOST_LINKS: usize = 40;

/// Where a chain of links ends, whether there is something or not.
pub(super) fn end_of_links(link: PathBuf) -> PathBuf {
    let mut end = link;
    for _ in 0..MOST_LINKS {
        let Ok(target) = fs::read_link(&end) else { break };
        end = end.parent().unwrap_or(Path::new(".")).join(target);
    }
    end
}

/// Whether there is a directory. One that may not be looked for, or whose disk says no, is not taken for one that is not there.
///
/// # Errors
/// When it cannot be looked at.
pub fn is_dir(path: &Path) -> io::Result<bool> {
    match fs::metadata(path) {
        Ok(meta) => Ok(meta.is_dir()),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

/// Every temporary file of ours begins with this, in whatever directory it is made.
pub const TEMPORARY_PREFIX: &str = ".companion-tmp-";

/// A path for a temporary file or directory in `dir`, unlike any other.
#[must_use]
pub fn temporary_in(dir: &Path) -> PathBuf {
    dir.join(format!("{TEMPORARY_PREFIX}{}", uuid::Uuid::new_v4().simple()))
}

/// True for a name that [`temporary_in`] gives.
#[must_use]
pub fn is_temporary(name: &str) -> bool {
    name.strip_prefix(TEMPORARY_PREFIX).is_some_and(|id| uuid::Uuid::try_parse(id).is_ok())
}

/// Opens a regular file to be read. What else has its name, a pipe that nobody writes to for one, is not waited for.
///
/// # Errors
/// When it is not there, cannot be opened, or is no regular file.
pub fn open_to_read(path: &Path) -> Result<File, DiskError> {
    let mut options = OpenOptions::new();
    let options = options.read(true).custom_flags(OFlags::NONBLOCK.bits().cast_signed());
    let file = options.open(path).naming("open", path)?;
    refuse_irregular(&file, path)?;
    Ok(file)
}

/// Refuses an open file that is a pipe or anything else but a regular one.
///
/// # Errors
/// When it is.
pub fn refuse_irregular(file: &File, path: &Path) -> Result<(), DiskError> {
    if file.metadata().naming("look at", path)?.is_file() {
        return Ok(());
    }
    let told = io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file: move it away");
    Err(told).naming("read", path)
}

/// User and group that a file or directory belongs to.
///
/// # Errors
/// When the path does not exist or cannot be looked at.
pub fn owner_of(path: &Path) -> Result<(u32, u32), DiskError> {
    use std::os::unix::fs::MetadataExt;
    fs::metadata(path).map(|meta| (meta.uid(), meta.gid())).naming("look at", path)
}

/// Gives a file or directory to a user and a group; only root may. What is a link by then is not followed.
///
/// # Errors
/// When the change of owner is refused.
pub fn give_to(path: &Path, (uid, gid): (u32, u32)) -> Result<(), DiskError> {
    std::os::unix::fs::lchown(path, Some(uid), Some(gid)).naming("change the owner of", path)
}

/// Flushes the entries of a directory, so that a rename in it survives a power cut.
///
/// # Errors
/// When the directory cannot be opened or flushed.
pub fn flush_dir(path: &Path) -> Result<(), DiskError> {
    File::open(path).and_then(|dir| dir.sync_all()).naming("flush directory", path)
}

/// Gives a finished, flushed file its final name. Never replaces a file that has it.
///
/// # Errors
/// `AlreadyExists` when the name is taken; otherwise what the file system says.
pub fn publish(temporary: &Path, name: &Path) -> Result<(), DiskError> {
    self::name(temporary, name)?;
    name.parent().map_or(Ok(()), flush_dir)
}

/// The same, with the name not flushed yet.
///
/// # Errors
/// As of [`publish`].
pub fn name(temporary: &Path, name: &Path) -> Result<(), DiskError> {
    name_once(temporary, name).naming("rename to", name)
}

fn name_once(temporary: &Path, name: &Path) -> Result<(), Errno> {
    let cwd = rustix::fs::CWD;
    match renameat_with(cwd, temporary, cwd, name, RenameFlags::NOREPLACE) {
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => name_once_by_link(temporary, name),
        done => done,
    }
}

/// The same on a file system that cannot say so in its rename: NFS, 9p, most of FUSE. A link replaces nothing either; a
/// directory, and what has no links, is looked at first.
fn name_once_by_link(temporary: &Path, name: &Path) -> Result<(), Errno> {
    match rustix::fs::link(temporary, name) {
        Ok(()) => rustix::fs::unlink(temporary).inspect_err(|_| {
            // What went wrong first is told.
            let _ = rustix::fs::unlink(name);
        }),
        Err(Errno::EXIST) => Err(Errno::EXIST),
        Err(_) if name.symlink_metadata().is_ok() => Err(Errno::EXIST),
        Err(_) => rustix::fs::rename(temporary, name),
    }
}

/// Removes a file; one that is not there is success. True when there was one.
///
/// # Errors
/// When it is there and cannot be removed.
pub fn remove_if_there(path: &Path) -> Result<bool, DiskError> {
    match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error).naming("remove", path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn publishing_never_replaces() {
        let dir = tempfile::tempdir().unwrap();
        let (a, b) = (dir.path().join("a"), dir.path().join("b"));
        fs::write(&a, "new").unwrap();
        fs::write(&b, "old").unwrap();
        assert!(publish(&a, &b).is_err());
        assert_eq!(fs::read_to_string(&b).unwrap(), "old");
        fs::remove_file(&b).unwrap();
        publish(&a, &b).unwrap();
        assert_eq!(fs::read_to_string(&b).unwrap(), "new");
    }
}
