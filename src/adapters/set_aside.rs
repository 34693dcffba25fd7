//! Putting the current database aside and another one in its place, so that a crash at any moment leaves the one or
//! the other, and says so.
//!
//! The database, its log and its index go aside together: a stale log beside another database would undo it silently.
//! While that happens `restore.pending` in the data directory says what was there; as long as that file exists nobody
//! opens the database, and [`undo`] puts everything back.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::adapters::data_dir::{DataDir, DataDirError};
use crate::adapters::disk::{self, DiskError, Naming};
use crate::adapters::leftovers::remove_leftovers;
use crate::adapters::small_file;
use crate::domain::clock::Timestamp;

/// What belongs to a database: the file itself, then its sidecars.
const PARTS: [&str; 4] = ["", "-wal", "-shm", "-journal"];

/// The directory that going back puts the other database in has the name of the one that comes back, and this.
pub const UNDONE: &str = "-undone";

/// What is written there has less than a tenth of it.
const LARGEST_MARKER: u64 = 4096;

/// What was there before; as JSON in `restore.pending`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Pending {
    /// The name of the directory it went to, below [`place`]: the data directory may be somewhere else by the time this
    /// is undone.
    set_aside: String,
    /// The names of the files that were there.
    files: Vec<String>,
}

fn home(dir: &DataDir) -> &Path {
    dir.database().parent().unwrap_or(dir.root())
}

/// Where databases that were set aside lie.
#[must_use]
pub fn place(dir: &DataDir) -> PathBuf {
    home(dir).join("set-aside")
}

/// Refuses to use a database that a restore is putting in its place, or was when it was interrupted.
///
/// # Errors
/// [`DataDirError::RestorePending`], or [`DataDirError::RestoreUnknown`].
pub fn refuse_pending(dir: &DataDir) -> Result<(), DataDirError> {
    match read_marker(dir)? {
        Some(_) => Err(DataDirError::RestorePending(dir.root().to_owned())),
        None => Ok(()),
    }
}

/// Sets the current database aside, if there is one, and gives `new` its name. Until [`finish`], [`undo`] goes back.
/// Returns where the old one lies. The caller holds every lock.
///
/// # Errors
/// What the disk says; then [`undo`] has to be called.
pub fn replace(dir: &DataDir, new: &Path, at: Timestamp) -> Result<Option<PathBuf>, DiskError> {
    let files = present_parts(dir)?;
    let aside = next_place(dir, at);
    // First of all: whatever is made after this, `undo` knows of.
    let name = aside.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    write_marker(dir, &Pending { set_aside: name, files: files.clone() })?;
    if !files.is_empty() {
        dir.owner().create_dir(&place(dir))?;
        dir.owner().create_dir(&aside)?;
        disk::flush_dir(&place(dir))?;
    }
    for file in &files {
        let (from, to) = (home(dir).join(file), aside.join(file));
        fs::rename(&from, &to).naming("set aside", &from)?;
    }
    if !files.is_empty() {
        disk::flush_dir(&aside)?;
    }
    disk::flush_dir(home(dir))?;
    disk::publish(new, dir.database())?;
    Ok((!files.is_empty()).then_some(aside))
}

/// Ends a replacement that went well.
///
/// # Errors
/// What the disk says.
pub fn finish(dir: &DataDir) -> Result<(), DiskError> {
    disk::remove_if_there(&dir.restore_marker())?;
    disk::flush_dir(dir.root())
}

/// Puts back what an unfinished [`replace`] had set aside. True when there was something to undo. The caller holds
/// every lock. Can itself be interrupted and called again.
///
/// # Errors
/// [`DataDirError::RestoreUnknown`], or what the disk says; nothing is lost then, and the marker stays.
pub fn undo(dir: &DataDir) -> Result<bool, DataDirError> {
    match read_marker(dir)? {
        Some(pending) => put_back(dir, &pending).map(|()| true).map_err(Into::into),
        None => Ok(false),
    }
}

