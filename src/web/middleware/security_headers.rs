//! Security headers on every response, and whether the request came over TLS.

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, web};

use crate::web::proxies::TrustedProxies;

const HEADERS: [(&str, &str); 6] = [
    (
        "content-security-policy",
        "default-src 'self'; script-src 'self'; object-src 'none'; base-uri 'none'; frame-ancestors 'none'; \
         form-action 'self'; media-src 'self' blob:",
    ),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    ("permissions-policy", "microphone=(self), camera=(), geolocation=()"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
];
const HSTS: &str = "max-age=31536000; includeSubDomains";

/// The request came over TLS, by the word of a trusted proxy. Found in the request's extensions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OverTls(pub bool);

/// Sets the security headers on every response.
///
/// # Errors
/// What the inner service says.
pub async fn security_headers<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, Error> {
    let proxies = request.app_data::<web::Data<TrustedProxies>>();
    let over_tls = proxies.is_some_and(|proxies| proxies.came_over_tls(&request));
    request.extensions_mut().insert(OverTls(over_tls));
    let mut response = next.call(request).await?;
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        set(headers, name, value);
    }
    if over_tls {
        set(headers, "strict-transport-security", HSTS);
    }
    Ok(response)
}

fn set(headers: &mut HeaderMap, name: &'static str, value: &'static str) {
    headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
}
