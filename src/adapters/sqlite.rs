//! Opening `SQLite` files: whose they are, the pragmas, the migrations.

use std::cell::Cell;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};
use rusqlite_migration::{M, Migrations};
use rustix::fs::{AtFlags, CWD, accessat};
use rustix::io::Errno;

use crate::adapters::data_dir::DataDir;
pub use crate::adapters::db_error::DbError;
pub(crate) use crate::adapters::db_error::During;
use crate::adapters::disk::{self, DiskError, Naming};
use crate::adapters::write_ahead_log::MOST_KEPT_BYTES;

/// Marks a file as ours: `COMP` in ASCII.
pub const APPLICATION_ID: i64 = 0x434F_4D50;

const MIGRATION_LIST: &[M<'static>] = &[
    M::up(include_str!("migrations/0001_conversations.sql")),
    M::up(include_str!("migrations/0002_audio.sql")),
    M::up(include_str!("migrations/0003_imports.sql")),
    M::up(include_str!("migrations/0004_access.sql")),
    M::up(include_str!("migrations/0005_summaries.sql")),
    M::up(include_str!("migrations/0006_memories.sql")),
    M::up(include_str!("migrations/0007_vectors.sql")),
    M::up(include_str!("migrations/0008_ways_in.sql")),
    M::up(include_str!("migrations/0009_admin.sql")),
    M::up(include_str!("migrations/0010_memory_copy.sql")),
    M::up(include_str!("migrations/0011_used_memories.sql")),
    M::up(include_str!("migrations/0012_deletions.sql")),
];
const MIGRATIONS: Migrations<'static> = Migrations::from_slice(MIGRATION_LIST);

/// The schema this program reads and writes.
#[must_use]
pub fn schema_version() -> i64 {
    i64::try_from(MIGRATION_LIST.len()).unwrap_or(i64::MAX)
}

/// How a connection will be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Reads and writes.
    ReadWrite,
    /// The same, without shared memory, which a disk with no byte free cannot hold; nobody else gets in meanwhile.
    Alone,
    /// Reads only, of a database someone may be writing.
    ReadOnly,
}

/// Opens an existing database of ours, whatever its schema version, and returns that version with it.
///
/// # Errors
/// Missing, a directory, empty, not a database, of another program: each its own sentence.
pub fn open(path: &Path, access: Access) -> Result<(Connection, i64), DbError> {
    refuse_other_things(path)?;
    let flags = match access {
        Access::ReadWrite | Access::Alone => OpenFlags::SQLITE_OPEN_READ_WRITE,
        Access::ReadOnly => OpenFlags::SQLITE_OPEN_READ_ONLY,
    };
    let connection = connect(path, flags)?;
    if access == Access::Alone {
        // Before anything is read: then the index of the log is kept in memory.
        connection.pragma_update(None, "locking_mode", "EXCLUSIVE").during("open the database alone")?;
    }
    let version = identify(&connection, path)?;
    // SQLite itself would be content to read.
    if access != Access::ReadOnly && connection.is_readonly("main").during("look at the database")? {
        return Err(DbError::ReadOnly(path.to_owned()));
    }
    set_pragmas(&connection).during("set up the database connection")?;
    Ok((connection, version))
}

/// Opens an existing database whose schema is exactly ours.
///
/// # Errors
/// As [`open`], and [`DbError::Newer`] or [`DbError::Older`].
pub fn open_current(path: &Path, access: Access) -> Result<Connection, DbError> {
    let (connection, found) = open(path, access)?;
    let known = schema_version();
    match found.cmp(&known) {
        std::cmp::Ordering::Equal => Ok(connection),
        std::cmp::Ordering::Less => Err(DbError::Older { path: path.to_owned(), found, known }),
        std::cmp::Ordering::Greater => Err(DbError::Newer { path: path.to_owned(), found, known }),
    }
}

