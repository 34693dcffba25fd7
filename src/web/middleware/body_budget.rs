//! When a body may come into memory, and how slowly: its place in the byte budget is taken before its first byte is read, and
//! one that stalls or drips is given up.
//!
//! Bounds: nothing for `BODY_IDLE_TIMEOUT_SECONDS`, `BODY_TIMEOUT_SECONDS` in all, 4 KiB/s on average after 10 s: 408. While more than
//! half of the reserve for small bodies is taken, for these nothing for 2 s, and 4 KiB/s after 2 s.

use std::cell::{Cell, RefCell};
use std::net::{IpAddr, Ipv4Addr};
use std::rc::Rc;
use std::time::{Duration, Instant};

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::error::PayloadError;
use actix_web::http::header::{CONTENT_LENGTH, UPGRADE};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, HttpRequest, ResponseError, web};
use bytes::Bytes;
use futures_util::{StreamExt, stream};

use crate::app::AppError;
use crate::telemetry::metrics::BodyRefusal;
use crate::web::byte_budget::{ByteBudget, Reservation};
use crate::web::error::ApiError;
use crate::web::metrics::refused_body;
use crate::web::middleware::measure::opens_socket;
use crate::web::middleware::payload_limit::MaxRequestBytes;
use crate::web::proxies::client_of;

/// How slowly a body may come. Found in the application's data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BodyPace {
    /// The longest without a byte.
    pub idle: Duration,
    /// The longest in all.
    pub total: Duration,
    /// After this it has to come at 4 KiB/s at least.
    pub grace: Duration,
}

/// Bytes a second, on average.
const SLOWEST: f64 = 4096.0;
/// How long a small body may be silent, and as slow as it likes, while the reserve for such is short.
const WHILE_SHORT: Duration = Duration::from_secs(2);
/// So often a body that is waited for is looked at anew: the reserve may have become short.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// The place a request's body holds in the budget. Found in the request's extensions.
struct Held(Rc<RefCell<Option<Reservation>>>);

/// Gives back the place of a body whose bytes nobody holds any more, before the request has ended.
pub fn done_with_body(request: &HttpRequest) {
    if let Some(Held(place)) = request.extensions_mut().remove::<Held>() {
        drop(place.take());
    }
}

/// `bytes` with the place of the request's body, which then ends with the last that holds them: a turn goes on for a while when its
/// client, and the request with it, has gone.
#[must_use]
pub fn with_place(request: &HttpRequest, bytes: Bytes) -> Bytes {
    let place = request.extensions_mut().remove::<Held>().and_then(|Held(place)| place.take());
    Bytes::from_owner(Placed { bytes, _place: place })
}

struct Placed {
    bytes: Bytes,
    _place: Option<Reservation>,
}

