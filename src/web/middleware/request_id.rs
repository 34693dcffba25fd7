//! The request's id: taken from the client or made, on every log line and every response; and, because error bodies
//! carry it, the place where an error becomes its JSON body.

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage};
use tracing::Instrument;

use crate::web::error::ErrorReport;
use crate::web::middleware::measure::Route;

const HEADER: HeaderName = HeaderName::from_static("x-request-id");
const LONGEST: usize = 64;

/// The id of a request. Found in the request's extensions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestId(pub String);

/// Gives every request its id, and every error its body.
///
/// # Errors
/// None: an error of the inner service becomes a response here.
pub async fn request_id(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let id = request.headers().get(HEADER).and_then(from_client).unwrap_or_else(made);
    request.extensions_mut().insert(RequestId(id.clone()));
    let route = request.extensions().get::<Route>().map(|route| route.0.clone()).unwrap_or_default();
    let span = tracing::info_span!("request", request_id = %id, method = %request.method(), route = &*route);
    answer(request, next, id).instrument(span).await
}

async fn answer(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
    id: String,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let mut response = next.call(request).await?.map_into_boxed_body();
    let status = response.status();
    if status.is_client_error() || status.is_server_error() {
        response = with_error_body(response, &id);
    }
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(HEADER, value);
    }
    tracing::debug!(status = status.as_u16(), "Answered");
    Ok(response)
}

fn with_error_body(mut response: ServiceResponse<BoxBody>, id: &str) -> ServiceResponse<BoxBody> {
    let told = response.response().extensions().get::<ErrorReport>().cloned();
    let told = told.unwrap_or_else(|| ErrorReport::for_status(response.status()));
    // "Not ready" is the answer to a question, not a failure of ours.
    if response.status().is_server_error() && told.cause.is_some() {
        let cause = told.cause.as_deref().unwrap_or_default();
        tracing::error!(
            event = "request_failed",
            status = response.status().as_u16(),
            code = told.code,
            cause,
            "A request failed"
        );
    }
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let body = told.body(id);
    response.map_body(|_, _| BoxBody::new(body))
}

fn from_client(value: &HeaderValue) -> Option<String> {
    let text = value.to_str().ok()?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    ((1..=LONGEST).contains(&text.len()) && text.bytes().all(plain)).then(|| text.to_owned())
}

fn made() -> String {
    uuid::Uuid::new_v4().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_ids_are_taken_from_clients() {
        let take = |text: &str| HeaderValue::from_str(text).ok().and_then(|value| from_client(&value));
        assert_eq!(take("a-B_9.z"), Some("a-B_9.z".to_owned()));
        assert_eq!(take(&"x".repeat(64)), Some("x".repeat(64)));
        for bad in ["", "a b", "ä", "x\ty", &"x".repeat(65), "{}", "a/b"] {
            assert_eq!(take(bad), None, "{bad}");
        }
    }
}
