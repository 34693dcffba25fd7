//! From states to a conversation: every checkpoint repeats the messages so far; each is taken where it first appears.
//!
//! A message with an id is the same wherever the id comes up; if its words change, the later ones count. One without
//! is told by its place: a state is laid over the one before it (their longest common subsequence), and what is left
//! over is new. So a message that a later state dropped (summarised, trimmed, removed) stays where it was.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use sha2::{Digest, Sha256};

use crate::adapters::import_store::{ThreadHash, Turn};
use crate::adapters::langgraph::{Form, Message, Role, Unreadable};
use crate::domain::clock::Timestamp;
use crate::domain::session::{PublicId, TurnId};

/// The most text of one conversation that is held at a time.
const MOST_TEXT: usize = 64 * 1024 * 1024;
/// Beyond this much work two states are laid over each other the simple way.
const MOST_CELLS: usize = 4_000_000;

/// One message of the conversation.
pub(super) struct Heard {
    identity: TurnId,
    pub role: Role,
    pub text: String,
    at: Timestamp,
}

/// Gathers the messages of one thread.
pub(super) struct Collector<'a> {
    thread: &'a ThreadHash,
    heard: Vec<Heard>,
    by_id: HashMap<String, usize>,
    /// What an item was found to be, by the hash of its bytes: states repeat themselves.
    cache: HashMap<u64, Item>,
    /// Messages without ids by the hash of their words, with how often each was heard.
    nameless: HashMap<u64, (Message, u64)>,
    /// The messages without ids of the state before, by the same hash.
    before: Vec<u64>,
    text_bytes: usize,
    pub parts_left_out: u64,
    pub not_messages: u64,
}

#[derive(Clone, Copy)]
enum Item {
    Named,
    Nameless(u64),
    Nothing,
}

/// What a state is made of, before it is known which of it is new.
enum Found {
    Known(Item),
    New(String, Message, u64),
}

impl<'a> Collector<'a> {
    pub fn new(thread: &'a ThreadHash) -> Self {
        Self {
            thread,
            heard: Vec::new(),
            by_id: HashMap::new(),
            cache: HashMap::new(),
            nameless: HashMap::new(),
            before: Vec::new(),
            text_bytes: 0,
            parts_left_out: 0,
            not_messages: 0,
        }
    }

    /// Takes the messages of a state made at `at`.
    pub fn take(&mut self, form: Form, items: &[&[u8]], at: Timestamp) -> Result<(), Unreadable> {
        let found = self.look_at(form, items)?;
        let now: Vec<u64> = found.iter().filter_map(Found::nameless).collect();
        let mut fresh = fresh(&self.before, &now).into_iter();
        self.before = now;
        for found in found {
            let is_fresh = found.nameless().is_none() || fresh.next().unwrap_or(true);
            self.hear(found, is_fresh, at);
        }
        Ok(())
    }

    /// Takes messages that were added to the state before. Without `also_nameless` only those with ids: a message that
    /// was written and never became part of a state is given its id when it does.
    pub fn add(
        &mut self,
        form: Form,
        items: &[&[u8]],
        at: Timestamp,
        also_nameless: bool,
    ) -> Result<(), Unreadable> {
        for found in self.look_at(form, items)? {
            match found.nameless() {
                Some(_) if !also_nameless => continue,
                Some(hash) => self.before.push(hash),
                None => {}
            }
            self.hear(found, true, at);
        }
        Ok(())
    }

    fn look_at(&mut self, form: Form, items: &[&[u8]]) -> Result<Vec<Found>, Unreadable> {
        items.iter().map(|bytes| self.find(form, bytes)).collect()
    }

    fn find(&mut self, form: Form, bytes: &[u8]) -> Result<Found, Unreadable> {
        let hash = hash_of(&bytes);
        if let Some(item) = self.cache.get(&hash) {
            return Ok(Found::Known(*item));
        }
        let item = match form.message(bytes)? {
            None => {
                self.not_messages += 1;
                Item::Nothing
            }
            Some(mut message) => {
                self.parts_left_out += message.parts_left_out;
                if let Some(id) = message.id.take() {
                    return Ok(Found::New(id, message, hash));
                }
                let words = hash_of(&(format!("{:?}", message.role), &message.text));
                self.nameless.entry(words).or_insert((message, 0));
                Item::Nameless(words)
            }
        };
        self.cache.insert(hash, item);
        Ok(Found::Known(item))
    }

