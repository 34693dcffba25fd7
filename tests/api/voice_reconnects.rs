//! A turn over the voice socket that is gone on with over another one: interrupted there, or silent, or left as it is interrupted.

use std::time::{Duration, Instant};

use serde_json::json;
use tungstenite::Message;

use crate::support::scrape::Scrape;
use crate::support::socket::Socket;
use crate::support::voice::{ESPEAK, Programs, recording};
use crate::support::{Talk, TestApp, wait_for};

const HEARS: &str = "cat \"$1\" > /dev/null; echo 'I feel calm today'";
const TURN: &str = "11111111-1111-4111-8111-111111111111";
const OTHER: &str = "22222222-2222-4222-8222-222222222222";
const WHOLE: &str = "First I tell you something long. Then I tell you";

/// A socket with a turn that has begun to speak and is never written to its end.
fn speaking(app: &TestApp, talk: &Talk) -> Socket {
    let mut socket = app.socket(talk);
    std::mem::forget(app.model.hold_next(WHOLE, " more."));
    socket.speak(&recording("wav"), Some(TURN));
    socket.until("audio_start");
    socket
}

fn kept(app: &TestApp, talk: &Talk) -> Vec<String> {
    let messages = app.session(talk, "").json()["messages"].as_array().cloned().unwrap_or_default();
    messages.iter().map(|message| message["text"].as_str().unwrap_or_default().to_owned()).collect()
}

#[test]
fn an_interruption_after_a_reconnect_drops_the_work_within_50_ms_and_keeps_what_was_played() {
    for (played, heard) in [(Some(900.0), None), (None, Some("First I tell you something long."))] {
        let app = Programs::new().server(HEARS, ESPEAK);
        let talk = app.start_session();
        drop(speaking(&app, &talk));
        let mut again = app.socket(&talk);
        again.speak(b"", Some(TURN));
        let began = Instant::now();
        again.interrupt(played);
        assert_eq!(again.until("audio_end")["interrupted"], true);
        wait_for("the model's work is dropped", || app.model.dropped() == 1);
        assert!(began.elapsed() < Duration::from_millis(50), "{:?}", began.elapsed());
        wait_for("it is kept", || app.count("checkpoints") == 1);
        let kept = kept(&app, &talk);
        assert_eq!(kept[0], "I feel calm today");
        match heard {
            Some(heard) => assert_eq!(kept[1], heard, "what was sent of it, before"),
            None => assert!(kept[1].len() < 30 && kept[1].starts_with("First I"), "{kept:?}"),
        }
        again.speak(&recording("wav"), None);
        assert_eq!(again.answer().deltas, "You said: I feel calm today", "the next turn is not held up");
    }
}

#[test]
fn two_who_wait_for_the_same_turn_both_hear_of_its_interruption() {
    for (said, kept) in [("I feel calm today", 1), ("", 0)] {
        let programs = Programs::new();
        let waits = "touch \"$HERE/hears\"; while [ ! -e \"$HERE/go\" ]; do sleep 0.01; done";
        let hears = format!("{waits}; echo '{said}'");
        let app = programs.server(&hears, ESPEAK);
        let talk = app.start_session();
        let (mut first, mut second) = (app.socket(&talk), app.socket(&talk));
        first.speak(&recording("wav"), Some(TURN));
        wait_for("it is listened to", || programs.path("hears").exists());
        second.speak(&recording("wav"), Some(TURN));
        second.interrupt(None);
        assert_eq!(second.until("audio_end")["interrupted"], true, "before it was understood");
        std::fs::write(programs.path("go"), "").unwrap();
        if said.is_empty() {
            let told = first.text();
            assert_eq!((&told["type"], &told["code"]), (&json!("error"), &json!("service_unavailable")));
        } else {
            let told = first.answer();
            assert_eq!(told.transcription.as_deref(), Some(said));
            assert_eq!(told.response.unwrap()["text"], "", "nothing was answered");
        }
        assert_eq!(app.count("checkpoints"), kept);
    }
}

#[test]
fn who_interrupts_and_leaves_at_once_has_what_was_played_kept_as_well() {
    let app = Programs::new().server(HEARS, ESPEAK);
    let talk = app.start_session();
    let mut socket = speaking(&app, &talk);
    let interrupt = json!({"type": "interrupt", "played_ms": 900});
    // Both arrive at once.
    socket.web.write(Message::text(interrupt.to_string())).unwrap();
    socket.web.write(Message::Close(None)).unwrap();
    socket.web.flush().unwrap();
    wait_for("the model's work is dropped", || app.model.dropped() == 1);
    wait_for("it is kept", || app.count("checkpoints") == 1);
    let kept = kept(&app, &talk);
    assert!(kept[1].len() < 30 && kept[1].starts_with("First I"), "{kept:?}");
}

