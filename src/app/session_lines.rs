//! The turns of one session run one after the other, in the order they came: each is answered in the knowledge of all
//! before it. Whoever comes while one runs stands in line.
//!
//! Bounds: `SESSION_QUEUE` turns wait in one line, a line is there only while its session has a turn running.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use crate::app::AppError;
use crate::domain::session::SessionId;

type Line = VecDeque<oneshot::Sender<Head>>;

/// The lines of all sessions.
#[derive(Clone)]
pub(crate) struct SessionLines {
    /// A session that has a turn running, and those who wait for its end.
    lines: Arc<Mutex<HashMap<SessionId, Line>>>,
    most_waiting: usize,
}

/// The head of a session's line: the one turn that may run there. Dropping it lets the next one come.
pub(crate) struct Head {
    lines: SessionLines,
    session: SessionId,
}

/// Where a turn stands.
pub(crate) enum Standing {
    /// It may run.
    First(Head),
    /// It has to wait for this; whoever drops it has left the line.
    Waits(oneshot::Receiver<Head>),
}

impl SessionLines {
    pub(crate) fn new(most_waiting: usize) -> Self {
        Self { lines: Arc::default(), most_waiting }
    }

    /// Takes the last place in the session's line.
    ///
    /// # Errors
    /// [`AppError::TurnInProgress`] when the line is full.
    pub(crate) fn stand_in(&self, session: SessionId) -> Result<Standing, AppError> {
        let mut lines = self.lock();
        let Some(line) = lines.get_mut(&session) else {
            lines.insert(session, Line::new());
            return Ok(Standing::First(self.head_of(session)));
        };
        line.retain(|waiting| !waiting.is_closed());
        if line.len() >= self.most_waiting {
            return Err(AppError::TurnInProgress);
        }
        let (sender, receiver) = oneshot::channel();
        line.push_back(sender);
        Ok(Standing::Waits(receiver))
    }

    /// True while a turn of the session runs.
    pub(crate) fn is_busy(&self, session: SessionId) -> bool {
        self.lock().contains_key(&session)
    }

    fn head_of(&self, session: SessionId) -> Head {
        Head { lines: self.clone(), session }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<SessionId, Line>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Head {
    fn drop(&mut self) {
        let mut lines = self.lines.lock();
        match lines.get_mut(&self.session).and_then(VecDeque::pop_front) {
            Some(next) => {
                drop(lines);
                // One that has left hands it back here, and the next one gets it by that head's end.
                drop(next.send(self.lines.head_of(self.session)));
            }
            None => drop(lines.remove(&self.session)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(lines: &SessionLines, session: SessionId) -> Head {
        let Ok(Standing::First(head)) = lines.stand_in(session) else { panic!("someone runs there") };
        head
    }

    fn waiting(lines: &SessionLines, session: SessionId) -> oneshot::Receiver<Head> {
        let Ok(Standing::Waits(place)) = lines.stand_in(session) else { panic!("no place in the line") };
        place
    }

    #[test]
    fn the_line_moves_in_the_order_in_which_it_was_joined() {
        let (lines, session) = (SessionLines::new(8), SessionId::random());
        let mut running = first(&lines, session);
        let mut places: VecDeque<_> = (0..8).map(|_| waiting(&lines, session)).collect();
        while let Some(mut next) = places.pop_front() {
            assert!(next.try_recv().is_err(), "one at a time");
            drop(running);
            running = next.try_recv().unwrap();
            assert!(places.iter_mut().all(|later| later.try_recv().is_err()), "in order");
        }
        drop(running);
        assert!(lines.lock().is_empty(), "a line that nobody stands in is forgotten");
    }

    #[test]
    fn a_full_line_takes_nobody_until_someone_leaves_it() {
        let (lines, session) = (SessionLines::new(2), SessionId::random());
        let running = first(&lines, session);
        let (second, third) = (waiting(&lines, session), waiting(&lines, session));
        assert!(matches!(lines.stand_in(session), Err(AppError::TurnInProgress)));
        drop(first(&lines, SessionId::random()));
        drop(second);
        let mut fourth = waiting(&lines, session);
        drop(third);
        drop(running);
        drop(fourth.try_recv().unwrap());
        assert!(lines.lock().is_empty());
    }

    #[test]
    fn a_head_that_reaches_nobody_goes_to_the_next() {
        let (lines, session) = (SessionLines::new(2), SessionId::random());
        let running = first(&lines, session);
        let (second, mut third) = (waiting(&lines, session), waiting(&lines, session));
        drop(running);
        // It was given the head and leaves without having looked.
        drop(second);
        drop(third.try_recv().unwrap());
        assert!(lines.lock().is_empty());
        let nobody_waits = SessionLines::new(0);
        let _running = first(&nobody_waits, session);
        assert!(nobody_waits.stand_in(session).is_err());
    }
}
