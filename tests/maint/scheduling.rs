//! What schedulers need: waiting for a lock, a longest runtime, metrics, pings.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::refusing::Refusing;
use crate::support::seed::{self, DAY};
use crate::support::{House, Mounted, Ran};

const SECRET: &str = "5a3e9f4c-secret";

/// The lock of a job, held by this test until it is dropped.
fn hold(house: &House, job: &str) -> File {
    let path = house.dir.join("locks").join(format!("{job}.lock"));
    let lock = File::options().write(true).create(true).truncate(false).open(path).unwrap();
    lock.try_lock().unwrap();
    lock
}

/// A house with somebody in it, and nothing expired.
fn lived_in() -> House {
    let house = House::built();
    seed::sign_of_life(&mut house.db());
    house
}

#[test]
fn spans_of_time_that_are_none_are_exit_2() {
    let house = House::built();
    for bad in ["5", "0s", "-5s", "1.5h", "", "5min", "9999h", "99999999999999999999s"] {
        for flag in ["--wait-lock", "--max-runtime"] {
            house.maint(&["status", &format!("{flag}={bad}")]).expect(2).tells("like 30s, 5m or 1h");
            house.maint(&["status", flag, bad]).expect(2);
        }
    }
    house.maint(&["status", "--wait-lock", "30s", "--max-runtime", "1h"]).expect(0);
}

#[test]
fn a_busy_lock_is_waited_for() {
    let house = lived_in();
    let lock = hold(&house, "backup-db");
    house.maint(&["backup-db"]).expect(75);
    let began = Instant::now();
    house.maint(&["backup-db", "--wait-lock", "1s"]).expect(75).tells("already running");
    assert!(began.elapsed() >= Duration::from_secs(1));
    let mut child = house.maint_command(&["backup-db", "--json", "--wait-lock", "1m"]).spawn().unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    log.read_line(&mut line).unwrap();
    assert!(line.contains("waiting for it"), "{line}");
    assert!(child.try_wait().unwrap().is_none() && house.backups().is_empty());
    lock.unlock().unwrap();
    Ran::from(child.wait_with_output().unwrap()).expect(0);
    assert_eq!(house.backups().len(), 1);
}

#[test]
fn waiting_for_a_lock_can_be_stopped() {
    let house = lived_in();
    let _lock = hold(&house, "cleanup-audio");
    let mut child = house.maint_command(&["cleanup-audio", "--json", "--wait-lock", "1h"]).spawn().unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap());
    log.read_line(&mut String::new()).unwrap();
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), rustix::process::Signal::TERM)
        .unwrap();
    Ran::from(child.wait_with_output().unwrap()).expect(1).tells("stopped on request");
    house
        .maint(&["cleanup-audio", "--wait-lock", "1h", "--max-runtime", "1s"])
        .expect(1)
        .tells("--max-runtime 1s");
}

#[test]
fn a_longest_runtime_stops_at_a_safe_point_and_the_report_is_exact() {
    let house = House::built();
    // Between two transactions it pauses for 1.5 ms, so these take longer than five seconds wherever it runs.
    seed::sessions(&mut house.db(), 5000, 2, seed::now() - 8 * DAY);
    seed::sign_of_life(&mut house.db());
    let ran = house.maint(&["cleanup-sessions", "--batch-size", "1", "--max-runtime", "5s"]).expect(1);
    assert!(ran.error().contains("--max-runtime 5s"), "{}", ran.error());
    let deleted = ran.report["sessions_deleted"].as_u64().unwrap();
    assert!(deleted > 0 && deleted < 5000, "{deleted}");
    let left =
        || house.db().query_row("SELECT count(*) FROM sessions", [], |row| row.get::<_, u64>(0)).unwrap();
    assert_eq!(left(), 5001 - deleted);
    house.maint(&["cleanup-sessions", "--max-runtime", "1h"]).expect(0);
    assert_eq!(left(), 1);
    house.assert_sound();
}

