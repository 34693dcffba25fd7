//! A turn over HTTP: whole, or streamed as server-sent events.

use std::time::Duration;

use actix_web::http::header::{Accept, CONTENT_TYPE, Header as _, HeaderName, Quality};
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use futures_util::stream;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::app::turn::{Timings, TurnEvent, TurnEvents, TurnReply, TurnRequest, Voice};
use crate::app::{App, AppError, audio};
use crate::domain::chat::Pace;
use crate::domain::memory::MemoryId;
use crate::domain::session::{CheckpointId, SessionId, TurnId};
use crate::telemetry::metrics::Metrics;
use crate::web::body::JsonBody;
use crate::web::error::{ApiError, logged, report};
use crate::web::metrics::count_stages;
use crate::web::middleware::request_id::RequestId;
use crate::web::openapi::ErrorBody;
use crate::web::person::PresentedToken;
use crate::web::proxies::client_of;
use crate::web::server_timing;
use crate::web::voice::round;

/// A reply that comes faster than it can be sent is sent in packets of so many events.
const EVENTS_PER_PACKET: usize = 32;

/// The head of a streamed reply goes with its first words, unless these take longer: where many turns begin at once, each is
/// to have asked its model before another one's head is sent.
const HEAD_WAITS: Duration = Duration::from_millis(50);

/// The body of `POST /chat`.
#[derive(Deserialize, ToSchema)]
pub struct ChatBody {
    /// The conversation.
    session_id: SessionId,
    /// What is said; at most `MAX_MESSAGE_CHARS` (8000) characters.
    #[schema(
        min_length = 1,
        max_length = 8000,
        pattern = "[^\\t-\\r \\u0085\\u00a0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]"
    )]
    message: String,
    /// Whether the reply is wanted as speech, too.
    #[serde(default)]
    speak: bool,
    /// Names the turn: sent again, it is answered with what was kept.
    turn_id: Option<TurnId>,
}

/// A reply.
#[derive(Serialize, ToSchema)]
struct ReplyBody {
    session_id: SessionId,
    checkpoint_id: CheckpointId,
    /// All of it.
    text: String,
    /// All of it as sound, where that is wanted and was kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    audio_url: Option<String>,
    /// What was remembered of the person for it, best first; left out when that was nothing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    memories: Vec<UsedMemory>,
    /// What did not work this time.
    degraded: Vec<&'static str>,
    timings: Timings,
}

/// A memory that a reply was given.
#[derive(Serialize, ToSchema)]
pub struct UsedMemory {
    /// Its id.
    id: MemoryId,
    /// What it says.
    text: String,
}

impl UsedMemory {
    /// What is told of those that a reply was given: ids and texts.
    pub(crate) fn of(memories: Vec<(MemoryId, String)>) -> Vec<Self> {
        memories.into_iter().map(|(id, text)| Self { id, text }).collect()
    }
}

#[derive(Serialize)]
struct TokenBody {
    text: String,
}

#[derive(Serialize)]
struct AudioBody {
    audio_url: String,
    index: u32,
}

/// Says something and gets the reply, whole or, with `Accept: text/event-stream`, as it is made.
#[utoipa::path(
    post,
    path = "/api/v1/chat",
    request_body = ChatBody,
    responses(
        (status = 200, description = "The reply. Streamed: `token` events, `audio` events where speech is wanted, then one `done` with the reply or `error`",
         headers(("Server-Timing" = String, description = "The stages of a reply that is not streamed, and how long they took")),
         content((ReplyBody = "application/json"), (String = "text/event-stream"))),
        (status = 404, description = "No such session", body = ErrorBody),
        (status = 409, description = "Enough turns wait in this session", body = ErrorBody),
        (status = 504, description = "The companion took too long to answer", body = ErrorBody),
    ),
)]
pub async fn chat(
    app: web::Data<App>,
    metrics: web::Data<Metrics>,
    request: HttpRequest,
    presented: PresentedToken,
    body: JsonBody<ChatBody>,
) -> Result<HttpResponse, ApiError> {
    let ChatBody { session_id, message, speak, turn_id } = body.0;
    let streamed = wants_events(&request);
    let pace = if streamed { Pace::Live } else { Pace::Whole };
    let voice = match (speak, streamed) {
        (false, _) => Voice::Silent,
        (true, false) => Voice::Whole,
        (true, true) => Voice::Sentences,
    };
    let turn = TurnRequest {
        token: presented.token,
        turn: turn_id,
        pace,
        voice,
        ..TurnRequest::written(client_of(&request), session_id, message)
    };
    let mut events = app.into_inner().begin_turn(turn).await?;
    if !streamed {
        let reply = whole(events).await?;
        count_stages(&metrics, &reply.timings);
        return Ok(HttpResponse::Ok().insert_header(stages(&reply.timings)).json(reply_body(reply)));
    }
    let id = RequestId::of(&request).map(|id| id.as_str().to_owned()).unwrap_or_default();
    let first = tokio::time::timeout(HEAD_WAITS, events.recv()).await.ok();
    let body = stream::unfold((first, events, id, metrics), |(first, mut events, id, metrics)| async move {
        let event = match first {
            Some(first) => first?,
            None => events.recv().await?,
        };
        let mut frames = frame(event, &id, &metrics);
        // What is there already goes in the same packet.
        for _ in 1..EVENTS_PER_PACKET {
            let Ok(event) = events.try_recv() else { break };
            frames.push_str(&frame(event, &id, &metrics));
        }
        Some((Ok::<_, std::convert::Infallible>(Bytes::from(frames)), (None, events, id, metrics)))
    });
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "text/event-stream"))
        // Proxies that buffer would hold the words back until the last one.
        .insert_header(("X-Accel-Buffering", "no"))
        .streaming(body))
}

