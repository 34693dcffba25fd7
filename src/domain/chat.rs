//! What a conversation is made of: what a model is given to answer, and whoever answers it.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;

use crate::domain::clock::Timestamp;
use crate::domain::memory::wishes::Done;
pub use crate::domain::persona::{Crisis, Persona};
use crate::domain::prompt::Message;

/// One earlier turn of the conversation.
#[derive(Clone, PartialEq, Eq)]
pub struct Exchange {
    /// What the person said.
    pub said: String,
    /// What the companion answered; empty where it was interrupted before a word of it was heard.
    pub answered: String,
}

/// Whether someone watches the reply appear.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// Each piece is shown as it comes.
    Live,
    /// Only the whole reply is of use.
    Whole,
}

/// Everything a model needs to answer one turn.
#[derive(Clone)]
pub struct Prompt {
    /// Who answers.
    pub persona: Arc<Persona>,
    /// What is known of the person from earlier conversations, the most useful first.
    pub memories: Vec<String>,
    /// What was said in this conversation before `history`.
    pub summary: Option<Arc<str>>,
    /// The most recent earlier turns, oldest first.
    pub history: Arc<Vec<Exchange>>,
    /// What the person said now.
    pub said: String,
    /// When they said it.
    pub said_at: Timestamp,
    /// What is done about what they want to be done with what they say; nothing where nobody's memories are touched.
    pub done: Vec<Done>,
    /// How the reply is used.
    pub pace: Pace,
}

/// Why there is no reply.
#[derive(Debug, thiserror::Error)]
pub enum ChatError {
    /// The model cannot be reached or refuses to answer now.
    #[error("the language model is not available: {why}")]
    Unavailable {
        /// For the log; nothing that was said is in it.
        why: String,
        /// When it is worth asking again, if that is known.
        retry_after: Option<Duration>,
    },
    /// It is there, and what comes is no answer to this: nothing, or something else, or that it cannot be asked so.
    #[error("the language model gives no answer to this: {0}")]
    NoAnswer(String),
    /// The model did not answer in time.
    #[error("the language model did not answer in time: {0}")]
    TimedOut(String),
}

/// The pieces of a reply, as they are made. Put together, they are the whole text.
pub type ReplyStream = BoxStream<'static, Result<String, ChatError>>;

/// What health says of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ServiceState {
    /// It answers.
    Connected,
    /// It was set up and does not answer.
    Disconnected,
    /// It was not set up.
    NotConfigured,
    /// Built in; needs no network.
    Offline,
}

/// Whoever answers: a real model behind the network, or the built-in offline companion.
pub trait ChatModel: Send + Sync {
    /// Begins to answer `prompt`. Dropping the stream stops the work.
    fn reply(&self, prompt: Prompt) -> ReplyStream;

    /// How the model is, from what is already known; never waits.
    fn state(&self) -> ServiceState;
}

/// The form that an answer is to have.
pub struct Shape {
    /// What it is called.
    pub name: &'static str,
    /// A JSON schema, of the strict kind: every object names all it has, and has nothing else.
    pub schema: serde_json::Value,
}

/// A model for small work that nobody waits for: summaries.
pub trait SmallModel: Send + Sync {
    /// Answers `messages`, in this shape where there is one and the server can hold its model to it: what comes has to be looked at
    /// all the same. Dropping the future stops the work.
    fn complete(
        &self,
        messages: Vec<Message<'static>>,
        shape: Option<&'static Shape>,
    ) -> BoxFuture<'static, Result<String, ChatError>>;
}
