//! Whom the data directory belongs to, and with it all that is made there.

use std::fs::File;
use std::path::Path;

use rustix::fs::{Gid, Uid};
use rustix::io::Errno;

use crate::adapters::disk::{self, DiskError};

/// Who owns the data directory; files we make are given to them.
#[derive(Debug, Clone, Copy)]
pub struct Owner {
    pub(super) uid: u32,
    pub(super) gid: u32,
}

impl Owner {
    /// Gives the file or directory to the owner, when root made it. What is a link by then is not followed.
    ///
    /// # Errors
    /// When the change of owner is refused.
    pub fn adopt(self, path: &Path) -> Result<(), DiskError> {
        if self.is_us() { Ok(()) } else { disk::give_to(path, self.ids()) }
    }

    /// The same for a file that is open: whatever its name leads to by now.
    ///
    /// # Errors
    /// When the change of owner is refused.
    pub fn adopt_open(self, file: &File) -> Result<(), Errno> {
        if self.is_us() {
            return Ok(());
        }
        rustix::fs::fchown(file, Some(Uid::from_raw(self.uid)), Some(Gid::from_raw(self.gid)))
    }

    /// What we make is theirs then: nothing has to be given away, which a backup's disk may refuse even to root (NFS, FUSE).
    fn is_us(self) -> bool {
        rustix::process::geteuid().as_raw() == self.uid
    }

    /// User and group, as numbers.
    #[must_use]
    pub fn ids(self) -> (u32, u32) {
        (self.uid, self.gid)
    }

    /// Makes a directory (0700) that belongs to the owner, if there is none. It has its name only once it is theirs.
    ///
    /// # Errors
    /// When it cannot be made or given away, or something else has its name.
    pub fn create_dir(self, path: &Path) -> Result<(), DiskError> {
        let heir = (!self.is_us()).then_some((self.uid, self.gid));
        disk::create_private_dir(path, heir)
    }
}
