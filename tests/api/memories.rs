//! What is remembered of a person: in their hand, found by what it says, and gone when it is forgotten.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::wire::Answer;
use crate::support::{TestApp, files_below, wait_for};

const PATH: &str = "/api/v1/memories";
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

pub fn ask(app: &TestApp, token: &str, method: &str, path: &str, body: &Value) -> Answer {
    let headers = [("x-companion-person", token), ("content-type", "application/json")];
    let body = if body.is_null() { String::new() } else { body.to_string() };
    app.ask(method, path, &headers, body.as_bytes())
}

pub fn add(app: &TestApp, token: &str, body: &Value) -> Value {
    ask(app, token, "POST", PATH, body).expect(201).json()
}

pub fn remember(app: &TestApp, token: &str, text: &str) -> String {
    add(app, token, &json!({"text": text}))["id"].as_str().unwrap().to_owned()
}

pub fn listed(app: &TestApp, token: &str, query: &str) -> Vec<Value> {
    let body = app.get_as(token, &format!("{PATH}{query}")).expect(200).json();
    body["memories"].as_array().unwrap().clone()
}

pub fn texts(app: &TestApp, token: &str, query: &str) -> Vec<String> {
    let text = |memory: &Value| memory["text"].as_str().unwrap().to_owned();
    listed(app, token, query).iter().map(text).collect()
}

/// The files that hold the word.
fn holding(app: &TestApp, word: &str) -> Vec<String> {
    let holds = |file: &std::path::PathBuf| {
        String::from_utf8_lossy(&std::fs::read(file).unwrap_or_default()).contains(word)
    };
    files_below(&app.data_dir())
        .iter()
        .filter(|file| holds(file))
        .map(|file| file.display().to_string())
        .collect()
}

#[test]
fn what_is_added_is_listed_newest_first_and_found_by_what_it_says() {
    let app = TestApp::spawn();
    let token = app.start_session().token;
    let added = add(
        &app,
        &token,
        &json!({
            "text": "My sister lives in Porto", "said_at": "2024-02-29T23:30:00+01:00", "source": "diary",
        }),
    );
    assert_eq!(added["said_at"], "2024-02-29T22:30:00.000Z");
    assert_eq!((&added["source"], &added["session_id"]), (&json!("diary"), &Value::Null));
    assert_eq!(added["created_at"], "2026-11-24T13:54:09.123Z");
    assert!(added.get("score").is_none() && added.get("superseded_at").is_none());
    app.clock.advance(DAY);
    remember(&app, &token, "I am allergic to peanuts");
    assert_eq!(texts(&app, &token, ""), ["I am allergic to peanuts", "My sister lives in Porto"]);
    assert_eq!(texts(&app, &token, "?q=%20"), texts(&app, &token, ""), "nothing is asked");
    let found = listed(&app, &token, "?q=Where%20does%20my%20sister%20live%3F");
    assert_eq!((found.len(), &found[0]["id"]), (1, &added["id"]));
    let score = found[0]["score"].as_f64().unwrap();
    assert!(score > 0.5 && score < 1.0, "it fits best, and was said long ago: {score}");
    assert!(texts(&app, &token, "?q=cathedrals").is_empty());
    assert!(texts(&app, &token, "?q=what+is+it").is_empty(), "words that tell nothing find nothing");
}

#[test]
fn scripts_without_spaces_are_found_by_a_character_and_beside_other_letters() {
    let app = TestApp::spawn();
    let token = app.start_session().token;
    for (text, asked) in [
        ("我养了一只猫", "%E7%8C%AB"),
        ("我在Google工作", "google"),
        ("私はiPhoneが好きです", "iphone"),
        ("ฉันอยู่เชียงใหม่", "%E0%B9%80%E0%B8%8A%E0%B8%B5%E0%B8%A2%E0%B8%87"),
    ] {
        remember(&app, &token, text);
        assert_eq!(texts(&app, &token, &format!("?q={asked}")), [text]);
    }
}

#[test]
fn letters_with_marks_are_found_however_they_are_written() {
    let app = TestApp::spawn();
    for (text, others) in [
        ("My daughter is called Zoe\u{308}", "Zo%C3%AB"),
        ("My daughter is called Zo\u{eb}", "Zoe%CC%88"),
        ("U\u{308}ber Mu\u{308}nchen", "M%C3%BCnchen"),
    ] {
        let token = app.start_session().token;
        remember(&app, &token, text);
        remember(&app, &token, "I like tea");
        assert_eq!(texts(&app, &token, &format!("?q={others}")), [text], "as it was given");
    }
}

#[test]
fn a_list_goes_on_where_the_page_before_ended() {
    let app = TestApp::spawn();
    let token = app.start_session().token;
    for number in 0..25 {
        // Several of one moment.
        if number % 3 == 0 {
            app.clock.advance(Duration::from_millis(1));
        }
        remember(&app, &token, &format!("number {number}"));
    }
    let (mut seen, mut query) = (Vec::new(), "?limit=10".to_owned());
    loop {
        let page = app.get_as(&token, &format!("{PATH}{query}")).expect(200).json();
        seen.extend(
            page["memories"].as_array().unwrap().iter().map(|m| m["text"].as_str().unwrap().to_owned()),
        );
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        query = format!("?limit=10&cursor={cursor}");
    }
    assert_eq!(seen.len(), 25);
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), 25, "each once");
    for wrong in ["?limit=0", "?limit=101", "?limit=x", "?cursor=x"] {
        app.get_as(&token, &format!("{PATH}{wrong}")).refused(400, "validation_error");
    }
}