    fn hear(&mut self, found: Found, is_fresh: bool, at: Timestamp) {
        match found {
            Found::New(id, message, hash) => {
                self.hear_named(id, message, at);
                self.cache.insert(hash, Item::Named);
            }
            Found::Known(Item::Nameless(words)) if is_fresh => self.hear_nameless(words, at),
            Found::Known(_) => {}
        }
    }

    fn hear_named(&mut self, id: String, message: Message, at: Timestamp) {
        if let Some(index) = self.by_id.get(&id) {
            if let Some(heard) = self.heard.get_mut(*index)
                && !message.text.trim().is_empty()
            {
                self.text_bytes += message.text.len();
                heard.text = message.text;
            }
            return;
        }
        let identity = self.identity(&["id", &id], 0);
        self.by_id.insert(id, self.heard.len());
        self.push(identity, &message, at);
    }

    fn hear_nameless(&mut self, words: u64, at: Timestamp) {
        let Some((message, times)) = self.nameless.get_mut(&words) else { return };
        *times += 1;
        let (message, times) = (message.clone(), *times);
        let identity = self.identity(&["words", &format!("{:?}", message.role), &message.text], times);
        self.push(identity, &message, at);
    }

    fn push(&mut self, identity: TurnId, message: &Message, at: Timestamp) {
        let text = match message.role {
            Role::Human | Role::Assistant => message.text.trim().to_owned(),
            Role::System | Role::Tool | Role::Remove | Role::Other => String::new(),
        };
        self.text_bytes += text.len();
        self.heard.push(Heard { identity, role: message.role, text, at });
    }

    /// The same for the same message of the same thread, whenever and however often it is read.
    fn identity(&self, parts: &[&str], times: u64) -> TurnId {
        let mut hasher = Sha256::new();
        hasher.update(self.thread);
        for part in parts {
            hasher.update(part.len().to_be_bytes());
            hasher.update(part);
        }
        hasher.update(times.to_be_bytes());
        let digest: [u8; 32] = hasher.finalize().into();
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&digest[..16]);
        PublicId::from_bytes(bytes)
    }

    /// True once the conversation is larger than what is held.
    pub fn is_full(&self) -> bool {
        self.text_bytes > MOST_TEXT
    }

    /// All messages in the order in which they appeared.
    pub fn heard(&self) -> &[Heard] {
        &self.heard
    }
}

impl Found {
    fn nameless(&self) -> Option<u64> {
        match self {
            Self::Known(Item::Nameless(words)) => Some(*words),
            Self::Known(Item::Named | Item::Nothing) | Self::New(..) => None,
        }
    }
}

