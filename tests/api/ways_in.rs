//! Being the same person in another browser, and how that ends.

use std::time::Duration;

use companion::domain::clock::Timestamp;
use companion::web::qr_code;
use serde_json::{Value, json};

use crate::support::wire::Answer;
use crate::support::{BEGINNING, Talk, TestApp};

const MINUTE: Duration = Duration::from_secs(60);

fn after_beginning(millis: i64) -> String {
    Timestamp::from_millis(BEGINNING + millis).to_string()
}

fn as_person(app: &TestApp, token: &str, what: &str) -> Answer {
    app.ask("POST", &format!("/api/v1/me/{what}"), &[("x-companion-person", token)], b"")
}

fn as_browser(app: &TestApp, token: &str, what: &str) -> Answer {
    app.ask("POST", &format!("/api/v1/me/{what}"), &[("cookie", &format!("companion_person={token}"))], b"")
}

fn text(body: &Value, field: &str) -> String {
    body[field].as_str().unwrap().to_owned()
}

/// The secret of a new link.
fn link_of(app: &TestApp, token: &str) -> String {
    let link = text(&as_person(app, token, "link").expect(200).json(), "link");
    link.split_once('#').unwrap().1.to_owned()
}

fn code_of(app: &TestApp, token: &str) -> String {
    text(&as_person(app, token, "recovery").expect(200).json(), "recovery_code")
}

fn open_link(app: &TestApp, headers: &[(&str, &str)], secret: &str) -> Answer {
    app.post("/api/v1/me/link/redeem", headers, &json!({"secret": secret}))
}

fn enter_code(app: &TestApp, headers: &[(&str, &str)], code: &str) -> Answer {
    app.post("/api/v1/me/recovery/redeem", headers, &json!({"code": code}))
}

/// The token in the cookie of an answer.
fn cookie_of(answer: &Answer) -> String {
    let cookie = answer.header("set-cookie");
    assert!(cookie.starts_with("companion_person=") && cookie.contains("HttpOnly"), "{cookie}");
    cookie.split(['=', ';']).nth(1).unwrap().to_owned()
}

fn said_as(app: &TestApp, talk: &Talk, token: &str) -> Vec<String> {
    app.said(&Talk { token: token.to_owned(), ..talk.clone() })
}

/// Somebody who has said something.
fn somebody(app: &TestApp, said: &str) -> Talk {
    let talk = app.start_session();
    app.say(&talk, said).expect(200);
    talk
}

#[test]
fn a_link_makes_one_more_browser_the_same_person() {
    let app = TestApp::spawn();
    let talk = somebody(&app, "on the first device");
    let body = as_browser(&app, &talk.token, "link").expect(200).json();
    assert_eq!((&body["expires_at"], &body["seconds"]), (&json!(after_beginning(600_000)), &json!(600)));
    let link = text(&body, "link");
    let (page, secret) = link.split_once('#').unwrap();
    assert_eq!(page, format!("{}/link", app.url));
    assert_eq!(secret.len(), 64, "256 bits");
    let drawn = text(&body, "qr_svg");
    assert!(!drawn.contains("style"), "{drawn}");
    assert_eq!(qr_code::svg(&link), Some(drawn), "whoever photographs it opens this link");

    let answer = open_link(&app, &[], secret).expect(200);
    assert_eq!(answer.json(), json!({"already": false}), "scripts do not see a cookie's token");
    let second = cookie_of(&answer);
    assert_ne!(second, talk.token, "each browser has a token of its own");
    assert_eq!(said_as(&app, &talk, &second), ["on the first device"]);
    assert_eq!(app.said(&talk), ["on the first device"], "the first one goes on being them");
    for token in [&talk.token, &second] {
        assert_eq!(app.get_as(token, "/api/v1/me").expect(200).json()["browsers"], 2);
    }
    app.tell(&Talk { token: second.clone(), ..talk.clone() }, "and from the second").expect(200);
    assert_eq!(app.said(&talk).len(), 2);
    assert_eq!(app.count("persons"), 1);
}

