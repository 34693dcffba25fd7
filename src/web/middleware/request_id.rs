//! The request's id: taken from the client or made, on every log line and every response; and, because error bodies
//! carry it, the place where an error becomes its JSON body.

use std::cell::RefCell;

use actix_web::body::BoxBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use actix_web::{HttpMessage, HttpRequest};
use tracing::Span;

use crate::web::error::{ErrorReport, logged};
use crate::web::middleware::measure::{Route, STATIC_FILES};

const HEADER: HeaderName = HeaderName::from_static("x-request-id");
const LONGEST: usize = 64;

/// The id of a request. Found in the request's extensions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestId(HeaderValue);

impl RequestId {
    /// The id that a client has given, if it is 1 to 64 letters and digits of ASCII, `.`, `_` or `-`.
    #[must_use]
    pub fn from_client(value: &HeaderValue) -> Option<Self> {
        let plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        let text = value.as_bytes();
        ((1..=LONGEST).contains(&text.len()) && text.iter().all(plain)).then(|| Self(value.clone()))
    }

    /// A new one: a UUID (version 4). It names a request in the log and opens nothing.
    fn made() -> Self {
        let id = RANDOM.with_borrow_mut(Random::take).map(uuid::Builder::from_random_bytes);
        let id = id.map_or_else(uuid::Uuid::new_v4, uuid::Builder::into_uuid);
        let mut text = uuid::Uuid::encode_buffer();
        let text: &str = id.hyphenated().encode_lower(&mut text);
        HeaderValue::from_str(text).map_or(Self(HeaderValue::from_static("none")), Self)
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // It is ASCII, whoever made it.
        self.0.to_str().unwrap_or_default()
    }

    /// The id of a request, if it has one by now.
    #[must_use]
    pub fn of(request: &HttpRequest) -> Option<Self> {
        request.extensions().get::<Self>().cloned()
    }
}

/// Gives a request its id.
pub fn give(request: &ServiceRequest) {
    let id = request.headers().get(HEADER).and_then(RequestId::from_client).unwrap_or_else(RequestId::made);
    request.extensions_mut().insert(id);
}

/// The span in which a request's lines are logged. What is answered from memory has none to log unless `LOG_LEVEL` is `DEBUG`;
/// that spares it the making of one.
#[must_use]
pub fn span_of(request: &ServiceRequest) -> Span {
    let (route, is_read) = (Route::of(request), [Method::GET, Method::HEAD].contains(request.method()));
    if is_read && matches!(&*route, STATIC_FILES | "/" | "/livez") {
        // Looked for only when there is such a span.
        let id = || RequestId::of(request.request()).map(|id| id.as_str().to_owned());
        return tracing::debug_span!("request", request_id = id(), method = %request.method(), route = &*route);
    }
    log_span(request.request())
}

/// The span of a request at whatever level is logged.
#[must_use]
pub fn log_span(request: &HttpRequest) -> Span {
    let (route, id) = (Route::of(request), RequestId::of(request));
    let id = id.as_ref().map_or("", RequestId::as_str);
    tracing::info_span!("request", request_id = id, method = %request.method(), route = &*route)
}

/// Gives a response its request's id, and an error its body.
pub fn finish(mut response: ServiceResponse<BoxBody>) -> ServiceResponse<BoxBody> {
    let status = response.status();
    let Some(id) = RequestId::of(response.request()) else { return response };
    if status.is_client_error() || status.is_server_error() {
        response = with_error_body(response, id.as_str());
    }
    response.headers_mut().insert(HEADER, id.0);
    tracing::debug!(status = status.as_u16(), "Answered");
    response
}

fn with_error_body(mut response: ServiceResponse<BoxBody>, id: &str) -> ServiceResponse<BoxBody> {
    let told = response.response().extensions().get::<ErrorReport>().cloned();
    let told = told.unwrap_or_else(|| ErrorReport::for_status(response.status()));
    logged::log(&told, response.status(), None, "A request");
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let body = told.body(id);
    response.map_body(|_, _| BoxBody::new(body))
}

/// How many bytes of chance are taken from the system at once.
const STOCK: usize = 1024;

thread_local! {
    static RANDOM: RefCell<Random> = const { RefCell::new(Random { bytes: [0; STOCK], used: STOCK }) };
}

/// Bytes of chance of one worker: asking the system for each id would cost more than all else an id costs.
struct Random {
    bytes: [u8; STOCK],
    used: usize,
}

impl Random {
    /// The next 16.
    fn take(&mut self) -> Option<[u8; 16]> {
        if self.used == STOCK {
            getrandom::fill(&mut self.bytes).ok()?;
            self.used = 0;
        }
        let next = self.bytes.get(self.used..)?.first_chunk().copied();
        self.used += 16;
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_ids_are_taken_from_clients() {
        let take = |text: &str| {
            let value = HeaderValue::from_str(text).ok();
            value.and_then(|value| RequestId::from_client(&value)).map(|id| id.as_str().to_owned())
        };
        assert_eq!(take("a-B_9.z"), Some("a-B_9.z".to_owned()));
        assert_eq!(take(&"x".repeat(64)), Some("x".repeat(64)));
        for bad in ["", "a b", "ä", "x\ty", &"x".repeat(65), "{}", "a/b"] {
            assert_eq!(take(bad), None, "{bad}");
        }
    }

    #[test]
    fn no_two_made_ids_are_the_same() {
        let mut made: Vec<_> = (0..1000).map(|_| RequestId::made().as_str().to_owned()).collect();
        assert!(made.iter().all(|id| id.parse::<uuid::Uuid>().unwrap().get_version_num() == 4));
        made.sort();
        made.dedup();
        assert_eq!(made.len(), 1000);
    }
}
