//! The admin page, and signing a browser in to it with `ADMIN_TOKEN`. The page holds no numbers: it asks for them.

use actix_web::{HttpMessage, HttpRequest, HttpResponse, web};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::app::sign_ins::Door;
use crate::web::access::AccessControl;
use crate::web::assets::{ADMIN_HTML, ADMIN_SIGN_IN_HTML};
use crate::web::body::JsonBody;
use crate::web::error::ApiError;
use crate::web::middleware::token_cookies::{ADMIN, CookieChange};
use crate::web::openapi::ErrorBody;
use crate::web::static_files;

/// Where a browser signs in.
pub const PAGE: &str = "/admin/sign-in";

/// What is under `/api/v1/admin` and needs no token, though there is one.
pub const OPEN: [&str; 2] = ["/api/v1/admin/sign-in", "/api/v1/admin/sign-out"];

/// The body of `POST /admin/sign-in`.
#[derive(Deserialize, ToSchema)]
pub struct AdminSignInBody {
    /// `ADMIN_TOKEN`.
    token: String,
}

/// Shows whoever runs the server how it is.
#[utoipa::path(
    method(get, head),
    path = "/admin",
    operation_id = "admin_page",
    responses(
        (status = 200, description = "The page", body = String, content_type = "text/html"),
        (status = 404, description = "There is no `ADMIN_TOKEN`", body = ErrorBody),
    ),
)]
pub async fn page(request: HttpRequest) -> HttpResponse {
    static_files::respond(&request, &ADMIN_HTML)
}

/// Shows the page to sign in at.
#[utoipa::path(
    method(get, head),
    path = "/admin/sign-in",
    operation_id = "admin_sign_in_page",
    responses(
        (status = 200, description = "The page", body = String, content_type = "text/html"),
        (status = 404, description = "There is no `ADMIN_TOKEN`", body = ErrorBody),
    ),
)]
pub async fn sign_in_page(request: HttpRequest) -> HttpResponse {
    static_files::respond(&request, &ADMIN_SIGN_IN_HTML)
}

/// Signs this browser in.
#[utoipa::path(
    post,
    path = "/api/v1/admin/sign-in",
    operation_id = "admin_sign_in",
    request_body = AdminSignInBody,
    responses(
        (status = 204, description = "It is; the cookie says so"),
        (status = 401, description = "This is not `ADMIN_TOKEN`", body = ErrorBody),
        (status = 404, description = "There is none", body = ErrorBody),
    ),
)]
pub async fn sign_in(
    app: web::Data<App>,
    control: web::Data<AccessControl>,
    request: HttpRequest,
    body: JsonBody<AdminSignInBody>,
) -> Result<HttpResponse, ApiError> {
    let admin = control.admin_token().ok_or(ApiError::NotFound)?;
    control.check(&request, &body.0.token, [Some(admin), None], ApiError::WrongAdminToken)?;
    let cookie = app.sign_in(Door::Admin, admin).await?;
    request.extensions_mut().insert(CookieChange::Set(&ADMIN, cookie));
    Ok(HttpResponse::NoContent().finish())
}

/// Signs this browser out; whoever is not signed in is signed out already.
#[utoipa::path(
    post,
    path = "/api/v1/admin/sign-out",
    operation_id = "admin_sign_out",
    responses(
        (status = 204, description = "It is"),
        (status = 404, description = "There is no `ADMIN_TOKEN`", body = ErrorBody),
    ),
)]
pub async fn sign_out(
    app: web::Data<App>,
    control: web::Data<AccessControl>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let admin = control.admin_token().ok_or(ApiError::NotFound)?;
    if let Some(cookie) = ADMIN.of(&request) {
        app.sign_out(admin, &cookie).await?;
    }
    request.extensions_mut().insert(CookieChange::Remove(&ADMIN));
    Ok(HttpResponse::NoContent().finish())
}
