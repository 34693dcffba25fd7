//! Whose backups a restore takes by itself, and which installation a new host becomes by one.

use std::fs;
use std::path::Path;

use crate::adapters::data_dir::DataDir;
use crate::adapters::installation::{self, Claim};
use crate::adapters::snapshot;
use crate::maint::restore::Chosen;
use crate::maint::{MaintError, Run};

/// Refuses `latest` where the backups are another installation's: that may be anybody's last night. A host that has made no
/// backup yet and holds no conversation is nobody, even if its server ran, and may become the one whose they are.
pub(super) fn check(run: &Run<'_>, dir: &DataDir, asked: &str) -> Result<(), MaintError> {
    let backups = dir.backups();
    if asked != "latest" || run.force || is_new(dir)? || installation::claim(dir, backups)? != Claim::Anothers
    {
        return Ok(());
    }
    Err(MaintError::Refused(format!(
        "{} holds the backups of another installation: set BACKUP_DIR to where this one's are, or name the file you \
         want (`companion-maint list-backups` shows them); if they are this one's all the same, --force",
        backups.display()
    )))
}

/// A new host that restores from `BACKUP_DIR` goes on as the installation whose backups lie there.
pub(super) fn go_on(dir: &DataDir, chosen: &Chosen) -> Result<(), MaintError> {
    if is_new(dir)? && chosen.path.parent().is_some_and(|place| is_same(place, dir.backups())) {
        installation::go_on_with(dir, dir.backups())?;
    }
    Ok(())
}

fn is_new(dir: &DataDir) -> Result<bool, MaintError> {
    if installation::path(dir).exists() {
        return Ok(false);
    }
    if !dir.database().exists() {
        return Ok(true);
    }
    // One that cannot be read may have held any number.
    let held = snapshot::count(dir.database());
    Ok(held.is_ok_and(|contents| contents.checkpoints == 0))
}

fn is_same(a: &Path, b: &Path) -> bool {
    matches!((fs::canonicalize(a), fs::canonicalize(b)), (Ok(a), Ok(b)) if a == b)
}
