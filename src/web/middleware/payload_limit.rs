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
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let max_bytes = request.app_data::<web::Data<App>>().map_or(0, |app| app.limits().max_request_bytes);
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
