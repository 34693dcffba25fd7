//! What a turn does once its place has come: hear, let the model write, speak, keep.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use futures_util::{StreamExt, stream};
use tokio::sync::mpsc;

use super::events::{SilenceReply, Timings, TurnEvent, TurnReply};
use super::interrupted::interrupted;
use super::reader::Reader;
use super::remembered::Remembered;
use super::sounded::{Sounded, WholeFile};
use super::speaking::{Voice, WAITING_SENTENCES};
use super::{TurnRequest, millis};
use crate::adapters::audio_store;
use crate::adapters::session_store::{self, Committed};
use crate::app::passing_audio::OfTurn;
use crate::app::recent_turns::Taken;
use crate::app::running_turns::Running;
use crate::app::{App, AppError};
use crate::domain::chat::{ChatError, Pace, Prompt};
use crate::domain::clock::Timestamp;
use crate::domain::crisis;
use crate::domain::heard::{Interruption, Spoken};
use crate::domain::prose::in_prose;
use crate::domain::sentences::Sentences;
use crate::domain::session::{Checkpoint, CheckpointId, title_of};

/// One turn at work.
pub(super) struct Work {
    pub(super) app: Arc<App>,
    pub(super) request: TurnRequest,
    pub(super) taken: Taken,
    pub(super) person: i64,
    pub(super) reader: Reader,
    pub(super) began: Instant,
    pub(super) said_at: Timestamp,
    /// Whether it is among the person's turns of the day.
    pub(super) is_counted: bool,
    /// What the reply is given of what is known about the person.
    pub(super) remembered: Remembered,
    /// The reply as far as it is written.
    pub(super) written: Arc<Mutex<String>>,
    /// The reply as far as it is spoken.
    pub(super) spoken: Arc<Mutex<Vec<Spoken>>>,
}

/// How a turn's work ended, where it did not fail.
pub(super) enum Ended {
    Answer(Answer),
    Silence(SilenceReply),
    /// It was interrupted, and nothing was said in it.
    Nothing,
}

/// A whole reply, and its sound.
pub(super) struct Answer {
    text: String,
    sounded: Sounded,
    files: Option<OfTurn>,
}

impl Answer {
    pub(super) fn of_text(text: String) -> Self {
        Self { text, sounded: Sounded::default(), files: None }
    }
}

impl Work {
    /// `left_alone` resolves when it is to be given up because nobody waits for it.
    pub(super) async fn run(mut self, running: Option<Running>, left_alone: impl Future<Output = ()>) {
        if let Some(running) = &running {
            running.begins();
        }
        let mut timings = Timings::default();
        let own = interrupted(self.request.interrupt.take());
        let joined = interrupted(running.as_ref().map(Running::interruption));
        let interrupted = async {
            tokio::select! { told = own => told, told = joined => told }
        };
        let app = self.app.clone();
        let stopped = app.turns.are_cut_off();
        let ended = tokio::select! {
            biased;
            ended = self.talk(&mut timings, interrupted) => ended,
            () = stopped => Err(AppError::Unavailable("stopping")),
            () = left_alone => {
                if let Some(running) = &running {
                    running.is_given_up();
                }
                tracing::info!(event = "chat_cancelled", "The client went away; nothing was kept");
                return;
            }
        };
        if let (Ok(Ended::Silence(_)), Some(running)) = (&ended, &running) {
            running.is_given_up();
        }
        let last = self.end(ended, timings).await;
        // Before its end is told: whoever sends it again after a failure is not to hear of that once more.
        drop(running);
        self.reader.tell(last).await;
    }

    /// Keeps the turn, if there is something to keep; what is told of it last.
    async fn end(&mut self, ended: Result<Ended, AppError>, timings: Timings) -> TurnEvent {
        let failed = match ended {
            Ok(Ended::Answer(answer)) => {
                let kept = self.keep(answer, timings).await;
                return kept.map_or_else(|error| TurnEvent::Failed(self.refusal(error)), TurnEvent::Done);
            }
            Ok(Ended::Silence(reply)) => TurnEvent::Silence(reply),
            // Whoever interrupted it waits for no more; others may wait with them.
            Ok(Ended::Nothing) => TurnEvent::Failed(AppError::Unavailable("it was interrupted")),
            Err(error) => TurnEvent::Failed(self.refusal(error)),
        };
        self.uncount().await;
        failed
    }

