//! One socket's side of a conversation: what it listens to now, the turn that runs, and what was said last.

use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use actix_ws::AggregatedMessage;
use futures_util::FutureExt;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

use super::answer::{Answering, answer, keep_what_was_heard};
use super::collected::Collected;
use super::messages::{Said, Told, millis};
use super::{Around, is_close};
use crate::app::AppError;
use crate::app::turn::{TurnReply, TurnRequest, Voice};
use crate::domain::audio::AudioFormat;
use crate::domain::heard::Interruption;
use crate::domain::session::TurnId;
use crate::domain::speech::Recording;
use crate::telemetry::metrics::BodyRefusal;
use crate::web::error::{ApiError, report};
use crate::web::voice::recording;

/// Who does not take a message for so long is gone.
pub(super) const LONGEST_SEND: Duration = Duration::from_secs(10);

/// So many recordings that were interrupted while they waited are still to be heard; no more are taken before.
const MOST_OVERTAKEN: usize = 8;

pub(super) struct Conversation {
    around: Rc<Around>,
    sender: actix_ws::Session,
    listening: Option<Listening>,
    running: Option<Running>,
    /// A recording that came while a turn ran.
    waiting: Option<Whole>,
    /// Recordings that were interrupted while they waited: they are heard before it, one after the other, and not answered.
    overtaken: VecDeque<Whole>,
    /// The last reply, which may still be playing.
    last: Option<TurnReply>,
    /// An interruption, with what was played, that came as the turn had just ended: it is one of the last reply.
    late: Option<Option<Duration>>,
    /// The client has not told yet when it heard the first sound of the last answer.
    unheard: bool,
}

/// A recording that comes.
struct Listening {
    turn: Option<TurnId>,
    collected: Collected,
}

/// A recording that is there.
struct Whole {
    turn: Option<TurnId>,
    recording: Recording,
}

struct Running {
    task: JoinHandle<Option<TurnReply>>,
    /// Tells it of the interruption, once.
    interrupt: Option<oneshot::Sender<Option<Duration>>>,
}

impl Drop for Running {
    /// Who leaves takes the turn along: it sees its reader go. One that was interrupted ends at once, and what was heard is kept.
    fn drop(&mut self) {
        if self.interrupt.is_some() {
            self.task.abort();
        }
    }
}

impl Drop for Conversation {
    /// Recordings that wait and have a name are kept for who comes back: in the order in which they were said, and those that were
    /// interrupted without an answer. Nobody hears what becomes of them.
    fn drop(&mut self) {
        let overtaken = self.overtaken.drain(..).map(|whole| (whole, true)).collect::<Vec<_>>();
        let waiting = self.waiting.take().map(|whole| (whole, false));
        let named = overtaken.into_iter().chain(waiting).filter(|(whole, _)| whole.turn.is_some());
        let requests = named.filter_map(|(whole, is_overtaken)| {
            let asked = self.asked(whole).inspect_err(|error| {
                tracing::info!(event = "chat_cancelled", cause = %error, "Its client had gone away; nothing was kept");
            });
            let request = asked.ok()?;
            let interrupt = is_overtaken.then(|| watch::channel(Some(Interruption::default())).1);
            Some(TurnRequest { interrupt, ..request })
        });
        self.around.app.carry_on(requests.collect());
    }
}

impl Conversation {
    pub(super) fn new(around: Around, sender: actix_ws::Session) -> Self {
        let around = Rc::new(around);
        Self {
            around,
            sender,
            listening: None,
            running: None,
            waiting: None,
            overtaken: VecDeque::new(),
            last: None,
            late: None,
            unheard: false,
        }
    }

    pub(super) async fn greet(&mut self) -> bool {
        let session_id = self.around.session;
        self.tell(&Told::Connected { session_id }).await
    }

    pub(super) async fn ping(&mut self) -> bool {
        matches!(tokio::time::timeout(LONGEST_SEND, self.sender.ping(b"")).await, Ok(Ok(())))
    }

    pub(super) const fn is_busy(&self) -> bool {
        self.running.is_some()
    }

    /// Takes a message; false when the socket is to be closed.
    pub(super) async fn take(&mut self, message: AggregatedMessage) -> bool {
        if is_close(&message) {
            return false;
        }
        let outcome = match message {
            AggregatedMessage::Text(text) => match Said::read(&text) {
                Ok(said) => self.obey(said).await,
                Err(wrong) => Err(invalid("message", wrong)),
            },
            AggregatedMessage::Binary(piece) => self.listen(&piece),
            AggregatedMessage::Ping(content) => {
                let pong = tokio::time::timeout(LONGEST_SEND, self.sender.pong(&content)).await;
                return matches!(pong, Ok(Ok(())));
            }
            AggregatedMessage::Pong(_) | AggregatedMessage::Close(_) => Ok(()),
        };
        match outcome {
            Ok(()) => true,
            Err(error) => self.tell_error(&error).await,
        }
    }

    async fn obey(&mut self, said: Said) -> Result<(), ApiError> {
        match said {
            Said::StartListening { turn_id } => {
                // Who speaks next has heard the last reply to its end, or has told before what they heard of it.
                self.last = None;
                self.listening = Some(Listening { turn: turn_id, collected: Collected::default() });
                Ok(())
            }
            Said::StopListening => self.hear(),
            Said::Interrupt { played_ms } => {
                self.interrupt(played_ms.map(millis)).await;
                Ok(())
            }
            Said::FirstSound { after_ms } => {
                if std::mem::take(&mut self.unheard) {
                    self.around.metrics.first_sound(millis(after_ms));
                }
                Ok(())
            }
        }
    }

