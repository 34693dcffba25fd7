//! The textfile for Prometheus' node exporter: written whole or not at all, and read back for what has to be carried
//! over.

use std::fs::{self, Permissions};
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::adapters::data_dir::DataDir;
use crate::adapters::disk::{self, DiskError, Naming};
use crate::adapters::leftovers::remove_leftovers_older_than;
use crate::domain::clock::Timestamp;

/// A temporary file that is older was left by a run that was killed.
const LEFTOVER_AGE: Duration = Duration::from_secs(60 * 60);
/// One job's file has a few KiB; something larger is another file, and what is looked for is not in it.
const MOST_BYTES: u64 = 1 << 20;

/// Where a textfile goes. Its name is one that the exporter reads, so that a slip never replaces a file of another kind:
/// the database, say, or the settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextfilePath(PathBuf);

/// Why a path is none of a textfile.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("must end with .prom, as what the node exporter reads does: a file that is there is replaced")]
pub struct NotATextfile;

impl TryFrom<PathBuf> for TextfilePath {
    type Error = NotATextfile;

    fn try_from(path: PathBuf) -> Result<Self, NotATextfile> {
        if path.extension().is_some_and(|ending| ending == "prom") {
            Ok(Self(path))
        } else {
            Err(NotATextfile)
        }
    }
}

impl AsRef<Path> for TextfilePath {
    fn as_ref(&self) -> &Path {
        &self.0
    }
}

/// Replaces the file at `path` by `text`. Everybody may read it: the exporter is another user.
///
/// # Errors
/// When it cannot be written; then the old one is still there, whole.
pub fn replace(path: &Path, text: &str, now: Timestamp) -> Result<(), DiskError> {
    let dir = directory_of(path);
    // It is somebody else's directory: what cannot be tidied there is not our failure.
    drop(remove_leftovers_older_than(dir, now.earlier_by(LEFTOVER_AGE)));
    let temporary = DataDir::temporary_in(dir);
    let written = write(&temporary, text)
        .and_then(|()| fs::rename(&temporary, path).naming("rename to", path))
        .and_then(|()| disk::flush_dir(dir));
    if written.is_err() {
        drop(disk::remove_if_there(&temporary));
    }
    written
}

fn write(path: &Path, text: &str) -> Result<(), DiskError> {
    let mut file = disk::create_private(path)?;
    file.write_all(text.as_bytes())
        .and_then(|()| file.set_permissions(Permissions::from_mode(0o644)))
        .and_then(|()| file.sync_all())
        .naming("write", path)
}

/// Where the file at `path` lies.
#[must_use]
pub fn directory_of(path: &Path) -> &Path {
    path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// The value of `series` (name and labels, as written) in the file at `path`, if it is there and a number.
#[must_use]
pub fn value_of(path: &Path, series: &str) -> Option<String> {
    let mut text = String::new();
    disk::open_to_read(path).ok()?.take(MOST_BYTES).read_to_string(&mut text).ok()?;
    let value = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '))?;
    value.parse::<f64>().is_ok_and(f64::is_finite).then(|| value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_textfile_is_one_that_the_exporter_reads() {
        for good in ["x.prom", "/a/b.c.prom"] {
            assert_eq!(TextfilePath::try_from(PathBuf::from(good)).unwrap().as_ref(), Path::new(good));
        }
        for bad in
            ["", ".prom", "companion.db", "/etc/companion/companion.env", "/a.prom/b", "x.prom~", "xprom"]
        {
            assert_eq!(TextfilePath::try_from(PathBuf::from(bad)), Err(NotATextfile), "{bad}");
        }
    }

    #[test]
    fn what_was_written_is_read_back_and_leftovers_go() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.prom");
        let leftover = DataDir::temporary_in(dir.path());
        fs::write(&leftover, "half").unwrap();
        let later = Timestamp::from_millis(i64::MAX);
        replace(&path, "a{b=\"c\"} 1.5\na{b=\"d\"} x\n", later).unwrap();
        assert_eq!(value_of(&path, "a{b=\"c\"}").as_deref(), Some("1.5"));
        assert_eq!(value_of(&path, "a{b=\"d\"}"), None);
        assert_eq!(value_of(&path, "a"), None);
        assert!(!leftover.exists());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o644);
        assert!(replace(&dir.path().join("no/x.prom"), "", later).is_err());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
