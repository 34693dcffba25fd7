//! Speaking through services outside: ElevenLabs' streaming endpoint and any OpenAI-compatible `audio/speech`. And what their
//! failures, and those of hearing, mean.
//!
//! Bounds: a longer text is spoken in passages of 4096 characters, one after the other; `TTS_TIMEOUT_SECONDS` for each; 32 MiB
//! of sound. Dropping the sound closes the connection.

use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use hyper::header::{ACCEPT, HeaderValue};
use serde::Serialize;
use serde_json::json;

use super::joining::one_file;
use crate::adapters::upstream::{Ask, Repeat, Reply, Upstream, UpstreamError};
use crate::domain::chat::ServiceState;
use crate::domain::persona::VoiceSettings;
use crate::domain::sentences::{is_speakable, passages};
use crate::domain::speech::{AudioStream, SpeechError, Synthesizer};

/// OpenAI's bound (<https://platform.openai.com/docs/api-reference/audio/createSpeech>); ElevenLabs' begin at 5000.
const MOST_CHARS: usize = 4096;
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
    fn speak(&self, text: String, _: Option<IpAddr>) -> AudioStream {
        // MP3 at 128 kbit/s is what every plan of theirs gives.
        let path = format!("v1/text-to-speech/{}/stream?output_format=mp3_44100_128", self.voice);
        let (model_id, voice_settings) = (&self.model, self.settings.as_ref());
        let ask = |text: &str| {
            let body = ElevenLabsBody { text, model_id, voice_settings };
            Ask::post(&path, JSON, serde_json::to_vec(&body).unwrap_or_default()).with(ACCEPT, MPEG)
        };
        in_passages(&self.upstream, &text, ask)
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
    fn speak(&self, text: String, _: Option<IpAddr>) -> AudioStream {
        let ask = |text: &str| {
            let body =
                json!({"model": self.model, "input": text, "voice": self.voice, "response_format": "mp3"});
            Ask::post("audio/speech", JSON, body.to_string()).with(ACCEPT, MPEG)
        };
        in_passages(&self.upstream, &text, ask)
    }

    fn state(&self) -> ServiceState {
        self.upstream.state()
    }
}

/// Speaks what `ask` asks for each passage of a text, as one file.
fn in_passages(upstream: &Arc<Upstream>, text: &str, ask: impl Fn(&str) -> Ask) -> AudioStream {
    if text.chars().nth(MOST_CHARS).is_none() {
        return sound(upstream.clone(), ask(text));
    }
    let passages = passages(text, MOST_CHARS).into_iter().filter(|passage| is_speakable(passage));
    let asked: Vec<_> = passages.map(|passage| ask(passage.trim())).collect();
    let upstream = upstream.clone();
    // Each is asked for when the one before it has been heard.
    let sounds = stream::iter(asked).map(move |ask| sound(upstream.clone(), ask));
    one_file(sounds.boxed())
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
        | UpstreamError::Nothing(_)
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
        | UpstreamError::Nothing(_)
        | UpstreamError::CircuitOpen { .. }
        | UpstreamError::Busy => of_upstream(error),
    }
}