    fn listen(&mut self, piece: &bytes::Bytes) -> Result<(), ApiError> {
        let listening = self.listening.as_mut();
        let listening = listening.ok_or_else(|| invalid("audio", "send start_listening first"))?;
        let around = &self.around;
        let added = listening.collected.add(piece, &around.budget, around.client, around.most_bytes);
        if let Err(refusal) = &added {
            let too_large = matches!(refusal, ApiError::TooLarge { .. });
            around.metrics.refused_body(if too_large {
                BodyRefusal::GrewTooLarge
            } else {
                BodyRefusal::NoRoom
            });
            self.listening = None;
        }
        added
    }

    /// The recording is whole: it is answered, or waits for the end of the turn that runs.
    fn hear(&mut self) -> Result<(), ApiError> {
        let listening = self.listening.take();
        let Listening { turn, collected } =
            listening.ok_or_else(|| invalid("audio", "send start_listening first"))?;
        let bytes = collected.finish();
        // A turn that is sent again is known by its name; its sound may be gone.
        let recording = if bytes.is_empty() && turn.is_some() {
            Recording { bytes, format: AudioFormat::WebM }
        } else {
            recording(bytes)?
        };
        let whole = Whole { turn, recording };
        if self.running.is_none() {
            return self.begin(whole);
        }
        if self.waiting.is_some() || self.overtaken.len() >= MOST_OVERTAKEN {
            return Err(AppError::TurnInProgress.into());
        }
        self.waiting = Some(whole);
        Ok(())
    }

    fn begin(&mut self, whole: Whole) -> Result<(), ApiError> {
        let request = self.asked(whole)?;
        self.last = None;
        self.unheard = true;
        let (interrupt, interrupted) = oneshot::channel();
        let answering = Answering { around: self.around.clone(), sender: self.sender.clone() };
        let mut answer = Box::pin(answer(answering, request, interrupted));
        // A turn with an id is on its way from here on, also when its client leaves in this moment.
        let ended = answer.as_mut().now_or_never();
        let task = tokio::task::spawn_local(async move {
            match ended {
                Some(ended) => ended,
                None => answer.await,
            }
        });
        self.running = Some(Running { task, interrupt: Some(interrupt) });
        Ok(())
    }

    /// The turn that a recording is for, counted among those of the client.
    fn asked(&self, whole: Whole) -> Result<TurnRequest, ApiError> {
        let Around { rates, client, session, token, .. } = &*self.around;
        if let Some(rates) = rates {
            rates.count_turn(*client).map_err(|retry_after| ApiError::RateLimited { retry_after })?;
        }
        let request = TurnRequest::recorded(Some(*client), *session, whole.recording, Voice::Live);
        Ok(TurnRequest { token: token.clone(), turn: whole.turn, ..request })
    }

    /// Takes effect on the turn that runs and on the recording that waits for its end; else, where nothing is told of what was
    /// played, on the recording that is open; else on the reply that may still be playing.
    async fn interrupt(&mut self, played: Option<Duration>) {
        self.overtaken.extend(self.waiting.take());
        if self.running.is_some() {
            self.interrupt_running(played);
            return;
        }
        if played.is_none() && self.listening.take().is_some() {
            return;
        }
        self.interrupt_last(played).await;
    }

    fn interrupt_running(&mut self, played: Option<Duration>) {
        if let Some(interrupt) = self.running.as_mut().and_then(|running| running.interrupt.take()) {
            self.late = interrupt.send(played).err();
        }
    }

    async fn interrupt_last(&mut self, played: Option<Duration>) {
        let Some(last) = self.last.take() else { return };
        let interruption =
            Interruption { played, sentences_sent: last.spoken.len(), text_sent: last.text.len() };
        keep_what_was_heard(&self.around.app, &last, interruption).await;
    }

    /// Resolves when the turn that runs has ended.
    pub(super) async fn turn_ended(&mut self) {
        let Some(running) = &mut self.running else { return std::future::pending().await };
        self.last = (&mut running.task).await.ok().flatten();
        self.running = None;
    }

    /// Keeps what was heard where the turn was interrupted late, and goes on with the next recording that waits, if one does.
    pub(super) async fn go_on(&mut self) -> bool {
        if let Some(played) = self.late.take() {
            self.interrupt_last(played).await;
        }
        while self.running.is_none() {
            let overtaken = self.overtaken.pop_front();
            let is_overtaken = overtaken.is_some();
            let Some(next) = overtaken.or_else(|| self.waiting.take()) else { return true };
            match self.begin(next) {
                Ok(()) if is_overtaken => self.interrupt_running(None),
                Ok(()) => {}
                Err(error) => {
                    if !self.tell_error(&error).await {
                        return false;
                    }
                }
            }
        }
        true
    }

    async fn tell_error(&mut self, error: &ApiError) -> bool {
        let told = report(error).1;
        self.tell(&Told::Error { message: told.message, code: told.code }).await
    }

    /// False when nobody takes it.
    async fn tell(&mut self, told: &Told) -> bool {
        matches!(tokio::time::timeout(LONGEST_SEND, self.sender.text(told.json())).await, Ok(Ok(())))
    }
}

fn invalid(field: &'static str, message: &str) -> ApiError {
    ApiError::Invalid { field, message: message.to_owned() }
}
