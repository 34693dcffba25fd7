//! What whoever runs the server can ask it.

use actix_web::{HttpResponse, web};

use crate::app::App;
use crate::web::error::ApiError;

/// `GET /admin/status`
pub async fn status(app: web::Data<App>) -> Result<HttpResponse, ApiError> {
    Ok(HttpResponse::Ok().json(app.inventory().await?))
}
