//! Backups and their manifests, one without the other; and whose they are.

use std::path::{Path, PathBuf};

use rusqlite::Connection;

use crate::adapters::installation::{self, Claim};
use crate::adapters::{backup_store, disk};
use crate::domain::backup::BackupName;
use crate::domain::maintenance::BACKUP_DB;
use crate::maint::MaintError;
use crate::maint::backup::place::has_vanished;
use crate::maint::doctor::Visit;
use crate::maint::doctor::files::{Entry, entries};

const BACKUP: &str = ".db.zst";
const MANIFEST: &str = ".json";

/// What a name begins with if it is one of ours: `companion-20261124T020000Z`. All that is added to it — compression,
/// encryption — comes after the first dot.
fn stem(name: &str) -> Option<&str> {
    let stem = name.split('.').next()?;
    BackupName::parse(&format!("{stem}{BACKUP}")).map(|_| stem)
}

fn manifest_of(dir: &Path, entry: &Entry) -> Option<PathBuf> {
    let stem = stem(&entry.name)?;
    let is_backup = entry.name[stem.len()..].starts_with(BACKUP);
    is_backup.then(|| dir.join(format!("{stem}{MANIFEST}")))
}

/// False when the backups there are another installation's: then nothing in that directory is looked at or mended.
pub fn are_ours(visit: &Visit<'_>) -> bool {
    let claim = installation::claim(&visit.dir, visit.dir.backups());
    matches!(claim, Ok(Claim::Ours | Claim::Nobodys))
}

/// True when this installation has marked the directory as that of its backups.
pub fn are_marked_ours(visit: &Visit<'_>) -> bool {
    matches!(installation::claim(&visit.dir, visit.dir.backups()), Ok(Claim::Ours))
}

pub fn vanished(visit: &mut Visit<'_>, db: &Connection) -> Result<(), MaintError> {
    let dir = visit.dir.backups().to_owned();
    if has_vanished(&visit.dir, db, &dir)? {
        let found = "the last backup went there, and nothing of it is there now".to_owned();
        let repair =
            "mount the disk, or bring the backups back; companion-maint backup-db --force begins anew there";
        visit.finding(&dir.display().to_string(), found, repair);
    }
    Ok(())
}

pub fn lone_manifests(visit: &mut Visit<'_>) -> Result<(), MaintError> {
    if !are_ours(visit) {
        return Ok(());
    }
    let settled = visit.settled;
    let is_lone = |entry: &Entry, all: &[Entry]| {
        let Some(stem) = stem(&entry.name).filter(|stem| entry.name[stem.len()..] == *MANIFEST) else {
            return false;
        };
        let backup = format!("{stem}{BACKUP}");
        let gone =
            |ending: &str| backup_store::is_gone(&entry.path.with_file_name(format!("{backup}{ending}")));
        let unlisted = !all.iter().any(|other| other.name.starts_with(&backup));
        let lone = entry.written_at < settled && unlisted && gone("") && gone(".age");
        // Another program's file may have such a name, too.
        lone && backup_store::read_manifest(&entry.path).is_some()
    };
    let dir = visit.dir.backups().to_owned();
    let lone = |all: Vec<Entry>| -> Vec<Entry> {
        all.iter().filter(|entry| is_lone(entry, &all)).cloned().collect()
    };
    if lone(entries(&dir)?).is_empty() {
        return Ok(());
    }
    // A backup gets its manifest first.
    visit.while_idle(&[BACKUP_DB], |visit| {
        for manifest in lone(entries(&dir)?) {
            let found = "a manifest whose backup is not there".to_owned();
            visit.mendable(manifest.name, found, "delete it", |_| {
                disk::remove_if_there(&manifest.path)?;
                Ok(())
            });
        }
        Ok(())
    })
}

pub fn without_manifest(visit: &mut Visit<'_>) -> Result<(), MaintError> {
    let dir = visit.dir.backups().to_owned();
    if installation::claim(&visit.dir, &dir)? == Claim::Anothers {
        let repair = "set BACKUP_DIR to a directory of this one's own; or, if the other one is no more, run \
                      companion-maint backup-db --force, which takes it over. Nothing in it is looked at or mended";
        let found = "holds the backups of another installation".to_owned();
        visit.finding(&dir.display().to_string(), found, repair);
        return Ok(());
    }
    for entry in entries(&dir)? {
        let Some(manifest) = manifest_of(&dir, &entry) else { continue };
        // Both may have gone since, to make room.
        if backup_store::read_manifest(&manifest).is_some() || !entry.path.exists() {
            continue;
        }
        let repair = "no rule ever removes it, and it is not counted as a backup: put its .json back beside it, or move it \
                      elsewhere";
        visit.finding(&entry.name, "a backup without a readable manifest".to_owned(), repair);
    }
    Ok(())
}
