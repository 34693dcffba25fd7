//! Audio replies on disk: find, list, delete. Rows and files are two things; whoever deletes says in which order.

use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension};

use crate::adapters::data_dir::TEMPORARY_PREFIX;
use crate::adapters::disk::{self, DiskError, Naming};
use crate::adapters::session_store::audio_file;
use crate::domain::audio::{AudioFormat, AudioId, file_name, parse_file_name};
use crate::domain::clock::Timestamp;

/// One audio file.
#[derive(Debug, Clone)]
pub struct AudioFile {
    /// Its id.
    pub id: AudioId,
    /// Where it lies.
    pub path: PathBuf,
    /// Its size.
    pub bytes: u64,
    /// When it was written.
    pub written_at: Timestamp,
}

/// What an interrupted write left.
#[derive(Debug, Clone)]
pub struct Leftover {
    /// Where it lies.
    pub path: PathBuf,
    /// Its size.
    pub bytes: u64,
}

/// Where the file of an audio reply lies.
#[must_use]
pub fn path_of(dir: &Path, id: AudioId, format: AudioFormat) -> PathBuf {
    dir.join(file_name(id, format))
}

/// Every audio file of ours in `dir`: regular files with a name of ours. Links, directories and foreign files are not
/// looked at.
///
/// # Errors
/// When the directory cannot be read. A file that goes away meanwhile is left out.
pub fn list(dir: &Path) -> Result<Vec<AudioFile>, DiskError> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).naming("list", dir)? {
        let entry = entry.naming("list", dir)?;
        let Some((id, _)) = entry.file_name().to_str().and_then(parse_file_name) else { continue };
        // Not `metadata()` of the path: that would follow a link.
        let Ok(meta) = entry.metadata() else { continue };
        if !meta.is_file() {
            continue;
        }
        let written_at = meta.modified().map(Timestamp::from_system).naming("look at", &entry.path())?;
        files.push(AudioFile { id, path: entry.path(), bytes: meta.len(), written_at });
    }
    Ok(files)
}

/// What interrupted writes left in `dir`, last written before `cutoff`: whoever writes there may still be at it.
///
/// # Errors
/// When the directory cannot be read. A file that goes away meanwhile is left out.
pub fn leftovers(dir: &Path, cutoff: Timestamp) -> Result<Vec<Leftover>, DiskError> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).naming("list", dir)? {
        let entry = entry.naming("list", dir)?;
        if !entry.file_name().to_string_lossy().starts_with(TEMPORARY_PREFIX) {
            continue;
        }
        // Not `metadata()` of the path: that would follow a link.
        let Ok(meta) = entry.metadata() else { continue };
        let old = meta.modified().is_ok_and(|at| Timestamp::from_system(at) < cutoff);
        if meta.is_file() && old {
            found.push(Leftover { path: entry.path(), bytes: meta.len() });
        }
    }
    Ok(found)
}

/// Which of the files (oldest first) `cleanup-audio` takes: those too old, orphaned, or beyond the budget in bytes.
///
/// # Errors
/// What `orphaned` says.
pub fn doomed<E>(
    files: &[AudioFile],
    cutoff: Timestamp,
    budget: u64,
    orphaned: impl Fn(&AudioFile) -> Result<bool, E>,
) -> Result<Vec<&AudioFile>, E> {
    let mut doomed = Vec::new();
    let mut staying = Vec::new();
    for file in files {
        if file.written_at < cutoff || orphaned(file)? { doomed.push(file) } else { staying.push(file) }
    }
    let mut bytes: u64 = staying.iter().map(|file| file.bytes).sum();
    for file in staying {
        if bytes <= budget {
            break;
        }
        bytes -= file.bytes;
        doomed.push(file);
    }
    Ok(doomed)
}

/// Removes a file of the audio directory; one that is gone already is success.
///
/// # Errors
/// When it is there and cannot be removed.
pub fn remove_file(path: &Path) -> Result<bool, DiskError> {
    disk::remove_if_there(path)
}

/// The format of a kept audio reply.
///
/// # Errors
/// What `SQLite` says.
pub fn format_of(connection: &Connection, id: AudioId) -> rusqlite::Result<Option<AudioFormat>> {
    let mut statement = connection.prepare_cached("SELECT format FROM audio WHERE public_id = ?1")?;
    let format: Option<String> = statement.query_row([id.as_bytes()], |row| row.get(0)).optional()?;
    Ok(format.as_deref().and_then(AudioFormat::from_extension))
}

/// True when some checkpoint refers to the audio reply.
///
/// # Errors
/// What `SQLite` says.
pub fn is_referenced(connection: &Connection, id: AudioId) -> rusqlite::Result<bool> {
    connection
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM checkpoints WHERE audio_id =
                 (SELECT id FROM audio WHERE public_id = ?1))",
        )?
        .query_row([id.as_bytes()], |row| row.get(0))
}

/// Removes the row of an audio reply; its checkpoint stays, without audio.
///
/// # Errors
/// What `SQLite` says.
pub fn delete_row(connection: &Connection, id: AudioId) -> rusqlite::Result<()> {
    connection.prepare_cached("DELETE FROM audio WHERE public_id = ?1")?.execute([id.as_bytes()])?;
    Ok(())
}

/// The audio replies whose rows were made before `cutoff`, oldest first, at most 10,000.
///
/// # Errors
/// What `SQLite` says.
pub fn rows_before(
    connection: &Connection,
    cutoff: Timestamp,
) -> rusqlite::Result<Vec<(AudioId, AudioFormat)>> {
    connection
        .prepare_cached("SELECT public_id, format FROM audio WHERE created_at < ?1 ORDER BY id LIMIT 10000")?
        .query_map([cutoff.as_millis()], audio_file)?
        .collect()
}
