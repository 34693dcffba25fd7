//! Whether the server is up, ready, and how its services are.

use actix_web::{HttpResponse, web};
use serde::Serialize;
use serde_json::json;

use crate::app::App;
use crate::app::health::Services;
use crate::domain::chat::ServiceState;

#[derive(Serialize)]
struct HealthBody {
    status: &'static str,
    version: &'static str,
    services: Services,
}

/// `GET /health`
pub async fn health(app: web::Data<App>) -> HttpResponse {
    let services = app.services().await;
    let all = [services.llm, services.stt, services.tts, services.qdrant, services.sqlite];
    let status = if all.contains(&ServiceState::Disconnected) { "degraded" } else { "healthy" };
    HttpResponse::Ok().json(HealthBody { status, version: env!("CARGO_PKG_VERSION"), services })
}

/// `GET /livez`
pub async fn livez() -> HttpResponse {
    HttpResponse::Ok().json(json!({"status": "ok"}))
}

/// `GET /readyz`: an orchestrator reads the status, a person the reasons. This 503 is an answer, not a failure.
pub async fn readyz(app: web::Data<App>) -> HttpResponse {
    let readiness = app.readiness().await;
    if readiness.reasons.is_empty() {
        return HttpResponse::Ok().json(json!({"status": "ready", "degraded": readiness.degraded}));
    }
    let mut response = HttpResponse::ServiceUnavailable().finish();
    response.extensions_mut().insert(crate::web::error::ErrorReport::not_ready(&readiness.reasons));
    response
}
