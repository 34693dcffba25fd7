//! `cleanup-sessions`: deletes what has outlived its retention, and makes the file shrink.
//!
//! Sessions go by their age; pinned ones stay. People unseen for `PERSON_RETENTION_DAYS` are erased, and with them goes
//! all that is theirs, pinned sessions as well.

use std::time::{Duration, Instant};

use rusqlite::{Connection, TransactionBehavior};
use serde::Serialize;

use crate::adapters::audio_store;
use crate::adapters::expiry_store::{self, Cutoffs, Doomed};
use crate::adapters::session_deleting::{self, Deleted};
use crate::adapters::session_store::{self, Totals};
use crate::adapters::sqlite::{self, During};
use crate::adapters::{memory_forgetting, ways_in_store, write_ahead_log};
use crate::domain::clock::Timestamp;
use crate::domain::maintenance::CLEANUP_SESSIONS;
use crate::domain::retention::{RetentionDays, UNREMEMBERED_IDLE, check_clock};
use crate::maint::compact::{self, Courtesy, GAP};
use crate::maint::{Job, MaintError, Needs, Report, Run, Schema};

mod share;
mod unseen;

/// Deleting so many takes a few milliseconds.
const MEMORIES_AT_ONCE: usize = 50;
/// Deleting so many turns of one long conversation takes about a millisecond; then it is looked at the time.
const TURNS_AT_ONCE: usize = 50;

/// What the command line asks for.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// `--retention-days`; `None`: `SESSION_RETENTION_DAYS`.
    pub retention: Option<RetentionDays>,
    /// `--batch-size`: the most sessions of one transaction, which has no time for more than 500.
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
    /// Sessions before; one whose deletion has begun is gone for everybody, and counts nowhere.
    pub sessions_before: u64,
    /// Checkpoints before.
    pub checkpoints_before: u64,
    /// Sessions that went, also one of which a stopped run has left some for the next.
    pub sessions_deleted: u64,
    /// Checkpoints that went.
    pub checkpoints_deleted: u64,
    /// Audio files that went.
    pub audio_files_deleted: u64,
    /// Memories that went: those of people who were erased, and those kept for `MEMORY_RETENTION_DAYS`.
    pub memories_deleted: u64,
    /// People unseen for `PERSON_RETENTION_DAYS` who were erased.
    pub persons_erased: u64,
    /// Sessions after; `null` when they could not be counted, which `errors` tells.
    pub sessions_remaining: Option<u64>,
    /// Bytes the file system got back, measured.
    pub bytes_reclaimed: u64,
}

/// Runs the job.
pub fn run(run: &Run<'_>, options: Options) -> Report<Counts> {
    let needs = Needs { job: CLEANUP_SESSIONS, schema: Schema::Current, reserve: true };
    let mut report = run.recorded(needs, |job, counts| clean_up(job, options, counts));
    if !report.begun {
        // `null` would say that sessions are kept for good.
        let asked = options.retention.or(run.config.retention.session_days);
        report.counts.retention_days = asked.map(RetentionDays::get);
    }
    report
}

fn clean_up(job: &mut Job<'_>, options: Options, counts: &mut Counts) -> Result<(), MaintError> {
    let before = within_reach(&job.db).during("count sessions")?;
    counts.sessions_before = before.sessions;
    counts.checkpoints_before = before.checkpoints;
    counts.sessions_remaining = Some(before.sessions);
    // Where another one is refused, this is the one that holds.
    counts.retention_days = job.run.config.retention.session_days.map(RetentionDays::get);
    let retention = retention(job, options)?;
    let cutoffs = Cutoffs::at(job.now, retention, job.run.config.retention.person_days);
    counts.retention_days = retention.map(RetentionDays::get);
    counts.cutoff = cutoffs.idle_since;
    check_fuse(job, retention)?;
    let plan = analyse(job, cutoffs, counts)?;
    if let Some(percent) = options.max_delete_percent.filter(|_| !job.run.force) {
        share::check(job, percent, &plan, before)?;
    }
    if job.run.dry_run {
        counts.sessions_deleted = plan.doomed.sessions;
        counts.checkpoints_deleted = plan.doomed.checkpoints;
        counts.audio_files_deleted = plan.audio;
        counts.memories_deleted = plan.memories;
        counts.persons_erased = plan.doomed.persons;
        counts.sessions_remaining = Some(before.sessions.saturating_sub(plan.doomed.sessions));
        return Ok(());
    }
    let before = compact::database_bytes(job.dir.database());
    sqlite::for_many_batches(&job.db)?;
    let deleted = delete_all(job, cutoffs, options, plan.doomed.sessions, counts);
    let compacted = if options.compact && deleted.is_ok() {
        compact::compact(job)
    } else {
        compact::empty_log(&job.db).map_err(Into::into)
    };
    sqlite::flush_every_commit(&job.db)?;
    counts.sessions_remaining = count_what_remains(job);
    counts.bytes_reclaimed += before.saturating_sub(compact::database_bytes(job.dir.database()));
    log_completed(counts);
    deleted.and(compacted)
}

