//! Speaking through services outside: ElevenLabs' streaming endpoint and any OpenAI-compatible `audio/speech`. And what their
//! failures, and those of hearing, mean.
//!
//! Bounds: `TTS_TIMEOUT_SECONDS` for a sentence; 32 MiB of sound. Dropping the sound closes the connection.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use hyper::header::{ACCEPT, HeaderValue};
use serde::Serialize;
use serde_json::json;

use crate::adapters::upstream::{Ask, Repeat, Reply, Upstream, UpstreamError};
use crate::domain::chat::ServiceState;
use crate::domain::persona::VoiceSettings;
use crate::domain::speech::{AudioStream, SpeechError, Synthesizer};

const MOST_SOUND: usize = 32 << 20;
const MPEG: HeaderValue = HeaderValue::from_static("audio/mpeg");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// Speaks with a voice of ElevenLabs'.
pub(super) struct ElevenLabs {
    pub(super) upstream: Arc<Upstream>,
    pub(super) voice: String,
    pub(super) model: String,
    /// `None`: as the voice is set there.
    pub(super) settings: Option<VoiceSettings>,
}

#[derive(Serialize)]
struct ElevenLabsBody<'a> {
    text: &'a str,
    model_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    voice_settings: Option<&'a VoiceSettings>,
}

impl Synthesizer for ElevenLabs {
    fn speak(&self, text: String) -> AudioStream {
        let body =
            ElevenLabsBody { text: &text, model_id: &self.model, voice_settings: self.settings.as_ref() };
        // MP3 at 128 kbit/s is what every plan of theirs gives.
        let path = format!("v1/text-to-speech/{}/stream?output_format=mp3_44100_128", self.voice);
        let ask = Ask::post(&path, JSON, serde_json::to_vec(&body).unwrap_or_default()).with(ACCEPT, MPEG);
        sound(self.upstream.clone(), ask)
    }

    fn state(&self) -> ServiceState {
        self.upstream.state()
    }
}

/// Speaks through an OpenAI-compatible API.
pub(super) struct OpenAiSpeech {
    pub(super) upstream: Arc<Upstream>,
    pub(super) voice: String,
    pub(super) model: String,
}

impl Synthesizer for OpenAiSpeech {
    fn speak(&self, text: String) -> AudioStream {
        let body = json!({"model": self.model, "input": text, "voice": self.voice, "response_format": "mp3"});
        sound(self.upstream.clone(), Ask::post("audio/speech", JSON, body.to_string()).with(ACCEPT, MPEG))
    }

    fn state(&self) -> ServiceState {
        self.upstream.state()
    }
}

fn sound(upstream: Arc<Upstream>, ask: Ask) -> AudioStream {
    let begin = async move {
        // Nothing was heard of it yet.
        let mut reply = upstream.send(&ask, Repeat::Safe).await.map_err(|error| of_upstream(&error))?;
        if reply.content_type().is_some_and(|kind| kind.starts_with("text/") || kind == "application/json") {
            return Err(of_upstream(&reply.garbage("it is no sound")));
        }
        Ok(stream::try_unfold((reply, 0), next))
    };
    stream::once(begin).try_flatten().boxed()
}

async fn next((mut reply, so_far): (Reply, usize)) -> Result<Option<(Bytes, (Reply, usize))>, SpeechError> {
    let piece = reply.piece().await.map_err(|error| of_upstream(&error))?;
    let Some(piece) = piece else { return Ok(None) };
    let so_far = so_far + piece.len();
    if so_far > MOST_SOUND {
        return Err(of_upstream(&reply.garbage("it is too long")));
    }
    Ok(Some((piece, (reply, so_far))))
}

/// What the failure of a service means for whoever wanted to hear or speak.
pub(super) fn of_upstream(error: &UpstreamError) -> SpeechError {
    match error {
        UpstreamError::TimedOut(_) => SpeechError::TimedOut,
        UpstreamError::Unreachable(_)
        | UpstreamError::Refused { .. }
        | UpstreamError::Garbage(_)
        | UpstreamError::CircuitOpen { .. }
        | UpstreamError::Busy => {
            SpeechError::Unavailable { why: error.to_string(), retry_after: error.retry_after() }
        }
    }
}

/// The same for a recording, which may be what is wrong.
pub(super) fn heard_nothing(error: &UpstreamError) -> SpeechError {
    match error {
        UpstreamError::Refused { status: 400 | 413 | 415 | 422, .. } => {
            SpeechError::Unreadable(error.to_string())
        }
        UpstreamError::TimedOut(_)
        | UpstreamError::Unreachable(_)
        | UpstreamError::Refused { .. }
        | UpstreamError::Garbage(_)
        | UpstreamError::CircuitOpen { .. }
        | UpstreamError::Busy => of_upstream(error),
    }
}
