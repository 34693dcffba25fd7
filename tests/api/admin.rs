//! `ADMIN_TOKEN` and what it opens.

use companion::domain::secret::Secret;
use serde_json::{Value, json};

use crate::support::{BEGINNING, TestApp, seed};

const STATUS: &str = "/api/v1/admin/status";
const BEARER: (&str, &str) = ("authorization", "Bearer the-operator");

fn with_admin() -> TestApp {
    TestApp::spawn_with(|config| config.access.admin_token = Some(Secret::new("the-operator")))
}

#[test]
fn without_the_setting_there_is_nothing_there() {
    let app = TestApp::spawn();
    for (method, path) in
        [("GET", STATUS), ("POST", STATUS), ("GET", "/api/v1/admin/"), ("GET", "/api/v1/admin/x")]
    {
        app.ask(method, path, &[], b"").refused(404, "not_found");
        app.ask(method, path, &[BEARER], b"").refused(404, "not_found");
    }
}

#[test]
fn only_the_admin_token_opens_it() {
    let app = TestApp::spawn_with(|config| {
        config.access.admin_token = Some(Secret::new("the-operator"));
        config.access.access_token = Some(Secret::new("open-sesame"));
    });
    let refused = app.get(STATUS).refused(401, "unauthorized");
    assert_eq!(refused.header("www-authenticate"), "Bearer");
    app.get_with(STATUS, &[("authorization", "Bearer open-sesame")]).refused(401, "unauthorized");
    let signed_in = app.post("/api/v1/sign-in", &[], &json!({"token": "open-sesame"})).expect(204);
    let cookie = signed_in.header("set-cookie").split(';').next().unwrap().to_owned();
    app.get_with(STATUS, &[("cookie", &cookie)]).refused(401, "unauthorized");
    app.get_with(STATUS, &[BEARER]).expect(200).assert_on_every_response();
    app.ask("HEAD", STATUS, &[BEARER], b"").expect(200);
    app.ask("POST", STATUS, &[BEARER], b"").refused(405, "method_not_allowed");
    app.get_with("/api/v1/admin/nothing", &[BEARER]).refused(404, "not_found");
    app.ask("POST", "/api/v1/session/start", &[BEARER], b"").expect(200);
    app.post("/api/v1/sign-in", &[], &json!({"token": "the-operator"})).refused(401, "unauthorized");
}

#[test]
fn the_admin_token_alone_closes_nothing_else() {
    let app = with_admin();
    app.start_session();
    app.get(STATUS).refused(401, "unauthorized");
}

#[test]
fn guesses_are_counted() {
    let app = with_admin();
    let guess = |token: &str| app.get_with(STATUS, &[("authorization", &format!("Bearer {token}"))]);
    for number in 0..10 {
        guess(&format!("guess-{number}")).refused(401, "unauthorized");
    }
    let refused = guess("guess").refused(429, "rate_limited");
    assert!((1..=60).contains(&refused.header("retry-after").parse().unwrap()));
    guess("the-operator").refused(429, "rate_limited");
}

#[test]
fn status_tells_what_there_is() {
    let app = with_admin();
    let talk = app.start_session();
    app.say(&talk, "hello").expect(200);
    seed::audio(&app, &talk, "wav", &[7; 5000]);
    let old = seed::sessions(&app, &talk.token, 3, 2, "long ago");
    let db = app.db();
    db.execute("UPDATE sessions SET last_active_at = 0 WHERE title = 'seeded'", []).unwrap();
    let run = "INSERT INTO maintenance_runs (job, started_at, ended_at, outcome) VALUES (?1, ?2, ?2, ?3)";
    db.execute(run, rusqlite::params!["backup-db", BEGINNING - 1000, "succeeded"]).unwrap();
    db.execute(run, rusqlite::params!["backup-db", BEGINNING, "failed"]).unwrap();
    drop(db);

    let status = app.get_with(STATUS, &[BEARER]).expect(200);
    assert_eq!(status.header("cache-control"), "no-cache, no-store, must-revalidate");
    let status = status.json();
    assert_eq!((&status["sessions"], &status["checkpoints"]), (&json!(1 + old.len()), &json!(7)));
    assert_eq!(status["next_cleanup_sessions"], 3);
    assert_eq!(status["next_cleanup_checkpoints"], 6);
    let disk = &status["disk"];
    assert_eq!(
        (&disk["audio_files"], &disk["audio_bytes"], &disk["backups"]),
        (&json!(1), &json!(5000), &json!(0))
    );
    for kind in ["database_bytes", "log_bytes", "reserve_bytes", "free_bytes"] {
        assert!(disk[kind].as_u64().unwrap() > 0, "{kind} of {disk}");
    }
    let runs = status["last_runs"].as_array().unwrap();
    let last = |job: &str| runs.iter().find(|run| run["job"] == job).unwrap();
    assert_eq!(last("backup-db")["outcome"], "failed");
    assert_eq!(last("backup-db")["last_success"], "2026-11-24T13:54:08.123Z");
    assert_eq!(last("cleanup-sessions")["outcome"], "never");
    assert_eq!(last("cleanup-sessions")["started_at"], Value::Null);
}
