//! The lines of a list of erased people: read one by one, and added whole or not at all, also on a full disk.
//!
//! Bounds: 128 bytes a line; 62 are written.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Error, ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use crate::adapters::data_dir::Owner;
use crate::adapters::disk::{self, DiskError, Naming};
use crate::domain::clock::Timestamp;
use crate::domain::person::PersonId;

const LONGEST_LINE: u64 = 128;

/// One of them.
pub struct Line {
    /// Who was erased.
    pub person: PersonId,
    /// The line itself, with its end.
    pub text: String,
}

/// Reads a list. A last line that was cut off is none: whoever wrote it was told that it failed, or died before.
pub struct Lines {
    file: BufReader<File>,
    path: PathBuf,
    number: u64,
    ended: bool,
}

impl Lines {
    /// The list at `path`; `None` when there is none.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open(path: &Path) -> Result<Option<Self>, DiskError> {
        match disk::open_to_read(path) {
            Ok(file) => {
                let file = BufReader::new(file);
                Ok(Some(Self { file, path: path.to_owned(), number: 0, ended: false }))
            }
            Err(error) if error.is_missing() => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn damaged(&self) -> DiskError {
        let told = format!(
            "line {} is damaged: bring the file back from a copy (one lies beside the backups), or remove that line",
            self.number
        );
        DiskError {
            operation: "read",
            path: self.path.clone(),
            source: Error::new(ErrorKind::InvalidData, told),
        }
    }
}

/// True when a line cannot be understood; those after it can be read on.
#[must_use]
pub fn is_damage(error: &DiskError) -> bool {
    error.source.kind() == ErrorKind::InvalidData
}

impl Iterator for Lines {
    type Item = Result<Line, DiskError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let mut bytes = Vec::new();
        let read = self.file.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut bytes);
        if let Err(error) = read.naming("read", &self.path) {
            self.ended = true;
            return Some(Err(error));
        }
        self.number += 1;
        let whole = bytes.last() == Some(&b'\n');
        self.ended = !whole && (bytes.len() as u64) < LONGEST_LINE;
        match parse(&bytes) {
            Some(line) => Some(Ok(line)),
            None if self.ended => None,
            None => Some(Err(self.damaged())),
        }
    }
}

fn parse(bytes: &[u8]) -> Option<Line> {
    let text = str::from_utf8(bytes).ok()?.trim_end();
    let (id, at) = text.split_once(' ')?;
    Timestamp::parse(at)?;
    Some(Line { person: id.parse().ok()?, text: format!("{text}\n") })
}

/// Adds lines to the list at `path`, which is made when there is none, and flushes it.
///
/// # Errors
/// What the disk says. The list is as it was then.
pub fn append(path: &Path, lines: &str, owner: Owner) -> Result<(), DiskError> {
    if lines.is_empty() {
        return Ok(());
    }
    let mut options = OpenOptions::new();
    let options = options.read(true).append(true).create(true).mode(0o600);
    let file = options.custom_flags(OFlags::NOFOLLOW.bits().cast_signed()).open(path).naming("open", path)?;
    disk::refuse_irregular(&file, path)?;
    owner.adopt_open(&file).naming("change the owner of", path)?;
    // Two programs may add at the same time, and one of them may have to take back what it wrote.
    file.lock().naming("lock", path)?;
    let before = end_last_line(&file).naming("read", path)?;
    let added = (&file).write_all(lines.as_bytes()).and_then(|()| file.sync_all());
    if added.is_err() {
        // Half a line would spoil the next one.
        file.set_len(before).and_then(|()| file.sync_all()).naming("shorten", path)?;
    }
    added.naming("write", path)?;
    path.parent().map_or(Ok(()), disk::flush_dir)
}

/// Completes a last line without an end, or takes it away when it was cut off. Returns how long the list is then.
fn end_last_line(mut file: &File) -> Result<u64, Error> {
    let length = file.metadata()?.len();
    let from = length.saturating_sub(LONGEST_LINE);
    let mut tail = Vec::new();
    file.seek(SeekFrom::Start(from))?;
    file.take(LONGEST_LINE).read_to_end(&mut tail)?;
    let last = tail.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    let cut_off = tail.get(last..).unwrap_or_default();
    if cut_off.is_empty() {
        return Ok(length);
    }
    if parse(cut_off).is_some() || cut_off.len() as u64 == LONGEST_LINE {
        // Also what nobody of ours wrote: it stays to be seen.
        file.write_all(b"\n")?;
        return Ok(length + 1);
    }
    let whole = length - cut_off.len() as u64;
    file.set_len(whole)?;
    Ok(whole)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::adapters::data_dir::DataDir;
    use crate::config::ServerConfig;

    fn list() -> (tempfile::TempDir, Owner, PathBuf) {
        let root = tempfile::tempdir().unwrap();
        let dir = DataDir::create_or_open(&ServerConfig::for_testing(root.path()).unwrap().storage).unwrap();
        let path = root.path().join("list");
        (root, dir.owner(), path)
    }

    fn line() -> String {
        format!("{} {}\n", PersonId::random(), Timestamp::from_millis(1_795_528_449_123))
    }

    fn read(path: &Path) -> Vec<String> {
        Lines::open(path).unwrap().unwrap().map(|line| line.unwrap().text).collect()
    }

    #[test]
    fn what_was_cut_off_is_no_line_and_does_not_spoil_the_next() {
        let (first, second, third) = (line(), line(), line());
        for cut in 0..second.len() {
            let (_root, owner, path) = list();
            fs::write(&path, format!("{first}{}", &second[..cut])).unwrap();
            let complete = cut == second.len() - 1;
            let mut expected = if complete { vec![&first, &second] } else { vec![&first] };
            assert_eq!(read(&path).iter().collect::<Vec<_>>(), expected, "{cut}");
            append(&path, &third, owner).unwrap();
            expected.push(&third);
            assert_eq!(read(&path).iter().collect::<Vec<_>>(), expected, "{cut}");
            assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), expected.len());
        }
    }

    #[test]
    fn damage_is_told_with_its_line_and_the_others_are_read() {
        let (_root, owner, path) = list();
        let (first, second) = (line(), line());
        let long = "x".repeat(1000);
        for damage in ["garbage\n", "\n", &format!("{}{second}", &first[..20]), &format!("{long}\n")] {
            fs::write(&path, format!("{first}{damage}{second}")).unwrap();
            let (good, bad): (Vec<_>, Vec<_>) = Lines::open(&path).unwrap().unwrap().partition(Result::is_ok);
            assert_eq!(good.len(), 2, "{damage:?}");
            let told = bad.into_iter().find_map(Result::err).unwrap();
            assert!(is_damage(&told) && told.to_string().contains("line 2 is damaged"), "{told}");
        }
        // At the end of the list it is not taken for a line that was cut off.
        fs::write(&path, format!("{first}{long}")).unwrap();
        append(&path, &second, owner).unwrap();
        assert!(Lines::open(&path).unwrap().unwrap().any(|line| line.is_err()));
        assert!(fs::read_to_string(&path).unwrap().ends_with(&second));
    }

    #[test]
    fn a_link_is_not_followed() {
        let (root, owner, path) = list();
        let elsewhere = root.path().join("elsewhere");
        fs::write(&elsewhere, "").unwrap();
        std::os::unix::fs::symlink(&elsewhere, &path).unwrap();
        assert!(append(&path, &line(), owner).is_err());
        assert_eq!(fs::read_to_string(&elsewhere).unwrap(), "");
    }
}
