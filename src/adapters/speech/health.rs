//! How a program of the operator's fares: its circuit, how its runs ended, what health and metrics say of it.
//!
//! What goes wrong with what one client sends may be that client's doing: it counts against the program once something has gone
//! wrong with what another one sends, too, and nothing well in between.
//!
//! Bound: of what went wrong, and of what it could make nothing of, what is in a row is counted, and one of the clients known.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::places::AT_ONCE;
use crate::adapters::upstream::{Breaker, BreakerSettings, Call, Counts, UpstreamError};
use crate::domain::chat::ServiceState;
use crate::domain::speech::SpeechError;
use crate::domain::upstream::{CallEnd, Circuit, Upstream, UpstreamReport};

/// After so many failures in a row health says so, until the circuit of one that rests would let it be tried again: who is told that
/// nobody hears does not try. At once where there is no such program.
const FAILURES: u32 = 5;

/// How one program fares.
pub struct ProgramHealth {
    /// Its name in metrics: `stt`.
    name: &'static str,
    breaker: Arc<Breaker>,
    counts: Counts,
    ill: Mutex<Ill>,
    rests: Duration,
    missing: AtomicBool,
    running: AtomicUsize,
}

/// What went ill since something went well.
#[derive(Default)]
struct Ill {
    /// Its failures.
    failed: InARow,
    /// The recordings that it could make nothing of.
    refused: InARow,
    /// When the last of all these was.
    last: Option<Instant>,
}

impl Ill {
    /// How many more failures tell of the program now.
    fn fails(&mut self, client: Option<IpAddr>) -> u32 {
        self.last = Some(Instant::now());
        self.failed.add(client)
    }

    /// It has said so: it is there, and fails no more.
    fn refuses(&mut self, client: Option<IpAddr>) {
        self.last = Some(Instant::now());
        self.failed = InARow::default();
        self.refused.add(client);
    }

    /// Until it has rested after the last of them.
    fn is_ill(&self, now: Instant, rests: Duration) -> bool {
        let tells = self.failed.tells_of_the_program() || self.refused.tells_of_the_program();
        tells && self.last.is_some_and(|at| now < at + rests)
    }
}

#[derive(Default)]
struct InARow {
    times: u32,
    first: Option<IpAddr>,
    of_several: bool,
}

impl InARow {
    /// One more with what this client has sent, or whoever's it is; how many more tell of the program now.
    fn add(&mut self, client: Option<IpAddr>) -> u32 {
        self.times = self.times.saturating_add(1);
        if self.of_several {
            return 1;
        }
        self.of_several = client.is_none_or(|client| *self.first.get_or_insert(client) != client);
        if self.of_several { self.times } else { 0 }
    }

    /// One client's may all be broken; those of several tell of the program.
    const fn tells_of_the_program(&self) -> bool {
        self.of_several && self.times >= FAILURES
    }
}

impl ProgramHealth {
    /// That of a program that was not run yet, under this name.
    #[must_use]
    pub fn new(name: &'static str, breaker: BreakerSettings) -> Arc<Self> {
        Arc::new(Self {
            name,
            breaker: Arc::new(Breaker::new(breaker)),
            counts: Counts::default(),
            ill: Mutex::default(),
            rests: breaker.recovery,
            missing: AtomicBool::new(false),
            running: AtomicUsize::new(0),
        })
    }

    pub(super) fn state(&self) -> ServiceState {
        self.state_at(Instant::now())
    }

    fn state_at(&self, now: Instant) -> ServiceState {
        let is_ill = self.ill().is_ill(now, self.rests);
        let is_open = self.breaker.circuit(now).0 == Circuit::Open;
        let is_down = self.is_missing() || is_ill || is_open;
        if is_down { ServiceState::Disconnected } else { ServiceState::Connected }
    }

    /// When it was looked for last, there was no such program.
    pub(super) fn is_missing(&self) -> bool {
        self.missing.load(Ordering::Relaxed)
    }

    /// Whether there is such a program now: that is known at once.
    pub(super) fn is_there(&self, it_is: bool) {
        self.missing.store(!it_is, Ordering::Relaxed);
    }

    /// It has just failed to be run, and would again.
    pub(super) fn cannot_be_run(&self) {
        let mut ill = self.ill();
        ill.last = Some(Instant::now());
        ill.failed = InARow { times: FAILURES, first: None, of_several: true };
    }

    /// Somebody has waited in vain for a place to run it.
    pub(super) fn found_no_place(&self) {
        self.counts.add(CallEnd::Busy);
    }

