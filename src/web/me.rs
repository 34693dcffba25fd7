//! What a person can ask about themselves: who am I here, give me everything, forget me.

use actix_web::http::header::CONTENT_DISPOSITION;
use actix_web::{HttpMessage, HttpRequest, HttpResponse, web};
use futures_util::stream;
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::export::READ_AHEAD;
use crate::app::persons::Erasure;
use crate::app::ways_in::MadeCode;
use crate::app::{App, AppError};
use crate::domain::clock::Timestamp;
use crate::domain::retention::RetentionDays;
use crate::web::access::SignedIn;
use crate::web::answer_budget::place_for;
use crate::web::error::ApiError;
use crate::web::middleware::token_cookies::{CookieChange, PERSON};
use crate::web::openapi::ExportBody;
use crate::web::person::CurrentPerson;

/// Who asks, and what is announced to them.
#[derive(Serialize, ToSchema)]
struct MeBody {
    created_at: Timestamp,
    last_seen_at: Timestamp,
    /// Whether this browser has signed in with `ACCESS_TOKEN`, and so may sign out.
    signed_in: bool,
    /// How many browsers are this person.
    browsers: usize,
    /// The recovery code, as far as it may be told: `null` when there is none.
    recovery_code: Option<RecoveryBody>,
    retention: RetentionBody,
    /// The most memories that are kept of them; for one more the least useful one goes.
    max_memories: u32,
    /// Maintenance jobs that have not succeeded for 48 h.
    maintenance_overdue: Vec<&'static str>,
}

/// When a recovery code was made and used.
#[derive(Serialize, ToSchema)]
pub struct RecoveryBody {
    /// When it was made.
    made_at: Timestamp,
    /// When somebody last used it.
    #[schema(required = true)]
    used_at: Option<Timestamp>,
}

impl From<MadeCode> for RecoveryBody {
    fn from(code: MadeCode) -> Self {
        Self { made_at: code.made_at, used_at: code.used_at }
    }
}

/// What is announced; `null` where things are kept for good.
#[derive(Serialize, ToSchema)]
struct RetentionBody {
    session_days: Option<u32>,
    person_days: Option<u32>,
    memory_days: Option<u32>,
    audio_hours: u64,
}

/// Tells who one is here, and how long what is kept.
#[utoipa::path(
    get,
    path = "/api/v1/me",
    responses((status = 200, description = "The person", body = MeBody)),
    security(("person" = []), ("person_cookie" = [])),
)]
pub async fn me(
    app: web::Data<App>,
    request: HttpRequest,
    person: CurrentPerson,
) -> Result<HttpResponse, ApiError> {
    let maintenance_overdue = app.overdue_jobs().await?;
    let ways_in = app.ways_in(person.0).await?;
    let retention = app.retention();
    Ok(HttpResponse::Ok().json(MeBody {
        created_at: person.0.created_at,
        last_seen_at: person.0.last_seen_at,
        signed_in: request.extensions().contains::<SignedIn>(),
        browsers: ways_in.devices.len() + 1,
        recovery_code: ways_in.recovery_code.map(RecoveryBody::from),
        retention: RetentionBody {
            session_days: retention.session_days.map(RetentionDays::get),
            person_days: retention.person_days.map(RetentionDays::get),
            memory_days: retention.memory_days.map(RetentionDays::get),
            audio_hours: retention.audio_max_age.as_secs() / 3600,
        },
        max_memories: app.max_memories_per_person(),
        maintenance_overdue,
    }))
}

/// Gives everything held about the person as one document.
#[utoipa::path(
    get,
    path = "/api/v1/me/export",
    responses((status = 200, description = "The document", body = ExportBody)),
    security(("person" = []), ("person_cookie" = [])),
)]
pub async fn export(
    app: web::Data<App>,
    request: HttpRequest,
    person: CurrentPerson,
) -> Result<HttpResponse, ApiError> {
    let place = place_for(&request, READ_AHEAD)?;
    let pieces = app.into_inner().export(person.0);
    // The body is sent after the request's own span has ended.
    let span = tracing::Span::current();
    let body = stream::unfold((pieces, span, place), |(mut pieces, span, place)| async move {
        let piece = pieces.recv().await?;
        // A failure half-way breaks the connection off: a document cut short must not look whole.
        let piece = piece.inspect_err(|error| span.in_scope(|| log_failure(error)));
        Some((piece.map_err(ApiError::from), (pieces, span, place)))
    });
    Ok(HttpResponse::Ok()
        .content_type("application/json")
        .insert_header((CONTENT_DISPOSITION, "attachment; filename=\"companion-export.json\""))
        .streaming(body))
}

fn log_failure(error: &AppError) {
    tracing::error!(event = "request_failed", cause = %error, "An export failed half-way");
}

/// Erases the person everywhere.
#[utoipa::path(
    delete,
    path = "/api/v1/me",
    responses((status = 200, description = "They are gone", body = Erasure)),
    security(("person" = []), ("person_cookie" = [])),
)]
pub async fn erase(
    app: web::Data<App>,
    request: HttpRequest,
    person: CurrentPerson,
) -> Result<HttpResponse, ApiError> {
    let erasure = app.erase(person.0).await?;
    request.extensions_mut().insert(CookieChange::Remove(&PERSON));
    Ok(HttpResponse::Ok().json(erasure))
}
