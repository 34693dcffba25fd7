//! Whether the directory of backups is still the one that the last backup went to, and this installation's.

use std::path::{Path, PathBuf};

use rusqlite::Connection;

use crate::adapters::backup_writer::BackupError;
use crate::adapters::data_dir::DataDir;
use crate::adapters::disk::{self, Naming};
use crate::adapters::installation::{self, Claim};
use crate::adapters::sqlite::During;
use crate::adapters::{backup_record, backup_store};
use crate::maint::{Job, MaintError};

/// True when `--force` begins anew in a directory that backups went to and that holds nothing of them now. Without it
/// that is refused: a disk that is not mounted looks like that, and the next backups would lie under its mount point.
pub(super) fn begins_anew(job: &Job<'_>, into: &Path) -> Result<bool, MaintError> {
    let vanished = has_vanished(&job.dir, &job.db, into)?;
    if !vanished || job.run.force {
        return Ok(vanished);
    }
    Err(MaintError::Refused(format!(
        "the last backup went to {}, and nothing is there now: is a disk not mounted? --force begins anew there",
        into.display()
    )))
}

/// True when `--force` takes over a directory that holds the backups of another installation. Without it that is refused.
pub(super) fn is_taken_over(job: &Job<'_>, into: &Path) -> Result<bool, MaintError> {
    let anothers = installation::claim(&job.dir, into)? == Claim::Anothers;
    if anothers && !job.run.force {
        return Err(BackupError::Anothers(into.to_owned()).into());
    }
    Ok(anothers)
}

/// True when this installation has written backups to `into`, last of all places, and neither they nor its marker are there.
///
/// # Errors
/// When the record of runs cannot be read, or the directory.
pub(crate) fn has_vanished(dir: &DataDir, db: &Connection, into: &Path) -> Result<bool, MaintError> {
    let is_there = |path: PathBuf| path.try_exists().naming("look at", &path);
    if !is_there(installation::path(dir))? || is_there(installation::marker(into))? {
        return Ok(false);
    }
    let places = backup_record::places(db).during("read where backups went")?;
    let last = places.into_iter().find(|place| !place.into.as_os_str().is_empty());
    let empty = !disk::is_dir(into).naming("look at", into)? || backup_store::list(into)?.is_empty();
    Ok(empty && last.is_some_and(|place| place.into == into))
}
