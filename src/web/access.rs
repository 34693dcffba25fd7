//! Who is let in: `ACCESS_TOKEN` and `ADMIN_TOKEN`, and signing a browser in and out.

use std::net::{IpAddr, Ipv4Addr};

use actix_web::http::header::AUTHORIZATION;
use actix_web::{HttpMessage, HttpRequest, HttpResponse, web};
use serde::Deserialize;

use crate::app::App;
use crate::config::AccessConfig;
use crate::domain::secret::Secret;
use crate::web::assets;
use crate::web::body::JsonBody;
use crate::web::error::ApiError;
use crate::web::failed_tries::FailedTries;
use crate::web::middleware::token_cookies::{CookieChange, SIGN_IN};
use crate::web::proxies::client_of;

/// Where a browser signs in.
pub const SIGN_IN_PAGE: &str = "/sign-in";

/// What those who come have to know, and who was wrong about it. Found in the application's data.
#[derive(Default)]
pub struct AccessControl {
    tokens: AccessConfig,
    failed: FailedTries,
}

/// This browser has signed in. Found in the request's extensions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignedIn;

/// The body of `POST /sign-in`.
#[derive(Deserialize)]
pub struct SignInBody {
    token: String,
}

impl AccessControl {
    /// Lets in whoever knows the tokens.
    #[must_use]
    pub fn new(tokens: AccessConfig) -> Self {
        Self { tokens, failed: FailedTries::default() }
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
        let client = client_of(request).unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        let barred = |retry_after| ApiError::RateLimited { retry_after };
        self.failed.may_try(client).map_err(barred)?;
        // Each is compared, whichever is right.
        if right.into_iter().flatten().fold(false, |is, right| right.is(presented) | is) {
            return Ok(());
        }
        let counted = self.failed.failed(client);
        // Not more often than failures are let through: whoever guesses must not flood the log.
        tracing::warn!(
            event = "access_refused",
            method = %request.method(),
            route = request.match_pattern().unwrap_or_default(),
            barred_seconds = counted.err(),
            "A wrong token was presented"
        );
        counted.map_err(barred)?;
        Err(refusal)
    }
}

/// The token of `Authorization: Bearer`.
#[must_use]
pub fn bearer(request: &HttpRequest) -> Option<&str> {
    let (scheme, token) = request.headers().get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// `GET /sign-in`
pub async fn page(control: web::Data<AccessControl>, request: HttpRequest) -> Result<HttpResponse, ApiError> {
    control.access_token().ok_or(ApiError::NotFound)?;
    Ok(assets::respond(&request, &assets::SIGN_IN_HTML))
}

/// `POST /sign-in`
pub async fn sign_in(
    app: web::Data<App>,
    control: web::Data<AccessControl>,
    request: HttpRequest,
    body: JsonBody<SignInBody>,
) -> Result<HttpResponse, ApiError> {
    let access = control.access_token().ok_or(ApiError::NotFound)?;
    control.check(&request, &body.0.token, [Some(access), None], ApiError::WrongToken)?;
    let cookie = app.sign_in(access).await?;
    request.extensions_mut().insert(CookieChange::Set(&SIGN_IN, cookie));
    Ok(HttpResponse::NoContent().finish())
}

/// `POST /sign-out`: whoever is not signed in is signed out already.
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