/// Reads the text format strictly: each family has its HELP and TYPE once, before its samples, and each series is there
/// once.
fn parse(text: &str) -> HashMap<String, f64> {
    assert!(text.ends_with('\n'), "cut off: {text:?}");
    let mut series = HashMap::new();
    let mut families: Vec<String> = Vec::new();
    let mut helped = String::new();
    for line in text.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, text) = help.split_once(' ').unwrap();
            assert!(!text.is_empty() && !families.contains(&name.to_owned()), "{line}");
            name.clone_into(&mut helped);
        } else if let Some(kind) = line.strip_prefix("# TYPE ") {
            assert_eq!(kind, format!("{helped} gauge"));
            families.push(helped.clone());
        } else {
            let (name, value) = line.rsplit_once(' ').unwrap();
            let family = name.split('{').next().unwrap();
            assert_eq!(families.last().map(String::as_str), Some(family), "{line}");
            assert!(family.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{line}");
            if let Some(labels) = name.strip_prefix(family).filter(|labels| !labels.is_empty()) {
                let labels = labels.strip_prefix('{').and_then(|labels| labels.strip_suffix('}')).unwrap();
                for label in labels.split(',') {
                    let (key, value) = label.split_once('=').unwrap();
                    assert!(["job_name", "count"].contains(&key), "{line}");
                    let value = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap();
                    assert!(!value.contains(['"', '\\']), "{line}");
                }
            }
            let value: f64 = value.parse().unwrap();
            assert!(value.is_finite());
            assert!(series.insert(name.to_owned(), value).is_none(), "twice: {line}");
        }
    }
    series
}

/// A metrics file of one job, as Prometheus would see it.
struct Metrics {
    path: PathBuf,
    job: &'static str,
    _dir: tempfile::TempDir,
}

impl Metrics {
    fn of(job: &'static str) -> Self {
        let dir = tempfile::TempDir::new().unwrap();
        Self { path: dir.path().join("x.prom"), job, _dir: dir }
    }

    fn run(&self, house: &House, arguments: &[&str]) -> Ran {
        let mut all = vec![self.job, "--metrics-file", self.path.to_str().unwrap()];
        all.extend(arguments);
        let ran = house.maint(&all);
        assert_eq!(std::fs::metadata(&self.path).unwrap().permissions().mode() & 0o777, 0o644);
        let beside = std::fs::read_dir(self.path.parent().unwrap()).unwrap().count();
        assert_eq!(beside, 1, "nothing is left beside it");
        assert_eq!(self.get("companion_job_exit_code"), Some(f64::from(ran.code)));
        ran
    }

    fn all(&self) -> HashMap<String, f64> {
        parse(&std::fs::read_to_string(&self.path).unwrap())
    }

    fn get(&self, name: &str) -> Option<f64> {
        self.all().get(&format!("{name}{{job_name=\"{}\"}}", self.job)).copied()
    }

    fn count(&self, count: &str) -> Option<f64> {
        let name = format!("companion_job_report{{job_name=\"{}\",count=\"{count}\"}}", self.job);
        self.all().get(&name).copied()
    }

    fn last_run(&self) -> Option<f64> {
        self.get("companion_job_last_run_timestamp_seconds")
    }

    fn last_success(&self) -> Option<f64> {
        self.get("companion_job_last_success_timestamp_seconds")
    }
}

