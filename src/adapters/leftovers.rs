//! What interrupted writes leave: found by their temporary name, and removed.

use std::fs;
use std::path::{Path, PathBuf};

use crate::adapters::disk::{self, DiskError, Naming, TEMPORARY_PREFIX};
use crate::domain::clock::Timestamp;

/// Removes what interrupted writes left in `dir`: regular files with our temporary prefix, and empty directories that
/// were never given their name. Call it only while holding
/// the lock of whoever writes there. Returns the paths that went.
///
/// # Errors
/// When the directory cannot be read or a leftover cannot be removed.
pub fn remove_leftovers(dir: &Path) -> Result<Vec<PathBuf>, DiskError> {
    remove_leftovers_older_than(dir, Timestamp::from_millis(i64::MAX))
}

/// The same, but only those last written before `cutoff`: for a directory someone may be writing to.
///
/// # Errors
/// When the directory cannot be read or a leftover cannot be removed.
pub fn remove_leftovers_older_than(dir: &Path, cutoff: Timestamp) -> Result<Vec<PathBuf>, DiskError> {
    let mut removed = Vec::new();
    for entry in fs::read_dir(dir).naming("list", dir)? {
        let entry = entry.naming("list", dir)?;
        if !entry.file_name().to_string_lossy().starts_with(TEMPORARY_PREFIX) {
            continue;
        }
        // Not `metadata()` of the path: that would follow a link.
        let Ok(meta) = entry.metadata() else { continue };
        let old = meta.modified().is_ok_and(|at| Timestamp::from_system(at) < cutoff);
        let unnamed = meta.is_dir() && disk::is_temporary(&entry.file_name().to_string_lossy());
        let gone = if unnamed && old {
            // One that is not empty is somebody's at work, or not of ours.
            fs::remove_dir(entry.path()).is_ok()
        } else {
            meta.is_file() && old && disk::remove_if_there(&entry.path())?
        };
        if gone {
            removed.push(entry.path());
        }
    }
    Ok(removed)
}
