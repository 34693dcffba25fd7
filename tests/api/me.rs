//! What a person can ask about themselves: who am I here, give me everything, forget me.

use std::time::Duration;

use companion::domain::clock::Timestamp;
use serde_json::{Value, json};

use crate::support::wire::Wire;
use crate::support::{BEGINNING, TestApp, seed, wait_for};

fn after_beginning(millis: i64) -> String {
    Timestamp::from_millis(BEGINNING + millis).to_string()
}

#[test]
fn a_person_is_told_what_is_kept_and_how_long() {
    let app = TestApp::spawn();
    let talk = app.start_session();
    app.clock.advance(Duration::from_secs(7200));
    let body = app.get_as(&talk.token, "/api/v1/me").expect(200).json();
    assert_eq!(body["created_at"], after_beginning(0));
    let announced = json!({"session_days": 7, "person_days": 400, "memory_days": null, "audio_hours": 24});
    assert_eq!(body["retention"], announced);
    assert_eq!(body["max_memories"], 10_000);
    let body = app.get_as(&talk.token, "/api/v1/me").expect(200).json();
    assert_eq!(body["last_seen_at"], after_beginning(7_200_000));
    let app = TestApp::spawn_with(|config| {
        config.retention.session_days = None;
        config.retention.person_days = None;
    });
    let talk = app.start_session();
    let body = app.get_as(&talk.token, "/api/v1/me").expect(200).json();
    assert_eq!(
        body["retention"],
        json!({"session_days": null, "person_days": null, "memory_days": null, "audio_hours": 24})
    );
}

#[test]
fn a_person_is_told_when_nobody_does_the_maintenance() {
    let app = TestApp::spawn();
    let talk = app.start_session();
    let overdue = || app.get_as(&talk.token, "/api/v1/me").expect(200).json()["maintenance_overdue"].clone();
    app.clock.advance(Duration::from_secs(48 * 3600));
    assert_eq!(overdue(), json!([]));
    app.clock.advance(Duration::from_secs(1));
    assert_eq!(overdue(), json!(["cleanup-sessions", "cleanup-audio", "backup-db"]));
    let succeeded =
        "INSERT INTO maintenance_runs (job, started_at, ended_at, outcome) VALUES ('backup-db', ?1, ?1, ?2)";
    let at = BEGINNING + 3_600_000;
    app.db().execute(succeeded, rusqlite::params![at, "failed"]).unwrap();
    assert_eq!(overdue().as_array().unwrap().len(), 3, "a failed run is none");
    app.db().execute(succeeded, rusqlite::params![at, "succeeded"]).unwrap();
    assert_eq!(overdue(), json!(["cleanup-sessions", "cleanup-audio"]));
}

#[test]
fn an_export_is_one_document_with_everything() {
    let app = TestApp::spawn();
    let talk = app.start(&[], &json!({"remember": false}));
    app.say(&talk, "a \"quoted\" word").expect(200);
    app.patch(&talk, &json!({"title": "the first", "pinned": true})).expect(200);
    app.say(&app.start_session(), "of someone else").expect(200);
    let answer = app.export(&talk.token).expect(200);
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.header("content-disposition"), "attachment; filename=\"companion-export.json\"");
    let at = after_beginning(0);
    let messages = [
        json!({"role": "user", "text": "a \"quoted\" word", "created_at": at}),
        json!({"role": "assistant", "text": "You said: a \"quoted\" word", "created_at": at}),
    ];
    let session = json!({
        "id": talk.session, "title": "the first", "created_at": at, "last_active_at": at, "expires_at": null,
        "pinned": true, "remembered": false, "messages": messages,
    });
    let none: [u8; 0] = [];
    let person = json!({
        "created_at": at, "last_seen_at": at, "devices": none, "links": none, "recovery_code": null,
    });
    let whole = json!({
        "exported_at": at, "person": person, "sessions": [session], "memories": none, "memories_dropped": none,
    });
    assert_eq!(answer.json(), whole);
}

#[test]
fn an_export_tells_where_the_audio_of_an_answer_is_as_the_conversation_does() {
    let app = TestApp::spawn();
    let talk = app.start_session();
    app.say(&talk, "aloud, please").expect(200);
    let audio = seed::audio(&app, &talk, "mp3", b"0123456789");
    let exported = app.export(&talk.token).expect(200).json()["sessions"][0]["messages"].clone();
    assert_eq!(exported[1]["audio_url"], format!("/api/v1/voice/audio/{audio}"));
    assert_eq!(exported, app.session(&talk, "").json()["messages"]);
}

#[test]
fn an_export_of_someone_with_nothing_is_a_document_too() {
    let app = TestApp::spawn();
    let talk = app.start_session();
    app.delete(&talk, "").expect(204);
    assert_eq!(app.export(&talk.token).expect(200).json()["sessions"], json!([]));
}

/// An export whose answer is read as slowly as the test likes.
fn ask_for_export(app: &TestApp, token: &str) -> Wire {
    let mut wire = app.wire();
    wire.send(format!(
        "GET /api/v1/me/export HTTP/1.1\r\nHost: x\r\nX-Companion-Person: {token}\r\nConnection: close\r\n\r\n"
    ));
    wire
}