#[test]
fn metrics_tell_how_each_run_went_whatever_became_of_it() {
    let house = lived_in();
    seed::sessions(&mut house.db(), 3, 2, seed::now() - 8 * DAY);
    let metrics = Metrics::of("cleanup-sessions");
    metrics.run(&house, &["--dry-run"]).expect(0);
    assert_eq!((metrics.last_run(), metrics.last_success()), (None, None), "a dry run is no run");
    let before = f64::from(u32::try_from(seed::now() / 1000).unwrap());
    metrics.run(&house, &[]).expect(0);
    let first = metrics.last_run().unwrap();
    assert!(first >= before && metrics.last_success() == Some(first));
    assert_eq!(metrics.count("sessions_deleted"), Some(3.0));
    assert_eq!(metrics.count("checkpoints_deleted"), Some(6.0));
    assert!(metrics.get("companion_job_duration_seconds").unwrap() > 0.0);
    assert_eq!(metrics.count("exit_code"), None);
    metrics.run(&house, &["--dry-run"]).expect(0);
    assert_eq!((metrics.last_run(), metrics.last_success()), (Some(first), Some(first)));

    metrics.run(&house, &["--retention-days", "1"]).expect(4);
    let refused = metrics.last_run().unwrap();
    assert!(refused > first && metrics.last_success() == Some(first));
    let lock = hold(&house, "cleanup-sessions");
    metrics.run(&house, &[]).expect(75);
    lock.unlock().unwrap();
    assert!(metrics.last_run().unwrap() > refused && metrics.last_success() == Some(first));
    // The record knows even when the file does not.
    std::fs::remove_file(&metrics.path).unwrap();
    metrics.run(&house, &["--retention-days", "1"]).expect(4);
    assert_eq!(metrics.last_success(), Some(first));

    let lost = House::at(house.dir.join("elsewhere"));
    metrics.run(&lost, &[]).expect(1);
    assert_eq!(metrics.last_success(), Some(first), "carried over");
    let wrong = House::at(house.dir.clone()).with("SESSION_RETENTION_DAYS", "soon");
    metrics.run(&wrong, &[]).expect(2);
    assert_eq!(metrics.last_success(), Some(first), "carried over");
    let turned_away = metrics.last_run();
    for arguments in [["--dry-run"].as_slice(), &["--dry-run", "--retention-dys", "7"]] {
        let ran = metrics.run(&wrong, arguments).expect(2);
        assert_eq!(ran.report["dry_run"], true, "{arguments:?}");
        assert_eq!(metrics.last_run(), turned_away, "a dry run that is turned away is no run either");
    }
}

#[test]
fn metrics_of_status_tell_how_the_house_is() {
    let house = lived_in();
    let metrics = Metrics::of("status");
    let report = metrics.run(&house, &[]).expect(0).report;
    let all = metrics.all();
    for (name, value) in [
        ("companion_disk_free_bytes", &report["disk"]["free_bytes"]),
        ("companion_database_bytes", &report["disk"]["database_bytes"]),
        ("companion_log_bytes", &report["disk"]["log_bytes"]),
        ("companion_audio_bytes", &report["disk"]["audio_bytes"]),
        ("companion_backup_bytes", &report["disk"]["backup_bytes"]),
        ("companion_sessions", &report["sessions"]),
        ("companion_checkpoints", &report["checkpoints"]),
    ] {
        assert_eq!(all.get(name).copied(), value.as_f64(), "{name}");
    }
    assert_eq!(all["companion_sessions"], 1.0);
    assert_eq!(all.get("companion_backup_disk_free_bytes"), None, "they share one disk");
    std::fs::remove_file(house.database()).unwrap();
    metrics.run(&house, &[]).expect(1);
    assert!(!metrics.all().contains_key("companion_sessions"), "what could not be looked at is not zero");
}

#[test]
fn status_tells_how_much_is_free_on_a_disk_of_the_backups_own() {
    let mounted = Mounted::small_disk("24m");
    let backups = mounted.path().join("backups");
    let house = House::new().with("BACKUP_DIR", backups.to_str().unwrap());
    let house = house.with("MIN_FREE_DISK_BYTES", "1000000");
    house.start().stop();
    let metrics = Metrics::of("status");
    house.maint(&["backup-db"]).expect(0);
    let ran = metrics.run(&house, &[]).expect(0);
    let free = ran.report["disk"]["backups_free_bytes"].as_f64().unwrap();
    assert!(free > 1e6 && free < f64::from(24 << 20), "{free}");
    assert_eq!(metrics.all()["companion_backup_disk_free_bytes"], free);
    let told = house.maint_command(&["status"]).output().unwrap();
    assert!(String::from_utf8(told.stdout).unwrap().contains("backups' disk"));
}