/// Makes a new, empty database with the current schema under a temporary name and publishes it.
///
/// # Errors
/// When it cannot be made; nothing is left under the final name.
pub fn create(dir: &DataDir) -> Result<(), DbError> {
    let path = dir.database();
    refuse_orphaned_log(path)?;
    let parent = path.parent().unwrap_or(dir.root());
    let temporary = DataDir::temporary_in(parent);
    drop(disk::create_private(&temporary)?);
    let made = build(&temporary).and_then(|()| {
        dir.owner().adopt(&temporary)?;
        let file = fs::File::open(&temporary).and_then(|file| file.sync_all());
        file.map_err(|source| DiskError { operation: "flush", path: temporary.clone(), source })?;
        disk::publish(&temporary, path).map_err(Into::into)
    });
    if made.is_err() {
        disk::remove_if_there(&temporary)?;
    }
    made
}

fn build(path: &Path) -> Result<(), DbError> {
    let mut connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    // Has to be set before the first page is written; in a database that has pages it would stay off.
    connection.pragma_update(None, "auto_vacuum", "INCREMENTAL").during("set auto_vacuum")?;
    MIGRATIONS.to_latest(&mut connection).map_err(DbError::Migration)?;
    connection.close().map_err(|(_, error)| error).during("close the new database")
}

/// Opens the empty file a copy will be written to. Nothing is flushed or journalled on the way: the copy is flushed
/// once when it is complete, and thrown away when it is not.
///
/// # Errors
/// When it cannot be opened.
pub fn open_scratch(path: &Path) -> Result<Connection, DbError> {
    let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    // Nobody else opens it; so SQLite needs no shared memory beside it, which a full disk would not hold.
    connection.pragma_update(None, "locking_mode", "EXCLUSIVE").during("open the copy")?;
    connection.pragma_update(None, "journal_mode", "OFF").during("open the copy")?;
    connection.pragma_update(None, "synchronous", "OFF").during("open the copy")?;
    Ok(connection)
}

/// Brings an older schema up to date in one transaction, however many steps that takes. The caller has taken a backup.
///
/// # Errors
/// [`DbError::Migration`]; the schema is then the one from before.
pub fn migrate(connection: &mut Connection) -> Result<(), DbError> {
    MIGRATIONS.to_latest(connection).map_err(DbError::Migration)
}

/// Sets a connection up for many short batches of deletions beside people who talk:
/// - a commit does not flush while it holds the lock that everybody waits for; whoever uses this calls
///   [`crate::adapters::write_ahead_log::flush`] after each commit, when the lock is free again;
/// - the write-ahead log is copied in the portions of [`copy_log_for`]; until that is called, in those for others;
/// - what a batch changes stays in memory until it commits, up to 16 MiB: with `SQLite`'s own 2 MiB many pages are
///   written several times.
///
/// # Errors
/// What `SQLite` says.
pub fn for_many_batches(connection: &Connection) -> Result<(), DbError> {
    let settings = "PRAGMA synchronous = NORMAL; PRAGMA cache_size = -16384;";
    connection.execute_batch(settings).during("set up the connection for many batches")?;
    copy_log_for(connection, true)
}

/// Sets after how much of it the write-ahead log is copied into the database, on a connection of [`for_many_batches`]:
/// - while `others` write, 2 MiB: nobody's own flush waits long behind that of a portion;
/// - else 16 MiB: pages that many batches change are copied once instead of each time, with fewer flushes.
///
/// # Errors
/// What `SQLite` says.
pub fn copy_log_for(connection: &Connection, others: bool) -> Result<(), DbError> {
    // In pages of 4 KiB.
    let portion = if others { 500 } else { 4000 };
    connection.pragma_update(None, "wal_autocheckpoint", portion).during("leave the log alone for longer")
}

/// Lets every commit flush again, as on every connection from the start.
///
/// # Errors
/// What `SQLite` says.
pub fn flush_every_commit(connection: &Connection) -> Result<(), DbError> {
    connection.pragma_update(None, "synchronous", "FULL").during("flush every commit")
}

/// Gives up to `pages` freed pages back to the file system, in one short transaction.
///
/// # Errors
/// What `SQLite` says.
pub fn give_back_pages(connection: &Connection, pages: u32) -> Result<(), DbError> {
    give_back_while(connection, pages, || true).during("vacuum")
}

