//! The web client's files of this release and of the two before it: `assets` in the data directory, a directory for each
//! release. A release that has its name there is whole. The one used last is the one changed last.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::adapters::data_dir::{DataDir, Owner, TEMPORARY_PREFIX};
use crate::adapters::disk::{self, DiskError, Naming};

/// How many releases before this one are kept.
const EARLIER: usize = 2;
/// More files than any release has; whoever puts more there gets the first.
const MOST_FILES: usize = 1000;

/// What became of this release's files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keeping {
    /// They were there.
    Known,
    /// They have been written.
    Written,
    /// The disk has less room than `MIN_FREE_DISK_BYTES`: nothing was written.
    NoRoom,
}

/// A release's directory.
#[derive(Debug)]
struct Release {
    path: PathBuf,
    used_at: SystemTime,
}

/// Where the releases lie.
#[must_use]
pub fn place(dir: &DataDir) -> PathBuf {
    dir.root().join("assets")
}

/// The files of the two releases used last before `release`, the latest first.
///
/// # Errors
/// When what is there cannot be listed.
pub fn earlier(dir: &DataDir, release: &str) -> Result<Vec<Vec<PathBuf>>, DiskError> {
    let mut releases = releases(dir)?;
    releases.retain(|known| !known.path.ends_with(release));
    releases.iter().take(EARLIER).map(|known| files(&known.path)).collect()
}