#[test]
fn a_reader_never_sees_half_a_metrics_file() {
    let house = lived_in();
    let metrics = Metrics::of("status");
    metrics.run(&house, &[]).expect(0);
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut files = std::collections::HashSet::new();
            while !stop.load(Ordering::Relaxed) {
                files.insert(std::fs::metadata(&metrics.path).unwrap().ino());
                assert!(metrics.all().len() > 10);
            }
            files.len()
        });
        for _ in 0..20 {
            house.maint(&["status", "--metrics-file", metrics.path.to_str().unwrap()]).expect(0);
        }
        stop.store(true, Ordering::Relaxed);
        assert!(reader.join().unwrap() > 1, "it is another file each time");
    });
}

#[test]
fn metrics_never_replace_a_file_of_another_kind() {
    let house = lived_in();
    let before = std::fs::read(house.database()).unwrap();
    let database = house.database();
    let database = database.to_str().unwrap();
    for wrong in [&["cleanup-audio"][..], &["cleanup-audio", "--orphan"], &["no-such-job"]] {
        house.maint(&[wrong, &["--metrics-file", database]].concat()).expect(2);
    }
    house.maint(&["status", &format!("--metrics-file={database}")]).expect(2).tells("end with .prom");
    assert!(std::fs::read(house.database()).unwrap() == before);
    house.assert_sound();
}

#[test]
fn metrics_that_cannot_be_written_make_a_good_run_partial_and_hide_nothing() {
    let house = lived_in();
    let nowhere = ["--metrics-file", "/proc/nowhere/x.prom"];
    let ran = house.maint(&[&["backup-db"][..], &nowhere].concat()).expect(3);
    assert_eq!(ran.report["errors"][0]["item"], "--metrics-file");
    assert!(ran.stderr.contains("The metrics file could not be written"), "{}", ran.stderr);
    assert_eq!(house.backups().len(), 1);
    house.maint(&[&["cleanup-sessions", "--retention-days", "1"][..], &nowhere].concat()).expect(4);
    let _lock = hold(&house, "backup-db");
    house.maint(&[&["backup-db"][..], &nowhere].concat()).expect(75).tells("/proc/nowhere");
}

/// A dead man's switch: writes down who asks for what, with what `look` sees then.
struct Switch {
    address: String,
    heard: Arc<Mutex<Vec<(String, usize)>>>,
}

impl Switch {
    fn answering(status: &'static str, look: impl Fn() -> usize + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}/ping/{SECRET}", listener.local_addr().unwrap());
        let heard = Arc::new(Mutex::new(Vec::new()));
        let told = heard.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let asked = request_line(stream.as_ref().unwrap());
                told.lock().unwrap().push((asked, look()));
                let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 2\r\nConnection: close\r\n\r\nOK");
                stream.unwrap().write_all(answer.as_bytes()).unwrap();
            }
        });
        Self { address, heard }
    }

    fn heard(&self) -> Vec<(String, usize)> {
        std::mem::take(&mut *self.heard.lock().unwrap())
    }
}

fn request_line(stream: &TcpStream) -> String {
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    let first = lines.next().unwrap_or_default();
    lines.find(String::is_empty);
    first
}

fn asked(path: &str) -> String {
    format!("GET /ping/{SECRET}{path} HTTP/1.1")
}

fn backups_in(dir: &Path) -> impl Fn() -> usize + Send + 'static {
    let dir = dir.join("backups");
    move || crate::support::names(&dir, ".db.zst").len()
}

#[test]
fn a_switch_hears_the_start_before_the_work_and_the_end_after_it() {
    let house = lived_in();
    let switch = Switch::answering("200 OK", backups_in(&house.dir));
    house.maint(&["backup-db", "--ping-url", &switch.address]).expect(0);
    assert_eq!(switch.heard(), [(asked("/start"), 0), (asked(""), 1)]);
    house.maint(&["cleanup-sessions", "--retention-days", "1", "--ping-url", &switch.address]).expect(4);
    assert_eq!(switch.heard(), [(asked("/start"), 1), (asked("/4"), 1)]);
    let lock = hold(&house, "backup-db");
    house.maint(&["backup-db", "--ping-url", &format!("{}/?create=1", switch.address)]).expect(75);
    assert_eq!(switch.heard(), [(asked("/start?create=1"), 1), (asked("/75?create=1"), 1)]);
    lock.unlock().unwrap();
    let wrong = House::at(house.dir.clone()).with("BACKUP_KEEP", "none");
    wrong.maint(&["backup-db", "--ping-url", &switch.address]).expect(2);
    assert_eq!(switch.heard(), [(asked("/2"), 1)], "there was nothing to start");
    let lost = House::at(house.dir.join("elsewhere"));
    lost.maint(&["backup-db", "--ping-url", &switch.address]).expect(1);
    assert_eq!(switch.heard(), [(asked("/start"), 1), (asked("/1"), 1)]);
}

