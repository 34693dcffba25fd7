//! Maintenance: one operation per file, no printing. Here: what they share — the run with its lock and its record,
//! the report, the exit codes.

use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use serde::Serialize;

use crate::adapters::acting::{self, Acting};
use crate::adapters::data_dir::{DataDir, Lock};
use crate::adapters::run_store;
use crate::adapters::set_aside;
use crate::adapters::sqlite::{self, Access, DbError, During};
use crate::config::MaintConfig;
use crate::domain::clock::{Clock, Timestamp};
use crate::domain::span::Span;
use crate::maint::failures::Failures;
use crate::maint::lent_reserve::Released;
use crate::maint::stop::Stop;

pub mod backup;
mod carrying;
pub mod cleanup_audio;
pub mod cleanup_sessions;
pub mod compact;
pub mod doctor;
mod error;
mod failures;
pub mod import_langgraph;
mod lent_reserve;
pub mod list_backups;
pub mod metrics;
pub mod reindex_memories;
pub mod restore;
pub mod status;
pub mod stop;
pub mod verify_backups;

pub use error::MaintError;

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// Done, or nothing to do.
    Done,
    /// Some items failed; the rest is done.
    Partial,
    /// Failed; the report says what changed.
    Failed,
    /// Wrong usage or settings; nothing was touched.
    Usage,
    /// Refused for safety.
    Refused,
    /// Another run holds the lock.
    Busy,
}

impl Outcome {
    /// The process's exit code.
    #[must_use]
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Partial => 3,
            Self::Refused => 4,
            Self::Busy => 75,
        }
    }

    const fn recorded_as(self) -> &'static str {
        match self {
            Self::Done => "succeeded",
            Self::Partial => "partial",
            Self::Failed | Self::Usage | Self::Busy => "failed",
            Self::Refused => "refused",
        }
    }
}

/// One thing that went wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ItemError {
    /// What it happened to.
    pub item: String,
    /// What happened.
    pub error: String,
}

/// What a run did; the same for people and as JSON.
#[derive(Debug, Clone, Serialize)]
pub struct Report<Counts> {
    /// The version of this form.
    pub schema: u32,
    /// The job's name.
    pub job: &'static str,
    /// True when nothing was changed on purpose; the counts say what would be.
    pub dry_run: bool,
    /// When it began.
    pub started_at: Timestamp,
    /// How long it took.
    pub duration_ms: u64,
    /// The job's own counts.
    #[serde(flatten)]
    pub counts: Counts,
    /// What went wrong.
    pub errors: Vec<ItemError>,
    /// The process's exit code.
    pub exit_code: u8,
    /// False when it was turned away at the door, so that there is nothing to count.
    #[serde(skip)]
    pub begun: bool,
}

impl<Counts> Report<Counts> {
    /// The report of a run that ends now.
    pub(crate) fn of(
        run: &Run<'_>,
        job: &'static str,
        (started_at, began): (Timestamp, Instant),
        counts: Counts,
        (outcome, errors): (Outcome, Vec<ItemError>),
    ) -> Self {
        let duration_ms = millis(began.elapsed());
        let exit_code = outcome.exit_code();
        Self {
            schema: 1,
            job,
            dry_run: run.dry_run,
            started_at,
            duration_ms,
            counts,
            errors,
            exit_code,
            begun: true,
        }
    }

    /// When the run ended.
    #[must_use]
    pub fn ended_at(&self) -> Timestamp {
        self.started_at.later_by(Duration::from_millis(self.duration_ms))
    }
}

/// Hears how far the work is.
pub trait Progress {
    /// `done` of `total` of `what` is done; called often.
    fn advance(&self, what: &str, done: u64, total: u64);
}

/// What every job is given.
pub struct Run<'a> {
    /// Settings.
    pub config: &'a MaintConfig,
    /// Tells the time; read once.
    pub clock: &'a dyn Clock,
    /// Stop before the first change.
    pub dry_run: bool,
    /// Go past the fuses.
    pub force: bool,
    /// Knows whether the job has to stop.
    pub stop: &'a Stop,
    /// How long to wait for a lock that another run holds.
    pub wait_lock: Option<Span>,
    /// Hears how far the work is.
    pub progress: &'a dyn Progress,
}

/// What a job works with while its lock is held.
pub(crate) struct Job<'a> {
    pub run: &'a Run<'a>,
    pub now: Timestamp,
    pub dir: DataDir,
    pub db: Connection,
    /// When this job last did its work, at least in part, as known before this run.
    pub last_work: Option<Timestamp>,
    /// The run of this job before this one never told its end: most often it was killed.
    pub after_kill: bool,
    pub errors: Failures,
    // Dropped in this order, after the run is recorded: the reserve comes back before the lock is let go, and root is root
    // again when all is done.
    reserve: Option<Released>,
    _lock: Lock,
    _acting: Acting,
}

/// Which schema versions a job can work with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Schema {
    Current,
    CurrentOrOlder,
}

/// What a job needs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Needs {
    pub job: &'static str,
    pub schema: Schema,
    /// Has to work with no byte free: the reserve is released before the first step and restored after the last.
    pub reserve: bool,
}

