//! Interruptions over the voice socket, while it hears, waits or plays: what was said is kept, and of an answer what was heard.

use std::time::{Duration, Instant};

use serde_json::json;
use tungstenite::Message;

use crate::learning::texts;
use crate::memories::remember;
use crate::support::model::Step;
use crate::support::voice::{ESPEAK, Programs, recording};
use crate::support::{Talk, TestApp, wait_for};

const TURN: &str = "11111111-1111-4111-8111-111111111111";
const WHOLE: &str = "First I tell you something long. Then I tell you something else. Good bye.";
const HEARS: &str = "cat \"$1\" > /dev/null; echo 'I feel calm today'";
/// What is said first is heard once the test lets it; what comes after it at once.
const HEARS_SLOWLY: &str = "if mkdir \"$HERE/first\" 2>/dev/null; then touch \"$HERE/hears\"; \
    while [ ! -e \"$HERE/go\" ]; do sleep 0.01; done; cat \"$HERE/said\"; else echo 'and I could not sleep'; fi";

fn kept(app: &TestApp, talk: &Talk) -> Vec<String> {
    let messages = app.session(talk, "").json()["messages"].as_array().cloned().unwrap_or_default();
    messages.iter().map(|message| message["text"].as_str().unwrap_or_default().to_owned()).collect()
}

