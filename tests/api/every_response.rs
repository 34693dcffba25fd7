//! What every response carries: a request id, the security headers, and, when it is an error, its exact JSON.

use serde_json::{Value, json};

use crate::caching::assets;
use crate::support::model::Step;
use crate::support::wire::{Answer, SECURITY};
use crate::support::{TestApp, seed};

const JSON: &str = "content-type: application/json";
const PRIVATE: &str = "cache-control: no-cache, no-store, must-revalidate";
const NEVER: &str = "cache-control: no-store";
const SHORT: &str = "cache-control: public, max-age=300";
const FOREVER: &str = "cache-control: public, max-age=31536000, immutable";

/// The headers beyond those that every response has, sorted; lengths, tags and times are shown as `#`.
#[track_caller]
fn further_headers(answer: &Answer) -> Vec<String> {
    answer.assert_on_every_response();
    assert_eq!(answer.all("date").len(), 1);
    let everywhere = |name: &str| {
        name == "x-request-id" || name == "date" || SECURITY.iter().any(|(known, _)| *known == name)
    };
    let mut further: Vec<_> = answer
        .headers
        .iter()
        .filter(|(name, _)| !everywhere(name))
        .map(|(name, value)| match name.as_str() {
            "etag" | "content-length" | "last-modified" | "server-timing" => format!("{name}: #"),
            _ => format!("{name}: {value}"),
        })
        .collect();
    further.sort();
    further
}

#[test]
fn every_kind_of_answer_has_exactly_these_headers() {
    let app = TestApp::spawn();
    let page = [
        "accept-ranges: bytes",
        SHORT,
        "content-length: #",
        "content-type: text/html; charset=utf-8",
        "etag: #",
        "vary: accept-encoding",
    ];
    assert_eq!(further_headers(&app.get("/").expect(200)), page);
    let json = |cache| [cache, "content-length: #", JSON];
    assert_eq!(further_headers(&app.get("/livez").expect(200)), json(NEVER));
    assert_eq!(further_headers(&app.get("/readyz").expect(200)), json(NEVER));
    assert_eq!(further_headers(&app.get("/api/v1/health").expect(200)), json(PRIVATE));
    for error in ["/nowhere", "/static/app.js", "/api/v1/nothing", "/api/v1/me"] {
        assert_eq!(further_headers(&app.get(error)), json(NEVER), "{error}");
    }
    let wrong_method = app.ask("DELETE", "/api/v1/chat", &[], b"").expect(405);
    assert_eq!(further_headers(&wrong_method), ["allow: POST", NEVER, "content-length: #", JSON]);
    let too_large =
        app.raw("POST /api/v1/chat HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n").expect(413);
    assert_eq!(further_headers(&too_large), [NEVER, "connection: close", "content-length: #", JSON]);
    let talk = app.start_session();
    let reply = [PRIVATE, "content-length: #", JSON, "server-timing: #"];
    assert_eq!(further_headers(&app.say(&talk, "hello").expect(200)), reply);
    app.model.next(vec![Step::Unavailable]);
    let busy = app.say(&talk, "hello").expect(503);
    assert_eq!(further_headers(&busy), [NEVER, "content-length: #", JSON, "retry-after: 2"]);
    assert_eq!(further_headers(&app.delete(&talk, "").expect(204)), [PRIVATE]);
}

