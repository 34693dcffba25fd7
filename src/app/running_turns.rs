//! The turns that run now: how many may, in which order, which turn ids they carry, and the wait for their end.

use std::collections::HashMap;
use std::future;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

use crate::app::AppError;
use crate::app::person_turns::{PersonTurn, PersonTurns};
use crate::app::session_lines::{Head, SessionLines, Standing};
use crate::config::LimitsConfig;
use crate::domain::heard::Interruption;
use crate::domain::session::{SessionId, TurnId};

type Key = (SessionId, TurnId);
type ByTurnId = Arc<Mutex<HashMap<Key, Named>>>;

/// The turns that run now, each on the thread that it was asked for on: no other one has to be woken for what is heard of it.
pub struct Turns {
    /// Of what has to go on when the threads that answer requests have ended.
    runtime: tokio::runtime::Handle,
    tracker: TaskTracker,
    stopping: CancellationToken,
    /// Those that run are to end now.
    cut_off: CancellationToken,
    places: Arc<Semaphore>,
    most: usize,
    of_persons: PersonTurns,
    lines: SessionLines,
    by_turn_id: ByTurnId,
}

/// What others can know of a turn with an id.
#[derive(Clone)]
struct Named {
    /// Whether it has begun to run. Closes when the turn ends.
    ran: watch::Receiver<bool>,
    /// How many have sent it again and wait for its end.
    joined: Arc<watch::Sender<usize>>,
    /// What one of them tells who interrupts it.
    interruption: Arc<watch::Sender<Option<Interruption>>>,
}

/// Takes a turn off the list of running ones when it ends, however it ends.
pub(crate) struct Running {
    turns: ByTurnId,
    key: Key,
    ran: watch::Sender<bool>,
    joined: Arc<watch::Sender<usize>>,
    interruption: Arc<watch::Sender<Option<Interruption>>>,
}

impl Running {
    /// From now on its failure is that of all who joined it.
    pub(crate) fn begins(&self) {
        self.ran.send_replace(true);
    }

    /// Tells when somebody who joined it interrupts.
    pub(crate) fn interruption(&self) -> watch::Receiver<Option<Interruption>> {
        self.interruption.subscribe()
    }

    /// It left nothing: nobody waited for it, or nothing was said in it. Who joined goes on as the turn.
    pub(crate) fn is_given_up(&self) {
        self.ran.send_replace(false);
    }

    /// Those who have sent it again.
    pub(crate) fn company(&self) -> Company {
        Company(Arc::clone(&self.joined))
    }
}

/// Those who have sent a turn again and wait for its end.
#[derive(Clone)]
pub(crate) struct Company(Arc<watch::Sender<usize>>);

impl Company {
    /// Resolves while there is somebody.
    pub(crate) async fn comes(&self) {
        // The sender is here, so that no wait ends by its end.
        drop(self.0.subscribe().wait_for(|joined| *joined > 0).await);
    }