    /// Nobody needs to wait for a place while it is left alone.
    pub(super) fn check(&self) -> Result<(), SpeechError> {
        match self.breaker.circuit(Instant::now()) {
            (Circuit::Open, Some(rest)) => Err(self.left_alone(rest)),
            _ => Ok(()),
        }
    }

    /// Begins a run for this client, unless it is left alone.
    pub(super) fn begin(self: &Arc<Self>, client: Option<IpAddr>) -> Result<Run, SpeechError> {
        let call = self.breaker.begin(Instant::now()).map_err(|rest| self.left_alone(rest))?;
        self.running.fetch_add(1, Ordering::Relaxed);
        Ok(Run { health: self.clone(), client, call, told: false })
    }

    fn ill(&self) -> MutexGuard<'_, Ill> {
        self.ill.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn left_alone(&self, retry_after: Duration) -> SpeechError {
        self.counts.add(CallEnd::CircuitOpen);
        let why = UpstreamError::CircuitOpen { retry_after }.to_string();
        SpeechError::Unavailable { why, retry_after: Some(retry_after) }
    }
}

impl Upstream for ProgramHealth {
    fn report(self: Arc<Self>) -> UpstreamReport {
        let (circuit, retry_after) = self.breaker.circuit(Instant::now());
        UpstreamReport {
            name: self.name,
            state: self.state(),
            circuit,
            retry_after,
            calls: self.counts.all(),
            connections: self.running.load(Ordering::Relaxed),
            most_connections: AT_ONCE,
        }
    }
}

/// One run, of which it is told once how it ended.
pub(super) struct Run {
    health: Arc<ProgramHealth>,
    client: Option<IpAddr>,
    call: Call,
    told: bool,
}

impl Run {
    /// It has written something.
    pub(super) fn wrote(&mut self) {
        self.call.heard(Instant::now());
    }

    /// It has done its work.
    pub(super) fn succeeded(&mut self) {
        if self.end(CallEnd::Answered) {
            self.call.succeeded(Instant::now());
            *self.health.ill() = Ill::default();
        }
    }

    /// It has not, over what it was given.
    pub(super) fn failed(&mut self, how: CallEnd) {
        self.fails(how, self.client);
    }

    /// It has not, and would not have with anything.
    pub(super) fn failed_by_itself(&mut self, how: CallEnd) {
        self.fails(how, None);
    }

    fn fails(&mut self, how: CallEnd, client: Option<IpAddr>) {
        if self.end(how) {
            let more = self.health.ill().fails(client);
            (0..more).for_each(|_| self.call.failed(Instant::now(), None));
        }
    }

    /// It says itself that it can make nothing of the recording: it is there.
    pub(super) fn refused(&mut self) {
        if !self.end(CallEnd::Refused) {
            return;
        }
        if self.call.is_trial() {
            self.call.succeeded(Instant::now());
        }
        self.health.ill().refuses(self.client);
    }

    /// It was given too little time to say anything about it.
    pub(super) fn had_no_time(&mut self) {
        self.end(CallEnd::Busy);
    }

    /// False when it had ended before.
    fn end(&mut self, how: CallEnd) -> bool {
        let first = !std::mem::replace(&mut self.told, true);
        if first {
            self.health.counts.add(how);
        }
        first
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        if self.end(CallEnd::Left) && self.call.left(Instant::now()) {
            *self.health.ill() = Ill::default();
        }
        self.health.running.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_fails_is_down_until_it_may_be_tried_again() {
        let rests = Duration::from_secs(30);
        let health = ProgramHealth::new("stt", BreakerSettings { threshold: 100, recovery: rests });
        let run = |client: u8| health.begin(Some([192, 0, 2, client].into())).ok().unwrap();
        let runs: [fn(&mut Run); 2] = [|run| run.failed(CallEnd::Unreachable), Run::refused];
        for ends in runs {
            (0..5).for_each(|client| ends(&mut run(client)));
            let now = Instant::now();
            assert_eq!(health.state_at(now), ServiceState::Disconnected);
            assert_eq!(health.state_at(now + rests), ServiceState::Connected, "somebody may try");
            ends(&mut run(1));
            assert_eq!(health.state(), ServiceState::Disconnected, "in vain");
            run(1).succeeded();
            assert_eq!(health.state(), ServiceState::Connected);
        }
        health.is_there(false);
        assert_eq!(health.state_at(Instant::now() + rests), ServiceState::Disconnected);
    }
}
