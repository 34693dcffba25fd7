//! Small private files, written whole or not at all: staged beside their place, flushed, given to the data directory's
//! owner, and only then named.

use std::fs;
use std::io::Write;
use std::path::Path;

use crate::adapters::data_dir::{DataDir, Owner};
use crate::adapters::disk::{self, DiskError, Naming};

/// Writes a file that is not there yet.
///
/// # Errors
/// `AlreadyExists` when it is there; otherwise what the disk says. Nothing has changed then.
pub fn create(path: &Path, bytes: &[u8], owner: Owner) -> Result<(), DiskError> {
    write(path, bytes, owner, disk::publish)
}

/// Writes a file in the place of the one that may be there.
///
/// # Errors
/// What the disk says. Nothing has changed then.
pub fn replace(path: &Path, bytes: &[u8], owner: Owner) -> Result<(), DiskError> {
    write(path, bytes, owner, |staged, path| {
        fs::rename(staged, path).naming("rename to", path)?;
        path.parent().map_or(Ok(()), disk::flush_dir)
    })
}

/// How a finished file gets its name.
type Publish = fn(&Path, &Path) -> Result<(), DiskError>;

fn write(path: &Path, bytes: &[u8], owner: Owner, name: Publish) -> Result<(), DiskError> {
    let staged = DataDir::temporary_in(path.parent().unwrap_or(Path::new(".")));
    let written = disk::create_private(&staged)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()).naming("write", &staged))
        .and_then(|()| owner.adopt(&staged))
        .and_then(|()| name(&staged, path));
    if written.is_err() {
        // What went wrong first is told.
        drop(disk::remove_if_there(&staged));
    }
    written
}
