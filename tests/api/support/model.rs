//! A model that says what the test tells it to, when the test tells it to.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use companion::adapters::offline::OfflineCompanion;
use companion::domain::chat::{ChatError, ChatModel, Exchange, Prompt, ReplyStream, ServiceState};
use futures_util::{StreamExt, stream};
use tokio::sync::watch;

/// One thing the model does while it answers.
pub enum Step {
    Piece(String),
    Wait(Gate),
    Unavailable,
    TimedOut,
}

/// The pieces of a reply that comes without waiting.
pub fn pieces(texts: &[&str]) -> Vec<Step> {
    texts.iter().map(|text| Step::Piece((*text).to_owned())).collect()
}

/// Holds a reply up until the test opens it.
#[derive(Clone)]
pub struct Gate(Arc<watch::Sender<bool>>);

impl Gate {
    pub fn new() -> Self {
        Self(Arc::new(watch::Sender::new(false)))
    }

    pub fn open(&self) {
        self.0.send_replace(true);
    }

    async fn pass(self) {
        // The sender lives as long as this gate does, so the wait ends by opening alone.
        let _ = self.0.subscribe().wait_for(|open| *open).await;
    }
}

/// Answers by script, in the order the scripts were given; without one it repeats what was said.
pub struct StubModel {
    scripts: Mutex<VecDeque<Vec<Step>>>,
    prompts: Mutex<Vec<Prompt>>,
    dropped: Arc<AtomicUsize>,
    offline: AtomicBool,
}

impl StubModel {
    pub fn new() -> Self {
        let (scripts, prompts) = (Mutex::default(), Mutex::default());
        Self { scripts, prompts, dropped: Arc::default(), offline: AtomicBool::new(false) }
    }

    /// From now on what has no script is answered by the built-in companion.
    pub fn leave_it_to_the_offline_companion(&self) {
        self.offline.store(true, Ordering::SeqCst);
    }

    /// What the model does at its next turn that has no script yet.
    pub fn next(&self, steps: Vec<Step>) {
        self.scripts.lock().unwrap().push_back(steps);
    }

    /// The next reply begins with `begin` and goes on with `end` once the gate is opened.
    pub fn hold_next(&self, begin: &str, end: &str) -> Gate {
        let gate = Gate::new();
        let mut steps = pieces(&[begin]);
        steps.push(Step::Wait(gate.clone()));
        steps.extend(pieces(&[end]));
        self.next(steps);
        gate
    }

    /// How many replies were begun.
    pub fn begun(&self) -> usize {
        self.prompts.lock().unwrap().len()
    }

    /// How many replies were dropped before their end.
    pub fn dropped(&self) -> usize {
        self.dropped.load(Ordering::SeqCst)
    }

    /// What the model was given to remember, turn by turn.
    pub fn histories(&self) -> Vec<Vec<Exchange>> {
        self.prompts.lock().unwrap().iter().map(|prompt| prompt.history.to_vec()).collect()
    }

    /// What the model was given to remember at its last turn.
    pub fn last_history(&self) -> Vec<Exchange> {
        self.prompts.lock().unwrap().last().unwrap().history.to_vec()
    }
}

/// Counts a reply that is dropped before its end.
struct Unfinished {
    dropped: Arc<AtomicUsize>,
    ended: bool,
}

impl Unfinished {
    fn end(&mut self) {
        self.ended = true;
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if !self.ended {
            self.dropped.fetch_add(1, Ordering::SeqCst);
        }
    }
}

impl ChatModel for StubModel {
    fn reply(&self, prompt: Prompt) -> ReplyStream {
        let script = self.scripts.lock().unwrap().pop_front();
        if script.is_none() && self.offline.load(Ordering::SeqCst) {
            self.prompts.lock().unwrap().push(prompt.clone());
            return OfflineCompanion.reply(prompt);
        }
        let steps = script.unwrap_or_else(|| pieces(&["You said: ", &prompt.said]));
        self.prompts.lock().unwrap().push(prompt);
        let unfinished = Unfinished { dropped: self.dropped.clone(), ended: false };
        stream::unfold((VecDeque::from(steps), unfinished), |(mut steps, mut unfinished)| async move {
            loop {
                let piece = match steps.pop_front() {
                    Some(Step::Wait(gate)) => {
                        gate.pass().await;
                        continue;
                    }
                    Some(Step::Piece(text)) => Ok(text),
                    Some(Step::Unavailable) => Err(ChatError::Unavailable {
                        why: "secret inner cause".to_owned(),
                        retry_after: None,
                    }),
                    Some(Step::TimedOut) => Err(ChatError::TimedOut("secret inner cause".to_owned())),
                    None => {
                        unfinished.end();
                        return None;
                    }
                };
                if piece.is_err() {
                    unfinished.end();
                }
                return Some((piece, (steps, unfinished)));
            }
        })
        .boxed()
    }

    fn state(&self) -> ServiceState {
        ServiceState::Connected
    }
}
