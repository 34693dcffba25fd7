//! One turn: wait for its place in the session's line, read what was said before, hear the recording if there is one, let the
//! model answer, speak, commit.
//!
//! | what happens | what becomes of the turn |
//! |---|---|
//! | the model cannot be reached, refuses, breaks off or talks garbage; its circuit is open | fatal: 503 with `Retry-After`, nothing is kept |
//! | the model is silent for `LLM_TIMEOUT_SECONDS`, or takes `WORKFLOW_TIMEOUT_SECONDS` in all | fatal: 504, nothing is kept |
//! | all connections to the model are in use for 5 s | fatal: 503 with `Retry-After`, nothing is kept |
//! | the model goes on and on | what it said by then is kept, the rest is not waited for |
//! | words of self-harm are heard | a caring answer with where to find help, without the model, whether it answers or not |
//! | a summary cannot be made | the turn knows nothing of it; tried again after the next one |
//! | memories cannot be searched | it goes on without them: `degraded: ["memory"]` |
//! | what was said cannot be made into a vector within half a second | memories are found by their words alone: `degraded: ["memory"]` |
//! | Qdrant is set up and does not answer | it goes on with those that the embedded index finds: `degraded: ["memory"]` |
//! | hearing is down, or nobody was set up to hear | fatal: 503, nothing is kept |
//! | the disk is too full to give a recording to a program that hears | fatal: 507 that tells where help is, nothing is kept |
//! | a recording cannot be understood | fatal: 400, nothing is kept |
//! | nothing is said in a recording | a gentle answer, then an empty one; nothing is kept |
//! | speech is down, or nobody was set up to speak | the reply comes as text, `degraded: ["speech"]` |
//! | the voice is slower than the model | the text does not wait for it; the turn ends when it has spoken |
//! | the sound cannot be kept | the same |
//! | the client goes away while it is spoken, with a turn id | it is not spoken on, and no sound of it is kept: `degraded: ["speech"]` |
//! | sound is wanted of an answer that was kept without, as one file | it comes as text, `degraded: ["speech"]` |
//! | the person interrupts | the work is dropped at once; what they had heard of the reply is kept |
//! | the person interrupts while a recording is heard | it is heard to its end, what they said is kept without an answer; nothing, when nothing was said |
//! | the disk is low or full | fatal: 507, nothing is kept; words of self-harm are told where to find help with it |
//! | the person has had the day's turns | refused: 429, the model is not asked; not where words of self-harm are heard |
//! | a recording comes after that, and 10 were refused so on that day | refused unheard: 429 that tells where help is |
//! | as many turns of the person run as may | refused: 429, the model is not asked |
//! | the session has rested for an hour | it is active before the model is asked: no cleanup takes it meanwhile |
//! | it names something to be forgotten | that goes before the turn is kept, also where the turn then fails |
//! | the session is deleted meanwhile | fatal: 404, nothing is kept |
//! | the client goes away, no turn id | cancelled: the model's work is dropped, nothing is kept |
//! | the client goes away, with a turn id | finished and kept, if the answer takes no more than 10 s or someone sent it again |
//! | the client goes away when the answer is whole | kept |
//! | another turn of the session runs | it waits, as the last in the line; 409 when that is full |
//! | the client goes away while it waits, no turn id | it leaves the line; nothing is kept |
//! | the client goes away while it waits, with a turn id | it waits on, and the wait counts among the 10 s |
//! | the client takes nothing of it any more | it waits for them: 10 s over the socket, then they have gone away; 1 s once someone sent it again |
//! | the same turn id again | the answer that was kept, or will be once the running or waiting turn ends; when that left the line or nothing was said in it, this one goes on as the turn |
//! | the person interrupts the same turn, sent again | the work of the first is dropped; what they had heard of it is kept |
//! | the server stops | running turns get `DRAIN_SECONDS`, then they fail and that is told; new and waiting ones are refused |
//!
//! Bounds: `MAX_TURNS` turns run at once, of a person `MAX_TURNS_PER_PERSON`, of a session one, and `SESSION_QUEUE` wait there (a waiting turn does nothing and
//! holds no place of `MAX_TURNS`: a full one is told when its turn has come), 32 events wait for a slow reader, the model sees the turns that are not
//! summed up, at least the last 20.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use tokio::sync::{mpsc, oneshot, watch};

