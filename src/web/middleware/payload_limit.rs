//! The size limit of request bodies. A declared oversize is refused before a byte of the body is read; every body is
//! counted while it streams and cut off at the limit, because one may go on beyond the length that was told for it
//! (after `Upgrade: websocket` until the connection ends).

use std::cell::Cell;
use std::rc::Rc;
use std::sync::LazyLock;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::error::PayloadError;
use actix_web::http::header::CONTENT_LENGTH;
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, HttpRequest, ResponseError};
use futures_util::{StreamExt, future};

use crate::telemetry::metrics::BodyRefusal;
use crate::telemetry::sparing::Sparing;
use crate::web::error::ApiError;
use crate::web::metrics::refused_body;
use crate::web::middleware::measure::{Route, opens_socket};

/// The largest request body in bytes. Found in the application's data; without it no body is let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MaxRequestBytes(pub u64);

/// Applies [`MaxRequestBytes`] to every request.
///
/// # Errors
/// What the inner service says.
pub async fn payload_limit(
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let max_bytes = request.app_data::<MaxRequestBytes>().map_or(0, |most| most.0);
    let declared = declared_length(&request);
    if let Some(length) = declared.filter(|length| *length > max_bytes) {
        refused_body(request.request(), BodyRefusal::DeclaredTooLarge);
        log_refusal(request.request(), Some(length), 0);
        return Ok(request.into_response(ApiError::TooLarge { max_bytes }.error_response()));
    }
    let Some(received) = count(&mut request, max_bytes) else {
        return next.call(request).await.map(ServiceResponse::map_into_boxed_body);
    };
    let response = next.call(request).await?;
    if received.get() <= max_bytes {
        return Ok(response.map_into_boxed_body());
    }
    refused_body(response.request(), BodyRefusal::GrewTooLarge);
    // Whatever the handler made of the broken body, the reason is this one.
    let refusal = response.into_response(ApiError::TooLarge { max_bytes }.error_response());
    log_refusal(refusal.request(), declared, received.get());
    Ok(refusal)
}

fn declared_length(request: &ServiceRequest) -> Option<u64> {
    request.headers().get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Of a body of which so much was received before it was cut off; 0 when it was refused before it was read.
fn log_refusal(request: &HttpRequest, declared: Option<u64>, received: u64) {
    static LINES: LazyLock<Sparing> = LazyLock::new(Sparing::default);
    if let Some(left_out) = LINES.one_more() {
        tracing::warn!(
            event = "request_too_large",
            method = %request.method(),
            route = &*Route::of(request),
            declared_bytes = declared,
            received_bytes = received,
            left_out,
            "A request body was longer than it may be"
        );
    }
}

/// Makes the body, if there is one, end with an error once more than `max_bytes` of it have come; returns the counter.
fn count(request: &mut ServiceRequest, max_bytes: u64) -> Option<Rc<Cell<u64>>> {
    if opens_socket(request.request()) {
        return None;
    }
    let body = request.take_payload();
    if matches!(body, Payload::None) {
        return None;
    }
    let received = Rc::new(Cell::new(0));
    let counter = received.clone();
    let body = body.map(move |chunk| {
        let chunk = chunk?;
        counter.set(counter.get() + chunk.len() as u64);
        if counter.get() > max_bytes { Err(PayloadError::Overflow) } else { Ok(chunk) }
    });
    let mut broken = false;
    let until_error = body.take_while(move |chunk| {
        // The error itself still has to reach the reader; nothing after it may.
        future::ready(!std::mem::replace(&mut broken, chunk.is_err()))
    });
    request.set_payload(Payload::Stream { payload: Box::pin(until_error) });
    Some(received)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use actix_web::body::to_bytes;
    use actix_web::http::StatusCode;
    use actix_web::http::header::{HeaderName, TRANSFER_ENCODING};
    use actix_web::middleware::from_fn;
    use actix_web::test::{TestRequest, call_service, init_service};
    use actix_web::web::{self, Bytes};
    use actix_web::{App, HttpResponse};

    use super::*;

    const LIMIT: u64 = 1000;

    /// Reads its body and counts it; a body that breaks off is a bad request.
    async fn reader(mut body: web::Payload, seen: web::Data<AtomicU64>) -> HttpResponse {
        while let Some(chunk) = body.next().await {
            let Ok(chunk) = chunk else { return HttpResponse::BadRequest().finish() };
            seen.fetch_add(chunk.len() as u64, Ordering::SeqCst);
        }
        HttpResponse::Ok().finish()
    }

    /// What a client gets that sends `chunks`, whether the connection is to close, and how much the handler saw.
    async fn send(header: (HeaderName, &str), chunks: &[usize]) -> (StatusCode, bool, u64) {
        let seen = web::Data::new(AtomicU64::new(0));
        let app = App::new().app_data(MaxRequestBytes(LIMIT)).app_data(seen.clone());
        let app = init_service(app.route("/", web::post().to(reader)).wrap(from_fn(payload_limit))).await;
        let chunks: Vec<_> = chunks.iter().map(|size| Ok(Bytes::from(vec![b'x'; *size]))).collect();
        let mut request = TestRequest::post().insert_header(header).to_request();
        *request.payload() = Payload::Stream { payload: Box::pin(futures_util::stream::iter(chunks)) };
        let response = call_service(&app, request).await;
        let closes = response.response().head().connection_type() == actix_web::http::ConnectionType::Close;
        let status = response.status();
        assert!(to_bytes(response.into_body()).await.is_ok());
        (status, closes, seen.load(Ordering::SeqCst))
    }

    #[actix_web::test]
    async fn a_declared_oversize_is_refused_before_its_body_is_read() {
        assert_eq!(send((CONTENT_LENGTH, "1001"), &[1001]).await, (StatusCode::PAYLOAD_TOO_LARGE, true, 0));
        let largest = "18446744073709551615";
        assert_eq!(send((CONTENT_LENGTH, largest), &[1]).await, (StatusCode::PAYLOAD_TOO_LARGE, true, 0));
    }

    #[actix_web::test]
    async fn a_body_of_exactly_the_limit_passes_whole() {
        assert_eq!(send((CONTENT_LENGTH, "1000"), &[400, 600]).await, (StatusCode::OK, false, 1000));
        assert_eq!(send((TRANSFER_ENCODING, "chunked"), &[400, 600]).await, (StatusCode::OK, false, 1000));
    }

    #[actix_web::test]
    async fn a_body_without_a_length_is_cut_off_at_the_limit() {
        let (status, closes, seen) = send((TRANSFER_ENCODING, "chunked"), &[600, 401, 5000, 5000]).await;
        assert_eq!((status, closes), (StatusCode::PAYLOAD_TOO_LARGE, true));
        assert_eq!(
            seen, 600,
            "nothing of the piece that goes past the limit, nor after it, reaches the handler"
        );
    }

    #[actix_web::test]
    async fn a_length_that_was_told_is_not_believed() {
        let (status, closes, seen) = send((CONTENT_LENGTH, "5"), &[600, 401]).await;
        assert_eq!((status, closes, seen), (StatusCode::PAYLOAD_TOO_LARGE, true, 600));
    }
}