#[test]
fn whoever_watches_a_schedule_hears_of_a_typo_in_its_line() {
    let house = lived_in();
    let switch = Switch::answering("200 OK", || 0);
    let metrics = Metrics::of("backup-db");
    metrics.run(&house, &[]).expect(0);
    let first = metrics.last_success();
    // Before the switch is read and after it, as a word of its own and with an equals sign.
    metrics.run(&house, &["--ping-url", &switch.address, "--kep", "7"]).expect(2).tells("--kep");
    assert_eq!(switch.heard(), [(asked("/2"), 0)]);
    let ping = format!("--ping-url={}", switch.address);
    metrics.run(&house, &["--keep", "none", &ping]).expect(2).tells("--keep");
    assert_eq!(switch.heard(), [(asked("/2"), 0)]);
    assert!(metrics.last_success() == first && metrics.last_run() > first);
    // Where no job is named, there is no series to write.
    std::fs::remove_file(&metrics.path).unwrap();
    let path = metrics.path.to_str().unwrap();
    house.maint(&["bakcup-db", &ping, "--metrics-file", path]).expect(2).tells("bakcup-db");
    assert_eq!(switch.heard(), [(asked("/2"), 0)]);
    assert!(!metrics.path.exists());
    // A switch that is none keeps nobody from reading the metrics, and help is no failure.
    metrics.run(&house, &["--ping-url", SECRET]).expect(2).tells("http or https");
    house.maint(&["backup-db", "--help", &ping]);
    assert_eq!(switch.heard(), []);
    assert_eq!(house.backups().len(), 1);
}

/// Runs `status` with this switch, which fails, and expects a warning for each ping and the secret nowhere.
fn fails_quietly(house: &House, address: &str) {
    let mut command = house.maint_command(&["status", "--json", "-v", "--ping-url", address]);
    let ran = Ran::from(command.env("LOG_LEVEL", "TRACE").output().unwrap()).expect(0);
    assert_eq!(ran.stderr.matches("ping_failed").count(), 2, "{}", ran.stderr);
    assert!(!ran.stderr.contains(SECRET) && !ran.stdout.contains(SECRET), "{}", ran.stderr);
    assert!(ran.stderr.contains("127.0.0.1"), "{}", ran.stderr);
}

#[test]
fn a_switch_that_is_broken_never_fails_the_job_and_its_secret_is_not_told() {
    let house = lived_in();
    let free = Refusing::new();
    fails_quietly(&house, &format!("http://{free}/{SECRET}"));
    let broken = Switch::answering("500 Oops", || 0);
    fails_quietly(&house, &broken.address);
    fails_quietly(&house, &broken.address.replace("http://", "https://"));
    let lost = Switch::answering("302 Found\r\nLocation: http://[bad", || 0);
    fails_quietly(&house, &lost.address);
    for bad in [format!("ftp://127.0.0.1/{SECRET}"), SECRET.to_owned(), format!("http:///{SECRET}")] {
        let ran = house.maint(&["status", "--ping-url", &bad]).expect(2).tells("http or https");
        assert!(!ran.stderr.contains(SECRET), "{}", ran.stderr);
    }
}

#[test]
fn a_switch_that_never_answers_holds_a_job_up_for_ten_seconds_at_most() {
    let house = lived_in();
    // It accepts connections into its queue and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let began = Instant::now();
    fails_quietly(&house, &format!("http://{}/{SECRET}", silent.local_addr().unwrap()));
    assert!(began.elapsed() < Duration::from_secs(25), "{:?}", began.elapsed());
}
