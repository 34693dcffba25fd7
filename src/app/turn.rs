//! One turn: wait for its place in the session's line, read what was said before, let the model answer, commit.
//!
//! | what happens | what becomes of the turn |
//! |---|---|
//! | the model cannot be reached, refuses, breaks off or talks garbage; its circuit is open | fatal: 503 with `Retry-After`, nothing is kept |
//! | the model is silent for `LLM_TIMEOUT_SECONDS`, or takes `WORKFLOW_TIMEOUT_SECONDS` in all | fatal: 504, nothing is kept |
//! | all connections to the model are in use for 5 s | fatal: 503 with `Retry-After`, nothing is kept |
//! | the model goes on and on | what it said by then is kept, the rest is not waited for |
//! | words of self-harm are heard | a caring answer with where to find help, without the model, whether it answers or not |
//! | a summary cannot be made | the turn knows nothing of it; tried again after the next one |
//! | the disk is low or full | fatal: 507, nothing is kept |
//! | the person has had the day's turns, or as many run | refused: 429, the model is not asked |
//! | the session is deleted meanwhile | fatal: 404, nothing is kept |
//! | the client goes away, no turn id | cancelled: the model's work is dropped, nothing is kept |
//! | the client goes away, with a turn id | finished and kept, if the answer takes no more than 10 s or someone sent it again |
//! | the client goes away when the answer is whole | kept |
//! | another turn of the session runs | it waits, as the last in the line; 409 when that is full |
//! | the client goes away while it waits | it leaves the line, turn id or not; nothing is kept |
//! | the same turn id again | the answer that was kept, or will be once the running or waiting turn ends; when that left the line, this one goes on as the turn |
//! | the server stops | running turns get `DRAIN_SECONDS`, new and waiting ones are refused |
//!
//! Bounds: `MAX_TURNS` turns run at once, of a person `MAX_TURNS_PER_PERSON`, of a session one, and `SESSION_QUEUE` wait there (a waiting turn does nothing and
//! holds no place of `MAX_TURNS`: a full one is told when its turn has come), 32 events wait for a slow reader, the model sees the turns that are not
//! summed up, at least the last 20.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::{StreamExt, stream};
use tokio::sync::mpsc;

use crate::adapters::session_store::{self, Committed};
use crate::app::recent_turns::Taken;
use crate::app::running_turns::{Registered, Running};
use crate::app::{App, AppError};
use crate::domain::chat::{ChatError, Pace, Prompt};
use crate::domain::clock::Timestamp;
use crate::domain::crisis;
use crate::domain::session::{Checkpoint, CheckpointId, SessionId, TurnId, title_of};

mod again;
mod before;
mod daily;

use before::replay;

const WAITING_EVENTS: usize = 32;
/// A named turn that nobody waits for any more is given so long.
const FINISH_ALONE: Duration = Duration::from_secs(10);

/// What a client asks for.
#[derive(Clone)]
pub struct TurnRequest {
    /// In which conversation.
    pub session: SessionId,
    /// What the person said.
    pub message: String,
    /// The client's name for this turn, which makes it safe to send again.
    pub turn: Option<TurnId>,
    /// Whether the reply is watched as it appears.
    pub pace: Pace,
}

/// What a turn tells while it runs; the last event is `Done` or `Failed`.
pub enum TurnEvent {
    /// The next piece of the reply.
    Token(String),
    /// The turn is kept.
    Done(TurnReply),
    /// The turn failed; nothing is kept.
    Failed(AppError),
}

/// A kept turn.
#[derive(Clone)]
pub struct TurnReply {
    /// In which conversation.
    pub session: SessionId,
    /// What the turn is called.
    pub checkpoint: CheckpointId,
    /// The whole reply.
    pub text: String,
    /// How long what took.
    pub timings: Timings,
}

