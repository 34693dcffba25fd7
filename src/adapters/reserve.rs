//! The reserve: 32 MiB kept back on disk, so that cleanup can still delete when nothing else can be written.
//! (With no byte free `SQLite` cannot even delete a row: the change has to be written to its log first.)

use rustix::fs::FallocateFlags;

use crate::adapters::data_dir::DataDir;
use crate::adapters::disk::{self, DiskError, Naming};

/// The size of the reserve in bytes.
pub const RESERVE_BYTES: u64 = 32 * 1024 * 1024;

/// Makes the reserve whole, if it is not.
///
/// # Errors
/// When there is no room; what had been made of it is given back.
pub fn restore(dir: &DataDir) -> Result<(), DiskError> {
    let path = dir.reserve();
    if disk::allocated_bytes(&path) >= RESERVE_BYTES {
        return Ok(());
    }
    disk::remove_if_there(&path)?;
    let file = disk::create_private(&path)?;
    let filled = rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, RESERVE_BYTES);
    let made = filled.naming("reserve 32 MiB in", &path).and_then(|()| dir.owner().adopt(&path));
    if made.is_err() {
        disk::remove_if_there(&path)?;
    }
    made
}

/// Gives the reserve back to the file system. True when there was one.
///
/// # Errors
/// When it is there and cannot be removed.
pub fn release(dir: &DataDir) -> Result<bool, DiskError> {
    disk::remove_if_there(&dir.reserve())
}
