//! The server's database: one writer thread that flushes many commits at once, and a few readers.
//!
//! Bounds: 1024 writes may wait, 4 reads run at once; whoever waits longer than 5 s is told `Overloaded`. At most
//! 64 writes share one flush.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::{Semaphore, mpsc, oneshot};

use crate::adapters::sqlite::{self, Access, DbError, During};
use crate::adapters::write_ahead_log::{self, Copier};

const WAITING_WRITES: usize = 1024;
const WRITES_PER_FLUSH: usize = 64;
const READERS: usize = 4;
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// Told to a writer once its transaction is on disk, or is not.
type Finish = Box<dyn FnOnce(Result<(), DbError>) + Send>;
type Write = Box<dyn FnOnce(Result<&Connection, DbError>) -> Finish + Send>;

enum Job {
    Write(Write),
    Scrub(oneshot::Sender<Result<bool, DbError>>),
}

/// The handle that everything in the server shares.
#[derive(Clone)]
pub struct Database {
    shared: Arc<Shared>,
}

struct Shared {
    path: PathBuf,
    writes: Mutex<Option<mpsc::Sender<Job>>>,
    idle_readers: Mutex<Vec<Connection>>,
    reader_places: Arc<Semaphore>,
    ready: AtomicBool,
    writer: Mutex<Option<JoinHandle<()>>>,
}

/// Work to do on the database before anyone else may use it.
pub type Prepare = Box<dyn FnOnce(&mut Connection) -> Result<(), DbError> + Send>;

/// What a started database reports.
pub struct Started {
    /// The handle.
    pub database: Database,
    /// Resolves once the preparation is done, with how it went.
    pub prepared: oneshot::Receiver<Result<(), DbError>>,
    /// Resolves when the writer thread has ended, for whatever reason.
    pub ended: oneshot::Receiver<()>,
}

impl Database {
    /// Opens the database at `path` and starts its writer, which first runs `prepare` (a migration, say); until that
    /// is done every use is answered [`DbError::Migrating`]. With nothing to prepare it is ready at once.
    ///
    /// # Errors
    /// When the database cannot be opened or no thread can be started.
    pub fn start(path: PathBuf, prepare: Option<Prepare>) -> Result<Started, DbError> {
        let (connection, _) = sqlite::open(&path, Access::ReadWrite)?;
        let (writes, waiting) = mpsc::channel(WAITING_WRITES);
        let (prepared_tx, prepared) = oneshot::channel();
        let (ended_tx, ended) = oneshot::channel();
        let shared = Arc::new(Shared {
            path: path.clone(),
            writes: Mutex::new(Some(writes)),
            idle_readers: Mutex::default(),
            reader_places: Arc::new(Semaphore::new(READERS)),
            ready: AtomicBool::new(prepare.is_none()),
            writer: Mutex::default(),
        });
        let weak = Arc::downgrade(&shared);
        let run = move || {
            let _ended = ended_tx;
            let mut connection = connection;
            let outcome = prepare.map_or(Ok(()), |prepare| prepare(&mut connection));
            let outcome = outcome.and_then(|()| Copier::start(path, &connection));
            if let (true, Some(shared)) = (outcome.is_ok(), weak.upgrade()) {
                shared.ready.store(true, Ordering::Release);
            }
            let (outcome, copier) =
                outcome.map_or_else(|error| (Err(error), None), |copier| (Ok(()), Some(copier)));
            drop(prepared_tx.send(outcome));
            if let Some(copier) = copier {
                serve(&mut connection, waiting, copier);
            }
        };
        let thread = std::thread::Builder::new().name("database".into()).spawn(run).map_err(|source| {
            crate::adapters::disk::DiskError {
                operation: "start a thread for",
                path: shared.path.clone(),
                source,
            }
        })?;
        *lock(&shared.writer) = Some(thread);
        Ok(Started { database: Self { shared }, prepared, ended })
    }