#[test]
fn a_cached_a_partial_and_a_streamed_answer_have_exactly_these_headers() {
    let app = TestApp::spawn();
    let file = assets(&app).into_iter().find(|name| name.ends_with(".css")).unwrap();
    let whole = app.get(&file).expect(200);
    let held = app.get_with(&file, &[("if-none-match", whole.header("etag"))]).expect(304);
    assert_eq!(further_headers(&held), [FOREVER, "etag: #", "vary: accept-encoding"]);
    let mut part = further_headers(&app.get_with(&file, &[("range", "bytes=0-0")]).expect(206));
    assert!(part.remove(3).starts_with("content-range: bytes 0-0/"));
    let css = ["accept-ranges: bytes", FOREVER, "content-length: #", "content-type: text/css; charset=utf-8"];
    assert_eq!(part, [&css[..], &["etag: #", "vary: accept-encoding"]].concat());

    let talk = app.start_session();
    let mut streamed = app.stream(&json!({"session_id": talk.session, "message": "hello"}));
    assert!(streamed.events().iter().any(|event| event.name == "done"));
    let stream = [
        PRIVATE,
        "connection: close",
        "content-type: text/event-stream",
        "transfer-encoding: chunked",
        "x-accel-buffering: no",
    ];
    assert_eq!(further_headers(&streamed.head), stream);
    let audio = seed::audio(&app, &talk, "mp3", b"0123456789");
    let heard = app.get(&format!("/api/v1/voice/audio/{audio}")).expect(200);
    let audio = [
        "accept-ranges: bytes",
        PRIVATE,
        "content-disposition: inline",
        "content-length: #",
        "content-type: audio/mpeg",
        "etag: #",
        "last-modified: #",
    ];
    assert_eq!(further_headers(&heard), audio);
}

#[test]
fn a_request_keeps_the_id_it_came_with() {
    let app = TestApp::spawn();
    let longest = "x".repeat(64);
    for id in ["a", "trace.7_B-9", &longest] {
        for path in ["/", "/livez", "/api/v1/health", "/api/v1/nothing", "/static/x"] {
            assert_eq!(app.get_with(path, &[("x-request-id", id)]).header("x-request-id"), id, "{path}");
        }
    }
}

#[test]
fn a_request_without_a_good_id_gets_a_new_one() {
    let app = TestApp::spawn();
    let mut seen = std::collections::BTreeSet::new();
    let too_long = "x".repeat(65);
    for bad in ["", "a b", "a/b", "{}", "a\tb", "\u{e4}", &too_long] {
        let request = format!(
            "GET /api/v1/nothing HTTP/1.1\r\nHost: x\r\nX-Request-ID: {bad}\r\nConnection: close\r\n\r\n"
        );
        let made = app.raw(request).refused(404, "not_found").header("x-request-id").to_owned();
        assert_eq!(uuid::Uuid::parse_str(&made).unwrap().get_version_num(), 4, "{bad}");
        assert!(seen.insert(made), "{bad}");
    }
    assert!(seen.insert(app.get("/livez").header("x-request-id").to_owned()));
}

#[test]
fn only_a_trusted_proxys_word_makes_a_request_one_over_tls() {
    let strict = |app: &TestApp, path: &str, scheme: &str| {
        app.get_with(path, &[("x-forwarded-proto", scheme)]).header("strict-transport-security").to_owned()
    };
    let trusting =
        TestApp::spawn_with(|config| config.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()]);
    for path in ["/", "/livez", "/api/v1/nothing", "/static/x", "/api/v1/me"] {
        assert_eq!(strict(&trusting, path, "https"), "max-age=31536000; includeSubDomains", "{path}");
        assert_eq!(strict(&trusting, path, "http"), "", "{path}");
        assert_eq!(trusting.get(path).header("strict-transport-security"), "", "{path}");
    }
    assert_eq!(strict(&trusting, "/", "https, http"), "", "the nearest proxy has the last word");
    assert_ne!(strict(&trusting, "/", "http, HTTPS"), "");
    for networks in [vec![], vec!["10.0.0.0/8".parse().unwrap()]] {
        let other = TestApp::spawn_with(|config| config.trusted_proxies = networks);
        assert_eq!(strict(&other, "/", "https"), "", "anyone can write this header");
    }
}