use crate::app::running_turns::{Registered, Running};
use crate::app::{App, AppError};
use crate::domain::chat::Pace;
use crate::domain::heard::Interruption;
use crate::domain::person::PersonToken;
use crate::domain::session::{SessionId, TurnId};
use crate::domain::speech::Recording;

mod again;
mod before;
mod daily;
mod events;
mod forgetting;
mod hearing;
mod interrupted;
mod reader;
mod remembered;
mod sounded;
mod speaking;
mod work;

use before::replay;
pub use events::{SilenceReply, Timings, TurnEvent, TurnEvents, TurnReply};
use reader::Reader;
use remembered::Remembered;
pub use speaking::Voice;
use work::Work;

const WAITING_EVENTS: usize = 32;
/// A named turn that nobody waits for any more is given so long.
const FINISH_ALONE: Duration = Duration::from_secs(10);

/// What a client asks for.
#[derive(Clone)]
pub struct TurnRequest {
    /// Who asks, as limits name clients.
    pub client: Option<IpAddr>,
    /// In which conversation.
    pub session: SessionId,
    /// What the person said; empty where that is in the recording.
    pub message: String,
    /// What the person said, as sound.
    pub recording: Option<Recording>,
    /// The token of whoever asks, if one came; without it nobody's memories take part.
    pub token: Option<PersonToken>,
    /// The client's name for this turn, which makes it safe to send again.
    pub turn: Option<TurnId>,
    /// Whether the reply is watched as it appears.
    pub pace: Pace,
    /// How the reply is to be heard.
    pub voice: Voice,
    /// Tells when the person interrupts, if they can.
    pub interrupt: Option<watch::Receiver<Option<Interruption>>>,
}

impl TurnRequest {
    /// A turn that was written; nobody watches the reply or wants to hear it.
    #[must_use]
    pub const fn written(client: Option<IpAddr>, session: SessionId, message: String) -> Self {
        let (pace, voice) = (Pace::Whole, Voice::Silent);
        Self {
            client,
            session,
            message,
            recording: None,
            token: None,
            turn: None,
            pace,
            voice,
            interrupt: None,
        }
    }

    /// A turn that was recorded, to be answered in this voice.
    #[must_use]
    pub const fn recorded(
        client: Option<IpAddr>,
        session: SessionId,
        recording: Recording,
        voice: Voice,
    ) -> Self {
        let pace = if matches!(voice, Voice::Live) { Pace::Live } else { Pace::Whole };
        let recording = Some(recording);
        Self {
            client,
            session,
            message: String::new(),
            recording,
            token: None,
            turn: None,
            pace,
            voice,
            interrupt: None,
        }
    }
}

impl App {
    /// Begins a turn. What is wrong from the start is told here, what goes wrong later by [`TurnEvent::Failed`].
    ///
    /// # Errors
    /// An invalid message, an unknown session, a low disk, too many turns: here, of the person, or in all.
    pub async fn begin_turn(self: &Arc<Self>, request: TurnRequest) -> Result<TurnEvents, AppError> {
        self.turns.take_new()?;
        if request.recording.is_some() {
            self.check_hearing()?
        } else {
            self.check_message(&request.message)?
        }
        let (events, receiver) = mpsc::channel(WAITING_EVENTS);
        // Before the look at what was kept: a turn that ends between the two would be answered anew.
        match self.turns.register(request.session, request.turn) {
            Registered::Runs(running) => self.take_a_place(request, running, events).await?,
            Registered::Joins(joined) => self.turns.spawn(self.clone().join(request, joined, events)),
        }
        Ok(receiver)
    }

