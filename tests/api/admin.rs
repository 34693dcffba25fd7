//! `ADMIN_TOKEN` and what it opens.

use std::fs::File;
use std::process::Command;
use std::time::{Duration, UNIX_EPOCH};

use companion::domain::secret::Secret;
use serde_json::{Value, json};

use crate::support::wire::Answer;
use crate::support::{BEGINNING, TestApp, once_answered, seed, wait_for};

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
    opens(&app, "", BEARER).assert_on_every_response();
    once_answered("HEAD is answered", || app.ask("HEAD", STATUS, &[BEARER], b""));
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

    let status = opens(&app, "", BEARER);
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

/// Its answer to whom it opens. A backups' disk that does not answer in time is an error: then it is asked anew.
#[track_caller]
fn opens(app: &TestApp, query: &str, who: (&str, &str)) -> Answer {
    once_answered("the status is told", || app.get_with(&format!("{STATUS}{query}"), &[who]))
}

fn status_of(app: &TestApp, query: &str) -> Value {
    opens(app, query, BEARER).json()
}

/// The points of a series at which something was noted.
fn noted(status: &Value, series: &str) -> Vec<u64> {
    let points = status["trends"]["series"][series].as_array().unwrap();
    points.iter().filter_map(Value::as_u64).collect()
}

#[test]
fn the_numbers_are_noted_and_hold_across_a_restart() {
    let app = with_admin();
    wait_for("the numbers are noted", || app.count("samples") == 2);
    let talk = app.start_session();
    app.say(&talk, "hello").expect(200);
    let status = status_of(&app, "");
    assert_eq!((noted(&status, "sessions"), noted(&status, "turns")), (vec![0], vec![0]));
    assert!(noted(&status, "free_bytes")[0] > 0 && noted(&status, "resident_bytes")[0] > 1 << 20);
    // The clock of the next server begins where this one's did: the same minute.
    let app = app.restart_with(|config| config.access.admin_token = Some(Secret::new("the-operator")));
    wait_for("they are noted again", || noted(&status_of(&app, ""), "sessions") == [1]);
    let status = status_of(&app, "");
    assert_eq!(noted(&status, "persons"), [1]);
    assert_eq!(app.count("samples"), 2, "a minute is one sample");
    assert_eq!(noted(&status_of(&app, "?span=30d"), "sessions"), [1]);
}

#[test]
fn what_was_counted_before_a_restart_is_not_counted_again() {
    let app = with_admin();
    wait_for("the numbers are noted", || app.count("samples") == 2);
    app.db()
        .execute("UPDATE samples SET turns = 5, refused_too_large = 2, static_not_modified = 9", [])
        .unwrap();
    let app = app.restart_with(|config| config.access.admin_token = Some(Secret::new("the-operator")));
    // What the server notes first is what it has counted: nothing.
    let free = |app: &TestApp| noted(&status_of(app, ""), "free_bytes").len();
    wait_for("they are noted again", || free(&app) == 1 && noted(&status_of(&app, ""), "turns") == [5]);
    let status = status_of(&app, "");
    assert_eq!(status["last_day"]["turns"], 5);
    assert_eq!(status["last_day"]["rejections"]["too_large"], 2);
    assert_eq!(status["last_day"]["cache"], json!({"not_modified": 9, "sent": 0}));
}

#[test]
fn trends_are_of_a_bounded_size_and_show_gaps() {
    let app = with_admin();
    wait_for("the numbers are noted", || app.count("samples") == 2);
    let db = app.db();
    let seed = "INSERT OR REPLACE INTO samples (grain, began_at, database_bytes, turns, refused_busy)
        WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)
        SELECT ?1, ?2 - ?2 % ?3 - i * ?3, 1000 + i, 1, 2 FROM n WHERE i NOT BETWEEN 60 AND 119";
    db.execute(seed, [1, BEGINNING, 60_000]).unwrap();
    db.execute(seed, [2, BEGINNING, 1_800_000]).unwrap();
    drop(db);
    for (span, points, step, per_step) in [("24h", 288, 300, 5), ("30d", 240, 10_800, 6)] {
        let answer = opens(&app, &format!("?span={span}"), BEARER);
        assert!(answer.body.len() < 100_000, "{} bytes", answer.body.len());
        let status = answer.json();
        let trends = &status["trends"];
        assert_eq!((&trends["span"], &trends["step_seconds"]), (&json!(span), &json!(step)));
        for (name, series) in trends["series"].as_object().unwrap() {
            assert_eq!(series.as_array().unwrap().len(), points, "{name}");
        }
        let turns = trends["series"]["turns"].as_array().unwrap();
        let gap = turns.iter().filter(|point| point.is_null()).count();
        let expected = if span == "24h" { 11..=12 } else { 9..=10 };
        assert!(expected.contains(&gap), "{span}: {gap} points without anything");
        assert!(turns.iter().filter_map(Value::as_u64).all(|turns| turns <= per_step), "{turns:?}");
    }
    let status = status_of(&app, "");
    assert_eq!(status["last_day"]["turns"], 1440 - 60);
    assert_eq!(status["last_day"]["rejections"]["busy"], 2 * (1440 - 60));
    let refused = app.get_with(&format!("{STATUS}?span=1y"), &[BEARER]).refused(400, "validation_error");
    assert_eq!(refused.json()["details"]["field"], "span");
}

