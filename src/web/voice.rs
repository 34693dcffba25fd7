//! Talking over HTTP: a recording in, a spoken reply out; and any text as speech.

use std::time::Instant;

use actix_web::http::header::{CONTENT_TYPE, HeaderName};
use actix_web::{HttpRequest, HttpResponse, web};
use futures_util::TryStreamExt;
use serde::Serialize;
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, SchemaFormat, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::app::turn::{SilenceReply, Timings, TurnEvent, TurnReply, TurnRequest, Voice};
use crate::app::{App, AppError, audio};
use crate::domain::audio::{AudioFormat, AudioId};
use crate::domain::session::{SessionId, TurnId};
use crate::domain::speech::Recording;
use crate::telemetry::metrics::Metrics;
use crate::web::chat::UsedMemory;
use crate::web::error::ApiError;
use crate::web::form::Form;
use crate::web::metrics::count_stages;
use crate::web::middleware::body_budget::{done_with_body, with_place};
use crate::web::openapi::{Binary, ErrorBody};
use crate::web::person::PresentedToken;
use crate::web::proxies::client_of;
use crate::web::server_timing;

/// The form of `POST /voice/process`.
pub struct RecordingForm;

/// The form of `POST /voice/stream-tts`.
pub struct TextForm;

impl ToSchema for RecordingForm {}
impl ToSchema for TextForm {}

/// What is asked for and up to 13 other fields that are not looked at: that cannot be derived.
fn form_of(name: &str, what: ObjectBuilder) -> ObjectBuilder {
    let conversation = uuid("The conversation");
    let names = ObjectBuilder::new().schema_type(Type::String).pattern(Some("^[A-Za-z0-9_.-]{1,64}$"));
    ObjectBuilder::new()
        .property(name, what)
        .property("session_id", conversation)
        .required(name)
        .required("session_id")
        .property_names(Some(names))
        .max_properties(Some(16))
}

fn uuid(what: &str) -> ObjectBuilder {
    let uuid = ObjectBuilder::new().schema_type(Type::String).description(Some(what));
    uuid.format(Some(SchemaFormat::Custom("uuid".to_owned())))
}

impl PartialSchema for RecordingForm {
    fn schema() -> RefOr<Schema> {
        let sound = ObjectBuilder::new().schema_type(Type::String);
        let sound = sound.format(Some(SchemaFormat::KnownFormat(KnownFormat::Binary)));
        let told = "WAV, MP3, WebM, M4A, OGG or FLAC, told by its bytes";
        let named = uuid("Names the turn: sent again, it is answered with what was kept");
        form_of("audio", sound.description(Some(told))).property("turn_id", named).into()
    }
}

impl PartialSchema for TextForm {
    fn schema() -> RefOr<Schema> {
        let text = ObjectBuilder::new().schema_type(Type::String).max_length(Some(8000));
        let text = text.pattern(Some("[A-Za-z0-9]"));
        let told = "What is to be spoken; at most MAX_MESSAGE_CHARS (8000) characters";
        form_of("text", text.description(Some(told))).into()
    }
}

/// A spoken reply.
#[derive(Serialize, ToSchema)]
struct SpokenBody {
    /// The reply; empty when nothing was said, and had not been just before either.
    text: String,
    /// Where it can be heard; `null` when it could not be spoken.
    #[schema(required = true)]
    audio_url: Option<String>,
    session_id: SessionId,
    /// What was understood.
    transcription: String,
    /// What was remembered of the person for the reply, best first; left out when that was nothing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    memories: Vec<UsedMemory>,
    /// What did not work this time.
    degraded: Vec<&'static str>,
    timings: VoiceTimings,
}

/// Milliseconds of each stage.
#[derive(Serialize, ToSchema, Default)]
struct VoiceTimings {
    /// Telling what the recording is.
    audio_validation_ms: f64,
    /// Understanding it.
    stt_ms: f64,
    /// From then until the reply was whole.
    workflow_ms: f64,
    /// Speaking it.
    tts_ms: f64,
    /// Writing the sound to disk.
    audio_save_ms: f64,
    /// All of it, from when the recording was there.
    total_ms: f64,
    /// Finding what is remembered.
    memory_retrieval_ms: f64,
    /// Writing the reply.
    llm_generation_ms: f64,
    /// Always 0: what is to be remembered is learned after the reply.
    memory_extraction_ms: f64,
}

/// Hears what is said in a recording and answers it in words and sound.
#[utoipa::path(
    post,
    path = "/api/v1/voice/process",
    request_body(content = RecordingForm, content_type = "multipart/form-data"),
    responses(
        (status = 200, description = "The reply", body = SpokenBody,
         headers(("Server-Timing" = String, description = "The stages and how long they took"))),
        (status = 404, description = "No such session", body = ErrorBody),
        (status = 409, description = "Enough turns wait in this session", body = ErrorBody),
        (status = 422, description = "A field is missing", body = ErrorBody),
        (status = 504, description = "It took too long to hear or to answer", body = ErrorBody),
    ),
)]
pub async fn process(
    app: web::Data<App>,
    metrics: web::Data<Metrics>,
    request: HttpRequest,
    presented: PresentedToken,
    payload: web::Payload,
) -> Result<HttpResponse, ApiError> {
    let mut form = Form::read(&request, payload.into_inner(), &["audio", "session_id", "turn_id"]).await?;
    let began = Instant::now();
    let bytes = with_place(&request, form.bytes("audio")?);
    let session = session_id(&form.text("session_id")?)?;
    let turn_id = form.text_if_given("turn_id")?.map(|id| turn_id(&id)).transpose()?;
    let turn = TurnRequest::recorded(client_of(&request), session, recording(bytes)?, Voice::Whole);
    let validation_ms = millis(began);
    let turn = TurnRequest { token: presented.token, turn: turn_id, ..turn };
    let mut events = app.into_inner().begin_turn(turn).await?;
    while let Some(event) = events.recv().await {
        let mut body = match event {
            TurnEvent::Done(reply) => spoken(reply),
            TurnEvent::Silence(reply) => unsaid(session, reply),
            TurnEvent::Failed(error) => return Err(error.into()),
            TurnEvent::Heard(_)
            | TurnEvent::Token(_)
            | TurnEvent::Audio { .. }
            | TurnEvent::SoundBegins { .. }
            | TurnEvent::Sound(_) => continue,
        };
        count_stages(&metrics, &body.1);
        body.0.timings.audio_validation_ms = validation_ms;
        body.0.timings.total_ms = millis(began);
        return Ok(HttpResponse::Ok().insert_header(body.0.timings.header()).json(body.0));
    }
    Err(AppError::Unavailable("stopping").into())
}

