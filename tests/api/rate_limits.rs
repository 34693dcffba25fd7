//! How often one client may ask.

use std::num::NonZeroU32;

use serde_json::json;

use crate::support::wire::Answer;
use crate::support::{Talk, TestApp, wait_for};

fn limited(turns_per_minute: u32) -> TestApp {
    TestApp::spawn_with(|config| {
        config.limits.turns_per_minute = NonZeroU32::new(turns_per_minute);
        config.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    })
}

/// A turn of the client at `address`, as a proxy tells it.
fn turn(app: &TestApp, talk: &Talk, address: &str) -> Answer {
    let body = json!({"session_id": talk.session, "message": "hello"}).to_string();
    let headers = [("content-type", "application/json"), ("x-forwarded-for", address)];
    app.ask("POST", "/api/v1/chat", &headers, body.as_bytes())
}

#[test]
fn a_client_that_asks_too_often_is_told_when_to_come_back() {
    let app = limited(3);
    let talk = app.start_session();
    for _ in 0..3 {
        turn(&app, &talk, "192.0.2.1").expect(200);
    }
    let refused = turn(&app, &talk, "192.0.2.1").refused(429, "rate_limited");
    let seconds: u64 = refused.header("retry-after").parse().unwrap();
    assert!((1..=20).contains(&seconds), "{seconds}");
    assert_eq!(app.model.begun(), 3, "nobody was asked for an answer");
    turn(&app, &talk, "192.0.2.2").expect(200);
    app.ask("GET", "/api/v1/health", &[("x-forwarded-for", "192.0.2.1")], b"").expect(200);
}

/// What 192.0.2.1 asks is counted as a turn and is none: nothing is written, however slow the disk.
fn wrong_turn(app: &TestApp, path: &str) -> u16 {
    let headers = [("content-type", "application/json"), ("x-forwarded-for", "192.0.2.1")];
    app.ask("POST", path, &headers, b"{}").status
}

#[test]
fn another_spelling_of_the_address_is_the_same_turn() {
    let app = limited(1);
    let ask = |path: &str| wrong_turn(&app, path);
    assert_eq!((ask("/api/v1/ch%61t"), ask("/%61pi/v1/chat"), ask("/api/v1/chat")), (400, 429, 429));
}

#[test]
fn reads_and_health_end_later() {
    let app = limited(1);
    let ask = |path: &str| app.ask("GET", path, &[("x-forwarded-for", "192.0.2.1")], b"").status;
    let answered = |path: &str| (0..100).take_while(|_| ask(path) == 200).count();
    // They come back while the test asks, one in three seconds and one in one and a half.
    assert!((20..30).contains(&answered("/")));
    assert!((40..60).contains(&answered("/livez")));
}

#[test]
fn what_is_refused_is_not_read_and_what_comes_next_is_answered() {
    let app = limited(1);
    let talk = app.start_session();
    turn(&app, &talk, "192.0.2.1").expect(200);
    let mut wire = app.wire();
    let headers = "Host: x\r\nContent-Type: application/json\r\nX-Forwarded-For: 192.0.2.1";
    wire.send(format!("POST /api/v1/chat HTTP/1.1\r\n{headers}\r\nContent-Length: {}\r\n\r\n", 1 << 20));
    // It may be refused and closed before all of it is sent.
    wire.try_send(&[b' '; 1 << 20]);
    wire.answer().refused(429, "rate_limited");
    turn(&app, &talk, "192.0.2.9").expect(200);
}

#[test]
fn who_asked_too_often_is_served_again_a_little_later() {
    let app = limited(60);
    let talk = app.start_session();
    wait_for("all it may have is used up", || wrong_turn(&app, "/api/v1/chat") == 429);
    wait_for("there is one more", || turn(&app, &talk, "192.0.2.1").status == 200);
}