    /// A recording is heard to its end also when it is interrupted: whoever goes on speaking has said only half of it there, and
    /// the next turn is to know it.
    async fn talk(
        &mut self,
        timings: &mut Timings,
        interrupted: impl Future<Output = Interruption>,
    ) -> Result<Ended, AppError> {
        let mut is_said = true;
        if let Some(recording) = self.request.recording.take() {
            let is_beyond = self.is_heard_beyond().await?;
            is_said = self.hear(recording, timings).await?;
            if is_said {
                self.admit().await?;
                if is_beyond {
                    self.is_answered_all_the_same();
                }
            }
        }
        tokio::select! {
            biased;
            interruption = interrupted => Ok(self.heard_by_then(interruption)),
            ended = self.respond(is_said, timings) => ended,
        }
    }

    async fn respond(&mut self, is_said: bool, timings: &mut Timings) -> Result<Ended, AppError> {
        if !is_said {
            return Ok(Ended::Silence(self.answer_silence(*timings).await));
        }
        let recalling = Instant::now();
        self.remembered = self.recall().await;
        timings.memory_retrieval_ms = millis(recalling);
        self.answer(timings).await.map(Ended::Answer)
    }

    async fn answer(&self, timings: &mut Timings) -> Result<Answer, AppError> {
        let (text, (sounded, files)) = match self.request.voice {
            Voice::Silent => return Ok(Answer::of_text(self.write_in_time(None, timings).await?)),
            Voice::Whole => {
                let text = self.write_in_time(None, timings).await?;
                let spoken = self.speaker().speak_whole(text.clone()).await;
                (text, spoken)
            }
            Voice::Sentences | Voice::Live => {
                let (tell, sentences) = mpsc::channel(WAITING_SENTENCES);
                let speaking = async { Ok(self.speaker().speak_all(sentences).await) };
                tokio::try_join!(self.write_in_time(Some(tell), timings), speaking)?
            }
        };
        Ok(Answer { text, sounded, files: Some(files) })
    }

    /// Lets the model write the reply, unless that takes too long.
    async fn write_in_time(
        &self,
        speaker: Option<mpsc::Sender<String>>,
        timings: &mut Timings,
    ) -> Result<String, AppError> {
        let written = tokio::time::timeout(self.app.workflow, self.write(speaker, timings)).await;
        written
            .unwrap_or_else(|_| Err(ChatError::TimedOut("the whole answer took too long".to_owned()).into()))
    }

    /// Lets the model write the reply; each sentence is given to whoever speaks as soon as it is complete.
    async fn write(
        &self,
        speaker: Option<mpsc::Sender<String>>,
        timings: &mut Timings,
    ) -> Result<String, AppError> {
        let prompt = self.prompt();
        let mut pieces = match crisis::answer(&prompt) {
            Some(caring) => stream::iter([Ok(caring)]).boxed(),
            None => in_prose(self.app.model.reply(prompt)),
        };
        let (mut text, mut sentences) = (String::new(), Sentences::default());
        while let Some(piece) = pieces.next().await {
            let piece = piece?;
            let is_first = text.is_empty();
            if is_first {
                timings.first_token_ms = millis(self.began);
            }
            text.push_str(&piece);
            self.written.lock().unwrap_or_else(PoisonError::into_inner).push_str(&piece);
            if let Some(speaker) = &speaker {
                // Whoever cannot speak on has said so, and the text goes on.
                for sentence in sentences.push(&piece) {
                    drop(speaker.send(sentence).await);
                }
            }
            if self.request.pace == Pace::Live {
                // A reader that has gone away is noticed by `run`.
                self.reader.tell(TurnEvent::Token(piece)).await;
            }
            if is_first {
                // It is on its way before the ones after it are looked at, and so are those of other turns.
                self.let_others_begin(speaker.is_some()).await;
            }
        }
        if let (Some(speaker), Some(rest)) = (&speaker, sentences.finish()) {
            drop(speaker.send(rest).await);
        }
        timings.llm_generation_ms = millis(self.began);
        if text.trim().is_empty() {
            let why = "there is nothing to read in its answer".to_owned();
            return Err(ChatError::Unavailable { why, retry_after: None }.into());
        }
        Ok(text)
    }

