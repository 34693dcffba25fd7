//! How often one client may ask: an allowance for turns, larger ones for everything else and for health, each refilled
//! evenly (GCRA, as ATM's "generic cell rate algorithm" is called), and 429 with `Retry-After` beyond it.
//!
//! A client is an IPv4 address or the /64 of an IPv6 one, as a trusted proxy tells it.
//!
//! Bounds: those of [`PerClient`].

use std::net::IpAddr;
use std::num::NonZeroU32;

use actix_web::dev::ServiceRequest;
use actix_web::http::Method;
use actix_web::{HttpMessage, web};
use governor::clock::{Clock, DefaultClock};
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};

use crate::telemetry::metrics::Metrics;
use crate::web::error::ApiError;
use crate::web::middleware::measure::Route;
use crate::web::per_client::PerClient;
use crate::web::proxies::client_of;

/// How much more often than for a turn one may ask for something else, and for health.
const READS: NonZeroU32 = NonZeroU32::new(20).unwrap();
const HEALTH: NonZeroU32 = NonZeroU32::new(40).unwrap();

type Limiter<C> = RateLimiter<NotKeyed, InMemoryState, C, NoOpMiddleware<<C as Clock>::Instant>>;

/// What a request counts against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Turn,
    Read,
    Health,
}

impl Kind {
    const fn label(self) -> &'static str {
        match self {
            Self::Turn => "turn",
            Self::Read => "read",
            Self::Health => "health",
        }
    }
}

/// What one client has left of each kind.
struct Allowances<C: Clock>([Limiter<C>; 3]);

/// Counts the requests of all clients. Found in the application's data; without it nothing is limited.
pub struct RateLimits<C: Clock = DefaultClock> {
    turns_per_minute: NonZeroU32,
    clock: C,
    clients: PerClient<Allowances<C>>,
}

impl RateLimits {
    /// Allows one client so many turns a minute.
    #[must_use]
    pub fn new(turns_per_minute: NonZeroU32) -> Self {
        Self::with_clock(turns_per_minute, DefaultClock::default())
    }
}

impl<C: Clock + Clone> RateLimits<C> {
    fn with_clock(turns_per_minute: NonZeroU32, clock: C) -> Self {
        Self { turns_per_minute, clock, clients: PerClient::default() }
    }

    /// Counts a turn of this client that came over a socket; when it is one too many, says in how many seconds the next one is
    /// welcome.
    ///
    /// # Errors
    /// So many seconds.
    pub fn count_turn(&self, client: IpAddr) -> Result<(), u64> {
        self.check(client, Kind::Turn)
    }

    /// Counts a request; when it is one too many, says in how many seconds the next one is welcome.
    fn check(&self, client: IpAddr, kind: Kind) -> Result<(), u64> {
        let take = |allowances: &mut Allowances<C>| allowances.0[kind as usize].check();
        self.clients.with(client, || self.full(), take).map_err(|early| {
            let wait = early.wait_time_from(self.clock.now());
            wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
        })
    }

    fn full(&self) -> Allowances<C> {
        let limiter = |times: NonZeroU32| {
            let quota = Quota::per_minute(self.turns_per_minute.saturating_mul(times));
            RateLimiter::direct_with_clock(quota, self.clock.clone())
        };
        Allowances([limiter(NonZeroU32::MIN), limiter(READS), limiter(HEALTH)])
    }
}

/// Applies [`RateLimits`] to a request, of whose body nothing has been read.
///
/// # Errors
/// [`ApiError::RateLimited`] when it is one too many.
pub fn check(request: &ServiceRequest) -> Result<(), ApiError> {
    if let Some(limits) = request.app_data::<web::Data<RateLimits>>()
        && let Some(client) = client_of(request.request())
        && let kind = kind_of(request)
        && let Err(retry_after) = limits.check(client, kind)
    {
        if let Some(metrics) = request.app_data::<web::Data<Metrics>>() {
            metrics.rate_limited(kind.label());
        }
        // Not louder: whoever floods the server must not flood its log.
        tracing::debug!(
            event = "rate_limited",
            route = &*Route::of(request),
            retry_after,
            "A client asked too often"
        );
        return Err(ApiError::RateLimited { retry_after });
    }
    Ok(())
}

fn kind_of(request: &ServiceRequest) -> Kind {
    let extensions = request.extensions();
    match extensions.get::<Route>().map(|route| &*route.0) {
        Some("/api/v1/chat" | "/api/v1/voice/process" | "/api/v1/voice/stream-tts")
            if request.method() == Method::POST =>
        {
            Kind::Turn
        }
        Some("/api/v1/health" | "/livez" | "/readyz") => Kind::Health,
        Some(_) | None => Kind::Read,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use governor::clock::FakeRelativeClock;

    use super::*;
    use crate::web::per_client::MOST_CLIENTS;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn limits(clock: &FakeRelativeClock) -> RateLimits<FakeRelativeClock> {
        RateLimits::with_clock(NonZeroU32::new(30).unwrap(), clock.clone())
    }

    #[test]
    fn an_allowance_is_used_up_and_comes_back_evenly() {
        let clock = FakeRelativeClock::default();
        let limits = limits(&clock);
        let client = address("192.0.2.1");
        for _ in 0..30 {
            assert_eq!(limits.check(client, Kind::Turn), Ok(()));
        }
        assert_eq!(limits.check(client, Kind::Turn), Err(2));
        assert_eq!(limits.check(address("192.0.2.2"), Kind::Turn), Ok(()), "each has its own");
        clock.advance(Duration::from_secs(2));
        assert_eq!(limits.check(client, Kind::Turn), Ok(()));
        assert_eq!(limits.check(client, Kind::Turn), Err(2));
        clock.advance(Duration::from_secs(60));
        assert_eq!((0..100).filter(|_| limits.check(client, Kind::Turn).is_ok()).count(), 30);
    }

    #[test]
    fn other_things_have_allowances_of_their_own() {
        let clock = FakeRelativeClock::default();
        let limits = limits(&clock);
        let client = address("192.0.2.1");
        let most = |kind| (0..2000).filter(|_| limits.check(client, kind).is_ok()).count();
        assert_eq!((most(Kind::Turn), most(Kind::Read), most(Kind::Health)), (30, 600, 1200));
    }

    #[test]
    fn so_many_clients_are_remembered_and_no_more() {
        let clock = FakeRelativeClock::default();
        let limits = limits(&clock);
        let number = |number: u32| IpAddr::V4(number.into());
        let first = number(0);
        while limits.check(first, Kind::Turn).is_ok() {}
        for other in 1..MOST_CLIENTS {
            assert!(limits.check(number(u32::try_from(other).unwrap()), Kind::Turn).is_ok());
        }
        assert!(limits.check(first, Kind::Turn).is_err(), "still known, and now the last one seen");
        for other in 0..MOST_CLIENTS {
            limits.check(number(u32::try_from(1 << 20 | other).unwrap()), Kind::Turn).unwrap();
        }
        assert_eq!(limits.clients.len(), MOST_CLIENTS);
        assert!(limits.check(first, Kind::Turn).is_ok(), "forgotten");
    }
}
