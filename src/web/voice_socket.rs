//! The voice socket: recordings come in pieces, replies go out as text and sound while they are made, and an interruption
//! takes effect at once.
//!
//! Bounds: `MAX_VOICE_SOCKETS` in all and 8 for each client address; a message of 1 MiB, or `MAX_REQUEST_SIZE` where that is
//! less; a recording of `MAX_REQUEST_SIZE`, both in the budget of request bodies; one turn at a time and one recording that waits
//! for its end, and 8 that were interrupted; 32 messages wait for a slow reader, then the turn does. Who does not answer for 60 s is let go.

use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, web};
use actix_ws::{AggregatedMessage, CloseCode, CloseReason};
use serde::Deserialize;

use crate::app::{App, AppError};
use crate::domain::person::PersonToken;
use crate::domain::session::SessionId;
use crate::telemetry::metrics::{BodyRefusal, Metrics};
use crate::web::byte_budget::ByteBudget;
use crate::web::error::ApiError;
use crate::web::middleware::payload_limit::MaxRequestBytes;
use crate::web::middleware::rate_limit::RateLimits;
use crate::web::middleware::request_id::RequestId;
use crate::web::openapi::ErrorBody;
use crate::web::person::PresentedToken;
use crate::web::proxies::client_of;

mod alive;
mod answer;
mod collected;
mod conversation;
mod incoming;
mod messages;
mod places;

use alive::{Alive, Due};
use conversation::Conversation;
use incoming::{Messages, budgeted};
pub use places::VoiceSockets;

const MOST_MESSAGE: u64 = 1 << 20;

/// The query of `GET /voice/ws`.
#[derive(Deserialize)]
pub struct SocketQuery {
    session_id: Option<String>,
}

/// What one socket has to do with.
#[derive(Clone)]
pub(crate) struct Around {
    app: Arc<App>,
    metrics: web::Data<Metrics>,
    budget: web::Data<ByteBudget>,
    rates: Option<web::Data<RateLimits>>,
    client: std::net::IpAddr,
    session: SessionId,
    token: Option<PersonToken>,
    request_id: String,
    most_bytes: u64,
}

/// Talks over a WebSocket: JSON text and binary sound, both ways.
#[utoipa::path(
    get,
    path = "/api/v1/voice/ws",
    params(("session_id" = SessionId, Query, description = "The conversation")),
    responses(
        (status = 101, description = "The socket is open. Sent: `start_listening`, binary sound, `stop_listening`, `interrupt`, `first_sound`. \
          Received: `connected`, `transcription`, `response_delta`, `response`, `audio_start`, binary sound, `audio_end`, `error`"),
        (status = 403, description = "A page of another site may not do this", body = ErrorBody),
        (status = 404, description = "No such session", body = ErrorBody),
    ),
)]
pub async fn socket(
    app: web::Data<App>,
    sockets: web::Data<VoiceSockets>,
    query: web::Query<SocketQuery>,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, ApiError> {
    let wrong = |field, message: &str| ApiError::Invalid { field, message: message.to_owned() };
    let session = query.session_id.as_deref().ok_or_else(|| wrong("session_id", "is missing"))?;
    let session = session.parse().map_err(|_| AppError::SessionNotFound)?;
    let client = client_of(&request).ok_or(ApiError::NotFound)?;
    app.check_session(session).await?;
    let place = sockets.enter(client)?;
    let around = around(&request, app.into_inner(), client, session).ok_or(ApiError::NotFound)?;
    let most = usize::try_from(around.most_bytes.min(MOST_MESSAGE)).unwrap_or(usize::MAX);
    let of_client = (around.budget.clone(), client);
    let (payload, budgeted) =
        budgeted(&request, payload, most, of_client).await.map_err(|_| ApiError::BrokenBody)?;
    let (response, sender, frames) = actix_ws::handle(&request, payload)
        .map_err(|_| wrong("upgrade", "must be the handshake of a WebSocket"))?;
    let messages = budgeted.messages(frames);
    tracing::info!(event = "voice_socket_opened", session = session.short(), "A voice socket was opened");
    actix_web::rt::spawn(async move {
        let reason = converse(around, sender.clone(), messages).await;
        drop(sender.close(reason).await);
        drop(place);
        tracing::info!(event = "voice_socket_closed", session = session.short(), "A voice socket was closed");
    });
    Ok(response)
}

fn around(
    request: &HttpRequest,
    app: Arc<App>,
    client: std::net::IpAddr,
    session: SessionId,
) -> Option<Around> {
    let request_id = RequestId::of(request).map(|id| id.as_str().to_owned()).unwrap_or_default();
    Some(Around {
        app,
        metrics: request.app_data::<web::Data<Metrics>>()?.clone(),
        budget: request.app_data::<web::Data<ByteBudget>>()?.clone(),
        rates: request.app_data::<web::Data<RateLimits>>().cloned(),
        client,
        session,
        token: PresentedToken::of(request).token,
        request_id,
        most_bytes: request.app_data::<MaxRequestBytes>().map_or(0, |most| most.0),
    })
}

/// Serves the socket until one side has enough; why it is closed.
async fn converse(around: Around, sender: actix_ws::Session, mut messages: Messages) -> Option<CloseReason> {
    let (app, metrics) = (around.app.clone(), around.metrics.clone());
    let mut conversation = Conversation::new(around, sender);
    if !conversation.greet().await {
        return None;
    }
    let mut alive = Alive::new();
    loop {
        tokio::select! {
            message = messages.next() => {
                alive.heard();
                match message {
                    Some(Ok(message)) => if !conversation.take(message).await { return None },
                    Some(Err(code)) => {
                        count_refusal(&metrics, code);
                        return closing(code);
                    }
                    None => return None,
                }
            }
            () = conversation.turn_ended() => if !conversation.go_on().await { return None },
            due = alive.due() => {
                if due == Due::LetGo || !conversation.ping().await {
                    return closing(CloseCode::Away);
                }
            }
            () = app.stopping(), if !conversation.is_busy() => return closing(CloseCode::Away),
        }
    }
}

fn count_refusal(metrics: &Metrics, code: CloseCode) {
    if code == CloseCode::Size {
        metrics.refused_body(BodyRefusal::GrewTooLarge);
    } else if code == CloseCode::Again {
        metrics.refused_body(BodyRefusal::NoRoom);
    }
}

fn closing(code: CloseCode) -> Option<CloseReason> {
    Some(code.into())
}

/// True for what ends the socket or is for the protocol alone.
fn is_close(message: &AggregatedMessage) -> bool {
    matches!(message, AggregatedMessage::Close(_))
}
