//! A language model behind any OpenAI-compatible API: `POST chat/completions`, streamed.
//!
//! Bounds: an event has 64 KiB, a reply 32 KiB (what comes after that is not waited for), what is thought before it 256 KiB;
//! `LLM_TIMEOUT_SECONDS` of silence, 1 s once the model has said that it is done, `WORKFLOW_TIMEOUT_SECONDS` in all. Dropping a
//! reply closes its connection. A server that refuses to be asked for a shape is not asked for any for an hour.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::future::{self, BoxFuture};
use futures_util::{FutureExt, StreamExt, TryStreamExt, stream};
use hyper::header::HeaderValue;
use serde::{Deserialize, Serialize};

use crate::adapters::upstream::{Ask, EventReader, Repeat, Reply, Upstream, UpstreamError};
use crate::domain::chat::{ChatError, ChatModel, Prompt, ReplyStream, ServiceState, Shape, SmallModel};
use crate::domain::prompt::{self, Message};
use crate::domain::thinking::Thinking;

mod content;
mod shape;

use shape::{ResponseFormat, Shapeless};

/// A reply that goes on after so much is one that has lost its way.
const MOST_REPLY_BYTES: usize = 32 * 1024;
/// So do thoughts; they are no part of the reply.
const MOST_THOUGHT_BYTES: usize = 256 * 1024;
/// For what comes after the model has said that it is done: how much was used, and the server's own mark.
const LONGEST_END: Duration = Duration::from_secs(1);
/// What stands round the words of a message, and of all of them, in a request: names, quotes, a few escapes.
const ROUND_A_MESSAGE: usize = 128;
/// A shape has less.
const ROOM_FOR_A_SHAPE: usize = 1024;
/// When whoever finds all connections in use may try again.
const BUSY_FOR: Duration = Duration::from_secs(2);

/// The model that answers.
pub struct LanguageModel {
    upstream: Arc<Upstream>,
    model: String,
    shapeless: Arc<Shapeless>,
}

#[derive(Serialize)]
struct Completion<'a> {
    model: &'a str,
    messages: &'a [Message<'a>],
    stream: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_format: Option<ResponseFormat<'a>>,
}

/// One event of a streamed completion, as far as it is of use.
#[derive(Deserialize)]
struct Chunk {
    /// None, or an empty list, where the event tells how much was used.
    choices: Option<Vec<Choice>>,
    error: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
struct Choice {
    delta: Option<Delta>,
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct Delta {
    #[serde(default, deserialize_with = "content::words")]
    content: String,
}

impl LanguageModel {
    /// The model of this name at this upstream.
    #[must_use]
    pub fn new(upstream: Arc<Upstream>, model: String) -> Self {
        Self { upstream, model, shapeless: Arc::default() }
    }
}

impl ChatModel for LanguageModel {
    fn reply(&self, prompt: Prompt) -> ReplyStream {
        let messages = prompt::messages(&prompt);
        told(begin(self.upstream.clone(), written(&self.model, &messages, None)))
    }

