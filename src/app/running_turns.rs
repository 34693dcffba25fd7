//! The turns that run now: how many may, in which order, which turn ids they carry, and the wait for their end.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

use crate::app::AppError;
use crate::app::session_lines::{Head, SessionLines, Standing};
use crate::config::LimitsConfig;
use crate::domain::session::{SessionId, TurnId};

type Key = (SessionId, TurnId);
type ByTurnId = Arc<Mutex<HashMap<Key, watch::Receiver<()>>>>;

/// The turns that run now. They run on one runtime, whichever thread asked for them.
pub struct Turns {
    runtime: tokio::runtime::Handle,
    tracker: TaskTracker,
    stopping: CancellationToken,
    places: Arc<Semaphore>,
    lines: SessionLines,
    by_turn_id: ByTurnId,
}

/// Takes a turn off the list of running ones when it ends, however it ends.
pub(crate) struct Running {
    turns: ByTurnId,
    key: Key,
    _ended: watch::Sender<()>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.turns.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}

/// What a turn id says about a turn: the guard of a new one (none without an id), or the end of the one it repeats.
pub(crate) enum Registered {
    Runs(Option<Running>),
    Joins(watch::Receiver<()>),
}

impl Turns {
    pub(crate) fn new(runtime: tokio::runtime::Handle, limits: LimitsConfig) -> Self {
        Self {
            runtime,
            tracker: TaskTracker::new(),
            stopping: CancellationToken::new(),
            places: Arc::new(Semaphore::new(limits.max_turns)),
            lines: SessionLines::new(limits.session_queue),
            by_turn_id: ByTurnId::default(),
        }
    }

    /// A place among the turns that may run at once; let go when dropped.
    pub(crate) fn place(&self) -> Result<OwnedSemaphorePermit, AppError> {
        self.places.clone().try_acquire_owned().map_err(|_| AppError::Busy)
    }

    /// True while a turn of the session runs.
    pub(crate) fn is_busy(&self, session: SessionId) -> bool {
        self.lines.is_busy(session)
    }

    /// Takes the last place in the line of the session's turns.
    pub(crate) fn stand_in_line(&self, session: SessionId) -> Result<Standing, AppError> {
        self.lines.stand_in(session)
    }

    /// Waits until the turn is the first of its session's line. Whoever stops waiting leaves it.
    pub(crate) async fn first_in_line(&self, standing: Standing) -> Result<Head, AppError> {
        let stopping = || AppError::Unavailable("stopping");
        match standing {
            Standing::First(head) => Ok(head),
            Standing::Waits(place) => tokio::select! {
                biased;
                () = self.stopping.cancelled() => Err(stopping()),
                head = place => head.map_err(|_| stopping()),
            },
        }
    }

    /// Notes that a turn begins, or finds the one it repeats.
    pub(crate) fn register(&self, session: SessionId, turn: Option<TurnId>) -> Registered {
        let Some(turn) = turn else { return Registered::Runs(None) };
        let key = (session, turn);
        let mut running = self.by_turn_id.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(ended) = running.get(&key) {
            return Registered::Joins(ended.clone());
        }
        let (sender, ended) = watch::channel(());
        running.insert(key, ended);
        Registered::Runs(Some(Running { turns: self.by_turn_id.clone(), key, _ended: sender }))
    }

    /// Runs what has to end before the server does, with the request's id on its log lines.
    pub(crate) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.tracker.spawn_on(work.in_current_span(), &self.runtime);
    }

    /// Runs work of several steps to its end, even when who asked for it goes away meanwhile; like a turn, it ends
    /// before the server does.
    pub(crate) async fn to_its_end<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, AppError>> + Send + 'static,
    ) -> Result<T, AppError> {
        let (tell, told) = oneshot::channel();
        self.spawn(async move {
            // Who asked logs a failure; when they have left, nobody else would.
            if let Err(Err(error)) = tell.send(work.await) {
                tracing::error!(event = "request_failed", cause = %error, "It failed after its client had left");
            }
        });
        told.await.unwrap_or_else(|error| Err(AppError::Internal(Box::new(error))))
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.tracker.is_closed()
    }

    /// From now on new turns are refused, and those that wait for their place.
    pub(crate) fn stop(&self) {
        self.tracker.close();
        self.stopping.cancel();
    }

    /// Waits for the running ones, once stopped.
    pub(crate) async fn ended(&self) {
        self.tracker.wait().await;
    }
}