/// Session ids and, of each, what was said.
fn exported(document: &Value) -> Vec<(String, Vec<String>)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let sessions = document["sessions"].as_array().unwrap().iter();
    sessions
        .map(|session| {
            let messages = session["messages"].as_array().unwrap().iter();
            let said = messages.filter(|message| message["role"] == "user");
            (text(&session["id"]), said.map(|message| text(&message["text"])).collect())
        })
        .collect()
}

#[test]
fn an_export_goes_beyond_every_page() {
    let app = TestApp::spawn();
    let talk = app.start_session();
    app.say(&talk, "once").expect(200);
    let mut expected = vec![(talk.session.clone(), vec!["once".to_owned()])];
    for (sessions, turns) in [(120, 0), (1, 100), (1, 101), (1, 350)] {
        let said: Vec<_> = (0..turns).map(|turn| format!("said {turn}")).collect();
        let ids = seed::sessions(&app, &talk.token, sessions, turns, "said");
        expected.extend(ids.into_iter().map(|id| (id, said.clone())));
    }
    let mut held = exported(&app.export(&talk.token).expect(200).json());
    held.sort();
    expected.sort();
    assert_eq!(held, expected);
}

#[test]
fn an_export_comes_in_pieces_of_a_bounded_size() {
    let app = TestApp::spawn();
    let talk = app.start_session();
    seed::sessions(&app, &talk.token, 1, 350, "said");
    seed::sessions(&app, &talk.token, 1, 100, &"many words ".repeat(2000));
    for number in 0..50 {
        let memory = json!({"text": format!("I like tea number {number}")});
        app.post("/api/v1/memories", &[("x-companion-person", &talk.token)], &memory).expect(201);
    }
    let mut wire = ask_for_export(&app, &talk.token);
    wire.head().expect(200);
    let (mut document, mut pieces) = (Vec::new(), 0);
    while let Some(piece) = wire.chunk() {
        let text = str::from_utf8(&piece).unwrap();
        let (turns, memories) = (text.matches("\"user\"").count(), text.matches("\"source\"").count());
        assert!(turns <= 100 && memories <= 20, "{turns} turns and {memories} memories");
        // It is looked after every four turns how long they are.
        assert!(piece.len() < (128 << 10) + 4 * 23_000, "{}", piece.len());
        document.extend(piece);
        pieces += 1;
    }
    assert!(pieces > 15, "{pieces}");
    let whole: Value = serde_json::from_slice(&document).unwrap();
    assert_eq!(exported(&whole).iter().map(|(_, said)| said.len()).sum::<usize>(), 450);
    assert_eq!(whole["memories"].as_array().unwrap().len(), 50);
}

#[test]
fn a_session_talked_in_while_an_export_is_read_is_in_it_once() {
    let app = TestApp::spawn();
    let talk = app.start_session();
    // Much more than the buffers between server and client hold: the export cannot run ahead of its reader.
    let mut expected = seed::sessions(&app, &talk.token, 60, 40, &"many words ".repeat(2000));
    let oldest =
        crate::support::Talk { session: expected.last().unwrap().clone(), token: talk.token.clone() };
    expected.push(talk.session);
    let mut wire = ask_for_export(&app, &talk.token);
    let head = wire.head().expect(200);
    assert_eq!(head.header("transfer-encoding"), "chunked");
    let mut document = wire.chunk().unwrap();
    app.say(&oldest, "meanwhile").expect(200);
    while let Some(chunk) = wire.chunk() {
        document.extend(chunk);
    }
    let held = exported(&serde_json::from_slice(&document).unwrap());
    let mut held: Vec<_> = held.into_iter().map(|(id, _)| id).collect();
    held.sort();
    expected.sort();
    assert_eq!(held, expected);
}

#[test]
fn an_export_that_fails_half_way_does_not_look_whole() {
    let app = TestApp::spawn();
    let talk = app.start_session();
    // Much more than the buffers between server and client hold: the export cannot run ahead of its reader.
    seed::sessions(&app, &talk.token, 60, 40, &"many words ".repeat(2000));
    let mut wire = ask_for_export(&app, &talk.token);
    assert_eq!(wire.head().status, 200);
    let mut begun = 0;
    while begun < 100_000 {
        begun += wire.chunk().unwrap().len();
    }
    app.db().execute_batch("ALTER TABLE checkpoints RENAME TO gone").unwrap();
    let rest = wire.broken();
    app.db().execute_batch("ALTER TABLE gone RENAME TO checkpoints").unwrap();
    assert!(!rest.ends_with(b"0\r\n\r\n"), "it ends as a whole document would");
}