/// Milliseconds of each stage; all zero when the answer had been kept before.
#[derive(Debug, Clone, Copy, Default, serde::Serialize, utoipa::ToSchema)]
pub struct Timings {
    /// Until the model's first piece.
    pub first_token_ms: f64,
    /// Until the model's last piece.
    pub llm_generation_ms: f64,
    /// Until the turn was on disk, after the model's last piece.
    pub commit_ms: f64,
    /// All of it.
    pub total_ms: f64,
}

/// The events of one turn. Dropping it is how a client goes away.
pub type TurnEvents = mpsc::Receiver<TurnEvent>;

struct Work {
    app: Arc<App>,
    request: TurnRequest,
    taken: Taken,
    person: i64,
    events: mpsc::Sender<TurnEvent>,
    began: Instant,
    said_at: Timestamp,
}

impl App {
    /// Begins a turn. What is wrong from the start is told here, what goes wrong later by [`TurnEvent::Failed`].
    ///
    /// # Errors
    /// An invalid message, an unknown session, a low disk, too many turns: here, of the person, or in all.
    pub async fn begin_turn(self: &Arc<Self>, request: TurnRequest) -> Result<TurnEvents, AppError> {
        self.turns.take_new()?;
        self.check_message(&request.message)?;
        let (events, receiver) = mpsc::channel(WAITING_EVENTS);
        // Before the look at what was kept: a turn that ends between the two would be answered anew.
        match self.turns.register(request.session, request.turn) {
            Registered::Runs(running) => self.go_on(request, running, events).await?,
            Registered::Joins(joined) => self.turns.spawn(self.clone().join(request, joined, events)),
        }
        Ok(receiver)
    }

    /// Lets the turn run once its place has come, unless its answer was kept before.
    async fn go_on(
        self: &Arc<Self>,
        request: TurnRequest,
        running: Option<Running>,
        events: mpsc::Sender<TurnEvent>,
    ) -> Result<(), AppError> {
        let began = Instant::now();
        self.turns.take_new()?;
        if request.turn.is_some() && self.turns.is_busy(request.session) {
            // What was kept before needs no place in the line.
            if let Some(before) = self.kept_before(&request).await? {
                replay(&events, &request, before).await;
                return Ok(());
            }
        }
        let standing = self.turns.stand_in_line(request.session)?;
        let head = self.turns.first_in_line(standing).await?;
        let mut taken = self.recent.take(request.session);
        if let Some(before) = self.look_up(&request, &mut taken).await? {
            replay(&events, &request, before).await;
            return Ok(());
        }
        self.room_to_grow()?;
        let person = taken.conversation.as_ref().ok_or(AppError::SessionNotFound)?.person;
        let place = self.turns.place(person)?;
        let said_at = self.clock.now();
        self.count_turn(person, said_at).await?;
        let work = Work { app: self.clone(), request, taken, person, events, began, said_at };
        self.turns.spawn(async move {
            // Let go from the last to the first: the next turn of the session is to find a place.
            let _head = head;
            let _place = place;
            work.run(running).await;
        });
        Ok(())
    }

    /// Refuses new turns and waits for the running ones.
    pub async fn drain_turns(&self) {
        self.turns.stop();
        self.turns.ended().await;
    }

    /// True once new turns are refused.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.turns.is_draining()
    }

    /// Refuses new turns.
    pub fn stop_turns(&self) {
        self.turns.stop();
    }

    fn check_message(&self, message: &str) -> Result<(), AppError> {
        let wrong = |message: String| AppError::Invalid { field: "message", message };
        if message.trim().is_empty() {
            return Err(wrong("must not be empty".to_owned()));
        }
        let most = self.limits.max_message_chars;
        if message.chars().count() > most {
            return Err(wrong(format!("must have at most {most} characters")));
        }
        Ok(())
    }
}

/// Resolves when nobody has waited for the turn for as long as it may finish alone.
async fn left_alone(events: &mpsc::Sender<TurnEvent>, running: Option<&Running>) {
    events.closed().await;
    if let Some(running) = running {
        running.alone_for(FINISH_ALONE).await;
    }
}