    /// Lets named turns run whose client has left, one after the other; all of them together are given as long as one that was left
    /// while it waited. Bound: what they hold is in the budget of request bodies.
    pub fn carry_on(self: &Arc<Self>, requests: Vec<TurnRequest>) {
        let app = self.clone();
        let all = async move {
            for request in requests {
                // Nobody reads; this waits until the turn runs, so that the next one comes after it.
                let (events, _) = mpsc::channel(WAITING_EVENTS);
                if let Registered::Runs(running) = app.turns.register(request.session, request.turn) {
                    drop(app.take_a_place(request, running, events).await);
                }
            }
        };
        self.turns.spawn_apart(async move {
            if tokio::time::timeout(FINISH_ALONE, all).await.is_err() {
                tracing::info!(
                    event = "chat_cancelled",
                    "Their client had gone away; what had not begun was not kept"
                );
            }
        });
    }

    /// Gives the turn its place in the line. One with an id keeps it when whoever asked for it leaves.
    async fn take_a_place(
        self: &Arc<Self>,
        request: TurnRequest,
        running: Option<Running>,
        events: mpsc::Sender<TurnEvent>,
    ) -> Result<(), AppError> {
        let reader = Reader::new(events, running.as_ref().map(Running::company));
        if running.is_none() {
            return self.go_on(request, running, reader).await;
        }
        let (tell, told) = oneshot::channel();
        let app = self.clone();
        let begin = async move {
            if let Err(Err(error)) = tell.send(app.go_on(request, running, reader).await) {
                tracing::info!(event = "chat_cancelled", cause = %error, "Its client had gone away; nothing was kept");
            }
        };
        self.turns.begin(begin).await;
        told.await.unwrap_or(Err(AppError::Unavailable("stopping")))
    }

    /// Lets the turn run once its place has come, unless its answer was kept before.
    async fn go_on(
        self: &Arc<Self>,
        request: TurnRequest,
        running: Option<Running>,
        reader: Reader,
    ) -> Result<(), AppError> {
        let began = Instant::now();
        self.turns.take_new()?;
        if request.turn.is_some() && self.turns.is_busy(request.session) {
            // What was kept before needs no place in the line.
            if let Some(before) = self.kept_before(&request).await? {
                replay(self, &reader, &request, before).await;
                return Ok(());
            }
        }
        let standing = self.turns.stand_in_line(request.session)?;
        let mut left_alone = reader.clone().left_alone().boxed();
        let head = tokio::select! {
            biased;
            head = self.turns.first_in_line(standing) => head?,
            () = &mut left_alone => return Err(AppError::Unavailable("nobody waits for the turn")),
        };
        let mut taken = self.recent.take(request.session);
        if let Some(before) = self.look_up(&request, &mut taken).await? {
            replay(self, &reader, &request, before).await;
            return Ok(());
        }
        let person = taken.conversation.as_ref().ok_or(AppError::SessionNotFound)?.person;
        let place = self.turns.place(person)?;
        let mut work = Work {
            app: self.clone(),
            request,
            taken,
            person,
            reader,
            began,
            said_at: self.clock.now(),
            is_counted: false,
            remembered: Remembered::default(),
            written: Arc::default(),
            spoken: Arc::default(),
        };
        if work.request.recording.is_none() {
            work.admit().await?;
        }
        let run = async move {
            // Let go from the last to the first: the next turn of the session is to find a place.
            let _head = head;
            let _place = place;
            work.run(running, left_alone).await;
        };
        self.turns.begin(run).await;
        Ok(())
    }

    /// Refuses new turns and waits for the running ones.
    pub async fn drain_turns(&self) {
        self.turns.stop();
        self.turns.ended().await;
        self.passing.stop();
    }

    /// Ends the turns that still run; each tells its client that it failed, and nothing is kept of it.
    pub fn cut_turns_off(&self) {
        self.turns.cut_off();
    }

    /// True once new turns are refused.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.turns.is_draining()
    }

    /// Resolves when the server begins to stop.
    pub async fn stopping(&self) {
        self.turns.stopping().await;
    }

    /// Refuses new turns.
    pub fn stop_turns(&self) {
        self.turns.stop();
    }

    pub(super) fn check_message(&self, message: &str) -> Result<(), AppError> {
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

/// To the microsecond; more digits would only be noise.
fn round(millis: f64) -> f64 {
    (millis * 1e3).round() / 1e3
}

fn millis(since: Instant) -> f64 {
    round(since.elapsed().as_secs_f64() * 1e3)
}
