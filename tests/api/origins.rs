//! Which pages may talk to the server: its own, and those named by `ALLOWED_ORIGINS`.

use serde_json::json;

use crate::support::{TestApp, wait_for, wire::Answer};

const FRIEND: &str = "https://app.example.org";

fn app() -> TestApp {
    TestApp::spawn_with(|config| config.allowed_origins = vec![FRIEND.to_owned()])
}

fn ask(app: &TestApp, method: &str, origin: &str) -> Answer {
    let headers = [("content-type", "application/json"), ("origin", origin)];
    app.ask(method, "/api/v1/session/start", &headers, if method == "POST" { b"{}" } else { b"" })
}

#[test]
fn a_foreign_page_changes_nothing() {
    let app = app();
    ask(&app, "POST", "https://evil.example").refused(403, "foreign_origin");
    ask(&app, "POST", "null").refused(403, "foreign_origin");
    assert_eq!((app.count("sessions"), app.count("persons")), (0, 0));
    ask(&app, "POST", &app.url).expect(200);
    app.get("/").expect(200);
}

#[test]
fn an_allowed_page_may_talk_and_read_the_answer() {
    let app = app();
    let answer = ask(&app, "POST", FRIEND).expect(200);
    assert_eq!(answer.header("access-control-allow-origin"), FRIEND);
    assert_eq!(answer.header("access-control-allow-credentials"), "true");
    let told = answer.header("access-control-expose-headers").to_lowercase();
    assert!(told.contains("x-request-id") && told.contains("retry-after"), "{told}");
    let body = json!({"session_id": "no", "message": "hello"}).to_string();
    let headers = [("content-type", "application/json"), ("origin", FRIEND)];
    let refused = app.ask("POST", "/api/v1/chat", &headers, body.as_bytes()).refused(400, "validation_error");
    assert_eq!(refused.header("access-control-allow-origin"), FRIEND, "it may read why it was refused");
}

#[test]
fn a_browser_that_asks_beforehand_is_told_what_is_allowed() {
    let app = app();
    let before = |origin: &str| {
        let headers = [
            ("origin", origin),
            ("access-control-request-method", "DELETE"),
            ("access-control-request-headers", "x-companion-person"),
        ];
        app.ask("OPTIONS", "/api/v1/me", &headers, b"")
    };
    let allowed = before(FRIEND).expect(200);
    assert_eq!(allowed.header("access-control-allow-origin"), FRIEND);
    assert!(allowed.header("access-control-allow-methods").contains("DELETE"));
    assert!(allowed.header("access-control-allow-headers").to_lowercase().contains("x-companion-person"));
    assert_eq!(before("https://evil.example").header("access-control-allow-origin"), "");
}

#[test]
fn an_allowed_page_that_asks_too_often_may_read_that_and_is_told_what_is_allowed() {
    let app = TestApp::spawn_with(|config| {
        config.allowed_origins = vec![FRIEND.to_owned()];
        config.limits.turns_per_minute = std::num::NonZeroU32::new(1);
    });
    // For all but turns there are twenty times as many; one comes back every three seconds, also while the test asks.
    (0..20).for_each(|_| drop(ask(&app, "POST", FRIEND).expect(200)));
    let too_often = |origin: &str| {
        let mut answer = None;
        wait_for("it is one too many", || answer.insert(ask(&app, "POST", origin)).status == 429);
        answer.unwrap().refused(429, "rate_limited")
    };
    let refused = too_often(FRIEND);
    assert_eq!(refused.header("access-control-allow-origin"), FRIEND);
    assert!(refused.header("retry-after").parse::<u64>().is_ok());
    let sessions = app.count("sessions");
    let evil = too_often("https://evil.example");
    assert_eq!(evil.header("access-control-allow-origin"), "");
    let before = [("origin", FRIEND), ("access-control-request-method", "POST")];
    let told = app.ask("OPTIONS", "/api/v1/session/start", &before, b"").expect(200);
    assert_eq!(told.header("access-control-allow-origin"), FRIEND, "or it could not read why");
    assert_eq!(app.count("sessions"), sessions, "nothing was done");
}

#[test]
fn without_the_setting_nobody_is_told_anything() {
    let app = TestApp::spawn();
    let answer = ask(&app, "POST", &app.url).expect(200);
    assert_eq!(answer.header("access-control-allow-origin"), "");
    ask(&app, "POST", FRIEND).refused(403, "foreign_origin");
}