    /// True once the preparation is done.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.shared.ready.load(Ordering::Acquire)
    }

    /// Runs `work` in a transaction and returns once that is on disk. When `work` fails, or the commit does, nothing
    /// of it stays.
    ///
    /// # Errors
    /// What `work` or the commit says, or that too many wait.
    pub async fn write<T: Send + 'static>(
        &self,
        operation: &'static str,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, DbError> {
        if !self.is_ready() {
            return Err(DbError::Migrating);
        }
        let (reply, answer) = oneshot::channel();
        let job: Write = Box::new(move |connection| {
            let result = connection.and_then(|connection| in_savepoint(connection, work).during(operation));
            Box::new(move |committed| {
                // The work's own failure says more than that of the commit it was part of.
                drop(reply.send(result.and_then(|value| committed.map(|()| value))));
            })
        });
        self.submit(Job::Write(job)).await?;
        answer.await.unwrap_or(Err(DbError::Closed))
    }

    /// Gives freed pages back to the file system and empties the write-ahead log, so that deleted words are in no
    /// file any more. False when a reader was in the way; then it is done as soon as none is, which may take a while:
    /// it is worth trying again at once.
    ///
    /// # Errors
    /// What `SQLite` says, or that too much waits.
    pub async fn scrub(&self) -> Result<bool, DbError> {
        if !self.is_ready() {
            return Err(DbError::Migrating);
        }
        let (reply, answer) = oneshot::channel();
        self.submit(Job::Scrub(reply)).await?;
        answer.await.unwrap_or(Err(DbError::Closed))
    }

    async fn submit(&self, job: Job) -> Result<(), DbError> {
        let writes = lock(&self.shared.writes).clone().ok_or(DbError::Closed)?;
        match writes.send_timeout(job, LONGEST_WAIT).await {
            Ok(()) => Ok(()),
            Err(mpsc::error::SendTimeoutError::Timeout(_)) => Err(DbError::Overloaded),
            Err(mpsc::error::SendTimeoutError::Closed(_)) => Err(DbError::Closed),
        }
    }

    /// Runs `work` on a read-only connection that shows it one moment.
    ///
    /// # Errors
    /// What `work` says, or that too many wait.
    pub async fn read<T: Send + 'static>(
        &self,
        operation: &'static str,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, DbError> {
        if !self.is_ready() {
            return Err(DbError::Migrating);
        }
        let place = tokio::time::timeout(LONGEST_WAIT, self.shared.reader_places.clone().acquire_owned());
        let place = place.await.map_err(|_| DbError::Overloaded)?.map_err(|_| DbError::Closed)?;
        let shared = self.shared.clone();
        let task = tokio::task::spawn_blocking(move || {
            let _place = place;
            let connection = shared.reader()?;
            // One moment for all statements: rows deleted between two of them may be someone else's in the second.
            let result =
                connection.unchecked_transaction().and_then(|moment| work(&moment)).during(operation);
            lock(&shared.idle_readers).push(connection);
            result
        });
        task.await.unwrap_or(Err(DbError::Closed))
    }

    /// Waits for what was already accepted to be on disk, then closes the database.
    pub async fn close(&self) {
        // Who reads now gives its connection back afterwards; it must not be the last one to be closed.
        let places = self.shared.reader_places.clone();
        let all = places.acquire_many(u32::try_from(READERS).unwrap_or(u32::MAX));
        let readers_left = tokio::time::timeout(LONGEST_WAIT, all).await;
        self.shared.reader_places.close();
        drop(readers_left);
        let database = self.clone();
        drop(tokio::task::spawn_blocking(move || database.close_now()).await);
    }

    fn close_now(&self) {
        // Readers first: the connection that closes last, and may write, tidies the log away.
        lock(&self.shared.idle_readers).clear();
        drop(lock(&self.shared.writes).take());
        if let Some(thread) = lock(&self.shared.writer).take() {
            drop(thread.join());
        }
    }
}

impl Shared {
    fn reader(&self) -> Result<Connection, DbError> {
        match lock(&self.idle_readers).pop() {
            Some(connection) => Ok(connection),
            None => sqlite::open_current(&self.path, Access::ReadOnly),
        }
    }
}

