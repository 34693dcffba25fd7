//! The circuit breaker of one upstream: who fails too often is left alone for a while, then tried with one call.
//!
//! It opens after so many failures in a row, or when of the last calls of a minute more than half failed. A success heals, and so
//! does an answer that its caller has left while it came.
//! Bounds: 64 calls are remembered.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::domain::upstream::Circuit;

const MOST_REMEMBERED: usize = 64;
const REMEMBERED_FOR: Duration = Duration::from_secs(60);
/// Fewer calls say nothing about a rate.
const FEWEST_FOR_A_RATE: usize = 20;
/// An upstream that asks for a longer rest is tried again by then.
const LONGEST_REST: Duration = Duration::from_secs(300);
/// Whoever has said nothing for so long may have fallen silent for good.
const JUST_NOW: Duration = Duration::from_secs(2);

/// When the circuit opens, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BreakerSettings {
    /// So many failures in a row.
    pub threshold: u32,
    /// Until the trial.
    pub recovery: Duration,
}

/// The state of one upstream's circuit.
pub(in crate::adapters) struct Breaker {
    settings: BreakerSettings,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    in_a_row: u32,
    /// When, and whether it failed; the oldest first.
    last: VecDeque<(Instant, bool)>,
    /// Set while the circuit is not closed.
    rests_until: Option<Instant>,
    trial_runs: bool,
}

/// One call. Dropping it without a word teaches nothing.
pub(in crate::adapters) struct Call {
    breaker: Arc<Breaker>,
    is_trial: bool,
    /// When the last piece of the answer came.
    heard_at: Option<Instant>,
}

impl Breaker {
    pub(in crate::adapters) fn new(settings: BreakerSettings) -> Self {
        Self { settings, state: Mutex::default() }
    }

    /// Begins a call.
    ///
    /// # Errors
    /// While the circuit is open: when it may be tried.
    pub(in crate::adapters) fn begin(self: &Arc<Self>, now: Instant) -> Result<Call, Duration> {
        let mut state = self.lock();
        let is_trial = match state.rests_until {
            None => false,
            Some(until) if now < until => return Err(until - now),
            // It will soon be known.
            Some(_) if state.trial_runs => return Err(Duration::from_secs(1)),
            Some(_) => true,
        };
        state.trial_runs |= is_trial;
        Ok(Call { breaker: self.clone(), is_trial, heard_at: None })
    }