#[test]
fn what_is_not_valid_is_refused_with_its_field() {
    let app = TestApp::spawn();
    let token = app.start_session().token;
    let long = "x".repeat(2001);
    for (field, body) in [
        ("text", json!({"text": ""})),
        ("text", json!({"text": " \n\u{3000}"})),
        ("text", json!({"text": long})),
        ("said_at", json!({"text": "x", "said_at": "yesterday"})),
        ("said_at", json!({"text": "x", "said_at": "9999-12-31T23:59:59-12:00"})),
        ("source", json!({"text": "x", "source": ""})),
        ("source", json!({"text": "x", "source": "x".repeat(201)})),
        ("body", json!({"said_at": "2024-01-01T00:00:00Z"})),
        ("body", json!({"text": 1})),
    ] {
        let told = ask(&app, &token, "POST", PATH, &body).refused(400, "validation_error").json();
        assert_eq!(told["details"]["field"], field, "{told}");
    }
    assert_eq!(app.count("memories"), 0);
    add(&app, &token, &json!({"text": "x".repeat(2000), "source": "y".repeat(200)}));
    let asked = |letters| format!("{PATH}?q={}", "%F0%9F%8D%B5".repeat(letters));
    assert_eq!(app.get_as(&token, &asked(1000)).expect(200).json()["memories"], json!([]));
    app.get_as(&token, &asked(1001)).refused(400, "validation_error");
    let id = remember(&app, &token, "tea");
    let path = format!("{PATH}/{id}");
    ask(&app, &token, "PATCH", &path, &json!({})).refused(400, "validation_error");
    ask(&app, &token, "PATCH", &path, &json!({"text": ""})).refused(400, "validation_error");
}

#[test]
fn a_correction_is_found_and_what_it_said_before_is_in_no_file() {
    let app = TestApp::spawn();
    let token = app.start_session().token;
    let id = remember(&app, &token, "I live in Unmistakable-Lisbon");
    let path = format!("{PATH}/{id}");
    let change = json!({"text": "I live in Porto", "said_at": "2020-01-02T03:04:05Z", "source": "letter"});
    let corrected = ask(&app, &token, "PATCH", &path, &change).expect(200).json();
    assert_eq!((&corrected["id"], &corrected["text"]), (&json!(id), &json!("I live in Porto")));
    assert_eq!(
        (&corrected["said_at"], &corrected["source"]),
        (&json!("2020-01-02T03:04:05.000Z"), &json!("letter"))
    );
    assert_eq!(texts(&app, &token, "?q=porto"), ["I live in Porto"]);
    assert!(texts(&app, &token, "?q=lisbon").is_empty());
    wait_for("the words are gone", || holding(&app, "Unmistakable").is_empty());
    ask(&app, &token, "PATCH", &path, &json!({"source": "another"})).expect(200);
    assert_eq!(listed(&app, &token, "?q=porto")[0]["source"], "another");
}

#[test]
fn what_is_forgotten_is_in_no_file() {
    let app = TestApp::spawn();
    let token = app.start_session().token;
    let first = remember(&app, &token, "Unmistakable-one is my dog");
    for _ in 0..100 {
        remember(&app, &token, "Unmistakable-two is my cat");
    }
    assert!(!holding(&app, "Unmistakable-one").is_empty());
    ask(&app, &token, "DELETE", &format!("{PATH}/{first}"), &Value::Null).expect(204);
    wait_for("the words are gone", || holding(&app, "Unmistakable-one").is_empty());
    ask(&app, &token, "DELETE", &format!("{PATH}/{first}"), &Value::Null).refused(404, "memory_not_found");
    assert_eq!(texts(&app, &token, "?limit=100").len(), 100);
    ask(&app, &token, "DELETE", PATH, &Value::Null).expect(204);
    wait_for("the words are gone", || holding(&app, "Unmistakable").is_empty());
    assert!(texts(&app, &token, "").is_empty() && texts(&app, &token, "?q=dog").is_empty());
    assert_eq!(app.count("memory_words"), 0);
    ask(&app, &token, "DELETE", PATH, &Value::Null).expect(204);
}

