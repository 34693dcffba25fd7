//! Being the same person in another browser: a link, a recovery code, another token, and leaving.
//!
//! A link's secret stands behind the `#` of its address: browsers send that to nobody, so it is in no log and no `Referer`.
//! The page there shows what is about to happen, and posts the secret when somebody says so.

use actix_web::http::header::{HOST, ORIGIN};
use actix_web::http::uri::Authority;
use actix_web::{HttpMessage, HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::app::ways_in::{Arrived, LINK_LIFE, WayIn, WayInError};
use crate::app::{App, AppError};
use crate::domain::clock::Timestamp;
use crate::domain::person::PersonToken;
use crate::domain::recovery::RecoveryCode;
use crate::domain::token::Token;
use crate::web::access::AccessControl;
use crate::web::assets::LINK_HTML;
use crate::web::body::{JsonBody, OptionalJsonBody};
use crate::web::error::ApiError;
use crate::web::middleware::security_headers::OverTls;
use crate::web::middleware::token_cookies::{CookieChange, PERSON};
use crate::web::openapi::ErrorBody;
use crate::web::person::PresentedToken;
use crate::web::{qr_code, static_files};

/// The longest name of a host there is (RFC 1035), and its port.
const LONGEST_HOST: usize = 253 + 6;

/// The body of `POST /me/rotate`.
#[derive(Default, Deserialize, ToSchema)]
#[serde(default)]
pub struct RotateBody {
    /// 256 random bits that the client makes up for this one replacement. Sent again with the old token they get the same new
    /// token, as long as that is the person's: who keeps them until the answer is there is not locked out when it is lost.
    #[schema(pattern = "^[0-9a-fA-F]{64}$")]
    attempt: Option<String>,
}

/// A new token.
#[derive(Serialize, ToSchema)]
struct TokenBody {
    /// The token, for clients that send `X-Companion-Person`; a browser has it in its cookie.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    token: Option<String>,
}

/// A one-time link.
#[derive(Serialize, ToSchema)]
struct LinkBody {
    /// Whoever opens it becomes the same person.
    link: String,
    /// Until when.
    expires_at: Timestamp,
    /// How long that is: whose clock is wrong can count it.
    seconds: u64,
    /// The link as a QR code: an SVG document.
    qr_svg: String,
}

/// A recovery code.
#[derive(Serialize, ToSchema)]
struct CodeBody {
    /// It is shown this once.
    recovery_code: String,
    made_at: Timestamp,
}

/// The body of `POST /me/link/redeem`.
#[derive(Deserialize, ToSchema)]
pub struct RedeemLinkBody {
    /// What stands behind the `#` of the link.
    #[schema(pattern = "^[0-9a-fA-F]{64}$")]
    secret: String,
    /// Whether whoever one is here so far may be left behind.
    #[serde(default)]
    instead: bool,
}

/// The body of `POST /me/recovery/redeem`.
#[derive(Deserialize, ToSchema)]
pub struct RedeemCodeBody {
    /// The code, in any case, with or without what divides its groups.
    #[schema(pattern = "[0-9A-Za-z]")]
    code: String,
    /// Whether whoever one is here so far may be left behind.
    #[serde(default)]
    instead: bool,
}

/// What became of a link or a code.
#[derive(Serialize, ToSchema)]
struct ArrivedBody {
    /// Whoever sent it is that person already; nothing was used up.
    already: bool,
    /// The new token, for clients that send `X-Companion-Person`; a browser has it in its cookie.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    token: Option<String>,
}

/// Replaces the person's token: every other browser is signed out of being this person, links and the recovery code are
/// worth nothing.
#[utoipa::path(
    post,
    path = "/api/v1/me/rotate",
    request_body = RotateBody,
    responses((status = 200, description = "The new token", body = TokenBody)),
    security(("person" = []), ("person_cookie" = [])),
)]
pub async fn rotate(
    app: web::Data<App>,
    request: HttpRequest,
    presented: PresentedToken,
    body: OptionalJsonBody<RotateBody>,
) -> Result<HttpResponse, ApiError> {
    let in_header = came_in_header(&presented);
    let attempt = body.0.attempt.map(|attempt| attempt.parse()).transpose().map_err(|_| {
        ApiError::Invalid { field: "attempt", message: "is not 64 hexadecimal digits".to_owned() }
    })?;
    let token = app.rotate(held(presented)?, attempt).await?;
    Ok(HttpResponse::Ok().json(TokenBody { token: hand_out(&request, in_header, token) }))
}

