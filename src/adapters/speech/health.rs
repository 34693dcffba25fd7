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

/// After so many failures in a row health says so; at once where there is no such program.
const FAILURES: u32 = 5;

/// How one program fares.
pub struct ProgramHealth {
    /// Its name in metrics: `stt`.
    name: &'static str,
    breaker: Arc<Breaker>,
    counts: Counts,
    is_missing: AtomicBool,
    ill: Mutex<Ill>,
    running: AtomicUsize,
}

/// What went ill since something went well.
#[derive(Default)]
struct Ill {
    /// Its failures.
    failed: InARow,
    /// The recordings that it could make nothing of.
    refused: InARow,
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
            is_missing: AtomicBool::new(false),
            ill: Mutex::default(),
            running: AtomicUsize::new(0),
        })
    }

    pub(super) fn state(&self) -> ServiceState {
        let ill = self.ill();
        let is_ill = ill.failed.tells_of_the_program() || ill.refused.tells_of_the_program();
        let is_open = self.breaker.circuit(Instant::now()).0 == Circuit::Open;
        let is_down = is_ill || is_open || self.is_missing.load(Ordering::Relaxed);
        if is_down { ServiceState::Disconnected } else { ServiceState::Connected }
    }

    /// There is no such program, or it may not be run: that is known at once.
    pub(super) fn is_missing(&self) {
        self.is_missing.store(true, Ordering::Relaxed);
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
    /// It has done its work.
    pub(super) fn succeeded(&mut self) {
        if self.end(CallEnd::Answered) {
            self.call.succeeded(Instant::now());
            self.health.is_missing.store(false, Ordering::Relaxed);
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
            let more = self.health.ill().failed.add(client);
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
        self.health.is_missing.store(false, Ordering::Relaxed);
        let mut ill = self.health.ill();
        ill.failed = InARow::default();
        ill.refused.add(self.client);
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
        self.end(CallEnd::Left);
        self.health.running.fetch_sub(1, Ordering::Relaxed);
    }
}
