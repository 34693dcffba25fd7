//! `ACCESS_TOKEN`: who is let in, for how long, and how often one may be wrong about it.

use std::time::Duration;

use companion::domain::secret::Secret;
use serde_json::json;

use crate::support::TestApp;
use crate::support::wire::Answer;

const TOKEN: &str = "open-sesame";
const BEARER: (&str, &str) = ("authorization", "Bearer open-sesame");
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn guarded() -> TestApp {
    TestApp::spawn_with(|config| config.access.access_token = Some(Secret::new(TOKEN)))
}

fn again(app: TestApp, token: &str) -> TestApp {
    app.restart_with(|config| config.access.access_token = Some(Secret::new(token)))
}

fn sign_in_with(app: &TestApp, token: &str) -> Answer {
    app.post("/api/v1/sign-in", &[], &json!({"token": token}))
}

/// Signs in; what the browser then sends as `Cookie`.
fn signed_in(app: &TestApp) -> String {
    cookie_of(&sign_in_with(app, TOKEN).expect(204))
}

fn cookie_of(answer: &Answer) -> String {
    answer.header("set-cookie").split(';').next().unwrap().to_owned()
}

/// What the API says to a browser with this cookie; 200 when it lets it in.
fn enter(app: &TestApp, cookie: &str) -> Answer {
    app.ask("POST", "/api/v1/session/start", &[("cookie", cookie)], b"")
}

#[test]
fn without_the_token_only_health_and_the_page_answer() {
    let app = guarded();
    let id = "11111111-1111-4111-8111-111111111111";
    for (method, path) in [
        ("POST", "/api/v1/session/start".to_owned()),
        ("GET", "/api/v1/sessions".to_owned()),
        ("GET", format!("/api/v1/sessions/{id}")),
        ("DELETE", format!("/api/v1/sessions/{id}")),
        ("POST", "/api/v1/chat".to_owned()),
        ("GET", format!("/api/v1/voice/audio/{id}")),
        ("GET", "/api/v1/me".to_owned()),
        ("GET", "/api/v1/me/export".to_owned()),
        ("GET", "/api/v1/nothing".to_owned()),
        ("PUT", "/api/v1/me".to_owned()),
        ("GET", "/api/v1/admin/status".to_owned()),
    ] {
        let refused = app.ask(method, &path, &[], b"").refused(401, "unauthorized");
        assert_eq!(refused.json()["details"], json!({"sign_in": "/sign-in"}), "{path}");
        assert_eq!(refused.header("www-authenticate"), "Bearer");
    }
    for spelling in ["/%61pi/v1/me", "/api/v1/%6De", "/api/v1/me?x", "/api/v1/me#x"] {
        assert_eq!(app.raw_get(spelling).status, 401, "{spelling}");
    }
    for spelling in
        ["//api/v1/me", "/api/v1//me", "/api/v1/./me", "/api/v1/x/../me", "/API/v1/me", "/api/v1/me/"]
    {
        let status = app.raw_get(spelling).status;
        assert!([400, 401, 404].contains(&status), "{spelling}: {status}");
    }
    for open in ["/api/v1/health", "/livez", "/readyz", "/", "/sign-in"] {
        app.get(open).expect(200);
    }
    assert_eq!((app.count("sessions"), app.count("persons")), (0, 0));
}

#[test]
fn the_token_lets_in_whatever_the_scheme_is_written_like() {
    let app = guarded();
    for header in ["Bearer open-sesame", "bearer open-sesame", "BEARER  open-sesame "] {
        app.ask("POST", "/api/v1/session/start", &[("authorization", header)], b"").expect(200);
    }
    for header in
        ["open-sesame", "Basic open-sesame", "Bearer", "Bearer ", "Token open-sesame", "Bearer open-sesame x"]
    {
        let refused = app.ask("POST", "/api/v1/session/start", &[("authorization", header)], b"");
        refused.refused(401, "unauthorized");
    }
    app.get_with("/api/v1/nothing", &[BEARER]).refused(404, "not_found");
    app.ask("PUT", "/api/v1/me", &[BEARER], b"").refused(405, "method_not_allowed");
}