impl Work {
    async fn run(mut self, running: Option<Running>) {
        if let Some(running) = &running {
            running.begins();
        }
        let (events, mut timings) = (self.events.clone(), Timings::default());
        let text = tokio::select! {
            biased;
            text = self.answer_in_time(&mut timings) => text,
            () = left_alone(&events, running.as_ref()) => {
                if let Some(running) = &running {
                    running.is_given_up();
                }
                tracing::info!(event = "chat_cancelled", "The client went away; nothing was kept");
                return;
            }
        };
        let last = match text {
            Ok(text) => self.keep(text, timings).await.map_or_else(TurnEvent::Failed, TurnEvent::Done),
            Err(error) => {
                self.app.uncount_turn(self.person, self.said_at).await;
                TurnEvent::Failed(error)
            }
        };
        // Before its end is told: whoever sends it again after a failure is not to hear of that once more.
        drop(running);
        drop(events.send(last).await);
    }

    async fn keep(&mut self, text: String, mut timings: Timings) -> Result<TurnReply, AppError> {
        timings.llm_generation_ms = millis(self.began);
        let checkpoint = Checkpoint {
            id: CheckpointId::random(),
            said: self.request.message.clone(),
            answered: text,
            said_at: self.said_at,
            answered_at: self.app.clock.now(),
            audio: None,
        };
        let kept = self.commit(checkpoint).await?;
        timings.total_ms = millis(self.began);
        timings.commit_ms = round(timings.total_ms - timings.llm_generation_ms);
        tracing::info!(
            event = "chat_completed",
            session = self.request.session.short(),
            chars_said = self.request.message.chars().count(),
            chars_answered = kept.answered.chars().count(),
            first_token_ms = timings.first_token_ms,
            total_ms = timings.total_ms,
            "A turn was completed"
        );
        Ok(TurnReply { session: self.request.session, checkpoint: kept.id, text: kept.answered, timings })
    }

    async fn answer_in_time(&mut self, timings: &mut Timings) -> Result<String, AppError> {
        let longest = self.app.workflow;
        let answered = tokio::time::timeout(longest, self.answer(timings)).await;
        answered
            .unwrap_or_else(|_| Err(ChatError::TimedOut("the whole answer took too long".to_owned()).into()))
    }

    async fn answer(&mut self, timings: &mut Timings) -> Result<String, AppError> {
        let before = self.taken.conversation.as_ref();
        let prompt = Prompt {
            persona: self.app.persona.clone(),
            memories: Vec::new(),
            summary: before.and_then(|before| before.summary.clone()),
            history: before.map(|before| before.history.clone()).unwrap_or_default(),
            said: self.request.message.clone(),
            said_at: self.said_at,
            pace: self.request.pace,
        };
        let mut pieces = match crisis::answer(&prompt) {
            Some(caring) => stream::iter([Ok(caring)]).boxed(),
            None => self.app.model.reply(prompt),
        };
        let mut text = String::new();
        while let Some(piece) = pieces.next().await {
            let piece = piece?;
            if text.is_empty() {
                timings.first_token_ms = millis(self.began);
            }
            text.push_str(&piece);
            if self.request.pace == Pace::Live {
                // A reader that has gone away is noticed by `run`.
                drop(self.events.send(TurnEvent::Token(piece)).await);
            }
        }
        Ok(text)
    }

    async fn commit(&mut self, checkpoint: Checkpoint) -> Result<Checkpoint, AppError> {
        let (session, turn) = (self.request.session, self.request.turn);
        let title = title_of(&self.request.message);
        let kept = checkpoint.clone();
        let write = move |db: &rusqlite::Connection| {
            session_store::commit_turn(db, session, turn, &checkpoint, &title)
        };
        match self.app.database.write("keep a turn", write).await? {
            Committed::New(turns) => {
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
                self.app.recent.put(self.request.session, &self.taken, conversation);
            }
        }
    }
}

/// To the microsecond; more digits would only be noise.
fn round(millis: f64) -> f64 {
    (millis * 1e3).round() / 1e3
}

fn millis(since: Instant) -> f64 {
    round(since.elapsed().as_secs_f64() * 1e3)
}