/// Leaves this release's files for those after it, and removes what no release needs any more. The caller holds the
/// server's lock.
///
/// # Errors
/// What the disk says. Whatever has its name by then is whole.
pub fn keep(
    dir: &DataDir,
    release: &str,
    assets: impl Iterator<Item = (String, &'static [u8])>,
) -> Result<Keeping, DiskError> {
    let place = place(dir);
    let own = place.join(release);
    let known = releases(dir)?.iter().any(|known| known.path == own);
    let low = disk::free_bytes(dir.root()).is_ok_and(|free| free < dir.min_free_bytes());
    let keeping = match (known, low) {
        (true, _) => Keeping::Known,
        (false, true) => Keeping::NoRoom,
        (false, false) => Keeping::Written,
    };
    if keeping == Keeping::Written {
        dir.owner().create_dir(&place)?;
        write(&place, &own, assets, dir.owner())?;
    }
    if keeping != Keeping::NoRoom {
        make_latest(dir, &own)?;
    }
    remove_the_rest(dir, &own)?;
    Ok(keeping)
}

fn write(
    place: &Path,
    own: &Path,
    assets: impl Iterator<Item = (String, &'static [u8])>,
    owner: Owner,
) -> Result<(), DiskError> {
    let staged = DataDir::temporary_in(place);
    let written = owner.create_dir(&staged).and_then(|()| {
        for (name, bytes) in assets {
            let path = staged.join(name);
            let mut file = disk::create_private(&path)?;
            file.write_all(bytes).and_then(|()| file.sync_all()).naming("write", &path)?;
            owner.adopt(&path)?;
        }
        disk::flush_dir(&staged)?;
        disk::publish(&staged, own)
    });
    if written.is_err() {
        remove(&staged)?;
    }
    written
}

/// The order must not depend on a clock that may go wrong.
fn make_latest(dir: &DataDir, own: &Path) -> Result<(), DiskError> {
    let releases = releases(dir)?;
    let Some(latest) = releases.first().filter(|latest| latest.path != own) else { return Ok(()) };
    let later = latest.used_at + Duration::from_secs(1);
    File::open(own).and_then(|own| own.set_modified(later)).naming("set the time of", own)
}

/// Removes what an interrupted start has left. The caller holds the server's lock, and keeps nothing just now.
///
/// # Errors
/// What the disk says.
pub fn remove_interrupted(dir: &DataDir) -> Result<(), DiskError> {
    temporary(dir)?.iter().try_for_each(|left| remove(left))
}

/// Removes what is older than the two before, and what an interrupted start has left.
fn remove_the_rest(dir: &DataDir, own: &Path) -> Result<(), DiskError> {
    remove_interrupted(dir)?;
    for old in releases(dir)?.into_iter().filter(|known| known.path != own).skip(EARLIER) {
        // A directory that has lost some of its files must not look like a release.
        let going = DataDir::temporary_in(&place(dir));
        fs::rename(&old.path, &going).naming("rename", &old.path)?;
        remove(&going)?;
    }
    Ok(())
}

fn remove(path: &Path) -> Result<(), DiskError> {
    match fs::remove_dir_all(path).naming("remove", path) {
        Err(error) if error.is_missing() => Ok(()),
        other => other,
    }
}

/// The directories an interrupted start has left, or one under way is filling.
///
/// # Errors
/// When what is there cannot be listed.
pub fn temporary(dir: &DataDir) -> Result<Vec<PathBuf>, DiskError> {
    let all = directories(&place(dir))?.into_iter().map(|found| found.path);
    Ok(all.filter(|path| name_of(path).starts_with(TEMPORARY_PREFIX)).collect())
}

/// The directory of each release.
///
/// # Errors
/// When what is there cannot be listed.
pub fn all_directories(dir: &DataDir) -> Result<Vec<PathBuf>, DiskError> {
    Ok(releases(dir)?.into_iter().map(|release| release.path).collect())
}

/// Every file of the releases.
///
/// # Errors
/// When what is there cannot be listed.
pub fn all_files(dir: &DataDir) -> Result<Vec<PathBuf>, DiskError> {
    let mut found = Vec::new();
    for release in releases(dir)? {
        found.extend(files(&release.path)?);
    }
    Ok(found)
}

/// Bytes the releases take on disk.
///
/// # Errors
/// When what is there cannot be listed.
pub fn bytes(dir: &DataDir) -> Result<u64, DiskError> {
    Ok(all_files(dir)?.iter().map(|path| disk::allocated_bytes(path)).sum())
}

/// The releases that are there, the one used last first.
fn releases(dir: &DataDir) -> Result<Vec<Release>, DiskError> {
    let mut found = directories(&place(dir))?;
    found.retain(|release| is_release(name_of(&release.path)));
    found.sort_by(|a, b| b.used_at.cmp(&a.used_at).then_with(|| b.path.cmp(&a.path)));
    Ok(found)
}

/// `0.1.0-0123456789abcdef`. What else lies there is somebody else's.
fn is_release(name: &str) -> bool {
    let digit_first = name.starts_with(|first: char| first.is_ascii_digit());
    let hash = name.rsplit_once('-').map_or("", |(_, hash)| hash);
    digit_first && hash.len() == 16 && hash.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn name_of(path: &Path) -> &str {
    path.file_name().and_then(|name| name.to_str()).unwrap_or_default()
}

/// The directories in `place`, links to some left out; none when there is no such place.
fn directories(place: &Path) -> Result<Vec<Release>, DiskError> {
    let entries = match fs::read_dir(place).naming("list", place) {
        Err(error) if error.is_missing() => return Ok(Vec::new()),
        other => other?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.naming("list", place)?;
        // Not `metadata()` of the path: that would follow a link.
        let Ok(meta) = entry.metadata() else { continue };
        if let (true, Ok(used_at)) = (meta.is_dir(), meta.modified()) {
            found.push(Release { path: entry.path(), used_at });
        }
    }
    Ok(found)
}

/// The regular files in a release's directory.
fn files(release: &Path) -> Result<Vec<PathBuf>, DiskError> {
    let entries = fs::read_dir(release).naming("list", release)?.flatten();
    let regular = entries.filter(|entry| entry.metadata().is_ok_and(|meta| meta.is_file()));
    Ok(regular.map(|entry| entry.path()).take(MOST_FILES).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ServerConfig;

    const RELEASES: [&str; 5] = [
        "0.1.0-0000000000000001",
        "0.2.0-0000000000000002",
        "0.10.0-0000000000000003",
        "1.0.0-rc.1-0000000000000004",
        "1.0.0-0000000000000005",
    ];

    fn house(min_free_bytes: u64) -> (tempfile::TempDir, DataDir) {
        let root = tempfile::tempdir().unwrap();
        let mut config = ServerConfig::for_testing(root.path()).unwrap().storage;
        config.min_free_disk_bytes = min_free_bytes;
        (root, DataDir::create_or_open(&config).unwrap())
    }

    fn assets(release: &str) -> impl Iterator<Item = (String, &'static [u8])> {
        [("a.js".to_owned(), b"a".as_slice()), (format!("of-{release}.js"), b"".as_slice())].into_iter()
    }

    fn start(dir: &DataDir, release: &str) -> Keeping {
        keep(dir, release, assets(release)).unwrap()
    }

    fn kept(dir: &DataDir) -> Vec<String> {
        releases(dir).unwrap().iter().map(|release| name_of(&release.path).to_owned()).collect()
    }

    #[test]
    fn this_release_and_the_two_before_it_are_kept_however_many_there_were() {
        let (_root, dir) = house(0);
        for release in RELEASES {
            assert_eq!(start(&dir, release), Keeping::Written);
            assert_eq!(start(&dir, release), Keeping::Known);
        }
        assert_eq!(kept(&dir), [RELEASES[4], RELEASES[3], RELEASES[2]]);
        let served = earlier(&dir, RELEASES[4]).unwrap();
        assert_eq!(served.len(), 2);
        for (files, release) in served.iter().zip([RELEASES[3], RELEASES[2]]) {
            assert!(files.contains(&place(&dir).join(release).join(format!("of-{release}.js"))), "{files:?}");
            assert_eq!(files.len(), 2);
        }
    }

    #[test]
    fn a_release_that_is_used_again_is_the_latest_one() {
        let (_root, dir) = house(0);
        for release in [0, 1, 2, 0, 3] {
            start(&dir, RELEASES[release]);
        }
        assert_eq!(kept(&dir), [RELEASES[3], RELEASES[0], RELEASES[2]]);
    }

    #[test]
    fn with_little_room_nothing_is_written_and_what_is_too_old_goes_all_the_same() {
        let (_root, roomy) = house(0);
        for release in &RELEASES[..3] {
            start(&roomy, release);
        }
        let mut config = ServerConfig::for_testing(roomy.root()).unwrap().storage;
        config.min_free_disk_bytes = u64::MAX;
        let low = DataDir::create_or_open(&config).unwrap();
        assert_eq!(start(&low, RELEASES[2]), Keeping::Known);
        assert_eq!(start(&low, RELEASES[3]), Keeping::NoRoom);
        assert_eq!(kept(&low), [RELEASES[2], RELEASES[1]]);
    }

    #[test]
    fn what_an_interrupted_start_left_goes_and_what_is_not_ours_stays() {
        let (_root, dir) = house(0);
        start(&dir, RELEASES[0]);
        let staged = DataDir::temporary_in(&place(&dir));
        fs::create_dir(&staged).unwrap();
        fs::write(staged.join("half"), "").unwrap();
        remove_interrupted(&dir).unwrap();
        assert!(!staged.exists());
        fs::create_dir(&staged).unwrap();
        let foreign = ["lost+found", "notes-0123", "v1-0123456789abcdef"].map(|name| place(&dir).join(name));
        foreign.iter().for_each(|path| fs::create_dir(path).unwrap());
        let elsewhere = tempfile::tempdir().unwrap();
        let link = place(&dir).join("0.0.1-0123456789abcdef");
        std::os::unix::fs::symlink(elsewhere.path(), &link).unwrap();
        for release in RELEASES {
            start(&dir, release);
        }
        assert!(!staged.exists());
        assert!(foreign.iter().chain([&link]).all(|path| path.exists()));
        assert_eq!(kept(&dir), [RELEASES[4], RELEASES[3], RELEASES[2]]);
    }

    #[test]
    fn what_cannot_be_written_whole_leaves_nothing() {
        let (_root, dir) = house(0);
        let impossible = [("a.js".to_owned(), b"a".as_slice()), ("no/such/place.js".to_owned(), b"")];
        assert!(keep(&dir, RELEASES[0], impossible.into_iter()).is_err());
        assert_eq!(fs::read_dir(place(&dir)).unwrap().count(), 0);
    }

    #[test]
    fn of_a_release_into_which_much_was_put_so_many_files_are_served() {
        let (_root, dir) = house(0);
        start(&dir, RELEASES[0]);
        start(&dir, RELEASES[1]);
        let earlier_one = place(&dir).join(RELEASES[0]);
        for number in 0..MOST_FILES {
            fs::write(earlier_one.join(format!("{number}.js")), "").unwrap();
        }
        let served = earlier(&dir, RELEASES[1]).unwrap();
        assert_eq!(served.iter().map(Vec::len).collect::<Vec<_>>(), [MOST_FILES]);
    }
}