/// Makes a link by which one more browser becomes the same person, once, within ten minutes. Five of them may wait; one more
/// ends the oldest.
#[utoipa::path(
    post,
    path = "/api/v1/me/link",
    responses(
        (status = 200, description = "The link", body = LinkBody),
        (status = 400, description = "The request's `Host` is no address to lead to", body = ErrorBody),
    ),
    security(("person" = []), ("person_cookie" = [])),
)]
pub async fn link(
    app: web::Data<App>,
    request: HttpRequest,
    presented: PresentedToken,
) -> Result<HttpResponse, ApiError> {
    let wrong =
        || ApiError::Invalid { field: "Host", message: "is no address a link could lead to".to_owned() };
    let site = site_of(&request).ok_or_else(wrong)?;
    let (secret, expires_at) = app.make_link(held(presented)?).await?;
    let link = format!("{site}/link#{}", secret.reveal());
    let qr_svg = qr_code::svg(&link).ok_or_else(wrong)?;
    Ok(HttpResponse::Ok().json(LinkBody { link, expires_at, seconds: LINK_LIFE.as_secs(), qr_svg }))
}

/// Makes a recovery code, to be kept: typed in anywhere, it makes that browser the same person. It can be used again, until
/// another one is made or the token is replaced.
#[utoipa::path(
    post,
    path = "/api/v1/me/recovery",
    responses((status = 200, description = "The code", body = CodeBody)),
    security(("person" = []), ("person_cookie" = [])),
)]
pub async fn recovery(app: web::Data<App>, presented: PresentedToken) -> Result<HttpResponse, ApiError> {
    let (code, made_at) = app.make_recovery_code(held(presented)?).await?;
    Ok(HttpResponse::Ok().json(CodeBody { recovery_code: code.reveal(), made_at }))
}

/// Becomes the person a link leads to.
#[utoipa::path(
    post,
    path = "/api/v1/me/link/redeem",
    request_body = RedeemLinkBody,
    responses(
        (status = 200, description = "That is who one is now", body = ArrivedBody),
        (status = 404, description = "The link has expired, or never was one", body = ErrorBody),
        (status = 409, description = "It was used before, or one is somebody already and did not say `instead`", body = ErrorBody),
    ),
)]
pub async fn redeem_link(
    app: web::Data<App>,
    control: web::Data<AccessControl>,
    request: HttpRequest,
    presented: PresentedToken,
    body: JsonBody<RedeemLinkBody>,
) -> Result<HttpResponse, ApiError> {
    let RedeemLinkBody { secret, instead } = body.0;
    let secret: Token = secret.parse().map_err(|_| ApiError::Invalid {
        field: "secret",
        message: "is not all of what stands behind the # of a link".to_owned(),
    })?;
    redeem(&app, &control, &request, presented, (WayIn::Link(secret), instead)).await
}

/// Becomes the person whose recovery code it is.
#[utoipa::path(
    post,
    path = "/api/v1/me/recovery/redeem",
    request_body = RedeemCodeBody,
    responses(
        (status = 200, description = "That is who one is now", body = ArrivedBody),
        (status = 404, description = "Nobody has this code (any more)", body = ErrorBody),
        (status = 409, description = "One is somebody already and did not say `instead`", body = ErrorBody),
    ),
)]
pub async fn redeem_code(
    app: web::Data<App>,
    control: web::Data<AccessControl>,
    request: HttpRequest,
    presented: PresentedToken,
    body: JsonBody<RedeemCodeBody>,
) -> Result<HttpResponse, ApiError> {
    let RedeemCodeBody { code, instead } = body.0;
    let read = code.parse::<RecoveryCode>();
    let code = read.map_err(|why| ApiError::Invalid { field: "code", message: why.to_string() })?;
    redeem(&app, &control, &request, presented, (WayIn::Code(code), instead)).await
}

