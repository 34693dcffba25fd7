//! The write-ahead log: copying it into the database while others go on, and emptying it.
//!
//! Copying flushes twice and takes as long as the disk likes. The server's writer leaves that to a thread of its own,
//! so that no conversation waits for it.
//!
//! Deleted words are in the log until it is emptied. Where a reader was in the way, the thread tries again.
//!
//! Bounds: the server copies after 512 writes; if the thread cannot keep up, the writer helps from 32 MiB on. Emptying is
//! tried once a second.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode};

use crate::adapters::disk::DiskError;
use crate::adapters::sqlite::{self, Access, DbError, During};

const WRITES_PER_COPY: usize = 512;
/// In pages of 4 KiB.
const WRITER_HELPS_FROM: u32 = 8192;
/// The file is cut to so much when the log begins anew: what the writer lets it grow to, and the transaction that went beyond.
/// Less would have it grow again each time, and a flush that has to note a longer file takes more than twice as long.
pub const MOST_KEPT_BYTES: u32 = 40 << 20;
/// Pages written while one copy runs are left to the next one, which is short.
const COPIES_IN_A_ROW: u32 = 8;
const TRY_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// The thread that copies the log into the database, and when it is to do so. Ends when dropped.
pub struct Copier {
    ask: Option<SyncSender<()>>,
    /// The log holds deleted words and could not be emptied.
    owed: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    writes: usize,
}

impl Copier {
    /// Starts the thread for the database at `path`, whose writer is `writer`.
    ///
    /// # Errors
    /// When the writer cannot be set up.
    pub fn start(path: PathBuf, writer: &Connection) -> Result<Self, DbError> {
        writer.pragma_update(None, "wal_autocheckpoint", WRITER_HELPS_FROM).during("leave the log alone")?;
        let (ask, asked) = sync_channel(1);
        let thread = std::thread::Builder::new().name("write-ahead log".into());
        // Without the thread the writer does it all, later.
        let owed = Arc::new(AtomicBool::new(false));
        let work = Asked { path, asked, owed: owed.clone() };
        let thread = thread.spawn(move || work.carry_out()).ok();
        Ok(Self { ask: Some(ask), owed, thread, writes: 0 })
    }

    /// Hears of writes that are on disk; after enough of them the log is copied.
    pub fn count(&mut self, writes: usize) {
        self.writes += writes;
        if self.writes >= WRITES_PER_COPY {
            self.writes = 0;
            self.wake();
        }
    }

    /// The log could not be emptied; it is tried until it succeeds.
    pub fn empty_later(&self) {
        if !self.owed.swap(true, Ordering::AcqRel) {
            self.wake();
        }
    }

    fn wake(&self) {
        if let Some(ask) = &self.ask {
            // One that was asked for before and has not begun does for both.
            let _ = ask.try_send(());
        }
    }
}

impl Drop for Copier {
    fn drop(&mut self) {
        drop(self.ask.take());
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

/// What the thread is asked for.
struct Asked {
    path: PathBuf,
    asked: Receiver<()>,
    owed: Arc<AtomicBool>,
}

impl Asked {
    fn carry_out(&self) {
        let mut opened = None;
        while self.wait() {
            let connection =
                opened.take().map_or_else(|| sqlite::open_current(&self.path, Access::ReadWrite), Ok);
            match connection.and_then(|connection| self.copy_and_empty(&connection).map(|()| connection)) {
                Ok(connection) => opened = Some(connection),
                Err(error) => tracing::warn!(error = %error, "The write-ahead log could not be copied yet"),
            }
        }
    }

    /// Until there is something to do; false when there never will be.
    fn wait(&self) -> bool {
        if self.owed.load(Ordering::Acquire) {
            self.asked.recv_timeout(TRY_AGAIN_AFTER) != Err(RecvTimeoutError::Disconnected)
        } else {
            self.asked.recv().is_ok()
        }
    }

    fn copy_and_empty(&self, connection: &Connection) -> Result<(), DbError> {
        for _ in 0..COPIES_IN_A_ROW {
            if copy(connection)? {
                break;
            }
        }
        // Before the try: words deleted during it are owed anew.
        if self.owed.swap(false, Ordering::AcqRel) {
            let emptied = empty_at_once(connection);
            if !matches!(emptied, Ok(true)) {
                self.owed.store(true, Ordering::Release);
            }
            emptied?;
        }
        Ok(())
    }
}

/// Where the log of a database lies.
#[must_use]
pub fn beside(database: &Path) -> PathBuf {
    let mut log = database.as_os_str().to_owned();
    log.push("-wal");
    log.into()
}

/// Flushes what has been committed without. The log is there for as long as a connection of the caller's is open.
///
/// # Errors
/// When there is no log, or the disk fails.
pub fn flush(database: &Path) -> Result<(), DiskError> {
    let log = beside(database);
    let flushed = File::open(&log).and_then(|file| file.sync_data());
    flushed.map_err(|source| DiskError { operation: "flush", path: log, source })
}

/// Copies what can be copied without anyone having to wait. True when that was all.
///
/// # Errors
/// What `SQLite` says.
pub fn copy(connection: &Connection) -> Result<bool, DbError> {
    let left = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| {
        let (busy, pages, copied): (i64, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
        Ok(busy != 0 || pages != copied)
    });
    left.map(|left| !left).during("copy the write-ahead log")
}

/// Copies the write-ahead log into the database and truncates it, waiting as long as the connection waits for others.
fn empty(connection: &Connection) -> Result<bool, DbError> {
    copy(connection)?;
    let busy = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0));
    match busy {
        Ok(busy) => Ok(busy == 0),
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => Ok(false),
        Err(error) => Err(DbError::from_sqlite("empty the write-ahead log", error)),
    }
}

/// Gives up to 1 MiB of freed pages back and empties the write-ahead log without waiting for anyone. False when a
/// reader was in the way.
///
/// # Errors
/// What `SQLite` says.
pub fn scrub(connection: &Connection) -> Result<bool, DbError> {
    sqlite::give_back_pages(connection, 256)?;
    empty_at_once(connection)
}

/// Copies the write-ahead log into the database and truncates it without waiting for anyone: who waits for a reader to go holds up
/// everybody who writes, for as long. False when a reader or writer was in the way.
///
/// # Errors
/// What `SQLite` says.
pub fn empty_at_once(connection: &Connection) -> Result<bool, DbError> {
    connection.busy_handler(None).during("stop waiting")?;
    let emptied = empty(connection);
    sqlite::wait_for_others(connection)?;
    emptied
}
