//! The data directory that a restore makes on a new host, and whose it is.
//!
//! Whoever restores is often root, and the server is not: a directory of root's would be of no use to it.

use std::path::Path;

use crate::adapters::disk::{self, DiskError};

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