#[test]
fn who_goes_on_speaking_before_it_was_understood_is_answered_within_50_ms_and_has_said_both_halves() {
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
fn who_interrupts_what_is_being_heard_and_leaves_has_it_kept_learned_and_done() {
    const SAID: &str = "I live in Porto. Forget that I like tea.";
    let programs = Programs::new();
    std::fs::write(programs.path("said"), SAID).unwrap();
    let app = programs.server(HEARS_SLOWLY, ESPEAK);
    let talk = app.start_session();
    remember(&app, &talk.token, "I like tea");
    let mut socket = app.try_socket(&talk.session, &[("x-companion-person", &talk.token)]).unwrap();
    socket.speak(&recording("wav"), None);
    wait_for("it is being heard", || programs.path("hears").exists());
    socket.interrupt(None);
    socket.until("audio_end");
    drop(socket);
    std::fs::write(programs.path("go"), "").unwrap();
    wait_for("it is kept", || app.count("checkpoints") == 1);
    assert_eq!(kept(&app, &talk), [SAID]);
    wait_for("it is learned", || app.count("to_learn") == 0);
    assert_eq!(texts(&app, &talk), ["I live in Porto"]);
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

#[test]
fn a_recording_that_is_dropped_takes_nothing_from_the_answer_before_it() {
    let breaks_off = "[ -e \"$HERE/once\" ] && exit 1; touch \"$HERE/once\"; exec espeak-ng --stdout";
    for speaks in [ESPEAK, breaks_off] {
        let app = Programs::new().server(HEARS, speaks);
        let talk = app.start_session();
        let mut socket = app.socket(&talk);
        app.model.next(vec![Step::Piece(WHOLE.to_owned())]);
        socket.speak(&recording("wav"), None);
        socket.answer();
        socket.say(&json!({"type": "start_listening"}));
        socket.web.send(Message::binary(vec![0; 1000])).unwrap();
        socket.interrupt(None);
        socket.say(&json!({"type": "stop_listening"}));
        assert_eq!(socket.text()["message"], "audio: send start_listening first", "it was dropped");
        assert_eq!(kept(&app, &talk)[1], WHOLE);
    }
}

#[test]
fn of_an_answer_whose_speech_broke_off_the_text_that_was_sent_is_kept() {
    let breaks_off = "[ -e \"$HERE/once\" ] && exit 1; touch \"$HERE/once\"; exec espeak-ng --stdout";
    let app = Programs::new().server(HEARS, breaks_off);
    let talk = app.start_session();
    let mut socket = app.socket(&talk);
    app.model.next(vec![Step::Piece(WHOLE.to_owned())]);
    socket.speak(&recording("wav"), None);
    let answer = socket.answer();
    assert_eq!((answer.sentences.len(), &answer.response.unwrap()["degraded"]), (1, &json!(["speech"])));
    socket.interrupt(None);
    socket.say(&json!("nonsense"));
    socket.until("error");
    assert_eq!(kept(&app, &talk)[1], WHOLE, "the client reads it aloud");
}

/// A server that has answered the turn, and another socket, over which it cannot be spoken.
fn answered(app: &TestApp, programs: &Programs, talk: &Talk) -> crate::support::socket::Socket {
    app.model.next(vec![Step::Piece(WHOLE.to_owned())]);
    let mut first = app.socket(talk);
    first.speak(&recording("wav"), Some(TURN));
    first.answer();
    std::fs::write(programs.path("slow"), "").unwrap();
    app.socket(talk)
}

#[test]
fn what_was_heard_over_a_connection_that_was_lost_is_told_over_the_next_one() {
    for at_once in [true, false] {
        let programs = Programs::new();
        let speaks = "if [ -e \"$HERE/slow\" ]; then touch \"$HERE/speaks\"; exec sleep 1000; fi; exec espeak-ng --stdout";
        let app = programs.server(HEARS, speaks);
        let talk = app.start_session();
        let mut again = answered(&app, &programs, &talk);
        again.say(&json!({"type": "start_listening", "turn_id": TURN}));
        if at_once {
            // Both arrive together.
            for message in
                [json!({"type": "stop_listening"}), json!({"type": "interrupt", "played_ms": 3000})]
            {
                again.web.write(Message::text(message.to_string())).unwrap();
            }
            again.web.flush().unwrap();
        } else {
            again.say(&json!({"type": "stop_listening"}));
            wait_for("it is being spoken again", || programs.path("speaks").exists());
            again.interrupt(Some(3000.0));
        }
        assert_eq!(again.until("audio_end")["interrupted"], true);
        wait_for("it is shorter now", || kept(&app, &talk)[1] != WHOLE);
        // 32 characters take 2.08 s; of the 30 after them in the rest about half are heard.
        assert_eq!(kept(&app, &talk)[1], "First I tell you something long. Then I tell");
    }
}

#[test]
fn an_interruption_before_anything_was_told_again_changes_nothing() {
    let programs = Programs::new();
    let speaks = "if [ -e \"$HERE/slow\" ]; then exec sleep 1000; fi; exec espeak-ng --stdout";
    let app = programs.server(HEARS, speaks);
    let talk = app.start_session();
    let mut again = answered(&app, &programs, &talk);
    again.say(&json!({"type": "start_listening", "turn_id": TURN}));
    for message in [json!({"type": "stop_listening"}), json!({"type": "interrupt"})] {
        again.web.write(Message::text(message.to_string())).unwrap();
    }
    again.web.flush().unwrap();
    assert_eq!(again.until("audio_end")["interrupted"], true);
    again.speak(&recording("wav"), None);
    wait_for("the next turn knows it", || app.model.begun() == 2);
    assert_eq!(app.model.last_history()[0].answered, WHOLE);
    again.interrupt(None);
    again.until("audio_end");
}

#[test]
fn where_to_find_help_is_told_again_to_who_interrupted_before_it_was_told() {
    let programs = Programs::new();
    let app = programs.server("cat \"$1\" > /dev/null; cat \"$HERE/said\"", ESPEAK);
    let talk = app.start_session();
    let mut socket = app.socket(&talk);
    let mut answer_to = |said: &str, played_ms: Option<f64>| {
        std::fs::write(programs.path("said"), said).unwrap();
        socket.speak(&recording("wav"), None);
        let answer = socket.answer().deltas;
        if played_ms.is_some() {
            socket.interrupt(played_ms);
        }
        answer
    };
    let helps = "findahelpline.com";
    assert!(answer_to("I want to die", Some(1500.0)).contains(helps));
    let again = answer_to("what did you say", None);
    assert!(again.contains(helps), "{again}");
    let heard = kept(&app, &talk)[1].clone();
    assert!(!heard.is_empty() && !heard.contains(helps), "only its beginning was heard: {heard}");
    assert_eq!(app.model.begun(), 0, "no model is asked for it");
    assert_eq!(answer_to("yes", None), "You said: yes", "it was heard now");
}

#[test]
fn named_recordings_that_wait_are_kept_in_their_order_for_who_left_also_those_that_were_interrupted() {
    let hears = "for n in first second third; do if mkdir \"$HERE/$n\" 2>/dev/null; then \
        while [ ! -e \"$HERE/go\" ]; do sleep 0.01; done; echo \"this is the $n\"; exit; fi; done";
    let programs = Programs::new();
    let app = programs.server(hears, ESPEAK);
    let talk = app.start_session();
    let mut socket = app.socket(&talk);
    for (number, name) in [(1, "first"), (2, "second"), (3, "third")] {
        socket.speak(&recording("wav"), Some(&TURN.replace('1', &number.to_string())));
        if name == "first" {
            wait_for("it is being heard", || programs.path("first").exists());
        }
        if name != "third" {
            socket.interrupt(None);
        }
    }
    socket.web.close(None).unwrap();
    while socket.web.read().is_ok() {}
    std::fs::write(programs.path("go"), "").unwrap();
    wait_for("all are kept", || app.count("checkpoints") == 3);
    let said = ["this is the first", "this is the second", "this is the third"];
    assert_eq!(app.said(&talk), said);
    assert_eq!(kept(&app, &talk)[3], "You said: this is the third", "who goes on speaking is answered once");
}
