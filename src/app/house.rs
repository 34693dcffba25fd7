//! What is on disk and in the database, and how the maintenance jobs went: looked at when somebody asks, by one at a time
//! and apart from requests.
//!
//! Bounds: what was seen counts for 5 s, or for 20 times as long as the look took; who asks waits for at most 1 s and is then
//! told what was seen last, unless the next look is overdue by a minute.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tokio::runtime::Handle;
use tokio::sync::Notify;

use crate::adapters::data_dir::DataDir;
use crate::adapters::inventory::{self, NextCleanup};
use crate::adapters::outbox_store::{self, Waiting};
use crate::adapters::person_store;
use crate::adapters::run_store::{self, Run};
use crate::adapters::session_store::{self, Totals};
use crate::adapters::write_ahead_log::beside as log_of;
use crate::adapters::{audio_store, backup_store, disk, process};
use crate::app::App;
use crate::app::memory_status::MemoryStatus;
use crate::config::RetentionConfig;
use crate::domain::clock::Timestamp;
use crate::domain::maintenance::JOBS;

const KEPT: Duration = Duration::from_secs(5);
/// No more than a twentieth of one thread's time goes into looking.
pub(crate) const SHARE: u32 = 20;
const LONGEST_WAIT: Duration = Duration::from_secs(1);
const TOO_OLD: Duration = Duration::from_secs(60);

/// What was seen; `None` what could not be looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct House {
    /// Bytes.
    pub disk: DiskUse,
    /// Rows.
    pub rows: Option<Rows>,
    /// What the next cleanup would take of the database; `None` when it was not counted in time.
    pub next: Option<NextCleanup>,
    /// Turns that are still to be learned from.
    pub to_learn: Option<u64>,
    /// Memories that the model is still to be asked about; `None` without one.
    pub to_embed: Option<u64>,
}

/// Bytes on disk.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DiskUse {
    /// Free where the data directory lies.
    pub free: Option<u64>,
    /// Free where the backups lie, if that is a disk of its own.
    pub backups_free: Option<u64>,
    /// The database file.
    pub database: Option<u64>,
    /// Its write-ahead log.
    pub log: Option<u64>,
    /// Audio replies.
    pub audio: Option<u64>,
    /// How many of them, no bytes, the next cleanup would take.
    pub next_audio_files: Option<u64>,
    /// Backups.
    pub backups: Option<u64>,
}

/// What is in the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rows {
    /// Sessions.
    pub sessions: u64,
    /// Checkpoints.
    pub checkpoints: u64,
    /// Memories.
    pub memories: u64,
    /// Persons.
    pub persons: u64,
    /// Changes of memories that wait for the copy of their index.
    pub outbox: Waiting,
    /// The jobs that ran, each with its last run.
    pub jobs: Vec<LastRun>,
}

/// The last run of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastRun {
    /// The job's name.
    pub job: &'static str,
    /// When it began.
    pub started_at: Timestamp,
    /// `running`, `succeeded`, `partial`, `failed`, `refused` or `killed`.
    pub outcome: String,
    /// When the last one that succeeded began.
    pub last_success: Option<Timestamp>,
    /// Bytes it gave back to the file system; `None` when it has not ended, or frees none.
    pub freed: Option<u64>,
}

/// The last look, and whether another one is being taken.
pub(crate) struct Lookout {
    runtime: Handle,
    last: Mutex<Last>,
    looked: Notify,
}

#[derive(Default)]
struct Last {
    house: Arc<House>,
    /// When the next look is due.
    again: Option<Instant>,
    looking: bool,
}

impl Lookout {
    /// Looks are taken on `runtime`.
    pub(crate) fn new(runtime: Handle) -> Self {
        Self { runtime, last: Mutex::default(), looked: Notify::new() }
    }

    fn last(&self) -> std::sync::MutexGuard<'_, Last> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A look for the caller to take, when one is due and nobody takes it.
    fn begin(self: &Arc<Self>) -> Option<Looking> {
        let mut last = self.last();
        let due = last.again.is_none_or(|again| again <= Instant::now());
        if last.looking || !due {
            return None;
        }
        last.looking = true;
        Some(Looking(self.clone()))
    }

    fn is_looking(&self) -> bool {
        self.last().looking
    }

    fn saw(&self, house: House, took: Duration) {
        let mut last = self.last();
        last.house = Arc::new(house);
        last.again = Some(Instant::now() + KEPT.max(took * SHARE));
    }

    /// What was seen last, unless the next look should have been over for long.
    fn seen(&self) -> Arc<House> {
        let last = self.last();
        let current = last.again.is_some_and(|again| Instant::now() < again + TOO_OLD);
        if current { last.house.clone() } else { Arc::default() }
    }
}

/// A look that is being taken; it ends when this is dropped, however that comes.
struct Looking(Arc<Lookout>);

impl Drop for Looking {
    fn drop(&mut self) {
        self.0.last().looking = false;
        self.0.looked.notify_waiters();
    }
}

impl App {
    /// What is on disk and in the database, as it was seen a few seconds ago at most; nothing when it cannot be seen.
    pub async fn house(self: Arc<Self>) -> Arc<House> {
        let looked = self.lookout.looked.notified();
        if let Some(looking) = self.lookout.begin() {
            self.lookout.runtime.spawn(look(self.clone(), looking));
        }
        if self.lookout.is_looking() {
            drop(tokio::time::timeout(LONGEST_WAIT, looked).await);
        }
        self.lookout.seen()
    }

