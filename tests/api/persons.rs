//! Who is who: tokens in cookies and headers, and what a session id alone is good for.

use std::time::Duration;

use serde_json::json;

use crate::support::{Talk, TestApp};

const START: &str = "/api/v1/session/start";
const DAYS_400: &str = "Max-Age=34560000";
const HOUR: Duration = Duration::from_secs(3600);

fn attributes(cookie: &str) -> Vec<&str> {
    let mut attributes: Vec<_> = cookie.split("; ").skip(1).collect();
    attributes.sort_unstable();
    attributes
}

fn behind_tls() -> TestApp {
    TestApp::spawn_with(|config| {
        config.trusted_proxies = vec!["127.0.0.1".parse::<std::net::IpAddr>().unwrap().into()]
    })
}

#[test]
fn the_first_session_makes_a_person_and_sets_the_cookie() {
    let app = TestApp::spawn();
    let started = app.post(START, &[], &json!({})).expect(200);
    let cookies = started.all("set-cookie");
    assert_eq!(cookies.len(), 1);
    let (name, value) = cookies[0].split(';').next().unwrap().split_once('=').unwrap();
    assert_eq!(name, "companion_person");
    assert!(value.len() == 64 && value.bytes().all(|b| b.is_ascii_hexdigit()), "256 bits");
    assert_eq!(attributes(cookies[0]), ["HttpOnly", DAYS_400, "Path=/", "SameSite=Lax"]);
    let again = app.post(START, &[("cookie", &format!("companion_person={value}"))], &json!({})).expect(200);
    assert_eq!(again.all("set-cookie").len(), 0, "a known person gets no new token");
    assert_eq!(app.count("persons"), 1);
    assert_eq!(app.sessions(value, "").expect(200).json()["sessions"].as_array().unwrap().len(), 2);
}

#[test]
fn over_tls_the_cookie_is_secure_and_bound_to_the_host() {
    let app = behind_tls();
    let started = app.post(START, &[("x-forwarded-proto", "https")], &json!({})).expect(200);
    let cookie = started.header("set-cookie").to_owned();
    assert!(cookie.starts_with("__Host-companion_person="));
    assert_eq!(attributes(&cookie), ["HttpOnly", DAYS_400, "Path=/", "SameSite=Lax", "Secure"]);
    let pair = cookie.split(';').next().unwrap();
    app.get_with("/api/v1/me", &[("cookie", pair), ("x-forwarded-proto", "https")]).expect(200);
}

#[test]
fn a_spoofed_proxy_header_changes_no_cookie() {
    let app = TestApp::spawn();
    let started = app.post(START, &[("x-forwarded-proto", "https")], &json!({})).expect(200);
    assert!(started.header("set-cookie").starts_with("companion_person="));
    assert!(!started.header("set-cookie").contains("Secure"));
}

#[test]
fn the_header_wins_over_the_cookie() {
    let app = TestApp::spawn();
    let (ann, ben) = (app.start_session(), app.start_session());
    app.say(&ann, "from ann").expect(200);
    let cookie = format!("companion_person={}", ann.token);
    let seen = |token: &str| {
        let headers = [("cookie", cookie.as_str()), ("x-companion-person", token)];
        app.get_with(&format!("/api/v1/sessions/{}", ann.session), &headers)
    };
    seen(&ben.token).refused(404, "session_not_found");
    seen(&ann.token).expect(200);
    seen("not a token").refused(401, "unauthorized");
    app.get_with(&format!("/api/v1/sessions/{}", ann.session), &[("cookie", &cookie)]).expect(200);
}