/// Ends this browser's token: it is nobody from then on. The person stays, for their other browsers, links and recovery code.
#[utoipa::path(
    post,
    path = "/api/v1/me/leave",
    responses((status = 204, description = "It is nobody")),
)]
pub async fn leave(
    app: web::Data<App>,
    request: HttpRequest,
    presented: PresentedToken,
) -> Result<HttpResponse, ApiError> {
    if let Some(token) = presented.token {
        app.leave(token).await?;
    }
    request.extensions_mut().insert(CookieChange::Remove(&PERSON));
    Ok(HttpResponse::NoContent().finish())
}

/// Shows the page that links lead to, where a recovery code can be typed in, too.
#[utoipa::path(
    method(get, head),
    path = "/link",
    operation_id = "link_page",
    responses((status = 200, description = "The page", body = String, content_type = "text/html")),
)]
pub async fn page(request: HttpRequest) -> HttpResponse {
    static_files::respond(&request, &LINK_HTML)
}

async fn redeem(
    app: &App,
    control: &AccessControl,
    request: &HttpRequest,
    presented: PresentedToken,
    (way, instead): (WayIn, bool),
) -> Result<HttpResponse, ApiError> {
    control.ways_in.admit(request)?;
    let in_header = came_in_header(&presented);
    let arrived = match app.arrive(way, presented.token, instead).await {
        Err(wrong @ AppError::WayIn(WayInError::LinkNotFound | WayInError::CodeNotFound)) => {
            return Err(control.ways_in.refuse(request, wrong.into()));
        }
        other => other?,
    };
    Ok(HttpResponse::Ok().json(match arrived {
        Arrived::Already => ArrivedBody { already: true, token: None },
        Arrived::With(token) => ArrivedBody { already: false, token: hand_out(request, in_header, token) },
    }))
}

fn held(presented: PresentedToken) -> Result<PersonToken, ApiError> {
    presented.token.ok_or_else(|| AppError::Unauthorized.into())
}

fn came_in_header(presented: &PresentedToken) -> bool {
    presented.token.is_some() && !presented.in_cookie
}

/// Where the old token came, the new one goes: in the answer, to be returned, or in the cookie, which no script can read.
fn hand_out(request: &HttpRequest, in_header: bool, token: PersonToken) -> Option<String> {
    if in_header {
        return Some(token.reveal());
    }
    request.extensions_mut().insert(CookieChange::Set(&PERSON, token));
    None
}

/// Where the page lies that asks, `https://companion.example.org`. A browser says it in `Origin`, and is right also behind a
/// proxy for TLS that is not in `TRUSTED_PROXIES`.
fn site_of(request: &HttpRequest) -> Option<String> {
    let host = request.headers().get(HOST)?.to_str().ok().filter(|host| host.len() <= LONGEST_HOST)?;
    let authority: Authority = host.parse().ok()?;
    if authority.host().is_empty() || host.contains('@') {
        return None;
    }
    let origin = request.headers().get(ORIGIN).and_then(|origin| origin.to_str().ok());
    let told = origin.and_then(|origin| origin.split_once("://"));
    let told =
        told.filter(|(scheme, site)| ["http", "https"].contains(scheme) && site.eq_ignore_ascii_case(host));
    let over_tls = || request.extensions().contains::<OverTls>();
    let scheme = told.map_or_else(|| if over_tls() { "https" } else { "http" }, |(scheme, _)| scheme);
    Some(format!("{scheme}://{host}"))
}
