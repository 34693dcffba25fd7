//! Interrupting: the work on the reply is dropped at once, and the history keeps what was heard of it, not what was made.

use std::sync::PoisonError;

use rusqlite::Connection;
use tokio::sync::watch;

use super::events::TurnReply;
use super::work::{Answer, Ended, Work};
use crate::adapters::audio_store;
use crate::app::{App, AppError};
use crate::domain::heard::{Interruption, Spoken, heard};

/// Resolves when the person interrupts, if they can and do.
pub(super) async fn interrupted(told: Option<watch::Receiver<Option<Interruption>>>) -> Interruption {
    if let Some(mut told) = told
        && let Ok(interruption) = told.wait_for(Option::is_some).await
        && let Some(interruption) = *interruption
    {
        return interruption;
    }
    // Whoever can no longer interrupt has left or lets it run.
    std::future::pending().await
}

impl Work {
    /// What is kept of the turn: what the person has heard of the reply, if they have said anything.
    pub(super) fn heard_by_then(&self, interruption: Interruption) -> Ended {
        tracing::info!(
            event = "chat_interrupted",
            session = self.request.session.short(),
            "A reply was interrupted"
        );
        if self.request.message.is_empty() {
            return Ended::Nothing;
        }
        let written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        let spoken = self.spoken.lock().unwrap_or_else(PoisonError::into_inner);
        let text = part_heard(&written, &spoken, interruption);
        Ended::Answer(Answer::of_text(text))
    }
}

/// What was heard of a reply; where nothing was spoken, what was sent of its text.
fn part_heard(written: &str, spoken: &[Spoken], interruption: Interruption) -> String {
    if interruption.played.is_some() || interruption.sentences_sent > 0 {
        return heard(spoken, interruption);
    }
    written[..written.floor_char_boundary(interruption.text_sent)].to_owned()
}

impl App {
    /// Keeps only what was heard of a reply whose turn had ended before its sound was played to its end.
    ///
    /// # Errors
    /// What the database says.
    pub async fn keep_what_was_heard(
        &self,
        reply: &TurnReply,
        interruption: Interruption,
    ) -> Result<(), AppError> {
        let text = part_heard(&reply.text, &reply.spoken, interruption);
        if text == reply.text.trim_end() {
            return Ok(());
        }
        let of = (reply.session, reply.checkpoint);
        let change = move |db: &Connection| audio_store::heard_only(db, of, text.as_str());
        self.database.write("keep what was heard", change).await?;
        self.recent.forget(reply.session);
        Ok(())
    }
}
