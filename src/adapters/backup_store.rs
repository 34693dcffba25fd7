//! Backups on disk: their names, manifests, publishing and removal.
//!
//! A backup is `companion-YYYYMMDDTHHMMSSZ[-N].db.zst` with a manifest `….json` beside it. The manifest is published
//! first, so a file with a backup's name is whole. A file without a manifest of ours is foreign and left alone.

use std::fs::{self, File};
use std::io::{self, BufReader, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::adapters::data_dir::Owner;
use crate::adapters::disk::{self, DiskError, Naming};
use crate::adapters::snapshot::Contents;
use crate::domain::clock::Timestamp;

const ENDING: &str = ".db.zst";
/// zstd's own default: on text of conversations higher levels cost much time for few bytes.
const COMPRESSION_LEVEL: i32 = 3;

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
    /// Size of the compressed file.
    pub bytes: u64,
    /// SHA-256 of the compressed file, hexadecimal.
    pub sha256: String,
    /// Persons in it.
    pub persons: u64,
    /// Sessions in it.
    pub sessions: u64,
    /// Checkpoints in it.
    pub checkpoints: u64,
}

impl Manifest {
    /// The manifest of a file just written.
    #[must_use]
    pub fn new(at: Timestamp, contents: Contents, written: &Written) -> Self {
        Self {
            schema: 1,
            created_at: at.to_string(),
            program: format!("companion {}", env!("CARGO_PKG_VERSION")),
            schema_version: contents.schema_version,
            database_bytes: contents.bytes,
            bytes: written.bytes,
            sha256: written.sha256.clone(),
            persons: contents.persons,
            sessions: contents.sessions,
            checkpoints: contents.checkpoints,
        }
    }

    /// All rows that tell whether most of the data went away.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.persons + self.sessions + self.checkpoints
    }
}

/// A backup with its manifest. Ordered by when it was taken.
#[derive(Debug, Clone)]
pub struct BackupFile {
    /// The file name.
    pub name: String,
    /// Where it lies.
    pub path: PathBuf,
    /// The moment in its name, and its number within that second.
    pub taken: (String, u32),
    /// Its manifest.
    pub manifest: Manifest,
}

/// A compressed file just written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// Its size.
    pub bytes: u64,
    /// Its SHA-256, hexadecimal.
    pub sha256: String,
}

/// Reads a backup's name: the moment, and the number within that second.
#[must_use]
pub fn parse_name(name: &str) -> Option<(String, u32)> {
    let stem = name.strip_prefix("companion-")?.strip_suffix(ENDING)?;
    let (moment, number) = match stem.split_once('-') {
        Some((moment, number)) => (moment, number.parse().ok().filter(|n| *n >= 2)?),
        None => (stem, 1),
    };
    let digits = |range: std::ops::Range<usize>| {
        moment.get(range).is_some_and(|part| part.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let shaped =
        moment.len() == 16 && digits(0..8) && digits(9..15) && &moment[8..9] == "T" && moment.ends_with('Z');
    (shaped && make_name(moment, number) == name).then(|| (moment.to_owned(), number))
}

fn make_name(moment: &str, number: u32) -> String {
    match number {
        0 | 1 => format!("companion-{moment}{ENDING}"),
        more => format!("companion-{moment}-{more}{ENDING}"),
    }
}

fn manifest_path(backup: &Path) -> PathBuf {
    let name = backup.to_string_lossy();
    PathBuf::from(format!("{}.json", name.strip_suffix(ENDING).unwrap_or(&name)))
}

/// Every backup in `dir` that has a readable manifest, newest first.
///
/// # Errors
/// When the directory cannot be read.
pub fn list(dir: &Path) -> Result<Vec<BackupFile>, DiskError> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).naming("list", dir)? {
        let entry = entry.naming("list", dir)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let Some(taken) = parse_name(&name) else { continue };
        let path = entry.path();
        let manifest =
            fs::read(manifest_path(&path)).ok().and_then(|text| serde_json::from_slice(&text).ok());
        if let Some(manifest) = manifest {
            found.push(BackupFile { name, path, taken, manifest });
        }
    }
    found.sort_by(|a, b| b.taken.cmp(&a.taken));
    Ok(found)
}

/// Compresses the file at `from` into `to`, at most `limit` bytes a look; `observe` hears of every MiB read.
///
/// # Errors
/// What reading, writing or `observe` says.
pub fn compress(
    from: &Path,
    to: impl Write,
    observe: &mut dyn FnMut(u64) -> io::Result<()>,
) -> io::Result<Written> {
    let mut source = BufReader::new(File::open(from)?);
    let mut encoder = zstd::Encoder::new(Hashing { to, digest: Sha256::new(), bytes: 0 }, COMPRESSION_LEVEL)?;
    encoder.include_checksum(true)?;
    let mut read = 0;
    loop {
        let copied = io::copy(&mut io::Read::take(&mut source, 1024 * 1024), &mut encoder)?;
        if copied == 0 {
            break;
        }
        read += copied;
        observe(read)?;
    }
    let mut hashing = encoder.finish()?;
    hashing.to.flush()?;
    let sha256 = hashing.digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(Written { bytes: hashing.bytes, sha256 })
}

