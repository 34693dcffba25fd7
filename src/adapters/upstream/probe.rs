//! Whether an upstream answers, as it was last seen by a call or by a look of its own.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;

use super::{Ask, Repeat, Upstream};

/// A look is good for so long.
const KEPT: Duration = Duration::from_secs(30);
/// One that was in vain, for so long: recovery is to be seen soon.
const KEPT_IN_VAIN: Duration = Duration::from_secs(5);
/// The longest look.
const LONGEST: Duration = Duration::from_secs(5);

/// What was last seen. Copies share it.
#[derive(Clone)]
pub(super) struct Probe(Arc<Mutex<Seen>>);

#[derive(Default)]
struct Seen {
    last: Option<(Instant, bool)>,
    /// A call has shown that what it is for is not done there, whatever a look shows.
    lacks: bool,
    looking: bool,
}

impl Probe {
    pub(super) fn new() -> Self {
        Self(Arc::default())
    }

    /// False also while nothing is known yet.
    pub(super) fn answers(&self) -> bool {
        let seen = self.lock();
        !seen.lacks && seen.last.is_some_and(|(_, answers)| answers)
    }

    /// Notes what a look has shown just now.
    fn note(&self, answers: bool) {
        self.lock().last = Some((Instant::now(), answers));
    }

    /// The same of a call.
    pub(super) fn called(&self, answers: bool) {
        let mut seen = self.lock();
        seen.last = Some((Instant::now(), answers));
        seen.lacks &= !answers;
    }

    /// Notes that a call was answered by somebody who does not do what it is for: so it stays until another call is answered
    /// otherwise.
    pub(super) fn lacks_it(&self) {
        let mut seen = self.lock();
        seen.last = Some((Instant::now(), false));
        seen.lacks = true;
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
        let (looking, upstream) = (Looking(self.probe.clone()), self.clone());
        runtime.spawn(async move {
            let answered = upstream.attempt(&Ask::get(path), Instant::now() + LONGEST, Repeat::Safe).await;
            looking.0.note(answered.map_or_else(|error| error.shows_it_answers(), |_| true));
        });
    }
}