#[test]
fn nobody_sees_or_moves_what_is_anothers() {
    let app = TestApp::spawn();
    let (mine, theirs) = (app.start_session().token, app.start_session().token);
    let id = remember(&app, &mine, "I like tea with milk");
    remember(&app, &mine, "I like coffee");
    let before = listed(&app, &mine, "?q=tea%20or%20coffee");
    for number in 0..50 {
        add(&app, &theirs, &json!({"text": format!("tea tea tea {number}"), "source": "mine"}));
    }
    assert_eq!(listed(&app, &mine, "?q=tea%20or%20coffee"), before, "others' words move no score of mine");
    let path = format!("{PATH}/{id}");
    let unknown = format!("{PATH}/{}", uuid::Uuid::new_v4());
    for path in [&path, &unknown, &format!("{PATH}/x"), &format!("{PATH}/%27%20OR%201=1")] {
        ask(&app, &theirs, "PATCH", path, &json!({"text": "x"})).refused(404, "memory_not_found");
        ask(&app, &theirs, "DELETE", path, &Value::Null).refused(404, "memory_not_found");
    }
    assert!(texts(&app, &theirs, "?limit=100").iter().all(|text| text.starts_with("tea tea")));
    assert!(texts(&app, &theirs, "?q=milk").is_empty());
    ask(&app, &theirs, "DELETE", PATH, &Value::Null).expect(204);
    assert_eq!(listed(&app, &mine, "?q=tea%20or%20coffee"), before);
    app.get(PATH).refused(401, "unauthorized");
    app.post(PATH, &[], &json!({"text": "x"})).refused(401, "unauthorized");
}

#[test]
fn neighbours_of_one_source_help_each_other() {
    let app = TestApp::spawn();
    let token = app.start_session().token;
    let tell = |minute: u32, source: &str, text: &str| {
        let said_at = format!("2026-01-01T10:{minute:02}:00Z");
        add(&app, &token, &json!({"text": text, "said_at": said_at, "source": source}));
    };
    // In another order than they were said in.
    tell(2, "evening", "It was freezing");
    tell(1, "evening", "We went swimming in the lake");
    tell(2, "morning", "It was freezing");
    let found = listed(&app, &token, "?q=lake");
    let told: Vec<_> =
        found.iter().map(|m| (m["source"].as_str().unwrap(), m["text"].as_str().unwrap())).collect();
    assert_eq!(told, [("evening", "We went swimming in the lake"), ("evening", "It was freezing")]);
}

#[test]
fn where_there_is_no_room_for_more_the_oldest_goes_and_the_export_tells() {
    let app = TestApp::spawn_with(|config| config.limits.max_memories_per_person = 3);
    let token = app.start_session().token;
    let other = app.start_session().token;
    remember(&app, &other, "somebody else's");
    let ids: Vec<_> = (0..5)
        .map(|number| {
            app.clock.advance(DAY);
            remember(&app, &token, &format!("fact {number}"))
        })
        .collect();
    assert_eq!(texts(&app, &token, ""), ["fact 4", "fact 3", "fact 2"]);
    let export = app.export(&token).expect(200).json();
    let gone: Vec<_> =
        export["memories_dropped"].as_array().unwrap().iter().map(|gone| gone["id"].clone()).collect();
    assert_eq!(gone, [json!(ids[0]), json!(ids[1])]);
    let dropped = &export["memories_dropped"][0];
    assert_eq!(
        (&dropped["said_at"], &dropped["dropped_at"]),
        (&json!("2026-11-25T13:54:09.123Z"), &json!("2026-11-28T13:54:09.123Z"))
    );
    assert_eq!(texts(&app, &other, ""), ["somebody else's"]);
    ask(&app, &token, "DELETE", PATH, &Value::Null).expect(204);
    assert_eq!(app.export(&token).expect(200).json()["memories_dropped"], json!([]));
}

#[test]
fn the_export_holds_all_of_them() {
    let app = TestApp::spawn();
    let token = app.start_session().token;
    assert_eq!(app.export(&token).expect(200).json()["memories"], json!([]));
    for number in 0..250 {
        remember(&app, &token, &format!("\"fact\" {number}\n"));
    }
    let export = app.export(&token).expect(200).json();
    let exported = export["memories"].as_array().unwrap();
    assert_eq!(exported.len(), 250);
    let newest = &listed(&app, &token, "?limit=1")[0];
    assert_eq!(&exported[0], newest);
}

#[test]
fn who_is_erased_leaves_no_memory() {
    let app = TestApp::spawn();
    let token = app.start_session().token;
    remember(&app, &token, "Unmistakable is my dog");
    app.erase(&token).expect(200);
    assert_eq!((app.count("memories"), app.count("memory_words")), (0, 0));
    wait_for("the words are gone", || holding(&app, "Unmistakable").is_empty());
    ask(&app, &token, "POST", PATH, &json!({"text": "x"})).refused(401, "unauthorized");
}

#[test]
fn a_low_disk_takes_no_more_and_still_forgets() {
    let app = TestApp::spawn();
    let token = app.start_session().token;
    let id = remember(&app, &token, "tea");
    let app = app.restart_with(|config| config.storage.min_free_disk_bytes = u64::MAX);
    ask(&app, &token, "POST", PATH, &json!({"text": "x"})).refused(507, "insufficient_storage");
    let path = format!("{PATH}/{id}");
    ask(&app, &token, "PATCH", &path, &json!({"text": "x"})).refused(507, "insufficient_storage");
    assert_eq!(texts(&app, &token, "?q=tea"), ["tea"]);
    ask(&app, &token, "DELETE", &path, &Value::Null).expect(204);
}
