//! The size limit of request bodies: declared or not, exactly at it and one byte over.

use serde_json::json;

use crate::support::scrape::Scrape;
use crate::support::{TestApp, wait_for};

const LIMIT: usize = 10_485_760;
const REFUSED: &str = r#"{"error":"request_too_large","message":"Request body too large. Maximum size is 10.0MB","max_size_bytes":10485760,"request_id":"r-1"}"#;

fn head(path: &str, length: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nHost: x\r\nX-Request-ID: r-1\r\nContent-Type: application/json\r\n{length}\r\n\r\n"
    )
}

/// A valid turn in a body of exactly `bytes`.
fn padded(session: &str, bytes: usize) -> Vec<u8> {
    let mut body = json!({"session_id": session, "message": "hello"}).to_string().into_bytes();
    body.resize(bytes, b' ');
    body
}

#[test]
fn a_declared_oversize_is_refused_before_any_of_it_is_sent() {
    let app = TestApp::spawn();
    for path in ["/api/v1/chat", "/api/v1/session/start", "/api/v1/nothing", "/livez", "/"] {
        for length in [LIMIT as u64 + 1, u64::MAX] {
            let answer = app.raw(head(path, &format!("Content-Length: {length}")));
            assert_eq!(answer.refused(413, "request_too_large").text(), REFUSED, "{path}");
        }
    }
    let mut wire = app.wire();
    wire.send(head("/api/v1/chat", &format!("Content-Length: {}", LIMIT + 1)));
    wire.answer().expect(413);
    assert_eq!(wire.rest(), b"", "the connection cannot be used again");
    assert_eq!(app.model.begun(), 0);
}

#[test]
fn a_client_that_sends_its_oversize_all_the_same_reads_the_refusal() {
    let app = TestApp::spawn();
    for _ in 0..20 {
        let mut wire = app.wire();
        wire.send(head("/api/v1/chat", &format!("Content-Length: {}", LIMIT + 1)));
        // The server may have closed its side by now.
        wire.try_send(&vec![b' '; LIMIT + 1]);
        assert_eq!(wire.answer().refused(413, "request_too_large").text(), REFUSED);
    }
}

#[test]
fn exactly_the_limit_passes_declared_and_chunked() {
    let app = TestApp::spawn();
    let talk = app.start_session();
    let body = padded(&talk.session, LIMIT);
    let mut wire = app.wire();
    wire.send(head("/api/v1/chat", &format!("Content-Length: {LIMIT}")));
    wire.send(&body);
    wire.answer().expect(200);
    let mut wire = app.wire();
    wire.send(head("/api/v1/chat", "Transfer-Encoding: chunked"));
    for chunk in body.chunks(LIMIT / 16) {
        wire.send(format!("{:x}\r\n", chunk.len()));
        wire.send(chunk);
        wire.send("\r\n");
    }
    wire.send("0\r\n\r\n");
    wire.answer().expect(200);
    assert_eq!(app.said(&talk), ["hello", "hello"]);
}

#[test]
fn a_body_without_a_length_is_cut_off_at_the_limit() {
    let app = TestApp::spawn();
    let talk = app.start_session();
    let mut wire = app.wire();
    wire.send(head("/api/v1/chat", "Transfer-Encoding: chunked"));
    let body = padded(&talk.session, LIMIT);
    wire.send(format!("{LIMIT:x}\r\n"));
    wire.send(&body);
    wire.send("\r\n1\r\n \r\n");
    // The body's end is never sent: the answer comes without it.
    let answer = wire.answer().refused(413, "request_too_large");
    assert_eq!(answer.text(), REFUSED);
    assert_eq!(wire.rest(), b"", "the connection cannot be used again");
    assert_eq!(app.model.begun(), 0);
}

#[test]
fn a_chunked_flood_is_answered_and_ended() {
    let app = TestApp::spawn_with(|config| config.limits.max_request_bytes = 64 * 1024);
    let chunk = [format!("{:x}\r\n", 4096).as_bytes(), &[b' '; 4096], b"\r\n"].concat();
    // Also where nobody reads a body at all.
    for (path, status) in [("/api/v1/chat", 413), ("/api/v1/nothing", 404), ("/livez", 405)] {
        let mut wire = app.wire();
        wire.send(head(path, "Transfer-Encoding: chunked"));
        for _ in 0..=16 {
            wire.try_send(&chunk);
        }
        assert_eq!(wire.answer().expect(status).header("connection"), "close");
        wait_for("the server listens no more", || !wire.try_send(&chunk));
    }
}

