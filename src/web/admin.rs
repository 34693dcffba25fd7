//! What whoever runs the server can ask it.

use std::collections::BTreeMap;

use actix_web::{HttpResponse, web};
use serde::Serialize;

use crate::app::App;
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
