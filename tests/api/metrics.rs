//! What the server tells of itself: each number moves when its cause happens, there are only so many, and only those who may
//! read them do.

use std::num::NonZeroU32;
use std::process::Command;
use std::time::{Duration, Instant};

use companion::domain::clock::{Clock, SystemClock, Timestamp};
use companion::domain::secret::Secret;
use serde_json::{Value, json};

use crate::support::scrape::Scrape;
use crate::support::wire::{Answer, Wire};
use crate::support::{BEGINNING, TestApp, seed, wait_for};

const TOKEN: &str = "correct-horse-battery-staple";
const BOTH: [&str; 2] = ["/metrics", "/api/v1/metrics"];

#[test]
fn requests_are_counted_by_method_route_and_status() {
    let app = TestApp::spawn();
    let talk = app.start_session();
    app.say(&talk, "hello").expect(200);
    app.session(&talk, "").expect(200);
    app.get("/api/v1/sessions/not-an-id");
    app.get("/api/v1/chat").expect(405);
    app.get("/elsewhere/entirely").expect(404);
    app.get("/api/v1/nothing").expect(404);
    app.ask("HEAD", "/livez", &[], b"").expect(200);
    app.raw_get("/%61pi/v1/health").expect(200);
    let told = Scrape::of(&app);
    for (method, route, status, times) in [
        ("POST", "/api/v1/session/start", 200, 1.0),
        ("POST", "/api/v1/chat", 200, 1.0),
        ("GET", "/api/v1/sessions/{id}", 200, 1.0),
        ("GET", "/api/v1/chat", 405, 1.0),
        ("GET", "unknown", 404, 2.0),
        ("HEAD", "/livez", 200, 1.0),
        ("GET", "/api/v1/health", 200, 1.0),
    ] {
        assert_eq!(told.requests(method, route, status), times, "{method} {route} {status} in {told:#?}");
    }
    app.say(&talk, "hello").expect(200);
    assert_eq!(Scrape::of(&app).requests("POST", "/api/v1/chat", 200), 2.0);
}