#[test]
fn no_way_of_framing_a_body_gets_around_the_limit() {
    let app = TestApp::spawn_with(|config| config.limits.max_request_bytes = 64 * 1024);
    let upgrade = "Connection: upgrade\r\nUpgrade: websocket";
    // After an upgrade the body goes on until the connection ends, whatever length was told.
    for framing in [upgrade.to_owned(), format!("{upgrade}\r\nContent-Length: 5")] {
        let mut wire = app.wire();
        wire.send(head("/api/v1/chat", &framing));
        wire.try_send(&[b' '; 64 * 1024 + 1]);
        let answer = wire.answer().refused(413, "request_too_large");
        assert_eq!(answer.json()["max_size_bytes"], 64 * 1024, "{framing}");
        wait_for("the server listens no more", || !wire.try_send(&[b' '; 4096]));
    }
    for framing in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: identity",
        "Transfer-Encoding: gzip, chunked",
        "Content-Length: 5\r\nContent-Length: 6",
        "Content-Length: +5",
        "Content-Length: 99999999999999999999999",
    ] {
        let mut wire = app.wire();
        wire.send(head("/api/v1/chat", framing));
        assert_eq!(wire.answer().expect(400).header("connection"), "close", "{framing}");
        assert_eq!(wire.rest(), b"");
    }
    assert_eq!(app.model.begun(), 0);
}

#[test]
fn a_body_that_goes_on_after_an_upgrade_has_a_place_for_all_it_may_become() {
    let app = TestApp::spawn_with(|config| config.limits.max_request_bytes = 1 << 20);
    let mut wire = app.wire();
    wire.send(head("/api/v1/chat", "Connection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 5"));
    wire.send(vec![b' '; 500_000]);
    let held = || Scrape::of(&app).value("companion_inflight_body_bytes{size=\"large\"}");
    wait_for("it is in the budget", || held() == 1_048_576.0);
    drop(wire);
    wait_for("it has gone", || held() == 0.0);
}

#[test]
fn so_has_a_body_that_does_not_tell_its_length() {
    let app = TestApp::spawn_with(|config| config.limits.max_request_bytes = 1 << 20);
    let mut wire = app.wire();
    wire.send(head("/api/v1/chat", "Transfer-Encoding: chunked"));
    wire.send("1\r\n{\r\n");
    let held = || Scrape::of(&app).value("companion_inflight_body_bytes{size=\"large\"}");
    wait_for("it is in the budget", || held() == 1_048_576.0);
    wire.send("0\r\n\r\n");
    wire.answer().refused(400, "validation_error");
    wait_for("it has gone", || held() == 0.0);
}

#[test]
fn a_connection_is_used_again_after_a_body_that_was_read() {
    let app = TestApp::spawn();
    let talk = app.start_session();
    let body = padded(&talk.session, 200);
    let mut wire = app.wire();
    for _ in 0..2 {
        wire.send(head("/api/v1/chat", "Content-Length: 200"));
        wire.send(&body);
        assert_eq!(wire.answer().expect(200).header("connection"), "");
        wire.send(head("/api/v1/chat", "Transfer-Encoding: chunked"));
        wire.send(format!("{:x}\r\n{}\r\n0\r\n\r\n", body.len(), str::from_utf8(&body).unwrap()));
        assert_eq!(wire.answer().expect(200).header("connection"), "");
    }
    assert_eq!(app.said(&talk).len(), 4);
}

#[test]
fn the_limit_is_the_setting_and_is_told() {
    let app = TestApp::spawn_with(|config| config.limits.max_request_bytes = 1_500_000);
    let answer = app.raw(head("/api/v1/chat", "Content-Length: 1500001")).refused(413, "request_too_large");
    assert_eq!(answer.json()["message"], "Request body too large. Maximum size is 1.4MB");
    assert_eq!(answer.json()["max_size_bytes"], 1_500_000);
}

#[test]
fn a_body_that_ends_early_keeps_nothing() {
    let app = TestApp::spawn();
    let talk = app.start_session();
    let mut wire = app.wire();
    wire.send(head("/api/v1/chat", "Content-Length: 5000"));
    wire.send(padded(&talk.session, 200));
    drop(wire);
    let mut wire = app.wire();
    wire.send(head("/api/v1/chat", "Transfer-Encoding: chunked"));
    wire.send("zz\r\n");
    let answer = wire.answer();
    assert_eq!(answer.status, 400);
    assert_eq!((app.model.begun(), app.count("checkpoints")), (0, 0));
}