fn hash_of(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// Which of `now` are not in `before` when the two are laid over each other.
fn fresh(before: &[u64], now: &[u64]) -> Vec<bool> {
    let start = before.iter().zip(now).take_while(|(a, b)| a == b).count();
    let (before, rest) = (&before[start..], &now[start..]);
    let end = before.iter().rev().zip(rest.iter().rev()).take_while(|(a, b)| a == b).count();
    let (before, rest) = (&before[..before.len() - end], &rest[..rest.len() - end]);
    let mut marks = vec![false; now.len()];
    let middle = &mut marks[start..now.len() - end];
    middle.fill(true);
    if before.is_empty() || rest.is_empty() {
        return marks;
    }
    if before.len().saturating_mul(rest.len()) > MOST_CELLS {
        // Trimmed at its beginning, grown at its end.
        let overlap = (0..before.len()).map(|from| &before[from..]).find(|tail| rest.starts_with(tail));
        middle[..overlap.map_or(0, <[u64]>::len)].fill(false);
        return marks;
    }
    mark_common(before, rest, middle);
    marks
}

/// Clears the mark of everything in `now` that is part of the longest common subsequence.
fn mark_common(before: &[u64], now: &[u64], marks: &mut [bool]) {
    let width = now.len() + 1;
    let mut longest = vec![0_u32; (before.len() + 1) * width];
    for (i, a) in before.iter().enumerate().rev() {
        for (j, b) in now.iter().enumerate().rev() {
            longest[i * width + j] = if a == b {
                longest[(i + 1) * width + j + 1] + 1
            } else {
                longest[(i + 1) * width + j].max(longest[i * width + j + 1])
            };
        }
    }
    let (mut i, mut j) = (0, 0);
    while i < before.len() && j < now.len() {
        if before[i] == now[j] {
            marks[j] = false;
            (i, j) = (i + 1, j + 1);
        } else if longest[(i + 1) * width + j] >= longest[i * width + j + 1] {
            i += 1;
        } else {
            j += 1;
        }
    }
}

/// Pairs what a person said with what was answered. What has no partner is a turn with an empty side, so that every
/// message keeps its own words, its place and its time.
pub(super) fn turns(heard: &[Heard]) -> Vec<Turn> {
    let mut turns: Vec<Turn> = Vec::new();
    let mut open = false;
    for message in heard.iter().filter(|message| !message.text.is_empty()) {
        let Heard { identity, role, text, at } = message;
        match role {
            Role::Assistant if open => {
                open = false;
                if let Some(turn) = turns.last_mut() {
                    turn.answered.clone_from(text);
                    turn.answered_at = *at;
                }
            }
            Role::Human | Role::Assistant => {
                open = *role == Role::Human;
                let (said, answered) =
                    if open { (text.clone(), String::new()) } else { (String::new(), text.clone()) };
                turns.push(Turn { id: *identity, said, answered, said_at: *at, answered_at: *at });
            }
            Role::System | Role::Tool | Role::Remove | Role::Other => {}
        }
    }
    turns
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_millis(second * 1000)
    }

    fn collect(states: &[&[&str]]) -> Vec<String> {
        let mut collector = Collector::new(&[7; 32]);
        for (second, state) in (0..).zip(states) {
            let items: Vec<_> = state.iter().map(|item| item.as_bytes()).collect();
            collector.take(Form::Json, &items, at(second)).ok().unwrap();
        }
        collector.heard().iter().map(|heard| heard.text.clone()).collect()
    }

    const A: &str = r#"["user", "a"]"#;
    const B: &str = r#"["ai", "b"]"#;
    const C: &str = r#"["user", "c"]"#;
    const SUMMARY: &str = r#"["ai", "summary"]"#;

    #[test]
    fn without_ids_the_place_tells_what_is_new() {
        assert_eq!(collect(&[&[A], &[A, B], &[A, B], &[A, B, A], &[A, B, A, B]]), ["a", "b", "a", "b"]);
        assert_eq!(collect(&[&[A, B], &[B, C], &[C, B]]), ["a", "b", "c", "b"], "trimmed at its beginning");
        assert_eq!(collect(&[&[A, B, A], &[SUMMARY, A, C]]), ["a", "b", "a", "summary", "c"]);
    }

    #[test]
    fn with_ids_a_message_comes_once_and_may_be_reworded() {
        let first = r#"{"type": "human", "id": "1", "content": "a"}"#;
        let reworded = r#"{"type": "human", "id": "1", "content": "aa"}"#;
        let emptied = r#"{"type": "human", "id": "1", "content": ""}"#;
        assert_eq!(collect(&[&[first, B], &[reworded], &[emptied], &[emptied, B]]), ["aa", "b", "b"]);
    }

    #[test]
    fn what_has_no_partner_is_a_turn_with_an_empty_side() {
        let mut collector = Collector::new(&[7; 32]);
        let items = [B, A, C, B, SUMMARY].map(str::as_bytes);
        collector.take(Form::Json, &items, at(1)).ok().unwrap();
        let turns: Vec<_> =
            turns(collector.heard()).into_iter().map(|turn| (turn.said, turn.answered)).collect();
        let expected = [("", "b"), ("a", ""), ("c", "b"), ("", "summary")];
        assert_eq!(turns, expected.map(|(said, answered)| (said.to_owned(), answered.to_owned())));
    }

    proptest! {
        #[test]
        fn what_only_grows_is_fresh_exactly_at_its_end(
            before in proptest::collection::vec(0_u64..3, 0..20),
            more in proptest::collection::vec(0_u64..3, 0..20),
        ) {
            let now = [before.clone(), more.clone()].concat();
            let marks = fresh(&before, &now);
            prop_assert_eq!(marks.iter().filter(|mark| **mark).count(), more.len());
        }

        #[test]
        fn a_trimmed_state_is_never_fresh(before in proptest::collection::vec(0_u64..3, 0..20), from in 0_usize..20) {
            let now = before[from.min(before.len())..].to_vec();
            prop_assert!(fresh(&before, &now).iter().all(|mark| !mark));
        }
    }
}
