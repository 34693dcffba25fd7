//! What the real program writes down: events for machines, sentences for people, and never what was said.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::agent;
use crate::support::outside::{Outside, Part, chunk, end, events_begin, whole};
use crate::support::program::Program;
use crate::support::voice::{FORM, PROCESS, form, recording};
use crate::support::wait_for;
use crate::support::wire::Wire;

/// A conversation whose every secret is known, and what was written about it.
struct Written {
    log: String,
    session: String,
    token: String,
}

const SAID: &str = "an unmistakable sentence about elephants";

fn written(format: &str, level: &str) -> Written {
    let program = Program::start(format, level);
    let (cookie, started) = program.post("/session/start", "id-start", &json!({}));
    let token = cookie.split(['=', ';']).nth(1).unwrap().to_owned();
    let session = started["session_id"].as_str().unwrap().to_owned();
    let (_, reply) = program.post("/chat", "id-chat", &json!({"session_id": session, "message": SAID}));
    assert!(reply["text"].is_string(), "{reply}");
    program.post("/chat", "id-bad", &json!({"session_id": session, "message": SAID, "speak": SAID}));
    for path in [format!("/sessions/{session}"), "/me/export".to_owned(), "/voice/audio/elephants".to_owned()]
    {
        let request = agent().get(format!("{}/api/v1{path}", program.url)).header("x-request-id", "id-read");
        request.header("x-companion-person", &token).call().unwrap();
    }
    let mut wire = Wire::connect(&program.url);
    wire.send("POST /api/v1/chat HTTP/1.1\r\nHost: x\r\nX-Request-ID: id-declared\r\nContent-Length: 20000000\r\n\r\n");
    wire.answer().expect(413);
    let mut wire = Wire::connect(&program.url);
    wire.send(format!(
        "POST /api/v1/sessions/{session} HTTP/1.1\r\nHost: x\r\nX-Request-ID: id-template\r\nContent-Length: 20000000\r\n\r\n"
    ));
    wire.answer().expect(413);
    let mut wire = Wire::connect(&program.url);
    wire.send(
        "POST /api/v1/chat HTTP/1.1\r\nHost: x\r\nX-Request-ID: id-chunked\r\nContent-Type: application/json\r\n\
         Transfer-Encoding: chunked\r\n\r\na00001\r\n",
    );
    wire.send(vec![b' '; 0x00a0_0001]);
    wire.answer().expect(413);
    Written { log: program.stop(), session, token }
}

fn lines(log: &str) -> Vec<Value> {
    log.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("not JSON: {line}")))
        .collect()
}

/// The one line with this event that belongs to this request.
fn event<'a>(lines: &'a [Value], event: &str, request_id: Option<&str>) -> &'a Value {
    let wanted = |line: &&Value| line["event"] == event && line["span"]["request_id"].as_str() == request_id;
    let found: Vec<_> = lines.iter().filter(wanted).collect();
    assert_eq!(found.len(), 1, "{event} of {request_id:?} in {lines:#?}");
    found[0]
}