impl AsRef<[u8]> for Placed {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// The length of a request's body in bytes; the most it can become when it does not tell.
#[must_use]
pub fn announced_bytes(request: &HttpRequest) -> u64 {
    let most = || request.app_data::<MaxRequestBytes>().map_or(0, |most| most.0);
    // With an upgrade a body goes on until the connection ends, whatever was declared.
    if request.headers().contains_key(UPGRADE) {
        return most();
    }
    let declared = request.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    declared.unwrap_or_else(most)
}

/// Why a body ended before its end.
#[derive(Clone, Copy)]
enum GivenUp {
    NoPlace,
    TooSlow,
}

/// A body on its way in.
struct Incoming {
    body: Payload,
    budget: web::Data<ByteBudget>,
    pace: BodyPace,
    client: IpAddr,
    /// Its length, or the most it can become.
    bytes: u64,
    place: Rc<RefCell<Option<Reservation>>>,
    given_up: Rc<Cell<Option<GivenUp>>>,
    began: Option<Instant>,
    received: u64,
}

/// Applies [`ByteBudget`] and [`BodyPace`] to every body that is read.
///
/// # Errors
/// What the inner service says.
pub async fn body_budget(
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let Some(given_up) = watch(&mut request) else {
        return next.call(request).await.map(ServiceResponse::map_into_boxed_body);
    };
    let response = next.call(request).await?;
    let (error, why) = match given_up.get() {
        None => return Ok(response.map_into_boxed_body()),
        Some(GivenUp::NoPlace) => (ApiError::App(AppError::Busy), BodyRefusal::NoRoom),
        Some(GivenUp::TooSlow) => (ApiError::SlowBody, BodyRefusal::TooSlow),
    };
    refused_body(response.request(), why);
    // Whatever the handler made of the broken body, the reason is this one.
    Ok(response.into_response(error.error_response()))
}

/// Puts the watch before the request's body, if there is one.
fn watch(request: &mut ServiceRequest) -> Option<Rc<Cell<Option<GivenUp>>>> {
    if opens_socket(request.request()) {
        return None;
    }
    let budget = request.app_data::<web::Data<ByteBudget>>()?.clone();
    let pace = *request.app_data::<BodyPace>()?;
    let body = request.take_payload();
    if matches!(body, Payload::None) {
        return None;
    }
    let place = Rc::default();
    let given_up = Rc::default();
    request.extensions_mut().insert(Held(Rc::clone(&place)));
    let incoming = Incoming {
        body,
        budget,
        pace,
        client: client_of(request.request()).unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
        bytes: announced_bytes(request.request()),
        place,
        given_up: Rc::clone(&given_up),
        began: None,
        received: 0,
    };
    // Readers of forms go on asking after the end.
    let chunks = stream::unfold(incoming, Incoming::next).fuse();
    request.set_payload(Payload::Stream { payload: Box::pin(chunks) });
    Some(given_up)
}

impl Incoming {
    async fn next(mut self) -> Option<(Result<Bytes, PayloadError>, Self)> {
        if self.given_up.get().is_some() {
            return None;
        }
        if self.began.is_none() {
            let Ok(place) = self.budget.reserve(self.client, self.bytes).await else {
                return self.give_up(GivenUp::NoPlace);
            };
            self.place.replace(Some(place));
        }
        let began = *self.began.get_or_insert_with(Instant::now);
        let Some(chunk) = self.chunk_in_time(began).await else { return self.give_up(GivenUp::TooSlow) };
        let chunk = chunk?;
        self.received += chunk.as_ref().map_or(0, |chunk| chunk.len() as u64);
        let so_far = began.elapsed();
        if so_far > self.patience(self.pace.grace) && (self.received as f64) < SLOWEST * so_far.as_secs_f64()
        {
            return self.give_up(GivenUp::TooSlow);
        }
        Some((chunk, self))
    }

    /// What comes next, or the body's end; `None` when it does not come in time.
    async fn chunk_in_time(&mut self, began: Instant) -> Option<Option<Result<Bytes, PayloadError>>> {
        let waits = Instant::now();
        loop {
            let left = self.patience(self.pace.idle).saturating_sub(waits.elapsed());
            let left = left.min(self.pace.total.saturating_sub(began.elapsed()));
            match tokio::time::timeout(left.min(LOOK_AGAIN), self.body.next()).await {
                Ok(chunk) => return Some(chunk),
                Err(_) if left <= LOOK_AGAIN => return None,
                Err(_) => {}
            }
        }
    }

    /// So long, or as long as there is while many wait.
    fn patience(&self, usual: Duration) -> Duration {
        if self.budget.is_short_for(self.bytes) { usual.min(WHILE_SHORT) } else { usual }
    }

