//! Maintenance by root for a service user, and by somebody who has no business there.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::kills_of_restore::{kill_midway, pending};
use crate::support::dice::Dice;
use crate::support::seed::{self, HOUR};
use crate::support::{House, Ran, agent, reachable, reachable_maint, wait_for};

pub const SERVICE: u32 = 12345;
const STRANGER: u32 = 23456;

/// Every command that an operator or a scheduler runs while the server is up.
pub const COMMANDS: [&[&str]; 7] = [
    &["backup-db"],
    &["cleanup-audio"],
    &["cleanup-sessions"],
    &["verify-backups", "--restore-drill"],
    &["list-backups"],
    &["status"],
    &["doctor", "--repair"],
];
pub const RESTORE: &[&str] = &["restore-db", "latest", "--yes"];

/// Only root can make files of two users.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// A data directory of the service user, where all may look for it.
pub struct Served {
    pub house: House,
    maint: PathBuf,
    pub place: TempDir,
}

impl Served {
    pub fn new() -> Self {
        let place = TempDir::new().unwrap();
        fs::set_permissions(place.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let house = House::at(place.path().join("data"));
        house.start().stop();
        seed::sessions(&mut house.db(), 20, 5, seed::now() - HOUR);
        let served = Self { house, maint: reachable_maint(place.path()), place };
        served.give_to_service();
        served
    }

    pub fn give_to_service(&self) {
        let owner = format!("{SERVICE}:{SERVICE}");
        assert!(Command::new("chown").args(["-R", &owner]).arg(&self.house.dir).status().unwrap().success());
    }

    pub fn run_as(&self, user: u32, arguments: &[&str]) -> Ran {
        let mut command = self.house.command("/usr/bin/setpriv");
        command.arg(format!("--reuid={user}")).arg(format!("--regid={user}")).arg("--clear-groups");
        Ran::from(command.arg(&self.maint).args(arguments).arg("--json").output().unwrap())
    }

    /// Every file and directory is the service user's, and nobody else's to read.
    #[track_caller]
    pub fn assert_owned(&self, after: &[&str]) {
        for path in everything(&self.house.dir) {
            let meta = fs::symlink_metadata(&path).unwrap();
            assert_eq!((meta.uid(), meta.gid()), (SERVICE, SERVICE), "{} after {after:?}", path.display());
            assert_eq!(meta.permissions().mode() & 0o077, 0, "{} after {after:?}", path.display());
        }
    }
}

/// The directory and all that is in it: locks, reserve and markers as well.
pub fn everything(dir: &Path) -> Vec<PathBuf> {
    let mut found = vec![dir.to_owned()];
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(everything(&path)) } else { found.push(path) }
    }
    found
}

#[test]
fn a_mask_that_takes_from_everybody_takes_nothing_from_the_owner() {
    let house = House::new();
    let masked = |program: &str| {
        let mut shell = house.command("sh");
        shell.args(["-c", "umask 0777; exec \"$0\" \"$@\"", program]);
        shell
    };
    let mut server = masked(env!("CARGO_BIN_EXE_companion")).env("PORT", "0").spawn().unwrap();
    let mut first = String::new();
    BufReader::new(server.stdout.take().unwrap()).read_line(&mut first).unwrap();
    let url = first.trim().strip_prefix("Listening on ").unwrap();
    wait_for("it is ready", || agent().get(format!("{url}/readyz")).call().unwrap().status() == 200);
    rustix::process::kill_process(rustix::process::Pid::from_child(&server), rustix::process::Signal::TERM)
        .unwrap();
    assert!(server.wait().unwrap().success());
    let backup = masked(env!("CARGO_BIN_EXE_companion-maint")).args(["backup-db", "--json"]).output();
    Ran::from(backup.unwrap()).expect(0);
    assert_eq!(house.backups().len(), 1);
    for path in everything(&house.dir) {
        let meta = fs::symlink_metadata(&path).unwrap();
        let of_owner = if meta.is_dir() { 0o700 } else { 0o600 };
        assert_eq!(meta.permissions().mode() & 0o777, of_owner, "{}", path.display());
    }
}