    fn state(&self) -> ServiceState {
        self.upstream.state()
    }
}

impl SmallModel for LanguageModel {
    fn complete(
        &self,
        messages: Vec<Message<'static>>,
        shape: Option<&'static Shape>,
    ) -> BoxFuture<'static, Result<String, ChatError>> {
        let (upstream, model, shapeless) =
            (self.upstream.clone(), self.model.clone(), self.shapeless.clone());
        let begin = async move {
            let ask = |shape| begin(upstream.clone(), written(&model, &messages, shape));
            let Some(shape) = shape.filter(|_| !shapeless.is_known(Instant::now())) else {
                return ask(None).await;
            };
            match ask(Some(shape)).await {
                Err(error) if shape::may_be_refused(&error) => {
                    // Where it refuses this, too, it was not for the shape.
                    let words = ask(None).await?;
                    shapeless.note(Instant::now());
                    Ok(words)
                }
                begun => begun,
            }
        };
        told(begin).try_fold(String::new(), |text, word| future::ready(Ok(text + &word))).boxed()
    }
}

/// Asks a model.
async fn begin(upstream: Arc<Upstream>, body: serde_json::Result<Vec<u8>>) -> Result<Words, UpstreamError> {
    let body = body.map_err(|_| UpstreamError::Garbage("the request cannot be written"))?;
    let ask = Ask::post("chat/completions", HeaderValue::from_static("application/json"), body);
    // It says nothing until it is answered, and costs nothing when it is not.
    Words::of(upstream.send(&ask, Repeat::Safe).await?)
}

/// Its words, as they come.
fn told(begin: impl Future<Output = Result<Words, UpstreamError>> + Send + 'static) -> ReplyStream {
    let told = stream::once(begin).flat_map(|begun| match begun {
        Ok(words) => stream::unfold(Some(words), next).boxed(),
        Err(error) => stream::iter([Err(error.into())]).boxed(),
    });
    told.boxed()
}

/// What is asked as JSON, for which there is room from the beginning: it holds all that the model is told.
fn written(model: &str, messages: &[Message<'_>], shape: Option<&Shape>) -> serde_json::Result<Vec<u8>> {
    let content: usize = messages.iter().map(|message| message.content.len() + ROUND_A_MESSAGE).sum();
    let room = content + ROUND_A_MESSAGE + shape.map_or(0, |_| ROOM_FOR_A_SHAPE);
    let mut body = Vec::with_capacity(room);
    let response_format = shape.map(ResponseFormat::of);
    serde_json::to_writer(&mut body, &Completion { model, messages, stream: true, response_format })?;
    Ok(body)
}

/// After a failure nothing more comes.
async fn next(words: Option<Words>) -> Option<(Result<String, ChatError>, Option<Words>)> {
    let mut words = words?;
    match words.next().await {
        Ok(Some(word)) => Some((Ok(word), Some(words))),
        Ok(None) => {
            words.close();
            None
        }
        Err(error) => Some((Err(error.into()), None)),
    }
}

/// A reply that comes.
struct Words {
    reply: Reply,
    reader: EventReader,
    events: VecDeque<Vec<u8>>,
    /// What it said, beside what it thought.
    said: usize,
    thought: usize,
    thinking: Thinking,
    /// The model has said that it is done: until when more is waited for.
    finished: Option<Instant>,
    /// So has the server, or what it says by now is of no use.
    closed: bool,
}

impl Words {
    fn of(mut reply: Reply) -> Result<Self, UpstreamError> {
        if reply.content_type().as_deref() != Some("text/event-stream") {
            return Err(reply.garbage("it is no stream of events"));
        }
        let (reader, events, thinking) = (EventReader::default(), VecDeque::new(), Thinking::default());
        Ok(Self { reply, reader, events, said: 0, thought: 0, thinking, finished: None, closed: false })
    }

    /// The next piece of the text, never an empty one; `None` at its end.
    async fn next(&mut self) -> Result<Option<String>, UpstreamError> {
        while !self.closed && self.said < MOST_REPLY_BYTES {
            let Some(word) = self.word().await? else { break };
            let said = self.thinking.push(&word);
            self.thought += word.len().saturating_sub(said.len());
            if !said.is_empty() {
                self.said += said.len();
                return Ok(Some(said));
            }
            if self.thought > MOST_THOUGHT_BYTES {
                return Err(self.reply.says_nothing("it only thinks"));
            }
        }
        if !self.closed && self.finished.is_none() && self.said < MOST_REPLY_BYTES {
            return Err(self.reply.broke_off());
        }
        let rest = self.thinking.finish();
        if !rest.is_empty() {
            self.said += rest.len();
            return Ok(Some(rest));
        }
        if self.said > 0 { Ok(None) } else { Err(self.reply.says_nothing("there is no text in it")) }
    }

    /// The next word that the model writes, thoughts among them; `None` at the end. Once the model is done, nothing that comes is
    /// wrong enough to lose what it said.
    async fn word(&mut self) -> Result<Option<String>, UpstreamError> {
        while !self.closed {
            let taken = if let Some(event) = self.events.pop_front() {
                self.take(&event)
            } else if let Some(piece) = self.piece().await? {
                let fed = self.reader.feed(&piece, &mut self.events);
                fed.map(|()| None).map_err(|_| "an event is too long")
            } else {
                break;
            };
            match taken {
                Ok(None) => {}
                Ok(word) => return Ok(word),
                Err(_) if self.finished.is_some() => self.closed = true,
                Err(what) => return Err(self.reply.garbage(what)),
            }
        }
        Ok(None)
    }

    async fn piece(&mut self) -> Result<Option<Bytes>, UpstreamError> {
        match self.finished {
            Some(until) => Ok(self.reply.piece_behind(until).await),
            None => self.reply.piece().await,
        }
    }

    fn take(&mut self, event: &[u8]) -> Result<Option<String>, &'static str> {
        match event.trim_ascii() {
            b"[DONE]" => {
                self.closed = true;
                return Ok(None);
            }
            // It keeps the connection awake.
            b"" => return Ok(None),
            _ => {}
        }
        let chunk: Result<Chunk, _> = serde_json::from_slice(event);
        let chunk = chunk.map_err(|_| "an event is not as it should be")?;
        if chunk.error.is_some() {
            return Err("it failed in the middle");
        }
        let Some(choice) = chunk.choices.into_iter().flatten().next() else { return Ok(None) };
        if choice.finish_reason.is_some() {
            // There are some that say so with each word.
            self.finished = Some(Instant::now() + LONGEST_END);
        }
        Ok(choice.delta.map(|delta| delta.content).filter(|word| !word.is_empty()))
    }

    /// Lets the connection be used again.
    fn close(self) {
        if self.closed {
            self.reply.is_enough();
        }
    }
}

impl From<UpstreamError> for ChatError {
    fn from(error: UpstreamError) -> Self {
        let why = error.to_string();
        match error {
            UpstreamError::TimedOut(_) => Self::TimedOut(why),
            UpstreamError::Nothing(_)
            | UpstreamError::Garbage(_)
            | UpstreamError::Refused { status: 400 | 413 | 422, .. } => Self::NoAnswer(why),
            UpstreamError::Busy => Self::Unavailable { why, retry_after: Some(BUSY_FOR) },
            UpstreamError::Unreachable(_)
            | UpstreamError::Refused { .. }
            | UpstreamError::CircuitOpen { .. } => {
                Self::Unavailable { why, retry_after: error.retry_after() }
            }
        }
    }
}