#[test]
fn a_used_link_says_so_and_an_old_one_leads_nowhere() {
    let app = TestApp::spawn();
    let talk = app.start_session();
    let secret = link_of(&app, &talk.token);
    open_link(&app, &[], &secret).expect(200);
    let refused = open_link(&app, &[], &secret).refused(409, "link_used");
    assert!(refused.headers.iter().all(|(name, _)| name != "retry-after"), "waiting makes nothing else");
    let other = link_of(&app, &talk.token);
    app.clock.advance(MINUTE * 10 - Duration::from_millis(1));
    open_link(&app, &[], &other).expect(200);
    let late = link_of(&app, &talk.token);
    app.clock.advance(MINUTE * 10);
    open_link(&app, &[], &late).refused(404, "link_not_found");
    open_link(&app, &[], &secret).refused(404, "link_not_found");
    open_link(&app, &[], &"0".repeat(64)).refused(404, "link_not_found");
    link_of(&app, &talk.token);
    assert_eq!(app.count("links"), 1, "what has expired is forgotten");
}

#[test]
fn of_many_who_open_a_link_at_once_one_arrives() {
    let app = TestApp::spawn();
    let talk = app.start_session();
    let secret = link_of(&app, &talk.token);
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let opening: Vec<_> = (0..8).map(|_| scope.spawn(|| open_link(&app, &[], &secret).status)).collect();
        opening.into_iter().map(|opened| opened.join().unwrap()).collect()
    });
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
    assert_eq!(statuses.iter().filter(|status| **status == 409).count(), 7, "{statuses:?}");
    assert_eq!(app.count("devices"), 1);
}

#[test]
fn five_links_may_wait_and_one_more_ends_the_oldest() {
    let app = TestApp::spawn();
    let (talk, stranger) = (app.start_session(), app.start_session());
    let theirs = link_of(&app, &stranger.token);
    let mut links: Vec<_> = (0..6).map(|_| link_of(&app, &talk.token)).collect();
    open_link(&app, &[], &links.remove(0)).refused(404, "link_not_found");
    for link in links.into_iter().chain([theirs]) {
        open_link(&app, &[], &link).expect(200);
    }
}

#[test]
fn a_recovery_code_is_the_way_back_as_often_as_it_is_needed() {
    let app = TestApp::spawn();
    let talk = somebody(&app, "before the browser forgot me");
    let me = |token: &str| app.get_as(token, "/api/v1/me").expect(200).json()["recovery_code"].clone();
    assert_eq!(me(&talk.token), Value::Null);
    let code = code_of(&app, &talk.token);
    assert_eq!(code.len(), 35, "{code}");
    assert_eq!(me(&talk.token), json!({"made_at": after_beginning(0), "used_at": null}));
    app.clock.advance(MINUTE * 60 * 24 * 300);
    let typed = code.to_lowercase().replace('-', "  ").replace('0', "o").replace('1', "l");
    let back = cookie_of(&enter_code(&app, &[], &typed).expect(200));
    assert_eq!(said_as(&app, &talk, &back), ["before the browser forgot me"]);
    let used = after_beginning(300 * 24 * 3_600_000);
    assert_eq!(me(&back), json!({"made_at": after_beginning(0), "used_at": used}));
    enter_code(&app, &[], &code).expect(200);

    let newer = code_of(&app, &back);
    enter_code(&app, &[], &code).refused(404, "recovery_code_not_found");
    enter_code(&app, &[], &newer).expect(200);
    assert_eq!(app.count("recovery_codes"), 1);
}

#[test]
fn a_mistyped_code_is_told_apart_from_a_wrong_one_and_costs_nothing() {
    let app = TestApp::spawn();
    let talk = app.start_session();
    let code = code_of(&app, &talk.token);
    let wrong = code.replacen(&code[..1], if code.starts_with('7') { "8" } else { "7" }, 1);
    for _ in 0..12 {
        let told = enter_code(&app, &[], &wrong).refused(400, "validation_error").json();
        assert_eq!(told["details"]["field"], "code");
        assert!(text(&told, "message").contains("mistyped"), "{told}");
    }
    assert!(
        text(&enter_code(&app, &[], &code[..30]).refused(400, "validation_error").json(), "message")
            .contains("missing")
    );
    open_link(&app, &[], "abc").refused(400, "validation_error");
    enter_code(&app, &[], &code).expect(200);
}