#[test]
fn without_the_setting_everyone_is_let_in_and_there_is_nothing_to_sign_in_to() {
    let app = TestApp::spawn();
    app.start_session();
    app.get("/sign-in").refused(404, "not_found");
    sign_in_with(&app, TOKEN).refused(404, "not_found");
    app.ask("POST", "/api/v1/sign-out", &[], b"").refused(404, "not_found");
}

#[test]
fn a_browser_that_signs_in_is_let_in_until_it_signs_out() {
    let app = guarded();
    let answer = sign_in_with(&app, TOKEN).expect(204);
    let set = answer.header("set-cookie");
    for part in ["companion_access=", "; HttpOnly", "; SameSite=Strict", "; Path=/", "; Max-Age=7776000"] {
        assert!(set.contains(part), "{part} is not in {set}");
    }
    assert!(!set.contains("Secure"), "there is no TLS here: {set}");
    let (cookie, other) = (cookie_of(&answer), signed_in(&app));
    assert_ne!(cookie, other);
    let started = enter(&app, &cookie).expect(200);
    let both = format!("{cookie}; {}", cookie_of(&started));
    assert_eq!(app.get_with("/api/v1/me", &[("cookie", &both)]).expect(200).json()["signed_in"], true);
    let person = both.rsplit('=').next().unwrap();
    let by_token = app.get_with("/api/v1/me", &[BEARER, ("x-companion-person", person)]).expect(200);
    assert_eq!(by_token.json()["signed_in"], false, "there is nothing to sign out of");

    let out = app.ask("POST", "/api/v1/sign-out", &[("cookie", &cookie)], b"").expect(204);
    assert!(out.header("set-cookie").contains("Max-Age=0"), "{:?}", out.headers);
    let refused = enter(&app, &cookie).refused(401, "unauthorized");
    assert!(refused.header("set-cookie").starts_with("companion_access=;"), "it is of no use any more");
    enter(&app, &other).expect(200);
    app.ask("POST", "/api/v1/sign-out", &[], b"").expect(204);
}

#[test]
fn over_tls_the_cookie_is_one_for_tls_alone() {
    let app = TestApp::spawn_with(|config| {
        config.access.access_token = Some(Secret::new(TOKEN));
        config.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    });
    let answer =
        app.post("/api/v1/sign-in", &[("x-forwarded-proto", "https")], &json!({"token": TOKEN})).expect(204);
    let set = answer.header("set-cookie");
    assert!(set.starts_with("__Host-companion_access=") && set.contains("; Secure"), "{set}");
    enter(&app, &cookie_of(&answer)).expect(200);
}

#[test]
fn a_restart_ends_no_sign_in_and_another_token_ends_them_all() {
    let app = guarded();
    let cookie = signed_in(&app);
    let app = again(app, TOKEN);
    enter(&app, &cookie).expect(200);
    let app = again(app, "another-token");
    enter(&app, &cookie).refused(401, "unauthorized");
    app.ask("POST", "/api/v1/session/start", &[BEARER], b"").refused(401, "unauthorized");
}

#[test]
fn a_sign_in_lasts_for_ninety_days() {
    let app = guarded();
    let cookie = signed_in(&app);
    app.clock.advance(DAY * 90 - Duration::from_millis(1));
    enter(&app, &cookie).expect(200);
    app.clock.advance(Duration::from_millis(1));
    enter(&app, &cookie).refused(401, "unauthorized");
    signed_in(&app);
    assert_eq!(app.count("sign_ins"), 1, "what has expired is forgotten");
}

#[test]
fn of_a_thousand_sign_ins_one_more_ends_the_oldest() {
    let app = guarded();
    let (first, second) = (signed_in(&app), signed_in(&app));
    let many = "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 998)
        INSERT INTO sign_ins (cookie_hash, expires_at) SELECT randomblob(32), 1 << 62 FROM n";
    app.db().execute(many, []).unwrap();
    enter(&app, &first).expect(200);
    let last = signed_in(&app);
    assert_eq!(app.count("sign_ins"), 1000);
    enter(&app, &first).refused(401, "unauthorized");
    enter(&app, &second).expect(200);
    enter(&app, &last).expect(200);
}

