//! Backups on disk: their manifests, listing, publishing, removal.
//!
//! A backup is a file with a [`BackupName`] and a manifest `….json` beside it. The manifest is published first, so a
//! file with a backup's name is whole. A file without a manifest of ours is foreign and left alone.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::adapters::backup_codec::{Expected, Packed};
use crate::adapters::data_dir::Owner;
use crate::adapters::disk::{self, DiskError, Naming};
use crate::adapters::small_file;
use crate::adapters::snapshot::Contents;
use crate::domain::backup::BackupName;
use crate::domain::clock::Timestamp;

/// A manifest is a page at most; something larger is another file.
const LARGEST_MANIFEST: u64 = 64 * 1024;

/// What is known of a backup without opening it. Holds no conversation text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The version of this form.
    pub schema: u32,
    /// When it was taken.
    pub created_at: String,
    /// What made it: `companion 0.1.0`.
    pub program: String,
    /// The schema version of the database in it.
    pub schema_version: i64,
    /// Size of the database in it.
    pub database_bytes: u64,
    /// Size of the packed file.
    pub bytes: u64,
    /// SHA-256 of the packed file, hexadecimal.
    pub sha256: String,
    /// Persons in it.
    pub persons: u64,
    /// Sessions in it.
    pub sessions: u64,
    /// Checkpoints in it.
    pub checkpoints: u64,
    /// Memories in it; 0 where the manifest is from before there were any.
    #[serde(default)]
    pub memories: u64,
    /// Whether the packed file is encrypted.
    #[serde(default)]
    pub encrypted: bool,
    /// Once told of as one from before most rows went: until then it stays whatever the keep rules say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guarded_until: Option<String>,
}

impl Manifest {
    /// The manifest of a file just written.
    #[must_use]
    pub fn new(at: Timestamp, contents: Contents, packed: &Packed) -> Self {
        Self {
            schema: 1,
            created_at: at.to_string(),
            program: format!("companion {}", env!("CARGO_PKG_VERSION")),
            schema_version: contents.schema_version,
            database_bytes: contents.bytes,
            bytes: packed.bytes,
            sha256: packed.sha256.clone(),
            persons: contents.persons,
            sessions: contents.sessions,
            checkpoints: contents.checkpoints,
            memories: contents.memories,
            encrypted: packed.encrypted,
            guarded_until: None,
        }
    }

    /// What the database in it holds.
    #[must_use]
    pub fn contents(&self) -> Contents {
        Contents {
            schema_version: self.schema_version,
            bytes: self.database_bytes,
            persons: self.persons,
            sessions: self.sessions,
            checkpoints: self.checkpoints,
            memories: self.memories,
        }
    }

    /// Until when it stays whatever the keep rules say.
    #[must_use]
    pub fn guarded_until(&self) -> Option<Timestamp> {
        self.guarded_until.as_deref().and_then(Timestamp::parse)
    }
}

/// A backup with its manifest.
#[derive(Debug, Clone)]
pub struct BackupFile {
    /// Its name.
    pub name: BackupName,
    /// Where it lies.
    pub path: PathBuf,
    /// Its manifest.
    pub manifest: Manifest,
}

impl BackupFile {
    /// What the file is to be, by its manifest.
    #[must_use]
    pub fn expected(&self) -> Expected<'_> {
        Expected {
            sha256: Some(&self.manifest.sha256),
            database_bytes: Some(self.manifest.database_bytes),
            encrypted: self.name.encrypted,
        }
    }
}

/// What lies in a directory of backups.
#[derive(Debug, Default)]
pub struct Listing {
    /// Every backup with a readable manifest, newest first.
    pub backups: Vec<BackupFile>,
    /// Files with a backup's name and no readable manifest: not ours, or damaged.
    pub without_manifest: Vec<BackupName>,
}

/// Every backup in `dir` that has a readable manifest, newest first.
///
/// # Errors
/// When the directory cannot be read.
pub fn list(dir: &Path) -> Result<Vec<BackupFile>, DiskError> {
    look_through(dir).map(|listing| listing.backups)
}