#[test]
fn nothing_is_noted_while_the_disk_is_low() {
    let app = TestApp::spawn_with(|config| {
        config.access.admin_token = Some(Secret::new("the-operator"));
        config.storage.min_free_disk_bytes = u64::MAX;
    });
    // One that was started later has noted its own by then.
    let other = with_admin();
    wait_for("another server notes its numbers", || other.count("samples") == 2);
    assert_eq!(status_of(&app, "")["degraded"], json!(["disk"]));
    assert_eq!(app.count("samples"), 0);
    let app = app.restart_with(|config| config.access.admin_token = Some(Secret::new("the-operator")));
    wait_for("the numbers are noted", || app.count("samples") == 2);
}

/// What the job would do; no memory is too old for it, and nothing doubtful.
fn dry_run(app: &TestApp, job: &str) -> Value {
    let mut command = Command::new(env!("CARGO_BIN_EXE_companion-maint"));
    command.env_clear().env("DATA_DIR", app.data_dir()).env("MEMORY_RETENTION_DAYS", "36500");
    let ran = command.args(["--json", job, "--dry-run", "--force"]).output().unwrap();
    serde_json::from_slice(&ran.stdout).unwrap()
}

#[test]
fn what_the_next_cleanup_takes_is_what_a_dry_run_counts() {
    let app = TestApp::spawn_with(|config| {
        config.access.admin_token = Some(Secret::new("the-operator"));
        config.retention.memory_days = "30".parse().ok();
    });
    let talk = app.start_session();
    seed::sessions(&app, &talk.token, 3, 2, "long ago");
    let gone = app.start_session();
    for owner in [&talk, &gone] {
        let body = json!({"text": "My sister lives in Porto"});
        app.post("/api/v1/memories", &[("x-companion-person", &owner.token)], &body).expect(201);
    }
    let db = app.db();
    db.execute("UPDATE sessions SET last_active_at = 0 WHERE title = 'seeded' OR person_id = 2", []).unwrap();
    db.execute("UPDATE persons SET last_seen_at = 0 WHERE id = 2", []).unwrap();
    // The tool's clock is the system's: what is to stay was used in 2100.
    db.execute("UPDATE persons SET last_seen_at = 4102444800000 WHERE id = 1", []).unwrap();
    db.execute("UPDATE sessions SET last_active_at = 4102444800000 WHERE last_active_at > 0", []).unwrap();
    drop(db);
    // One reply is old, of a conversation that stays; the other one is not, and goes with its conversation.
    for (talk, sound, seconds) in [(&talk, "an old reply", 0), (&gone, "a new one", 4_102_444_800)] {
        let id = seed::audio(&app, talk, "mp3", sound.as_bytes());
        let file = File::open(app.data_dir().join(format!("audio/{id}.mp3"))).unwrap();
        file.set_modified(UNIX_EPOCH + Duration::from_secs(seconds)).unwrap();
    }
    let status = status_of(&app, "");
    assert_eq!(status["next_cleanup_counted"], true);
    let next = |name: &str| status[format!("next_cleanup_{name}")].as_u64().unwrap();
    assert_eq!((next("sessions"), next("checkpoints"), next("memories"), next("persons")), (4, 6, 1, 1));
    assert_eq!((next("audio_files"), next("audio_bytes")), (1, 12));
    let report = dry_run(&app, "cleanup-sessions");
    for (theirs, ours) in [
        ("sessions_deleted", "sessions"),
        ("checkpoints_deleted", "checkpoints"),
        ("memories_deleted", "memories"),
        ("persons_erased", "persons"),
    ] {
        assert_eq!(report[theirs], next(ours), "{theirs} of {report}");
    }
    let report = dry_run(&app, "cleanup-audio");
    for (theirs, ours) in [("files_deleted", "audio_files"), ("bytes_reclaimed", "audio_bytes")] {
        assert_eq!(report[theirs], next(ours), "{theirs} of {report}");
    }
    // Counted for a minute: whoever looks often costs little.
    app.db().execute("UPDATE sessions SET last_active_at = 0", []).unwrap();
    assert_eq!(status_of(&app, "")["next_cleanup_sessions"], 4);
}

