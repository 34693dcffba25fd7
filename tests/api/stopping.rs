//! A server that is told to stop, to make room for its next release.

use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{Talk, TestApp, seed, wait_for};

const TURN: &str = "11111111-1111-4111-8111-111111111111";

fn named(talk: &Talk, message: &str) -> Value {
    json!({"session_id": talk.session, "message": message, "turn_id": TURN})
}

/// A server that stops as soon as its one running turn has ended, and what ends that.
fn stopping() -> (TestApp, Talk, impl FnOnce() -> Vec<String>) {
    let mut app = TestApp::spawn();
    let talk = app.start_session();
    let gate = app.model.hold_next("some", " words");
    let mut running = app.stream(&json!({"session_id": talk.session, "message": "before the end"}));
    assert_eq!(running.event().unwrap().name, "token");
    app.begin_to_stop();
    wait_for("the server is stopping", || app.get("/readyz").status == 503);
    let end = move || {
        gate.open();
        running.events().into_iter().map(|event| event.name).collect()
    };
    (app, talk, end)
}

#[test]
fn whoever_comes_meanwhile_is_answered_and_sent_elsewhere() {
    let (app, talk, end) = stopping();
    let ready = app.get("/readyz").refused(503, "service_unavailable");
    assert_eq!(ready.json()["reasons"], json!(["stopping"]));
    let turn = json!({"session_id": talk.session, "message": "too late"});
    for refused in [app.chat(&turn), app.stream(&turn).head, app.chat(&named(&talk, "too late"))] {
        assert_eq!((refused.status, refused.header("retry-after")), (503, "2"));
    }
    app.get("/livez").expect(200);
    app.get("/").expect(200);
    app.sessions(&talk.token, "").expect(200);
    let mut kept_alive = app.wire();
    kept_alive.send("GET /livez HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!(kept_alive.answer().expect(200).header("connection"), "close");
    assert_eq!(kept_alive.rest(), b"");
    assert_eq!(end(), ["token", "done"]);
    assert_eq!(app.restart_with(|_| {}).said(&talk), ["before the end"]);
}

#[test]
fn before_that_connections_stay_open() {
    let app = TestApp::spawn();
    let mut kept_alive = app.wire();
    for _ in 0..2 {
        kept_alive.send("GET /livez HTTP/1.1\r\nHost: x\r\n\r\n");
        assert_ne!(kept_alive.answer().expect(200).header("connection"), "close");
    }
}

#[test]
fn a_turn_that_does_not_end_in_time_tells_that_it_failed() {
    let mut app = TestApp::spawn_with(|config| config.drain = Duration::from_secs(1));
    let talk = app.start_session();
    let (_streamed, _whole) = (app.model.hold_next("some", " words"), app.model.hold_next("", "words"));
    let mut running = app.stream(&json!({"session_id": talk.session, "message": "never answered"}));
    assert_eq!(running.event().unwrap().name, "token");
    let mut reader = app.wire();
    let body = json!({"session_id": app.start_session().session, "message": "nor is this"}).to_string();
    let kind = "Host: x\r\nContent-Type: application/json";
    reader.send(format!(
        "POST /api/v1/chat HTTP/1.1\r\n{kind}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    ));
    wait_for("both run", || app.model.begun() == 2);
    let began = Instant::now();
    app.begin_to_stop();
    let events = running.events();
    let told: Vec<_> = events.iter().map(|event| (event.name.as_str(), &event.data["error"])).collect();
    assert_eq!(told, [("error", &json!("service_unavailable"))], "to the end of its stream");
    reader.answer().refused(503, "service_unavailable");
    let took = began.elapsed();
    assert!((Duration::from_millis(900)..Duration::from_secs(10)).contains(&took), "{took:?}");
    assert_eq!(app.restart_with(|_| {}).said(&talk), [] as [&str; 0]);
}

#[test]
fn a_turn_that_is_finished_for_who_left_is_kept() {
    let mut app = TestApp::spawn();
    let talk = app.start_session();
    let gate = app.model.hold_next("some", " words");
    let mut left = app.stream(&named(&talk, "hello"));
    assert_eq!(left.event().unwrap().name, "token");
    drop(left);
    app.begin_to_stop();
    wait_for("the server is stopping", || app.get("/readyz").status == 503);
    gate.open();
    let app = app.restart_with(|_| {});
    assert_eq!(app.chat(&named(&talk, "hello")).expect(200).json()["text"], "some words");
    assert_eq!(app.model.begun(), 0, "it was kept");
}

#[test]
fn an_export_under_way_is_sent_to_its_end() {
    let mut app = TestApp::spawn();
    let talk = app.start_session();
    seed::sessions(&app, &talk.token, 20, 100, &"many words ".repeat(1000));
    let mut reader = app.wire();
    reader.send(format!(
        "GET /api/v1/me/export HTTP/1.1\r\nHost: x\r\nX-Companion-Person: {}\r\n\r\n",
        talk.token
    ));
    reader.head().expect(200);
    let mut export = reader.chunk().unwrap();
    app.begin_to_stop();
    wait_for("the server is stopping", || app.get("/readyz").status == 503);
    while let Some(chunk) = reader.chunk() {
        export.extend(chunk);
    }
    let export: Value = serde_json::from_slice(&export).unwrap();
    assert_eq!(export["sessions"].as_array().unwrap().len(), 21);
}

#[test]
fn who_is_connected_and_silent_does_not_hold_up_the_end() {
    // Else its header's time would end the one that never spoke; what is waited for has twenty seconds.
    let app = TestApp::spawn_with(|config| config.limits.header = Duration::from_secs(60));
    let mut idle = app.wire();
    idle.send("GET /livez HTTP/1.1\r\nHost: x\r\n\r\n");
    idle.answer().expect(200);
    let mut never_spoke = app.wire();
    let began = Instant::now();
    app.finish();
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    assert_eq!((idle.rest().len(), never_spoke.broken().len()), (0, 0));
}

#[test]
fn a_second_signal_does_not_wait_for_who_does_not_read() {
    let mut app = TestApp::spawn();
    let talk = app.start_session();
    app.say(&talk, "hello").expect(200);
    // More than lies on the way to a client.
    let audio = seed::audio(&app, &talk, "mp3", &vec![7; 32 << 20]);
    let mut unread = app.wire();
    unread.send(format!("GET /api/v1/voice/audio/{audio} HTTP/1.1\r\nHost: x\r\n\r\n"));
    unread.head().expect(200);
    app.begin_to_stop();
    wait_for("nobody is taken any more", || {
        TcpStream::connect(app.url.trim_start_matches("http://")).is_err()
    });
    let began = Instant::now();
    app.cut();
    app.finish();
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
}
