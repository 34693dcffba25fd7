//! `cleanup-sessions`: deletes what has outlived its retention, and makes the file shrink.

use std::time::{Duration, Instant};

use rusqlite::{Connection, TransactionBehavior};
use serde::Serialize;

use crate::adapters::audio_store;
use crate::adapters::expiry_store::{self, Cutoffs};
use crate::adapters::session_store::{self, Deleted};
use crate::adapters::sqlite::{self, DbError, During};
use crate::adapters::{erasure_ledger, person_store};
use crate::domain::clock::Timestamp;
use crate::domain::maintenance::CLEANUP_SESSIONS;
use crate::domain::retention::{RetentionDays, UNREMEMBERED_IDLE, check_clock, exceeds_percent};
use crate::maint::compact::{self, Courtesy, GAP};
use crate::maint::{Job, MaintError, Needs, Report, Run, Schema};

/// What the command line asks for.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// `--retention-days`; `None`: `SESSION_RETENTION_DAYS`.
    pub retention: Option<RetentionDays>,
    /// `--batch-size`: the most sessions of one transaction.
    pub batch_size: usize,
    /// `--max-delete-percent`.
    pub max_delete_percent: Option<u8>,
    /// False with `--no-compact`.
    pub compact: bool,
}

/// What was deleted, or would be.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Counts {
    /// The retention that was applied; `null` when sessions are kept for good.
    pub retention_days: Option<u32>,
    /// Sessions idle since before this went; `null` when sessions are kept for good.
    pub cutoff: Option<Timestamp>,
    /// Sessions before.
    pub sessions_before: u64,
    /// Checkpoints before.
    pub checkpoints_before: u64,
    /// Sessions that went.
    pub sessions_deleted: u64,
    /// Checkpoints that went.
    pub checkpoints_deleted: u64,
    /// Audio files that went.
    pub audio_files_deleted: u64,
    /// People unseen for `PERSON_RETENTION_DAYS` who were erased.
    pub persons_erased: u64,
    /// Sessions after.
    pub sessions_remaining: u64,
    /// Bytes the file system got back, measured.
    pub bytes_reclaimed: u64,
}

/// Runs the job.
pub fn run(run: &Run<'_>, options: Options) -> Report<Counts> {
    run.recorded(Needs { job: CLEANUP_SESSIONS, schema: Schema::Current, reserve: true }, |job, counts| {
        clean_up(job, options, counts)
    })
}

fn clean_up(job: &mut Job<'_>, options: Options, counts: &mut Counts) -> Result<(), MaintError> {
    let retention = retention(job, options)?;
    let cutoffs = cutoffs(job.now, retention);
    counts.retention_days = retention.map(RetentionDays::get);
    counts.cutoff = cutoffs.idle_since;
    check_fuse(job, retention)?;
    analyse(job, cutoffs, options, counts)?;
    if job.run.dry_run {
        return Ok(());
    }
    let expected = std::mem::take(&mut counts.sessions_deleted);
    counts.checkpoints_deleted = 0;
    counts.audio_files_deleted = 0;
    counts.persons_erased = 0;
    let before = compact::database_bytes(job.dir.database());
    sqlite::keep_batches_in_memory(&job.db)?;
    let deleted = delete_all(job, cutoffs, options, expected, counts);
    let compacted = if options.compact && deleted.is_ok() {
        compact::compact(job)
    } else {
        compact::empty_log(&job.db).map_err(Into::into)
    };
    let totals = session_store::totals(&job.db).during("count what remains");
    counts.sessions_remaining = totals.map_or(0, |totals| totals.sessions);
    counts.bytes_reclaimed += before.saturating_sub(compact::database_bytes(job.dir.database()));
    log_completed(counts);
    deleted.and(compacted)
}