#[test]
fn a_job_tells_what_it_freed_and_whether_it_is_overdue() {
    let app = with_admin();
    app.start_session();
    app.db().execute("UPDATE persons SET created_at = ?1", [BEGINNING - 4 * 24 * 3_600_000]).unwrap();
    let run = "INSERT INTO maintenance_runs (job, started_at, ended_at, outcome, report) VALUES (?1, ?2, ?2, 'succeeded', ?3)";
    for (job, report) in [("cleanup-sessions", "{\"bytes_reclaimed\": 4096}"), ("cleanup-audio", "no JSON")] {
        app.db().execute(run, rusqlite::params![job, BEGINNING - 1000, report]).unwrap();
    }
    let status = status_of(&app, "");
    let runs = status["last_runs"].as_array().unwrap();
    let last = |job: &str| runs.iter().find(|run| run["job"] == job).unwrap();
    assert_eq!(
        (&last("cleanup-sessions")["bytes_reclaimed"], &last("cleanup-sessions")["overdue"]),
        (&json!(4096), &json!(false))
    );
    assert_eq!(
        (&last("cleanup-audio")["bytes_reclaimed"], &last("cleanup-audio")["overdue"]),
        (&Value::Null, &json!(false))
    );
    assert_eq!(last("backup-db")["overdue"], true);
    assert_eq!(last("verify-backups")["overdue"], false, "it is weekly");
}

#[test]
fn the_memory_system_tells_how_it_is() {
    let app = with_admin();
    let path = "/api/v1/admin/memory/status";
    app.get(path).refused(401, "unauthorized");
    let talk = app.start_session();
    let body = json!({"text": "My sister lives in Porto"});
    app.post("/api/v1/memories", &[("x-companion-person", &talk.token)], &body).expect(201);
    let answer = app.get_with(path, &[BEARER]).expect(200);
    assert_eq!(answer.header("cache-control"), "no-cache, no-store, must-revalidate");
    let outbox = json!({"changes": 0, "oldest_seconds": 0.0});
    let told = json!({"memories": 1, "index": "embedded", "to_learn": 0, "vectors": null, "outbox": outbox, "qdrant": null});
    assert_eq!(answer.json(), told);
    TestApp::spawn().get_with(path, &[BEARER]).refused(404, "not_found");
}

const SIGN_IN: &str = "/api/v1/admin/sign-in";

fn sign_in(app: &TestApp, token: &str) -> Answer {
    app.post(SIGN_IN, &[], &json!({"token": token}))
}

fn cookie_of(answer: &Answer) -> String {
    answer.header("set-cookie").split(';').next().unwrap().to_owned()
}

#[test]
fn a_browser_signs_in_to_the_admin_page_and_out_again() {
    let app = with_admin();
    let refused = app.get(STATUS).refused(401, "unauthorized");
    assert_eq!(refused.json()["details"], json!({"sign_in": "/admin/sign-in"}));
    let signed_in = sign_in(&app, "the-operator").expect(204);
    let set = signed_in.header("set-cookie");
    for part in
        ["companion_admin=", "; HttpOnly", "; SameSite=Strict", "; Path=/api/v1/admin", "; Max-Age=7776000"]
    {
        assert!(set.contains(part), "{part} is not in {set}");
    }
    let (cookie, other) = (cookie_of(&signed_in), cookie_of(&sign_in(&app, "the-operator").expect(204)));
    assert_ne!(cookie, other);
    opens(&app, "", ("cookie", &cookie));
    app.get_with("/api/v1/admin/memory/status", &[("cookie", &cookie)]).expect(200);
    let out = app.ask("POST", "/api/v1/admin/sign-out", &[("cookie", &cookie)], b"").expect(204);
    assert!(
        out.header("set-cookie").contains("; Path=/api/v1/admin")
            && out.header("set-cookie").contains("Max-Age=0")
    );
    let refused = app.get_with(STATUS, &[("cookie", &cookie)]).refused(401, "unauthorized");
    assert!(refused.header("set-cookie").starts_with("companion_admin=;"), "it is of no use any more");
    opens(&app, "", ("cookie", &other));
    app.ask("POST", "/api/v1/admin/sign-out", &[], b"").expect(204);
    let app = app.restart_with(|config| config.access.admin_token = Some(Secret::new("another-one")));
    app.get_with(STATUS, &[("cookie", &other)]).refused(401, "unauthorized");
}

