//! What was last said in the conversations that go on, so that their next turn need not read it again.
//!
//! Only the head of a session's line takes it out, and puts it back once its own turn is kept: a turn that fails puts
//! nothing back, and the next one reads the database. What a person deletes is forgotten here as well; a turn that has it
//! out then puts nothing back either.
//!
//! Bounds: 8 MiB in all, of which the conversation that rests longest goes first; nothing is used for longer than
//! 10 minutes after it was read, in which no session can outlive its retention; of a session with more than 1000 turns the turn ids are
//! looked for in the database.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hashlink::LinkedHashMap;

use crate::domain::chat::Exchange;
use crate::domain::session::{Checkpoint, SessionId, TurnId};

/// A model sees so many earlier turns, or more when they are summed up later.
pub(crate) const FEWEST_HISTORY_TURNS: usize = 20;
/// The turn ids of a session with more turns are not kept here.
pub(crate) const MOST_TURN_IDS: usize = 1000;
const MOST_BYTES: usize = 8 << 20;
const KEPT_FOR: Duration = Duration::from_secs(10 * 60);
/// What a conversation and a turn id take, roughly, with the tables they are in.
const CONVERSATION_BYTES: usize = 256;
const TURN_ID_BYTES: usize = 40;

/// What the next turn of a session has to know of those before it.
#[derive(Default)]
pub(crate) struct Conversation {
    /// The row of the person it belongs to.
    pub(crate) person: i64,
    /// How many turns there are.
    pub(crate) turns: u64,
    /// How many of them no summary holds.
    pub(crate) not_summed_up: usize,
    /// What was said before those, if it was summed up.
    pub(crate) summary: Option<Arc<str>>,
    /// The last ones that no summary holds, oldest first.
    pub(crate) history: Arc<Vec<Exchange>>,
    /// The ids of all turns that have one; `None` when they are too many.
    pub(crate) turn_ids: Option<HashSet<TurnId>>,
}

/// What a turn took out, until it is dropped.
pub(crate) struct Taken {
    /// `None` when it has to be read.
    pub(crate) conversation: Option<Conversation>,
    /// When it was read from the database, or is going to be.
    read_at: Instant,
    session: SessionId,
    of: Arc<Mutex<State>>,
}

impl Drop for Taken {
    fn drop(&mut self) {
        lock(&self.of).out.remove(&self.session);
    }
}

/// The conversations that go on.
#[derive(Default)]
pub(crate) struct RecentTurns {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// In the order in which they were put back.
    by_session: LinkedHashMap<SessionId, Entry>,
    bytes: usize,
    /// Those that are taken out, and whether they were forgotten since.
    out: HashMap<SessionId, bool>,
}

struct Entry {
    conversation: Conversation,
    bytes: usize,
    read_at: Instant,
}

impl Conversation {
    /// Adds a turn that was kept, as the last of at most so many that a model is given.
    pub(crate) fn add(&mut self, turn: Option<TurnId>, kept: &Checkpoint, most_history: usize) {
        self.turns += 1;
        if let (Some(turn), Some(known)) = (turn, &mut self.turn_ids) {
            known.insert(turn);
        }
        if self.turn_ids.as_ref().is_some_and(|known| known.len() > MOST_TURN_IDS) {
            self.turn_ids = None;
        }
        self.not_summed_up += 1;
        let history = Arc::make_mut(&mut self.history);
        if history.len() >= most_history {
            history.remove(0);
        }
        history.push(Exchange { said: kept.said.clone(), answered: kept.answered.clone() });
    }

    fn bytes(&self) -> usize {
        let of = |turn: &Exchange| size_of::<Exchange>() + turn.said.len() + turn.answered.len();
        let ids = self.turn_ids.as_ref().map_or(0, HashSet::len);
        let summary = self.summary.as_ref().map_or(0, |summary| summary.len());
        CONVERSATION_BYTES + summary + TURN_ID_BYTES * ids + self.history.iter().map(of).sum::<usize>()
    }
}

impl RecentTurns {
    /// Takes a session's conversation out.
    pub(crate) fn take(&self, session: SessionId) -> Taken {
        let mut state = lock(&self.state);
        let entry = state.remove(session).filter(|entry| entry.read_at.elapsed() < KEPT_FOR);
        let read_at = entry.as_ref().map_or_else(Instant::now, |entry| entry.read_at);
        let conversation = entry.map(|entry| entry.conversation);
        state.out.insert(session, false);
        Taken { conversation, read_at, session, of: self.state.clone() }
    }

    /// Puts it back, unless it was forgotten since it was taken.
    pub(crate) fn put(&self, taken: &Taken, conversation: Conversation) {
        let (session, bytes) = (taken.session, conversation.bytes());
        let mut state = lock(&self.state);
        if state.out.get(&session) != Some(&false) {
            return;
        }
        drop(state.remove(session));
        state.bytes += bytes;
        state.by_session.insert(session, Entry { conversation, bytes, read_at: taken.read_at });
        state.make_room();
    }

    /// Forgets a session.
    pub(crate) fn forget(&self, session: SessionId) {
        let mut state = lock(&self.state);
        if let Some(forgotten) = state.out.get_mut(&session) {
            *forgotten = true;
        }
        drop(state.remove(session));
    }

