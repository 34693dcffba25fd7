//! The reserve's space, lent to a job that has to work on a full disk.

use crate::adapters::data_dir::DataDir;
use crate::adapters::disk::DiskError;
use crate::adapters::reserve;

/// The reserve while it is lent; comes back when dropped.
pub(crate) struct Released {
    dir: DataDir,
    /// False when there was none: the job has no room of its own.
    pub was_there: bool,
}

impl Released {
    /// Gives the reserve's space back to the file system.
    pub fn of(dir: &DataDir) -> Result<Self, DiskError> {
        Ok(Self { was_there: reserve::release(dir)?, dir: dir.clone() })
    }
}

impl Drop for Released {
    fn drop(&mut self) {
        if let Err(error) = reserve::restore(&self.dir) {
            tracing::warn!(error = %error, "The reserve cannot be made yet; the next cleanup tries again");
        }
    }
}
