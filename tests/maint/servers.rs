//! The server as a process: one per data directory, signals, ports, schemas, owners.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;

use crate::support::{House, seed, wait_for};

#[test]
fn the_second_server_refuses_with_one_clear_line() {
    let house = House::new();
    let _first = house.start();
    let told = house.try_start().err().unwrap();
    assert!(told.starts_with("Some(1)"), "{told}");
    let line = format!("a server is already running on {}\n", house.dir.display());
    assert!(told.contains(&line), "{told}");
    assert_eq!(told.trim().lines().count(), 1, "{told}");
}

#[test]
fn a_restart_keeps_the_conversation_and_signals_end_it_well() {
    let house = House::new();
    let mut server = house.start();
    let talk = server.start_session();
    assert_eq!(server.say(&talk, "remember this").0, 200);
    let health = server.get("/api/v1/health").1;
    assert_eq!((&health["status"], &health["services"]["llm"]), (&"healthy".into(), &"offline".into()));
    assert_eq!(server.terminate(), 0);
    assert!(!house.dir.join("companion.db-wal").exists(), "a clean stop leaves one file");
    let mut server = house.start();
    assert_eq!(server.history(&talk), ["remember this"]);
    assert_eq!(server.interrupt(), 0);
    assert!(server.log().contains("server_stopped"), "{}", server.log());
    assert!(!house.dir.join("companion.db-wal").exists(), "a clean stop leaves one file");
}

#[test]
fn a_database_that_is_named_without_a_directory_lies_where_one_is() {
    let house = House::new().with("SHORT_TERM_MEMORY_DB_PATH", "talks.db");
    let here = tempfile::TempDir::new().unwrap();
    let mut server = house.command(env!("CARGO_BIN_EXE_companion"));
    let mut server = server.env("PORT", "0").current_dir(here.path()).spawn().unwrap();
    let mut first = String::new();
    BufReader::new(server.stdout.take().unwrap()).read_line(&mut first).unwrap();
    server.kill().unwrap();
    let ended = server.wait_with_output().unwrap();
    assert!(first.starts_with("Listening on "), "{}", String::from_utf8_lossy(&ended.stderr));
    assert!(here.path().join("talks.db").exists());
    for job in ["status", "backup-db", "doctor"] {
        let ran = house.maint_command(&[job]).current_dir(here.path()).output().unwrap();
        assert_eq!(ran.status.code(), Some(0), "{job}: {}", String::from_utf8_lossy(&ran.stderr));
    }
}

#[test]
fn the_log_warns_when_nobody_does_the_maintenance() {
    let house = House::built();
    seed::sessions(&mut house.db(), 1, 1, seed::now() - 3 * seed::DAY);
    seed::sign_of_life(&mut house.db());
    house.maint(&["cleanup-audio"]).expect(0);
    let log = tempfile::NamedTempFile::new().unwrap();
    let mut command = house.command(env!("CARGO_BIN_EXE_companion"));
    let mut child = command.env("PORT", "0").stderr(log.reopen().unwrap()).spawn().unwrap();
    let warning = || {
        let told = std::fs::read_to_string(log.path()).unwrap();
        told.lines().find(|line| line.contains("maintenance_overdue")).map(str::to_owned)
    };
    wait_for("the log warns", || warning().is_some());
    let line: serde_json::Value = serde_json::from_str(&warning().unwrap()).unwrap();
    assert_eq!((&line["level"], &line["jobs"]), (&"WARN".into(), &"cleanup-sessions backup-db".into()));
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_port_in_use_is_one_clear_line() {
    let house = House::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let mut command = house.command(env!("CARGO_BIN_EXE_companion"));
    let output = command.args(["--port", &port]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains(&port) && told.contains("set PORT"), "{told}");
    assert_eq!(told.trim().lines().count(), 1, "{told}");
}

#[test]
fn a_database_that_is_not_ours_is_not_touched() {
    for (what, bytes) in [("text", b"just some text, not a database at all".to_vec()), ("empty", Vec::new())]
    {
        let house = House::new();
        std::fs::create_dir_all(&house.dir).unwrap();
        std::fs::write(house.database(), &bytes).unwrap();
        let told = house.try_start().err().unwrap();
        assert!(told.starts_with("Some(1)") && told.contains("was not touched"), "{what}: {told}");
        assert_eq!(std::fs::read(house.database()).unwrap(), bytes);
        house.maint(&["cleanup-sessions"]).expect(1).tells("was not touched");
        house.maint(&["backup-db"]).expect(1).tells("was not touched");
        house.maint(&["status"]).expect(1).tells("was not touched");
    }
}

#[test]
fn a_database_of_another_program_or_a_newer_release_is_refused() {
    let house = House::built();
    house.db().execute_batch("PRAGMA application_id = 7").unwrap();
    assert!(house.try_start().err().unwrap().contains("another program"));
    house.maint(&["cleanup-audio"]).expect(1).tells("another program");
    house.db().execute_batch("PRAGMA application_id = 1129270608; PRAGMA user_version = 99").unwrap();
    let told = house.try_start().err().unwrap();
    assert!(told.starts_with("Some(1)") && told.contains("schema 99"), "{told}");
    for job in ["cleanup-sessions", "cleanup-audio", "backup-db", "status"] {
        house.maint(&[job]).expect(4).tells("schema 99");
    }
}

#[test]
fn two_runs_at_once_are_75_and_other_jobs_go_on() {
    let house = House::built();
    seed::sign_of_life(&mut house.db());
    let lock = std::fs::File::create(house.dir.join("locks").join("cleanup-sessions.lock")).unwrap();
    lock.lock().unwrap();
    house.maint(&["cleanup-sessions"]).expect(75).tells("already running");
    house.maint(&["cleanup-audio"]).expect(0);
    house.maint(&["backup-db"]).expect(0);
    lock.unlock().unwrap();
    house.maint(&["cleanup-sessions"]).expect(0);
}

#[test]
fn sigterm_stops_a_job_at_once_and_the_next_run_finishes() {
    let house = House::built();
    seed::sessions(&mut house.db(), 10_000, 1, seed::now() - 8 * seed::DAY);
    seed::sign_of_life(&mut house.db());
    let mut child =
        house.maint_command(&["cleanup-sessions", "--json", "--batch-size", "1"]).spawn().unwrap();
    let left =
        || house.db().query_row("SELECT count(*) FROM sessions", [], |row| row.get::<_, u64>(0)).unwrap();
    wait_for("cleanup has begun", || left() < 10_001);
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), rustix::process::Signal::TERM)
        .unwrap();
    child.wait().unwrap();
    let ran = crate::support::Ran::from(child.wait_with_output().unwrap()).expect(1);
    let deleted = ran.report["sessions_deleted"].as_u64().unwrap();
    assert!(deleted > 0 && deleted < 10_000);
    assert_eq!(left(), 10_001 - deleted, "the report says exactly what changed");
    house.maint(&["cleanup-sessions"]).expect(0);
    assert_eq!(left(), 1);
    house.assert_sound();
}

