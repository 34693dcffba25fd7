//! What request bodies may take together, and how slowly they may come.

use std::time::Duration;

use serde_json::json;

use crate::support::wire::Wire;
use crate::support::{Talk, TestApp, wait_for};

const MIB: usize = 1 << 20;

/// A quarter of the budget is one body of 1 MiB; while there is room for others, who stalls may do so for longer than any test takes.
fn small_budget() -> TestApp {
    TestApp::spawn_with(|config| {
        config.limits.max_request_bytes = MIB as u64;
        config.limits.max_inflight_body_bytes = 4 * MIB as u64;
        config.limits.body_idle = Duration::from_secs(60);
        config.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    })
}

fn head(address: &str, length: usize) -> String {
    format!(
        "POST /api/v1/chat HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: {address}\r\n\
         Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
    )
}

fn turn(talk: &Talk, bytes: usize) -> Vec<u8> {
    let mut body = json!({"session_id": talk.session, "message": "hello"}).to_string().into_bytes();
    body.resize(bytes, b' ');
    body
}

/// A client that has announced a body and sent the first byte of it.
fn begun(app: &TestApp, address: &str, length: usize) -> Wire {
    let mut wire = app.wire();
    wire.send(head(address, length));
    wire.send("{");
    wire
}

fn send(app: &TestApp, address: &str, body: &[u8]) -> u16 {
    let headers = [("content-type", "application/json"), ("x-forwarded-for", address)];
    app.ask("POST", "/api/v1/chat", &headers, body).status
}

#[test]
fn one_client_may_fill_a_quarter_and_all_together_the_whole() {
    let app = small_budget();
    let talk = app.start_session();
    let large = turn(&talk, MIB);
    let mut held = vec![begun(&app, "192.0.2.1", MIB)];
    wait_for("the client's quarter is full", || send(&app, "192.0.2.1", &large) == 503);
    let headers = [("content-type", "application/json"), ("x-forwarded-for", "192.0.2.1")];
    let refused = app.ask("POST", "/api/v1/chat", &headers, &large).refused(503, "server_busy");
    assert_eq!(refused.header("retry-after"), "2");
    assert_eq!(send(&app, "192.0.2.1", &turn(&talk, 1000)), 200, "talk has a place of its own");
    assert_eq!(send(&app, "192.0.2.9", &large), 200, "others have theirs");
    held.extend((2..5).map(|number| begun(&app, &format!("192.0.2.{number}"), MIB)));
    wait_for("all is full", || send(&app, "192.0.2.9", &large) == 503);
    assert_eq!(send(&app, "192.0.2.9", &turn(&talk, 1000)), 200);
    drop(held);
    wait_for("there is room again", || send(&app, "192.0.2.9", &large) == 200);
    assert_eq!(send(&app, "192.0.2.1", &large), 200);
}

#[test]
fn small_bodies_are_bounded_by_a_reserve_of_their_own() {
    let app = small_budget();
    let talk = app.start_session();
    // A sixteenth of 32 MiB.
    let held: Vec<_> = (0..32).map(|_| begun(&app, "192.0.2.1", 64 * 1024)).collect();
    wait_for("the client's share is full", || send(&app, "192.0.2.1", &turn(&talk, 1000)) == 503);
    assert_eq!(send(&app, "192.0.2.9", &turn(&talk, 1000)), 200, "others have theirs");
    assert_eq!(send(&app, "192.0.2.1", &turn(&talk, MIB)), 200, "and large ones");
    drop(held);
    wait_for("there is room again", || send(&app, "192.0.2.1", &turn(&talk, 1000)) == 200);
}

#[test]
fn when_that_reserve_is_full_of_bodies_that_stall_talk_waits_for_a_few_seconds_only() {
    let app = small_budget();
    let talk = app.start_session();
    let all = (1..=16).flat_map(|number| (0..32).map(move |_| format!("192.0.2.{number}")));
    let held: Vec<_> = all.map(|address| begun(&app, &address, 64 * 1024)).collect();
    // Which is waited for for 20 s; they would have a minute.
    wait_for("there is room again", || send(&app, "192.0.2.99", &turn(&talk, 1000)) == 200);
    assert_eq!(send(&app, "192.0.2.98", &turn(&talk, 64 * 1024)), 200, "half of it is free");
    drop(held);
}

#[test]
fn a_turn_holds_no_place_while_it_is_answered() {
    let app = small_budget();
    let talk = app.start_session();
    let gate = app.model.hold_next("well", "!");
    let mut wire = app.wire();
    wire.send(head("192.0.2.1", MIB));
    wire.send(turn(&talk, MIB));
    wait_for("it is being answered", || app.model.begun() == 1);
    let other = app.start_session();
    assert_eq!(send(&app, "192.0.2.1", &turn(&other, MIB)), 200);
    gate.open();
    wire.answer().expect(200);
}

#[test]
fn a_body_that_stalls_or_never_ends_is_given_up() {
    let short = Duration::from_secs(1);
    for (idle, total) in [(short, Duration::from_secs(60)), (Duration::from_secs(60), short)] {
        let app = TestApp::spawn_with(|config| {
            (config.limits.body_idle, config.limits.body_total) = (idle, total);
        });
        let mut wire = begun(&app, "192.0.2.1", MIB);
        wire.answer().refused(408, "request_timeout");
        assert_eq!(wire.rest(), b"", "the connection cannot be used again");
        let talk = app.start_session();
        assert_eq!(send(&app, "192.0.2.1", &turn(&talk, 1000)), 200);
    }
}