#[test]
fn how_long_requests_took_is_told() {
    let app = TestApp::spawn();
    let talk = app.start_session();
    let gate = app.model.hold_next("well", "!");
    let (mut wire, body) = (app.wire(), json!({"session_id": talk.session, "message": "hello"}).to_string());
    wire.send(format!(
        "POST /api/v1/chat HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    ));
    wait_for("it is being answered", || app.model.begun() == 1);
    let began = Instant::now();
    wait_for("a while has passed", || began.elapsed() > Duration::from_millis(120));
    gate.open();
    wire.answer().expect(200);
    let told = Scrape::of(&app);
    let of = |kind: &str, bound: &str| {
        told.value(&format!(
            "companion_http_request_duration_seconds{kind}{{method=\"POST\",route=\"/api/v1/chat\"{bound}}}"
        ))
    };
    assert_eq!((of("_count", ""), of("_bucket", ",le=\"+Inf\"")), (1.0, 1.0));
    assert_eq!((of("_bucket", ",le=\"0.1\""), of("_bucket", ",le=\"60\"")), (0.0, 1.0));
    assert!((0.12..20.0).contains(&of("_sum", "")));
}

#[test]
fn whatever_clients_ask_for_there_are_only_so_many_series() {
    let app = TestApp::spawn();
    let mut wire = app.wire();
    let mut ask = |number: u32| {
        let id = uuid::Uuid::new_v4();
        for (method, path) in [
            (format!("M{number}"), format!("/p{number}/q")),
            ("GET".to_owned(), format!("/p{number}?q={number}")),
            ("GET".to_owned(), format!("/static/x-{number}.js")),
            ("GET".to_owned(), format!("/api/v1/voice/audio/{id}")),
            (format!("X{number}"), format!("/api/v1/sessions/{id}")),
        ] {
            wire.send(format!(
                "{method} {path} HTTP/1.1\r\nHost: x{number}\r\nUser-Agent: u{number}\r\n\r\n"
            ));
            assert!(wire.answer().status >= 400);
        }
    };
    ask(0);
    // The first scrape adds itself to the next one.
    Scrape::of_house(&app);
    let names = |scrape: Scrape| scrape.series.into_keys().collect::<Vec<_>>();
    let before = Scrape::of(&app);
    let unknown = before.requests("GET", "unknown", 404);
    let before = names(before);
    (1..=1000).for_each(&mut ask);
    drop(wire);
    let after = Scrape::of(&app);
    assert_eq!(after.requests("GET", "unknown", 404), unknown + 1000.0);
    assert_eq!(after.requests("other", "unknown", 404), 1001.0);
    assert_eq!(after.requests("other", "/api/v1/sessions/{id}", 405), 1001.0);
    assert_eq!(names(after), before);
}

/// A server with room for one body of 1 MiB, which may stall for so long.
fn small_bodies(idle: Duration) -> TestApp {
    TestApp::spawn_with(|config| {
        config.limits.max_request_bytes = 1 << 20;
        config.limits.max_inflight_body_bytes = 1 << 20;
        config.limits.body_idle = idle;
    })
}

/// A turn of which this much was sent behind the first fields of its header.
fn begun(app: &TestApp, rest: &str) -> Wire {
    let mut wire = app.wire();
    wire.send(format!("POST /api/v1/chat HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n{rest}"));
    wire
}

fn refused_bodies(app: &TestApp, reason: &str) -> f64 {
    Scrape::of(app).value(&format!("companion_refused_bodies_total{{reason=\"{reason}\"}}"))
}

#[test]
fn bodies_that_are_refused_are_counted_by_reason() {
    // Whoever stalls keeps the room, be the test ever so slow.
    let app = small_bodies(Duration::from_secs(60));
    let refused = |reason: &str| refused_bodies(&app, reason);
    let begin = |rest: &str| begun(&app, rest);
    for reason in ["declared_too_large", "grew_too_large", "no_room", "too_slow"] {
        assert_eq!(refused(reason), 0.0, "{reason}");
    }
    begin("Content-Length: 1048577\r\n\r\n").answer().expect(413);
    assert_eq!((refused("declared_too_large"), refused("grew_too_large")), (1.0, 0.0));
    let mut chunked = begin("Transfer-Encoding: chunked\r\n\r\n100001\r\n");
    chunked.send(vec![b' '; 0x0010_0001]);
    chunked.answer().expect(413);
    assert_eq!((refused("declared_too_large"), refused("grew_too_large")), (1.0, 1.0));

    let stalled = begin("Content-Length: 1048576\r\n\r\n{");
    let held = |app: &TestApp| Scrape::of(app).value("companion_inflight_body_bytes{size=\"large\"}");
    wait_for("the body has its room", || held(&app) == 1_048_576.0);
    let mut second = begin("Content-Length: 1048576\r\n\r\n{");
    second.answer().expect(503);
    assert_eq!((refused("no_room"), refused("too_slow")), (1.0, 0.0));
    drop(stalled);
    wait_for("the room is free again", || held(&app) == 0.0);

    let app = small_bodies(Duration::from_secs(1));
    begun(&app, "Content-Length: 1048576\r\n\r\n{").answer().expect(408);
    assert_eq!((refused_bodies(&app, "no_room"), refused_bodies(&app, "too_slow")), (0.0, 1.0));
    wait_for("the room is free again", || held(&app) == 0.0);
}

#[test]
fn small_bodies_in_memory_are_told_apart() {
    let app = TestApp::spawn();
    let mut wire = app.wire();
    wire.send("POST /api/v1/chat HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 4096\r\n\r\n{");
    let held =
        |size: &str| Scrape::of(&app).value(&format!("companion_inflight_body_bytes{{size=\"{size}\"}}"));
    wait_for("the body has its room", || held("small") == 4096.0);
    assert_eq!(held("large"), 0.0);
    drop(wire);
    wait_for("the room is free again", || held("small") == 0.0);
}

#[test]
fn a_turn_is_seen_while_it_runs() {
    let app = TestApp::spawn();
    let talk = app.start_session();
    let running = || Scrape::of(&app).value("companion_inflight_turns");
    assert_eq!(running(), 0.0);
    let gate = app.model.hold_next("well", "!");
    let mut turn = app.stream(&json!({"session_id": talk.session, "message": "hello"}));
    assert_eq!(turn.event().unwrap().name, "token");
    assert_eq!(running(), 1.0);
    gate.open();
    assert_eq!(turn.events().last().unwrap().name, "done");
    wait_for("the turn has ended", || running() == 0.0);
}

#[test]
fn clients_that_ask_too_often_are_counted() {
    let app = TestApp::spawn_with(|config| {
        config.limits.turns_per_minute = NonZeroU32::new(1);
        config.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
        config.access.metrics_token = Some(Secret::new(TOKEN));
    });
    let limited = |kind: &str| {
        let headers = [("authorization", &*format!("Bearer {TOKEN}")), ("x-forwarded-for", "192.0.2.77")];
        let told = Scrape::read(&app.get_with("/metrics", &headers).expect(200).text());
        told.value(&format!("companion_rate_limited_requests_total{{kind=\"{kind}\"}}"))
    };
    assert_eq!((limited("turn"), limited("read"), limited("health")), (0.0, 0.0, 0.0));
    let headers = [("content-type", "application/json"), ("x-forwarded-for", "192.0.2.1")];
    let turn = || app.ask("POST", "/api/v1/chat", &headers, b"{}").status;
    assert_eq!((turn(), turn()), (400, 429));
    assert_eq!((limited("turn"), limited("read"), limited("health")), (1.0, 0.0, 0.0));
    wait_for("a read is refused", || app.get_with("/", &headers).status == 429);
    wait_for("health is refused", || app.get_with("/livez", &headers).status == 429);
    assert_eq!((limited("turn"), limited("read"), limited("health")), (1.0, 1.0, 1.0));
}

#[test]
fn what_a_browser_need_not_load_again_is_counted() {
    let app = TestApp::spawn();
    let cached = |result: &str| {
        Scrape::of(&app).value(&format!("companion_static_conditional_requests_total{{result=\"{result}\"}}"))
    };
    let name = crate::caching::assets(&app).remove(0);
    for path in ["/", name.as_str()] {
        let (hits, misses) = (cached("not_modified"), cached("sent"));
        let tag = app.get(path).expect(200).header("etag").to_owned();
        assert_eq!((cached("not_modified"), cached("sent")), (hits, misses), "nothing was asked for again");
        app.get_with(path, &[("if-none-match", &tag)]).expect(304);
        assert_eq!((cached("not_modified"), cached("sent")), (hits + 1.0, misses));
        app.get_with(path, &[("if-none-match", "\"older\"")]).expect(200);
        assert_eq!((cached("not_modified"), cached("sent")), (hits + 1.0, misses + 1.0));
    }
    app.get_with("/static/gone-0123456789abcdef.js", &[("if-none-match", "\"older\"")]).expect(404);
    assert_eq!((cached("not_modified"), cached("sent")), (2.0, 2.0), "nothing was sent");
    assert_eq!(Scrape::of(&app).requests("GET", "/static/{name:.*}", 304), 1.0);
}

/// Runs a job of the real tool on the server's data; its report.
fn job(app: &TestApp, arguments: &[&str]) -> Value {
    let mut command = Command::new(env!("CARGO_BIN_EXE_companion-maint"));
    command.env_clear().env("DATA_DIR", app.data_dir()).env("MIN_FREE_DISK_BYTES", "0");
    let ran = command.current_dir(app.data_dir()).arg("--json").args(arguments).output().unwrap();
    assert!(ran.status.success(), "{ran:?}");
    serde_json::from_slice(&ran.stdout).unwrap()
}

/// The first scrape that is `new`: a look that took long is not soon followed by another.
fn looked_at_again(app: &TestApp, new: impl Fn(&Scrape) -> bool) -> Scrape {
    let began = Instant::now();
    loop {
        let told = Scrape::of(app);
        if new(&told) {
            return told;
        }
        assert!(began.elapsed() < Duration::from_secs(120), "waited in vain: {told:#?}");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

#[test]
fn the_house_is_told_and_told_anew() {
    let app = TestApp::spawn();
    // The tool's clock is the system's; it does not believe one that is days ahead of all that happened.
    app.clock.advance(SystemClock.now().since(Timestamp::from_millis(BEGINNING)));
    let talk = app.start_session();
    app.start_session_of(&talk.token);
    app.say(&talk, "hello").expect(200);
    seed::audio(&app, &talk, "mp3", b"0123456789");
    let report = job(&app, &["backup-db"]);
    let told = Scrape::of_house(&app);
    let backup = app.files().into_iter().find(|file| file.to_string_lossy().ends_with(".db.zst")).unwrap();
    for (name, value) in [
        ("companion_sessions", 2.0),
        ("companion_checkpoints", 1.0),
        ("companion_persons", 1.0),
        ("companion_audio_bytes", 10.0),
        ("companion_backup_bytes", std::fs::metadata(backup).unwrap().len() as f64),
        ("companion_job_last_outcome{job_name=\"backup-db\",outcome=\"succeeded\"}", 1.0),
        ("companion_job_last_outcome{job_name=\"backup-db\",outcome=\"failed\"}", 0.0),
    ] {
        assert_eq!(told.value(name), value, "{name}");
    }
    for name in ["companion_disk_free_bytes", "companion_database_bytes", "companion_log_bytes"] {
        assert!(told.value(name) > 4096.0, "{name}");
    }
    let last = |told: &Scrape, what: &str, job: &str| {
        told.count(&format!("companion_job_last_{what}_timestamp_seconds{{job_name=\"{job}\"}}"))
    };
    let ran = last(&told, "run", "backup-db");
    assert_eq!(last(&told, "success", "backup-db"), ran);
    let began = Timestamp::parse(report["started_at"].as_str().unwrap()).unwrap();
    assert_eq!(ran, began.as_millis() as f64 / 1000.0);
    assert_eq!(last(&told, "run", "cleanup-audio"), 0.0, "it never ran");

    app.start_session();
    let later = ran + 60.0;
    let sql = "INSERT INTO maintenance_runs (job, started_at, ended_at, outcome) VALUES ('backup-db', ?1, ?1, 'refused')";
    app.db().execute(sql, [(later * 1000.0) as i64]).unwrap();
    let told = looked_at_again(&app, |told| told.value("companion_sessions") == 3.0);
    assert_eq!(told.value("companion_persons"), 2.0);
    assert_eq!((last(&told, "run", "backup-db"), last(&told, "success", "backup-db")), (later, ran));
    assert_eq!(told.value("companion_job_last_outcome{job_name=\"backup-db\",outcome=\"refused\"}"), 1.0);
    assert_eq!(told.value("companion_job_last_outcome{job_name=\"backup-db\",outcome=\"succeeded\"}"), 0.0);
}

#[test]
fn what_waits_and_what_goes_next_is_told() {
    let app = TestApp::spawn();
    // Files bear the system's time.
    app.clock.advance(SystemClock.now().since(Timestamp::from_millis(BEGINNING)));
    let talk = app.start_session();
    app.say(&talk, "hello").expect(200);
    seed::sessions(&app, &talk.token, 3, 2, "long ago");
    seed::audio(&app, &talk, "mp3", b"0123456789");
    app.clock.advance(Duration::from_secs(48 * 3600));
    let db = app.db();
    db.execute("UPDATE sessions SET last_active_at = 0 WHERE title = 'seeded'", []).unwrap();
    let run = "INSERT INTO maintenance_runs (job, started_at, ended_at, outcome, report) VALUES (?1, ?2, ?2, 'succeeded', ?3)";
    for (job, report) in [("cleanup-sessions", "{\"bytes_reclaimed\": 4096}"), ("backup-db", "{}")] {
        db.execute(run, rusqlite::params![job, BEGINNING, report]).unwrap();
    }
    drop(db);
    let told = Scrape::of_house(&app);
    for (kind, many) in
        [("sessions", 3.0), ("checkpoints", 6.0), ("memories", 0.0), ("persons", 0.0), ("audio_files", 1.0)]
    {
        assert_eq!(told.value(&format!("companion_next_cleanup{{kind=\"{kind}\"}}")), many, "{kind}");
    }
    let freed = |job: &str| format!("companion_job_last_freed_bytes{{job_name=\"{job}\"}}");
    assert_eq!(told.value(&freed("cleanup-sessions")), 4096.0);
    assert!(!told.series.contains_key(&freed("backup-db")), "it frees nothing");
    assert!(told.series.contains_key("companion_turns_to_learn"));
    assert!(!told.series.contains_key("companion_memories_to_embed"), "there is no model that makes vectors");
}

#[test]
fn what_cannot_be_looked_at_is_not_told_as_zero() {
    let app = TestApp::spawn();
    std::fs::remove_dir(app.data_dir().join("backups")).unwrap();
    let told = Scrape::of_house(&app);
    assert_eq!(told.value("companion_audio_bytes"), 0.0);
    assert!(!told.series.contains_key("companion_backup_bytes"), "{told:#?}");
    assert!(!told.help.contains_key("companion_backup_bytes"));
}

#[test]
fn the_server_and_the_jobs_call_a_thing_by_one_name() {
    let app = TestApp::spawn();
    job(&app, &["cleanup-audio"]);
    let file = app.data_dir().join("x.prom");
    let mut theirs = Vec::new();
    for command in ["status", "backup-db"] {
        job(&app, &[command, "--metrics-file", file.to_str().unwrap()]);
        theirs.extend(Scrape::read(&std::fs::read_to_string(&file).unwrap()).help);
    }
    std::fs::remove_file(file).unwrap();
    let ours = Scrape::of_house(&app).help;
    let only_theirs = ["companion_job_exit_code", "companion_job_duration_seconds", "companion_job_report"];
    theirs.retain(|(name, _)| !only_theirs.contains(&name.as_str()));
    assert!(theirs.len() >= 10, "{theirs:?}");
    for (name, help) in theirs {
        assert_eq!(ours.get(&name), Some(&help), "{name}");
    }
}

#[test]
fn the_process_is_told() {
    let app = TestApp::spawn();
    let told = Scrape::of(&app);
    assert_eq!(told.value("process_start_time_seconds"), BEGINNING as f64 / 1000.0);
    assert_eq!(
        told.value(&format!("companion_build_info{{version=\"{}\"}}", env!("CARGO_PKG_VERSION"))),
        1.0
    );
    assert!((4e6..4e9).contains(&told.value("process_resident_memory_bytes")));
}

#[test]
fn the_json_twin_tells_the_same() {
    let app = TestApp::spawn();
    app.get("/livez").expect(200);
    // It adds itself to the next one, so that both tell of the same requests.
    Scrape::of_house(&app);
    let text = app.get("/metrics").expect(200);
    assert_eq!(text.header("content-type"), "text/plain; version=0.0.4");
    assert_eq!(text.header("cache-control"), "no-store");
    text.assert_on_every_response();
    let told = Scrape::read(&text.text());
    let answer = app.get("/api/v1/metrics").expect(200);
    assert_eq!(answer.header("cache-control"), "no-cache, no-store, must-revalidate");
    let twin = answer.json();
    let names: Vec<_> = twin.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(names, ["counters", "gauges", "histograms", "timestamp"]);
    assert_eq!(twin["timestamp"], "2026-11-24T13:54:09.123Z");
    let livez = "{method=\"GET\",route=\"/livez\"";
    assert_eq!(twin["counters"][format!("companion_http_requests_total{livez},status=\"200\"}}")], 1);
    assert_eq!(twin["gauges"]["process_start_time_seconds"], BEGINNING as f64 / 1000.0);
    assert_eq!(twin["gauges"]["companion_sessions"], 0);
    let taken = &twin["histograms"][format!("companion_http_request_duration_seconds{livez}}}")];
    assert_eq!((&taken["count"], &taken["buckets"]["60"]), (&json!(1), &json!(1)));
    let sum = told.value(&format!("companion_http_request_duration_seconds_sum{livez}}}"));
    assert_eq!(taken["sum"].as_f64(), Some(sum));
    let listed = |kind: &str| twin[kind].as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    let mut all = [listed("counters"), listed("gauges")].concat();
    all.sort();
    let histograms =
        ["companion_http_request_duration", "companion_turn_stage_seconds", "companion_first_sound_seconds"];
    let plain = told.series.into_keys().filter(|name| !histograms.iter().any(|kind| name.starts_with(kind)));
    assert_eq!(all, plain.collect::<Vec<_>>());
}

#[test]
fn without_a_token_only_this_machine_reads_them() {
    let app = TestApp::spawn();
    let trusting =
        TestApp::spawn_with(|config| config.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()]);
    for app in [&app, &trusting] {
        for path in BOTH {
            app.get(path).expect(200);
            for header in ["x-forwarded-for", "forwarded", "x-real-ip", "via", "x-forwarded-proto"] {
                for value in ["127.0.0.1", "192.0.2.1", "for=127.0.0.1", ""] {
                    app.get_with(path, &[(header, value)]).refused(404, "not_found");
                }
            }
            let headers = [("x-forwarded-for", "127.0.0.1"), ("authorization", "Bearer guess")];
            app.get_with(path, &headers).refused(404, "not_found");
        }
    }
}

#[test]
fn with_a_token_it_is_always_needed_and_enough() {
    let app = TestApp::spawn_with(|config| config.access.metrics_token = Some(Secret::new(TOKEN)));
    let right = format!("Bearer {TOKEN}");
    for path in BOTH {
        let refused = app.get(path).refused(401, "unauthorized");
        assert_eq!(refused.header("www-authenticate"), "Bearer");
        app.get(&format!("{path}?token={TOKEN}")).refused(401, "unauthorized");
        for wrong in
            ["Bearer", "Bearer ", "Bearer wrong", TOKEN, &format!("Basic {TOKEN}"), &right[..right.len() - 1]]
        {
            app.get_with(path, &[("authorization", wrong)]).refused(401, "unauthorized");
        }
        let doubled = format!("{right}{TOKEN}");
        app.get_with(path, &[("authorization", &doubled)]).refused(401, "unauthorized");
        app.get_with(path, &[("authorization", &right)]).expect(200);
        app.get_with(path, &[("authorization", &right), ("x-forwarded-for", "192.0.2.1")]).expect(200);
        app.get_with(path, &[("authorization", &format!("bearer {TOKEN}"))]).expect(200);
        let head = app.ask("HEAD", path, &[("authorization", &right)], b"").expect(200);
        assert_eq!(head.body, b"");
        app.ask("POST", path, &[("authorization", &right)], b"").refused(405, "method_not_allowed");
    }
}

#[test]
fn nobody_and_nothing_said_is_told() {
    let app = TestApp::spawn();
    let talk = app.start_session();
    app.say(&talk, "an unmistakable sentence about elephants").expect(200);
    let audio = seed::audio(&app, &talk, "mp3", b"0123456789");
    app.get(&format!("/api/v1/voice/audio/{audio}")).expect(200);
    app.session(&talk, "").expect(200);
    app.delete(&talk, "").expect(204);
    app.get(&format!("/api/v1/{}", talk.token)).expect(404);
    for answer in BOTH.map(|path: &str| -> Answer { app.get(path).expect(200) }) {
        let text = answer.text();
        for secret in
            [talk.session.as_str(), &talk.session[..8], &talk.token, &audio, "elephants", "127.0.0.1"]
        {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
        assert!(text.contains("/api/v1/voice/audio/{audio_id}"));
    }
}

#[test]
fn many_may_ask_at_once_while_others_talk() {
    let app = TestApp::spawn();
    Scrape::of_house(&app);
    let before = Scrape::of(&app).requests("GET", "/metrics", 200);
    let talk = app.start_session();
    let wires: Vec<Wire> = (0..64)
        .map(|_| {
            let mut wire = app.wire();
            wire.send("GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
            wire
        })
        .collect();
    app.say(&talk, "hello").expect(200);
    for mut wire in wires {
        let told = Scrape::read(&wire.answer().expect(200).text());
        assert!(told.value("companion_sessions") <= 1.0);
    }
    // And the one that told of those before it.
    assert_eq!(Scrape::of(&app).requests("GET", "/metrics", 200), before + 1.0 + 64.0);
}
