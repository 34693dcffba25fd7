//! The reserve: 32 MiB kept back on each disk that is written to, so that cleanup can still delete when nothing else can be
//! written. (With no byte free `SQLite` cannot even delete a row: the change has to be written to its log first.)

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::{FallocateFlags, OFlags};
use rustix::io::Errno;

use crate::adapters::data_dir::DataDir;
use crate::adapters::disk::{self, DiskError, Naming};

/// The size of the reserve of a disk in bytes.
pub const RESERVE_BYTES: u64 = 32 * 1024 * 1024;

/// Makes the reserve whole, if it is not.
///
/// # Errors
/// When there is no room on one of the disks, and what had been made of it there is given back; or when another file has its
/// name.
pub fn restore(dir: &DataDir) -> Result<(), DiskError> {
    let made: Vec<_> = dir.reserves().iter().map(|path| restore_at(path, dir)).collect();
    made.into_iter().collect()
}

fn restore_at(path: &Path, dir: &DataDir) -> Result<(), DiskError> {
    if disk::allocated_bytes(path) >= RESERVE_BYTES {
        return Ok(());
    }
    refuse_anothers(path)?;
    disk::remove_if_there(path)?;
    let file = disk::create_private(path)?;
    let made = fill(&file).naming("reserve 32 MiB in", path).and_then(|()| dir.owner().adopt(path));
    if made.is_err() {
        disk::remove_if_there(path)?;
    }
    made
}

/// Takes the space. Where that cannot be had by asking for it, on ext3 for one, it is written.
fn fill(mut file: &File) -> io::Result<()> {
    match rustix::fs::fallocate(file, FallocateFlags::empty(), 0, RESERVE_BYTES) {
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => (),
        done => return done.map_err(Into::into),
    }
    let block = vec![0; 1 << 20];
    (0..RESERVE_BYTES >> 20).try_for_each(|_| file.write_all(&block))?;
    file.sync_all()
}

/// Gives the reserve back to the file systems. True when there was one where the database lies.
///
/// # Errors
/// When it is there and cannot be removed.
pub fn release(dir: &DataDir) -> Result<bool, DiskError> {
    let mut was_there = false;
    for path in dir.reserves() {
        if let Err(error) = refuse_anothers(&path) {
            tracing::warn!(error = %error, "There is no reserve to give back");
            was_there = false;
            continue;
        }
        was_there = disk::remove_if_there(&path)?;
    }
    Ok(was_there)
}

/// True for a file that has the reserve's name and something in it: ours is all zeros. What cannot be read is not looked into.
#[must_use]
pub fn is_anothers(path: &Path) -> bool {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let opened = OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path);
    let Ok(mut file) = opened else { return false };
    let mut block = vec![0; 1 << 16];
    while let Ok(read @ 1..) = file.read(&mut block) {
        if block[..read].iter().any(|byte| *byte != 0) {
            return true;
        }
    }
    false
}

fn refuse_anothers(path: &Path) -> Result<(), DiskError> {
    if !is_anothers(path) {
        return Ok(());
    }
    let told =
        io::Error::new(ErrorKind::AlreadyExists, "another file has the name of the reserve: move it away");
    Err(told).naming("keep", path)
}