/// Every file in `dir` that has a backup's name.
///
/// # Errors
/// When the directory cannot be read.
pub fn look_through(dir: &Path) -> Result<Listing, DiskError> {
    let mut listing = Listing::default();
    for entry in fs::read_dir(dir).naming("list", dir)? {
        let entry = entry.naming("list", dir)?;
        let Some(name) = entry.file_name().to_str().and_then(BackupName::parse) else { continue };
        match read_manifest(&dir.join(name.manifest())).filter(|told| told.encrypted == name.encrypted) {
            Some(manifest) => listing.backups.push(BackupFile { name, path: entry.path(), manifest }),
            None => listing.without_manifest.push(name),
        }
    }
    listing.backups.sort_by_key(|backup| std::cmp::Reverse(backup.name));
    listing.without_manifest.sort();
    Ok(listing)
}

/// The backup at `path`, which may lie anywhere, if it has a backup's name and a readable manifest beside it.
#[must_use]
pub fn at(path: &Path) -> Option<BackupFile> {
    let name = BackupName::parse(path.file_name()?.to_str()?)?;
    let manifest = read_manifest(&path.with_file_name(name.manifest()))?;
    // Of two files that differ in their ending only, it tells of one.
    if manifest.encrypted != name.encrypted {
        return None;
    }
    Some(BackupFile { name, path: path.to_owned(), manifest })
}

/// The manifest at `path`; `None` when there is none, or it is another program's.
#[must_use]
pub fn read_manifest(path: &Path) -> Option<Manifest> {
    let file = disk::open_to_read(path).ok()?;
    if file.metadata().ok()?.len() > LARGEST_MANIFEST {
        return None;
    }
    let mut text = Vec::new();
    file.take(LARGEST_MANIFEST).read_to_end(&mut text).ok()?;
    serde_json::from_slice(&text).ok()
}

/// Gives a finished, flushed file and its manifest their names in `dir`; a second one in the same second gets `-2`.
///
/// # Errors
/// When the names cannot be given, or the disk does not say that it has them; then neither is there.
pub fn publish(
    dir: &Path,
    temporary: &Path,
    when: (Timestamp, bool),
    manifest: &Manifest,
    owner: Owner,
) -> Result<PathBuf, DiskError> {
    publish_on(dir, temporary, when, (manifest, owner), disk::flush_dir)
}

fn publish_on(
    dir: &Path,
    temporary: &Path,
    (at, encrypted): (Timestamp, bool),
    (manifest, owner): (&Manifest, Owner),
    flush: impl FnOnce(&Path) -> Result<(), DiskError>,
) -> Result<PathBuf, DiskError> {
    let name = next_name(dir, at, encrypted)?;
    let path = dir.join(name.to_string());
    let beside = dir.join(name.manifest());
    owner.adopt(temporary)?;
    small_file::create(&beside, &text_of(manifest, &beside)?, owner)?;
    disk::name(temporary, &path).map_err(|error| taken_back(&[&beside], error))?;
    flush(dir).map_err(|error| taken_back(&[&path, &beside], error))?;
    Ok(path)
}

/// Removes what was made, in this order, because of an error: a backup without its manifest is worse than both.
fn taken_back(made: &[&Path], error: DiskError) -> DiskError {
    let removed = made.iter().try_for_each(|path| disk::remove_if_there(path).map(drop));
    removed.err().unwrap_or(error)
}

/// The name that one more backup in `dir` would get.
///
/// # Errors
/// When the directory cannot be read.
pub fn next_name(dir: &Path, at: Timestamp, encrypted: bool) -> Result<BackupName, DiskError> {
    Ok(BackupName { taken: at.whole_second(), number: next_number(dir, at)?, encrypted })
}

/// The number of one more backup of this second. Numbers only grow, also past those that were removed meanwhile, so
/// that the order of the names is the order in which the backups were made.
fn next_number(dir: &Path, at: Timestamp) -> Result<u32, DiskError> {
    let mut number = 1;
    for entry in fs::read_dir(dir).naming("list", dir)? {
        let file = entry.naming("list", dir)?.file_name();
        let name = file.to_str().and_then(BackupName::parse);
        if let Some(name) = name.filter(|name| name.taken == at.whole_second()) {
            number = number.max(name.number + 1);
        }
    }
    Ok(number)
}

