//! `cleanup-audio`: deletes audio replies past their age, then the oldest beyond the byte budget.
//! Files go first and rows right after, because a full disk can still unlink. In the end rows go whose file an earlier run took.

use std::time::Duration;

use rusqlite::TransactionBehavior;
use serde::Serialize;

use crate::adapters::audio_store::{self, AudioFile, Leftover};
use crate::adapters::disk::Naming;
use crate::adapters::expiry_store;
use crate::adapters::inspection::{self, AudioRow};
use crate::adapters::sqlite::During;
use crate::domain::audio::{AudioFormat, AudioId};
use crate::domain::clock::Timestamp;
use crate::domain::maintenance::CLEANUP_AUDIO;
use crate::domain::retention::{check_clock, exceeds_percent};
use crate::maint::compact::{self, GAP};
use crate::maint::{Job, MaintError, Needs, Report, Run, Schema};

/// A file nobody refers to is left alone for this long: it may be on its way in.
const GRACE: Duration = Duration::from_secs(60 * 60);
const FILES_AT_ONCE: usize = 200;
/// Rows looked at in one read.
const ROWS_AT_ONCE: u32 = 200;

/// What the command line asks for.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// `--max-age-hours`; `None`: `AUDIO_MAX_AGE_HOURS`.
    pub max_age: Option<Duration>,
    /// `--max-total-bytes`; `None`: `AUDIO_MAX_TOTAL_BYTES`.
    pub max_total_bytes: Option<u64>,
    /// `--orphans`.
    pub orphans: bool,
    /// `--max-delete-percent`.
    pub max_delete_percent: Option<u8>,
}

/// What was deleted, or would be.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Counts {
    /// Files older than this went.
    pub cutoff: Option<Timestamp>,
    /// Audio files there were; with `--orphans` also settled leftovers of interrupted writes.
    pub files_scanned: u64,
    /// Files that went.
    pub files_deleted: u64,
    /// Bytes they had.
    pub bytes_reclaimed: u64,
    /// Files that stay.
    pub files_remaining: u64,
    /// Bytes they have.
    pub bytes_remaining: u64,
}

/// Runs the job.
pub fn run(run: &Run<'_>, options: Options) -> Report<Counts> {
    run.recorded(Needs { job: CLEANUP_AUDIO, schema: Schema::Current, reserve: true }, |job, counts| {
        clean_up(job, options, counts)
    })
}

fn clean_up(job: &mut Job<'_>, options: Options, counts: &mut Counts) -> Result<(), MaintError> {
    let max_age = options.max_age.unwrap_or(job.run.config.retention.audio_max_age);
    let budget = options.max_total_bytes.unwrap_or(job.run.config.retention.audio_max_total_bytes);
    let cutoff = job.now.earlier_by(max_age);
    let settled = job.now.earlier_by(GRACE);
    if !job.dir.audio().try_exists().naming("look at", job.dir.audio())? {
        return Err(MaintError::NoAudioDir(job.dir.audio().to_owned()));
    }
    let mut files = audio_store::list(job.dir.audio())?;
    files.sort_by_key(|file| file.written_at);
    let leftovers =
        if options.orphans { audio_store::leftovers(job.dir.audio(), settled)? } else { Vec::new() };
    counts.cutoff = Some(cutoff);
    counts.files_scanned = (files.len() + leftovers.len()) as u64;
    counts.files_remaining = counts.files_scanned;
    let bytes = files.iter().map(|file| file.bytes).chain(leftovers.iter().map(|file| file.bytes));
    counts.bytes_remaining = bytes.sum();
    check_fuse(job, &files, max_age)?;
    let orphaned = |file: &AudioFile| -> Result<bool, MaintError> {
        let Some(id) = file.id else { return Ok(false) };
        Ok(options.orphans && file.written_at < settled && !is_referenced(job, id)?)
    };
    let doomed = audio_store::doomed(&files, cutoff, budget, orphaned)?;
    refuse_too_many(job, options, (doomed.len() + leftovers.len()) as u64, counts.files_scanned)?;
    if job.run.dry_run {
        let bytes = doomed.iter().map(|file| file.bytes).chain(leftovers.iter().map(|file| file.bytes));
        bytes.for_each(|bytes| counts.take_up(bytes));
        return Ok(());
    }
    let rows_go = delete_files(job, &doomed, counts)?;
    delete_leftovers(job, &leftovers, counts);
    if rows_go {
        forget_lost(job, cutoff)?;
    }
    tracing::info!(
        event = "audio_cleanup_completed",
        files_scanned = counts.files_scanned,
        files_deleted = counts.files_deleted,
        bytes_reclaimed = counts.bytes_reclaimed,
        files_remaining = counts.files_remaining,
        bytes_remaining = counts.bytes_remaining,
        "Cleaned up audio"
    );
    Ok(())
}

fn check_fuse(job: &Job<'_>, files: &[AudioFile], max_age: Duration) -> Result<(), MaintError> {
    if job.run.force {
        return Ok(());
    }
    let mut witness = expiry_store::clock_witness(&job.db, job.last_work).during("find the newest turn")?;
    witness.newest_row = witness.newest_row.max(files.last().map(|file| file.written_at));
    check_clock(job.now, witness, max_age).map_err(Into::into)
}

fn is_referenced(job: &Job<'_>, id: AudioId) -> Result<bool, MaintError> {
    audio_store::is_referenced(&job.db, id).during("look for a checkpoint").map_err(Into::into)
}