fn retention(job: &Job<'_>, options: Options) -> Result<Option<RetentionDays>, MaintError> {
    let announced = job.run.config.retention.session_days;
    let Some(asked) = options.retention else { return Ok(announced) };
    let stricter = announced.is_none_or(|announced| asked < announced);
    if stricter && !job.run.force {
        let promise = announced.map_or("off".to_owned(), |days| days.to_string());
        return Err(MaintError::Refused(format!(
            "--retention-days {asked} is stricter than SESSION_RETENTION_DAYS ({promise}), which people were promised"
        )));
    }
    Ok(Some(asked))
}

fn cutoffs(now: Timestamp, retention: Option<RetentionDays>) -> Cutoffs {
    Cutoffs {
        idle_since: retention.map(|days| days.cutoff(now)),
        unremembered_since: now.earlier_by(UNREMEMBERED_IDLE),
    }
}

fn check_fuse(job: &Job<'_>, retention: Option<RetentionDays>) -> Result<(), MaintError> {
    if job.run.force {
        return Ok(());
    }
    let witness = expiry_store::clock_witness(&job.db, job.last_success).during("find the newest turn")?;
    let span = retention.map_or(UNREMEMBERED_IDLE, RetentionDays::span);
    check_clock(job.now, witness, span).map_err(Into::into)
}

/// Fills in what is there and what would go, logs it, and applies `--max-delete-percent`.
fn analyse(job: &Job<'_>, cutoffs: Cutoffs, options: Options, counts: &mut Counts) -> Result<(), MaintError> {
    let before = session_store::totals(&job.db).during("count sessions")?;
    let expired = expiry_store::count_expired(&job.db, cutoffs).during("count expired sessions")?;
    counts.sessions_before = before.sessions;
    counts.checkpoints_before = before.checkpoints;
    counts.sessions_deleted = expired.sessions;
    counts.checkpoints_deleted = expired.checkpoints;
    counts.audio_files_deleted =
        expiry_store::count_expired_audio(&job.db, cutoffs).during("count expired audio")?;
    counts.sessions_remaining = before.sessions.saturating_sub(expired.sessions);
    if let Some(cutoff) = person_cutoff(job) {
        counts.persons_erased = person_store::count_unseen_since(&job.db, cutoff).during("count people")?;
    }
    tracing::info!(
        event = "session_cleanup_analysis",
        retention_days = counts.retention_days,
        cutoff = counts.cutoff.map(|at| at.to_string()),
        sessions_before = counts.sessions_before,
        checkpoints_before = counts.checkpoints_before,
        sessions_to_delete = counts.sessions_deleted,
        checkpoints_to_delete = counts.checkpoints_deleted,
        audio_files_to_delete = counts.audio_files_deleted,
        persons_to_erase = counts.persons_erased,
        dry_run = job.run.dry_run,
        "Looked at what has expired"
    );
    if let Some(percent) = options.max_delete_percent
        && exceeds_percent(expired.sessions, before.sessions, percent)
        && !job.run.force
    {
        return Err(MaintError::Refused(format!(
            "{} of {} sessions have expired, more than --max-delete-percent {percent}",
            expired.sessions, before.sessions
        )));
    }
    Ok(())
}

fn delete_all(
    job: &mut Job<'_>,
    cutoffs: Cutoffs,
    options: Options,
    expected: u64,
    counts: &mut Counts,
) -> Result<(), MaintError> {
    let mut courtesy = Courtesy::default();
    loop {
        job.check_stop()?;
        let slice = courtesy.slice(&job.db)?;
        let deleted = delete_batch(&mut job.db, cutoffs, options, slice).during("delete expired sessions")?;
        if deleted.sessions == 0 {
            break;
        }
        take_up(job, deleted, counts);
        job.run.progress.advance("sessions deleted", counts.sessions_deleted, expected);
        compact::pause(GAP);
    }
    erase_unseen(job, counts)
}

