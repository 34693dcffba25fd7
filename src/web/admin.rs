//! What whoever runs the server can ask it.

use std::collections::BTreeMap;
use std::time::Duration;

use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::app::App;
use crate::app::memory_status::MemoryStatus;
use crate::domain::chat::ServiceState;
use crate::domain::clock::Timestamp;
use crate::domain::samples::Span;
use crate::domain::upstream::{CallEnd, Circuit, UpstreamReport};
use crate::web::error::ApiError;
use crate::web::openapi::ErrorBody;

pub mod sign_in;
mod trends;

use trends::{LastDayBody, TrendsBody};

/// What `companion-maint status` tells, and what only the server knows.
#[derive(Serialize)]
struct StatusBody<T> {
    #[serde(flatten)]
    inventory: T,
    now: Timestamp,
    version: &'static str,
    /// As `/readyz` tells it.
    degraded: Vec<&'static str>,
    /// `MIN_FREE_DISK_BYTES`.
    min_free_bytes: u64,
    resident_bytes: Option<u64>,
    upstreams: Vec<UpstreamBody>,
    last_day: LastDayBody,
    trends: TrendsBody,
}

/// What is asked of the status.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct StatusQuery {
    /// How far back the trends go: `24h`, which it is when left out, or `30d`.
    #[param(pattern = "^(24h|30d)$")]
    span: Option<String>,
}

#[derive(Serialize)]
struct UpstreamBody {
    name: &'static str,
    state: ServiceState,
    circuit: Circuit,
    /// While the circuit is open.
    retry_after_seconds: Option<f64>,
    calls: BTreeMap<&'static str, u64>,
    connections: usize,
    most_connections: usize,
}

/// Tells what there is, on disk and in the database, and how the jobs went.
#[utoipa::path(
    method(get, head),
    path = "/api/v1/admin/status",
    params(StatusQuery),
    responses(
        (status = 200, description = "What `companion-maint status` tells; `upstreams`: the services outside; `last_day`: what was counted in the last 24 hours, rejections by reason; `trends`: an array for each number", body = Object),
        (status = 401, description = "`ADMIN_TOKEN` was not sent", body = ErrorBody),
        (status = 404, description = "There is no `ADMIN_TOKEN`", body = ErrorBody),
    ),
    security(("bearer" = []), ("admin_cookie" = [])),
)]
pub async fn status(app: web::Data<App>, query: web::Query<StatusQuery>) -> Result<HttpResponse, ApiError> {
    let asked = query.span.as_deref().unwrap_or(Span::Day.name());
    let Some(span) = Span::ALL.into_iter().find(|span| span.name() == asked) else {
        return Err(ApiError::Invalid { field: "span", message: "must be 24h or 30d".to_owned() });
    };
    let inventory = app.inventory().await?;
    let trends = app.trends(span).await?;
    Ok(HttpResponse::Ok().json(StatusBody {
        inventory,
        now: app.now(),
        version: env!("CARGO_PKG_VERSION"),
        degraded: app.readiness().await.degraded,
        min_free_bytes: app.min_free_bytes(),
        resident_bytes: app.resident_bytes(),
        upstreams: app.upstreams().iter().map(upstream_body).collect(),
        last_day: LastDayBody::of(&trends),
        trends: TrendsBody::of(&trends.trend),
    }))
}

/// How the memory of the server is.
#[derive(Serialize, ToSchema)]
struct MemoryStatusBody {
    /// Memories there are.
    memories: u64,
    /// What finds them when all is well: `embedded` or `qdrant`.
    index: &'static str,
    /// Turns that are still to be learned from.
    to_learn: u64,
    /// The vectors they are found by, too; `null` without a model that makes them.
    vectors: Option<VectorsBody>,
    /// Changes that wait for Qdrant.
    outbox: OutboxBody,
    /// Qdrant, where it is set up.
    #[schema(value_type = Option<Object>, required = true)]
    qdrant: Option<QdrantBody>,
}

#[derive(Serialize, ToSchema)]
struct VectorsBody {
    /// The model that makes them.
    model: String,
    /// Memories it is still to be asked about.
    waiting: u64,
}

#[derive(Serialize, ToSchema)]
struct OutboxBody {
    changes: u64,
    /// How long the first one has waited.
    oldest_seconds: f64,
}

#[derive(Serialize)]
struct QdrantBody {
    /// Why it does not answer.
    problem: Option<String>,
    /// True once it holds all memories, but for what waits in the outbox.
    whole: bool,
    /// Memories looked at for it, while it is being filled.
    copied: Option<u64>,
    #[serde(flatten)]
    upstream: UpstreamBody,
}

/// Tells how the memory system is: what finds memories, what waits in the outbox, and how Qdrant and its circuit breaker are.
#[utoipa::path(
    method(get, head),
    path = "/api/v1/admin/memory/status",
    responses(
        (status = 200, description = "How it is", body = MemoryStatusBody),
        (status = 401, description = "`ADMIN_TOKEN` was not sent", body = ErrorBody),
        (status = 404, description = "There is no `ADMIN_TOKEN`", body = ErrorBody),
    ),
    security(("bearer" = []), ("admin_cookie" = [])),
)]
pub async fn memory_status(app: web::Data<App>) -> Result<HttpResponse, ApiError> {
    let MemoryStatus { memories, to_learn, vectors, copy, outbox } = app.memory_status().await?;
    let vectors = vectors.map(|of| VectorsBody { model: of.model.to_string(), waiting: of.waiting });
    let qdrant = copy.map(|copy| QdrantBody {
        problem: copy.problem,
        whole: copy.whole,
        copied: copy.copied,
        upstream: UpstreamBody { state: copy.state, ..upstream_body(&copy.upstream) },
    });
    let oldest_seconds = Duration::from_millis(outbox.oldest_ms).as_secs_f64();
    Ok(HttpResponse::Ok().json(MemoryStatusBody {
        memories,
        index: if qdrant.is_some() { "qdrant" } else { "embedded" },
        to_learn,
        vectors,
        outbox: OutboxBody { changes: outbox.changes, oldest_seconds },
        qdrant,
    }))
}

fn upstream_body(report: &UpstreamReport) -> UpstreamBody {
    UpstreamBody {
        name: report.name,
        state: report.state,
        circuit: report.circuit,
        retry_after_seconds: report.retry_after.map(|left| left.as_secs_f64().ceil()),
        calls: CallEnd::ALL.iter().map(|end| end.label()).zip(report.calls).collect(),
        connections: report.connections,
        most_connections: report.most_connections,
    }
}