/// What is no id at all names no session of anyone.
fn session_id(text: &str) -> Result<SessionId, ApiError> {
    text.trim().parse().map_err(|_| AppError::SessionNotFound.into())
}

fn turn_id(text: &str) -> Result<TurnId, ApiError> {
    let wrong = |_| ApiError::Invalid { field: "turn_id", message: "must be a UUID".to_owned() };
    text.trim().parse().map_err(wrong)
}

/// The recording, when it is one.
///
/// # Errors
/// When it is empty or none of the formats.
pub(crate) fn recording(bytes: bytes::Bytes) -> Result<Recording, ApiError> {
    if bytes.is_empty() {
        return Err(ApiError::Invalid { field: "audio", message: "must not be empty".to_owned() });
    }
    let format = AudioFormat::of(&bytes).ok_or(ApiError::NoAudio)?;
    Ok(Recording { bytes, format })
}

fn spoken(reply: TurnReply) -> (SpokenBody, Timings) {
    let body = SpokenBody {
        text: reply.text,
        audio_url: reply.audio.map(audio::url),
        session_id: reply.session,
        transcription: reply.said,
        memories: UsedMemory::of(reply.memories),
        degraded: reply.degraded,
        timings: VoiceTimings::of(&reply.timings),
    };
    (body, reply.timings)
}

fn unsaid(session: SessionId, reply: SilenceReply) -> (SpokenBody, Timings) {
    let url = |id: AudioId| audio::url(id);
    let body = SpokenBody {
        text: reply.text,
        audio_url: reply.audio.map(url),
        session_id: session,
        transcription: String::new(),
        memories: Vec::new(),
        degraded: reply.degraded,
        timings: VoiceTimings::of(&reply.timings),
    };
    (body, reply.timings)
}

impl VoiceTimings {
    fn of(timings: &Timings) -> Self {
        let since_heard = |ms: f64| round((ms - timings.stt_ms).max(0.0));
        Self {
            stt_ms: timings.stt_ms,
            workflow_ms: since_heard(timings.llm_generation_ms),
            tts_ms: timings.tts_ms,
            audio_save_ms: timings.audio_save_ms,
            memory_retrieval_ms: timings.memory_retrieval_ms,
            llm_generation_ms: round(
                (since_heard(timings.llm_generation_ms) - timings.memory_retrieval_ms).max(0.0),
            ),
            ..Self::default()
        }
    }

    fn header(&self) -> (HeaderName, String) {
        server_timing::header(&[
            ("validation", self.audio_validation_ms),
            ("stt", self.stt_ms),
            ("memory", self.memory_retrieval_ms),
            ("llm", self.llm_generation_ms),
            ("tts", self.tts_ms),
            ("save", self.audio_save_ms),
            ("total", self.total_ms),
        ])
    }
}

/// Speaks a text, as the sound is made.
#[utoipa::path(
    post,
    path = "/api/v1/voice/stream-tts",
    request_body(content(
        (TextForm = "multipart/form-data"), (TextForm = "application/x-www-form-urlencoded"),
    )),
    responses(
        (status = 200, description = "The sound", content(
            (Binary = "audio/mpeg"), (Binary = "audio/wav"), (Binary = "audio/ogg"),
            (Binary = "audio/webm"), (Binary = "audio/mp4"), (Binary = "audio/flac"),
        )),
        (status = 404, description = "No such session", body = ErrorBody),
        (status = 422, description = "A field is missing", body = ErrorBody),
        (status = 504, description = "It took too long to speak", body = ErrorBody),
    ),
)]
pub async fn stream_tts(
    app: web::Data<App>,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, ApiError> {
    let mut form = Form::read(&request, payload.into_inner(), &["text", "session_id"]).await?;
    let text = form.text("text")?;
    let session = session_id(&form.text("session_id")?)?;
    done_with_body(&request);
    let (format, sound) = app.speak_aloud(client_of(&request), session, text).await?;
    // The status has been told by then: only the connection's end can tell the client.
    let sound = sound.inspect_err(
        |why| tracing::warn!(event = "speech_failed", cause = %why, "A text was not spoken to its end"),
    );
    Ok(HttpResponse::Ok().insert_header((CONTENT_TYPE, format.mime())).streaming(sound))
}

fn millis(since: Instant) -> f64 {
    round(since.elapsed().as_secs_f64() * 1e3)
}

/// To the microsecond; more digits would only be noise.
pub(crate) fn round(millis: f64) -> f64 {
    (millis * 1e3).round() / 1e3
}