    /// What is spoken waits for its first sentence, and whoever does not watch for all of it: neither waits longer for this.
    async fn let_others_begin(&self, spoken: bool) {
        if self.request.pace == Pace::Live && !spoken {
            self.app.first_words.one_came().await;
        } else {
            tokio::task::yield_now().await;
        }
    }

    fn prompt(&self) -> Prompt {
        let before = self.taken.conversation.as_ref();
        Prompt {
            persona: self.app.persona.clone(),
            memories: self.remembered.memories.iter().map(|found| found.memory.text.clone()).collect(),
            summary: before.and_then(|before| before.summary.clone()),
            history: before.map(|before| before.history.clone()).unwrap_or_default(),
            said: self.request.message.clone(),
            said_at: self.said_at,
            done: self.remembered.done.clone(),
            pace: self.request.pace,
        }
    }

    async fn keep(&mut self, answer: Answer, mut timings: Timings) -> Result<TurnReply, AppError> {
        let (keeping, mut degraded) = (Instant::now(), Vec::new());
        let Answer { text, mut sounded, files } = answer;
        if self.remembered.degraded {
            degraded.push("memory");
        }
        sounded.tell(&mut timings, &mut degraded);
        let checkpoint = Checkpoint {
            id: CheckpointId::random(),
            said: self.request.message.clone(),
            answered: text,
            said_at: self.said_at,
            answered_at: self.app.clock.now(),
            audio: sounded.whole.as_ref().map(|whole| whole.id),
            memories: self.remembered.memories.iter().map(|found| found.memory.id).collect(),
        };
        let kept = self.commit(checkpoint, sounded.whole.as_mut()).await?;
        if let Some(files) = files {
            self.let_rest(files);
        }
        timings.commit_ms = millis(keeping);
        timings.total_ms = millis(self.began);
        tracing::info!(
            event = "chat_completed",
            session = self.request.session.short(),
            chars_said = self.request.message.chars().count(),
            chars_answered = kept.answered.chars().count(),
            first_token_ms = timings.first_token_ms,
            total_ms = timings.total_ms,
            "A turn was completed"
        );
        let spoken = std::mem::take(&mut *self.spoken.lock().unwrap_or_else(PoisonError::into_inner));
        let memories = self.remembered.tell();
        Ok(TurnReply { degraded, spoken, memories, ..TurnReply::of(self.request.session, kept, timings) })
    }

    async fn commit(
        &mut self,
        checkpoint: Checkpoint,
        sound: Option<&mut WholeFile>,
    ) -> Result<Checkpoint, AppError> {
        let (session, turn) = (self.request.session, self.request.turn);
        let title = title_of(&self.request.message);
        let kept = checkpoint.clone();
        let trace = Arc::new(self.trace());
        self.forget_named(&trace).await?;
        let file = sound.as_ref().map(|sound| (sound.id, sound.format, sound.bytes));
        let write = move |db: &rusqlite::Connection| {
            let committed = session_store::commit_turn(db, session, turn, &checkpoint, &title)?;
            if let (Committed::New(_), Some((id, format, bytes))) = (&committed, file) {
                let of = (session, checkpoint.id);
                audio_store::attach(db, of, (id, format), bytes, checkpoint.answered_at)?;
            }
            let forgotten = trace.leave(db, session, &committed)?;
            Ok((committed, forgotten))
        };
        let (committed, forgotten) = self.app.database.write("keep a turn", write).await?;
        match committed {
            Committed::New(turns) => {
                self.follow(forgotten);
                sound.into_iter().for_each(WholeFile::is_kept);
                self.remember(&kept, turns);
                Ok(kept)
            }
            Committed::Before(before) => Ok(before),
            Committed::SessionGone => Err(AppError::SessionNotFound),
        }
    }

    /// Leaves the conversation, with this turn as the last of `turns`, to the next one. When others were added
    /// meanwhile, by an import, the next one has to read them.
    fn remember(&mut self, kept: &Checkpoint, turns: u64) {
        if let Some(mut conversation) = self.taken.conversation.take() {
            conversation.add(self.request.turn, kept, self.app.history_turns());
            self.app.sum_up_if_long(self.request.session, conversation.not_summed_up);
            if conversation.turns == turns {
                self.app.recent.put(&self.taken, conversation);
            }
        }
    }
}
