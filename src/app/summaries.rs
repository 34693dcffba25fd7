//! Long conversations are summed up by the small model, beside the turns: a turn never waits for it and never fails because
//! of it. What fails is tried again after the next turn of the session.
//!
//! Bounds: 4 summaries are made at once, one of a session; they are dropped when the server stops.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::Connection;

use crate::adapters::summary_store::{self, Summary};
use crate::adapters::{session_store, sqlite::DbError};
use crate::app::App;
use crate::domain::chat::{ChatError, Exchange, SmallModel};
use crate::domain::session::SessionId;
use crate::domain::summary;

const MOST_AT_ONCE: usize = 4;
/// Turns looked at for one summary.
const MOST_TURNS: usize = 600;

/// The summaries that are being made.
#[derive(Default)]
pub(crate) struct Summaries(Arc<Mutex<HashSet<SessionId>>>);

/// One of them; ends when dropped.
struct Making(Arc<Mutex<HashSet<SessionId>>>, SessionId);

impl Drop for Making {
    fn drop(&mut self) {
        lock(&self.0).remove(&self.1);
    }
}

impl Summaries {
    fn begin(&self, session: SessionId) -> Option<Making> {
        let mut making = lock(&self.0);
        let begins = making.len() < MOST_AT_ONCE && making.insert(session);
        begins.then(|| Making(self.0.clone(), session))
    }
}

fn lock(making: &Mutex<HashSet<SessionId>>) -> MutexGuard<'_, HashSet<SessionId>> {
    making.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Why there is no summary.
#[derive(Debug, thiserror::Error)]
enum SummaryError {
    #[error(transparent)]
    Database(#[from] DbError),
    #[error(transparent)]
    Model(#[from] ChatError),
    #[error("the model's answer is empty")]
    Empty,
}

/// What is to be summed up.
struct Old {
    summary: Summary,
    turns: Vec<Exchange>,
    until: i64,
}

impl App {
    /// The most earlier turns a model is given word for word: all that are not summed up yet.
    pub(crate) fn history_turns(&self) -> usize {
        self.summary.trigger.div_ceil(2).max(crate::app::recent_turns::FEWEST_HISTORY_TURNS)
    }

    /// Sums the session up, beside what else goes on, when so many turns are not yet and there is a model for it.
    pub(crate) fn sum_up_if_long(self: &Arc<Self>, session: SessionId, turns: usize) {
        let Some(model) = self.small_model.clone().filter(|_| turns * 2 > self.summary.trigger) else {
            return;
        };
        let Some(making) = self.summaries.begin(session) else { return };
        let app = self.clone();
        self.turns.spawn_aside(async move {
            match app.sum_up(session, model.as_ref(), making).await {
                Ok(false) => {}
                Ok(true) => tracing::info!(
                    event = "session_summed_up",
                    session = session.short(),
                    "A session was summed up"
                ),
                Err(error) => tracing::warn!(
                    event = "summary_failed",
                    session = session.short(),
                    error = %error,
                    "A session could not be summed up; it is tried again after its next turn"
                ),
            }
        });
    }

    /// False when there was nothing to sum up, or nowhere to keep it.
    async fn sum_up(
        &self,
        session: SessionId,
        model: &dyn SmallModel,
        making: Making,
    ) -> Result<bool, SummaryError> {
        let keep = self.summary.keep;
        let old =
            self.database.read("read what is to be summed up", move |db| old(db, session, keep)).await?;
        let Some(Old { summary, turns, until }) = old else { return Ok(false) };
        let answer = model.complete(summary::request(summary.text.as_deref(), &turns), None).await?;
        let text = summary::kept(&answer).ok_or(SummaryError::Empty)?;
        let new = Summary { text: Some(text), until };
        let replace = move |db: &Connection| {
            let replaced = summary_store::replace(db, session, summary.until, &new);
            // Before anybody sees it: whose turn comes after it can have the next one made. Of two in the place of one only the
            // first is kept.
            drop(making);
            replaced
        };
        // What is kept of the session in memory is no longer what a model is to be given: it goes before, so that whoever begins
        // once the summary is there is given it, and again after, for whoever read the old one meanwhile.
        self.recent.forget(session);
        let replaced = self.database.write("keep a summary", replace).await;
        self.recent.forget(session);
        Ok(replaced?)
    }
}

fn old(db: &Connection, session: SessionId, keep: usize) -> rusqlite::Result<Option<Old>> {
    let Some(stored) = session_store::find(db, session)? else { return Ok(None) };
    let summary = summary_store::find(db, stored.key)?;
    let found = summary_store::oldest_exchanges(db, stored.key, &summary, MOST_TURNS)?;
    let (rows, mut turns): (Vec<_>, Vec<_>) = found.into_iter().unzip();
    let count = summary::turns_to_sum_up(&turns, keep);
    turns.truncate(count);
    let until = count.checked_sub(1).and_then(|last| rows.get(last).copied());
    Ok(until.map(|until| Old { summary, turns, until }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_so_many_are_made_at_once_and_one_of_a_session() {
        let summaries = Summaries::default();
        let session = SessionId::random();
        let first = summaries.begin(session).unwrap();
        assert!(summaries.begin(session).is_none());
        let others: Vec<_> =
            (1..MOST_AT_ONCE).map(|_| summaries.begin(SessionId::random()).unwrap()).collect();
        assert!(summaries.begin(SessionId::random()).is_none());
        drop(first);
        assert!(summaries.begin(session).is_some());
        drop(others);
        assert!(lock(&summaries.0).is_empty());
    }
}
