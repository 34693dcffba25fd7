//! The reserve: 32 MiB kept back on each disk that is written to, so that cleanup can still delete when nothing else can be
//! written. (With no byte free `SQLite` cannot even delete a row: the change has to be written to its log first.)

use std::path::Path;

use rustix::fs::FallocateFlags;

use crate::adapters::data_dir::DataDir;
use crate::adapters::disk::{self, DiskError, Naming};

/// The size of the reserve of a disk in bytes.
pub const RESERVE_BYTES: u64 = 32 * 1024 * 1024;

/// Makes the reserve whole, if it is not.
///
/// # Errors
/// When there is no room on one of the disks; what had been made of it there is given back.
pub fn restore(dir: &DataDir) -> Result<(), DiskError> {
    let made: Vec<_> = dir.reserves().iter().map(|path| restore_at(path, dir)).collect();
    made.into_iter().collect()
}

fn restore_at(path: &Path, dir: &DataDir) -> Result<(), DiskError> {
    if disk::allocated_bytes(path) >= RESERVE_BYTES {
        return Ok(());
    }
    disk::remove_if_there(path)?;
    let file = disk::create_private(path)?;
    let filled = rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, RESERVE_BYTES);
    let made = filled.naming("reserve 32 MiB in", path).and_then(|()| dir.owner().adopt(path));
    if made.is_err() {
        disk::remove_if_there(path)?;
    }
    made
}

/// Gives the reserve back to the file systems. True when there was one where the database lies.
///
/// # Errors
/// When it is there and cannot be removed.
pub fn release(dir: &DataDir) -> Result<bool, DiskError> {
    let mut was_there = false;
    for path in dir.reserves() {
        was_there = disk::remove_if_there(&path)?;
    }
    Ok(was_there)
}
