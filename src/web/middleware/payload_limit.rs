//! The size limit of request bodies. A declared oversize is refused before a byte of the body is read; every body is
//! counted while it streams and cut off at the limit, because one may go on beyond the length that was told for it
//! (after `Upgrade: websocket` until the connection ends).

use std::cell::Cell;
use std::rc::Rc;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::error::PayloadError;
use actix_web::http::header::CONTENT_LENGTH;
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, ResponseError, web};
use futures_util::{StreamExt, future};

use crate::app::App;
use crate::web::error::ApiError;

/// Applies `MAX_REQUEST_SIZE` to every request.
///
/// # Errors
/// What the inner service says.
pub async fn payload_limit(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let max_bytes = request.app_data::<web::Data<App>>().map_or(0, |app| app.limits().max_request_bytes);
    limited(request, next, max_bytes).await
}

async fn limited(
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
    max_bytes: u64,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let declared = declared_length(&request);
    if let Some(length) = declared.filter(|length| *length > max_bytes) {
        log_refusal(&request, Some(length), 0);
        return Ok(request.into_response(ApiError::TooLarge { max_bytes }.error_response()));
    }
    let Some(received) = count(&mut request, max_bytes) else {
        return next.call(request).await.map(ServiceResponse::map_into_boxed_body);
    };
    let response = next.call(request).await?;
    if received.get() <= max_bytes {
        return Ok(response.map_into_boxed_body());
    }
    // Whatever the handler made of the broken body, the reason is this one.
    let refusal = response.into_response(ApiError::TooLarge { max_bytes }.error_response());
    tracing::warn!(
        event = "request_too_large",
        method = %refusal.request().method(),
        route = refusal.request().match_pattern().unwrap_or_default(),
        declared_bytes = declared,
        received_bytes = received.get(),
        "A request body was cut off at the limit"
    );
    Ok(refusal)
}

fn declared_length(request: &ServiceRequest) -> Option<u64> {
    request.headers().get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn log_refusal(request: &ServiceRequest, declared: Option<u64>, received: u64) {
    tracing::warn!(
        event = "request_too_large",
        method = %request.method(),
        route = request.match_pattern().unwrap_or_default(),
        declared_bytes = declared,
        received_bytes = received,
        "A request body was refused before it was read"
    );
}

/// Makes the body, if there is one, end with an error once more than `max_bytes` of it have come; returns the counter.
fn count(request: &mut ServiceRequest, max_bytes: u64) -> Option<Rc<Cell<u64>>> {
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
    use actix_web::http::StatusCode;
    use actix_web::middleware::from_fn;
    use actix_web::test::{TestRequest, call_service, init_service, read_body};
    use actix_web::web::Bytes;

    use super::*;

    /// Asks a service with a limit of ten bytes; one of its routes repeats the body, the other never reads it.
    async fn ask(path: &str, declared: Option<&str>, body: &'static str) -> (StatusCode, Bytes) {
        let app = actix_web::App::new()
            .wrap(from_fn(|request, next| limited(request, next, 10)))
            .route("/echo", web::post().to(|body: Bytes| async move { body }))
            .route("/deaf", web::post().to(|| async { "did not listen" }));
        let app = init_service(app).await;
        let mut request = TestRequest::post().uri(path).set_payload(body).to_request();
        // `set_payload` tells a length of its own.
        request.headers_mut().remove(CONTENT_LENGTH);
        if let Some(length) = declared {
            request.headers_mut().insert(CONTENT_LENGTH, length.parse().unwrap());
        }
        let response = call_service(&app, request).await;
        (response.status(), read_body(response).await)
    }

    #[actix_web::test]
    async fn up_to_the_limit_a_body_passes() {
        for declared in [None, Some("10")] {
            assert_eq!(ask("/echo", declared, "0123456789").await, (StatusCode::OK, "0123456789".into()));
        }
        assert_eq!(ask("/echo", None, "").await, (StatusCode::OK, "".into()));
    }

    #[actix_web::test]
    async fn a_declared_oversize_reaches_nobody() {
        for path in ["/echo", "/deaf", "/nowhere"] {
            for length in ["11", "18446744073709551615"] {
                assert_eq!(ask(path, Some(length), "").await.0, StatusCode::PAYLOAD_TOO_LARGE, "{path}");
            }
        }
    }

    #[actix_web::test]
    async fn what_is_not_declared_is_counted() {
        let (status, body) = ask("/echo", None, "0123456789a").await;
        assert_eq!(
            (status, body.as_ref()),
            (StatusCode::PAYLOAD_TOO_LARGE, &b""[..]),
            "nothing of it is repeated"
        );
        let lie = ask("/echo", Some("1"), "0123456789a").await;
        assert_eq!(lie.0, StatusCode::PAYLOAD_TOO_LARGE, "a length that was told is not believed");
    }

    #[actix_web::test]
    async fn what_nobody_reads_is_not_counted() {
        assert_eq!(ask("/deaf", None, "0123456789a").await, (StatusCode::OK, "did not listen".into()));
    }
}