#[test]
fn a_wrong_method_is_told_the_right_ones() {
    let app = TestApp::spawn();
    let id = "00000000-0000-4000-8000-000000000000";
    for (path, allowed) in [
        ("/", "GET, HEAD"),
        ("/index.html", "GET, HEAD"),
        ("/livez", "GET, HEAD"),
        ("/readyz", "GET, HEAD"),
        ("/static/any.js", "GET, HEAD"),
        ("/api/v1/health", "GET, HEAD"),
        ("/api/v1/session/start", "POST"),
        ("/api/v1/sessions", "GET"),
        (&format!("/api/v1/sessions/{id}"), "GET, PATCH, DELETE"),
        ("/api/v1/chat", "POST"),
        (&format!("/api/v1/voice/audio/{id}"), "GET, HEAD"),
        ("/api/v1/me", "GET, DELETE"),
        ("/api/v1/me/export", "GET"),
        ("/api/v1/me/rotate", "POST"),
        ("/api/v1/me/link/redeem", "POST"),
        ("/link", "GET, HEAD"),
        ("/sw.js", "GET, HEAD"),
    ] {
        for method in ["PUT", "OPTIONS", "TRACE"] {
            let answer = app.raw(format!("{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"));
            let answer = answer.refused(405, "method_not_allowed");
            assert_eq!(answer.header("allow"), allowed, "{method} {path}");
            further_headers(&answer);
        }
    }
}

