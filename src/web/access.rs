//! Who is let in: `ACCESS_TOKEN` and `ADMIN_TOKEN`, and signing a browser in and out.

use actix_web::http::header::AUTHORIZATION;
use actix_web::{HttpMessage, HttpRequest, HttpResponse, web};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::app::sign_ins::Door;
use crate::config::AccessConfig;
use crate::domain::secret::Secret;
use crate::web::assets::SIGN_IN_HTML;
use crate::web::body::JsonBody;
use crate::web::error::ApiError;
use crate::web::failed_tries::FailedTries;
use crate::web::middleware::token_cookies::{CookieChange, SIGN_IN};
use crate::web::openapi::ErrorBody;
use crate::web::static_files;

/// Where a browser signs in.
pub const SIGN_IN_PAGE: &str = "/sign-in";

/// What those who come have to know, and who was wrong about it. Found in the application's data.
#[derive(Default)]
pub struct AccessControl {
    tokens: AccessConfig,
    failed: FailedTries,
    /// Who was wrong about a link or a recovery code. They are counted for themselves: whoever mistakes an old link for a good
    /// one is not kept from signing in.
    pub(crate) ways_in: FailedTries,
}

/// This browser has signed in. Found in the request's extensions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignedIn;

/// The body of `POST /sign-in`.
#[derive(Deserialize, ToSchema)]
pub struct SignInBody {
    /// `ACCESS_TOKEN`.
    token: String,
}

impl AccessControl {
    /// Lets in whoever knows the tokens.
    #[must_use]
    pub fn new(tokens: AccessConfig) -> Self {
        Self { tokens, ..Self::default() }
    }

    /// What lets in; `None` when everyone is let in.
    #[must_use]
    pub fn access_token(&self) -> Option<&Secret> {
        self.tokens.access_token.as_ref()
    }

    /// What opens the operator's part; `None` when nothing does.
    #[must_use]
    pub fn admin_token(&self) -> Option<&Secret> {
        self.tokens.admin_token.as_ref()
    }

    /// What opens the metrics; `None` when only this machine reads them.
    #[must_use]
    pub fn metrics_token(&self) -> Option<&Secret> {
        self.tokens.metrics_token.as_ref()
    }

    /// Passes when the client has presented one of the `right` tokens.
    ///
    /// # Errors
    /// `refusal` when it is none of them; [`ApiError::RateLimited`] when the client was wrong too often.
    pub fn check(
        &self,
        request: &HttpRequest,
        presented: &str,
        right: [Option<&Secret>; 2],
        refusal: ApiError,
    ) -> Result<(), ApiError> {
        self.failed.admit(request)?;
        // Each is compared, whichever is right.
        if right.into_iter().flatten().fold(false, |is, right| right.is(presented) | is) {
            return Ok(());
        }
        Err(self.failed.refuse(request, refusal))
    }
}

/// The token of `Authorization: Bearer`.
#[must_use]
pub fn bearer(request: &HttpRequest) -> Option<&str> {
    let (scheme, token) = request.headers().get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Shows the page to sign in at.
#[utoipa::path(
    method(get, head),
    path = "/sign-in",
    operation_id = "sign_in_page",
    responses(
        (status = 200, description = "The page", body = String, content_type = "text/html"),
        (status = 404, description = "There is no `ACCESS_TOKEN`: everyone is let in", body = ErrorBody),
    ),
)]
pub async fn page(control: web::Data<AccessControl>, request: HttpRequest) -> Result<HttpResponse, ApiError> {
    control.access_token().ok_or(ApiError::NotFound)?;
    Ok(static_files::respond(&request, &SIGN_IN_HTML))
}

/// Signs this browser in.
#[utoipa::path(
    post,
    path = "/api/v1/sign-in",
    request_body = SignInBody,
    responses(
        (status = 204, description = "It is; the cookie says so"),
        (status = 401, description = "This is not `ACCESS_TOKEN`", body = ErrorBody),
        (status = 404, description = "There is none: everyone is let in", body = ErrorBody),
    ),
)]
pub async fn sign_in(
    app: web::Data<App>,
    control: web::Data<AccessControl>,
    request: HttpRequest,
    body: JsonBody<SignInBody>,
) -> Result<HttpResponse, ApiError> {
    let access = control.access_token().ok_or(ApiError::NotFound)?;
    control.check(&request, &body.0.token, [Some(access), None], ApiError::WrongToken)?;
    let cookie = app.sign_in(Door::Companion, access).await?;
    request.extensions_mut().insert(CookieChange::Set(&SIGN_IN, cookie));
    Ok(HttpResponse::NoContent().finish())
}

/// Signs this browser out; whoever is not signed in is signed out already.
#[utoipa::path(
    post,
    path = "/api/v1/sign-out",
    responses(
        (status = 204, description = "It is"),
        (status = 404, description = "There is no `ACCESS_TOKEN`: everyone is let in", body = ErrorBody),
    ),
)]
pub async fn sign_out(
    app: web::Data<App>,
    control: web::Data<AccessControl>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let access = control.access_token().ok_or(ApiError::NotFound)?;
    if let Some(cookie) = SIGN_IN.of(&request) {
        app.sign_out(access, &cookie).await?;
    }
    request.extensions_mut().insert(CookieChange::Remove(&SIGN_IN));
    Ok(HttpResponse::NoContent().finish())
}
