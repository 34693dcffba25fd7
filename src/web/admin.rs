//! What whoever runs the server can ask it.

use std::collections::BTreeMap;
use std::time::Duration;

use actix_web::{HttpResponse, web};
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::app::memory_status::MemoryStatus;
use crate::domain::chat::ServiceState;
use crate::domain::upstream::{CallEnd, Circuit, UpstreamReport};
use crate::web::error::ApiError;
use crate::web::openapi::ErrorBody;

/// What `companion-maint status` tells, and the services outside.
#[derive(Serialize)]
struct StatusBody<T> {
    #[serde(flatten)]
    inventory: T,
    upstreams: Vec<UpstreamBody>,
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
    responses(
        (status = 200, description = "What `companion-maint status` tells, and `upstreams`: the services outside", body = Object),
        (status = 401, description = "`ADMIN_TOKEN` was not sent", body = ErrorBody),
        (status = 404, description = "There is no `ADMIN_TOKEN`", body = ErrorBody),
    ),
    security(("bearer" = [])),
)]
pub async fn status(app: web::Data<App>) -> Result<HttpResponse, ApiError> {
    let inventory = app.inventory().await?;
    let upstreams = app.upstreams().iter().map(upstream_body).collect();
    Ok(HttpResponse::Ok().json(StatusBody { inventory, upstreams }))
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
    /// Changes that wait for Qdrant.
    outbox: OutboxBody,
    /// Qdrant, where it is set up.
    #[schema(value_type = Object)]
    qdrant: Option<QdrantBody>,
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
    security(("bearer" = [])),
)]
pub async fn memory_status(app: web::Data<App>) -> Result<HttpResponse, ApiError> {
    let MemoryStatus { memories, to_learn, copy, outbox } = app.memory_status().await?;
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