fn put_back(dir: &DataDir, pending: &Pending) -> Result<(), DiskError> {
    let aside = place(dir).join(&pending.set_aside);
    for file in &pending.files {
        if !aside.join(file).exists() && !home(dir).join(file).exists() {
            // Without it there is no way back; whoever set it aside by hand has to bring it.
            return Err(std::io::Error::from(std::io::ErrorKind::NotFound))
                .naming("put back", &aside.join(file));
        }
    }
    for part in PARTS {
        let name = format!("{}{part}", file_name(dir));
        // A file that was there and has not been moved yet is the old one; any other is of the copy that came after.
        if aside.join(&name).exists() || !pending.files.contains(&name) {
            disk::remove_if_there(&home(dir).join(name))?;
        }
    }
    for file in &pending.files {
        let (from, to) = (aside.join(file), home(dir).join(file));
        if from.exists() {
            fs::rename(&from, &to).naming("put back", &to)?;
        }
    }
    if aside.is_dir() {
        fs::remove_dir(&aside).naming("remove", &aside)?;
    }
    if place(dir).is_dir() {
        // A directory that was killed before it had its name.
        remove_leftovers(&place(dir))?;
    }
    disk::flush_dir(home(dir))?;
    finish(dir)
}

/// Removes databases that were set aside more than `keep` before `now`; returns their names.
///
/// # Errors
/// What the disk says.
pub fn remove_older(dir: &DataDir, now: Timestamp, keep: Duration) -> Result<Vec<String>, DiskError> {
    let old = older(dir, now, keep)?;
    for name in &old {
        let path = place(dir).join(name);
        fs::remove_dir_all(&path).naming("remove", &path)?;
    }
    Ok(old)
}

/// What [`remove_older`] would remove.
///
/// # Errors
/// When the directory cannot be read.
pub fn older(dir: &DataDir, now: Timestamp, keep: Duration) -> Result<Vec<String>, DiskError> {
    let old = list(dir)?.into_iter().filter(|(_, at)| now.since(*at) > keep);
    Ok(old.map(|(name, _)| name).collect())
}

/// The names of the databases that were set aside, and when: by their names, and where somebody went back to the one from
/// before, when they put the other one away.
///
/// # Errors
/// What the disk says.
pub fn list(dir: &DataDir) -> Result<Vec<(String, Timestamp)>, DiskError> {
    named_by_time(dir, |kind| kind.is_dir())
}

/// What has the name of a database that was set aside and is none: files and links, which nobody of ours makes there.
///
/// # Errors
/// What the disk says.
pub fn strangers(dir: &DataDir) -> Result<Vec<String>, DiskError> {
    let found = named_by_time(dir, |kind| !kind.is_dir())?;
    Ok(found.into_iter().map(|(name, _)| name).collect())
}

fn named_by_time(
    dir: &DataDir,
    wanted: impl Fn(fs::FileType) -> bool,
) -> Result<Vec<(String, Timestamp)>, DiskError> {
    let place = place(dir);
    let mut found = Vec::new();
    if !place.is_dir() {
        return Ok(found);
    }
    for entry in fs::read_dir(&place).naming("list", &place)? {
        let entry = entry.naming("list", &place)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let moment = name.split('-').next().unwrap_or_default();
        if let Some(mut at) = Timestamp::parse_compact(moment)
            && wanted(entry.file_type().naming("look at", &entry.path())?)
        {
            if name.ends_with(UNDONE) {
                // It has the name of the restore; what changed it last is what was moved into it.
                let changed = entry.metadata().and_then(|meta| meta.modified());
                at = at.max(Timestamp::from_system(changed.naming("look at", &entry.path())?));
            }
            found.push((name, at));
        }
    }
    found.sort();
    Ok(found)
}

/// Bytes on disk of all databases that were set aside.
///
/// # Errors
/// What the disk says.
pub fn bytes(dir: &DataDir) -> Result<u64, DiskError> {
    let mut bytes = 0;
    for (name, _) in list(dir)? {
        let path = place(dir).join(name);
        for entry in fs::read_dir(&path).naming("list", &path)? {
            bytes += disk::allocated_bytes(&entry.naming("list", &path)?.path());
        }
    }
    Ok(bytes)
}

