//! Whether somebody is still there: a ping every 20 s, and who has said nothing for 60 s, not even that a ping came, is let go.

use std::time::Duration;

use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, sleep_until};

const PING_EVERY: Duration = Duration::from_secs(20);
const LET_GO_AFTER: Duration = Duration::from_secs(60);

/// Watches one socket.
pub(super) struct Alive {
    pings: Interval,
    heard_at: Instant,
}

/// What it is time for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    /// To ask whether somebody is there.
    Ping,
    /// To close.
    LetGo,
}

impl Alive {
    pub(super) fn new() -> Self {
        let now = Instant::now();
        let mut pings = interval_at(now + PING_EVERY, PING_EVERY);
        // Whoever was busy with one ping for long owes no others.
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { pings, heard_at: now }
    }

    /// Something came.
    pub(super) fn heard(&mut self) {
        self.heard_at = Instant::now();
    }

    /// Resolves when it is time. Dropping it loses nothing.
    pub(super) async fn due(&mut self) -> Due {
        tokio::select! {
            biased;
            () = sleep_until(self.heard_at + LET_GO_AFTER) => Due::LetGo,
            _ = self.pings.tick() => Due::Ping,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What was due, and at which second, until the socket is let go or `until`; answers come at `answers`.
    async fn watched(answers: &[u64], until: u64) -> Vec<(u64, Due)> {
        let (began, mut alive, mut seen) = (Instant::now(), Alive::new(), Vec::new());
        let mut answers = answers.iter().map(|second| began + Duration::from_secs(*second)).peekable();
        let end = began + Duration::from_secs(until);
        loop {
            let next = answers.peek().copied().unwrap_or(end).min(end);
            tokio::select! {
                due = alive.due() => {
                    seen.push((began.elapsed().as_secs(), due));
                    if due == Due::LetGo {
                        return seen;
                    }
                }
                () = sleep_until(next) => {
                    if next == end {
                        return seen;
                    }
                    alive.heard();
                    answers.next();
                }
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_never_answers_is_asked_at_20_and_40_seconds_and_let_go_at_60() {
        assert_eq!(watched(&[], 1000).await, [(20, Due::Ping), (40, Due::Ping), (60, Due::LetGo)]);
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_answers_stays_and_has_60_seconds_from_the_last_answer() {
        let mut expected: Vec<_> = (1..=7).map(|n| (n * 20, Due::Ping)).collect();
        expected.push((141, Due::LetGo));
        assert_eq!(watched(&[21, 41, 61, 81], 1000).await, expected);
        let always: Vec<_> = (1..=50).map(|n| n * 20 + 1).collect();
        assert_eq!(watched(&always, 990).await.last(), Some(&(980, Due::Ping)));
    }
}
