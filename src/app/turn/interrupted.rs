//! Interrupting: the work on the reply is dropped at once, and the history keeps what was heard of it, not what was made.

use std::sync::PoisonError;

use rusqlite::Connection;
use tokio::sync::watch;

use super::events::TurnReply;
use super::work::{Answer, Ended, Work};
use crate::adapters::audio_store;
use crate::app::{App, AppError};
use crate::domain::heard::{Interruption, Spoken, heard};
use crate::domain::sentences::Sentences;

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

impl TurnReply {
    /// What was heard of it. Of one that is told again what was played counts from its beginning, wherever it was heard; when
    /// that is not known, nothing of it was heard anew before a sentence was sent.
    fn heard(&self, mut interruption: Interruption) -> String {
        let mut spoken = self.spoken.clone();
        if interruption.played.is_none() {
            if self.is_again && interruption.sentences_sent == 0 {
                return self.text.trim_end().to_owned();
            }
            // What the server could not speak is read aloud by the client, from the text.
            if self.degraded.contains(&"speech") {
                interruption.sentences_sent = 0;
            }
        } else if self.is_again {
            let begun = spoken.iter().map(|sentence| sentence.text.len()).sum();
            let mut sentences = Sentences::default();
            let rest = sentences.push(self.text.get(begun..).unwrap_or_default());
            spoken.extend(rest.into_iter().chain(sentences.finish()).map(|text| Spoken::begins(&text)));
            interruption.sentences_sent = spoken.len();
        }
        part_heard(&self.text, &spoken, interruption)
    }
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
        let text = reply.heard(interruption);
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
