//! What every request passes through, one step after the other: measured, given its id and its span in the log, counted
//! against its client's allowance; and what every answer is given: cookies, how long it may be kept, security headers, an
//! error's body.
//!
//! One function for all of them and not a middleware each: those cost an allocation and several moves of the answer apiece,
//! together as much as all else that a small answer costs.

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::middleware::Next;
use actix_web::{Error, ResponseError};
use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use tracing::Instrument;

use crate::web::middleware::{
    cache_headers, foreign_origin, last_answer, measure, rate_limit, request_id, security_headers,
    token_cookies, unread_body,
};
use crate::web::{answer_budget, at_hand};

/// Does all of it. In one box: unboxed, it would be moved from each service around it to the next.
pub fn every_request(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> LocalBoxFuture<'static, Result<ServiceResponse<BoxBody>, Error>> {
    pass(request, next).boxed_local()
}

async fn pass(
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let measured = measure::begin(&request);
    let body = unread_body::hold(&mut request);
    request_id::give(&request);
    let span = request_id::span_of(&request);
    let response = answer(request, next, body.is_some()).instrument(span).await?;
    let mut response = unread_body::keep(body, response);
    last_answer::close_when_stopping(&mut response);
    if let Some(measured) = measured {
        measured.end(&response);
    }
    Ok(response)
}

async fn answer(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
    has_body: bool,
) -> Result<ServiceResponse<BoxBody>, Error> {
    security_headers::note_tls(&request);
    let mut response = match rate_limit::check(&request) {
        Ok(()) if has_body => answer_budget::hold(next.call(request).await?.map_into_boxed_body()),
        Ok(()) => match at_hand::answer(request.request()) {
            Some(answer) => request.into_response(answer),
            None => answer_budget::hold(next.call(request).await?.map_into_boxed_body()),
        },
        Err(refusal) if foreign_origin::may_be_let_in(&request) => {
            // Only behind this is an allowed page given leave to read it.
            foreign_origin::refuse(&request, refusal);
            next.call(request).await?.map_into_boxed_body()
        }
        Err(refusal) => request.into_response(refusal.error_response()),
    };
    token_cookies::change(&mut response)?;
    cache_headers::set(&mut response);
    security_headers::set(&mut response);
    Ok(request_id::finish(response))
}
