//! What whoever runs the server can ask it.

use actix_web::{HttpResponse, web};

use crate::app::App;
use crate::web::error::ApiError;
use crate::web::openapi::ErrorBody;

/// Tells what there is, on disk and in the database, and how the jobs went.
#[utoipa::path(
    method(get, head),
    path = "/api/v1/admin/status",
    responses(
        (status = 200, description = "What `companion-maint status` tells", body = Object),
        (status = 401, description = "`ADMIN_TOKEN` was not sent", body = ErrorBody),
        (status = 404, description = "There is no `ADMIN_TOKEN`", body = ErrorBody),
    ),
    security(("bearer" = [])),
)]
pub async fn status(app: web::Data<App>) -> Result<HttpResponse, ApiError> {
    Ok(HttpResponse::Ok().json(app.inventory().await?))
}