#[test]
fn page_files_that_are_somebody_elses_are_told_once_and_are_in_nobodys_way() {
    if !is_root() {
        return;
    }
    let served = Served::new();
    let assets = served.house.dir.join("assets");
    assert!(Command::new("chown").args(["-R", "0:0"]).arg(&assets).status().unwrap().success());
    let status = served.run_as(SERVICE, &["status"]).expect(0).report;
    assert!(status["disk"]["asset_bytes"].is_null(), "{status}");
    let found = served.run_as(SERVICE, &["doctor"]).expect(3).report["findings"].to_string();
    assert!(found.contains("permissions") && found.contains("assets"), "{found}");

    let mut server = served.house.command("/usr/bin/setpriv");
    server.arg(format!("--reuid={SERVICE}")).arg(format!("--regid={SERVICE}")).arg("--clear-groups");
    server.arg(reachable(Path::new(env!("CARGO_BIN_EXE_companion")), served.place.path()));
    let mut server = server.env("PORT", "0").env("ADMIN_TOKEN", "admin-0123456789").spawn().unwrap();
    let mut first = String::new();
    BufReader::new(server.stdout.take().unwrap()).read_line(&mut first).unwrap();
    let url = first.trim().strip_prefix("Listening on ").unwrap().to_owned();
    wait_for("it is ready", || agent().get(format!("{url}/readyz")).call().unwrap().status() == 200);
    assert_eq!(agent().get(&url).call().unwrap().status(), 200);
    let status = agent().get(format!("{url}/api/v1/admin/status"));
    let mut status = status.header("authorization", "Bearer admin-0123456789").call().unwrap();
    let status: serde_json::Value = status.body_mut().read_json().unwrap();
    assert!(status["disk"]["asset_bytes"].is_null() && status["disk"]["free_bytes"].is_u64(), "{status}");
    rustix::process::kill_process(rustix::process::Pid::from_child(&server), rustix::process::Signal::TERM)
        .unwrap();
    let ended = server.wait_with_output().unwrap();
    let log = String::from_utf8(ended.stderr).unwrap();
    assert!(ended.status.success(), "{log}");
    let told: Vec<_> = log.lines().filter(|line| line.contains("/assets")).collect();
    assert!(told.len() == 1 && told[0].contains("Permission denied"), "{log}");
}

#[test]
fn a_data_directory_that_permissions_forbid_is_one_clear_line() {
    if !is_root() {
        return;
    }
    let place = TempDir::new().unwrap();
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let server = reachable(Path::new(env!("CARGO_BIN_EXE_companion")), place.path());
    let made = |name: &str, owner: u32, mode: u32| {
        let dir = place.path().join(name);
        fs::create_dir(&dir).unwrap();
        fs::set_permissions(&dir, fs::Permissions::from_mode(mode)).unwrap();
        std::os::unix::fs::chown(&dir, Some(owner), Some(owner)).unwrap();
        dir
    };
    let somebody_elses = made("theirs", STRANGER, 0o700);
    for (dir, why) in [
        (place.path().join("data"), "ermission denied"),
        (made("read-only", SERVICE, 0o500), "ermission denied"),
        (somebody_elses.join("data"), "ermission denied"),
        (somebody_elses, "belongs to user 23456"),
    ] {
        let mut command = House::at(dir.clone()).command("/usr/bin/setpriv");
        command.arg(format!("--reuid={SERVICE}")).arg(format!("--regid={SERVICE}")).arg("--clear-groups");
        let ended = command.arg(&server).env("PORT", "0").output().unwrap();
        let told = String::from_utf8(ended.stderr).unwrap();
        assert_eq!(ended.status.code(), Some(1), "{told}");
        assert!(told.contains(dir.to_str().unwrap()) && told.contains(why), "{told}");
        assert_eq!(told.trim().lines().count(), 1, "{told}");
    }
}