fn file_name(dir: &DataDir) -> String {
    dir.database().file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

fn present_parts(dir: &DataDir) -> Result<Vec<String>, DiskError> {
    let database = file_name(dir);
    let mut files = Vec::new();
    for part in PARTS {
        let name = format!("{database}{part}");
        let path = home(dir).join(&name);
        if path.try_exists().naming("look at", &path)? {
            files.push(name);
        }
    }
    Ok(files)
}

fn next_place(dir: &DataDir, at: Timestamp) -> PathBuf {
    let first = place(dir).join(at.compact());
    let more = (2..).map(|number| place(dir).join(format!("{}-{number}", at.compact())));
    std::iter::once(first).chain(more).find(|path| fs::symlink_metadata(path).is_err()).unwrap_or_default()
}

/// What an unfinished [`replace`] has noted.
fn read_marker(dir: &DataDir) -> Result<Option<Pending>, DataDirError> {
    let path = dir.restore_marker();
    let file = match disk::open_to_read(&path) {
        Err(error) if error.is_missing() => return Ok(None),
        other => other?,
    };
    let mut text = Vec::new();
    file.take(LARGEST_MARKER).read_to_end(&mut text).naming("read", &path)?;
    let pending = serde_json::from_slice(&text).ok().filter(|pending: &Pending| is_plausible(dir, pending));
    pending.map(Some).ok_or_else(|| DataDirError::RestoreUnknown { path, aside: place(dir) })
}

/// Whether these are names that [`replace`] can have written.
fn is_plausible(dir: &DataDir, pending: &Pending) -> bool {
    let moment = pending.set_aside.split('-').next().unwrap_or_default();
    let parts: Vec<_> = PARTS.iter().map(|part| format!("{}{part}", file_name(dir))).collect();
    let one_name = Path::new(&pending.set_aside).components().count() == 1;
    one_name
        && Timestamp::parse_compact(moment).is_some()
        && pending.files.iter().all(|file| parts.contains(file))
}

fn write_marker(dir: &DataDir, pending: &Pending) -> Result<(), DiskError> {
    let path = dir.restore_marker();
    let text = serde_json::to_vec(pending).map_err(std::io::Error::from).naming("write", &path)?;
    small_file::create(&path, &text, dir.owner())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ServerConfig;

    fn house() -> (tempfile::TempDir, DataDir) {
        let root = tempfile::tempdir().unwrap();
        let dir = DataDir::create_or_open(&ServerConfig::for_testing(root.path()).unwrap().storage).unwrap();
        (root, dir)
    }

    fn put(dir: &DataDir, name: &str, text: &str) -> PathBuf {
        let path = dir.root().join(name);
        fs::write(&path, text).unwrap();
        path
    }

    fn read(dir: &DataDir, name: &str) -> Option<String> {
        fs::read_to_string(dir.root().join(name)).ok()
    }

    const AT: Timestamp = Timestamp::from_millis(1_795_528_449_123);

    #[test]
    fn the_old_one_lies_aside_whole_and_the_new_one_has_its_name() {
        let (_root, dir) = house();
        put(&dir, "companion.db", "old");
        put(&dir, "companion.db-wal", "log");
        let aside = replace(&dir, &put(&dir, "new", "new"), AT).unwrap().unwrap();
        assert!(refuse_pending(&dir).is_err());
        finish(&dir).unwrap();
        assert!(refuse_pending(&dir).is_ok() && !undo(&dir).unwrap());
        assert_eq!(read(&dir, "companion.db").as_deref(), Some("new"));
        assert_eq!(read(&dir, "companion.db-wal"), None);
        assert_eq!(fs::read_to_string(aside.join("companion.db-wal")).unwrap(), "log");
        let again = replace(&dir, &put(&dir, "new", "newer"), AT).unwrap().unwrap();
        assert_ne!(again, aside, "twice in the same second");
    }

    #[test]
    fn it_can_be_undone_wherever_it_stopped() {
        for moved in 0..=3 {
            let (_root, dir) = house();
            let files = ["companion.db", "companion.db-wal"];
            for file in files {
                put(&dir, file, "old");
            }
            let aside = next_place(&dir, AT);
            fs::create_dir_all(&aside).unwrap();
            let names = files.iter().map(|file| (*file).to_owned()).collect();
            let name = aside.file_name().unwrap().to_string_lossy().into_owned();
            write_marker(&dir, &Pending { set_aside: name, files: names }).unwrap();
            for file in files.iter().take(moved) {
                fs::rename(dir.root().join(file), aside.join(file)).unwrap();
            }
            if moved == 3 {
                put(&dir, "companion.db", "new");
                put(&dir, "companion.db-shm", "new");
            }
            assert!(undo(&dir).unwrap());
            assert!(files.iter().all(|file| read(&dir, file).as_deref() == Some("old")), "{moved}");
            assert_eq!(read(&dir, "companion.db-shm"), None);
            assert!(refuse_pending(&dir).is_ok() && list(&dir).unwrap().is_empty());
        }
    }

    #[test]
    fn it_can_be_undone_after_the_data_directory_was_moved_and_never_without_the_old_one() {
        let (root, dir) = house();
        put(&dir, "companion.db", "old");
        let aside = replace(&dir, &put(&dir, "new", "new"), AT).unwrap().unwrap();
        let moved = tempfile::tempdir().unwrap();
        let there = moved.path().join("data");
        fs::rename(root.path(), &there).unwrap();
        let storage = ServerConfig::for_testing(&there).unwrap().storage;
        let dir = DataDir::create_or_open(&storage).unwrap();
        let lies = place(&dir).join(aside.file_name().unwrap()).join("companion.db");
        let away = there.join("elsewhere");
        fs::rename(&lies, &away).unwrap();
        fs::remove_file(dir.database()).unwrap();
        assert!(undo(&dir).is_err() && refuse_pending(&dir).is_err(), "there is nothing to go back to");
        fs::rename(&away, &lies).unwrap();
        assert!(undo(&dir).unwrap());
        assert_eq!(read(&dir, "companion.db").as_deref(), Some("old"));
    }

    #[test]
    fn a_note_that_is_damaged_changes_nothing_and_says_what_to_do() {
        let (_root, dir) = house();
        put(&dir, "companion.db", "old");
        let elsewhere = r#"{"set_aside": "..", "files": ["companion.db"]}"#;
        let strange = r#"{"set_aside": "20261124T000000Z", "files": ["locks"]}"#;
        let long = r#"{"set_aside": "20261124T000000Z", "files": ["companion.db"]}"#;
        let long = format!("{}{long}", " ".repeat(usize::try_from(LARGEST_MARKER).unwrap()));
        for text in ["", "{", "[]", elsewhere, strange, &long] {
            put(&dir, "restore.pending", text);
            for told in [undo(&dir).unwrap_err(), refuse_pending(&dir).unwrap_err()] {
                assert!(told.to_string().contains("is damaged: move it away"), "{told}");
            }
            assert_eq!(read(&dir, "companion.db").as_deref(), Some("old"));
        }
    }

    #[test]
    fn where_there_was_none_undoing_leaves_none() {
        let (_root, dir) = house();
        assert_eq!(replace(&dir, &put(&dir, "new", "new"), AT).unwrap(), None);
        assert!(undo(&dir).unwrap());
        assert_eq!(read(&dir, "companion.db"), None);
    }

    #[test]
    fn what_was_set_aside_goes_after_its_time() {
        let (_root, dir) = house();
        put(&dir, "companion.db", "old");
        replace(&dir, &put(&dir, "new", "new"), AT).unwrap();
        finish(&dir).unwrap();
        let day = Duration::from_secs(86_400);
        assert!(remove_older(&dir, AT.later_by(day), day * 2).unwrap().is_empty());
        assert!(bytes(&dir).unwrap() > 0);
        assert_eq!(remove_older(&dir, AT.later_by(day * 3), day * 2).unwrap().len(), 1);
        assert!(list(&dir).unwrap().is_empty());
    }
}
