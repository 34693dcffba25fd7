//! What a turn tells while it runs, and what it leaves.

use bytes::Bytes;
use tokio::sync::mpsc;

use crate::app::AppError;
use crate::domain::audio::{AudioFormat, AudioId};
use crate::domain::heard::Spoken;
use crate::domain::memory::MemoryId;
use crate::domain::session::{Checkpoint, CheckpointId, SessionId};

/// What a turn tells while it runs; the last event is `Done`, `Silence` or `Failed`.
pub enum TurnEvent {
    /// What the recording says.
    Heard(String),
    /// The next piece of the reply.
    Token(String),
    /// A sentence of the reply can be heard.
    Audio {
        /// Its sound.
        id: AudioId,
        /// Its place among them, from 0.
        index: u32,
    },
    /// The sound of a sentence begins.
    SoundBegins {
        /// Its place among them, from 0.
        index: u32,
        /// What the sound is.
        format: AudioFormat,
        /// The sentence.
        text: String,
    },
    /// The next piece of its sound.
    Sound(Bytes),
    /// The turn is kept.
    Done(TurnReply),
    /// Nothing was said, so nothing is kept.
    Silence(SilenceReply),
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
    /// What the person said.
    pub said: String,
    /// The whole reply; of one that was interrupted what was heard of it.
    pub text: String,
    /// The reply as sound, where it is kept.
    pub audio: Option<AudioId>,
    /// Its sentences, where they were spoken one by one.
    pub spoken: Vec<Spoken>,
    /// It was kept before, and is told again.
    pub is_again: bool,
    /// What was remembered for it, best first: ids and texts.
    pub memories: Vec<(MemoryId, String)>,
    /// What did not work this time.
    pub degraded: Vec<&'static str>,
    /// How long what took.
    pub timings: Timings,
}

impl TurnReply {
    /// What is told of a turn that is kept.
    pub(super) fn of(session: SessionId, kept: Checkpoint, timings: Timings) -> Self {
        Self {
            session,
            checkpoint: kept.id,
            said: kept.said,
            text: kept.answered,
            audio: kept.audio,
            spoken: Vec::new(),
            is_again: false,
            memories: Vec::new(),
            degraded: Vec::new(),
            timings,
        }
    }
}

/// What is answered to silence.
pub struct SilenceReply {
    /// Gentle words; empty when there were some just before.
    pub text: String,
    /// The same as sound, for a few minutes.
    pub audio: Option<AudioId>,
    /// What did not work this time.
    pub degraded: Vec<&'static str>,
    /// How long what took.
    pub timings: Timings,
}

/// Milliseconds of each stage; all zero when the answer had been kept before.
#[derive(Debug, Clone, Copy, Default, serde::Serialize, utoipa::ToSchema)]
pub struct Timings {
    /// Until the recording was understood.
    pub stt_ms: f64,
    /// To find what is remembered.
    pub memory_retrieval_ms: f64,
    /// Until the model's first piece.
    pub first_token_ms: f64,
    /// Until the model's last piece.
    pub llm_generation_ms: f64,
    /// Until the first sound.
    pub first_audio_ms: f64,
    /// Speaking, all sentences together, some of it while the model wrote.
    pub tts_ms: f64,
    /// Writing sound to disk.
    pub audio_save_ms: f64,
    /// Until the turn was on disk, after the model's last piece and the last sound.
    pub commit_ms: f64,
    /// All of it.
    pub total_ms: f64,
}

/// The events of one turn. Dropping it is how a client goes away.
pub type TurnEvents = mpsc::Receiver<TurnEvent>;