#[test]
fn whoever_is_wrong_too_often_has_to_wait() {
    let app = TestApp::spawn_with(|config| config.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()]);
    let talk = app.start_session();
    let (secret, code) = (link_of(&app, &talk.token), code_of(&app, &talk.token));
    let from = [("x-forwarded-for", "192.0.2.1")];
    for number in 0..10 {
        open_link(&app, &from, &format!("{number:064}")).refused(404, "link_not_found");
    }
    let refused = open_link(&app, &from, &"1".repeat(64)).refused(429, "rate_limited");
    let seconds: u64 = refused.header("retry-after").parse().unwrap();
    assert!((1..=60).contains(&seconds), "{seconds}");
    open_link(&app, &from, &secret).refused(429, "rate_limited");
    enter_code(&app, &from, &code).refused(429, "rate_limited");
    open_link(&app, &[("x-forwarded-for", "192.0.2.2")], &secret).expect(200);
}

#[test]
fn whoever_is_somebody_already_has_to_say_that_they_want_to_be_somebody_else() {
    let app = TestApp::spawn();
    let (talk, other) = (somebody(&app, "of the one"), somebody(&app, "of the other"));
    let memory = json!({"text": "I like tea"});
    app.post("/api/v1/memories", &[("x-companion-person", &other.token)], &memory).expect(201);
    let secret = link_of(&app, &talk.token);
    let cookie = format!("companion_person={}", other.token);
    let headers = [("cookie", cookie.as_str())];
    let refused = open_link(&app, &headers, &secret).refused(409, "already_someone");
    assert_eq!(refused.json()["details"], json!({"conversations": 1, "memories": 1}));
    assert_eq!(refused.all("set-cookie").len(), 0);
    enter_code(&app, &headers, &code_of(&app, &talk.token)).refused(409, "already_someone");

    let body = json!({"secret": secret, "instead": true});
    let new = cookie_of(&app.post("/api/v1/me/link/redeem", &headers, &body).expect(200));
    assert_eq!(said_as(&app, &talk, &new), ["of the one"]);
    app.session(&Talk { token: new, ..other.clone() }, "").refused(404, "session_not_found");
    assert_eq!(app.said(&other), ["of the other"], "nothing of theirs is merged or lost");
}

#[test]
fn whoever_has_nothing_to_lose_is_not_asked() {
    let app = TestApp::spawn();
    let (talk, nobody_yet) = (somebody(&app, "hello"), app.start_session());
    let cookie = format!("companion_person={}", nobody_yet.token);
    open_link(&app, &[("cookie", &cookie)], &link_of(&app, &talk.token)).expect(200);
    let gone = format!("companion_person={}", "0".repeat(64));
    open_link(&app, &[("cookie", &gone)], &link_of(&app, &talk.token)).expect(200);
}

#[test]
fn whoever_opens_their_own_link_uses_nothing_up() {
    let app = TestApp::spawn();
    let talk = somebody(&app, "hello");
    let secret = link_of(&app, &talk.token);
    let cookie = format!("companion_person={}", talk.token);
    let own = open_link(&app, &[("cookie", &cookie)], &secret).expect(200);
    assert_eq!((own.json(), own.all("set-cookie").len()), (json!({"already": true}), 0));
    let second = cookie_of(&open_link(&app, &[], &secret).expect(200));
    let again = open_link(&app, &[("cookie", &format!("companion_person={second}"))], &secret).expect(200);
    assert_eq!(again.json()["already"], true, "a page that is loaded again is no reason to worry");
}

