//! A consistent copy of a database that is being written, and the proof that it is whole.

use std::fs::File;
use std::ops::ControlFlow;
use std::path::Path;
use std::thread;

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, ErrorCode};

use crate::adapters::disk::Naming;
use crate::adapters::memory_store;
use crate::adapters::sqlite::{self, Access, DbError, During};

/// Pages copied between two looks at the disk and at whether to stop: 8 MiB of 4 KiB pages.
const PAGES_PER_STEP: i32 = 2048;

/// SQLite's instructions between two looks at whether to stop while a copy is checked; looking through the pages, it
/// counts each as one.
const INSTRUCTIONS: i32 = 5_000;

/// Why there is no snapshot.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// The database or the disk said no.
    #[error(transparent)]
    Database(#[from] DbError),
    /// The caller wanted to stop.
    #[error("stopped before the copy was complete and checked")]
    Stopped,
    /// The copy is not a whole database.
    #[error("the copy does not verify: {0}")]
    Broken(String),
}

/// How far a copy is.
#[derive(Debug, Clone, Copy)]
pub struct CopyProgress {
    /// Bytes copied.
    pub done: u64,
    /// Bytes in all.
    pub total: u64,
}

/// What a verified copy holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Contents {
    /// Its schema version.
    pub schema_version: i64,
    /// Its size in bytes.
    pub bytes: u64,
    /// Persons in it.
    pub persons: u64,
    /// Sessions in it.
    pub sessions: u64,
    /// Checkpoints in it.
    pub checkpoints: u64,
    /// Memories in it.
    pub memories: u64,
}

impl Contents {
    /// The rows that tell whether most of what was said went away. People and memories are not among them: they
    /// outlive their conversations by far, and would hide that these are gone.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.sessions + self.checkpoints
    }
}

/// How thoroughly a copy is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// Every page and row, but not that every row is in every index.
    Quick,
    /// Everything.
    Full,
}

/// Copies the database at `source` to the empty file `copy`, as it is at one moment. Writers go on meanwhile: the copy
/// is read from one snapshot, which holds nobody up. The copy is flushed and needs no other file beside it.
///
/// # Errors
/// See [`SnapshotError`]; what is in `copy` is then worth nothing.
pub fn take(
    source: &Path,
    copy: &Path,
    observe: &mut dyn FnMut(CopyProgress) -> ControlFlow<()>,
) -> Result<(), SnapshotError> {
    let (from, _) = sqlite::open(source, Access::ReadOnly)?;
    // Holding one read transaction throughout keeps SQLite from starting over whenever someone writes.
    from.execute_batch("BEGIN").during("begin reading")?;
    from.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(())).during("begin reading")?;
    let mut to = sqlite::open_scratch(copy)?;
    copy_pages(&from, &mut to, observe)?;
    // The copy says it has a write-ahead log, as its source does; without one it can be read on its own.
    to.pragma_update(None, "journal_mode", "DELETE").during("finish the copy")?;
    to.close().map_err(|(_, error)| error).during("close the copy")?;
    File::open(copy).and_then(|file| file.sync_all()).naming("flush", copy).map_err(DbError::from)?;
    Ok(())
}

fn copy_pages(
    from: &Connection,
    to: &mut Connection,
    observe: &mut dyn FnMut(CopyProgress) -> ControlFlow<()>,
) -> Result<(), SnapshotError> {
    let page_bytes: u64 =
        from.pragma_query_value(None, "page_size", |row| row.get(0)).during("read the page size")?;
    let backup = Backup::new(from, to).during("begin the copy")?;
    loop {
        let step = backup.step(PAGES_PER_STEP).during("copy the database")?;
        let progress = backup.progress();
        let pages = |count: i32| u64::try_from(count).unwrap_or(0) * page_bytes;
        let total = pages(progress.pagecount);
        if observe(CopyProgress { done: total - pages(progress.remaining), total }).is_break() {
            return Err(SnapshotError::Stopped);
        }
        if matches!(step, StepResult::Done) {
            return Ok(());
        }
    }
}

/// Proves that the file at `path` is a whole database of ours that this program can read, and says what it holds. Pages
/// and references are looked through side by side. `stop` is asked many times a second whether to give up.
///
/// # Errors
/// [`SnapshotError::Broken`] with the first thing that is wrong; [`SnapshotError::Stopped`].
pub fn verify(
    path: &Path,
    depth: Depth,
    stop: impl FnMut() -> bool + Clone + Send + 'static,
) -> Result<Contents, SnapshotError> {
    prove(path, depth, &stop).map_err(told_to_stop)
}

/// What SQLite calls an interruption was the wish to stop.
fn told_to_stop(error: SnapshotError) -> SnapshotError {
    if let SnapshotError::Database(DbError::Sqlite { source, .. }) = &error
        && source.sqlite_error_code() == Some(ErrorCode::OperationInterrupted)
    {
        return SnapshotError::Stopped;
    }
    error
}

