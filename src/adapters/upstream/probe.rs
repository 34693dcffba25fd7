//! Whether an upstream answers, as it was last seen by a call or by a look of its own.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;

use super::{Ask, Repeat, Upstream};

/// A look is good for so long.
const KEPT: Duration = Duration::from_secs(30);
/// One that was in vain, for so long: recovery is to be seen soon.
const KEPT_IN_VAIN: Duration = Duration::from_secs(5);
/// What a call has shown to be lacking may have been set up since: who is told that it is not there does not try.
const LACKED_FOR: Duration = Duration::from_secs(300);
/// The longest look.
const LONGEST: Duration = Duration::from_secs(5);

/// What was last seen. Copies share it.
#[derive(Clone)]
pub(super) struct Probe(Arc<Mutex<Seen>>);

#[derive(Default)]
struct Seen {
    last: Option<(Instant, bool)>,
    /// When a call has shown that what it is for is not done there, whatever a look shows.
    lacked: Option<Instant>,
    looking: bool,
}

impl Probe {
    pub(super) fn new() -> Self {
        Self(Arc::default())
    }

    /// False also while nothing is known yet.
    pub(super) fn answers(&self) -> bool {
        self.answers_at(Instant::now())
    }

    fn answers_at(&self, now: Instant) -> bool {
        let seen = self.lock();
        let lacks = seen.lacked.is_some_and(|at| now < at + LACKED_FOR);
        !lacks && seen.last.is_some_and(|(_, answers)| answers)
    }

    /// Notes what a look has shown that began then; what a call has shown since is newer.
    fn note(&self, answers: bool, began: Instant) {
        let mut seen = self.lock();
        if seen.last.is_none_or(|(at, _)| at <= began) {
            seen.last = Some((Instant::now(), answers));
        }
    }

    /// The same of a call.
    pub(super) fn called(&self, answers: bool) {
        let mut seen = self.lock();
        seen.last = Some((Instant::now(), answers));
        seen.lacked = seen.lacked.filter(|_| !answers);
    }

    /// Notes that a call was answered by somebody who does not do what it is for: so it stays for a while, or until another call is
    /// answered otherwise.
    pub(super) fn lacks_it(&self) {
        let mut seen = self.lock();
        let now = Instant::now();
        seen.last = Some((now, false));
        seen.lacked = Some(now);
    }

    /// True for whoever is to look now.
    fn begin(&self) -> bool {
        let mut seen = self.lock();
        let kept = |(at, answers): (Instant, bool)| at.elapsed() < if answers { KEPT } else { KEPT_IN_VAIN };
        let begins = !seen.looking && !seen.last.is_some_and(kept);
        seen.looking |= begins;
        begins
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends the look, however it ends.
struct Looking(Probe);

impl Drop for Looking {
    fn drop(&mut self) {
        self.0.lock().looking = false;
    }
}

impl Upstream {
    /// Looks, in the background, whether it answers, unless somebody has just done so. What the circuit breaker counts are
    /// calls, not looks. Where there is no runtime, nobody looks.
    pub fn look(self: &Arc<Self>) {
        let (Some(path), Ok(runtime)) = (self.setup.probe, Handle::try_current()) else { return };
        if !self.probe.begin() {
            return;
        }
        let (looking, upstream, began) = (Looking(self.probe.clone()), self.clone(), Instant::now());
        runtime.spawn(async move {
            let answered = upstream.attempt(&Ask::get(path), Instant::now() + LONGEST, Repeat::Safe).await;
            looking.0.note(answered.map_or_else(|error| error.shows_it_answers(), |_| true), began);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_lacking_is_so_for_a_while_or_until_a_call_is_answered() {
        let probe = Probe::new();
        probe.lacks_it();
        probe.note(true, Instant::now());
        let now = Instant::now();
        assert!(!probe.answers_at(now), "whatever a look shows");
        assert!(probe.answers_at(now + LACKED_FOR));
        probe.called(false);
        probe.note(true, Instant::now());
        assert!(!probe.answers_at(now));
        probe.called(true);
        assert!(probe.answers_at(now));
    }

    #[test]
    fn what_a_call_has_shown_since_a_look_began_counts() {
        let (probe, began) = (Probe::new(), Instant::now());
        probe.note(false, began);
        probe.called(true);
        probe.note(false, began);
        assert!(probe.answers());
        probe.note(false, Instant::now());
        assert!(!probe.answers());
    }
}
