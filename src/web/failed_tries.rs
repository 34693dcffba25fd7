//! How often one client may be wrong about a token, a link or a recovery code: ten times, then once a minute. Meanwhile its tokens are not looked at,
//! so that a right one tells it nothing either.
//!
//! Bounds: those of [`PerClient`].

use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU32;

use actix_web::HttpRequest;
use governor::clock::{Clock, DefaultClock};
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{NotUntil, Quota, RateLimiter};

use crate::web::error::ApiError;
use crate::web::middleware::measure::Route;
use crate::web::per_client::PerClient;
use crate::web::proxies::client_of;

const AT_FIRST: NonZeroU32 = NonZeroU32::new(10).unwrap();

type Limiter<C> = RateLimiter<NotKeyed, InMemoryState, C, NoOpMiddleware<<C as Clock>::Instant>>;

struct Tries<C: Clock> {
    failures: Limiter<C>,
    barred: Option<NotUntil<C::Instant>>,
}

/// Counts the failures of each client.
pub struct FailedTries<C: Clock = DefaultClock> {
    clock: C,
    clients: PerClient<Tries<C>>,
}

fn client(request: &HttpRequest) -> IpAddr {
    client_of(request).unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED))
}

fn barred(retry_after: u64) -> ApiError {
    ApiError::RateLimited { retry_after }
}

impl Default for FailedTries {
    fn default() -> Self {
        Self::with_clock(DefaultClock::default())
    }
}

impl<C: Clock + Clone> FailedTries<C> {
    fn with_clock(clock: C) -> Self {
        Self { clock, clients: PerClient::default() }
    }

    /// Passes as long as whoever sent the request may try.
    ///
    /// # Errors
    /// [`ApiError::RateLimited`] when they were wrong too often.
    pub fn admit(&self, request: &HttpRequest) -> Result<(), ApiError> {
        self.may_try(client(request)).map_err(barred)
    }

    /// Counts and logs that whoever sent the request was wrong; `refusal`, or that they have to wait.
    pub fn refuse(&self, request: &HttpRequest, refusal: ApiError) -> ApiError {
        let counted = self.failed(client(request));
        // Not more often than failures are let through: whoever guesses must not flood the log.
        tracing::warn!(
            event = "access_refused",
            method = %request.method(),
            route = &*Route::of(request),
            barred_seconds = counted.err(),
            "A wrong token was presented"
        );
        counted.map_err(barred).err().unwrap_or(refusal)
    }

    /// Whether the client may try; if not, in how many seconds.
    fn may_try(&self, client: IpAddr) -> Result<(), u64> {
        let wait = |tries: &mut Tries<C>| tries.barred.as_ref().map_or(0, |until| self.seconds(until));
        match self.clients.look(client, wait).unwrap_or(0) {
            0 => Ok(()),
            seconds => Err(seconds),
        }
    }

    /// Counts a failure; when it is one too many, says in how many seconds the client may try again.
    fn failed(&self, client: IpAddr) -> Result<(), u64> {
        let fresh = || {
            let quota = Quota::per_minute(NonZeroU32::MIN).allow_burst(AT_FIRST);
            Tries { failures: RateLimiter::direct_with_clock(quota, self.clock.clone()), barred: None }
        };
        self.clients.with(client, fresh, |tries| {
            tries.barred = tries.failures.check().err();
            tries.barred.as_ref().map_or(Ok(()), |until| Err(self.seconds(until)))
        })
    }

    fn seconds(&self, until: &NotUntil<C::Instant>) -> u64 {
        let wait = until.wait_time_from(self.clock.now());
        wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use governor::clock::FakeRelativeClock;

    use super::*;
    use crate::web::per_client::MOST_CLIENTS;

    fn number(number: usize) -> IpAddr {
        IpAddr::V4(u32::try_from(number).unwrap().into())
    }

    #[test]
    fn who_is_wrong_too_often_is_barred_and_let_in_again() {
        let clock = FakeRelativeClock::default();
        let tries = FailedTries::with_clock(clock.clone());
        let client = number(1);
        for _ in 0..10 {
            assert_eq!((tries.may_try(client), tries.failed(client)), (Ok(()), Ok(())));
        }
        assert_eq!((tries.may_try(client), tries.failed(client)), (Ok(()), Err(60)));
        assert_eq!(tries.may_try(client), Err(60));
        assert_eq!(tries.may_try(number(2)), Ok(()), "each has its own");
        clock.advance(Duration::from_millis(59_500));
        assert_eq!(tries.may_try(client), Err(1));
        clock.advance(Duration::from_millis(500));
        assert_eq!((tries.may_try(client), tries.failed(client)), (Ok(()), Ok(())), "once a minute");
        assert_eq!((tries.may_try(client), tries.failed(client)), (Ok(()), Err(60)));
        assert_eq!(tries.may_try(client), Err(60));
    }

    #[test]
    fn so_many_clients_are_remembered_and_who_was_never_wrong_takes_no_place() {
        let tries = FailedTries::with_clock(FakeRelativeClock::default());
        let first = number(0);
        while tries.failed(first).is_ok() {}
        for innocent in 1..=MOST_CLIENTS {
            assert_eq!(tries.may_try(number(innocent)), Ok(()));
        }
        assert_eq!((tries.clients.len(), tries.may_try(first)), (1, Err(60)));
        for other in 1..=MOST_CLIENTS {
            tries.failed(number(other)).unwrap();
        }
        assert_eq!((tries.clients.len(), tries.may_try(first)), (MOST_CLIENTS, Ok(())), "forgotten");
    }
}