/// A thread that panicked holding the lock left nothing half-done in it.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn serve(connection: &mut Connection, mut waiting: mpsc::Receiver<Job>, mut copier: Copier) {
    let mut next = waiting.blocking_recv();
    while let Some(job) = next {
        let left_over = match job {
            Job::Write(write) => {
                let (writes, left_over) = commit_together(connection, write, &mut waiting);
                copier.count(writes);
                left_over
            }
            Job::Scrub(reply) => {
                let scrubbed = write_ahead_log::scrub(connection);
                if !matches!(scrubbed, Ok(true)) {
                    copier.empty_later();
                }
                drop(reply.send(scrubbed));
                None
            }
        };
        next = left_over.or_else(|| waiting.blocking_recv());
    }
}

/// One transaction, one flush, for all writes that wait. Returns how many there were, and the job that could not be part
/// of it.
fn commit_together(
    connection: &mut Connection,
    first: Write,
    waiting: &mut mpsc::Receiver<Job>,
) -> (usize, Option<Job>) {
    let transaction = match connection.transaction_with_behavior(TransactionBehavior::Immediate) {
        Ok(transaction) => transaction,
        Err(error) => return (0, refuse(first, error, waiting)),
    };
    let mut left_over = None;
    let mut finishes = vec![first(Ok(&transaction))];
    // SQLite may undo the whole transaction when the disk fails; what comes after must not run outside of one.
    while finishes.len() < WRITES_PER_FLUSH && !transaction.is_autocommit() {
        match waiting.try_recv() {
            Ok(Job::Write(next)) => finishes.push(next(Ok(&transaction))),
            Ok(other) => {
                left_over = Some(other);
                break;
            }
            Err(_) => break,
        }
    }
    let outcome = if transaction.is_autocommit() { Err(None) } else { transaction.commit().map_err(Some) };
    let writes = finishes.len();
    for finish in finishes {
        finish(match &outcome {
            Ok(()) => Ok(()),
            Err(Some(error)) if error.sqlite_error_code() == Some(rusqlite::ErrorCode::DiskFull) => {
                Err(DbError::Full("commit"))
            }
            Err(Some(error)) => Err(DbError::NotCommitted(error.to_string())),
            Err(None) => Err(DbError::RolledBack),
        });
    }
    (writes, left_over)
}

/// Refuses a write whose transaction cannot begin. When another process held the lock too long, those that wait
/// meanwhile are refused with it, or each of them would wait as long again. Returns the job that is no write.
fn refuse(first: Write, error: rusqlite::Error, waiting: &mut mpsc::Receiver<Job>) -> Option<Job> {
    if error.sqlite_error_code() != Some(rusqlite::ErrorCode::DatabaseBusy) {
        first(Err(DbError::from_sqlite("begin a transaction", error)))(Ok(()));
        return None;
    }
    first(Err(DbError::Overloaded))(Ok(()));
    loop {
        match waiting.try_recv() {
            Ok(Job::Write(next)) => next(Err(DbError::Overloaded))(Ok(())),
            Ok(other) => return Some(other),
            Err(_) => return None,
        }
    }
}

