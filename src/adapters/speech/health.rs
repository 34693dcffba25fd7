//! How a program of the operator's fares: its circuit, how its runs ended, what health and metrics say of it.
//!
//! Bound: of the recordings that it could make nothing of, those in a row are counted, and one of their persons is known.

use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
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
    failures: AtomicU32,
    refused: Mutex<Refused>,
    running: AtomicUsize,
}

/// The recordings in a row that it could make nothing of.
#[derive(Default)]
struct Refused {
    in_a_row: u32,
    first: Option<i64>,
    of_several: bool,
}

impl Refused {
    /// One person's recordings may all be broken; those of several tell of the program.
    const fn tells_of_the_program(&self) -> bool {
        self.of_several && self.in_a_row >= FAILURES
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
            failures: AtomicU32::new(0),
            refused: Mutex::default(),
            running: AtomicUsize::new(0),
        })
    }

    pub(super) fn state(&self) -> ServiceState {
        let refuses = self.refused.lock().unwrap_or_else(PoisonError::into_inner).tells_of_the_program();
        let fails = self.failures.load(Ordering::Relaxed) >= FAILURES;
        let is_open = self.breaker.circuit(Instant::now()).0 == Circuit::Open;
        if fails || refuses || is_open { ServiceState::Disconnected } else { ServiceState::Connected }
    }

    /// There is no such program, or it may not be run: that is known at once.
    pub(super) fn is_missing(&self) {
        self.failures.fetch_max(FAILURES, Ordering::Relaxed);
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

    /// Begins a run, unless it is left alone.
    pub(super) fn begin(self: &Arc<Self>) -> Result<Run, SpeechError> {
        let call = self.breaker.begin(Instant::now()).map_err(|rest| self.left_alone(rest))?;
        self.running.fetch_add(1, Ordering::Relaxed);
        Ok(Run { health: self.clone(), call, told: false })
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
    call: Call,
    told: bool,
}

impl Run {
    /// It has done its work.
    pub(super) fn succeeded(&mut self) {
        if self.end(CallEnd::Answered) {
            self.call.succeeded(Instant::now());
            self.health.failures.store(0, Ordering::Relaxed);
            *self.health.refused.lock().unwrap_or_else(PoisonError::into_inner) = Refused::default();
        }
    }

    /// It has not, and that is its fault.
    pub(super) fn failed(&mut self, how: CallEnd) {
        if self.end(how) {
            self.call.failed(Instant::now(), None);
            self.health.failures.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// It says itself that it can make nothing of this person's recording: it is there.
    pub(super) fn refused(&mut self, person: i64) {
        if !self.end(CallEnd::Refused) {
            return;
        }
        if self.call.is_trial() {
            self.call.succeeded(Instant::now());
        }
        self.health.failures.store(0, Ordering::Relaxed);
        let mut refused = self.health.refused.lock().unwrap_or_else(PoisonError::into_inner);
        refused.in_a_row = refused.in_a_row.saturating_add(1);
        refused.of_several |= *refused.first.get_or_insert(person) != person;
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
