//! Temporary files that go away by themselves, and the place for copies that are to lie nowhere but in the data directory.

use std::path::{Path, PathBuf};

use crate::adapters::data_dir::{DataDir, TEMPORARY_PREFIX};
use crate::adapters::disk::{self, DiskError};
use crate::adapters::leftovers::remove_leftovers;

/// A temporary file that goes away with this value, unless it was given another name.
pub(crate) struct Scratch(pub PathBuf);

impl Scratch {
    /// A new, empty one in `dir`, mode 0600.
    pub(crate) fn new(dir: &Path) -> Result<Self, DiskError> {
        let scratch = Self(DataDir::temporary_in(dir));
        drop(disk::create_private(&scratch.0)?);
        Ok(scratch)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // A database that could not be closed in order leaves its sidecars.
        for part in ["", "-wal", "-shm"] {
            let mut path = self.0.clone().into_os_string();
            path.push(part);
            if let Err(error) = disk::remove_if_there(Path::new(&path)) {
                tracing::warn!(error = %error, "A temporary file could not be removed");
            }
        }
    }
}

/// A directory in the data directory for a copy that is to lie nowhere else; still to be made.
#[must_use]
pub fn own_place(dir: &DataDir) -> PathBuf {
    dir.root().join(format!("{TEMPORARY_PREFIX}backup"))
}

/// Removes the copies that a killed `backup-db` has left there: each is a whole database, with what was erased since. The
/// caller holds the backup lock. Returns the paths that went.
///
/// # Errors
/// When the directory cannot be read or a leftover cannot be removed.
pub fn clear_own_place(dir: &DataDir) -> Result<Vec<PathBuf>, DiskError> {
    match remove_leftovers(&own_place(dir)) {
        Err(error) if error.is_missing() => Ok(Vec::new()),
        other => other,
    }
}
