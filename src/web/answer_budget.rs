//! The memory that large answers take until their readers have them, all together: pages of conversations and memories, and what is
//! read ahead of an export. Whoever reads slowly keeps it for long, so there is a bound, as for what comes in.
//!
//! Bounds: 64 MiB, one client a quarter; answers of up to 64 KiB, and those from disk or of the page's files, take none. Nobody waits:
//! what is made already would have to be kept meanwhile.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr};
use std::pin::Pin;
use std::task::{Context, Poll};

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::ServiceResponse;
use actix_web::{HttpRequest, ResponseError, web};
use bytes::Bytes;

use crate::app::AppError;
use crate::web::byte_budget::{ByteBudget, Reservation};
use crate::web::error::ApiError;
use crate::web::middleware::measure::Route;
use crate::web::proxies::client_of;

const ALL: u64 = 64 << 20;
const SHARE: u64 = ALL / 4;
const SMALL: u64 = 64 << 10;
/// What the connection is given at a time: it keeps a copy until that is sent.
const PIECE: usize = 56 << 10;

/// All the bytes there are for answers. Found in the application's data.
pub struct AnswerBudget(ByteBudget);

impl Default for AnswerBudget {
    fn default() -> Self {
        Self(ByteBudget::new(ALL, SHARE))
    }
}

impl AnswerBudget {
    /// Bytes taken by answers on their way.
    #[must_use]
    pub fn held_bytes(&self) -> u64 {
        let (small, large) = self.0.held_bytes();
        small + large
    }
}

/// A place for an answer to this request.
///
/// # Errors
/// [`AppError::Busy`] when there is none.
pub fn place_for(request: &HttpRequest, bytes: u64) -> Result<Option<Reservation>, ApiError> {
    let Some(budget) = request.app_data::<web::Data<AnswerBudget>>() else { return Ok(None) };
    let client = client_of(request).unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    // One that is larger than a share has all of it.
    let place = budget.0.reserve_at_once(client, bytes.min(SHARE));
    place.map(Some).map_err(|_| AppError::Busy.into())
}

/// Gives a large answer that lies in memory its place until it is sent; without one it is told to come again.
pub fn hold(response: ServiceResponse<BoxBody>) -> ServiceResponse<BoxBody> {
    let large = matches!(response.response().body().size(), BodySize::Sized(bytes) if bytes > SMALL);
    if !large || !Route::of(response.request()).starts_with("/api/") {
        return response;
    }
    let (request, response) = response.into_parts();
    let (head, body) = response.into_parts();
    let bytes = match body.try_into_bytes() {
        Ok(bytes) => bytes,
        // It comes from somewhere else, piece by piece.
        Err(body) => return ServiceResponse::new(request, head.set_body(body)),
    };
    let held = place_for(&request, bytes.len() as u64);
    let response = match held {
        Ok(place) => head.set_body(BoxBody::new(Held { bytes, _place: place })),
        Err(busy) => busy.error_response(),
    };
    ServiceResponse::new(request, response)
}

/// An answer with its place.
struct Held {
    bytes: Bytes,
    _place: Option<Reservation>,
}

impl MessageBody for Held {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Sized(self.bytes.len() as u64)
    }

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, Infallible>>> {
        let most = self.bytes.len().min(PIECE);
        let piece = self.bytes.split_to(most);
        Poll::Ready((!piece.is_empty()).then_some(Ok(piece)))
    }
}