#[test]
fn another_token_ends_all_others_links_and_the_code() {
    let app = TestApp::spawn();
    let talk = somebody(&app, "still here");
    let second = cookie_of(&open_link(&app, &[], &link_of(&app, &talk.token)).expect(200));
    let (secret, code) = (link_of(&app, &second), code_of(&app, &talk.token));
    let answer = as_browser(&app, &second, "rotate").expect(200);
    assert_eq!(answer.json(), json!({}));
    let third = cookie_of(&answer);
    for old in [&talk.token, &second] {
        app.get_as(old, "/api/v1/me").refused(401, "unauthorized");
        for what in ["rotate", "link", "recovery"] {
            as_person(&app, old, what).refused(401, "unauthorized");
        }
    }
    open_link(&app, &[], &secret).refused(404, "link_not_found");
    enter_code(&app, &[], &code).refused(404, "recovery_code_not_found");
    assert_eq!(said_as(&app, &talk, &third), ["still here"]);
    let me = app.get_as(&third, "/api/v1/me").expect(200).json();
    assert_eq!((&me["browsers"], &me["recovery_code"]), (&json!(1), &Value::Null));
}

#[test]
fn programs_that_send_the_token_are_given_the_new_one() {
    let app = TestApp::spawn();
    let talk = somebody(&app, "from a program");
    let answer = as_person(&app, &talk.token, "rotate").expect(200);
    assert_eq!(answer.all("set-cookie").len(), 0);
    let token = text(&answer.json(), "token");
    assert_eq!(said_as(&app, &talk, &token), ["from a program"]);
    app.get_as(&talk.token, "/api/v1/me").refused(401, "unauthorized");
    let other = app.start_session();
    let headers = [("x-companion-person", other.token.as_str())];
    let answer = open_link(&app, &headers, &link_of(&app, &token)).expect(200);
    assert_eq!(answer.all("set-cookie").len(), 0);
    assert_eq!(said_as(&app, &talk, &text(&answer.json(), "token")), ["from a program"]);
}

#[test]
fn a_new_token_that_is_lost_on_its_way_is_asked_for_again() {
    let app = TestApp::spawn();
    let talk = somebody(&app, "still mine");
    let rotate = |header: (&str, &str), attempt: &str| {
        app.post("/api/v1/me/rotate", &[header], &json!({"attempt": attempt}))
    };
    let old = ("x-companion-person", talk.token.as_str());
    let attempt = "5e".repeat(32);
    rotate(old, "5e5e").refused(400, "validation_error");
    let lost = text(&rotate(old, &attempt).expect(200).json(), "token");
    app.get_as(&talk.token, "/api/v1/me").refused(401, "unauthorized");
    // Whoever has stolen the old token has not been told of the attempt.
    for guess in ["00".repeat(32), talk.token.clone(), lost.clone()] {
        rotate(old, &guess).refused(401, "unauthorized");
    }
    as_person(&app, &talk.token, "rotate").refused(401, "unauthorized");
    assert_eq!(text(&rotate(old, &attempt).expect(200).json(), "token"), lost);
    let in_cookie = format!("companion_person={}", talk.token);
    assert_eq!(cookie_of(&rotate(("cookie", &in_cookie), &attempt).expect(200)), lost);
    assert_eq!(said_as(&app, &talk, &lost), ["still mine"]);
    // A way in that was made with it stays: nothing is replaced once more.
    let code = code_of(&app, &lost);
    rotate(old, &attempt).expect(200);
    enter_code(&app, &[], &code).expect(200);
    let newer = text(&as_person(&app, &lost, "rotate").expect(200).json(), "token");
    rotate(old, &attempt).refused(401, "unauthorized");
    assert_eq!(said_as(&app, &talk, &newer), ["still mine"]);
}

#[test]
fn of_two_who_replace_the_token_at_once_one_does() {
    let app = TestApp::spawn();
    let talk = app.start_session();
    let answers: Vec<Answer> = std::thread::scope(|scope| {
        let asking: Vec<_> = (0..4).map(|_| scope.spawn(|| as_person(&app, &talk.token, "rotate"))).collect();
        asking.into_iter().map(|asked| asked.join().unwrap()).collect()
    });
    let winners: Vec<_> = answers.iter().filter(|answer| answer.status == 200).collect();
    assert_eq!(winners.len(), 1);
    app.get_as(&text(&winners[0].json(), "token"), "/api/v1/me").expect(200);
}

