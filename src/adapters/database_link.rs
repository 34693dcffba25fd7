//! A link in the database's place. `SQLite` follows it and keeps the log beside the real file; so does everything here, or
//! nobody uses it.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::adapters::data_dir::Owner;
use crate::adapters::data_dir_error::DataDirError;
use crate::adapters::disk::{self, Naming};

/// The real file behind `database`; `None` when that is no link. While a restore is `pending` the file may be gone for a
/// moment, or be the one that is to be put back: then where it is to be.
///
/// # Errors
/// When the link leads nowhere, or to what does not belong to the data directory's owner: they may have made the link, and
/// whoever follows it may be root.
pub(super) fn follow(database: &Path, owner: Owner, pending: bool) -> Result<Option<PathBuf>, DataDirError> {
    if fs::read_link(database).is_err() {
        return Ok(None);
    }
    let end = disk::end_of_links(database.to_owned());
    let refused = |target: &Path, why: String| {
        Err(DataDirError::Link { link: database.to_owned(), target: target.to_owned(), why })
    };
    let home = end.parent().unwrap_or(Path::new("/"));
    let real = match fs::canonicalize(home).naming("look at", home) {
        Ok(home) if pending || end.exists() => home.join(end.file_name().unwrap_or_default()),
        Err(error) if !error.is_missing() => return Err(error.into()),
        Ok(_) | Err(_) => {
            let todo =
                "which is not there: mount its disk or put the database back there, or remove the link";
            return refused(&end, todo.to_owned());
        }
    };
    match foreign(&real, owner.ids().0)? {
        None => Ok(Some(real)),
        Some((path, uid)) => {
            let why = format!(
                "and {} belongs to user {uid}, not to the data directory's owner: give it to user {}, or remove the link",
                path.display(),
                owner.ids().0
            );
            refused(&real, why)
        }
    }
}

/// The file or its directory, when it belongs to another user than `owner`, and to whom.
fn foreign(real: &Path, owner: u32) -> Result<Option<(&Path, u32)>, DataDirError> {
    for path in [Some(real), real.parent()].into_iter().flatten() {
        match fs::symlink_metadata(path).naming("look at", path) {
            Ok(meta) if meta.uid() != owner => return Ok(Some((path, meta.uid()))),
            Err(error) if !error.is_missing() => return Err(error.into()),
            Ok(_) | Err(_) => {}
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{chown, symlink};

    use super::*;
    use crate::adapters::data_dir::DataDir;
    use crate::config::ServerConfig;

    #[test]
    fn a_link_is_followed_to_its_end_and_a_dangling_one_is_told() {
        let root = tempfile::tempdir().unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        let storage = ServerConfig::for_testing(root.path()).unwrap().storage;
        let real = elsewhere.path().canonicalize().unwrap().join("real.db");
        fs::write(&real, "a database").unwrap();
        symlink("real.db", elsewhere.path().join("second")).unwrap();
        symlink(elsewhere.path().join("second"), &storage.database).unwrap();
        let dir = DataDir::create_or_open(&storage).unwrap();
        assert_eq!(dir.database(), real);
        fs::remove_file(&real).unwrap();
        let told = DataDir::create_or_open(&storage).unwrap_err().to_string();
        assert!(told.contains("is a link to") && told.contains("not there"), "{told}");
        assert_eq!(follow(&storage.database, dir.owner(), true).unwrap(), Some(real), "a restore is at it");
        assert_eq!(follow(&root.path().join("none"), dir.owner(), false).unwrap(), None);
    }

    #[test]
    fn a_link_to_what_is_somebody_elses_is_not_followed() {
        let root = tempfile::tempdir().unwrap();
        if rustix::process::geteuid().is_root() {
            chown(root.path(), Some(65534), Some(65534)).unwrap();
        }
        let storage = ServerConfig::for_testing(root.path()).unwrap().storage;
        symlink("/etc/passwd", &storage.database).unwrap();
        let told = DataDir::create_or_open(&storage).unwrap_err().to_string();
        assert!(told.contains("/etc/passwd belongs to user 0"), "{told}");
    }
}
