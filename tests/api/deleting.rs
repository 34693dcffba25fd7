//! What is deleted is gone from every file, also when the client leaves half-way.

use serde_json::json;

use crate::support::{Talk, TestApp, seed, wait_for};

/// The files that hold the word.
fn holding(app: &TestApp, word: &str) -> Vec<String> {
    let holds = |file: &std::path::PathBuf| {
        // A file may be gone a moment after it was listed.
        String::from_utf8_lossy(&std::fs::read(file).unwrap_or_default()).contains(word)
    };
    app.files().iter().filter(|file| holds(file)).map(|file| file.display().to_string()).collect()
}

/// A conversation with an unmistakable word and an audio reply; with it the reply's file.
fn talk_with_audio(app: &TestApp) -> (Talk, std::path::PathBuf) {
    let talk = app.start_session();
    app.say(&talk, "an unmistakable sentence").expect(200);
    let audio = seed::audio(app, &talk, "mp3", b"unmistakable sound");
    (talk, app.data_dir().join("audio").join(format!("{audio}.mp3")))
}

/// Asks for a deletion and leaves while nothing can be written; `begun` tells when it is under way.
fn ask_and_leave(app: &TestApp, path: &str, token: &str, begun: impl FnOnce()) {
    let blocker = app.db();
    let stranger = app.start_session();
    let _never_opened = app.model.hold_next("some", " words");
    let mut streamed = app.stream(&json!({"session_id": stranger.session, "message": "not kept"}));
    assert_eq!(streamed.event().unwrap().name, "token");
    blocker.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut wire = app.wire();
    wire.send(format!("DELETE {path} HTTP/1.1\r\nHost: x\r\nX-Companion-Person: {token}\r\n\r\n"));
    begun();
    drop(wire);
    let before = app.model.dropped();
    // Once it was noticed that this one has left, so was the other.
    drop(streamed);
    wait_for("the model's work is dropped", || app.model.dropped() == before + 1);
    blocker.execute_batch("ROLLBACK").unwrap();
}

#[test]
fn a_session_is_deleted_to_the_end_when_the_client_leaves() {
    let app = TestApp::spawn();
    let (talk, audio) = talk_with_audio(&app);
    let path = format!("/api/v1/sessions/{}", talk.session);
    // A request that was left before the server had begun with it is not carried out, and has to be sent again.
    wait_for("the session is deleted", || {
        ask_and_leave(&app, &path, &talk.token, || drop(app.sessions(&talk.token, "").expect(200)));
        app.patch(&talk, &json!({"title": "still here"})).status == 404
    });
    wait_for("its audio is gone", || !audio.exists());
    wait_for("its words are gone", || holding(&app, "unmistakable").is_empty());
    app.say(&talk, "hello?").refused(404, "session_not_found");
}

#[test]
fn a_person_is_erased_to_the_end_when_the_client_leaves() {
    let app = TestApp::spawn();
    let (talk, audio) = talk_with_audio(&app);
    let ledger = app.data_dir().join("erasures");
    ask_and_leave(&app, "/api/v1/me", &talk.token, || {
        wait_for("the erasure is under way", || {
            std::fs::read_to_string(&ledger).is_ok_and(|l| !l.is_empty())
        });
    });
    wait_for("the person is erased", || app.sessions(&talk.token, "").status == 401);
    wait_for("their audio is gone", || !audio.exists());
    wait_for("their words are gone", || holding(&app, "unmistakable").is_empty());
    app.say(&talk, "hello?").refused(404, "session_not_found");
}

#[test]
fn a_session_whose_deletion_was_begun_is_out_of_reach_and_goes_at_the_next_start() {
    let app = TestApp::spawn();
    let (talk, audio) = talk_with_audio(&app);
    let asked_again = app.start_session();
    app.say(&asked_again, "hello").expect(200);
    // What this server itself found to be begun it has gone through before it notes its first numbers.
    wait_for("the numbers are noted", || app.count("samples") == 2);
    let begun = "INSERT INTO deletions (session_id, keep_memories) SELECT id, 0 FROM sessions";
    assert_eq!(app.db().execute(begun, []).unwrap(), 2);
    let kept = app.start_session();
    // What was last said there is still known from before.
    for _ in 0..2 {
        app.say(&talk, "hello?").refused(404, "session_not_found");
    }
    assert_eq!(app.sessions(&talk.token, "").expect(200).json()["sessions"], json!([]));
    assert!(!app.export(&talk.token).expect(200).text().contains("unmistakable"));
    app.patch(&talk, &json!({"pinned": true})).refused(404, "session_not_found");
    app.delete(&asked_again, "").expect(204);
    let app = app.restart_with(|_| {});
    wait_for("the session is gone", || app.count("sessions") == 1);
    wait_for("its audio is gone", || !audio.exists());
    wait_for("its words are gone", || holding(&app, "unmistakable").is_empty());
    app.say(&talk, "hello?").refused(404, "session_not_found");
    app.say(&kept, "once more").expect(200);
}

#[test]
fn deleted_words_go_once_a_reader_that_was_in_the_way_has_left() {
    let app = TestApp::spawn();
    let (talk, _) = talk_with_audio(&app);
    let reader = app.db();
    reader.execute_batch("BEGIN; SELECT count(*) FROM sessions").unwrap();
    app.delete(&talk, "").expect(204);
    assert!(!holding(&app, "unmistakable").is_empty(), "the reader may still look at them");
    reader.execute_batch("COMMIT").unwrap();
    wait_for("the words are gone", || holding(&app, "unmistakable").is_empty());
}