    /// Whether the upstream is asked, and if not, when it will be.
    pub(in crate::adapters) fn circuit(&self, now: Instant) -> (Circuit, Option<Duration>) {
        match self.lock().rests_until {
            None => (Circuit::Closed, None),
            Some(until) if now < until => (Circuit::Open, Some(until - now)),
            Some(_) => (Circuit::HalfOpen, None),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Call {
    /// True when all depends on this one.
    pub(in crate::adapters) const fn is_trial(&self) -> bool {
        self.is_trial
    }

    /// A piece of the answer has come.
    pub(in crate::adapters) fn heard(&mut self, now: Instant) {
        self.heard_at = Some(now);
    }

    /// Its caller has left. True for an upstream that was answering just then: it answers. Of another one nothing is known.
    pub(in crate::adapters) fn left(&mut self, now: Instant) -> bool {
        let answers = self.heard_at.is_some_and(|at| now.saturating_duration_since(at) < JUST_NOW);
        if answers {
            self.succeeded(now);
        }
        answers
    }

    /// The upstream answers.
    pub(in crate::adapters) fn succeeded(&mut self, now: Instant) {
        let mut state = self.breaker.lock();
        if std::mem::take(&mut self.is_trial) {
            *state = State::default();
        }
        state.in_a_row = 0;
        state.remember(now, false);
    }

    /// It does not, and may have said how long it wants to rest.
    pub(in crate::adapters) fn failed(&mut self, now: Instant, rest: Option<Duration>) {
        let settings = self.breaker.settings;
        let mut state = self.breaker.lock();
        let was_trial = std::mem::take(&mut self.is_trial);
        if was_trial {
            state.trial_runs = false;
        }
        state.in_a_row = state.in_a_row.saturating_add(1);
        state.remember(now, true);
        // One that began before the circuit opened says nothing new.
        let is_closed = state.rests_until.is_none();
        if was_trial || is_closed && (state.in_a_row >= settings.threshold || state.fails_mostly(now)) {
            let rest = rest.unwrap_or_default().min(LONGEST_REST).max(settings.recovery);
            state.rests_until = Some(now + rest);
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if self.is_trial {
            self.breaker.lock().trial_runs = false;
        }
    }
}

impl State {
    fn remember(&mut self, now: Instant, failed: bool) {
        if self.last.len() >= MOST_REMEMBERED {
            self.last.pop_front();
        }
        self.last.push_back((now, failed));
    }

    fn fails_mostly(&self, now: Instant) -> bool {
        let young = |at: &Instant| now.saturating_duration_since(*at) < REMEMBERED_FOR;
        let calls = self.last.iter().filter(|(at, _)| young(at));
        let (all, failed) =
            calls.fold((0, 0), |(all, bad), (_, failed)| (all + 1, bad + usize::from(*failed)));
        all >= FEWEST_FOR_A_RATE && failed * 2 > all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn breaker() -> (Arc<Breaker>, Instant) {
        let settings = BreakerSettings { threshold: 3, recovery: 30 * SECOND };
        (Arc::new(Breaker::new(settings)), Instant::now())
    }

    fn fail(breaker: &Arc<Breaker>, now: Instant) {
        breaker.begin(now).ok().unwrap().failed(now, None);
    }

    fn succeed(breaker: &Arc<Breaker>, now: Instant) {
        breaker.begin(now).ok().unwrap().succeeded(now);
    }

    #[test]
    fn failures_in_a_row_open_it_and_a_success_between_them_does_not() {
        let (breaker, now) = breaker();
        fail(&breaker, now);
        fail(&breaker, now);
        succeed(&breaker, now);
        fail(&breaker, now);
        fail(&breaker, now);
        assert_eq!(breaker.circuit(now), (Circuit::Closed, None));
        fail(&breaker, now);
        assert_eq!(breaker.circuit(now), (Circuit::Open, Some(30 * SECOND)));
        assert_eq!(breaker.begin(now + 10 * SECOND).err(), Some(20 * SECOND));
    }

    #[test]
    fn one_trial_decides() {
        let (breaker, now) = breaker();
        (0..3).for_each(|_| fail(&breaker, now));
        let later = now + 30 * SECOND;
        assert_eq!(breaker.circuit(later), (Circuit::HalfOpen, None));
        let mut trial = breaker.begin(later).ok().unwrap();
        assert!(breaker.begin(later).is_err(), "one at a time");
        trial.failed(later, None);
        assert_eq!(breaker.circuit(later), (Circuit::Open, Some(30 * SECOND)));
        let again = later + 30 * SECOND;
        drop(breaker.begin(again));
        let mut trial = breaker.begin(again).ok().unwrap();
        trial.succeeded(again);
        assert_eq!(breaker.circuit(again), (Circuit::Closed, None));
        fail(&breaker, again);
        fail(&breaker, again);
        assert_eq!(breaker.circuit(again), (Circuit::Closed, None), "it begins anew");
    }

    #[test]
    fn a_trial_that_healed_and_broke_later_counts_as_one_failure() {
        let (breaker, now) = breaker();
        (0..3).for_each(|_| fail(&breaker, now));
        let later = now + 30 * SECOND;
        let mut trial = breaker.begin(later).ok().unwrap();
        trial.succeeded(later);
        trial.failed(later, None);
        assert_eq!(breaker.circuit(later), (Circuit::Closed, None));
    }

    #[test]
    fn one_that_was_left_while_it_answered_is_a_success_and_one_that_had_fallen_silent_is_nothing() {
        let (breaker, now) = breaker();
        let leave = |heard: Option<Instant>, now| {
            let mut call = breaker.begin(now).ok().unwrap();
            heard.into_iter().for_each(|at| call.heard(at));
            call.left(now);
        };
        for heard in [None, now.checked_sub(JUST_NOW)] {
            (0..2).for_each(|_| fail(&breaker, now));
            leave(Some(now), now);
            (0..2).for_each(|_| fail(&breaker, now));
            assert_eq!(breaker.circuit(now).0, Circuit::Closed);
            leave(heard, now);
            fail(&breaker, now);
            assert_eq!(breaker.circuit(now).0, Circuit::Open);
            let later = now + 30 * SECOND;
            leave(heard, later);
            assert_eq!(breaker.circuit(later).0, Circuit::HalfOpen, "the next one is a trial as well");
            leave(Some(later), later);
            assert_eq!(breaker.circuit(later).0, Circuit::Closed);
        }
    }

    #[test]
    fn mostly_failing_opens_it_too_and_what_is_long_ago_does_not_count() {
        let (breaker, now) = breaker();
        for _ in 0..6 {
            fail(&breaker, now);
            fail(&breaker, now);
            succeed(&breaker, now);
        }
        fail(&breaker, now);
        assert_eq!(breaker.circuit(now).0, Circuit::Closed, "19 calls");
        let (old, later) = (now, now + 61 * SECOND);
        fail(&breaker, later);
        assert_eq!(breaker.circuit(later).0, Circuit::Closed, "long ago");
        succeed(&breaker, old);
        fail(&breaker, old);
        assert_eq!(breaker.circuit(old).0, Circuit::Open);
    }

    #[test]
    fn it_rests_as_long_as_it_was_asked_to() {
        for (asked, rests) in [(10, 30), (100, 100), (10_000, 300)] {
            let (breaker, now) = breaker();
            (0..2).for_each(|_| fail(&breaker, now));
            breaker.begin(now).ok().unwrap().failed(now, Some(asked * SECOND));
            assert_eq!(breaker.circuit(now).1, Some(rests * SECOND));
        }
    }

    #[test]
    fn those_that_began_before_do_not_lengthen_the_rest() {
        let (breaker, now) = breaker();
        let mut slow = breaker.begin(now).ok().unwrap();
        (0..3).for_each(|_| fail(&breaker, now));
        slow.failed(now + 29 * SECOND, None);
        assert_eq!(breaker.circuit(now + 30 * SECOND).0, Circuit::HalfOpen);
    }
}