fn prove(
    path: &Path,
    depth: Depth,
    stop: &(impl FnMut() -> bool + Clone + Send + 'static),
) -> Result<Contents, SnapshotError> {
    let open = || {
        let (connection, schema_version) = sqlite::open(path, Access::ReadOnly)?;
        connection
            .progress_handler(INSTRUCTIONS, Some(stop.clone()))
            .during("listen for the wish to stop")?;
        Ok::<_, DbError>((connection, schema_version))
    };
    let (pages, schema_version) = open()?;
    if schema_version > sqlite::schema_version() {
        return Err(SnapshotError::Broken(format!("its schema {schema_version} is newer than this program")));
    }
    let (references, _) = open()?;
    let (pages_checked, references_checked) = thread::scope(|scope| {
        let references = scope.spawn(move || check_references(&references));
        (check_pages(&pages, depth), references.join())
    });
    pages_checked?;
    references_checked.unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
    contents(&pages, path, schema_version).map_err(Into::into)
}

fn check_pages(connection: &Connection, depth: Depth) -> Result<(), SnapshotError> {
    let check = match depth {
        Depth::Quick => "PRAGMA quick_check(1)",
        Depth::Full => "PRAGMA integrity_check(1)",
    };
    let finding: String =
        connection.query_row(check, [], |row| row.get(0)).during("check the copy's integrity")?;
    if finding == "ok" { Ok(()) } else { Err(SnapshotError::Broken(finding)) }
}

fn check_references(connection: &Connection) -> Result<(), SnapshotError> {
    match dangling_reference(connection).during("check the copy's references")? {
        Some(table) => {
            Err(SnapshotError::Broken(format!("a row of {table} refers to one that is not there")))
        }
        None => Ok(()),
    }
}

/// Counts what the database at `path` holds.
///
/// # Errors
/// When it cannot be opened or read.
pub fn count(path: &Path) -> Result<Contents, DbError> {
    let (connection, schema_version) = sqlite::open(path, Access::ReadOnly)?;
    contents(&connection, path, schema_version)
}

fn contents(connection: &Connection, path: &Path, schema_version: i64) -> Result<Contents, DbError> {
    let count =
        |table: &str| connection.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0));
    Ok(Contents {
        schema_version,
        bytes: std::fs::metadata(path).naming("look at", path)?.len(),
        persons: count("persons").during("count persons")?,
        sessions: count("sessions").during("count sessions")?,
        checkpoints: count("checkpoints").during("count checkpoints")?,
        memories: memory_store::total(connection).during("count memories")?,
    })
}

fn dangling_reference(connection: &Connection) -> rusqlite::Result<Option<String>> {
    let mut statement = connection.prepare("PRAGMA foreign_key_check")?;
    let mut rows = statement.query([])?;
    rows.next()?.map(|row| row.get(0)).transpose()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::adapters::data_dir::DataDir;
    use crate::config::ServerConfig;

    /// So many rows that every check takes longer than one look at whether to stop.
    const ROWS: u32 = 50_000;

    fn filled(root: &Path) -> DataDir {
        let dir = DataDir::create_or_open(&ServerConfig::for_testing(root).unwrap().storage).unwrap();
        sqlite::create(&dir).unwrap();
        let (db, _) = sqlite::open(dir.database(), Access::ReadWrite).unwrap();
        db.execute_batch(&format!(
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {ROWS})
             INSERT INTO persons (public_id, token_hash, created_at, last_seen_at)
             SELECT randomblob(16), randomblob(32), 1, 1 FROM n"
        ))
        .unwrap();
        dir
    }

    #[test]
    fn a_check_stops_in_its_middle_when_it_is_told_to() {
        let root = tempfile::tempdir().unwrap();
        let dir = filled(root.path());
        for depth in [Depth::Quick, Depth::Full] {
            let asked = Arc::new(AtomicU32::new(0));
            let (quiet, heard) = (asked.clone(), asked.clone());
            let whole =
                verify(dir.database(), depth, move || quiet.fetch_add(1, Ordering::Relaxed) == u32::MAX);
            assert_eq!(whole.unwrap().persons, u64::from(ROWS));
            let in_all = asked.swap(0, Ordering::Relaxed);
            assert!(in_all > 1, "it was asked {in_all} times");
            let stopped = verify(dir.database(), depth, move || heard.fetch_add(1, Ordering::Relaxed) > 0);
            assert!(matches!(stopped, Err(SnapshotError::Stopped)), "{stopped:?}");
            // Pages and references each ask for themselves.
            assert!(asked.load(Ordering::Relaxed) <= 3, "it stops where it is told to");
        }
    }
}
