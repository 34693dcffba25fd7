//! The erasure ledger: the random ids of people who asked to be forgotten, kept outside the database, so that
//! restoring an older backup can forget them again. One line each: id, space, time.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;

use crate::adapters::data_dir::DataDir;
use crate::adapters::disk::{self, DiskError, Naming};
use crate::domain::clock::Timestamp;
use crate::domain::person::PersonId;

/// Adds people to the ledger and flushes it. Call it before they are erased: a line too many erases nobody else.
///
/// # Errors
/// When the ledger cannot be written; then nothing may be erased yet.
pub fn append(dir: &DataDir, people: &[PersonId], at: Timestamp) -> Result<(), DiskError> {
    if people.is_empty() {
        return Ok(());
    }
    let path = dir.erasures();
    let lines: String = people.iter().map(|person| format!("{person} {at}\n")).collect();
    let mut options = OpenOptions::new();
    let mut file = options.create(true).append(true).mode(0o600).open(&path).naming("open", &path)?;
    dir.owner().adopt(&path)?;
    file.write_all(lines.as_bytes()).and_then(|()| file.sync_all()).naming("write", &path)?;
    disk::flush_dir(dir.root())
}