#[test]
fn status_tells_the_rest_where_the_audio_is_somebody_elses() {
    if !is_root() {
        return;
    }
    let served = Served::new();
    let audio = served.house.dir.join("audio");
    fs::set_permissions(&audio, fs::Permissions::from_mode(0o000)).unwrap();
    std::os::unix::fs::chown(&audio, Some(STRANGER), Some(STRANGER)).unwrap();
    let told = served.run_as(SERVICE, &["status"]).expect(3).report;
    assert_eq!((&told["sessions"], &told["database_read"]), (&20.into(), &true.into()));
    let errors = told["errors"].as_array().unwrap();
    assert!(errors.len() == 1 && errors[0]["item"] == audio.to_str().unwrap(), "{errors:?}");
    assert!(told["disk"]["free_bytes"].as_u64().unwrap() > 0);
}

#[test]
fn whatever_root_runs_the_files_stay_those_of_the_service_user() {
    if !is_root() {
        return;
    }
    let served = Served::new();
    let house = &served.house;
    let server = house.start();
    let talk = server.start_session();
    assert_eq!(server.say(&talk, "hello").0, 200);
    for command in COMMANDS {
        house.maint(command).expect(0);
        served.assert_owned(command);
    }
    server.stop();
    let aside = house.maint(RESTORE).expect(0).report["set_aside"].as_str().unwrap().to_owned();
    served.assert_owned(RESTORE);
    assert!(Path::new(&aside).join("companion.db").exists());
    for command in COMMANDS.into_iter().chain([RESTORE]) {
        served.run_as(SERVICE, command).expect(0);
        served.assert_owned(command);
    }
}

#[test]
fn a_restore_of_root_that_was_killed_is_the_service_users_to_finish() {
    if !is_root() {
        return;
    }
    let served = Served::new();
    let house = &served.house;
    house.maint(&["backup-db"]).expect(0);
    let mut dice = Dice::new("killed_restore_of_root");
    for _ in 0..20 {
        if !pending(house) {
            house.leave_in_log();
            served.give_to_service();
            kill_midway(house, &mut dice);
        }
    }
    assert!(pending(house), "no kill came midway");
    // A kill may fall between the making of a directory and its being given away: what counts is that it is no obstacle.
    served.run_as(SERVICE, &["doctor", "--repair"]).expect(0);
    served.assert_owned(&["doctor", "--repair"]);
    served.run_as(SERVICE, RESTORE).expect(0);
    served.assert_owned(RESTORE);
    assert_eq!(house.content().sessions, 20);
}

#[test]
fn root_mends_what_is_not_the_service_users() {
    if !is_root() {
        return;
    }
    let served = Served::new();
    served.house.maint(&["backup-db"]).expect(0);
    let backup = served.house.backups().pop().unwrap();
    rustix::fs::chown(&backup, Some(rustix::fs::Uid::ROOT), Some(rustix::fs::Gid::ROOT)).unwrap();
    served.run_as(SERVICE, &["doctor", "--repair"]).expect(3).tells("only root can");
    served.house.maint(&["doctor", "--repair"]).expect(0);
    served.assert_owned(&["doctor", "--repair"]);
}

#[test]
fn what_keeps_even_root_out_is_told_and_mended() {
    assert!(is_root(), "this test makes files of two users; run the tests as root");
    let served = Served::new();
    let house = &served.house;
    house.maint(&["backup-db"]).expect(0);
    for name in ["companion.db", "locks", "locks/backup-db.lock", "backups", "installation", "audio", "."] {
        let path = house.dir.join(name);
        if name != "." {
            rustix::fs::chown(&path, Some(rustix::fs::Uid::ROOT), Some(rustix::fs::Gid::ROOT)).unwrap();
        }
        if ["locks", "companion.db", "backups"].contains(&name) {
            house.maint(&["backup-db"]).expect(1).tells("Permission denied").tells("doctor --repair");
            served.run_as(SERVICE, &["backup-db"]).expect(1);
        }
        house.maint(&["doctor", "--repair"]).expect(0);
        served.assert_owned(&["doctor", "--repair"]);
        house.maint(&["backup-db"]).expect(0);
    }
}