fn refuse_too_many(job: &Job<'_>, options: Options, doomed: u64, all: u64) -> Result<(), MaintError> {
    match options.max_delete_percent {
        Some(percent) if !job.run.force && exceeds_percent(doomed, all, percent) => Err(MaintError::Refused(
            format!("{doomed} of {all} audio files would go, more than --max-delete-percent {percent}"),
        )),
        _ => Ok(()),
    }
}

impl Counts {
    /// One more file of this size has gone, or would.
    fn take_up(&mut self, bytes: u64) {
        self.files_deleted += 1;
        self.bytes_reclaimed += bytes;
        self.files_remaining -= 1;
        self.bytes_remaining -= bytes;
    }
}

/// Removes the files, and with each batch its rows, also when the run has to stop. Says whether rows can be removed.
fn delete_files(job: &mut Job<'_>, doomed: &[&AudioFile], counts: &mut Counts) -> Result<bool, MaintError> {
    let (mut ended, mut left) = (Ok(()), Vec::new());
    for batch in doomed.chunks(FILES_AT_ONCE) {
        let mut gone = Vec::new();
        ended = batch.iter().try_for_each(|file| {
            job.check_stop()?;
            gone.extend(delete_file(job, file, counts));
            job.run.progress.advance("audio files deleted", counts.files_deleted, doomed.len() as u64);
            Ok(())
        });
        // Where one batch found no room or no lock, the next ones are not made to wait for it.
        if !left.is_empty() || delete_rows(job, &gone).is_err() {
            left.append(&mut gone);
        }
        if ended.is_err() {
            break;
        }
    }
    let deleted = delete_all_rows(job, &left);
    let rows_go = deleted.is_ok();
    deleted.unwrap_or_else(|error| tell_of_rows(job, &error));
    ended.map(|()| rows_go)
}

/// A row too many only leads to a "not found", so a failure leaves the run partial.
fn tell_of_rows(job: &mut Job<'_>, error: &rusqlite::Error) {
    job.failed("rows of deleted audio".to_owned(), error);
}

/// The id whose row is to go now.
fn delete_file(job: &mut Job<'_>, file: &AudioFile, counts: &mut Counts) -> Option<AudioId> {
    match audio_store::remove_file(&file.path) {
        Ok(_) => {
            counts.take_up(file.bytes);
            file.id
        }
        Err(error) => {
            job.failed(file.shown(), &error.source);
            None
        }
    }
}

/// Removes what interrupted writes left. Nobody knows these files, so there are no rows.
fn delete_leftovers(job: &mut Job<'_>, leftovers: &[Leftover], counts: &mut Counts) {
    for leftover in leftovers {
        match audio_store::remove_file(&leftover.path) {
            Ok(_) => counts.take_up(leftover.bytes),
            Err(error) => job.failed("a leftover of an interrupted write".to_owned(), &error),
        }
    }
}

/// Removes rows whose file is not there: those past the age, whose files would go as well, and younger ones where a killed run may
/// have taken their files. No reply is on its way in like that: its file is whole before its row is written. Where not one
/// reply has its file the directory may be another one, or not mounted: the younger ones stay.
fn forget_lost(job: &mut Job<'_>, cutoff: Timestamp) -> Result<(), MaintError> {
    let (mut young, mut any_there, mut next) = (Vec::new(), false, Some(0));
    while let Some(after) = next {
        job.check_stop()?;
        let rows = inspection::audio_rows(&job.db, after, ROWS_AT_ONCE).during("read the audio rows")?;
        next = rows.last().map(|row| row.key);
        let all = rows.len();
        let lost: Vec<_> = rows.into_iter().filter(|row| is_lost(job, row)).collect();
        any_there |= lost.len() < all;
        let (old, younger): (Vec<_>, Vec<_>) = lost.into_iter().partition(|row| row.created_at < cutoff);
        young.extend(younger.iter().map(|row| row.id));
        let old: Vec<_> = old.iter().map(|row| row.id).collect();
        if let Err(error) = delete_rows(job, &old) {
            tell_of_rows(job, &error);
            return Ok(());
        }
    }
    if !young.is_empty() && !any_there {
        job.failed(job.dir.audio().display().to_string(), &NoneIsThere);
    } else if job.after_kill {
        delete_all_rows(job, &young).unwrap_or_else(|error| tell_of_rows(job, &error));
    }
    Ok(())
}

/// What is told where no reply has its file.
#[derive(Debug, thiserror::Error)]
#[error(
    "not one reply has its file: is AUDIO_DIR the server's, and mounted? Where the files are gone for good, `doctor --repair` \
     removes what refers to them"
)]
struct NoneIsThere;

/// False where nobody can tell, and for a format that this release does not know.
fn is_lost(job: &Job<'_>, row: &AudioRow) -> bool {
    AudioFormat::from_extension(&row.format).is_some_and(|format| {
        audio_store::path_of(job.dir.audio(), row.id, format).try_exists().is_ok_and(|there| !there)
    })
}

fn delete_all_rows(job: &mut Job<'_>, ids: &[AudioId]) -> rusqlite::Result<()> {
    ids.chunks(FILES_AT_ONCE).try_for_each(|ids| delete_rows(job, ids))
}

fn delete_rows(job: &mut Job<'_>, ids: &[AudioId]) -> rusqlite::Result<()> {
    if ids.is_empty() {
        return Ok(());
    }
    let transaction = job.db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    ids.iter().try_for_each(|id| audio_store::delete_row(&transaction, *id))?;
    transaction.commit()?;
    compact::pause(GAP);
    Ok(())
}
