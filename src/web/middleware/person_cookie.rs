//! The person's cookie: set where a handler or extractor asked for it.

use actix_web::body::MessageBody;
use actix_web::cookie::time::Duration;
use actix_web::cookie::{Cookie, SameSite};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage};

use crate::domain::person::PersonToken;
use crate::web::middleware::security_headers::OverTls;

/// The cookie's name over plain HTTP.
pub const PLAIN_NAME: &str = "companion_person";
/// The cookie's name over TLS: the prefix makes browsers insist on `Secure`, `Path=/` and no `Domain`.
pub const TLS_NAME: &str = "__Host-companion_person";
const LIFE: Duration = Duration::days(400);

/// What is to become of the cookie. Put into the request's extensions.
#[derive(Debug, Clone)]
pub enum CookieChange {
    /// Set it, or make it last anew.
    Set(PersonToken),
    /// Take it away.
    Remove,
}

/// Sets or removes the cookie where that was asked for.
///
/// # Errors
/// What the inner service says.
pub async fn person_cookie<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, Error> {
    let mut response = next.call(request).await?;
    let change = response.request().extensions_mut().remove::<CookieChange>();
    let Some(change) = change else { return Ok(response) };
    let over_tls = response.request().extensions().get::<OverTls>().is_some_and(|tls| tls.0);
    for cookie in cookies(&change, over_tls) {
        response.response_mut().add_cookie(&cookie)?;
    }
    Ok(response)
}

fn cookies(change: &CookieChange, over_tls: bool) -> Vec<Cookie<'static>> {
    let build = |name: &'static str, value: String, life: Duration| {
        Cookie::build(name, value)
            .path("/")
            .http_only(true)
            .same_site(SameSite::Lax)
            .secure(name == TLS_NAME)
            .max_age(life)
            .finish()
    };
    match change {
        CookieChange::Set(token) => {
            vec![build(if over_tls { TLS_NAME } else { PLAIN_NAME }, token.reveal(), LIFE)]
        }
        CookieChange::Remove => {
            let mut gone = vec![build(PLAIN_NAME, String::new(), Duration::ZERO)];
            if over_tls {
                gone.push(build(TLS_NAME, String::new(), Duration::ZERO));
            }
            gone
        }
    }
}
