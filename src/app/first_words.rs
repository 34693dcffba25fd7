//! The first word of a reply goes before all that is not a first word: where many come at once, nobody's wait for it is made longer
//! by what others are told after theirs.
//!
//! Bound: a reply goes on 25 ms after its first word at the latest, which nobody sees: a screen shows a picture each 16 ms. A model
//! that hangs says no first word, and holds nobody up.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// First words that follow one another within this time come at once.
const STEP: Duration = Duration::from_millis(5);
const MOST_STEPS: u32 = 5;

/// When the last reply began.
pub(crate) struct FirstWords {
    since: Instant,
    /// Microseconds after that; 0 when none has begun yet.
    last: AtomicU64,
}

impl Default for FirstWords {
    fn default() -> Self {
        Self { since: Instant::now(), last: AtomicU64::new(0) }
    }
}

impl FirstWords {
    /// A reply has begun. Resolves when its second word may come: once the first words that came with its own have ended.
    pub(crate) async fn one_came(&self) {
        let mut now = self.now();
        let mut last = self.last.swap(now, Ordering::Relaxed);
        tokio::task::yield_now().await;
        for _ in 0..MOST_STEPS {
            if last == 0 || u128::from(now.saturating_sub(last)) >= STEP.as_micros() {
                break;
            }
            tokio::time::sleep(STEP).await;
            (now, last) = (self.now(), self.last.load(Ordering::Relaxed));
        }
    }

    /// Never 0.
    fn now(&self) -> u64 {
        u64::try_from(self.since.elapsed().as_micros()).unwrap_or(u64::MAX).saturating_add(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn held_up(words: &FirstWords) -> Duration {
        let began = Instant::now();
        words.one_came().await;
        began.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn who_begins_alone_goes_on_at_once_and_who_begins_with_others_when_they_have_begun() {
        let words = FirstWords::default();
        assert_eq!(held_up(&words).await, Duration::ZERO);
        let second = held_up(&words).await;
        // The clock of the timers ticks once a millisecond.
        assert!((STEP..2 * STEP).contains(&second), "{second:?}");
        tokio::time::sleep(STEP).await;
        assert_eq!(held_up(&words).await, Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_is_held_up_for_long_however_many_begin() {
        let words = FirstWords::default();
        let others = async {
            loop {
                tokio::time::sleep(STEP / 5).await;
                drop(tokio::time::timeout(Duration::ZERO, words.one_came()).await);
            }
        };
        tokio::time::sleep(STEP).await;
        words.one_came().await;
        let held_up = tokio::select! {
            held_up = held_up(&words) => held_up,
            () = others => Duration::MAX,
        };
        let most = MOST_STEPS * (STEP + Duration::from_millis(1));
        assert!((MOST_STEPS * STEP..=most).contains(&held_up), "{held_up:?}");
    }
}
