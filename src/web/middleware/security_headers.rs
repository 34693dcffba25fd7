//! Security headers on every response, and whether the request came over TLS.

use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::{HttpMessage, web};

use crate::web::proxies::TrustedProxies;

static HEADERS: [(HeaderName, HeaderValue); 6] = [
    (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(
            "default-src 'self'; script-src 'self'; object-src 'none'; base-uri 'none'; frame-ancestors 'none'; \
         form-action 'self'; media-src 'self' blob:",
        ),
    ),
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (header::PERMISSIONS_POLICY, HeaderValue::from_static("microphone=(self), camera=(), geolocation=()")),
    (header::CROSS_ORIGIN_OPENER_POLICY, HeaderValue::from_static("same-origin")),
    (header::CROSS_ORIGIN_RESOURCE_POLICY, HeaderValue::from_static("same-origin")),
];
const HSTS: HeaderValue = HeaderValue::from_static("max-age=31536000; includeSubDomains");

/// The request came over TLS, by the word of a trusted proxy. Found in the request's extensions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OverTls;

/// Notes whether a request came over TLS.
pub fn note_tls(request: &ServiceRequest) {
    let proxies = request.app_data::<web::Data<TrustedProxies>>();
    if proxies.is_some_and(|proxies| proxies.came_over_tls(request)) {
        request.extensions_mut().insert(OverTls);
    }
}

/// Sets the security headers on a response.
pub fn set<B>(response: &mut ServiceResponse<B>) {
    let over_tls = response.request().extensions().contains::<OverTls>();
    let headers = response.headers_mut();
    for (name, value) in &HEADERS {
        headers.insert(name.clone(), value.clone());
    }
    if over_tls {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HSTS);
    }
}
