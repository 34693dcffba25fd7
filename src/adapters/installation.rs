//! Which installation this is, and whose backups lie in a directory: a random id in the data directory, and the same id
//! in the directory that its backups are rotated in. It is no secret.
//!
//! Two installations that share a directory of backups would rotate each other's away and restore each other's.

use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};

use uuid::Uuid;

use crate::adapters::data_dir::{DataDir, Owner};
use crate::adapters::disk::{self, DiskError, Naming};
use crate::adapters::small_file;

/// What tells one installation from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InstallationId(Uuid);

/// Whose backups lie in a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// Nobody has said so yet.
    Nobodys,
    /// Those of this installation.
    Ours,
    /// Those of another one, or of one that cannot be read.
    Anothers,
}

/// Where the id of this installation lies.
#[must_use]
pub fn path(dir: &DataDir) -> PathBuf {
    dir.root().join("installation")
}

/// Where a directory of backups says whose they are.
#[must_use]
pub fn marker(backups: &Path) -> PathBuf {
    backups.join(".companion-installation")
}

/// The id of this installation, made when there is none.
///
/// # Errors
/// When it cannot be read or written.
fn ensure(dir: &DataDir) -> Result<InstallationId, DiskError> {
    let path = path(dir);
    match read(&path)? {
        Some(id) => Ok(id),
        None => settle(&path, InstallationId(Uuid::new_v4()), dir.owner()),
    }
}

/// Whose backups lie in `backups`, by its marker.
///
/// # Errors
/// When the marker or the id of this installation cannot be read.
pub fn claim(dir: &DataDir, backups: &Path) -> Result<Claim, DiskError> {
    Ok(match read(&marker(backups)) {
        Ok(None) => Claim::Nobodys,
        Ok(Some(holder)) if read(&path(dir))? == Some(holder) => Claim::Ours,
        Ok(Some(_)) => Claim::Anothers,
        Err(error) if is_damage(&error) => Claim::Anothers,
        Err(error) => return Err(error),
    })
}

/// Makes `backups` the directory of this installation's backups, if it is nobody's; by `force` also if it is another's.
/// Tells whose it is then.
///
/// # Errors
/// When an id or the marker cannot be read or written.
pub fn take_over(dir: &DataDir, backups: &Path, force: bool) -> Result<Claim, DiskError> {
    let known = claim(dir, backups)?;
    if known == Claim::Anothers && !force {
        return Ok(known);
    }
    // Not before it is needed: a new host whose server ran first may still become, by a restore, the one whose backups it has.
    let (own, marker) = (ensure(dir)?, marker(backups));
    if known == Claim::Nobodys {
        let holder = settle(&marker, own, dir.owner())?;
        return Ok(if holder == own { Claim::Ours } else { Claim::Anothers });
    }
    if known == Claim::Anothers {
        small_file::replace(&marker, &bytes(own), dir.owner())?;
        return Ok(Claim::Ours);
    }
    Ok(known)
}

/// Makes this, which has no id yet, the installation whose backups lie in `backups`, so that it goes on with them.
///
/// # Errors
/// When the marker cannot be read or the id cannot be written.
pub fn go_on_with(dir: &DataDir, backups: &Path) -> Result<(), DiskError> {
    match read(&marker(backups)) {
        Ok(Some(holder)) => settle(&path(dir), holder, dir.owner()).map(drop),
        Err(error) if !is_damage(&error) => Err(error),
        Ok(None) | Err(_) => Ok(()),
    }
}

fn read(path: &Path) -> Result<Option<InstallationId>, DiskError> {
    let file = match disk::open_to_read(path) {
        Err(error) if error.is_missing() => return Ok(None),
        other => other?,
    };
    let mut text = String::new();
    file.take(64).read_to_string(&mut text).naming("read", path)?;
    let id = text.trim_end().parse().map(InstallationId);
    let damaged =
        |_| io::Error::new(ErrorKind::InvalidData, "this is no id of an installation: remove the file");
    id.map(Some).map_err(damaged).naming("read", path)
}

fn is_damage(error: &DiskError) -> bool {
    error.source.kind() == ErrorKind::InvalidData
}

/// Writes the id, unless somebody else was faster: then theirs counts.
fn settle(path: &Path, id: InstallationId, owner: Owner) -> Result<InstallationId, DiskError> {
    match small_file::create(path, &bytes(id), owner) {
        Ok(()) => Ok(id),
        Err(error) => read(path)?.ok_or(error),
    }
}

fn bytes(id: InstallationId) -> Vec<u8> {
    format!("{}\n", id.0.simple()).into_bytes()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::config::ServerConfig;

    fn house() -> (tempfile::TempDir, DataDir) {
        let root = tempfile::tempdir().unwrap();
        let dir = DataDir::create_or_open(&ServerConfig::for_testing(root.path()).unwrap().storage).unwrap();
        (root, dir)
    }

    #[test]
    fn a_directory_belongs_to_the_first_until_it_is_taken_over() {
        let ((_a, first), (_b, second)) = (house(), house());
        let shared = tempfile::tempdir().unwrap();
        let shared = shared.path();
        assert_eq!(claim(&first, shared).unwrap(), Claim::Nobodys);
        assert_eq!(take_over(&first, shared, false).unwrap(), Claim::Ours);
        assert_eq!(take_over(&first, shared, false).unwrap(), Claim::Ours);
        assert_eq!(take_over(&second, shared, false).unwrap(), Claim::Anothers);
        assert_eq!(claim(&first, shared).unwrap(), Claim::Ours);
        assert_eq!(take_over(&second, shared, true).unwrap(), Claim::Ours);
        assert_eq!(claim(&first, shared).unwrap(), Claim::Anothers);
        assert_eq!(fs::read_dir(shared).unwrap().count(), 1);
    }

    #[test]
    fn an_id_is_made_once_and_a_damaged_one_is_nobodys_claim() {
        let (_root, dir) = house();
        let id = ensure(&dir).unwrap();
        assert_eq!(ensure(&dir).unwrap(), id);
        assert!(take_over(&dir, dir.backups(), false).is_ok());
        for damage in ["", "hello", "\u{e9}"] {
            fs::write(marker(dir.backups()), damage).unwrap();
            assert_eq!(claim(&dir, dir.backups()).unwrap(), Claim::Anothers, "{damage:?}");
            fs::write(path(&dir), damage).unwrap();
            assert!(ensure(&dir).unwrap_err().to_string().contains("remove the file"));
            fs::remove_file(path(&dir)).unwrap();
            go_on_with(&dir, dir.backups()).unwrap();
            assert!(!path(&dir).exists(), "there is nobody to go on for");
        }
    }

    #[test]
    fn who_has_no_id_goes_on_as_the_one_whose_backups_they_are() {
        let ((_a, old), (_b, new)) = (house(), house());
        take_over(&old, old.backups(), false).unwrap();
        go_on_with(&new, old.backups()).unwrap();
        assert_eq!(claim(&new, old.backups()).unwrap(), Claim::Ours);
        let (_c, other) = house();
        let id = ensure(&other).unwrap();
        go_on_with(&other, old.backups()).unwrap();
        assert_eq!(ensure(&other).unwrap(), id, "who has one keeps it");
    }
}