#[test]
fn a_wrong_user_is_told_the_right_command_and_changes_nothing() {
    if !is_root() {
        // The data directory of root is somebody else's.
        let house = House::at("/root".into());
        house.maint(&["status"]).expect(2);
        return;
    }
    let served = Served::new();
    served.house.maint(&["backup-db"]).expect(0);
    let before = everything(&served.house.dir);
    for command in COMMANDS.into_iter().chain([RESTORE]) {
        served.run_as(STRANGER, command).expect(2).tells("sudo -u '#12345'");
    }
    assert_eq!(everything(&served.house.dir), before);
    served.assert_owned(&["a stranger"]);
}

#[test]
fn a_database_that_can_only_be_read_is_said_to_be_so() {
    assert!(is_root(), "this test runs a program as another user; run the tests as root");
    let served = Served::new();
    fs::set_permissions(served.house.database(), fs::Permissions::from_mode(0o400)).unwrap();
    served.run_as(SERVICE, &["cleanup-sessions"]).expect(1).tells("cannot be written");
}

#[test]
fn a_data_directory_that_root_restores_into_is_the_service_users() {
    if !is_root() {
        return;
    }
    let served = Served::new();
    served.house.maint(&["backup-db"]).expect(0);
    let backup = served.house.backups().pop().unwrap();
    let place = served.place.path();
    let service_home = place.join("home");
    fs::create_dir(&service_home).unwrap();
    rustix::fs::chown(&service_home, Some(rustix::fs::Uid::from_raw(SERVICE + 1)), None).unwrap();
    let restore = ["restore-db", backup.to_str().unwrap(), "--yes"];
    // Below a directory of root's it goes to whom the backup belongs to; else to whom that directory does.
    for (dir, user) in [(place.join("new"), SERVICE), (service_home.join("a/new"), SERVICE + 1)] {
        let new = House::at(dir.clone());
        new.maint(&["restore-db", "none", "--yes"]).expect(1);
        assert!(!dir.exists(), "a backup that is not there is no reason to make anything");
        let report = new.maint(&restore).expect(0).report;
        let made_for = report["data_dir_made_for"].as_str().unwrap();
        assert!(made_for.starts_with(&format!("{user}:")), "{made_for}");
        for path in everything(&dir) {
            assert_eq!(fs::symlink_metadata(&path).unwrap().uid(), user, "{}", path.display());
        }
        assert_eq!(new.maint(&restore).expect(0).report["data_dir_made_for"], serde_json::Value::Null);
    }
}

#[test]
fn what_may_not_be_looked_at_is_not_said_to_be_missing() {
    if !is_root() {
        return;
    }
    let served = Served::new();
    let (far, closed) = (served.place.path().join("far"), served.place.path().join("far/closed"));
    fs::create_dir_all(&closed).unwrap();
    let named = |name: &str| closed.join(name).to_str().unwrap().to_owned();
    let house = House::at(served.house.dir.clone())
        .with("BACKUP_DIR", &named("backups"))
        .with("AUDIO_DIR", &named("audio"));
    assert!(Command::new("chown").args(["-R", "12345:12345"]).arg(&far).status().unwrap().success());
    fs::create_dir(named("audio")).unwrap();
    assert!(Command::new("chown").args(["-R", "12345:12345"]).arg(&far).status().unwrap().success());
    house.maint(&["backup-db"]).expect(0);
    fs::set_permissions(&far, fs::Permissions::from_mode(0o700)).unwrap();
    assert!(Command::new("chown").arg("0:0").arg(&far).status().unwrap().success());
    for command in [
        &["backup-db"][..],
        &["backup-db", "--dry-run"],
        &["verify-backups"],
        &["list-backups"],
        &["cleanup-audio"],
        &["status"],
        &["restore-db", "latest", "--dry-run"],
        &["restore-db", "companion-20260101T000000Z.db.zst", "--dry-run"],
    ] {
        let ran = house.maint(command);
        assert!(ran.stdout.contains("Permission denied"), "{command:?}: {}", ran.stdout);
        for wrong in ["there is no", "not mounted", "neither here"] {
            assert!(!ran.stdout.contains(wrong), "{command:?}: {}", ran.stdout);
        }
    }
}
