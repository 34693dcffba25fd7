//! Hearing and speaking: whoever turns a recording into words, and words into sound.

use std::net::IpAddr;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;

use crate::domain::audio::AudioFormat;
use crate::domain::chat::ServiceState;

/// What somebody said, as it was recorded.
#[derive(Clone)]
pub struct Recording {
    /// The whole file.
    pub bytes: Bytes,
    /// What it is, by its bytes.
    pub format: AudioFormat,
}

/// Why nothing was heard or spoken.
#[derive(Debug, thiserror::Error)]
pub enum SpeechError {
    /// The service cannot be reached, refuses, or was not set up.
    #[error("the speech service is not available: {why}")]
    Unavailable {
        /// For the log; nothing that was said is in it.
        why: String,
        /// When it is worth asking again, if that is known.
        retry_after: Option<Duration>,
    },
    /// It did not answer in time.
    #[error("the speech service did not answer in time")]
    TimedOut,
    /// The disk has no room for what has to be written down meanwhile.
    #[error("there is no room on the disk for it")]
    NoRoom,
    /// It cannot make anything of this recording.
    #[error("the recording cannot be understood: {0}")]
    Unreadable(String),
}

impl SpeechError {
    /// It is not available, for this reason.
    #[must_use]
    pub fn unavailable(why: impl Into<String>) -> Self {
        Self::Unavailable { why: why.into(), retry_after: None }
    }
}

/// Turns recordings into words.
pub trait Transcriber: Send + Sync {
    /// What is said in what this client sent; empty when nothing is. Dropping the future stops the work.
    fn transcribe(
        &self,
        recording: Recording,
        client: Option<IpAddr>,
    ) -> BoxFuture<'static, Result<String, SpeechError>>;

    /// How the service is, from what is already known; never waits.
    fn state(&self) -> ServiceState;
}

/// The bytes of one audio file as they are made; put together, they are the whole file.
pub type AudioStream = BoxStream<'static, Result<Bytes, SpeechError>>;

/// Turns words into sound.
pub trait Synthesizer: Send + Sync {
    /// Speaks `text` to this client. Dropping the stream stops the work.
    fn speak(&self, text: String, client: Option<IpAddr>) -> AudioStream;

    /// How the service is, from what is already known; never waits.
    fn state(&self) -> ServiceState;
}