struct Case {
    request: (&'static str, &'static str, &'static str),
    status: u16,
    body: &'static str,
}

const fn case(
    method: &'static str,
    path: &'static str,
    body: &'static str,
    status: u16,
    expected: &'static str,
) -> Case {
    Case { request: (method, path, body), status, body: expected }
}

const CHAT: &str = "/api/v1/chat";
const UNKNOWN: &str = "/api/v1/sessions/00000000-0000-4000-8000-000000000000";

/// THE snapshot of error bodies.
#[rustfmt::skip]
const ERRORS: [Case; 16] = [
    case("GET", "/nowhere", "", 404,
        r#"{"error":"not_found","message":"There is nothing at this address","request_id":"r-1"}"#),
    case("POST", "/api/v1/nothing", "", 404,
        r#"{"error":"not_found","message":"There is nothing at this address","request_id":"r-1"}"#),
    case("GET", "/static/app.js", "", 404,
        r#"{"error":"not_found","message":"There is nothing at this address","request_id":"r-1"}"#),
    case("GET", "/api/v1/voice/audio/00000000-0000-4000-8000-000000000000", "", 404,
        r#"{"error":"audio_not_found","message":"This audio does not exist or has expired","request_id":"r-1"}"#),
    case("GET", "/api/v1/voice/audio/elsewhere", "", 404,
        r#"{"error":"audio_not_found","message":"This audio does not exist or has expired","request_id":"r-1"}"#),
    case("DELETE", CHAT, "", 405,
        r#"{"error":"method_not_allowed","message":"This address answers POST only","request_id":"r-1"}"#),
    case("GET", "/api/v1/sessions", "", 401,
        r#"{"error":"unauthorized","message":"Start a session first, or send the token of an existing person","request_id":"r-1"}"#),
    case("GET", UNKNOWN, "", 401,
        r#"{"error":"unauthorized","message":"Start a session first, or send the token of an existing person","request_id":"r-1"}"#),
    case("DELETE", "/api/v1/me", "", 401,
        r#"{"error":"unauthorized","message":"Start a session first, or send the token of an existing person","request_id":"r-1"}"#),
    case("POST", CHAT, r#"{"session_id":"00000000-0000-4000-8000-000000000000","message":"x"}"#, 404,
        r#"{"error":"session_not_found","message":"This conversation does not exist or has expired; start a new one","request_id":"r-1"}"#),
    case("POST", CHAT, r#"{"session_id":"00000000-0000-4000-8000-000000000000","message":" "}"#, 400,
        r#"{"error":"validation_error","message":"message: must not be empty","details":{"field":"message"},"request_id":"r-1"}"#),
    case("POST", CHAT, r#"{"message":"x"}"#, 400,
        r#"{"error":"validation_error","message":"body: missing field `session_id` at line 1 column 15","details":{"field":"body"},"request_id":"r-1"}"#),
    case("POST", CHAT, r#"{"session_id":"secret","message":"x"}"#, 400,
        r#"{"error":"validation_error","message":"body: is not a UUID at line 1 column 22","details":{"field":"body"},"request_id":"r-1"}"#),
    case("POST", CHAT, r#"{"session_id":"#, 400,
        r#"{"error":"validation_error","message":"body: ends before the JSON does","details":{"field":"body"},"request_id":"r-1"}"#),
    case("POST", CHAT, r#"{"session_id":secret}"#, 400,
        r#"{"error":"validation_error","message":"body: is not valid JSON at line 1, column 15","details":{"field":"body"},"request_id":"r-1"}"#),
    case("POST", "/api/v1/session/start", r#"{"remember":"secret"}"#, 400,
        r#"{"error":"validation_error","message":"body: a value has the wrong type at line 1, column 20","details":{"field":"body"},"request_id":"r-1"}"#),
];

#[test]
fn errors_are_exactly_this_json() {
    let app = TestApp::spawn();
    for Case { request: (method, path, body), status, body: expected } in ERRORS {
        let headers = [("x-request-id", "r-1"), ("content-type", "application/json")];
        let answer = app.ask(method, path, &headers, body.as_bytes());
        assert_eq!((answer.status, answer.text().as_str()), (status, expected), "{method} {path} {body}");
        assert_eq!(answer.header("content-type"), "application/json");
        assert_eq!(answer.header("cache-control"), "no-store");
    }
}

#[test]
fn what_fails_inside_is_told_exactly_so_and_not_why() {
    let app = TestApp::spawn();
    let talk = app.start_session();
    let ask = |steps| {
        app.model.next(steps);
        let body = json!({"session_id": talk.session, "message": "hello"});
        app.post(CHAT, &[("x-request-id", "r-1")], &body)
    };
    let unavailable = ask(vec![Step::Unavailable]).expect(503);
    assert_eq!(
        unavailable.text(),
        r#"{"error":"service_unavailable","message":"The companion cannot answer now; please try again in a moment","request_id":"r-1"}"#
    );
    let slow = ask(vec![Step::TimedOut]).expect(504);
    assert_eq!(
        slow.text(),
        r#"{"error":"upstream_timeout","message":"The companion took too long to answer; please try again","request_id":"r-1"}"#
    );
}

#[test]
fn a_failure_of_the_database_is_opaque() {
    let app = TestApp::spawn();
    let talk = app.start_session();
    app.db().execute_batch("ALTER TABLE checkpoints RENAME TO gone").unwrap();
    let answer =
        app.post(CHAT, &[("x-request-id", "r-1")], &json!({"session_id": talk.session, "message": "hello"}));
    app.db().execute_batch("ALTER TABLE gone RENAME TO checkpoints").unwrap();
    assert_eq!(
        answer.expect(500).text(),
        r#"{"error":"internal_error","message":"Something went wrong here; please try again","request_id":"r-1"}"#
    );
}

#[test]
fn the_shapes_of_errors_are_those_of_the_contract() {
    let app = TestApp::spawn();
    for Case { request: (method, path, body), .. } in ERRORS {
        let answer = app.ask(method, path, &[("content-type", "application/json")], body.as_bytes());
        let body = answer.json();
        let known = ["error", "message", "request_id", "details"];
        assert!(body.as_object().unwrap().keys().all(|name| known.contains(&name.as_str())), "{body}");
        assert!(known[..3].iter().all(|name| body[name].is_string()), "{body}");
        assert!(matches!(body["details"], Value::Null | Value::Object(_)), "{body}");
    }
}
