//! Lines of the log that whoever floods the server would cause: a few, then one a second, which tells how many were left out.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};

use governor::clock::{Clock, DefaultClock};
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};

const AT_FIRST: NonZeroU32 = NonZeroU32::new(20).unwrap();

/// Counts lines of one kind.
pub struct Sparing<C: Clock = DefaultClock> {
    lines: RateLimiter<NotKeyed, InMemoryState, C, NoOpMiddleware<C::Instant>>,
    left_out: AtomicU64,
}

impl Default for Sparing {
    fn default() -> Self {
        Self::with_clock(DefaultClock::default())
    }
}

impl<C: Clock> Sparing<C> {
    fn with_clock(clock: C) -> Self {
        let quota = Quota::per_second(NonZeroU32::MIN).allow_burst(AT_FIRST);
        Self { lines: RateLimiter::direct_with_clock(quota, clock), left_out: AtomicU64::new(0) }
    }

    /// Whether one more may be written; if so, how many were left out since the last one.
    pub fn one_more(&self) -> Option<u64> {
        if self.lines.check().is_ok() {
            return Some(self.left_out.swap(0, Ordering::Relaxed));
        }
        self.left_out.fetch_add(1, Ordering::Relaxed);
        None
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use governor::clock::FakeRelativeClock;

    use super::*;

    #[test]
    fn a_flood_is_twenty_lines_then_one_a_second_and_all_are_counted() {
        let clock = FakeRelativeClock::default();
        let lines = Sparing::with_clock(clock.clone());
        let written: Vec<_> = (0..1000).filter_map(|_| lines.one_more()).collect();
        assert_eq!(written, [0; 20]);
        clock.advance(Duration::from_secs(1));
        assert_eq!((lines.one_more(), lines.one_more()), (Some(980), None));
        clock.advance(Duration::from_secs(1));
        assert_eq!(lines.one_more(), Some(1));
    }
}