#[test]
fn what_happens_is_logged_as_json_with_the_requests_id() {
    let Written { log, session, .. } = written("json", "info");
    let lines = lines(&log);
    assert!(lines.iter().all(|line| line["timestamp"].is_string() && line["level"].is_string()));
    let started = event(&lines, "server_started", None);
    assert!(started["url"].as_str().unwrap().starts_with("http://127.0.0.1:"));
    assert_eq!(started["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(event(&lines, "server_stopped", None)["clean"], true);

    let session_started = event(&lines, "session_started", Some("id-start"));
    assert_eq!(session_started["session"], session[..8]);
    assert_eq!(session_started["span"]["route"], "/api/v1/session/start");
    assert_eq!(
        (&session_started["new_person"], &session_started["remembered"]),
        (&json!(true), &json!(true))
    );
    let completed = event(&lines, "chat_completed", Some("id-chat"));
    assert_eq!(completed["session"], session[..8]);
    assert_eq!(completed["chars_said"], SAID.chars().count());
    assert_eq!(completed["span"]["route"], "/api/v1/chat");
    assert!(completed["total_ms"].is_number() && completed["first_token_ms"].is_number());
}

#[test]
fn a_request_too_large_is_one_event_with_its_sizes() {
    let lines = lines(&written("json", "info").log);
    let declared = event(&lines, "request_too_large", Some("id-declared"));
    assert_eq!((&declared["method"], &declared["route"]), (&json!("POST"), &json!("/api/v1/chat")));
    assert_eq!((&declared["declared_bytes"], &declared["received_bytes"]), (&json!(20_000_000), &json!(0)));
    let template = event(&lines, "request_too_large", Some("id-template"));
    assert_eq!(template["route"], "/api/v1/sessions/{id}", "the template, not the address");
    let chunked = event(&lines, "request_too_large", Some("id-chunked"));
    assert_eq!((&chunked["method"], &chunked["route"]), (&json!("POST"), &json!("/api/v1/chat")));
    assert!(chunked["received_bytes"].as_u64().unwrap() > 10_485_760, "{chunked}");
    assert_eq!(chunked["declared_bytes"], Value::Null);
}

#[test]
fn who_sends_too_much_again_and_again_does_not_fill_the_log() {
    let program = Program::start_with("json", "info", &[("RATE_LIMIT_ENABLED", "false")]);
    let ask = |id: &str| {
        let mut wire = Wire::connect(&program.url);
        wire.send(format!(
            "POST /api/v1/chat HTTP/1.1\r\nHost: x\r\nX-Request-ID: {id}\r\nContent-Length: 20000000\r\n\r\n"
        ));
        wire.answer().expect(413);
    };
    let began = std::time::Instant::now();
    (0..60).for_each(|_| ask("id-flood"));
    std::thread::park_timeout(Duration::from_millis(1100));
    ask("id-last");
    let seconds = usize::try_from(began.elapsed().as_secs()).unwrap();
    let lines = lines(&program.stop());
    let told: Vec<_> = lines.iter().filter(|line| line["event"] == "request_too_large").collect();
    assert!((21..=21 + seconds).contains(&told.len()), "{} lines of 61 in {seconds} s", told.len());
    // One that comes a second later tells of those before it, also in the middle of them.
    let left_out: u64 = told.iter().filter_map(|line| line["left_out"].as_u64()).sum();
    assert_eq!(left_out, 61 - told.len() as u64);
    event(&lines, "request_too_large", Some("id-last"));
}

#[test]
fn every_line_of_a_request_carries_its_id_and_no_line_a_secret() {
    let Written { log, session, token } = written("json", "trace");
    for secret in [SAID, "elephants", &session, &token, &token[..16], &session[..13]] {
        assert!(!log.contains(secret), "{secret:?} is in the log:\n{log}");
    }
    let lines = lines(&log);
    for id in ["id-start", "id-chat", "id-bad", "id-read", "id-declared", "id-chunked"] {
        let answered = |line: &&Value| line["message"] == "Answered" && line["span"]["request_id"] == id;
        assert!(lines.iter().any(|line| answered(&line)), "{id}");
    }
    // What belongs to no request is about the server.
    for line in lines.iter().filter(|line| line["span"]["request_id"].is_null()) {
        let event = line["event"].as_str().unwrap_or_default();
        assert!(event.starts_with("server_"), "a line without a request: {line}");
    }
}

#[test]
fn the_console_form_is_for_people_and_holds_no_secret_either() {
    let Written { log, session, token } = written("console", "debug");
    for event in
        ["server_started", "session_started", "chat_completed", "request_too_large", "server_stopped"]
    {
        assert!(log.lines().any(|line| line.contains(&format!("event=\"{event}\""))), "{event} in {log}");
    }
    let line = log.lines().find(|line| line.contains("chat_completed")).unwrap();
    assert!(line.contains("A turn was completed") && line.contains("id-chat"), "{line}");
    assert!(serde_json::from_str::<Value>(line).is_err());
    assert!(!log.contains('\u{1b}'), "no colours where nobody sees them");
    for secret in ["elephants", &session, &token] {
        assert!(!log.contains(secret), "{secret:?} is in the log:\n{log}");
    }
}

#[test]
fn a_failure_inside_is_logged_once_with_its_cause_and_the_requests_id() {
    let program = Program::start("json", "info");
    let (_, started) = program.post("/session/start", "id-start", &json!({}));
    #[expect(clippy::disallowed_methods, reason = "a test breaks what is there")]
    let db = rusqlite::Connection::open(program.dir.path().join("data/companion.db")).unwrap();
    db.execute_batch("ALTER TABLE checkpoints RENAME TO gone").unwrap();
    let turn = json!({"session_id": started["session_id"], "message": SAID});
    let (_, answer) = program.post("/chat", "id-broken", &turn);
    assert_eq!(answer["error"], "internal_error");
    db.execute_batch("ALTER TABLE gone RENAME TO checkpoints").unwrap();
    drop(db);
    let log = program.stop();
    let lines = lines(&log);
    let failed = event(&lines, "request_failed", Some("id-broken"));
    assert_eq!((&failed["level"], &failed["status"]), (&json!("ERROR"), &json!(500)));
    assert!(failed["cause"].as_str().unwrap().contains("no such table"), "{failed}");
    assert!(!log.contains("elephants"));
}

#[test]
fn a_bound_that_does_its_work_is_no_error_and_whoever_goes_there_does_not_flood_the_log() {
    const REFUSED: usize = 200;
    let outside = Outside::new(vec![events_begin(), Part::UntilGone]);
    let settings =
        [("LLM_BASE_URL", outside.url.as_str()), ("MAX_TURNS", "1"), ("RATE_LIMIT_ENABLED", "false")];
    let program = Program::start_with("json", "info", &settings);
    let session = || program.post("/session/start", "id-start", &json!({})).1["session_id"].clone();
    let mut held = Wire::connect(&program.url);
    let turn = json!({"session_id": session(), "message": SAID}).to_string();
    held.send(format!(
        "POST /api/v1/chat HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{turn}",
        turn.len()
    ));
    wait_for("the one turn runs", || outside.requests("/v1/chat/completions").len() == 1);
    let turn = json!({"session_id": session(), "message": SAID});
    let began = std::time::Instant::now();
    for _ in 0..REFUSED {
        let (_, answer) = program.post("/chat", "id-refused", &turn);
        assert_eq!(answer["error"], "server_busy", "{answer}");
    }
    let seconds = usize::try_from(began.elapsed().as_secs()).unwrap();
    drop(held);
    let log = program.stop();
    let lines = lines(&log);
    assert!(lines.iter().all(|line| line["level"] != "ERROR"), "{log}");
    let told: Vec<_> = lines.iter().filter(|line| line["event"] == "request_refused").collect();
    assert!((20..=21 + seconds).contains(&told.len()), "{} lines in {seconds} s", told.len());
    assert_eq!(
        (&told[0]["level"], &told[0]["status"], &told[0]["code"], &told[0]["span"]["request_id"]),
        (&json!("WARN"), &json!(503), &json!("server_busy"), &json!("id-refused"))
    );
}

#[test]
fn what_breaks_off_or_is_no_request_is_no_line_without_an_id() {
    let program = Program::start("json", "trace");
    let (cookie, started) = program.post("/session/start", "id-start", &json!({}));
    let token = cookie.split(['=', ';']).nth(1).unwrap();
    program.post("/chat", "id-chat", &json!({"session_id": started["session_id"], "message": SAID}));
    for garbled in
        ["GET / HTTP/9.9\r\n\r\n", "no request\r\n\r\n", "GET / HTTP/1.1\r\nTransfer-Encoding: x\r\n\r\n"]
    {
        let mut wire = Wire::connect(&program.url);
        wire.send(garbled);
        wire.rest();
    }
    #[expect(clippy::disallowed_methods, reason = "a test breaks what is there")]
    let db = rusqlite::Connection::open(program.dir.path().join("data/companion.db")).unwrap();
    db.execute_batch("ALTER TABLE checkpoints RENAME TO gone").unwrap();
    let mut wire = Wire::connect(&program.url);
    wire.send(format!(
        "GET /api/v1/me/export HTTP/1.1\r\nHost: x\r\nX-Request-ID: id-export\r\nX-Companion-Person: {token}\r\n\r\n"
    ));
    assert!(!String::from_utf8(wire.rest()).unwrap().contains("0\r\n\r\n"), "the export breaks off");
    db.execute_batch("ALTER TABLE gone RENAME TO checkpoints").unwrap();
    drop(db);
    let lines = lines(&program.stop());
    let failed: Vec<_> = lines.iter().filter(|line| line["event"] == "request_failed").collect();
    assert_eq!(failed.len(), 1, "{lines:#?}");
    assert_eq!(failed[0]["span"]["request_id"], "id-export");
    for line in lines.iter().filter(|line| line["span"]["request_id"].is_null()) {
        let event = line["event"].as_str().unwrap_or_default();
        assert!(event.starts_with("server_"), "a line without a request: {line}");
    }
}

#[test]
fn a_proxy_that_is_not_trusted_is_warned_about_once() {
    let program = Program::start("json", "info");
    for _ in 0..3 {
        let request = agent().get(format!("{}/livez", program.url));
        request.header("x-forwarded-proto", "https").call().unwrap();
    }
    let lines = lines(&program.stop());
    let warned: Vec<_> = lines.iter().filter(|line| line["event"] == "untrusted_proxy").collect();
    assert_eq!(warned.len(), 1, "{lines:#?}");
    assert_eq!(warned[0]["level"], "WARN");
}

#[test]
fn who_may_not_read_the_metrics_is_noted_and_no_token_is() {
    let program = Program::start_with("json", "trace", &[("METRICS_TOKEN", "the-right-token")]);
    let ask = |request_id: &str, token: &str| {
        let request = agent().get(format!("{}/metrics", program.url)).header("x-request-id", request_id);
        request.header("authorization", token).call().unwrap().status().as_u16()
    };
    assert_eq!(ask("id-wrong", "Bearer a-wrong-token"), 401);
    assert_eq!(ask("id-none", "Basic something"), 401);
    assert_eq!(ask("id-right", "Bearer the-right-token"), 200);
    let log = program.stop();
    assert!(!log.contains("the-right-token") && !log.contains("a-wrong-token"), "{log}");
    let lines = lines(&log);
    for (event_name, id) in [("access_refused", "id-wrong"), ("metrics_refused", "id-none")] {
        assert_eq!(event(&lines, event_name, Some(id))["level"], "WARN");
    }
    assert!(!lines.iter().any(|line| line["span"]["request_id"] == "id-right" && line["level"] == "WARN"));
}

#[test]
fn who_is_refused_is_logged_without_what_was_presented() {
    let settings = [("ACCESS_TOKEN", "the-right-one"), ("ADMIN_TOKEN", "the-operators")];
    let program = Program::start_with("json", "trace", &settings);
    let presents = |path: &str, id: &str, token: &str| {
        let request = agent().get(format!("{}/api/v1{path}", program.url)).header("x-request-id", id);
        request.header("authorization", format!("Bearer {token}")).call().unwrap().status().as_u16()
    };
    for number in 0..15 {
        presents("/sessions", &format!("guess-{number}"), "a-wrong-one");
    }
    assert_eq!(presents("/admin/status", "barred", "the-operators"), 429);
    let (_, answer) = program.post("/sign-in", "sign-in", &json!({"token": "a-wrong-one"}));
    assert_eq!(answer["error"], "rate_limited");
    let log = program.stop();
    for secret in ["the-right-one", "the-operators", "a-wrong-one"] {
        assert!(!log.contains(secret), "{secret:?} is in the log:\n{log}");
    }
    let lines = lines(&log);
    let refused = event(&lines, "access_refused", Some("guess-0"));
    assert_eq!((&refused["level"], &refused["span"]["route"]), (&json!("WARN"), &json!("/api/v1/sessions")));
    assert!(event(&lines, "access_refused", Some("guess-10"))["barred_seconds"].is_number(), "told once");
    let refused = lines.iter().filter(|line| line["event"] == "access_refused");
    assert_eq!(refused.count(), 11, "whoever guesses does not flood the log");
}

#[test]
fn links_recovery_codes_and_tokens_reach_no_log() {
    let program = Program::start("json", "trace");
    let (cookie, _) = program.post("/session/start", "id-start", &json!({}));
    let token = cookie.split(['=', ';']).nth(1).unwrap().to_owned();
    let ask = |what: &str| -> Value {
        let asked = agent().post(format!("{}/api/v1/me/{what}", program.url));
        asked.header("x-companion-person", &token).send_empty().unwrap().body_mut().read_json().unwrap()
    };
    let link = ask("link")["link"].as_str().unwrap().to_owned();
    let secret = link.split_once('#').unwrap().1.to_owned();
    let code = ask("recovery")["recovery_code"].as_str().unwrap().to_owned();
    let (device, _) = program.post("/me/link/redeem", "id-link", &json!({"secret": secret}));
    program.post("/me/link/redeem", "id-used", &json!({"secret": secret}));
    let wrong = "0123456789abcdef".repeat(4);
    program.post("/me/link/redeem", "id-wrong", &json!({"secret": wrong}));
    program.post("/me/recovery/redeem", "id-code", &json!({"code": code}));
    program.post("/me/recovery/redeem", "id-mistyped", &json!({"code": code.replace('-', "7")}));
    let new = ask("rotate")["token"].as_str().unwrap().to_owned();
    let log = program.stop();
    let device = device.split(['=', ';']).nth(1).unwrap();
    for secret in [token.as_str(), &secret, &code, &code.replace('-', ""), &wrong, &new, device] {
        assert!(!log.contains(secret), "{secret:?} is in the log:\n{log}");
    }
    let lines = lines(&log);
    assert_eq!(event(&lines, "access_refused", Some("id-wrong"))["span"]["route"], "/api/v1/me/link/redeem");
    assert_eq!(event(&lines, "arrived", Some("id-link"))["level"], "INFO");
}

#[test]
fn what_a_model_says_of_a_turn_and_its_key_reach_no_log() {
    let repeats = format!("you said {SAID}");
    let refuses = whole(400, &[], &json!({"error": {"message": repeats, "code": "context_length_exceeded"}}));
    let outside = Outside::new(refuses);
    let garbage = format!("data: {{\"choices\": \"{SAID}\"}}\n\n");
    outside.next(vec![events_begin(), chunk(&garbage), end()]);
    let settings = [("LLM_BASE_URL", outside.url.as_str()), ("LLM_API_KEY", "sk-very-secret")];
    let program = Program::start_with("json", "trace", &settings);
    let (_, started) = program.post("/session/start", "id-start", &json!({}));
    for id in ["id-garbage", "id-refused"] {
        let (_, told) =
            program.post("/chat", id, &json!({"session_id": started["session_id"], "message": SAID}));
        assert_eq!(told["error"], "service_unavailable", "{told}");
        assert!(!told.to_string().contains("elephants"));
    }
    let log = program.stop();
    for secret in ["elephants", "sk-very-secret"] {
        assert!(!log.contains(secret), "{secret:?} is in the log:\n{log}");
    }
    let failed = |id: &str| {
        let lines = lines(&log);
        event(&lines, "request_failed", Some(id))["cause"].as_str().unwrap().to_owned()
    };
    assert!(failed("id-refused").contains("400 (context_length_exceeded)"), "an operator learns why");
    assert!(failed("id-garbage").contains("an event is not as it should be"));
}

#[test]
fn an_operator_learns_why_no_recording_is_heard() {
    let repeats = format!("Invalid model name passed in, and you said {SAID}");
    let outside =
        Outside::new(whole(400, &[], &json!({"error": {"message": repeats, "code": "no_such_model"}})));
    let settings = [("STT_BASE_URL", outside.url.as_str()), ("STT_API_KEY", "sk-very-secret")];
    let program = Program::start_with("json", "info", &settings);
    let (_, started) = program.post("/session/start", "id-start", &json!({}));
    let session = started["session_id"].as_str().unwrap().as_bytes();
    let sent = form(&[("audio", Some("blob"), &recording("webm")), ("session_id", None, session)]);
    let request = agent().post(format!("{}{PROCESS}", program.url)).header("content-type", FORM);
    let answer = request.header("x-request-id", "id-refused").send(&sent[..]).unwrap();
    assert_eq!(answer.status(), 400);
    let log = program.stop();
    for secret in ["elephants", "sk-very-secret"] {
        assert!(!log.contains(secret), "{secret:?} is in the log:\n{log}");
    }
    let lines = lines(&log);
    let cause = event(&lines, "recording_refused", Some("id-refused"))["cause"].as_str().unwrap().to_owned();
    assert!(cause.contains("400 (no_such_model)"), "{cause}");
}
