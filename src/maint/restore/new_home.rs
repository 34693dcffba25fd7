//! The data directory that a restore makes on a new host, whose it is, and how it goes again when the restore fails.
//!
//! Whoever restores is often root, and the server is not: a directory of root's would be of no use to it.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

use crate::adapters::acting::as_operator;
use crate::adapters::data_dir::DataDir;
use crate::adapters::disk::{self, DiskError};
use crate::config::StorageConfig;

/// User and group, as numbers.
type Ids = (u32, u32);

/// Makes the data directory and says whom it belongs to. Made by root it is given to the owner of the directory it lies
/// in; when that is root, to the owner of the backup.
pub(super) fn make(data_dir: &Path, backup: &Path) -> Result<Ids, DiskError> {
    let heir = heir(data_dir, backup)?;
    disk::create_private_dir(data_dir, heir)?;
    disk::owner_of(data_dir)
}

/// The directory that is there of those a data directory will lie in.
pub(super) fn around(data_dir: &Path) -> &Path {
    data_dir.ancestors().skip(1).find(|place| place.exists()).unwrap_or(Path::new("."))
}

/// Whom root gives it to; `None` leaves it to whoever makes it.
fn heir(data_dir: &Path, backup: &Path) -> Result<Option<Ids>, DiskError> {
    if !rustix::process::geteuid().is_root() {
        return Ok(None);
    }
    for path in [around(data_dir), backup] {
        let owner = disk::owner_of(path)?;
        if owner.0 != 0 {
            return Ok(Some(owner));
        }
    }
    Ok(None)
}

/// Removes the data directory that [`make`] made for a restore that failed, with what every restore begins with. Whoever
/// tries again, as another user it may be, finds the host as it was. What else is in it by now stays, and so does it.
pub(super) fn unmake(storage: &StorageConfig) {
    // Not with root's rights: by now its owner may have put links into it.
    let emptied = DataDir::act_as_owner(storage).map_err(io::Error::other).and_then(|_acting| {
        clear(storage)?;
        as_operator(|| fs::remove_dir(&storage.data_dir))
    });
    if let Err(error) = emptied {
        tracing::warn!(error = %error, "The data directory that was made for this restore could not be removed");
    }
}

/// Removes the locks, the lists that came from beside the backups, and directories that are empty.
fn clear(storage: &StorageConfig) -> io::Result<()> {
    let (root, locks) = (&storage.data_dir, storage.data_dir.join("locks"));
    if storage.database.exists() {
        return Err(ErrorKind::DirectoryNotEmpty.into());
    }
    if locks.is_dir() {
        for lock in fs::read_dir(&locks)? {
            fs::remove_file(lock?.path())?;
        }
    }
    for list in ["erasures", "import-owners", "installation"] {
        unless_missing(fs::remove_file(root.join(list)))?;
    }
    let database = storage.database.parent().unwrap_or(root);
    for place in [&locks, &storage.audio_dir, &storage.backup_dir, database] {
        for dir in place.ancestors().take_while(|dir| dir.starts_with(root) && dir != root) {
            unless_missing(fs::remove_dir(dir))?;
        }
    }
    Ok(())
}

fn unless_missing(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