#[test]
fn whoever_is_wrong_too_often_is_told_when_to_come_back() {
    let app = TestApp::spawn_with(|config| {
        config.access.access_token = Some(Secret::new(TOKEN));
        config.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    });
    let cookie = signed_in(&app);
    let guess = |client: &str, token: &str| {
        let bearer = format!("Bearer {token}");
        let headers = [("authorization", bearer.as_str()), ("x-forwarded-for", client)];
        app.ask("POST", "/api/v1/session/start", &headers, b"")
    };
    for _ in 0..20 {
        app.get("/api/v1/me").refused(401, "unauthorized");
        enter(&app, &format!("companion_access={}", "0".repeat(64))).refused(401, "unauthorized");
    }
    for number in 0..10 {
        guess("192.0.2.1", &format!("guess-{number}")).refused(401, "unauthorized");
    }
    let refused = guess("192.0.2.1", "guess").refused(429, "rate_limited");
    let seconds: u64 = refused.header("retry-after").parse().unwrap();
    assert!((1..=60).contains(&seconds), "{seconds}");
    guess("192.0.2.1", TOKEN).refused(429, "rate_limited");
    let headers = [("x-forwarded-for", "192.0.2.1")];
    app.post("/api/v1/sign-in", &headers, &json!({"token": TOKEN})).refused(429, "rate_limited");
    guess("192.0.2.2", TOKEN).expect(200);
    // Whoever has signed in does not guess.
    let headers = [("cookie", cookie.as_str()), ("x-forwarded-for", "192.0.2.1")];
    app.ask("POST", "/api/v1/session/start", &headers, b"").expect(200);
}

#[test]
fn wrong_tokens_to_sign_in_with_count_as_well() {
    let app = guarded();
    for number in 0..10 {
        sign_in_with(&app, &format!("guess-{number}")).refused(401, "unauthorized");
    }
    sign_in_with(&app, "guess").refused(429, "rate_limited");
    app.post("/api/v1/sign-in", &[], &json!({})).refused(400, "validation_error");
    assert_eq!(app.count("sign_ins"), 0);
}

#[test]
fn the_token_is_nowhere_on_disk_and_neither_is_a_cookie() {
    let app = guarded();
    let cookie = signed_in(&app);
    // What was written is in the database then, and not in its log.
    let app = again(app, TOKEN);
    let secret = cookie.split('=').nth(1).unwrap().to_owned();
    let bytes: Vec<u8> = secret
        .as_bytes()
        .chunks_exact(2)
        .map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect();
    for file in app.files().into_iter().filter(|file| !file.ends_with("reserve")) {
        let text = std::fs::read(&file).unwrap();
        for hidden in [TOKEN.as_bytes(), secret.as_bytes(), &bytes] {
            assert!(!text.windows(hidden.len()).any(|part| part == hidden), "{}", file.display());
        }
    }
}

#[test]
fn a_friends_page_asks_beforehand_without_a_token_and_talks_with_one() {
    const FRIEND: &str = "https://app.example.org";
    let app = TestApp::spawn_with(|config| {
        config.access.access_token = Some(Secret::new(TOKEN));
        config.allowed_origins = vec![FRIEND.to_owned()];
    });
    let before = [
        ("origin", FRIEND),
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "authorization, content-type"),
    ];
    let allowed = app.ask("OPTIONS", "/api/v1/session/start", &before, b"").expect(200);
    assert_eq!(allowed.header("access-control-allow-origin"), FRIEND);
    assert!(allowed.header("access-control-allow-headers").to_lowercase().contains("authorization"));
    let refused =
        app.ask("POST", "/api/v1/session/start", &[("origin", FRIEND)], b"").refused(401, "unauthorized");
    assert_eq!(refused.header("access-control-allow-origin"), FRIEND, "it may read why it was refused");
    app.ask("POST", "/api/v1/session/start", &[("origin", FRIEND), BEARER], b"").expect(200);
    let foreign = [("origin", "https://evil.example"), BEARER];
    app.ask("POST", "/api/v1/session/start", &foreign, b"").refused(403, "foreign_origin");
    let foreign = [("origin", "https://evil.example")];
    app.post("/api/v1/sign-in", &foreign, &json!({"token": TOKEN})).refused(403, "foreign_origin");
}

#[test]
fn a_stranger_is_refused_before_anything_is_read() {
    let app = guarded();
    let mut wire = app.wire();
    wire.send("POST /api/v1/chat HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n");
    wire.answer().refused(401, "unauthorized");
}