#[test]
fn each_door_has_a_cookie_of_its_own() {
    // Though both have the same token.
    let app = TestApp::spawn_with(|config| {
        config.access.admin_token = Some(Secret::new("one-for-both"));
        config.access.access_token = Some(Secret::new("one-for-both"));
    });
    let admin = cookie_of(&sign_in(&app, "one-for-both").expect(204)).split_once('=').unwrap().1.to_owned();
    let guest = app.post("/api/v1/sign-in", &[], &json!({"token": "one-for-both"})).expect(204);
    let guest = cookie_of(&guest).split_once('=').unwrap().1.to_owned();
    let ask = |path: &str, cookie: String| app.get_with(path, &[("cookie", &cookie)]).status;
    opens(&app, "", ("cookie", &format!("companion_admin={admin}")));
    assert_eq!(ask(STATUS, format!("companion_admin={guest}")), 401);
    assert_eq!(ask("/api/v1/openapi.json", format!("companion_access={guest}")), 200);
    assert_eq!(ask("/api/v1/openapi.json", format!("companion_access={admin}")), 401);
}

#[test]
fn many_guests_who_sign_in_end_no_operators_sign_in() {
    let app = with_admin();
    let cookie = cookie_of(&sign_in(&app, "the-operator").expect(204));
    let many = "WITH RECURSIVE n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
        INSERT INTO sign_ins (cookie_hash, admin, expires_at) SELECT randomblob(32), ?2, 1 << 62 FROM n";
    app.db().execute(many, [2000, 0]).unwrap();
    sign_in(&app, "the-operator").expect(204);
    opens(&app, "", ("cookie", &cookie));
    app.db().execute(many, [998, 1]).unwrap();
    opens(&app, "", ("cookie", &cookie));
    sign_in(&app, "the-operator").expect(204);
    app.get_with(STATUS, &[("cookie", &cookie)]).refused(401, "unauthorized");
    assert_eq!(app.count("sign_ins WHERE admin = 1"), 1000);
}

#[test]
fn guesses_at_the_admin_sign_in_are_counted_and_over_tls_the_cookie_is_for_tls_alone() {
    let app = TestApp::spawn_with(|config| {
        config.access.admin_token = Some(Secret::new("the-operator"));
        config.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    });
    let here = [("x-forwarded-for", "192.0.2.1")];
    for number in 0..10 {
        let guess = json!({"token": format!("guess-{number}")});
        let refused = app.post(SIGN_IN, &here, &guess).refused(401, "unauthorized");
        assert_eq!(refused.json()["message"], "This is not the admin token");
    }
    for token in ["one more guess", "the-operator"] {
        app.post(SIGN_IN, &here, &json!({"token": token})).refused(429, "rate_limited");
    }
    let elsewhere = [("x-forwarded-for", "192.0.2.9"), ("x-forwarded-proto", "https")];
    let signed_in = app.post(SIGN_IN, &elsewhere, &json!({"token": "the-operator"})).expect(204);
    let set = signed_in.header("set-cookie");
    assert!(set.starts_with("__Secure-companion_admin=") && set.contains("; Secure"), "{set}");
    opens(&app, "", ("cookie", &cookie_of(&signed_in)));
    let foreign = [("origin", "https://evil.example"), ("x-forwarded-for", "192.0.2.9")];
    app.post(SIGN_IN, &foreign, &json!({"token": "the-operator"})).refused(403, "foreign_origin");
}

#[test]
fn the_page_is_there_for_whom_there_is_a_token_and_holds_no_numbers() {
    let app = TestApp::spawn();
    for (method, path) in [
        ("GET", "/admin"),
        ("POST", "/admin"),
        ("GET", "/admin/sign-in"),
        ("POST", SIGN_IN),
        ("PUT", SIGN_IN),
    ] {
        app.ask(method, path, &[], b"").refused(404, "not_found");
    }
    let app = with_admin();
    for path in ["/admin", "/admin/sign-in"] {
        let page = app.get(path).expect(200);
        page.assert_on_every_response();
        assert_eq!(
            (page.header("content-type"), page.header("cache-control")),
            ("text/html; charset=utf-8", "no-store")
        );
        for name in page.text().split("\"/static/").skip(1).map(|rest| rest.split('"').next().unwrap()) {
            app.get(&format!("/static/{name}")).expect(200);
        }
        app.ask("POST", path, &[], b"").refused(405, "method_not_allowed");
    }
    app.get("/admin/").refused(404, "not_found");
}
