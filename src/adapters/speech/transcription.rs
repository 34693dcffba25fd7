//! Hearing through any OpenAI-compatible API: `POST audio/transcriptions`.
//!
//! Bounds: a recording is held twice while it is sent; an answer of 1 MiB; `STT_TIMEOUT` in all.

use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use hyper::header::HeaderValue;
use serde::Deserialize;

use super::outside::{heard_nothing, of_upstream};
use crate::adapters::upstream::{Ask, Repeat, Upstream};
use crate::domain::chat::ServiceState;
use crate::domain::speech::{Recording, SpeechError, Transcriber};
use crate::domain::transcript;

const MOST_ANSWER: usize = 1 << 20;

/// Whoever hears there.
pub(super) struct Transcription {
    pub(super) upstream: Arc<Upstream>,
    pub(super) model: String,
}

/// What is answered, as far as it is of use.
#[derive(Deserialize)]
struct Transcript {
    text: String,
    segments: Option<Vec<Segment>>,
}

#[derive(Deserialize)]
struct Segment {
    no_speech_prob: Option<f32>,
}

impl Transcript {
    /// How probable it is that nobody spoke: in none of the parts, the likeliest counts.
    fn no_speech(&self) -> Option<f32> {
        let told = self.segments.iter().flatten().map(|segment| segment.no_speech_prob);
        told.collect::<Option<Vec<_>>>()?.into_iter().reduce(f32::min)
    }
}

impl Transcriber for Transcription {
    fn transcribe(
        &self,
        recording: Recording,
        _: Option<IpAddr>,
    ) -> BoxFuture<'static, Result<String, SpeechError>> {
        let (upstream, ask) = (self.upstream.clone(), ask(&self.model, &recording));
        async move {
            // It says nothing until it is answered.
            let mut reply =
                upstream.send(&ask?, Repeat::Safe).await.map_err(|error| heard_nothing(&error))?;
            let answer = reply.whole(MOST_ANSWER).await.map_err(|error| of_upstream(&error))?;
            let garbage = |_| of_upstream(&reply.garbage("it is no transcript"));
            let transcript: Transcript = serde_json::from_slice(&answer).map_err(garbage)?;
            Ok(transcript::heard(&transcript.text, transcript.no_speech()).to_owned())
        }
        .boxed()
    }

    fn state(&self) -> ServiceState {
        self.upstream.state()
    }
}

/// The form with the recording under the right name and type: many services go by those, and not by its bytes.
fn ask(model: &str, recording: &Recording) -> Result<Ask, SpeechError> {
    let boundary = format!("companion-{}", uuid::Uuid::new_v4().simple());
    let kind = HeaderValue::from_str(&format!("multipart/form-data; boundary={boundary}"));
    let kind = kind.map_err(|_| SpeechError::unavailable("the request cannot be written"))?;
    Ok(Ask::post("audio/transcriptions", kind, form(&boundary, model, recording)))
}

fn form(boundary: &str, model: &str, recording: &Recording) -> Bytes {
    // Only Whisper's models tell more than the text, and others refuse to be asked.
    let told = if model.contains("whisper") { "verbose_json" } else { "json" };
    let fields = [("model", model), ("response_format", told)];
    let mut head = String::new();
    for (name, value) in fields {
        head.push_str(&format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"
        ));
    }
    let (ending, mime) = (recording.format.extension(), recording.format.mime());
    head.push_str(&format!(
        "--{boundary}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"recording.{ending}\"\r\n\
         Content-Type: {mime}\r\n\r\n"
    ));
    let end = format!("\r\n--{boundary}--\r\n");
    let mut body = Vec::with_capacity(head.len() + recording.bytes.len() + end.len());
    body.extend_from_slice(head.as_bytes());
    body.extend_from_slice(&recording.bytes);
    body.extend_from_slice(end.as_bytes());
    body.into()
}
