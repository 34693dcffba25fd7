//! A turn that is sent again before the first one has ended: its client is told what becomes of that, or becomes the
//! first one itself when that was left before it ran.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::before::replay;
use super::interrupted::interrupted;
use super::reader::Reader;
use super::{TurnEvent, TurnRequest};
use crate::app::running_turns::{Joined, Registered};
use crate::app::{App, AppError};

impl App {
    /// Waits with the same turn, asked for before, and tells what became of it. Ends when the client leaves.
    pub(super) async fn join(
        self: Arc<Self>,
        request: TurnRequest,
        joined: Joined,
        events: mpsc::Sender<TurnEvent>,
    ) {
        let outcome = tokio::select! {
            outcome = self.follow(request, joined, events.clone()) => outcome,
            () = events.closed() => return,
        };
        if let Err(error) = outcome {
            drop(events.send(TurnEvent::Failed(error)).await);
        }
    }

    /// Each round but the last needs another request that came first and left nothing.
    async fn follow(
        self: &Arc<Self>,
        request: TurnRequest,
        mut joined: Joined,
        events: mpsc::Sender<TurnEvent>,
    ) -> Result<(), AppError> {
        loop {
            let ran = tokio::select! {
                biased;
                ran = joined.ended() => ran,
                interruption = interrupted(request.interrupt.clone()) => {
                    joined.interrupt(interruption);
                    joined.ended().await;
                    // What was heard of it is kept, or all of it was just before.
                    return Ok(());
                }
            };
            if let Some(before) = self.kept_before(&request).await? {
                replay(self, &Reader::new(events, None), &request, before).await;
                return Ok(());
            }
            if ran {
                return Err(AppError::Unavailable("the same turn failed"));
            }
            match self.turns.register(request.session, request.turn) {
                Registered::Runs(running) => return self.take_a_place(request, running, events).await,
                Registered::Joins(next) => joined = next,
            }
        }
    }
}
