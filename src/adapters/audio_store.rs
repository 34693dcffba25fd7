//! Audio replies on disk: save, find, list, delete. Rows and files are two things; whoever deletes says in which order.
//! Beside them lie the persona's phrases, which have no rows.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension, params};

use crate::adapters::data_dir::{DataDir, TEMPORARY_PREFIX};
use crate::adapters::disk::{self, DiskError, Naming};
use crate::adapters::session_store::public_id;
use crate::domain::audio::{
    AudioFormat, AudioId, PhraseId, file_name, is_phrase_file_name, parse_file_name, phrase_file_name,
};
use crate::domain::clock::Timestamp;
use crate::domain::session::{CheckpointId, SessionId};

/// One audio file.
#[derive(Debug, Clone)]
pub struct AudioFile {
    /// Its id; `None` for a phrase of the persona.
    pub id: Option<AudioId>,
    /// Where it lies.
    pub path: PathBuf,
    /// Its size.
    pub bytes: u64,
    /// When it was written.
    pub written_at: Timestamp,
}

impl AudioFile {
    /// As it is told of: whoever knows an audio reply's id can hear it.
    #[must_use]
    pub fn shown(&self) -> String {
        self.id.map_or_else(|| "a spoken phrase".to_owned(), |id| format!("audio {}…", id.short()))
    }
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

/// Writes an audio reply: it has its name only once it is whole and on disk.
///
/// # Errors
/// When it cannot be written; nothing of it is left then.
pub fn save(dir: &DataDir, id: AudioId, format: AudioFormat, sound: &[u8]) -> Result<(), DiskError> {
    let temporary = DataDir::temporary_in(dir.audio());
    let written = write(&temporary, sound)
        .and_then(|()| dir.owner().adopt(&temporary))
        .and_then(|()| disk::publish(&temporary, &path_of(dir.audio(), id, format)));
    if written.is_err() {
        drop(disk::remove_if_there(&temporary));
    }
    written
}

/// True when the audio directory's disk has more room than `MIN_FREE_DISK_BYTES`, or cannot be asked: writing will tell.
#[must_use]
pub fn has_room(dir: &DataDir) -> bool {
    disk::free_bytes(dir.audio()).map_or(true, |free| free >= dir.min_free_bytes())
}

fn write(path: &Path, sound: &[u8]) -> Result<(), DiskError> {
    let mut file = disk::create_private(path)?;
    file.write_all(sound).and_then(|()| file.sync_data()).naming("write", path)
}

/// The sound of a phrase, if it is kept.
///
/// # Errors
/// When it is there and cannot be read.
pub fn kept_phrase(dir: &Path, id: PhraseId) -> Result<Option<Bytes>, DiskError> {
    for format in AudioFormat::ALL {
        let path = dir.join(phrase_file_name(id, format));
        match fs::read(&path).naming("read", &path) {
            Ok(sound) => return Ok(Some(sound.into())),
            Err(error) if error.is_missing() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

/// Keeps the sound of a phrase. One that is kept already stays.
///
/// # Errors
/// When it cannot be written; nothing of it is left then.
pub fn keep_phrase(dir: &DataDir, id: PhraseId, format: AudioFormat, sound: &[u8]) -> Result<(), DiskError> {
    let temporary = DataDir::temporary_in(dir.audio());
    let written = write(&temporary, sound).and_then(|()| dir.owner().adopt(&temporary));
    let written =
        written.and_then(|()| disk::publish(&temporary, &dir.audio().join(phrase_file_name(id, format))));
    drop(disk::remove_if_there(&temporary));
    match written {
        Err(error) if error.source.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    }
}

/// What made room.
#[derive(Debug, Default)]
pub struct Evicted {
    /// The files that went.
    pub gone: Vec<AudioFile>,
    /// Why others did not.
    pub stuck: Vec<DiskError>,
    /// How many bytes are left.
    pub left: u64,
}

/// Deletes the oldest files until those that are left have at most `budget` bytes. Those that cannot be removed are passed over;
/// where they leave no room for `newcomer`, which has no more than that itself, it goes and nobody else for it.
///
/// # Errors
/// When the directory cannot be read.
pub fn evict(dir: &Path, budget: u64, newcomer: &Path) -> Result<Evicted, DiskError> {
    let mut files = list(dir)?;
    files.sort_by_key(|file| (file.path == newcomer, file.written_at));
    let mut evicted = Evicted { left: files.iter().map(|file| file.bytes).sum(), ..Evicted::default() };
    let mut newcomer = files.pop_if(|file| file.path == newcomer);
    let mut stuck = 0;
    for file in files {
        if evicted.left <= budget {
            break;
        }
        let bytes = file.bytes;
        if evicted.remove(file) {
            continue;
        }
        stuck += bytes;
        if let Some(newcomer) = newcomer.take_if(|newcomer| stuck + newcomer.bytes > budget) {
            evicted.remove(newcomer);
        }
    }
    Ok(evicted)
}

impl Evicted {
    /// Removes the file, and says whether it is gone.
    fn remove(&mut self, file: AudioFile) -> bool {
        match remove_file(&file.path) {
            Ok(_) => {
                self.left -= file.bytes;
                self.gone.push(file);
                true
            }
            Err(error) => {
                self.stuck.push(error);
                false
            }
        }
    }
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
        let name = entry.file_name();
        let Some(name) = name.to_str() else { continue };
        let id = parse_file_name(name).map(|(id, _)| id);
        if id.is_none() && !is_phrase_file_name(name) {
            continue;
        }
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

/// Notes that the turn's answer can be heard as this audio.
///
/// # Errors
/// What `SQLite` says.
pub fn attach(
    connection: &Connection,
    (session, checkpoint): (SessionId, CheckpointId),
    (id, format): (AudioId, AudioFormat),
    bytes: u64,
    at: Timestamp,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO audio (public_id, session_id, format, bytes, created_at)
             SELECT ?1, id, ?2, ?3, ?4 FROM sessions WHERE public_id = ?5",
        )?
        .execute(params![id.as_bytes(), format.extension(), bytes, at.as_millis(), session.as_bytes()])?;
    connection
        .prepare_cached(
            "UPDATE checkpoints SET audio_id = (SELECT id FROM audio WHERE public_id = ?1)
             WHERE session_id = (SELECT id FROM sessions WHERE public_id = ?2) AND public_id = ?3",
        )?
        .execute(params![id.as_bytes(), session.as_bytes(), checkpoint.as_bytes()])?;
    Ok(())
}

/// Makes what was heard of it the answer of a kept turn, where the turn is still there.
///
/// # Errors
/// What `SQLite` says.
pub fn heard_only(
    connection: &Connection,
    (session, checkpoint): (SessionId, CheckpointId),
    heard: &str,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "UPDATE checkpoints SET answered = ?3 WHERE public_id = ?2
             AND session_id = (SELECT id FROM sessions WHERE public_id = ?1)",
        )?
        .execute(params![session.as_bytes(), checkpoint.as_bytes(), heard])?;
    Ok(())
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

/// Removes the rows of the audio replies whose file is not `there`; their checkpoints stay, without audio. A format that
/// this release does not know is left alone.
///
/// # Errors
/// What `SQLite` says.
pub fn delete_rows_unless(
    connection: &Connection,
    there: impl Fn(AudioId, AudioFormat) -> bool,
) -> rusqlite::Result<()> {
    // An older schema has none.
    let known = "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = 'audio')";
    if !connection.query_row(known, [], |row| row.get::<_, bool>(0))? {
        return Ok(());
    }
    let mut statement = connection.prepare("SELECT public_id, format FROM audio")?;
    let rows = statement.query_map([], |row| Ok((public_id(row, 0)?, row.get::<_, String>(1)?)))?;
    for row in rows {
        let (id, format) = row?;
        if AudioFormat::from_extension(&format).is_some_and(|format| !there(id, format)) {
            delete_row(connection, id)?;
        }
    }
    Ok(())
}