/// One transaction: which sessions have expired is looked up inside of it, so one that has become active stays. The
/// pages they leave are given back at once: what is moved into them never has to be written as empty pages first.
fn delete_batch(
    db: &mut Connection,
    cutoffs: Cutoffs,
    options: Options,
    slice: Duration,
) -> rusqlite::Result<Deleted> {
    let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let began = Instant::now();
    let mut deleted = Deleted::default();
    for key in expiry_store::expired(&transaction, cutoffs, options.batch_size)? {
        session_store::delete(&transaction, key, &mut deleted)?;
        if began.elapsed() > slice / 2 {
            break;
        }
    }
    session_store::subtract_from_totals(&transaction, &deleted)?;
    if options.compact {
        sqlite::give_back_while(&transaction, u32::MAX >> 1, || began.elapsed() < slice)?;
    }
    transaction.commit()?;
    Ok(deleted)
}

/// Counts what a transaction deleted and removes the audio files it leaves behind.
fn take_up(job: &mut Job<'_>, deleted: Deleted, counts: &mut Counts) {
    counts.sessions_deleted += deleted.sessions;
    counts.checkpoints_deleted += deleted.checkpoints;
    for (id, format) in deleted.audio {
        let path = audio_store::path_of(job.dir.audio(), id, format);
        let bytes = crate::adapters::disk::allocated_bytes(&path);
        match audio_store::remove_file(&path) {
            Ok(true) => {
                counts.audio_files_deleted += 1;
                counts.bytes_reclaimed += bytes;
            }
            Ok(false) => {}
            Err(error) => job.failed(format!("audio {}…", id.short()), &error.source),
        }
    }
}

fn person_cutoff(job: &Job<'_>) -> Option<Timestamp> {
    job.run.config.retention.person_days.map(|days| days.cutoff(job.now))
}

/// Erases people who have not been seen for `PERSON_RETENTION_DAYS`, one transaction each.
fn erase_unseen(job: &mut Job<'_>, counts: &mut Counts) -> Result<(), MaintError> {
    const AT_ONCE: usize = 100;
    let Some(cutoff) = person_cutoff(job) else { return Ok(()) };
    loop {
        let unseen = person_store::unseen_since(&job.db, cutoff, AT_ONCE).during("find people unseen")?;
        if unseen.is_empty() {
            return Ok(());
        }
        let ids: Vec<_> = unseen.iter().map(|person| person.id).collect();
        erasure_ledger::append(&job.dir, &ids, job.now)?;
        for person in unseen {
            job.check_stop()?;
            if let Some(deleted) =
                erase_if_unseen(&mut job.db, person.key, cutoff).during("erase a person")?
            {
                counts.persons_erased += 1;
                take_up(job, deleted, counts);
            }
            compact::pause(GAP);
        }
    }
}

fn erase_if_unseen(db: &mut Connection, key: i64, cutoff: Timestamp) -> rusqlite::Result<Option<Deleted>> {
    let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    if !person_store::is_unseen_since(&transaction, key, cutoff)? {
        return Ok(None);
    }
    let deleted = person_store::erase(&transaction, key)?;
    transaction.commit()?;
    Ok(Some(deleted))
}

fn log_completed(counts: &Counts) {
    tracing::info!(
        event = "session_cleanup_completed",
        retention_days = counts.retention_days,
        cutoff = counts.cutoff.map(|at| at.to_string()),
        sessions_before = counts.sessions_before,
        checkpoints_before = counts.checkpoints_before,
        sessions_deleted = counts.sessions_deleted,
        checkpoints_deleted = counts.checkpoints_deleted,
        audio_files_deleted = counts.audio_files_deleted,
        persons_erased = counts.persons_erased,
        sessions_remaining = counts.sessions_remaining,
        bytes_reclaimed = counts.bytes_reclaimed,
        "Cleaned up sessions"
    );
}

/// Shared with `status`: what the next run would take.
///
/// # Errors
/// What the database says.
pub(crate) fn next_run(
    db: &Connection,
    now: Timestamp,
    retention: Option<RetentionDays>,
) -> Result<session_store::Totals, DbError> {
    expiry_store::count_expired(db, cutoffs(now, retention)).during("count expired sessions")
}