#[test]
fn data_directories_cannot_share_one_database() {
    let house = House::built();
    let naming_it = || House::new().with("SHORT_TERM_MEMORY_DB_PATH", house.database().to_str().unwrap());
    let (other, again) = (naming_it(), naming_it());
    // Where the database lies, and that who is there may have another data directory: nobody runs on their own.
    let at_anothers = format!("{}, where this database lies, with another DATA_DIR", house.dir.display());
    let at_home = format!("{}, or with another DATA_DIR on a database in it", house.dir.display());
    let assert_refused = |house: &House, place: &str| {
        let told = house.try_start().err().unwrap();
        let line = format!("a server is already running on {place}\n");
        assert!(told.starts_with("Some(1)") && told.contains(&line), "{told}");
        let told = format!("the server is running on {place}:");
        house.maint(&["restore-db", "latest", "--yes"]).expect(4).tells(&told);
    };
    let first = other.start();
    assert_refused(&again, &at_anothers);
    assert_refused(&house, &at_home);
    first.stop();
    let first = house.start();
    assert_refused(&other, &at_anothers);
    first.stop();
    again.start().stop();
}

#[test]
fn another_process_that_holds_the_database_for_long_is_503_for_all_who_wait() {
    let house = House::built();
    let server = house.start();
    let talk = server.start_session();
    let db = house.db();
    db.execute_batch("BEGIN IMMEDIATE").unwrap();
    let began = std::time::Instant::now();
    std::thread::scope(|scope| {
        let waiting: Vec<_> = (0..4).map(|_| scope.spawn(|| server.start_session_status())).collect();
        for answer in waiting {
            assert_eq!(answer.join().unwrap(), 503);
        }
    });
    assert!(began.elapsed() < std::time::Duration::from_secs(30), "the waits do not add up");
    db.execute_batch("ROLLBACK").unwrap();
    assert_eq!(server.say(&talk, "and on").0, 200);
}

/// The status of a request whose header has so many fields and bytes more.
fn status_with_header(url: &str, fields: usize, bytes: usize) -> u16 {
    let mut stream = TcpStream::connect(url.strip_prefix("http://").unwrap()).unwrap();
    let fields: String = (0..fields).map(|number| format!("x-{number}: y\r\n")).collect();
    let big = "y".repeat(bytes);
    let request = format!("GET /livez HTTP/1.1\r\nhost: x\r\nconnection: close\r\nx: {big}\r\n{fields}\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).unwrap();
    line.split(' ').nth(1).unwrap().parse().unwrap()
}

#[test]
fn a_header_is_as_large_as_the_readme_says() {
    let house = House::new();
    let server = house.start();
    for (fields, bytes, status) in [(93, 1, 200), (94, 1, 431), (0, 31 * 1024, 200), (0, 32 * 1024, 431)] {
        assert_eq!(status_with_header(&server.url, fields, bytes), status, "{fields} fields, {bytes} bytes");
    }
    server.stop();
}
