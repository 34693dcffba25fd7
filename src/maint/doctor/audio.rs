//! Audio replies: rows without a file, files without a row.

use std::time::Duration;

use rusqlite::Connection;

use crate::adapters::audio_store::{self, AudioFile};
use crate::adapters::inspection;
use crate::adapters::sqlite::During;
use crate::domain::audio::{AudioFormat, AudioId};
use crate::domain::maintenance::CLEANUP_AUDIO;
use crate::maint::doctor::Visit;
use crate::maint::{MaintError, compact};

/// Rows looked at in one read.
const PAGE: u32 = 500;
/// Whoever deletes a session removes its files right after its rows; this is long after.
const RIGHT_AFTER: Duration = Duration::from_millis(100);

pub fn rows_without_file(visit: &mut Visit<'_>, db: &Connection) -> Result<(), MaintError> {
    if !visit.dir.audio().is_dir() {
        let repair = "set AUDIO_DIR to where they are, or start the server, which makes the directory";
        visit.finding("audio directory", "is not there".to_owned(), repair);
        return Ok(());
    }
    let mut after = 0;
    loop {
        visit.run.check_stop()?;
        let rows = inspection::audio_rows(db, after, PAGE).during("read the audio rows")?;
        let Some(last) = rows.last() else { return Ok(()) };
        after = last.key;
        let lost: Vec<_> =
            rows.iter().filter(|row| !has_file(visit, row.id, &row.format)).map(|row| row.id).collect();
        if !lost.is_empty() {
            // Cleanup removes files before their rows.
            visit.while_idle(&[CLEANUP_AUDIO], |visit| tell_lost(visit, db, &lost))?;
        }
    }
}

fn tell_lost(visit: &mut Visit<'_>, db: &Connection, lost: &[AudioId]) -> Result<(), MaintError> {
    for id in lost {
        let format = audio_store::format_of(db, *id).during("look for an audio row")?;
        // Gone by now, or of a format this release does not know.
        let Some(format) = format else { continue };
        if has_file(visit, *id, format.extension()) {
            continue;
        }
        let found = "a checkpoint's audio has no file".to_owned();
        visit.mendable(shown(*id), found, "remove the row; the checkpoint stays, without audio", |_| {
            audio_store::delete_row(db, *id).during("remove an audio row").map_err(Into::into)
        });
    }
    Ok(())
}

fn has_file(visit: &Visit<'_>, id: AudioId, format: &str) -> bool {
    AudioFormat::from_extension(format)
        .is_none_or(|format| audio_store::path_of(visit.dir.audio(), id, format).exists())
}

pub fn orphans(visit: &mut Visit<'_>, db: &Connection) -> Result<(), MaintError> {
    if !visit.dir.audio().is_dir() {
        return Ok(());
    }
    let mut files = audio_store::list(visit.dir.audio())?;
    files.retain(|file| file.written_at < visit.settled);
    let unreferenced = unreferenced(db, files)?;
    if unreferenced.is_empty() {
        return Ok(());
    }
    compact::pause(RIGHT_AFTER);
    for file in self::unreferenced(db, unreferenced)? {
        visit.run.check_stop()?;
        if !file.path.exists() {
            continue;
        }
        let found = format!("no checkpoint refers to it; {} bytes", file.bytes);
        let Some(id) = file.id else { continue };
        visit.mendable(file.shown(), found, "delete the file", |_| {
            audio_store::remove_file(&file.path)?;
            audio_store::delete_row(db, id).during("remove an audio row").map_err(Into::into)
        });
    }
    Ok(())
}

fn unreferenced(db: &Connection, files: Vec<AudioFile>) -> Result<Vec<AudioFile>, MaintError> {
    let mut found = Vec::new();
    for file in files {
        // Nothing refers to a phrase of the persona.
        let Some(id) = file.id else { continue };
        if !audio_store::is_referenced(db, id).during("look for a checkpoint")? {
            found.push(file);
        }
    }
    Ok(found)
}

/// Whoever knows an audio reply's id can hear it.
fn shown(id: AudioId) -> String {
    format!("audio {}…", id.short())
}