    fn give_up(self, why: GivenUp) -> Option<(Result<Bytes, PayloadError>, Self)> {
        self.given_up.set(Some(why));
        Some((Err(PayloadError::Incomplete(None)), self))
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::StatusCode;
    use actix_web::middleware::from_fn;
    use actix_web::test::{TestRequest, call_service, init_service};
    use actix_web::{App, HttpResponse};

    use super::*;

    const SHORT: Duration = Duration::from_millis(50);
    const LONG: Duration = Duration::from_secs(60);

    async fn reader(mut body: web::Payload) -> HttpResponse {
        while let Some(chunk) = body.next().await {
            if chunk.is_err() {
                return HttpResponse::BadRequest().finish();
            }
        }
        HttpResponse::Ok().finish()
    }

    /// The answer to a body of `pieces` bytes, with so long before each.
    async fn send(pace: BodyPace, pieces: usize, pause: Duration) -> StatusCode {
        let budget = ByteBudget::new(1 << 20, 1 << 20);
        send_in(budget, pace, vec![Bytes::from_static(b"x"); pieces], pause, TestRequest::post()).await
    }

    async fn send_in(
        budget: ByteBudget,
        pace: BodyPace,
        pieces: Vec<Bytes>,
        pause: Duration,
        request: TestRequest,
    ) -> StatusCode {
        let budget = web::Data::new(budget);
        let app = App::new().app_data(MaxRequestBytes(1 << 20)).app_data(budget).app_data(pace);
        let app = init_service(app.route("/", web::post().to(reader)).wrap(from_fn(body_budget))).await;
        let body = stream::unfold(pieces.into_iter(), move |mut left| async move {
            tokio::time::sleep(pause).await;
            left.next().map(|piece| (Ok(piece), left))
        });
        let mut request = request.to_request();
        *request.payload() = Payload::Stream { payload: Box::pin(body) };
        call_service(&app, request).await.status()
    }

    #[actix_web::test]
    async fn a_body_that_comes_in_time_passes() {
        let pace = BodyPace { idle: LONG, total: LONG, grace: LONG };
        assert_eq!(send(pace, 3, Duration::ZERO).await, StatusCode::OK);
    }

    #[actix_web::test]
    async fn a_body_that_stalls_is_given_up() {
        let pace = BodyPace { idle: SHORT, total: LONG, grace: LONG };
        assert_eq!(send(pace, 1, LONG).await, StatusCode::REQUEST_TIMEOUT);
    }

    #[actix_web::test]
    async fn a_body_that_takes_too_long_in_all_is_given_up() {
        let pace = BodyPace { idle: LONG, total: SHORT, grace: LONG };
        assert_eq!(send(pace, 1000, SHORT / 10).await, StatusCode::REQUEST_TIMEOUT);
    }

    #[actix_web::test]
    async fn a_body_that_drips_is_given_up() {
        let pace = BodyPace { idle: LONG, total: LONG, grace: SHORT };
        assert_eq!(send(pace, 1000, SHORT / 10).await, StatusCode::REQUEST_TIMEOUT);
    }

    #[actix_web::test]
    async fn four_kib_a_second_are_enough() {
        let pace = BodyPace { idle: LONG, total: LONG, grace: SHORT };
        for (bytes, status) in [(4000, StatusCode::OK), (50, StatusCode::REQUEST_TIMEOUT)] {
            let budget = ByteBudget::new(1 << 20, 1 << 20);
            let pieces = vec![Bytes::from(vec![b'x'; bytes]); 20];
            // Less often than that when the machine is busy, which 4000 bytes allow for.
            let pause = Duration::from_millis(25);
            let answered = send_in(budget, pace, pieces, pause, TestRequest::post()).await;
            assert_eq!(answered, status, "{bytes} bytes 40 times a second");
        }
    }

    #[actix_web::test]
    async fn while_the_reserve_is_short_small_bodies_have_less_time() {
        let pace = BodyPace { idle: LONG, total: LONG, grace: LONG };
        for (pieces, pause) in [(1, LONG), (1000, SHORT)] {
            for (length, is_small) in [(1000, true), (100_000, false)] {
                let budget = ByteBudget::new(1 << 20, 1 << 20);
                let hold = |number: u32| {
                    budget.reserve_at_once(Ipv4Addr::from_bits(1 + number / 32).into(), 64 << 10)
                };
                let held: Vec<_> = (0..257).map(|number| hold(number).unwrap()).collect();
                let pieces = vec![Bytes::from_static(b"x"); pieces];
                let request = TestRequest::post().insert_header((CONTENT_LENGTH, length));
                let answered = send_in(budget, pace, pieces, pause, request);
                let answered = tokio::time::timeout(2 * WHILE_SHORT, answered).await;
                let expected = is_small.then_some(StatusCode::REQUEST_TIMEOUT);
                assert_eq!(answered.ok(), expected, "{length} bytes, each after {pause:?}");
                drop(held);
            }
        }
    }
}