/// What each stage took by itself; the times of a turn are counted from its beginning.
fn stages(timings: &Timings) -> (HeaderName, String) {
    let writing = timings.llm_generation_ms - timings.memory_retrieval_ms;
    server_timing::header(&[
        ("memory", timings.memory_retrieval_ms),
        ("llm", round(writing.max(0.0))),
        ("tts", timings.tts_ms),
        ("save", timings.audio_save_ms),
        ("commit", timings.commit_ms),
        ("total", timings.total_ms),
    ])
}

fn wants_events(request: &HttpRequest) -> bool {
    Accept::parse(request).is_ok_and(|accept| {
        // With a quality of 0 a client says that it does not want them.
        let mut wanted =
            accept.iter().filter(|kind| kind.quality > Quality::ZERO).map(|kind| kind.item.essence_str());
        wanted.any(|kind| kind.eq_ignore_ascii_case("text/event-stream"))
    })
}

async fn whole(mut events: TurnEvents) -> Result<TurnReply, ApiError> {
    while let Some(event) = events.recv().await {
        match event {
            TurnEvent::Done(reply) => return Ok(reply),
            TurnEvent::Failed(error) => return Err(error.into()),
            TurnEvent::Token(_)
            | TurnEvent::Heard(_)
            | TurnEvent::Audio { .. }
            | TurnEvent::SoundBegins { .. }
            | TurnEvent::Sound(_)
            | TurnEvent::Silence(_) => {}
        }
    }
    Err(AppError::Unavailable("stopping").into())
}

fn reply_body(reply: TurnReply) -> ReplyBody {
    ReplyBody {
        session_id: reply.session,
        checkpoint_id: reply.checkpoint,
        text: reply.text,
        audio_url: reply.audio.map(audio::url),
        memories: UsedMemory::of(reply.memories),
        degraded: reply.degraded,
        timings: reply.timings,
    }
}

fn frame(event: TurnEvent, request_id: &str, metrics: &Metrics) -> String {
    let (name, data) = match event {
        TurnEvent::Token(text) => ("token", json(&TokenBody { text })),
        TurnEvent::Audio { id, index } => ("audio", json(&AudioBody { audio_url: audio::url(id), index })),
        TurnEvent::Done(reply) => {
            count_stages(metrics, &reply.timings);
            ("done", json(&reply_body(reply)))
        }
        TurnEvent::Failed(error) => ("error", failure(error, request_id)),
        // Not of turns that are written and streamed as text.
        TurnEvent::Heard(_) | TurnEvent::SoundBegins { .. } | TurnEvent::Sound(_) | TurnEvent::Silence(_) => {
            return String::new();
        }
    };
    ["event: ", name, "\ndata: ", &data, "\n\n"].concat()
}

fn json(body: &impl Serialize) -> String {
    serde_json::to_string(body).unwrap_or_default()
}

fn failure(error: AppError, request_id: &str) -> String {
    let (status, told) = report(&error.into());
    logged::log(&told, status, Some(request_id), "A streamed turn");
    told.body(request_id)
}