fn text_of(manifest: &Manifest, path: &Path) -> Result<Vec<u8>, DiskError> {
    let mut text = serde_json::to_vec_pretty(manifest).map_err(io::Error::from).naming("write", path)?;
    text.push(b'\n');
    Ok(text)
}

/// Lets a backup stay until `until`, whatever the keep rules say. Its manifest is replaced whole or not at all.
///
/// # Errors
/// When the manifest cannot be written.
pub fn guard(backup: &BackupFile, until: Timestamp, owner: Owner) -> Result<(), DiskError> {
    let path = backup.path.with_file_name(backup.name.manifest());
    let manifest = Manifest { guarded_until: Some(until.to_string()), ..backup.manifest.clone() };
    small_file::replace(&path, &text_of(&manifest, &path)?, owner)
}

/// Removes a backup and then its manifest, unless that is the manifest of another file that differs in its ending only.
///
/// # Errors
/// When one of them cannot be removed.
pub fn remove(backup: &BackupFile) -> Result<(), DiskError> {
    disk::remove_if_there(&backup.path)?;
    let other = BackupName { encrypted: !backup.name.encrypted, ..backup.name };
    if is_gone(&backup.path.with_file_name(other.to_string())) {
        disk::remove_if_there(&backup.path.with_file_name(backup.name.manifest()))?;
    }
    Ok(())
}

/// True when nothing has this name. A link that leads to a disk that is away has it; and what cannot be looked at may be there.
#[must_use]
pub fn is_gone(path: &Path) -> bool {
    fs::symlink_metadata(path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
}

/// Removes manifests of ours whose backup was never published or is gone. Call it only while holding the backup lock.
///
/// # Errors
/// When the directory cannot be read or a file cannot be removed.
pub fn remove_lone_manifests(dir: &Path) -> Result<(), DiskError> {
    for entry in fs::read_dir(dir).naming("list", dir)? {
        let path = entry.naming("list", dir)?.path();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let Some(stem) = name.strip_suffix(".json") else { continue };
        let backups = [format!("{stem}.db.zst"), format!("{stem}.db.zst.age")];
        let ours = backups.iter().any(|backup| BackupName::parse(backup).is_some());
        let lone = ours && backups.iter().all(|backup| is_gone(&dir.join(backup)));
        // Another program's file may have such a name, too.
        if lone && read_manifest(&path).is_some() {
            disk::remove_if_there(&path)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::data_dir::DataDir;
    use crate::config::ServerConfig;

    #[test]
    fn a_backup_that_is_not_surely_on_disk_is_not_there_at_all() {
        let root = tempfile::tempdir().unwrap();
        let dir = DataDir::create_or_open(&ServerConfig::for_testing(root.path()).unwrap().storage).unwrap();
        let place = dir.backups();
        let packed = Packed { bytes: 5, sha256: String::new(), encrypted: false };
        let at = Timestamp::from_millis(1_800_000_000_000);
        let contents =
            Contents { schema_version: 1, bytes: 1, persons: 0, sessions: 0, checkpoints: 0, memories: 0 };
        let manifest = Manifest::new(at, contents, &packed);
        let published = |flush: fn(&Path) -> Result<(), DiskError>| {
            let temporary = DataDir::temporary_in(place);
            fs::write(&temporary, "whole").unwrap();
            publish_on(place, &temporary, (at, false), (&manifest, dir.owner()), flush)
        };
        let broken = |path: &Path| Err(io::Error::from(io::ErrorKind::Other)).naming("flush directory", path);
        assert!(published(broken).is_err());
        assert_eq!(fs::read_dir(place).unwrap().count(), 0);
        assert!(published(|_| Ok(())).is_ok());
        assert_eq!(list(place).unwrap().len(), 1);
    }
}