/// Gives up to `pages` freed pages back to the file system, as long as `go_on`.
///
/// # Errors
/// What `SQLite` says.
pub fn give_back_while(
    connection: &Connection,
    pages: u32,
    mut go_on: impl FnMut() -> bool,
) -> rusqlite::Result<()> {
    // The pragma frees one page per row it returns.
    let mut statement = connection.prepare(&format!("PRAGMA incremental_vacuum({pages})"))?;
    let mut rows = statement.query([])?;
    while rows.next()?.is_some() && go_on() {}
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "this is the one place that opens connections")]
fn connect(path: &Path, flags: OpenFlags) -> Result<Connection, DbError> {
    let flags = flags | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_PRIVATE_CACHE;
    Connection::open_with_flags(path, flags).during("open the database")
}

/// Waits for other processes' transactions, as every connection does from the start.
///
/// # Errors
/// What `SQLite` says.
pub fn wait_for_others(connection: &Connection) -> Result<(), DbError> {
    connection.busy_handler(Some(wait_for_writer)).during("wait for others")
}

fn set_pragmas(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_handler(Some(wait_for_writer))?;
    if !connection.is_readonly("main")? {
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "secure_delete", "ON")?;
        connection.pragma_update(None, "journal_size_limit", MOST_KEPT_BYTES)?;
    }
    connection.pragma_update(None, "foreign_keys", "ON")?;
    // What a statement may have to undo are pages full of words: they would lie in the system's temporary directory, which
    // may be another disk, too small, or not there at all. <https://sqlite.org/tempfiles.html>
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    // Else a statement with a parameter in its LIMIT is compiled anew every time it is run.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.set_prepared_statement_cache_capacity(32);
    Ok(())
}

const BUSY_STEP: Duration = Duration::from_micros(500);
const BUSY_FOR: Duration = Duration::from_secs(10);

thread_local! {
    /// Since when the statement that this thread runs has been waiting. It runs one at a time.
    static WAITS_SINCE: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// Waits up to 10 s for another process's transaction, looking twice a millisecond: `SQLite`'s own handler sleeps up
/// to 100 ms at a time, so that a short transaction of cleanup would cost a conversation a tenth of a second. The time is
/// measured: on a busy machine each sleep takes longer.
#[expect(clippy::disallowed_methods, reason = "runs on the database's own thread, for at most 10 s in all")]
fn wait_for_writer(tries: i32) -> bool {
    let since = WAITS_SINCE.get().filter(|_| tries > 0).unwrap_or_else(Instant::now);
    WAITS_SINCE.set(Some(since));
    std::thread::sleep(BUSY_STEP);
    since.elapsed() < BUSY_FOR
}

fn refuse_other_things(path: &Path) -> Result<(), DbError> {
    let not_ours = |why: &str| DbError::NotOurs { path: path.to_owned(), why: why.to_owned() };
    match fs::metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Err(DbError::Missing(path.to_owned())),
        Err(source) => Err(DiskError { operation: "look at", path: path.to_owned(), source }.into()),
        Ok(meta) if meta.is_dir() => Err(not_ours("is a directory, not a database")),
        Ok(meta) if !meta.is_file() => Err(not_ours("is no regular file, so no database")),
        Ok(meta) if meta.len() == 0 => {
            Err(not_ours("is empty: restore a backup over it, or remove it to start with nothing"))
        }
        Ok(_) => refuse_strange_sidecars(path).and_then(|()| refuse_denied(path)),
    }
}

/// `SQLite` would wait for whoever is to write into a pipe that has the name of its journal.
fn refuse_strange_sidecars(path: &Path) -> Result<(), DbError> {
    for ending in ["-journal", "-wal", "-shm"] {
        let mut name = path.as_os_str().to_owned();
        name.push(ending);
        let name = Path::new(&name);
        if fs::symlink_metadata(name).is_ok_and(|meta| !meta.is_file()) {
            let told = std::io::Error::new(ErrorKind::InvalidInput, "it is no regular file: move it away");
            Err(told).naming("read", name)?;
        }
    }
    Ok(())
}

/// `SQLite` would not say why it cannot open it. Opened by hand, a database would lose its locks in this process.
fn refuse_denied(path: &Path) -> Result<(), DbError> {
    match accessat(CWD, path, rustix::fs::Access::READ_OK, AtFlags::EACCESS) {
        Err(Errno::ACCESS) => Err(Errno::ACCESS).naming("open", path).map_err(Into::into),
        _ => Ok(()),
    }
}