struct Hashing<W> {
    to: W,
    digest: Sha256,
    bytes: u64,
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let written = self.to.write(data)?;
        self.digest.update(&data[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// Gives a finished, flushed file and its manifest their names in `dir`; a second one in the same second gets `-2`.
///
/// # Errors
/// When the names cannot be given; then neither is there.
pub fn publish(
    dir: &Path,
    temporary: &Path,
    at: Timestamp,
    manifest: &Manifest,
    owner: Owner,
) -> Result<PathBuf, DiskError> {
    let path = dir.join(next_name(dir, &at.compact())?);
    let beside = manifest_path(&path);
    let staged = crate::adapters::data_dir::DataDir::temporary_in(dir);
    let published = write_manifest(&staged, manifest)
        .and_then(|()| owner.adopt(&staged))
        .and_then(|()| owner.adopt(temporary))
        .and_then(|()| disk::publish(&staged, &beside));
    if let Err(error) = published {
        disk::remove_if_there(&staged)?;
        return Err(error);
    }
    if let Err(error) = disk::publish(temporary, &path) {
        disk::remove_if_there(&beside)?;
        return Err(error);
    }
    Ok(path)
}

/// The name of one more backup of this moment. Numbers only grow, also past those that were removed meanwhile, so that
/// the order of the names is the order in which the backups were made.
fn next_name(dir: &Path, moment: &str) -> Result<String, DiskError> {
    let mut number = 1;
    for entry in fs::read_dir(dir).naming("list", dir)? {
        let name = entry.naming("list", dir)?.file_name().to_string_lossy().into_owned();
        match parse_name(&name) {
            Some((taken, taken_number)) if taken == moment => number = number.max(taken_number + 1),
            _ => {}
        }
    }
    Ok(make_name(moment, number))
}

fn write_manifest(path: &Path, manifest: &Manifest) -> Result<(), DiskError> {
    let mut text = serde_json::to_vec_pretty(manifest).map_err(io::Error::from).naming("write", path)?;
    text.push(b'\n');
    let mut file = disk::create_private(path)?;
    file.write_all(&text).and_then(|()| file.sync_all()).naming("write", path)
}

/// Removes a backup and then its manifest.
///
/// # Errors
/// When one of them cannot be removed.
pub fn remove(backup: &BackupFile) -> Result<(), DiskError> {
    disk::remove_if_there(&backup.path)?;
    disk::remove_if_there(&manifest_path(&backup.path))?;
    Ok(())
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
        let backup = format!("{stem}{ENDING}");
        if parse_name(&backup).is_some() && !dir.join(&backup).exists() {
            disk::remove_if_there(&path)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_sort_by_time_and_foreign_ones_are_not_ours() {
        assert_eq!(parse_name("companion-20261124T020000Z.db.zst"), Some(("20261124T020000Z".into(), 1)));
        assert_eq!(parse_name("companion-20261124T020000Z-2.db.zst"), Some(("20261124T020000Z".into(), 2)));
        for foreign in [
            "companion-20261124T020000Z.db",
            "companion-20261124T020000Z-1.db.zst",
            "companion-20261124T020000Z-02.db.zst",
            "companion-2026-11-24.db.zst",
            "my-companion-20261124T020000Z.db.zst",
            "companion-20261124T020000é.db.zst",
        ] {
            assert_eq!(parse_name(foreign), None, "{foreign}");
        }
    }

    #[test]
    fn what_was_compressed_comes_back_with_its_hash() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        fs::write(&path, vec![7; 3_000_000]).unwrap();
        let mut packed = Vec::new();
        let mut seen = 0;
        let written = compress(&path, &mut packed, &mut |bytes| {
            seen = bytes;
            Ok(())
        });
        let written = written.unwrap();
        assert_eq!((written.bytes, seen), (packed.len() as u64, 3_000_000));
        assert_eq!(zstd::decode_all(packed.as_slice()).unwrap(), vec![7; 3_000_000]);
    }

    proptest! {
        #[test]
        fn every_name_made_is_read_back(seconds in 0i64..4_000_000_000, number in 1u32..50) {
            let moment = Timestamp::from_millis(seconds * 1000).compact();
            prop_assert_eq!(parse_name(&make_name(&moment, number)), Some((moment, number)));
        }
    }
}
