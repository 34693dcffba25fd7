//! Passes on what a turn tells, as text and sound, until it ends or is interrupted.

use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{oneshot, watch};

use super::Around;
use super::conversation::LONGEST_SEND;
use super::messages::Told;
use crate::app::turn::{TurnEvent, TurnEvents, TurnReply, TurnRequest};
use crate::app::{App, AppError};
use crate::domain::heard::Interruption;
use crate::web::chat::UsedMemory;
use crate::web::error::{logged, report};
use crate::web::metrics::count_stages;

/// Whom a turn is told to.
pub(super) struct Answering {
    pub(super) around: Rc<Around>,
    pub(super) sender: actix_ws::Session,
}

/// What has been sent of a turn.
#[derive(Default)]
struct Sent {
    sentences: usize,
    text: usize,
    /// It is whole and kept; the end of it may still be on its way.
    reply: Option<TurnReply>,
}

/// One message to the client.
enum Out {
    Text(String),
    Sound(Bytes),
}

/// Lets the turn run and tells what it tells. What may be playing after it.
pub(super) async fn answer(
    mut answering: Answering,
    mut request: TurnRequest,
    mut interrupted: oneshot::Receiver<Option<Duration>>,
) -> Option<TurnReply> {
    let (interrupt, told) = watch::channel(None);
    request.interrupt = Some(told);
    let app = answering.around.app.clone();
    let (mut sent, mut beginning) = (Sent::default(), pin!(app.begin_turn(request)));
    let begun = tokio::select! {
        biased;
        begun = &mut beginning => begun,
        Ok(played) = &mut interrupted => {
            let interruption = answering.interrupt(&sent, played, &interrupt).await;
            // Where it waits in line, what they said is still to be heard; where it was kept before, the answer gets shorter.
            if let Ok(events) = beginning.await {
                answering.settle(events, sent, interruption).await;
            }
            return None;
        }
    };
    let mut events = match begun {
        Ok(events) => events,
        Err(error) => {
            answering.fail(error).await;
            return None;
        }
    };
    let passing = answering.pass_on(&mut events, &mut sent);
    let played = tokio::select! {
        biased;
        Ok(played) = &mut interrupted => played,
        ended = passing => return ended,
    };
    let interruption = answering.interrupt(&sent, played, &interrupt).await;
    answering.settle(events, sent, interruption).await;
    None
}

/// Keeps of a reply what was heard.
pub(super) async fn keep_what_was_heard(app: &App, reply: &TurnReply, interruption: Interruption) {
    if let Err(error) = app.keep_what_was_heard(reply, interruption).await {
        tracing::error!(event = "request_failed", cause = %error, "What was heard of a reply could not be kept");
    }
}

impl Answering {
    /// Tells the turn that it is interrupted, and the client that it is over.
    async fn interrupt(
        &mut self,
        sent: &Sent,
        played: Option<Duration>,
        turn: &watch::Sender<Option<Interruption>>,
    ) -> Interruption {
        let interruption = Interruption { played, sentences_sent: sent.sentences, text_sent: sent.text };
        turn.send_replace(Some(interruption));
        self.end(true).await;
        interruption
    }

    /// Waits until what was said and heard is kept, or keeps it where all of it was just before: the next turn is to know it.
    async fn settle(self, mut events: TurnEvents, mut sent: Sent, interruption: Interruption) {
        while let Some(event) = events.recv().await {
            if let TurnEvent::Done(reply) = event {
                sent.reply = Some(reply);
            }
        }
        if let Some(reply) = sent.reply {
            keep_what_was_heard(&self.around.app, &reply, interruption).await;
        }
    }

    async fn pass_on(&mut self, events: &mut TurnEvents, sent: &mut Sent) -> Option<TurnReply> {
        while let Some(event) = events.recv().await {
            let out = match event {
                TurnEvent::Heard(text) => text_of(&Told::Transcription { text, is_final: true }),
                TurnEvent::Token(text) => {
                    sent.text += text.len();
                    text_of(&Told::ResponseDelta { text })
                }
                TurnEvent::SoundBegins { index, format, text } => {
                    sent.sentences += 1;
                    text_of(&Told::AudioStart { mime: format.mime(), index, text })
                }
                TurnEvent::Sound(piece) => Out::Sound(piece),
                TurnEvent::Done(reply) => {
                    self.done(sent.reply.insert(reply)).await;
                    return sent.reply.take();
                }
                TurnEvent::Silence(reply) => {
                    count_stages(&self.around.metrics, &reply.timings);
                    self.respond(reply.text, Vec::new(), reply.degraded).await;
                    return None;
                }
                TurnEvent::Failed(error) => {
                    self.fail(error).await;
                    return None;
                }
                TurnEvent::Audio { .. } => continue,
            };
            if !self.send(out).await {
                return None;
            }
        }
        self.fail(AppError::Unavailable("stopping")).await;
        None
    }

    async fn done(&mut self, reply: &TurnReply) {
        count_stages(&self.around.metrics, &reply.timings);
        let memories = UsedMemory::of(reply.memories.clone());
        self.respond(reply.text.clone(), memories, reply.degraded.clone()).await;
    }

    async fn respond(&mut self, text: String, memories: Vec<UsedMemory>, degraded: Vec<&'static str>) {
        if self.send(text_of(&Told::Response { text, memories, degraded })).await {
            self.end(false).await;
        }
    }

    async fn end(&mut self, interrupted: bool) {
        self.send(text_of(&Told::AudioEnd { interrupted })).await;
    }

    async fn fail(&mut self, error: AppError) {
        let (status, told) = report(&error.into());
        logged::log(&told, status, Some(self.around.request_id.as_str()), "A spoken turn");
        self.send(text_of(&Told::Error { message: told.message, code: told.code })).await;
    }

    /// False when nobody takes it.
    async fn send(&mut self, out: Out) -> bool {
        let sending = async {
            match out {
                Out::Text(text) => self.sender.text(text).await,
                Out::Sound(piece) => self.sender.binary(piece).await,
            }
        };
        matches!(tokio::time::timeout(LONGEST_SEND, sending).await, Ok(Ok(())))
    }
}

fn text_of(told: &Told) -> Out {
    Out::Text(told.json())
}