#[test]
fn a_browser_that_leaves_is_nobody_and_the_others_stay() {
    let app = TestApp::spawn();
    let talk = somebody(&app, "on a borrowed machine");
    let code = code_of(&app, &talk.token);
    let second = cookie_of(&open_link(&app, &[], &link_of(&app, &talk.token)).expect(200));
    let left = as_browser(&app, &talk.token, "leave").expect(204);
    assert!(left.header("set-cookie").starts_with("companion_person=; "), "{:?}", left.headers);
    app.get_as(&talk.token, "/api/v1/me").refused(401, "unauthorized");
    assert_eq!(said_as(&app, &talk, &second), ["on a borrowed machine"]);
    assert_eq!(app.get_as(&second, "/api/v1/me").expect(200).json()["browsers"], 1);
    as_browser(&app, &second, "leave").expect(204);
    app.get_as(&second, "/api/v1/me").refused(401, "unauthorized");
    let back = cookie_of(&enter_code(&app, &[], &code).expect(200));
    assert_eq!(said_as(&app, &talk, &back), ["on a borrowed machine"]);
    as_browser(&app, "", "leave").expect(204);
    as_browser(&app, &"0".repeat(64), "leave").expect(204);
    assert_eq!(app.count("persons"), 1);
}

#[test]
fn of_thirty_two_further_browsers_one_more_ends_the_one_not_seen_for_longest() {
    let app = TestApp::spawn();
    let talk = app.start_session();
    let code = code_of(&app, &talk.token);
    let mut tokens = Vec::new();
    for _ in 0..32 {
        tokens.push(cookie_of(&enter_code(&app, &[], &code).expect(200)));
        app.clock.advance(Duration::from_secs(1));
    }
    app.clock.advance(MINUTE * 60);
    let first = tokens.remove(0);
    let renewed = app.get_with("/api/v1/me", &[("cookie", &format!("companion_person={first}"))]).expect(200);
    assert_eq!(
        cookie_of(&renewed),
        first,
        "its cookie lasts anew, though others of theirs were seen meanwhile"
    );
    let last = cookie_of(&enter_code(&app, &[], &code).expect(200));
    app.get_as(&tokens.remove(0), "/api/v1/me").refused(401, "unauthorized");
    for token in tokens.iter().chain([&first, &last, &talk.token]) {
        app.get_as(token, "/api/v1/me").expect(200);
    }
    assert_eq!(app.count("devices"), 32);
}

#[test]
fn an_erased_person_leaves_no_way_in() {
    let app = TestApp::spawn();
    let talk = app.start_session();
    let second = cookie_of(&open_link(&app, &[], &link_of(&app, &talk.token)).expect(200));
    let (secret, code) = (link_of(&app, &talk.token), code_of(&app, &talk.token));
    app.erase(&second).expect(200);
    open_link(&app, &[], &secret).refused(404, "link_not_found");
    enter_code(&app, &[], &code).refused(404, "recovery_code_not_found");
    app.get_as(&talk.token, "/api/v1/me").refused(401, "unauthorized");
    assert_eq!((app.count("devices"), app.count("links"), app.count("recovery_codes")), (0, 0, 0));
}

#[test]
fn an_export_tells_of_the_ways_in_and_of_no_secret() {
    let app = TestApp::spawn();
    let talk = app.start_session();
    let secret = link_of(&app, &talk.token);
    let code = code_of(&app, &talk.token);
    open_link(&app, &[], &secret).expect(200);
    let answer = app.export(&talk.token).expect(200);
    let (at, text) = (after_beginning(0), answer.text());
    assert!(!text.contains(&secret) && !text.contains(&code));
    let person = &answer.json()["person"];
    assert_eq!(person["devices"], json!([{"added_at": at, "last_seen_at": at}]));
    assert_eq!(person["links"], json!([{"expires_at": after_beginning(600_000), "used_at": at}]));
    assert_eq!(person["recovery_code"], json!({"made_at": at, "used_at": null}));
}