/// Runs `work` so that its failure undoes only its own changes.
fn in_savepoint<T>(
    connection: &Connection,
    work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    connection.execute_batch("SAVEPOINT work")?;
    match work(connection) {
        Ok(value) => connection.execute_batch("RELEASE work").map(|()| value),
        Err(error) => {
            // Where SQLite has already undone the whole transaction there is no savepoint left to go back to.
            if !connection.is_autocommit() {
                connection.execute_batch("ROLLBACK TO work; RELEASE work")?;
            }
            Err(error)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;

    fn started() -> (tempfile::TempDir, Database) {
        let (root, connection) = sqlite::empty_for_testing();
        let path = connection.path().unwrap().into();
        (root, Database::start(path, None).unwrap().database)
    }

    /// Something that lasts until the other end is dropped, and tells when it has begun.
    fn lasting() -> (Sender<()>, Receiver<()>, impl FnOnce(&Connection) -> rusqlite::Result<()> + Send) {
        let (hold, held) = channel();
        let (begins, begun) = channel();
        let work = move |_: &Connection| {
            drop(begins);
            let _ = held.recv();
            Ok(())
        };
        (hold, begun, work)
    }

    #[tokio::test(start_paused = true)]
    async fn four_read_at_once_and_whoever_waits_for_longer_than_5_s_is_told() {
        let (_root, database) = started();
        let mut reading = Vec::new();
        for _ in 0..READERS {
            let (hold, begun, work) = lasting();
            let database = database.clone();
            reading.push((tokio::spawn(async move { database.read("last", work).await }), hold));
            tokio::task::yield_now().await;
            let _ = begun.recv();
        }
        let more = |database: Database| tokio::spawn(async move { database.read("look", |_| Ok(7)).await });
        let late = more(database.clone());
        tokio::task::yield_now().await;
        tokio::time::advance(LONGEST_WAIT + Duration::from_millis(1)).await;
        assert!(matches!(late.await.unwrap(), Err(DbError::Overloaded)));
        for (task, hold) in reading {
            drop(hold);
            task.await.unwrap().unwrap();
        }
        assert_eq!(more(database.clone()).await.unwrap().unwrap(), 7);
        database.close().await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_thousand_writes_wait_and_one_more_is_told_after_5_s() {
        let (_root, database) = started();
        let (hold, begun, work) = lasting();
        let first = database.clone();
        let first = tokio::spawn(async move { first.write("last", work).await });
        tokio::task::yield_now().await;
        let _ = begun.recv();
        let write = || {
            let database = database.clone();
            tokio::spawn(async move { database.write("write", |_| Ok(())).await })
        };
        let waiting: Vec<_> = (0..WAITING_WRITES).map(|_| write()).collect();
        let room = || lock(&database.shared.writes).as_ref().unwrap().capacity();
        while room() > 0 {
            tokio::task::yield_now().await;
        }
        assert!(matches!(write().await.unwrap(), Err(DbError::Overloaded)));
        drop(hold);
        first.await.unwrap().unwrap();
        for task in waiting {
            task.await.unwrap().unwrap();
        }
        write().await.unwrap().unwrap();
        database.close().await;
    }

    #[tokio::test]
    async fn what_waits_is_flushed_together_but_not_more_than_64_writes() {
        let (_root, database) = started();
        let make = |db: &Connection| db.execute_batch("CREATE TABLE written (number INTEGER)");
        database.write("make", make).await.unwrap();
        let (hold, begun, work) = lasting();
        let first = database.clone();
        let first = tokio::spawn(async move { first.write("last", work).await });
        tokio::task::yield_now().await;
        let _ = begun.recv();
        // Each tells how many of those before it are on disk already.
        let write = |_| {
            let database = database.clone();
            tokio::spawn(async move {
                let write = |db: &Connection| {
                    db.execute_batch("INSERT INTO written VALUES (1)")?;
                    let path = std::path::Path::new(db.path().unwrap_or_default());
                    let other = sqlite::open_current(path, Access::ReadOnly).unwrap();
                    other.query_row("SELECT count(*) FROM written", [], |row| row.get::<_, usize>(0))
                };
                database.write("write", write).await.unwrap()
            })
        };
        let waiting: Vec<_> = (0..3 * WRITES_PER_FLUSH).map(write).collect();
        let room = || lock(&database.shared.writes).as_ref().unwrap().capacity();
        while room() > WAITING_WRITES - 3 * WRITES_PER_FLUSH {
            tokio::task::yield_now().await;
        }
        drop(hold);
        first.await.unwrap().unwrap();
        let mut flushed = Vec::new();
        for task in waiting {
            flushed.push(task.await.unwrap());
        }
        flushed.sort_unstable();
        let of_each: Vec<_> =
            flushed.chunk_by(|a, b| a == b).map(|together| (together[0], together.len())).collect();
        // The first one is of the first flush.
        assert_eq!(of_each, [(0, 63), (63, 64), (127, 64), (191, 1)]);
        database.close().await;
    }
}
