//! `import-owners`: the random ids of people whom conversations were imported for, kept outside the database. After an older
//! backup is restored nothing in the database tells of an import any more; this file does, so that the next import can see
//! whether one of them asked to be forgotten. One line each: id, space, `made` or `named`.

use std::io::{Error, ErrorKind, Read};
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use crate::adapters::acting::Rights;
use crate::adapters::data_dir::{DataDir, Owner};
use crate::adapters::disk::{self, DiskError, Naming};
use crate::adapters::import_store;
use crate::adapters::small_file;
use crate::adapters::sqlite::{DbError, During};
use crate::domain::person::PersonId;

/// How somebody came to hold what was imported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// They were made for it.
    Made,
    /// They were here before, and the operator named them.
    Named,
}

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImportOwner {
    /// Their id, as in the erasure ledger.
    pub id: PersonId,
    /// How they came to it.
    pub origin: Origin,
}

/// Its name in the data directory, and that of the copy beside backups.
pub const NAME: &str = "import-owners";

/// Where the file lies.
#[must_use]
pub fn path(dir: &DataDir) -> PathBuf {
    dir.root().join(NAME)
}

/// All of them; none when there is no file.
///
/// # Errors
/// When the file cannot be read or is not one of ours: who was erased could not be told then.
pub fn read(dir: &DataDir) -> Result<Vec<ImportOwner>, DiskError> {
    read_at(&path(dir))
}

fn read_at(path: &Path) -> Result<Vec<ImportOwner>, DiskError> {
    let mut file = match disk::open_to_read(path) {
        Err(error) if error.is_missing() => return Ok(Vec::new()),
        other => other?,
    };
    let mut text = String::new();
    file.read_to_string(&mut text).naming("read", path)?;
    text.lines().map(|line| parse(line).naming("read", path)).collect()
}

/// Replaces the file, whole or not at all, and flushes it. Call it before the first row that it tells of: an id too many
/// keeps nobody from anything.
///
/// # Errors
/// When it cannot be written; the old one is still there then.
pub fn replace(dir: &DataDir, owners: &[ImportOwner]) -> Result<(), DiskError> {
    replace_at(&path(dir), owners, dir.owner())
}

fn replace_at(path: &Path, owners: &[ImportOwner], owner: Owner) -> Result<(), DiskError> {
    let text: String = owners.iter().map(|owner| format!("{} {}\n", owner.id, word(owner.origin))).collect();
    small_file::replace(path, text.as_bytes(), owner)
}

/// Completes the copy beside the backups in `place`: who has lost the disk of the data still has it there.
///
/// # Errors
/// When either file cannot be read or the copy cannot be written.
pub fn copy_to(dir: &DataDir, place: &Path) -> Result<(), DiskError> {
    merge(read(dir)?, &place.join(NAME), dir.owner())
}

/// Takes up what the file in `place`, if there is one, tells: a backup lies there that is being restored, and read with these
/// rights.
///
/// # Errors
/// As for [`copy_to`].
pub fn take_along(dir: &DataDir, place: &Path, rights: Rights) -> Result<(), DiskError> {
    merge(rights.lend(|| read_at(&place.join(NAME)))?, &path(dir), dir.owner())
}

fn merge(from: Vec<ImportOwner>, to: &Path, owner: Owner) -> Result<(), DiskError> {
    let mut known = read_at(to)?;
    let before = known.len();
    for told in from {
        if !known.contains(&told) {
            known.push(told);
        }
    }
    if known.len() > before { replace_at(to, &known, owner) } else { Ok(()) }
}

/// Adds the one whom the database names, if they are missing: an earlier release has made them, or the file was not carried
/// along to this host.
///
/// # Errors
/// What the database or the disk says.
pub fn note_made(dir: &DataDir, db: &Connection) -> Result<(), DbError> {
    let Some(owner) = import_store::owner(db).during("look for the person of the imported sessions")? else {
        return Ok(());
    };
    let made = ImportOwner { id: owner.id, origin: Origin::Made };
    let mut known = read(dir)?;
    if !known.contains(&made) {
        known.push(made);
        replace(dir, &known)?;
    }
    Ok(())
}

const fn word(origin: Origin) -> &'static str {
    match origin {
        Origin::Made => "made",
        Origin::Named => "named",
    }
}

fn parse(line: &str) -> Result<ImportOwner, Error> {
    let origin = |text: &str| [Origin::Made, Origin::Named].into_iter().find(|known| word(*known) == text);
    let parsed = line.split_once(' ').and_then(|(id, text)| Some((id.parse().ok()?, origin(text)?)));
    let (id, origin) = parsed.ok_or_else(|| {
        let why = "it is damaged: bring it back from a copy, or move it away if nobody of an import was ever erased";
        Error::new(ErrorKind::InvalidData, why)
    })?;
    Ok(ImportOwner { id, origin })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::config::ServerConfig;

    #[test]
    fn what_is_written_is_read_back_and_damage_is_told() {
        let root = tempfile::tempdir().unwrap();
        let dir = DataDir::create_or_open(&ServerConfig::for_testing(root.path()).unwrap().storage).unwrap();
        assert_eq!(read(&dir).unwrap(), []);
        let made = ImportOwner { id: PersonId::random(), origin: Origin::Made };
        let named = ImportOwner { id: PersonId::random(), origin: Origin::Named };
        replace(&dir, &[made]).unwrap();
        replace(&dir, &[made, named]).unwrap();
        assert_eq!(read(&dir).unwrap(), [made, named]);
        let mode = fs::metadata(path(&dir)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        fs::write(path(&dir), "half of an id").unwrap();
        assert!(read(&dir).unwrap_err().to_string().contains("it is damaged"));
    }
}
