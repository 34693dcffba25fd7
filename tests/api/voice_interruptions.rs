//! Interruptions over the voice socket, while it hears, waits or plays: what was said is kept, and of an answer what was heard.

use std::time::{Duration, Instant};

use crate::support::voice::{ESPEAK, Programs, recording};
use crate::support::{Talk, TestApp, wait_for};

const HEARS: &str = "cat \"$1\" > /dev/null; echo 'I feel calm today'";
/// What is said first is heard once the test lets it; what comes after it at once.
const HEARS_SLOWLY: &str = "if mkdir \"$HERE/first\" 2>/dev/null; then touch \"$HERE/hears\"; \
    while [ ! -e \"$HERE/go\" ]; do sleep 0.01; done; cat \"$HERE/said\"; else echo 'and I could not sleep'; fi";

fn kept(app: &TestApp, talk: &Talk) -> Vec<String> {
    let messages = app.session(talk, "").json()["messages"].as_array().cloned().unwrap_or_default();
    messages.iter().map(|message| message["text"].as_str().unwrap_or_default().to_owned()).collect()
}

#[test]
fn who_goes_on_speaking_before_it_was_understood_has_said_both_halves() {
    for (said, history) in [("I had a strange dream", vec!["I had a strange dream"]), ("", Vec::new())] {
        let programs = Programs::new();
        std::fs::write(programs.path("said"), said).unwrap();
        let app = programs.server(HEARS_SLOWLY, ESPEAK);
        let talk = app.start_session();
        let mut socket = app.socket(&talk);
        socket.speak(&recording("wav"), None);
        wait_for("it is being heard", || programs.path("hears").exists());
        let began = Instant::now();
        socket.interrupt(Some(0.0));
        assert_eq!(socket.text()["interrupted"], true);
        assert!(began.elapsed() < Duration::from_millis(50), "{:?}", began.elapsed());
        socket.speak(&recording("wav"), None);
        std::fs::write(programs.path("go"), "").unwrap();
        assert_eq!(socket.answer().deltas, "You said: and I could not sleep");
        let known: Vec<_> = app.model.last_history().into_iter().map(|before| before.said).collect();
        assert_eq!(known, history, "the answer is one to both");
        assert_eq!(app.model.begun(), 1, "the first half was not answered");
        assert_eq!(app.said(&talk).len(), history.len() + 1);
    }
}

#[test]
fn who_interrupts_what_is_being_heard_and_leaves_has_it_kept() {
    let programs = Programs::new();
    std::fs::write(programs.path("said"), "I had a strange dream").unwrap();
    let app = programs.server(HEARS_SLOWLY, ESPEAK);
    let talk = app.start_session();
    let mut socket = app.socket(&talk);
    socket.speak(&recording("wav"), None);
    wait_for("it is being heard", || programs.path("hears").exists());
    socket.interrupt(None);
    socket.until("audio_end");
    drop(socket);
    std::fs::write(programs.path("go"), "").unwrap();
    wait_for("it is kept", || app.count("checkpoints") == 1);
    assert_eq!(kept(&app, &talk), ["I had a strange dream"]);
}

#[test]
fn what_waits_for_another_turn_is_heard_though_it_was_interrupted() {
    let app = Programs::new().server(HEARS, ESPEAK);
    let talk = app.start_session();
    let gate = app.model.hold_next("some", " words");
    let (mut first, mut second) = (app.socket(&talk), app.socket(&talk));
    first.speak(&recording("wav"), None);
    first.until("response_delta");
    second.speak(&recording("wav"), None);
    second.interrupt(None);
    assert_eq!(second.text()["interrupted"], true, "at once");
    gate.open();
    first.answer();
    wait_for("both are kept", || app.count("checkpoints") == 2);
    assert_eq!(kept(&app, &talk), ["I feel calm today", "some words", "I feel calm today"]);
    assert_eq!(app.model.begun(), 1);
}