    /// Resolves once nobody has been there for so long.
    pub(crate) async fn missing_for(&self, longest: Duration) {
        let mut joined = self.0.subscribe();
        loop {
            drop(joined.wait_for(|joined| *joined == 0).await);
            if tokio::time::timeout(longest, self.comes()).await.is_err() {
                return;
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.turns.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}

/// Waits with a turn that was sent before. Dropping it is how one leaves.
pub(crate) struct Joined(Named);

impl Joined {
    /// Waits for the turn's end. True when it had run, false when it was left before.
    pub(crate) async fn ended(&mut self) -> bool {
        while self.0.ran.changed().await.is_ok() {}
        *self.0.ran.borrow()
    }

    /// Interrupts the turn: what was sent of it was sent to others, before.
    pub(crate) fn interrupt(&self, interruption: Interruption) {
        self.0.interruption.send_replace(Some(Interruption { sentences_sent: usize::MAX, ..interruption }));
    }
}

impl Drop for Joined {
    fn drop(&mut self) {
        self.0.joined.send_modify(|joined| *joined -= 1);
    }
}

/// A place among the turns that run; let go when dropped.
pub(crate) struct Place {
    _of_all: OwnedSemaphorePermit,
    _of_person: PersonTurn,
}

/// What a turn id says about a turn: the guard of a new one (none without an id), or the one it repeats.
pub(crate) enum Registered {
    Runs(Option<Running>),
    Joins(Joined),
}

impl Turns {
    pub(crate) fn new(runtime: tokio::runtime::Handle, limits: LimitsConfig) -> Self {
        Self {
            runtime,
            tracker: TaskTracker::new(),
            stopping: CancellationToken::new(),
            cut_off: CancellationToken::new(),
            places: Arc::new(Semaphore::new(limits.max_turns)),
            most: limits.max_turns,
            of_persons: PersonTurns::new(limits.max_turns_per_person),
            lines: SessionLines::new(limits.session_queue),
            by_turn_id: ByTurnId::default(),
        }
    }

    /// A place among the turns that may run at once, of the person and in all.
    pub(crate) fn place(&self, person: i64) -> Result<Place, AppError> {
        let of_person = self.of_persons.begin(person)?;
        let of_all = self.places.clone().try_acquire_owned().map_err(|_| AppError::Busy)?;
        Ok(Place { _of_all: of_all, _of_person: of_person })
    }

    /// How many run now.
    pub(crate) fn running(&self) -> usize {
        self.most.saturating_sub(self.places.available_permits())
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
        if let Some(named) = running.get(&key) {
            named.joined.send_modify(|joined| *joined += 1);
            return Registered::Joins(Joined(named.clone()));
        }
        let ran = watch::Sender::new(false);
        let named = Named { ran: ran.subscribe(), joined: Arc::default(), interruption: Arc::default() };
        let (joined, interruption) = (Arc::clone(&named.joined), Arc::clone(&named.interruption));
        running.insert(key, named);
        Registered::Runs(Some(Running { turns: self.by_turn_id.clone(), key, ran, joined, interruption }))
    }

    /// Runs what is told to whoever asked for it and has to end before the server does, with the request's id on its log lines.
    pub(crate) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.tracker.spawn(work.in_current_span());
    }

    /// The same; when this returns, what the work waits for first is asked for: before anything else is done on this thread.
    pub(crate) async fn begin(&self, work: impl Future<Output = ()> + Send + 'static) {
        let mut work = Box::pin(self.tracker.track_future(work.in_current_span()));
        if future::poll_fn(|cx| Poll::Ready(work.as_mut().poll(cx))).await.is_pending() {
            drop(tokio::spawn(work));
        }
    }

    /// The same for what goes on without whoever asked for it.
    pub(crate) fn spawn_apart(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.tracker.spawn_on(work.in_current_span(), &self.runtime);
    }

    /// Runs what nobody waits for, not even the server's end.
    pub(crate) fn leave_running(&self, work: impl Future<Output = ()> + Send + 'static) {
        drop(self.runtime.spawn(work));
    }

    /// Runs what the server does not wait for when it stops: then it is dropped.
    pub(crate) fn spawn_aside(&self, work: impl Future<Output = ()> + Send + 'static) {
        let stopping = self.stopping.clone();
        self.spawn_apart(async move {
            tokio::select! {
                () = stopping.cancelled() => {}
                () = work => {}
            }
        });
    }

    /// Runs work of several steps to its end, even when who asked for it goes away meanwhile; like a turn, it ends
    /// before the server does.
    pub(crate) async fn to_its_end<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, AppError>> + Send + 'static,
    ) -> Result<T, AppError> {
        let (tell, told) = oneshot::channel();
        self.spawn_apart(async move {
            // Who asked logs a failure; when they have left, nobody else would.
            if let Err(Err(error)) = tell.send(work.await) {
                tracing::error!(event = "request_failed", cause = %error, "It failed after its client had left");
            }
        });
        told.await.unwrap_or_else(|error| Err(AppError::Internal(Box::new(error))))
    }

    pub(crate) async fn stopping(&self) {
        self.stopping.cancelled().await;
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.tracker.is_closed()
    }

    /// Refuses what is new once the server stops.
    pub(crate) fn take_new(&self) -> Result<(), AppError> {
        if self.is_draining() { Err(AppError::Unavailable("stopping")) } else { Ok(()) }
    }

    /// From now on new turns are refused, and those that wait for their place.
    pub(crate) fn stop(&self) {
        self.tracker.close();
        self.stopping.cancel();
    }

    /// Ends those that still run.
    pub(crate) fn cut_off(&self) {
        self.cut_off.cancel();
    }

    /// Resolves when those that run are to end.
    pub(crate) async fn are_cut_off(&self) {
        self.cut_off.cancelled().await;
    }

    /// Waits for the running ones, once stopped.
    pub(crate) async fn ended(&self) {
        self.tracker.wait().await;
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;
    use crate::config::ServerConfig;

    fn turns() -> Turns {
        let config = ServerConfig::for_testing(std::path::Path::new("nowhere")).unwrap();
        Turns::new(tokio::runtime::Handle::current(), config.limits)
    }

    fn first(turns: &Turns, key: Key) -> Running {
        let Registered::Runs(Some(running)) = turns.register(key.0, Some(key.1)) else { panic!("it joined") };
        running
    }

    fn joins(turns: &Turns, key: Key) -> Joined {
        let Registered::Joins(joined) = turns.register(key.0, Some(key.1)) else { panic!("it runs") };
        joined
    }

    #[tokio::test]
    async fn who_joins_learns_whether_the_turn_had_run() {
        let (turns, key) = (turns(), (SessionId::random(), TurnId::random()));
        let running = first(&turns, key);
        let (mut one, mut other) = (joins(&turns, key), joins(&turns, key));
        assert!(one.ended().now_or_never().is_none());
        drop(running);
        assert!(!one.ended().await, "it was left before");
        let running = first(&turns, key);
        let mut third = joins(&turns, key);
        running.begins();
        assert!(third.ended().now_or_never().is_none());
        drop(running);
        assert!(third.ended().await);
        let running = first(&turns, key);
        let mut late = joins(&turns, key);
        running.begins();
        running.is_given_up();
        drop(running);
        assert!(!late.ended().await && !other.ended().await, "each of its own turn");
    }

    #[tokio::test]
    async fn a_turn_is_alone_only_while_nobody_has_joined_it() {
        let (turns, key) = (turns(), (SessionId::random(), TurnId::random()));
        let running = first(&turns, key);
        let company = running.company();
        let (one, other) = (joins(&turns, key), joins(&turns, key));
        let mut alone = std::pin::pin!(company.missing_for(Duration::ZERO));
        assert!(alone.as_mut().now_or_never().is_none());
        drop(one);
        assert!(alone.as_mut().now_or_never().is_none());
        drop(other);
        alone.await;
        let long = Duration::from_secs(3600);
        let mut alone = std::pin::pin!(company.missing_for(long));
        assert!(alone.as_mut().now_or_never().is_none(), "its time has begun");
        let third = joins(&turns, key);
        assert!(alone.as_mut().now_or_never().is_none());
        drop(third);
        assert!(alone.as_mut().now_or_never().is_none(), "its time has begun anew");
    }
}