    /// Forgets everything.
    pub(crate) fn forget_all(&self) {
        let mut state = lock(&self.state);
        state.out.values_mut().for_each(|forgotten| *forgotten = true);
        state.by_session.clear();
        state.bytes = 0;
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl State {
    fn remove(&mut self, session: SessionId) -> Option<Entry> {
        let entry = self.by_session.remove(&session)?;
        self.bytes -= entry.bytes;
        Some(entry)
    }

    fn make_room(&mut self) {
        while let Some((_, oldest)) = self.by_session.front()
            && (self.bytes > MOST_BYTES || oldest.read_at.elapsed() >= KEPT_FOR)
        {
            self.bytes -= oldest.bytes;
            drop(self.by_session.pop_front());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::clock::Timestamp;
    use crate::domain::session::CheckpointId;

    fn turn(bytes: usize) -> Checkpoint {
        let at = Timestamp::from_millis(0);
        let (said, answered) = ("x".repeat(bytes), "well".to_owned());
        Checkpoint {
            id: CheckpointId::random(),
            said,
            answered,
            said_at: at,
            answered_at: at,
            audio: None,
            memories: Vec::new(),
        }
    }

    /// A conversation in which so many bytes were said.
    fn conversation(bytes: usize) -> Conversation {
        let mut conversation = Conversation::default();
        conversation.add(None, &turn(bytes), FEWEST_HISTORY_TURNS);
        conversation
    }

    fn keep(recent: &RecentTurns, session: SessionId, bytes: usize) {
        recent.put(&recent.take(session), conversation(bytes));
    }

    fn knows(recent: &RecentTurns, session: SessionId) -> bool {
        recent.take(session).conversation.is_some()
    }

    #[test]
    fn a_conversation_is_its_last_turns_and_all_their_ids() {
        let mut conversation = Conversation { turn_ids: Some(HashSet::new()), ..Conversation::default() };
        let ids: Vec<_> = (0..=MOST_TURN_IDS).map(|_| TurnId::random()).collect();
        for (number, id) in ids[..MOST_TURN_IDS].iter().enumerate() {
            conversation.add(Some(*id), &turn(number + 1), FEWEST_HISTORY_TURNS);
        }
        let known = conversation.turn_ids.clone().unwrap();
        assert!(ids[..MOST_TURN_IDS].iter().all(|id| known.contains(id)));
        let said: Vec<_> = conversation.history.iter().map(|turn| turn.said.len()).collect();
        assert_eq!(said, (981..=1000).collect::<Vec<_>>());
        conversation.add(Some(ids[MOST_TURN_IDS]), &turn(1), FEWEST_HISTORY_TURNS);
        assert!(conversation.turn_ids.is_none(), "too many");
    }

    #[test]
    fn what_was_put_back_is_taken_once() {
        let (recent, session) = (RecentTurns::default(), SessionId::random());
        assert!(!knows(&recent, session));
        keep(&recent, session, 5);
        assert_eq!(recent.take(session).conversation.take().unwrap().history[0].said, "xxxxx");
        assert!(!knows(&recent, session), "whoever fails puts nothing back");
        assert_eq!(lock(&recent.state).bytes, 0);
    }

    #[test]
    fn what_is_forgotten_while_a_turn_runs_is_not_put_back() {
        let (recent, session, other) = (RecentTurns::default(), SessionId::random(), SessionId::random());
        keep(&recent, other, 5);
        let taken = recent.take(session);
        recent.forget(session);
        recent.put(&taken, conversation(5));
        drop(taken);
        assert!(!knows(&recent, session));
        let taken = recent.take(session);
        recent.forget_all();
        recent.put(&taken, conversation(5));
        drop(taken);
        assert!(!knows(&recent, session) && !knows(&recent, other));
        assert_eq!(lock(&recent.state).bytes, 0);
        assert!(lock(&recent.state).out.is_empty(), "who has ended is not remembered");
    }

    #[test]
    fn what_is_forgotten_of_one_is_kept_of_the_others() {
        let (recent, session, other) = (RecentTurns::default(), SessionId::random(), SessionId::random());
        let taken = recent.take(session);
        recent.forget(other);
        recent.put(&taken, conversation(5));
        assert!(knows(&recent, session));
    }

    #[test]
    fn the_longest_resting_goes_when_there_is_too_much() {
        let recent = RecentTurns::default();
        let sessions: Vec<_> = (0..5).map(|_| SessionId::random()).collect();
        for session in &sessions {
            keep(&recent, *session, MOST_BYTES / 4 - 1000);
        }
        assert!(lock(&recent.state).bytes <= MOST_BYTES);
        assert!(!knows(&recent, sessions[0]));
        assert!(sessions[1..].iter().all(|session| knows(&recent, *session)));
        keep(&recent, sessions[0], MOST_BYTES);
        let state = lock(&recent.state);
        assert_eq!((state.bytes, state.by_session.len()), (0, 0), "too much for all");
    }

    #[test]
    fn what_rests_for_too_long_is_not_kept() {
        let (recent, session, other) = (RecentTurns::default(), SessionId::random(), SessionId::random());
        keep(&recent, session, 5);
        let long_ago = Instant::now().checked_sub(KEPT_FOR).unwrap();
        let age = |of| lock(&recent.state).by_session.get_mut(&of).unwrap().read_at = long_ago;
        age(session);
        keep(&recent, other, 5);
        assert_eq!(lock(&recent.state).by_session.len(), 1, "others make it go");
        age(other);
        assert!(!knows(&recent, other));
    }

    #[test]
    fn a_busy_conversation_is_read_again_as_well() {
        let (recent, session) = (RecentTurns::default(), SessionId::random());
        keep(&recent, session, 5);
        let nearly = Instant::now().checked_sub(KEPT_FOR / 2).unwrap();
        lock(&recent.state).by_session.get_mut(&session).unwrap().read_at = nearly;
        recent.put(&recent.take(session), conversation(6));
        assert_eq!(lock(&recent.state).by_session[&session].read_at, nearly, "a turn makes it no younger");
        assert!(knows(&recent, session));
        assert!(recent.take(session).read_at > nearly, "whoever reads it does");
    }
}
