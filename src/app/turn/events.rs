//! What a turn is asked for, and what it tells while it runs.

use tokio::sync::mpsc;

use crate::app::AppError;
use crate::domain::chat::Pace;
use crate::domain::memory::MemoryId;
use crate::domain::person::PersonToken;
use crate::domain::session::{CheckpointId, SessionId, TurnId};

/// What a client asks for.
#[derive(Clone)]
pub struct TurnRequest {
    /// In which conversation.
    pub session: SessionId,
    /// What the person said.
    pub message: String,
    /// The token of whoever asks, if one came; without it nobody's memories take part.
    pub token: Option<PersonToken>,
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
    /// What was remembered for it, best first: ids and texts.
    pub memories: Vec<(MemoryId, String)>,
    /// What did not work this time.
    pub degraded: Vec<&'static str>,
    /// How long what took.
    pub timings: Timings,
}

/// Milliseconds of each stage; all zero when the answer had been kept before.
#[derive(Debug, Clone, Copy, Default, serde::Serialize, utoipa::ToSchema)]
pub struct Timings {
    /// To find what is remembered.
    pub memory_retrieval_ms: f64,
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
