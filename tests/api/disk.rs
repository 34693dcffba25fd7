//! A disk with little room: what grows the store waits, everything else goes on.

use std::time::Duration;

use companion::config::Hearing;
use serde_json::json;

use crate::support::voice::{Programs, recording};
use crate::support::{Talk, TestApp, wait_for};

const TURN: &str = "11111111-1111-4111-8111-111111111111";

#[test]
fn with_little_room_nothing_grows_and_everything_else_goes_on() {
    let app = TestApp::spawn();
    let talk = app.start_session();
    let kept = json!({"session_id": talk.session, "message": "before", "turn_id": TURN});
    app.chat(&kept).expect(200);
    let other = app.start_session_of(&talk.token);
    let app = app.restart_with(|config| config.storage.min_free_disk_bytes = u64::MAX);

    let refused = app.post("/api/v1/session/start", &[("x-request-id", "r-1")], &json!({}));
    let refused = refused.refused(507, "insufficient_storage");
    assert_eq!(
        refused.text(),
        r#"{"error":"insufficient_storage","message":"There is no room to keep this now; please try again later","request_id":"r-1"}"#
    );
    app.say(&talk, "hello").refused(507, "insufficient_storage");
    let streamed = app.stream(&json!({"session_id": talk.session, "message": "hello"})).head;
    assert_eq!((streamed.status, streamed.header("content-type")), (507, "application/json"));
    assert_eq!(app.model.begun(), 0, "no model is paid for an answer that cannot be kept");

    assert_eq!(app.get("/readyz").expect(200).json(), json!({"status": "ready", "degraded": ["disk"]}));
    app.get("/").expect(200);
    assert_eq!(app.said(&talk), ["before"]);
    assert_eq!(app.chat(&kept).expect(200).json()["text"], "You said: before", "what was kept is still told");
    assert_eq!(app.sessions(&talk.token, "").expect(200).json()["sessions"].as_array().unwrap().len(), 2);
    assert!(app.export(&talk.token).expect(200).text().contains("before"));
    app.patch(&talk, &json!({"pinned": true})).expect(200);
    app.delete(&other, "").expect(204);
    app.erase(&talk.token).expect(200);
    assert_eq!(app.count("persons"), 0);
}

#[test]
fn with_room_again_all_heals() {
    let app = TestApp::spawn_with(|config| config.storage.min_free_disk_bytes = u64::MAX);
    app.ask("POST", "/api/v1/session/start", &[], b"").refused(507, "insufficient_storage");
    let app = app.restart_with(|_| {});
    wait_for("it is no longer degraded", || app.get("/readyz").json()["degraded"] == json!([]));
    app.say(&app.start_session(), "hello").expect(200);
}

#[test]
fn words_of_self_harm_that_cannot_be_kept_are_told_where_to_find_help() {
    let app = TestApp::spawn();
    let talk = app.start_session();
    let app = app.restart_with(|config| config.storage.min_free_disk_bytes = u64::MAX);
    let refused = app.say(&talk, "I want to die").refused(507, "insufficient_storage");
    let message = refused.json()["message"].as_str().unwrap().to_owned();
    assert!(message.starts_with("There is no room to keep this now; please try again later. "), "{message}");
    assert!(message.contains("findahelpline.com"), "{message}");
    assert!(!app.say(&talk, "hello").text().contains("findahelpline.com"));
}

#[test]
fn so_are_those_that_are_spoken() {
    let programs = Programs::new();
    let app = TestApp::spawn();
    let talk = app.start_session();
    let hears = programs.script("hears", "cat \"$1\" > /dev/null; echo 'I want to die'");
    let app = app.restart_with(|config| {
        config.speech.hearing = Some(Hearing::Command(hears));
        config.storage.min_free_disk_bytes = u64::MAX;
    });
    let mut socket = app.socket(&talk);
    socket.speak(&recording("wav"), None);
    let told = socket.until("error");
    assert_eq!(told["code"], "insufficient_storage");
    assert!(told["message"].as_str().unwrap().contains("findahelpline.com"), "{told}");
}

#[test]
fn ten_recordings_of_a_person_are_heard_in_a_day_and_further_ones_are_told_where_help_is() {
    let programs = Programs::new();
    let app = TestApp::spawn();
    let (talk, other) = (app.start_session(), app.start_session());
    let hears = "cat \"$1\" > /dev/null; echo x >> \"$HERE/runs\"; echo 'I feel calm today'";
    let hears = programs.script("hears", hears);
    let app = app.restart_with(|config| {
        config.speech.hearing = Some(Hearing::Command(hears));
        config.storage.min_free_disk_bytes = u64::MAX;
    });
    let heard = || programs.noted("runs").lines().count();
    let is_told_of_help = |talk: &Talk| {
        let refused = app.speak_to(talk, &recording("wav")).refused(507, "insufficient_storage");
        refused.text().contains("findahelpline.com")
    };
    for _ in 0..10 {
        assert!(!is_told_of_help(&talk));
    }
    assert_eq!(heard(), 10);
    assert!(is_told_of_help(&talk), "nobody knows what is said in it");
    assert_eq!(heard(), 10);
    assert!(!is_told_of_help(&other), "others have theirs");
    app.clock.advance(Duration::from_secs(24 * 3600));
    assert!(!is_told_of_help(&talk));
    assert_eq!(heard(), 12);
}