fn refuse_orphaned_log(path: &Path) -> Result<(), DbError> {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    if fs::metadata(&log).is_ok_and(|meta| meta.len() > 0) {
        let why = "is gone, but its write-ahead log is still there: put the database back, or move the -wal file away".to_owned();
        return Err(DbError::NotOurs { path: path.to_owned(), why });
    }
    Ok(())
}

fn identify(connection: &Connection, path: &Path) -> Result<i64, DbError> {
    let pragma = |name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let found = match pragma("application_id") {
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::NotADatabase) => {
            let why = "is not a SQLite database".to_owned();
            return Err(DbError::NotOurs { path: path.to_owned(), why });
        }
        other => other.during("read the database's application id")?,
    };
    if found != APPLICATION_ID {
        let why = "is a database of another program".to_owned();
        return Err(DbError::NotOurs { path: path.to_owned(), why });
    }
    pragma("user_version").during("read the database's schema version")
}

#[cfg(test)]
pub(crate) use tests::{empty as empty_for_testing, with_session as with_session_for_testing};

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn every_migration_applies() {
        assert!(MIGRATIONS.validate().is_ok());
    }

    /// A new database, and where it lies for as long as that is kept.
    pub(crate) fn empty() -> (tempfile::TempDir, Connection) {
        let root = tempfile::tempdir().unwrap();
        let config = crate::config::ServerConfig::for_testing(root.path()).unwrap();
        let dir = DataDir::create_or_open(&config.storage).unwrap();
        create(&dir).unwrap();
        let connection = open_current(dir.database(), Access::ReadWrite).unwrap();
        (root, connection)
    }

    /// The same with a person and a session of theirs, both of row 1.
    pub(crate) fn with_session() -> (tempfile::TempDir, Connection) {
        let (root, connection) = empty();
        let there = "
            INSERT INTO persons (id, public_id, token_hash, created_at, last_seen_at)
                VALUES (1, zeroblob(16), zeroblob(32), 1, 1);
            INSERT INTO sessions (id, public_id, person_id, created_at, last_active_at)
                VALUES (1, zeroblob(16), 1, 1, 1)";
        connection.execute_batch(there).unwrap();
        (root, connection)
    }

    #[test]
    fn a_new_database_shrinks_and_is_ours() {
        let (_root, connection) = empty();
        let pragma =
            |name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0)).unwrap();
        assert_eq!(pragma("auto_vacuum"), 2);
        assert_eq!(pragma("secure_delete"), 1);
        assert_eq!(pragma("synchronous"), 2);
        assert_eq!(pragma("foreign_keys"), 1);
    }

    #[test]
    fn what_a_connection_keeps_in_memory_and_in_the_log_is_bounded() {
        let (_root, connection) = empty();
        let pragma =
            |name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0)).unwrap();
        assert_eq!((pragma("cache_size"), pragma("page_size")), (-2000, 4096));
        assert_eq!(pragma("journal_size_limit"), i64::from(MOST_KEPT_BYTES));
        for_many_batches(&connection).unwrap();
        assert_eq!((pragma("cache_size"), pragma("wal_autocheckpoint")), (-16384, 500));
        copy_log_for(&connection, false).unwrap();
        assert_eq!(pragma("wal_autocheckpoint"), 4000);
    }

    #[test]
    fn what_a_statement_may_have_to_undo_lies_in_no_file_elsewhere() {
        let (_root, connection) = with_session();
        let memories = "
            WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500)
                INSERT INTO memories (public_id, person_id, session_id, text, said_at, created_at, changed_at)
                SELECT randomblob(16), 1, 1, hex(zeroblob(500)), i, i, i FROM n";
        connection.execute_batch(memories).unwrap();
        connection.execute_batch("BEGIN").unwrap();
        // Its memories stay, and their pages change in this one statement.
        connection.execute("DELETE FROM sessions WHERE id = 1", []).unwrap();
        // SQLite's names for temporary files; each is gone from its directory once it is open.
        let elsewhere = fs::read_dir("/proc/self/fd").unwrap().filter_map(|open| {
            let file = fs::read_link(open.unwrap().path()).ok()?;
            file.to_string_lossy().contains("etilqs").then_some(file)
        });
        assert_eq!(elsewhere.collect::<Vec<_>>(), Vec::<PathBuf>::new());
    }
}
