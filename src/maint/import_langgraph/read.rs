//! Reading one conversation: its checkpoints in order, and what tasks wrote that no checkpoint holds.
//!
//! A checkpoint that cannot be read costs nothing but itself: those after it repeat what it held.

use super::bring_in::{Conversation, session_of};
use super::collect::{Collector, turns};
use super::{Counts, hash, short};
use crate::adapters::langgraph::{self, Form, Row, Source, Unreadable};
use crate::domain::clock::Timestamp;
use crate::maint::{ItemError, Job, MaintError};

/// Of one conversation no more unreadable checkpoints than these are listed.
const MOST_LISTED: u64 = 3;

/// Reads one conversation; `None` when nobody says anything in it.
pub(super) fn conversation(
    job: &mut Job<'_>,
    source: &Source,
    (thread, namespace): (&str, &str),
    counts: &mut Counts,
) -> Result<Option<Conversation>, MaintError> {
    let hash = hash(thread, namespace);
    let collector = Collector::new(&hash);
    let now = job.now;
    let mut reading = Reading {
        job,
        source,
        thread,
        namespace,
        collector,
        now,
        at: None,
        before: None,
        unreadable: 0,
        counts,
    };
    reading.everything()?;
    let Reading { collector, counts, .. } = reading;
    counts.parts_skipped += collector.parts_left_out;
    counts.messages_skipped.other += collector.not_messages;
    counts.note_skipped(collector.heard());
    let turns = turns(collector.heard());
    if turns.is_empty() {
        counts.threads_without_words += 1;
        return Ok(None);
    }
    Ok(Some(Conversation { thread: hash, session: session_of(thread, namespace), turns }))
}

struct Reading<'a, 'j> {
    job: &'a mut Job<'j>,
    source: &'a Source,
    thread: &'a str,
    namespace: &'a str,
    collector: Collector<'a>,
    now: Timestamp,
    /// The time of the checkpoint before.
    at: Option<Timestamp>,
    /// The checkpoint before.
    before: Option<String>,
    unreadable: u64,
    counts: &'a mut Counts,
}

impl Reading<'_, '_> {
    fn everything(&mut self) -> Result<(), MaintError> {
        let ids = match self.source.checkpoint_ids(self.thread, self.namespace) {
            Ok(ids) => ids,
            Err(error) => {
                self.failed(None, &error);
                return Ok(());
            }
        };
        for id in ids {
            self.job.check_stop()?;
            match self.source.checkpoint(self.thread, self.namespace, &id) {
                Ok(Some(row)) => {
                    if let Err(error) = self.checkpoint(&id, &row) {
                        self.failed(Some(&id), &error);
                    }
                }
                Ok(None) => self.failed(Some(&id), &Lost),
                Err(error) => self.failed(Some(&id), &error),
            }
            self.before = Some(id);
            if self.collector.is_full() {
                self.failed(None, &TooMuchText);
                return Ok(());
            }
        }
        // What was written when the predecessor stopped, and became part of no checkpoint any more.
        self.writes_of_before(false);
        Ok(())
    }

    fn checkpoint(&mut self, id: &str, row: &Row) -> Result<(), Unreadable> {
        let bytes = row.bytes.as_deref().ok_or(Unreadable::TooLarge)?;
        let form = Form::of(row.form.as_deref(), bytes)?;
        let checkpoint = form.checkpoint(bytes)?;
        self.counts.checkpoints_read += 1;
        let made = langgraph::made_at(checkpoint.ts.as_deref(), id).or(self.at).unwrap_or(self.now);
        if made > self.now {
            self.counts.times_in_future += 1;
        }
        let at = made.min(self.now);
        self.at = Some(at);
        match checkpoint.messages {
            Some(messages) => self.collector.take(form, &messages, at),
            // A channel that is kept as differences: what was written is all there is.
            None => {
                self.writes_of_before(true);
                Ok(())
            }
        }
    }

    /// Adds what tasks wrote after the checkpoint before.
    fn writes_of_before(&mut self, also_nameless: bool) {
        let (Some(id), Some(at)) = (self.before.clone(), self.at) else { return };
        let mut rows = Vec::new();
        let read = self.source.writes(self.thread, self.namespace, &id, &mut |row| rows.push(row));
        if let Err(error) = read {
            self.failed(Some(&id), &error);
        }
        for row in rows {
            if let Err(error) = self.written(&row, at, also_nameless) {
                self.failed(Some(&id), &error);
            }
        }
    }

    fn written(&mut self, row: &Row, at: Timestamp, also_nameless: bool) -> Result<(), Unreadable> {
        let bytes = row.bytes.as_deref().ok_or(Unreadable::TooLarge)?;
        if bytes.is_empty() {
            return Ok(());
        }
        let form = Form::of(row.form.as_deref(), bytes)?;
        self.collector.add(form, &form.messages(bytes)?, at, also_nameless)
    }

    fn failed(&mut self, checkpoint: Option<&str>, error: &dyn std::error::Error) {
        self.counts.checkpoints_unreadable += 1;
        self.unreadable += 1;
        if self.unreadable > MOST_LISTED {
            return;
        }
        let thread = short(self.thread);
        let item = match checkpoint {
            Some(id) => format!("thread {thread}, checkpoint {}", shown(id)),
            None => format!("thread {thread}"),
        };
        self.job.errors.push(ItemError { item, error: error.to_string() });
    }
}

/// Ids of one conversation begin alike, with their time; nothing is opened by knowing one.
fn shown(checkpoint: &str) -> String {
    checkpoint.chars().take(36).map(|c| if c.is_control() { '?' } else { c }).collect()
}

#[derive(Debug, thiserror::Error)]
#[error("it holds more text than is read at a time (64 MiB); what is beyond was left out")]
struct TooMuchText;

#[derive(Debug, thiserror::Error)]
#[error("it is not where the index says; the database is damaged")]
struct Lost;