#[test]
fn the_secrets_are_nowhere_on_disk() {
    let app = TestApp::spawn();
    let talk = app.start_session();
    let (used, waiting) = (link_of(&app, &talk.token), link_of(&app, &talk.token));
    let token = cookie_of(&open_link(&app, &[], &used).expect(200));
    let code = code_of(&app, &talk.token);
    // What was written is in the database then, and not in its log.
    let app = app.restart_with(|_| {});
    let bytes = |hex: &String| -> Vec<u8> {
        hex.as_bytes()
            .chunks_exact(2)
            .map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect()
    };
    let mut hidden: Vec<Vec<u8>> = vec![code.clone().into_bytes(), code.replace('-', "").into_bytes()];
    for hex in [&used, &waiting, &token] {
        hidden.extend([hex.clone().into_bytes(), bytes(hex)]);
    }
    for file in app.files().into_iter().filter(|file| !file.ends_with("reserve")) {
        let held = std::fs::read(&file).unwrap();
        for secret in &hidden {
            assert!(!held.windows(secret.len()).any(|part| part == secret), "{}", file.display());
        }
    }
    open_link(&app, &[], &waiting).expect(200);
}

#[test]
fn with_an_access_token_one_has_to_be_let_in_first() {
    let app = TestApp::spawn_with(|config| {
        config.access.access_token = Some(companion::domain::secret::Secret::new("open-sesame"));
    });
    for what in ["rotate", "link", "link/redeem", "recovery", "recovery/redeem", "leave"] {
        let refused = app.post(&format!("/api/v1/me/{what}"), &[], &json!({})).refused(401, "unauthorized");
        assert_eq!(refused.json()["details"], json!({"sign_in": "/sign-in"}), "{what}");
    }
    let page = app.get("/link").expect(200);
    assert_eq!(page.header("cache-control"), "no-store");
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
}

#[test]
fn a_page_of_another_site_can_do_none_of_it() {
    let app = TestApp::spawn();
    let talk = app.start_session();
    let secret = link_of(&app, &talk.token);
    let cookie = format!("companion_person={}", talk.token);
    let foreign = [("origin", "https://evil.example"), ("cookie", cookie.as_str())];
    for what in ["rotate", "link", "recovery", "leave"] {
        app.ask("POST", &format!("/api/v1/me/{what}"), &foreign, b"").refused(403, "foreign_origin");
    }
    open_link(&app, &foreign[..1], &secret).refused(403, "foreign_origin");
    open_link(&app, &[], &secret).expect(200);
}

#[test]
fn a_link_leads_to_where_its_maker_is() {
    let app = TestApp::spawn_with(|config| config.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()]);
    let talk = app.start_session();
    let told = |headers: &str| {
        let token = &talk.token;
        let asked = format!(
            "POST /api/v1/me/link HTTP/1.1\r\nConnection: close\r\nX-Companion-Person: {token}\r\n{headers}\r\n\r\n"
        );
        app.raw(asked)
    };
    for (headers, site) in [
        ("Host: companion.example.org", "http://companion.example.org/link#"),
        ("Host: companion.example.org\r\nX-Forwarded-Proto: https", "https://companion.example.org/link#"),
        (
            "Host: companion.example.org\r\nOrigin: https://companion.example.org",
            "https://companion.example.org/link#",
        ),
        ("Host: [::1]:8000\r\nOrigin: http://[::1]:8000", "http://[::1]:8000/link#"),
    ] {
        let link = text(&told(headers).expect(200).json(), "link");
        assert!(link.starts_with(site), "{headers}: {link}");
    }
    let long = "a.".repeat(200);
    for host in ["", "user@companion.example.org", "a b", long.as_str()] {
        assert_eq!(told(&format!("Host: {host}")).status, 400, "{host}");
    }
}