    /// What is on disk and in the database now, as far as it can be seen.
    pub(crate) async fn look_over(&self) -> House {
        let rows = self.database.read("look over the house", rows).await.ok();
        let (dir, now, retention) = (self.data_dir.clone(), self.clock.now(), self.retention.clone());
        let disk = move || disk_use(&dir, now, &retention);
        let disk = tokio::task::spawn_blocking(disk).await.unwrap_or_default();
        let dir = self.data_dir.clone();
        let beside = self.backup_disk.look(move || backups_use(&dir)).await;
        let (backups, backups_free) = beside.unwrap_or_default();
        let disk = DiskUse { backups, backups_free, ..disk };
        House { disk, rows, ..House::default() }
    }

    /// The same with what waits and what goes next, which is counted.
    async fn look_ahead(&self) -> House {
        let house = self.look_over().await;
        let next = self.next_cleanup().await.ok().flatten();
        let Ok(MemoryStatus { to_learn, vectors, .. }) = self.memory_status().await else {
            return House { next, ..house };
        };
        House { next, to_learn: Some(to_learn), to_embed: vectors.map(|of| of.waiting), ..house }
    }

    /// Bytes of memory the process holds.
    #[must_use]
    pub fn resident_bytes(&self) -> Option<u64> {
        process::resident_bytes()
    }

    /// Below so many free bytes what grows the store is refused.
    #[must_use]
    pub fn min_free_bytes(&self) -> u64 {
        self.data_dir.min_free_bytes()
    }

    /// How many turns run now.
    #[must_use]
    pub fn running_turns(&self) -> u64 {
        self.turns.running() as u64
    }

    /// What time it is.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

async fn look(app: Arc<App>, looking: Looking) {
    let began = Instant::now();
    let house = app.look_ahead().await;
    looking.0.saw(house, began.elapsed());
}

fn rows(db: &Connection) -> rusqlite::Result<Rows> {
    let totals = session_store::totals(db)?;
    let persons = person_store::count(db)?;
    let mut jobs = Vec::new();
    for job in JOBS {
        if let Some(run) = run_store::last_run(db, job)? {
            let last_success = run_store::last_success(db, job)?;
            let Run { started_at, outcome, bytes_reclaimed: freed, .. } = run;
            jobs.push(LastRun { job, started_at, outcome, last_success, freed });
        }
    }
    let Totals { sessions, checkpoints, memories } = totals;
    let outbox = outbox_store::waiting(db)?;
    Ok(Rows { sessions, checkpoints, memories, persons, outbox, jobs })
}

fn disk_use(dir: &DataDir, now: Timestamp, retention: &RetentionConfig) -> DiskUse {
    let audio = audio_store::list(dir.audio()).ok();
    DiskUse {
        free: disk::free_bytes(dir.database_place()).ok(),
        database: Some(disk::allocated_bytes(dir.database())),
        log: Some(disk::allocated_bytes(&log_of(dir.database()))),
        audio: audio.as_ref().map(|files| files.iter().map(|file| file.bytes).sum()),
        next_audio_files: audio.map(|files| inventory::next_audio(files, now, retention).0),
        ..DiskUse::default()
    }
}

/// Bytes of the backups, and those that are free beside them.
fn backups_use(dir: &DataDir) -> (Option<u64>, Option<u64>) {
    let backups = backup_store::list(dir.backups()).ok();
    let bytes = backups.map(|backups| backups.iter().map(|backup| backup.manifest.bytes).sum());
    (bytes, disk::free_bytes_apart(dir.backups(), dir.database()).ok().flatten())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lookout() -> Arc<Lookout> {
        Arc::new(Lookout::new(Handle::current()))
    }

    fn house(sessions: u64) -> House {
        let outbox = Waiting::default();
        let rows = Rows { sessions, checkpoints: 0, memories: 0, persons: 0, outbox, jobs: Vec::new() };
        House { rows: Some(rows), ..House::default() }
    }

    #[tokio::test]
    async fn one_looks_for_all_and_not_again_for_a_while() {
        let lookout = lookout();
        assert_eq!(*lookout.seen(), House::default());
        let looking = lookout.begin().unwrap();
        assert!(lookout.begin().is_none(), "one is looking");
        drop(looking);
        let looking = lookout.begin().unwrap();
        looking.0.saw(house(1), Duration::ZERO);
        drop(looking);
        assert!(lookout.begin().is_none(), "somebody has just looked");
        assert_eq!(*lookout.seen(), house(1));
    }

    #[tokio::test]
    async fn what_takes_long_is_done_less_often() {
        let lookout = lookout();
        let next = |took| {
            lookout.saw(house(1), took);
            lookout.last().again.unwrap() - Instant::now()
        };
        let near =
            |wait: Duration, seconds| wait.as_secs_f64() > seconds - 1.0 && wait.as_secs_f64() <= seconds;
        assert!(near(next(Duration::from_millis(10)), 5.0));
        assert!(near(next(Duration::from_secs(10)), 200.0));
    }

    #[tokio::test]
    async fn what_was_seen_too_long_ago_is_not_told() {
        let lookout = lookout();
        lookout.saw(house(1), Duration::ZERO);
        let long_ago = Instant::now().checked_sub(TOO_OLD).unwrap();
        lookout.last().again = Some(long_ago);
        assert_eq!(*lookout.seen(), House::default());
        lookout.last().again = Some(long_ago + Duration::from_secs(30));
        assert_eq!(*lookout.seen(), house(1));
    }
}
