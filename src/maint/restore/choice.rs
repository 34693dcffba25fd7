//! Which backup is meant: a path, a name in `BACKUP_DIR`, or `latest`.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf, absolute};

use crate::adapters::acting::{Rights, as_operator};
use crate::adapters::backup_codec::{self, Expected};
use crate::adapters::backup_store::{self, BackupFile, Manifest};
use crate::adapters::disk::{self, Naming};
use crate::domain::backup::is_from_the_future;
use crate::maint::{MaintError, Run};

/// A backup that was asked for.
pub(crate) struct Chosen {
    pub path: PathBuf,
    /// Whose rights it is read with, and what lies beside it.
    pub rights: Rights,
    pub encrypted: bool,
    pub manifest: Option<Manifest>,
}

impl Chosen {
    pub fn expected(&self) -> Expected<'_> {
        Expected {
            sha256: self.manifest.as_ref().map(|manifest| manifest.sha256.as_str()),
            database_bytes: self.manifest.as_ref().map(|manifest| manifest.database_bytes),
            encrypted: self.encrypted,
        }
    }
}

/// The backup that was asked for: a path, a name in `BACKUP_DIR`, or `latest`.
pub(super) fn choose(run: &Run<'_>, asked: &str) -> Result<Chosen, MaintError> {
    let backups = &run.config.storage.backup_dir;
    if asked == "latest" {
        let newest = newest(run, backups)?;
        return Ok(Chosen {
            path: newest.path,
            rights: Rights::Owners,
            encrypted: newest.name.encrypted,
            manifest: Some(newest.manifest),
        });
    }
    let given = PathBuf::from(asked);
    let path = if as_operator(|| given.exists()) { given } else { backups.join(asked) };
    let rights = rights(run, &path);
    let is_file = match rights.lend(|| fs::metadata(&path)) {
        Err(error) if !matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Err(error).naming("look at", &path).map_err(Into::into);
        }
        found => found.is_ok_and(|meta| meta.is_file()),
    };
    if !is_file {
        return Err(MaintError::NoSuchBackup(PathBuf::from(asked), backups.clone()));
    }
    if let Some(backup) = rights.lend(|| backup_store::at(&path)) {
        let (encrypted, manifest) = (backup.name.encrypted, Some(backup.manifest));
        return Ok(Chosen { path, rights, encrypted, manifest });
    }
    if !run.force {
        let told =
            format!("{} has no manifest beside it, so that it can be held against nothing", path.display());
        return Err(MaintError::Refused(told));
    }
    // What came out of a pipe has whatever name it was given.
    let encrypted = rights.lend(|| backup_codec::is_encrypted(&path))?;
    Ok(Chosen { path, rights, encrypted, manifest: None })
}

/// Whose rights a backup is read with. What lies in the data directory, or among its backups, may be a link of its owner's.
fn rights(run: &Run<'_>, path: &Path) -> Rights {
    let storage = &run.config.storage;
    let leads_to = |path: &Path| as_operator(|| fs::canonicalize(path)).ok();
    let around = path.parent().unwrap_or(Path::new("."));
    let is_in = |place: &PathBuf| {
        let named =
            matches!((absolute(path), absolute(place)), (Ok(path), Ok(place)) if path.starts_with(&place));
        named || matches!((leads_to(around), leads_to(place)), (Some(a), Some(b)) if a.starts_with(&b))
    };
    if [&storage.data_dir, &storage.backup_dir].into_iter().any(is_in) {
        Rights::Owners
    } else {
        Rights::Operators
    }
}

/// The newest backup. One from the future among others may be older than they are: whoever restores has to choose.
fn newest(run: &Run<'_>, backups: &Path) -> Result<BackupFile, MaintError> {
    let there = disk::is_dir(backups).naming("look at", backups)?;
    let mut all = if there { backup_store::list(backups)? } else { Vec::new() }.into_iter();
    let newest = all.next().ok_or_else(|| MaintError::NoBackup(backups.to_owned()))?;
    let now = run.clock.now();
    let ahead = is_from_the_future(newest.name, now);
    if ahead && !run.force && all.any(|other| !is_from_the_future(other.name, now)) {
        return Err(MaintError::Refused(format!(
            "{} is from the future: was the clock wrong when it was made, or is it now? Name the backup you want; \
             `companion-maint list-backups` shows them",
            newest.name
        )));
    }
    Ok(newest)
}