impl Run<'_> {
    /// Runs `work` under the job's lock and records how it went. The counts are in the report whatever happens.
    pub(crate) fn recorded<C: Serialize + Default>(
        &self,
        needs: Needs,
        work: impl FnOnce(&mut Job<'_>, &mut C) -> Result<(), MaintError>,
    ) -> Report<C> {
        let began = Instant::now();
        let now = self.clock.now();
        let job = needs.job;
        let mut counts = C::default();
        let opened = self.open(needs, now);
        let begun = opened.is_ok();
        let (outcome, errors, record) = match opened {
            Err(error) => (error.outcome(), vec![item(self.place(), &error)], None),
            Ok(mut opened) => {
                // Where there is no room for it yet there may be some at the end, which tells of a failure.
                let key = (!self.dry_run).then(|| run_store::begin(&opened.db, job, now).ok()).flatten();
                let ended = work(&mut opened, &mut counts);
                let mut errors = std::mem::take(&mut opened.errors).into_list();
                let worst = if errors.is_empty() { Outcome::Done } else { Outcome::Partial };
                let outcome = ended.map_or_else(
                    |error| {
                        let error = without_reserve(self.stop.explain(error), opened.reserve.as_ref());
                        errors.push(item(job.to_owned(), &error));
                        error.outcome()
                    },
                    |()| worst,
                );
                (outcome, errors, (!self.dry_run).then_some((opened, key)))
            }
        };
        let mut report = Report::of(self, job, (now, began), counts, (outcome, errors));
        report.begun = begun;
        if let Some((opened, key)) = record
            && let Some(key) = key.or_else(|| begin_record(&opened.db, job, now))
        {
            end_record(&opened.db, key, report.ended_at(), outcome, &report);
        }
        report
    }

    fn open(&self, needs: Needs, now: Timestamp) -> Result<Job<'_>, MaintError> {
        let Needs { job, schema, reserve } = needs;
        let (dir, acting) = DataDir::enter(&self.config.storage)?;
        let lock = self.lock(&dir, job)?;
        set_aside::refuse_pending(&dir)?;
        let reserve = if reserve && !self.dry_run { Some(Released::of(&dir)?) } else { None };
        let db = if needs.reserve { open_on_full_disk(&dir, schema) } else { open_database(&dir, schema) };
        let db = db.map_err(|error| without_reserve(error.into(), reserve.as_ref()))?;
        let last_work = run_store::last_work(&db, job).during("read the record of runs")?;
        let last_run = run_store::last_run(&db, job).during("read the record of runs")?;
        Ok(Job {
            run: self,
            now,
            dir,
            db,
            last_work,
            after_kill: last_run.is_some_and(|run| run.ended_at.is_none()),
            errors: Failures::default(),
            reserve,
            _lock: lock,
            _acting: acting,
        })
    }

    fn place(&self) -> String {
        self.config.storage.data_dir.display().to_string()
    }
}

pub(crate) fn open_database(dir: &DataDir, schema: Schema) -> Result<Connection, DbError> {
    open_at(dir.database(), schema, Access::ReadWrite).map_err(|error| {
        // Without a byte free SQLite cannot even make its shared memory, and calls that an I/O error.
        if let DbError::Sqlite { operation, .. } = error
            && dir.has_no_room()
        {
            return DbError::Full(operation);
        }
        error
    })
}

/// The same where there may be no byte free: cleanup has to work then, also where the reserve is missing, and looking at
/// what there is.
pub(crate) fn open_on_full_disk(dir: &DataDir, schema: Schema) -> Result<Connection, DbError> {
    match open_database(dir, schema) {
        Err(error) if error.is_full() => open_at(dir.database(), schema, Access::Alone),
        opened => opened,
    }
}

/// Says what to do where a full disk is the trouble and the reserve is missing.
fn without_reserve(error: MaintError, reserve: Option<&Released>) -> MaintError {
    let missing = reserve.is_some_and(|reserve| !reserve.was_there);
    if missing && error.is_full() { MaintError::NoReserve(Box::new(error)) } else { error }
}

fn open_at(path: &Path, schema: Schema, access: Access) -> Result<Connection, DbError> {
    if schema == Schema::Current {
        return sqlite::open_current(path, access);
    }
    let (connection, found) = sqlite::open(path, access)?;
    let known = sqlite::schema_version();
    if found > known {
        return Err(DbError::Newer { path: path.to_owned(), found, known });
    }
    Ok(connection)
}

pub(crate) fn item(item: String, error: &(dyn std::error::Error + 'static)) -> ItemError {
    let hint = acting::hint(error).map(|hint| format!(": {hint}")).unwrap_or_default();
    ItemError { item, error: format!("{error}{hint}") }
}

fn begin_record(db: &Connection, job: &str, now: Timestamp) -> Option<i64> {
    let begun = run_store::begin(db, job, now);
    begun
        .inspect_err(|error| tracing::warn!(error = %error, "The start of this run could not be recorded"))
        .ok()
}

fn end_record<C: Serialize>(db: &Connection, key: i64, at: Timestamp, outcome: Outcome, report: &Report<C>) {
    let text = serde_json::to_string(report).unwrap_or_default();
    if let Err(error) = run_store::finish(db, key, at, outcome.recorded_as(), &text) {
        tracing::warn!(error = %error, "The end of this run could not be recorded");
    }
}

pub(crate) fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
