//! Who says nothing gets a gentle answer, another one each time; who goes on saying nothing is left in peace.
//!
//! Bounds: 4096 sessions; the one that was silent least lately begins anew.

use std::sync::{Mutex, PoisonError};

use hashlink::LruCache;

use crate::domain::session::SessionId;

const MOST_SESSIONS: usize = 4096;

/// What is known of the silences.
pub(crate) struct Silences(Mutex<LruCache<SessionId, Silence>>);

#[derive(Default, Clone, Copy)]
struct Silence {
    /// How many answers there have been.
    answers: usize,
    /// Whether nothing was said since the last one.
    goes_on: bool,
}

impl Default for Silences {
    fn default() -> Self {
        Self(Mutex::new(LruCache::new(MOST_SESSIONS)))
    }
}

impl Silences {
    /// Nothing was heard: the answer to it, of these; empty when the last answer was one to silence.
    pub(crate) fn answer<'a>(&self, session: SessionId, answers: &'a [String]) -> &'a str {
        let mut sessions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let silence = sessions.entry(session).or_insert_with(Silence::default);
        if silence.goes_on || answers.is_empty() {
            return "";
        }
        let answer = &answers[silence.answers % answers.len()];
        *silence = Silence { answers: silence.answers + 1, goes_on: true };
        answer
    }

    /// Something was heard.
    pub(crate) fn ended(&self, session: SessionId) {
        if let Some(silence) = self.0.lock().unwrap_or_else(PoisonError::into_inner).get_mut(&session) {
            silence.goes_on = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_silence_gets_another_answer_and_its_going_on_gets_none() {
        let answers = ["one".to_owned(), "two".to_owned()];
        let (silences, session) = (Silences::default(), SessionId::random());
        for expected in ["one", "two", "one"] {
            assert_eq!(silences.answer(session, &answers), expected);
            assert_eq!(silences.answer(session, &answers), "");
            assert_eq!(silences.answer(session, &answers), "");
            silences.ended(session);
        }
        assert_eq!(silences.answer(SessionId::random(), &answers), "one");
    }

    #[test]
    fn so_many_sessions_are_known_and_the_longest_unheard_of_begins_anew() {
        let answers = ["one".to_owned(), "two".to_owned()];
        let (silences, session) = (Silences::default(), SessionId::random());
        let others = |many: usize| {
            for _ in 0..many {
                assert_eq!(silences.answer(SessionId::random(), &answers), "one");
            }
        };
        assert_eq!(silences.answer(session, &answers), "one");
        others(MOST_SESSIONS - 1);
        assert_eq!(silences.answer(session, &answers), "", "it is known");
        others(MOST_SESSIONS);
        assert_eq!(silences.answer(session, &answers), "one", "it begins anew");
    }
}