#[test]
fn an_erased_person_is_nowhere() {
    let app = TestApp::spawn();
    let talk = app.start_session();
    for message in ["an unmistakable sentence", "and an unmistakable other"] {
        app.say(&talk, message).expect(200);
    }
    let audio = seed::audio(&app, &talk, "mp3", b"unmistakable sound");
    let second = app.start_session_of(&talk.token);
    app.say(&second, "unmistakable too").expect(200);
    let stranger = app.start_session();
    app.say(&stranger, "words of someone else").expect(200);
    let id: Vec<u8> =
        app.db().query_row("SELECT public_id FROM persons ORDER BY id", [], |row| row.get(0)).unwrap();
    let id = uuid::Uuid::from_slice(&id).unwrap().to_string();

    let answer = app.erase(&talk.token).expect(200);
    assert_eq!(answer.json(), json!({"erased_at": after_beginning(0), "backups_until": null}));
    let cookie = answer.header("set-cookie");
    assert!(cookie.starts_with("companion_person=; ") && cookie.contains("Max-Age=0"), "{cookie}");
    let holds = |file: &std::path::PathBuf| {
        // A file may be gone a moment after it was listed.
        String::from_utf8_lossy(&std::fs::read(file).unwrap_or_default()).contains("unmistakable")
    };
    wait_for("the words are gone", || !app.files().iter().any(holds));
    let ledger = std::fs::read_to_string(app.data_dir().join("erasures")).unwrap();
    assert_eq!(ledger, format!("{id} {}\n", after_beginning(0)));
    app.sessions(&talk.token, "").refused(401, "unauthorized");
    app.erase(&talk.token).refused(401, "unauthorized");
    app.say(&second, "hello?").refused(404, "session_not_found");
    app.get(&format!("/api/v1/voice/audio/{audio}")).refused(404, "audio_not_found");
    assert_eq!((app.count("persons"), app.count("sessions"), app.count("checkpoints")), (1, 1, 1));
    assert_eq!(app.said(&stranger), ["words of someone else"]);
}

#[test]
fn a_person_erased_while_a_turn_runs_stays_erased() {
    let app = TestApp::spawn();
    let talk = app.start_session();
    let gate = app.model.hold_next("some", " words");
    let mut streamed = app.stream(&json!({"session_id": talk.session, "message": "hello"}));
    assert_eq!(streamed.event().unwrap().name, "token");
    app.erase(&talk.token).expect(200);
    gate.open();
    assert_eq!(streamed.events().pop().unwrap().data["error"], "session_not_found");
    assert_eq!((app.count("persons"), app.count("checkpoints")), (0, 0));
}

#[test]
fn an_erasure_sent_twice_takes_nobody_else_along() {
    let app = TestApp::spawn();
    let talk = app.start_session();
    let ledger =
        || std::fs::read_to_string(app.data_dir().join("erasures")).unwrap_or_default().lines().count();
    let stranger = std::thread::scope(|scope| {
        // Nothing can be written while this is held, so that what is asked for waits in the order it came.
        let blocker = app.db();
        blocker.execute_batch("BEGIN IMMEDIATE").unwrap();
        let first = scope.spawn(|| app.erase(&talk.token));
        wait_for("the first erasure is under way", || ledger() == 1);
        let stranger = scope.spawn(|| app.start_session());
        app.get("/livez").expect(200);
        let second = scope.spawn(|| app.erase(&talk.token));
        wait_for("the second erasure is under way", || ledger() == 2);
        blocker.execute_batch("ROLLBACK").unwrap();
        first.join().unwrap().expect(200);
        second.join().unwrap().expect(200);
        stranger.join().unwrap()
    });
    app.session(&stranger, "").expect(200);
    assert_eq!(app.count("persons"), 1);
}

#[test]
fn an_erasure_tells_until_when_a_backup_holds_it() {
    let app = TestApp::spawn();
    let talk = app.start_session();
    let manifest = json!({
        "schema": 1, "created_at": after_beginning(0), "program": "companion", "schema_version": 3,
        "database_bytes": 1, "bytes": 1, "sha256": "", "persons": 1, "sessions": 1, "checkpoints": 0,
    });
    let backup = app.data_dir().join("backups").join("companion-20261124T000000Z");
    std::fs::write(backup.with_extension("db.zst"), "x").unwrap();
    std::fs::write(backup.with_extension("json"), manifest.to_string()).unwrap();
    let body = app.erase(&talk.token).expect(200).json();
    // 30 days that an accident may have it guarded for, and one until the next backup removes it.
    assert_eq!(body["backups_until"], "2027-01-01", "seven backups are kept, one a day, and 31 days more");
}

#[test]
fn erasing_over_tls_takes_both_cookies_away() {
    let app = TestApp::spawn_with(|config| config.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()]);
    let talk = app.start_session();
    let headers = [("x-companion-person", talk.token.as_str()), ("x-forwarded-proto", "https")];
    let answer = app.ask("DELETE", "/api/v1/me", &headers, b"").expect(200);
    let mut names: Vec<_> =
        answer.all("set-cookie").iter().map(|cookie| cookie.split(';').next().unwrap()).collect();
    names.sort_unstable();
    assert_eq!(names, ["__Host-companion_person=", "companion_person="]);
    assert!(answer.all("set-cookie").iter().all(|cookie| cookie.contains("Max-Age=0")));
}
