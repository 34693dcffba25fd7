//! Sessions: start, list, look at, rename, pin, delete.

use std::time::Duration;

use companion::domain::clock::Timestamp;
use companion::domain::retention::RetentionDays;
use serde_json::{Value, json};

use crate::support::{BEGINNING, Talk, TestApp, seed, wait_for};

const START: &str = "/api/v1/session/start";
const DAY: i64 = 24 * 3600 * 1000;

fn after_beginning(millis: i64) -> String {
    Timestamp::from_millis(BEGINNING + millis).to_string()
}

fn ids(list: &Value) -> Vec<String> {
    let sessions = list["sessions"].as_array().unwrap();
    sessions.iter().map(|session| session["id"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_session_starts_with_a_greeting_whatever_the_body() {
    let app = TestApp::spawn();
    let without = app.ask("POST", START, &[], b"").expect(200);
    let empty_object = app.post(START, &[], &json!({})).expect(200);
    let remembered = app.post(START, &[], &json!({"remember": true})).expect(200);
    let unknown_field = app.post(START, &[], &json!({"voice": "x"})).expect(200);
    for started in [without, empty_object, remembered, unknown_field] {
        let body = started.json();
        let id = uuid::Uuid::parse_str(body["session_id"].as_str().unwrap()).unwrap();
        assert_eq!(id.get_version_num(), 4);
        assert!(!body["message"].as_str().unwrap().is_empty());
        assert_eq!(body.as_object().unwrap().len(), 2, "exactly the predecessor's fields: {body}");
    }
}

#[test]
fn a_start_that_cannot_be_understood_starts_nothing() {
    let app = TestApp::spawn();
    let json = [("content-type", "application/json")];
    for body in ["{", "null", "{\"remember\": 1}", "{\"remember\": null}", "\"x\"", "{} x", "[]", " [false]"]
    {
        app.ask("POST", START, &json, body.as_bytes()).refused(400, "validation_error");
    }
    app.ask("POST", START, &[("content-type", "text/plain")], b"{}").refused(415, "unsupported_media_type");
    assert_eq!((app.count("sessions"), app.count("persons")), (0, 0));
}

#[test]
fn the_list_shows_the_last_active_first_with_all_that_is_known() {
    let app = TestApp::spawn();
    let first = app.start_session();
    app.clock.advance(Duration::from_secs(1));
    let second = app.start_session_of(&first.token);
    app.clock.advance(Duration::from_secs(1));
    app.say(&first, "  good\n evening ").expect(200);
    let list = app.sessions(&first.token, "").expect(200).json();
    let shown = |talk: &Talk, title: Value, created: i64, active: i64, turns: u64| {
        json!({
            "id": talk.session, "title": title, "created_at": after_beginning(created),
            "last_active_at": after_beginning(active), "expires_at": after_beginning(active + 7 * DAY),
            "pinned": false, "remembered": true, "checkpoints": turns,
        })
    };
    let sessions =
        [shown(&first, json!("good evening"), 0, 2000, 1), shown(&second, Value::Null, 1000, 1000, 0)];
    assert_eq!(list, json!({"sessions": sessions, "next_cursor": null}));
}

#[test]
fn pages_put_together_are_the_whole_list() {
    let app = TestApp::spawn();
    let talk = app.start_session();
    let mut expected = vec![talk.session.clone()];
    expected.extend(seed::sessions(&app, &talk.token, 104, 0, ""));
    for limit in [1, 7, 35, 100] {
        let (mut seen, mut cursor, mut pages) = (Vec::new(), String::new(), 0);
        loop {
            let page = app.sessions(&talk.token, &format!("?limit={limit}{cursor}")).expect(200).json();
            assert!(ids(&page).len() <= limit && !ids(&page).is_empty());
            seen.extend(ids(&page));
            pages += 1;
            let Some(next) = page["next_cursor"].as_str() else { break };
            cursor = format!("&cursor={next}");
        }
        assert_eq!(seen, expected, "limit {limit}");
        assert_eq!(pages, 105_usize.div_ceil(limit), "no empty page at the end");
    }
    assert_eq!(ids(&app.sessions(&talk.token, "").json()).len(), 50, "without a limit");
}

#[test]
fn sessions_of_the_same_moment_are_each_on_one_page() {
    let app = TestApp::spawn();
    let talk = app.start_session();
    let mut expected = vec![talk.session.clone()];
    expected.extend((0..6).map(|_| app.start_session_of(&talk.token).session));
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = app.sessions(&talk.token, &format!("?limit=2{cursor}")).expect(200).json();
        seen.extend(ids(&page));
        let Some(next) = page["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    seen.sort();
    expected.sort();
    assert_eq!(seen, expected);
}

#[test]
fn limits_and_cursors_that_mean_nothing_are_told() {
    let app = TestApp::spawn();
    let talk = app.start_session();
    for limit in ["0", "101", "-1", "abc", "", "1.5", "99999999999999999999"] {
        let query = format!("?limit={limit}");
        for answer in [app.sessions(&talk.token, &query), app.session(&talk, &query)] {
            let body = answer.refused(400, "validation_error").json();
            assert_eq!(body["details"]["field"], "limit");
            assert_eq!(body["message"], "limit: must be a whole number from 1 to 100");
        }
    }
    for cursor in ["x", "", "1_2", "_", "-1", "99999999999999999999"] {
        let query = format!("?cursor={cursor}");
        for answer in [app.sessions(&talk.token, &query), app.session(&talk, &query)] {
            assert_eq!(
                answer.refused(400, "validation_error").json()["details"]["field"],
                "cursor",
                "{cursor}"
            );
        }
    }
    for limit in ["1", "100"] {
        app.sessions(&talk.token, &format!("?limit={limit}")).expect(200);
    }
}

#[test]
fn one_session_shows_its_messages_in_order() {
    let app = TestApp::spawn();
    let talk = app.start_session();
    app.clock.advance(Duration::from_secs(5));
    app.say(&talk, "hello").expect(200);
    let audio = seed::audio(&app, &talk, "mp3", b"sound");
    app.clock.advance(Duration::from_secs(5));
    app.say(&talk, "and more").expect(200);
    let body = app.session(&talk, "").expect(200).json();
    assert_eq!(
        body,
        json!({
            "id": talk.session, "title": "hello", "created_at": after_beginning(0),
            "last_active_at": after_beginning(10_000), "expires_at": after_beginning(10_000 + 7 * DAY),
            "pinned": false, "remembered": true, "checkpoints": 2,
            "messages": [
                {"role": "user", "text": "hello", "created_at": after_beginning(5000)},
                {"role": "assistant", "text": "You said: hello", "created_at": after_beginning(5000),
                    "audio_url": format!("/api/v1/voice/audio/{audio}")},
                {"role": "user", "text": "and more", "created_at": after_beginning(10_000)},
                {"role": "assistant", "text": "You said: and more", "created_at": after_beginning(10_000)},
            ],
            "next_cursor": null,
        })
    );
}

#[test]
fn a_long_conversation_comes_in_pages_from_its_end() {
    let app = TestApp::spawn();
    let person = app.start_session();
    let session = seed::sessions(&app, &person.token, 1, 120, "turn").remove(0);
    let talk = Talk { session, token: person.token };
    let expected: Vec<_> = (0..120).map(|turn| format!("turn {turn}")).collect();
    for limit in [1, 50, 60, 100] {
        let (mut seen, mut cursor, mut pages) = (Vec::new(), String::new(), 0);
        loop {
            let page = app.session(&talk, &format!("?limit={limit}{cursor}")).expect(200).json();
            let messages = page["messages"].as_array().unwrap();
            let said = messages.iter().filter(|message| message["role"] == "user");
            let mut said: Vec<_> = said.map(|message| message["text"].as_str().unwrap().to_owned()).collect();
            assert!(said.len() <= limit);
            said.extend(seen);
            seen = said;
            pages += 1;
            let Some(next) = page["next_cursor"].as_str() else { break };
            cursor = format!("&cursor={next}");
        }
        assert_eq!(seen, expected, "limit {limit}");
        assert_eq!(pages, 120_usize.div_ceil(limit));
    }
}

#[test]
fn a_title_and_a_pin_are_kept() {
    let app = TestApp::spawn();
    let talk = app.start_session();
    let expiring = json!(after_beginning(7 * DAY));
    let longest = "\u{e4}".repeat(200);
    for (change, title, pinned, expires) in [
        (json!({"title": "  evening talk "}), "evening talk", false, &expiring),
        (json!({"pinned": true}), "evening talk", true, &Value::Null),
        (json!({"title": longest, "pinned": false}), longest.as_str(), false, &expiring),
    ] {
        let changed = app.patch(&talk, &change).expect(200).json();
        assert_eq!(changed["title"], title);
        assert_eq!(changed["pinned"], pinned);
        assert_eq!(changed["expires_at"], *expires);
        let seen = app.sessions(&talk.token, "").json()["sessions"][0].clone();
        assert_eq!(seen, changed, "what is answered is what is kept");
    }
    app.say(&talk, "the title is no longer taken from this").expect(200);
    assert_eq!(app.session(&talk, "").json()["title"], longest.as_str());
}

#[test]
fn a_change_that_means_nothing_changes_nothing() {
    let app = TestApp::spawn();
    let talk = app.start_session();
    app.patch(&talk, &json!({"title": "before"})).expect(200);
    let too_long = "x".repeat(201);
    for change in [
        json!({}),
        json!({"title": ""}),
        json!({"title": " \n "}),
        json!({"title": too_long}),
        json!({"title": "two\nlines"}),
        json!({"title": 7}),
        json!({"pinned": "yes"}),
        json!({"title": "good", "pinned": 1}),
        json!({"other": true}),
        json!([]),
    ] {
        app.patch(&talk, &change).refused(400, "validation_error");
        assert_eq!(app.session(&talk, "").json()["title"], "before", "{change}");
    }
    let path = format!("/api/v1/sessions/{}", talk.session);
    let headers = [("x-companion-person", talk.token.as_str())];
    app.ask("PATCH", &path, &headers, b"{\"pinned\":true}").refused(415, "unsupported_media_type");
}

#[test]
fn a_session_says_when_it_goes() {
    let app = TestApp::spawn();
    let unremembered = app.start(&[], &json!({"remember": false}));
    let expires = |app: &TestApp, talk: &Talk| app.session(talk, "").expect(200).json()["expires_at"].clone();
    assert_eq!(expires(&app, &unremembered), after_beginning(DAY), "unremembered: idle for a day");
    app.patch(&unremembered, &json!({"pinned": true})).expect(200);
    assert_eq!(expires(&app, &unremembered), Value::Null);
    app.finish();
    for (days, expected) in [(RetentionDays::new(1), json!(after_beginning(DAY))), (None, Value::Null)] {
        let app = TestApp::spawn_with(|config| {
            config.retention.session_days = days;
            config.retention.person_days = None;
        });
        assert_eq!(expires(&app, &app.start_session()), expected);
    }
}

#[test]
fn a_session_is_promised_no_longer_than_its_person_is_kept() {
    for session_days in [None, RetentionDays::new(500)] {
        let app = TestApp::spawn_with(|config| {
            config.retention.session_days = session_days;
            config.retention.person_days = RetentionDays::new(30);
        });
        let talk = app.start_session();
        let in_list =
            || app.sessions(&talk.token, "").expect(200).json()["sessions"][0]["expires_at"].clone();
        let exported = || app.export(&talk.token).expect(200).json()["sessions"][0]["expires_at"].clone();
        assert_eq!(in_list(), after_beginning(30 * DAY));
        app.clock.advance(Duration::from_secs(2 * 86_400));
        assert_eq!(in_list(), after_beginning(32 * DAY), "they have come again just now");
        assert_eq!(exported(), after_beginning(32 * DAY));
        let changed = app.patch(&talk, &json!({"title": "rivers"})).expect(200).json();
        assert_eq!(changed["expires_at"], after_beginning(32 * DAY));
        app.patch(&talk, &json!({"pinned": true})).expect(200);
        assert_eq!(
            (in_list(), exported()),
            (Value::Null, Value::Null),
            "a pinned one stays as long as they do"
        );
    }
}

#[test]
fn a_deleted_session_is_gone_with_its_words_and_its_audio() {
    let app = TestApp::spawn();
    let talk = app.start_session();
    app.say(&talk, "an unmistakable sentence").expect(200);
    let audio = seed::audio(&app, &talk, "mp3", b"sound");
    let gone = app.delete(&talk, "").expect(204);
    assert_eq!(gone.body, b"");
    app.session(&talk, "").refused(404, "session_not_found");
    app.delete(&talk, "").refused(404, "session_not_found");
    app.patch(&talk, &json!({"pinned": true})).refused(404, "session_not_found");
    app.say(&talk, "still there?").refused(404, "session_not_found");
    app.get(&format!("/api/v1/voice/audio/{audio}")).refused(404, "audio_not_found");
    assert_eq!(ids(&app.sessions(&talk.token, "").expect(200).json()), [""; 0]);
    assert!(app.files().iter().all(|file| !file.display().to_string().contains(&audio)));
    let holds = |file: &std::path::PathBuf| {
        String::from_utf8_lossy(&std::fs::read(file).unwrap()).contains("unmistakable")
    };
    // A reader of the database can have been in the way at first.
    wait_for("no file holds the words", || !app.files().iter().any(holds));
}

#[test]
fn keep_memories_is_yes_or_no() {
    let app = TestApp::spawn();
    let talk = app.start_session();
    for bad in ["?keep_memories=", "?keep_memories=1", "?keep_memories=yes", "?keep_memories=TRUE"] {
        let body = app.delete(&talk, bad).refused(400, "validation_error").json();
        assert_eq!(body["details"]["field"], "keep_memories");
    }
    app.delete(&talk, "?keep_memories=true").expect(204);
    let talk = app.start_session_of(&talk.token);
    app.delete(&talk, "?keep_memories=false").expect(204);
    assert_eq!(app.count("sessions"), 0);
}