#[test]
fn who_joins_a_turn_in_which_nothing_was_said_is_answered_as_silence_is() {
    let programs = Programs::new();
    let app =
        programs.server("touch \"$HERE/hears\"; while [ ! -e \"$HERE/go\" ]; do sleep 0.01; done", ESPEAK);
    let talk = app.start_session();
    let (mut first, mut second) = (app.socket(&talk), app.socket(&talk));
    first.speak(&recording("wav"), Some(TURN));
    wait_for("it is listened to", || programs.path("hears").exists());
    second.speak(&recording("wav"), Some(TURN));
    std::fs::write(programs.path("go"), "").unwrap();
    for socket in [&mut first, &mut second] {
        assert_eq!(socket.answer().transcription.as_deref(), Some(""));
    }
    assert_eq!(app.count("checkpoints"), 0);
}

#[test]
fn who_leaves_with_their_last_word_has_it_heard_and_kept() {
    let app = Programs::new().server(HEARS, ESPEAK);
    let talk = app.start_session();
    let mut socket = app.socket(&talk);
    socket.say(&json!({"type": "start_listening", "turn_id": TURN}));
    socket.web.send(Message::binary(recording("wav"))).unwrap();
    // Both in one piece.
    socket.web.write(Message::text(json!({"type": "stop_listening"}).to_string())).unwrap();
    socket.web.write(Message::Close(None)).unwrap();
    socket.web.flush().unwrap();
    assert_eq!(socket.closed(), None, "it has left");
    wait_for("it is kept", || app.count("checkpoints") == 1);
    let mut again = app.socket(&talk);
    again.speak(b"", Some(TURN));
    assert_eq!(again.answer().transcription.as_deref(), Some("I feel calm today"));
    assert_eq!(app.model.begun(), 1);
}

#[test]
fn a_named_recording_that_waits_is_answered_and_kept_for_who_left() {
    let app = Programs::new().server(HEARS, ESPEAK);
    let talk = app.start_session();
    let gate = app.model.hold_next("some", " words");
    let mut socket = app.socket(&talk);
    socket.speak(&recording("wav"), Some(TURN));
    socket.until("response_delta");
    socket.speak(&recording("wav"), Some(OTHER));
    socket.say(&json!("nonsense"));
    socket.until("error");
    drop(socket);
    wait_for("it is gone", || Scrape::of(&app).value("companion_voice_sockets") == 0.0);
    gate.open();
    wait_for("both are kept", || app.count("checkpoints") == 2);
    let mut again = app.socket(&talk);
    again.speak(b"", Some(OTHER));
    let answer = again.answer();
    assert_eq!(answer.transcription.as_deref(), Some("I feel calm today"));
    assert_eq!((answer.deltas.as_str(), app.model.begun()), ("You said: I feel calm today", 2));
}

/// Speaks a sentence that no connection holds all the sound of.
const SPEAKS_FOR_LONG: &str =
    "exec ffmpeg -nostdin -loglevel error -f lavfi -i anullsrc=r=44100:cl=mono -t 180 -f wav -";

#[test]
fn a_dead_connection_does_not_hold_up_who_sends_the_turn_again_and_is_answered_within_8_seconds() {
    let app = Programs::new().server(HEARS, SPEAKS_FOR_LONG);
    let talk = app.start_session();
    let mut dead = app.socket(&talk);
    dead.speak(&recording("wav"), Some(TURN));
    dead.until("audio_start");
    let mut again = app.socket(&talk);
    let began = Instant::now();
    again.speak(b"", Some(TURN));
    assert_eq!(again.until("response_delta")["text"], "You said: I feel calm today");
    // The dead one has ten.
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
    assert_eq!(app.model.begun(), 1);
}

#[test]
fn who_takes_nothing_for_ten_seconds_has_gone_away() {
    let app = Programs::new().server(HEARS, SPEAKS_FOR_LONG);
    let talk = app.start_session();
    let _never_opened = app.model.hold_next("Hello there. How", " are you?");
    let mut dead = app.socket(&talk);
    let before = Instant::now();
    dead.speak(&recording("wav"), None);
    dead.until("audio_start");
    // It may have been full for a while when this is read.
    let began = Instant::now();
    app.say(&talk, "hello").expect(200);
    assert!(before.elapsed() >= Duration::from_secs(9), "{:?}", before.elapsed());
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    assert_eq!(app.said(&talk), ["hello"], "nothing of the other is kept");
}

#[test]
fn sound_that_is_told_again_is_each_persons_own() {
    let app = Programs::new().server(HEARS, SPEAKS_FOR_LONG);
    let told_again = || {
        let talk = app.start_session();
        app.chat(&json!({"session_id": talk.session, "message": "hello", "turn_id": TURN})).expect(200);
        let mut socket = app.socket(&talk);
        socket.speak(b"", Some(TURN));
        socket
    };
    // They have as much of it as one person may, and take no more.
    let mut others = [told_again(), told_again()];
    others.iter_mut().for_each(|other| drop(other.until("audio_start")));
    let answer = told_again().answer();
    assert_eq!(answer.response.unwrap()["degraded"], json!([]));
    assert!(answer.sentences[0].1.len() > 2 << 20, "{} bytes", answer.sentences[0].1.len());
}
