//! What a conversation is made of: the persona, the prompt, and whoever answers it.

use std::sync::Arc;

use futures_util::stream::BoxStream;
use serde::Deserialize;

/// Who the companion is. Read from the built-in persona file or the one `PERSONA_FILE` names.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Persona {
    /// The name it goes by.
    pub name: String,
    /// What it is like, in a few sentences, as told to a model.
    pub character: String,
    /// What it says when a session starts; one is chosen. Never empty.
    pub greetings: Vec<String>,
    /// What it says when asked what it is: the honest truth.
    pub honesty: String,
    /// What it says when nothing was heard; one is chosen. Never empty.
    #[serde(default)]
    pub silence: Vec<String>,
    /// What it says when words of self-harm were heard.
    pub crisis: Crisis,
}

impl Persona {
    /// What it says again and again, word for word.
    pub fn phrases(&self) -> impl Iterator<Item = &str> {
        let lists = [&self.greetings, &self.silence, &self.crisis.answers];
        lists.into_iter().flatten().chain([&self.honesty, &self.crisis.help]).map(String::as_str)
    }
}

/// The answer to words of self-harm, whatever a model would say.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Crisis {
    /// Caring words; one is chosen. Never empty.
    pub answers: Vec<String>,
    /// Where people are who help; told after the caring words.
    pub help: String,
}

/// One earlier turn of the conversation.
#[derive(Clone, PartialEq, Eq)]
pub struct Exchange {
    /// What the person said.
    pub said: String,
    /// What the companion answered.
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
    /// The most recent earlier turns, oldest first.
    pub history: Arc<Vec<Exchange>>,
    /// What the person said now.
    pub said: String,
    /// How the reply is used.
    pub pace: Pace,
}

/// Why there is no reply.
#[derive(Debug, thiserror::Error)]
pub enum ChatError {
    /// The model cannot be reached or refuses to answer now.
    #[error("the language model is not available: {0}")]
    Unavailable(String),
    /// The model did not answer in time.
    #[error("the language model did not answer in time")]
    TimedOut,
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
