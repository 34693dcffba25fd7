//! Whoever asked for a turn and reads what it tells. A slow one holds the turn up, so that nothing is made far ahead of them; once
//! somebody else waits for the same turn, one who takes nothing is given up.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{FINISH_ALONE, TurnEvent};
use crate::app::running_turns::Company;

/// So long one event may hold up those who have joined.
const LONGEST_HOLD_UP: Duration = Duration::from_secs(1);

/// The first reader of a turn.
#[derive(Clone)]
pub(super) struct Reader {
    events: mpsc::Sender<TurnEvent>,
    /// Those who wait for the same turn, where it has an id.
    company: Option<Company>,
    given_up: CancellationToken,
}

impl Reader {
    pub(super) fn new(events: mpsc::Sender<TurnEvent>, company: Option<Company>) -> Self {
        Self { events, company, given_up: CancellationToken::new() }
    }

    /// Tells the next event. Returns when there is room for it, or nobody to take it.
    pub(super) async fn tell(&self, event: TurnEvent) {
        if self.is_gone() {
            return;
        }
        tokio::select! {
            biased;
            _ = self.events.send(event) => {}
            () = self.given_up.cancelled() => {}
            () = self.holds_others_up() => self.given_up.cancel(),
        }
    }

    /// Nobody takes anything any more.
    pub(super) fn is_gone(&self) -> bool {
        self.events.is_closed() || self.given_up.is_cancelled()
    }

    /// Resolves when nobody takes anything any more.
    pub(super) async fn gone(&self) {
        tokio::select! {
            () = self.events.closed() => {}
            () = self.given_up.cancelled() => {}
        }
    }

    /// Resolves when nobody has waited for the turn for as long as it may go on alone.
    pub(super) async fn left_alone(self) {
        self.gone().await;
        if let Some(company) = &self.company {
            company.missing_for(FINISH_ALONE).await;
        }
    }

    async fn holds_others_up(&self) {
        let Some(company) = &self.company else { return std::future::pending().await };
        company.comes().await;
        tokio::time::sleep(LONGEST_HOLD_UP).await;
    }
}
