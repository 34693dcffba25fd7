//! Who asks whether a body is wanted before sending it (`Expect: 100-continue`): told to go on, or why it is not wanted.

use std::num::NonZeroU32;
use std::time::Duration;

use companion::domain::secret::Secret;
use serde_json::json;

use crate::support::scrape::Scrape;
use crate::support::wire::Wire;
use crate::support::{Talk, TestApp, wait_for};

const MIB: usize = 1 << 20;

/// A turn's head, with this header more.
fn head(length: usize, more: &str) -> String {
    format!(
        "POST /api/v1/chat HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\n{more}\r\n"
    )
}

/// Of a turn's body nothing is sent before the server has said that it goes on.
fn say_when_asked(wire: &mut Wire, talk: &Talk, message: &str) {
    let body = json!({"session_id": talk.session, "message": message}).to_string();
    wire.send(head(body.len(), ""));
    assert!(wire.head().expect(100).headers.is_empty());
    wire.send(body);
    assert_eq!(wire.answer().expect(200).header("connection"), "", "it can be used again");
}

#[test]
fn what_is_wanted_is_asked_for_once_and_answered() {
    let app = TestApp::spawn();
    let talk = app.start_session();
    let mut wire = app.wire();
    say_when_asked(&mut wire, &talk, "one");
    say_when_asked(&mut wire, &talk, "two");
    let mut body = json!({"session_id": talk.session, "message": "three"}).to_string().into_bytes();
    body.resize(4 * MIB, b' ');
    // In one go with what is asked before it, and without waiting: nothing comes before its turn.
    wire.send(format!("GET /livez HTTP/1.1\r\nHost: x\r\n\r\n{}", head(body.len(), "")));
    wire.answer().expect(200);
    wire.send(&body);
    wire.head().expect(100);
    wire.answer().expect(200);
    assert_eq!(app.said(&talk), ["one", "two", "three"]);
}

#[test]
fn where_there_is_no_body_nobody_is_asked_to_go_on() {
    let app = TestApp::spawn();
    let mut wire = app.wire();
    for request in ["GET /livez", "POST /api/v1/session/start"] {
        wire.send(format!(
            "{request} HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 0\r\n\r\n"
        ));
        wire.answer().expect(200);
    }
}

#[test]
fn what_is_refused_is_not_asked_for() {
    let app = TestApp::spawn_with(|config| {
        config.limits.max_request_bytes = MIB as u64;
        config.limits.turns_per_minute = NonZeroU32::new(3);
    });
    let talk = app.start_session();
    let refused = |length: usize, more: &str, status: u16, code: &str| {
        let mut wire = app.wire();
        wire.send(head(length, more));
        // As every refusal: with its headers, and the request's id.
        let answer = wire.answer().refused(status, code);
        assert_eq!(answer.header("connection"), "close");
        answer
    };
    let large = refused(MIB + 1, "X-Request-ID: r-1\r\n", 413, "request_too_large");
    let exactly = r#"{"error":"request_too_large","message":"Request body too large. Maximum size is 1.0MB","max_size_bytes":1048576,"request_id":"r-1"}"#;
    assert_eq!(large.text(), exactly);
    refused(1000, "Origin: https://evil.example\r\n", 403, "foreign_origin");
    say_when_asked(&mut app.wire(), &talk, "the last for now");
    refused(1000, "", 429, "rate_limited");
    let guarded = app.restart_with(|config| config.access.access_token = Some(Secret::new("open-sesame")));
    let mut wire = guarded.wire();
    wire.send(head(1000, ""));
    wire.answer().refused(401, "unauthorized");
    let mut wire = guarded.wire();
    wire.send(head(1000, "Authorization: Bearer open-sesame\r\n"));
    wire.head().expect(100);
}

#[test]
fn a_body_for_which_there_is_no_room_is_not_asked_for_until_there_is() {
    let app = TestApp::spawn_with(|config| {
        config.limits.max_request_bytes = MIB as u64;
        config.limits.max_inflight_body_bytes = 4 * MIB as u64;
    });
    let mut holds = app.wire();
    holds.send(head(MIB, ""));
    holds.head().expect(100);
    let held = || Scrape::of(&app).value("companion_inflight_body_bytes{size=\"large\"}");
    assert_eq!(held(), MIB as f64, "what is asked for has its place");
    let mut waits = app.wire();
    waits.send(head(MIB, ""));
    assert!(waits.is_silent_for(Duration::from_millis(200)));
    waits.answer().refused(503, "server_busy");
    drop(holds);
    wait_for("there is room again", || held() == 0.0);
    let mut wire = app.wire();
    wire.send(head(MIB, ""));
    wire.head().expect(100);
}