#[test]
fn the_cookie_lasts_anew_when_it_is_used_after_an_hour() {
    let app = TestApp::spawn();
    let talk = app.start_session();
    let cookie = format!("companion_person={}", talk.token);
    let renewed = |path: &str| {
        let answer = app.get_with(path, &[("cookie", &cookie)]).expect(200);
        answer.all("set-cookie").iter().map(|cookie| (*cookie).to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(renewed("/api/v1/me"), [""; 0], "it was set a moment ago");
    app.clock.advance(HOUR - Duration::from_millis(1));
    assert_eq!(renewed("/api/v1/sessions"), [""; 0]);
    app.clock.advance(Duration::from_millis(1));
    let cookies = renewed("/api/v1/sessions");
    assert_eq!(cookies.len(), 1);
    assert!(cookies[0].starts_with(&cookie) && cookies[0].contains(DAYS_400), "the same token: {cookies:?}");
    assert_eq!(renewed("/api/v1/me"), [""; 0], "once an hour is enough");
}

#[test]
fn starting_a_session_is_a_use_of_the_cookie_too() {
    let app = TestApp::spawn();
    let talk = app.start_session();
    let cookie = format!("companion_person={}", talk.token);
    app.clock.advance(2 * HOUR);
    let started = app.post(START, &[("cookie", &cookie)], &json!({})).expect(200);
    let renewed = started.header("set-cookie");
    assert!(renewed.starts_with(&cookie) && renewed.contains(DAYS_400), "{renewed:?}");
    let by_header = app.post(START, &[("x-companion-person", &talk.token)], &json!({})).expect(200);
    assert_eq!(by_header.header("set-cookie"), "", "whoever sends the header keeps the token themselves");
}

#[test]
fn a_cookie_of_plain_http_becomes_a_secure_one_once_there_is_tls() {
    let app = behind_tls();
    let talk = app.start_session();
    app.clock.advance(HOUR);
    let cookie = format!("companion_person={}", talk.token);
    let answer =
        app.get_with("/api/v1/me", &[("cookie", &cookie), ("x-forwarded-proto", "https")]).expect(200);
    assert!(answer.header("set-cookie").starts_with(&format!("__Host-{cookie}; ")));
}

#[test]
fn a_token_that_nobody_holds_opens_nothing() {
    let app = TestApp::spawn();
    let talk = app.start_session();
    let mut almost = talk.token.clone();
    almost.replace_range(63.., if almost.ends_with('0') { "1" } else { "0" });
    for bad in
        ["", "x", &almost, &"0".repeat(64), &talk.token[..62], &format!("{}00", talk.token), "<script>"]
    {
        app.sessions(bad, "").refused(401, "unauthorized");
        app.get_with("/api/v1/me", &[("cookie", &format!("companion_person={bad}"))])
            .refused(401, "unauthorized");
        app.export(bad).refused(401, "unauthorized");
        app.erase(bad).refused(401, "unauthorized");
        let stranger = Talk { token: bad.to_owned(), ..talk.clone() };
        app.session(&stranger, "").refused(401, "unauthorized");
        app.patch(&stranger, &json!({"pinned": true})).refused(401, "unauthorized");
        app.delete(&stranger, "").refused(401, "unauthorized");
    }
    assert_eq!(app.session(&talk, "").expect(200).json()["pinned"], false);
}

#[test]
fn starting_with_a_token_that_nobody_holds_makes_a_new_person() {
    let app = TestApp::spawn();
    for bad in ["nonsense".to_owned(), "0".repeat(64)] {
        let talk = app.start(&[("x-companion-person", &bad)], &json!({}));
        assert_ne!(talk.token, bad);
        app.session(&talk, "").expect(200);
    }
    assert_eq!(app.count("persons"), 2);
}

#[test]
fn another_persons_session_answers_exactly_as_an_unknown_one() {
    let app = TestApp::spawn();
    let (ann, ben) = (app.start_session(), app.start_session());
    app.say(&ann, "ann's secret").expect(200);
    let as_ben = |session: &str| Talk { session: session.to_owned(), token: ben.token.clone() };
    let told = |session: &str| {
        let talk = as_ben(session);
        let change = json!({"title": "mine"});
        [app.session(&talk, ""), app.patch(&talk, &change), app.delete(&talk, "")].map(|answer| {
            let answer = answer.refused(404, "session_not_found");
            let mut body = answer.json();
            body["request_id"].take();
            let mut names: Vec<_> = answer.headers.into_iter().map(|(name, _)| name).collect();
            names.sort();
            (body.to_string(), names)
        })
    };
    let unknown = told("00000000-0000-4000-8000-000000000000");
    for id in [ann.session.as_str(), "nonsense", "%00", "%ff", "..%2f..", &"x".repeat(300), "1"] {
        assert_eq!(told(id), unknown, "{id}");
    }
    assert_eq!(app.said(&ann), ["ann's secret"]);
    assert_eq!(app.sessions(&ben.token, "").json()["sessions"].as_array().unwrap().len(), 1);
}

#[test]
fn a_session_id_alone_is_enough_to_talk_but_shows_no_history() {
    let app = TestApp::spawn();
    let talk = app.start_session();
    app.say(&talk, "no token was sent with this").expect(200);
    let stranger = app.start_session();
    app.post(
        "/api/v1/chat",
        &[("x-companion-person", &stranger.token)],
        &json!({"session_id": talk.session, "message": "nor the right one with this"}),
    )
    .expect(200);
    app.get(&format!("/api/v1/sessions/{}", talk.session)).refused(401, "unauthorized");
    assert_eq!(app.said(&talk), ["no token was sent with this", "nor the right one with this"]);
}

#[test]
fn only_the_hash_of_a_token_is_kept() {
    let app = TestApp::spawn();
    let talk = app.start_session();
    app.say(&talk, "hello").expect(200);
    let bytes: Vec<u8> =
        (0..32).map(|at| u8::from_str_radix(&talk.token[2 * at..2 * at + 2], 16).unwrap()).collect();
    for file in app.files() {
        let held = std::fs::read(&file).unwrap();
        let holds = |wanted: &[u8]| held.windows(wanted.len()).any(|part| part == wanted);
        assert!(!holds(talk.token.as_bytes()) && !holds(&bytes), "the token is in {}", file.display());
    }
}