/// What there is, without the sessions whose deletion has begun: they are gone for everybody.
fn within_reach(db: &Connection) -> rusqlite::Result<Totals> {
    let totals = session_store::totals(db)?;
    let begun = session_deleting::count_begun(db)?;
    Ok(Totals { sessions: totals.sessions.saturating_sub(begun), ..totals })
}

/// `None`, and told, when that cannot be counted: what was deleted is deleted all the same.
fn count_what_remains(job: &mut Job<'_>) -> Option<u64> {
    let totals = within_reach(&job.db).during("count what remains");
    totals
        .map_err(|error| job.failed("sessions_remaining".to_owned(), &error))
        .ok()
        .map(|totals| totals.sessions)
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

fn check_fuse(job: &Job<'_>, retention: Option<RetentionDays>) -> Result<(), MaintError> {
    if job.run.force {
        return Ok(());
    }
    let witness = expiry_store::clock_witness(&job.db, job.last_work).during("find the newest turn")?;
    check_clock(job.now, witness, shortest_span(job, retention)).map_err(Into::into)
}

/// How far a clock may be ahead follows from the shortest time for which this run keeps anything: sessions kept for years
/// must not let a clock pass that is a year ahead, and would have people erased or memories forgotten.
fn shortest_span(job: &Job<'_>, sessions: Option<RetentionDays>) -> Duration {
    let config = &job.run.config.retention;
    let sessions = sessions.map_or(UNREMEMBERED_IDLE, RetentionDays::span);
    [config.person_days, config.memory_days]
        .into_iter()
        .flatten()
        .map(RetentionDays::span)
        .fold(sessions, Duration::min)
}

/// What this run is to delete.
struct Plan {
    doomed: Doomed,
    audio: u64,
    memories: u64,
}

/// Counts what would go, and logs it.
fn analyse(job: &Job<'_>, cutoffs: Cutoffs, counts: &Counts) -> Result<Plan, MaintError> {
    let doomed = expiry_store::count_doomed(&job.db, cutoffs).during("count what has expired")?;
    let audio = expiry_store::count_doomed_audio(&job.db, cutoffs).during("count expired audio")?;
    let cutoff = memory_cutoff(job);
    let memories = expiry_store::count_doomed_memories(&job.db, cutoffs, cutoff).during("count memories")?;
    tracing::info!(
        event = "session_cleanup_analysis",
        retention_days = counts.retention_days,
        cutoff = counts.cutoff.map(|at| at.to_string()),
        sessions_before = counts.sessions_before,
        checkpoints_before = counts.checkpoints_before,
        sessions_to_delete = doomed.sessions,
        checkpoints_to_delete = doomed.checkpoints,
        audio_files_to_delete = audio,
        memories_to_delete = memories,
        persons_to_erase = doomed.persons,
        dry_run = job.run.dry_run,
        "Looked at what has expired"
    );
    Ok(Plan { doomed, audio, memories })
}

fn delete_all(
    job: &mut Job<'_>,
    cutoffs: Cutoffs,
    options: Options,
    expected: u64,
    counts: &mut Counts,
) -> Result<(), MaintError> {
    let mut courtesy = Courtesy::new();
    loop {
        job.check_stop()?;
        let slice = courtesy.slice(&job.db)?;
        let deleted = delete_batch(&mut job.db, cutoffs, options, slice).during("delete expired sessions")?;
        let Some(deleted) = deleted else { break };
        take_up(job, deleted, counts)?;
        job.run.progress.advance("sessions deleted", counts.sessions_deleted, expected);
        courtesy.make_way();
    }
    expire_memories(job, counts)?;
    ways_in_store::forget_expired_links(&job.db, job.now).during("forget expired links")?;
    unseen::erase(job, cutoffs, counts)
}

/// Forgets what nobody has added or changed for `MEMORY_RETENTION_DAYS`.
fn expire_memories(job: &mut Job<'_>, counts: &mut Counts) -> Result<(), MaintError> {
    let Some(cutoff) = memory_cutoff(job) else { return Ok(()) };
    loop {
        job.check_stop()?;
        let deleted = expire_batch(&mut job.db, cutoff).during("delete expired memories")?;
        if deleted == 0 {
            return Ok(());
        }
        counts.memories_deleted += deleted;
        write_ahead_log::flush(job.dir.database())?;
        compact::pause(GAP);
    }
}

fn memory_cutoff(job: &Job<'_>) -> Option<Timestamp> {
    job.run.config.retention.memory_days.map(|days| days.cutoff(job.now))
}

fn expire_batch(db: &mut Connection, cutoff: Timestamp) -> rusqlite::Result<u64> {
    let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let deleted = memory_forgetting::expire(&transaction, cutoff, MEMORIES_AT_ONCE)?;
    transaction.commit()?;
    Ok(deleted)
}

/// One transaction: which sessions have expired is looked up inside of it, so one that has become active stays. One that
/// does not go whole in it can be reached no more, and its age stays as it is: the next one goes on with it. The pages they
/// leave are given back at once: what is moved into them never has to be written as empty pages first. `None` when nothing
/// has expired.
fn delete_batch(
    db: &mut Connection,
    cutoffs: Cutoffs,
    options: Options,
    slice: Duration,
) -> rusqlite::Result<Option<Deleted>> {
    let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let began = Instant::now();
    let keys = expiry_store::expired(&transaction, cutoffs, options.batch_size)?;
    if keys.is_empty() {
        return Ok(None);
    }
    let begun = session_deleting::count_begun(&transaction)?;
    let mut deleted = Deleted::default();
    for key in keys {
        let in_time = || began.elapsed() <= slice / 2;
        while !session_deleting::delete_some(&transaction, key, TURNS_AT_ONCE, &mut deleted)? && in_time() {}
        if !in_time() {
            break;
        }
    }
    session_deleting::subtract_from_totals(&transaction, &deleted)?;
    count_out_of_reach(&transaction, begun, &mut deleted)?;
    if options.compact {
        sqlite::give_back_while(&transaction, u32::MAX >> 1, || began.elapsed() < slice)?;
    }
    transaction.commit()?;
    Ok(Some(deleted))
}

/// Counts a session as gone with the first portion of it instead of the last. Before this transaction the deletion of so
/// many had begun.
fn count_out_of_reach(transaction: &Connection, begun: u64, deleted: &mut Deleted) -> rusqlite::Result<()> {
    let now_begun = session_deleting::count_begun(transaction)?;
    deleted.sessions = (deleted.sessions + now_begun).saturating_sub(begun);
    Ok(())
}

/// Counts what a transaction deleted, flushes it, and removes the audio files it leaves behind.
fn take_up(job: &mut Job<'_>, deleted: Deleted, counts: &mut Counts) -> Result<(), MaintError> {
    counts.sessions_deleted += deleted.sessions;
    counts.checkpoints_deleted += deleted.checkpoints;
    counts.memories_deleted += deleted.memories;
    write_ahead_log::flush(job.dir.database())?;
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
    Ok(())
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
        memories_deleted = counts.memories_deleted,
        persons_erased = counts.persons_erased,
        sessions_remaining = counts.sessions_remaining,
        bytes_reclaimed = counts.bytes_reclaimed,
        "Cleaned up sessions"
    );
}
