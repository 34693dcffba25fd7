//! Whether the server is up, ready, and how its services are.

use actix_web::{HttpResponse, web};
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::app::health::Services;
use crate::domain::chat::ServiceState;
use crate::web::openapi::ErrorBody;

/// How the server and its services are.
#[derive(Serialize, ToSchema)]
struct HealthBody {
    /// `healthy` or `degraded`.
    status: &'static str,
    version: &'static str,
    services: Services,
}

#[derive(Serialize, ToSchema)]
struct LiveBody {
    status: &'static str,
}

#[derive(Serialize, ToSchema)]
struct ReadyBody {
    degraded: Vec<&'static str>,
    status: &'static str,
}

/// Tells how the services are, in milliseconds, from what was last seen.
#[utoipa::path(
    method(get, head),
    path = "/api/v1/health",
    responses((status = 200, description = "How they are", body = HealthBody)),
)]
pub async fn health(app: web::Data<App>) -> HttpResponse {
    let services = app.services().await;
    let all = [services.llm, services.stt, services.tts, services.qdrant, services.sqlite];
    let status = if all.contains(&ServiceState::Disconnected) { "degraded" } else { "healthy" };
    HttpResponse::Ok().json(HealthBody { status, version: env!("CARGO_PKG_VERSION"), services })
}

/// Tells that the process is up.
#[utoipa::path(
    method(get, head),
    path = "/livez",
    responses((status = 200, description = "It is", body = LiveBody)),
)]
pub async fn livez() -> HttpResponse {
    alive()
}

/// The process is up.
pub(super) fn alive() -> HttpResponse {
    HttpResponse::Ok().json(LiveBody { status: "ok" })
}

/// Tells whether requests can be served. An orchestrator reads the status, a person the reasons.
// This 503 is an answer, not a failure.
#[utoipa::path(
    method(get, head),
    path = "/readyz",
    responses(
        (status = 200, description = "They can; `degraded` says what works less well", body = ReadyBody),
        (status = 503, description = "They cannot, for these `reasons`", body = ErrorBody),
    ),
)]
pub async fn readyz(app: web::Data<App>) -> HttpResponse {
    let readiness = app.readiness().await;
    if readiness.reasons.is_empty() {
        return HttpResponse::Ok().json(ReadyBody { status: "ready", degraded: readiness.degraded });
    }
    let mut response = HttpResponse::ServiceUnavailable().finish();
    response.extensions_mut().insert(crate::web::error::ErrorReport::not_ready(&readiness.reasons));
    response
}
