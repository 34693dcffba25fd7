//! A backup comes back whole, or nothing changes.

use std::fs;
use std::path::Path;
use std::process::{Child, Command};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use serde_json::Value;

use crate::support::seed::{self, DAY, HOUR};
use crate::support::{House, Mounted, names, wait_for};

/// A house with a backup of `sessions` sessions, to which one more was added since.
fn house(sessions: u32) -> House {
    let house = House::built();
    seed::sessions(&mut house.db(), sessions, 2, seed::now() - HOUR);
    house.maint(&["backup-db"]).expect(0);
    seed::sessions(&mut house.db(), 1, 2, seed::now() - HOUR);
    house
}

fn sessions(house: &House) -> u64 {
    house.db().query_row("SELECT count(*) FROM sessions", [], |row| row.get(0)).unwrap()
}

fn newest(house: &House) -> std::path::PathBuf {
    house.backups().pop().unwrap()
}

/// Nothing is restored, nothing is set aside, and what was there is there.
fn assert_untouched(house: &House, count: u64) {
    assert_eq!(sessions(house), count);
    assert!(names(&house.dir.join("set-aside"), "").is_empty());
    assert!(!house.dir.join("restore.pending").exists());
    house.assert_no_temporary_files();
    house.assert_sound();
}

/// How the last backup ended, as `status` tells it: outcome, end, last success.
fn last_backup(house: &House) -> [serde_json::Value; 3] {
    let report = house.maint(&["status"]).expect(0).report;
    let runs = report["last_runs"].as_array().unwrap();
    let run = runs.iter().find(|run| run["job"] == "backup-db").unwrap();
    ["outcome", "ended_at", "last_success"].map(|field| run[field].clone())
}

#[test]
fn the_run_that_made_the_backup_is_told_as_a_success_at_the_backups_time() {
    let house = house(5);
    let made = house.maint(&["restore-db", "latest", "--yes"]).expect(0).report["created_at"].clone();
    assert_eq!(last_backup(&house), ["succeeded".into(), made.clone(), made]);
}

#[test]
fn after_an_old_backup_the_jobs_wait_until_somebody_talks() {
    let house = House::built();
    seed::sessions(&mut house.db(), 5, 2, seed::now() - 20 * seed::DAY);
    house.maint(&["backup-db"]).expect(4);
    house.db().execute_batch("DELETE FROM maintenance_runs").unwrap();
    house.maint(&["restore-db", "latest", "--yes"]).expect(0);
    house.db().execute_batch("UPDATE maintenance_runs SET started_at = 1 WHERE job = 'backup-db'").unwrap();
    let jobs = ["backup-db", "cleanup-audio", "cleanup-sessions"];
    for job in jobs {
        house.maint(&[job]).expect(4).tells("far ahead of the last sign of life");
    }
    let server = house.start();
    let talk = server.start_session();
    assert_eq!(server.say(&talk, "here I am").0, 200);
    server.stop();
    for job in jobs {
        house.maint(&[job]).expect(0);
    }
}

#[test]
fn a_run_that_began_at_another_time_did_not_make_the_backup() {
    let house = house(5);
    let manifest = newest(&house).to_string_lossy().replace(".db.zst", ".json");
    let text = fs::read_to_string(&manifest).unwrap();
    let (head, rest) = text.split_once("\"created_at\": \"").unwrap();
    let (_, rest) = rest.split_once('"').unwrap();
    fs::write(&manifest, format!("{head}\"created_at\": \"2026-01-01T00:00:00.000Z\"{rest}")).unwrap();
    house.maint(&["restore-db", "latest", "--yes"]).expect(0);
    let never = serde_json::Value::Null;
    assert_eq!(last_backup(&house), ["killed".into(), never.clone(), never]);
}

#[test]
fn the_latest_comes_back_the_old_one_is_set_aside_and_the_way_back_works() {
    let house = house(5);
    let dry = house.maint(&["restore-db", "latest", "--dry-run"]).expect(0).report;
    assert_eq!((&dry["sessions"], &dry["verified"]), (&5.into(), &true.into()));
    assert_untouched(&house, 6);
    house.maint(&["restore-db", "latest"]).expect(2).tells("--yes");
    let report = house.maint(&["restore-db", "latest", "--yes"]).expect(0).report;
    assert_eq!((&report["sessions"], &report["checkpoints"]), (&5.into(), &10.into()));
    assert_eq!(sessions(&house), 5);
    house.assert_sound();
    house.assert_no_temporary_files();
    house.maint(&["doctor"]).expect(0);
    let server = house.start();
    let talk = server.start_session();
    assert_eq!(server.say(&talk, "and on we go").0, 200);
    server.stop();
    assert_eq!(house.maint(&["status"]).expect(0).report["last_runs"][4]["outcome"], "succeeded");

    go_back(&report);
    assert_eq!(sessions(&house), 6);
    house.assert_sound();
}

/// Runs what a restore said about going back.
#[track_caller]
fn go_back(report: &Value) {
    let commands = report["go_back"].as_str().unwrap().strip_prefix("stop the server, then: ").unwrap();
    assert!(Command::new("sh").args(["-ec", commands]).status().unwrap().success(), "{commands}");
}

#[test]
fn the_way_back_works_whatever_the_directory_is_called() {
    let place = tempfile::TempDir::new().unwrap();
    for name in ["it's here", "a \"$HOME\" `id`", "*"] {
        let house = House::at(place.path().join(name));
        house.start().stop();
        seed::sessions(&mut house.db(), 5, 2, seed::now() - HOUR);
        house.maint(&["backup-db"]).expect(0);
        seed::sessions(&mut house.db(), 1, 2, seed::now() - HOUR);
        let report = house.maint(&["restore-db", "latest", "--yes"]).expect(0).report;
        assert_eq!(sessions(&house), 5, "{name}");
        go_back(&report);
        assert_eq!(sessions(&house), 6, "{name}");
        house.assert_sound();
        fs::write(house.dir.join("restore.pending"), "half").unwrap();
        let told = house.maint(&["status"]).expect(4).error();
        let command = told.split_once("(mv").unwrap().1.split_once(") and").unwrap().0;
        assert!(
            Command::new("sh").args(["-ec", &format!("mv{command}")]).status().unwrap().success(),
            "{told}"
        );
        house.maint(&["status"]).expect(0);
    }
}

#[test]
fn what_going_back_puts_away_is_kept_from_that_day_on() {
    let house = house(5);
    let report = house.maint(&["restore-db", "latest", "--yes"]).expect(0).report;
    let aside = std::path::PathBuf::from(report["set_aside"].as_str().unwrap());
    go_back(&report);
    // The restore was long ago, and somebody went back just now.
    let undone = aside.with_file_name("20260101T000000Z-undone");
    fs::rename(format!("{}-undone", aside.display()), &undone).unwrap();
    house.maint(&["backup-db"]).expect(0);
    assert!(undone.join("companion.db").exists());
    let long_ago = std::time::Duration::from_millis((seed::now() - 8 * DAY).unsigned_abs());
    fs::File::open(&undone).unwrap().set_modified(std::time::UNIX_EPOCH + long_ago).unwrap();
    let report = house.maint(&["backup-db"]).expect(0).report;
    assert_eq!(report["set_aside_removed"], serde_json::json!(["20260101T000000Z-undone"]));
}

#[test]
fn a_late_restore_tells_what_the_next_cleanup_deletes() {
    let house = House::built();
    seed::sessions(&mut house.db(), 50, 2, seed::now() - 9 * DAY);
    // Old enough by the time the cleanup comes.
    seed::sessions(&mut house.db(), 2, 2, seed::now() - 7 * DAY + 12 * HOUR);
    seed::sessions(&mut house.db(), 1, 2, seed::now() - HOUR);
    house.maint(&["backup-db"]).expect(0);
    for arguments in [&["restore-db", "latest", "--dry-run"][..], &["restore-db", "latest", "--yes"]] {
        assert_eq!(house.maint(arguments).expect(0).report["would_expire"], 52);
        let text = house.maint_command(arguments).output().unwrap().stdout;
        let text = String::from_utf8(text).unwrap();
        assert!(
            text.contains("THE NEXT CLEANUP DELETES 52 of these sessions: raise SESSION_RETENTION_DAYS"),
            "{text}"
        );
    }
    let longer = House::at(house.dir.clone()).with("SESSION_RETENTION_DAYS", "30");
    assert_eq!(longer.maint(&["restore-db", "latest", "--dry-run"]).expect(0).report["would_expire"], 0);
    assert_eq!(house.maint(&["cleanup-sessions"]).expect(0).report["sessions_deleted"], 50);
}

#[test]
fn a_restore_that_fails_on_a_new_host_leaves_nothing_there() {
    let from = house(5);
    let backup = newest(&from);
    let mut bytes = fs::read(&backup).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x10;
    fs::write(&backup, bytes).unwrap();
    let to = House::new();
    // By root it is made for the owner of the backup, who may not remove it from a directory of root's.
    for owner in [None, crate::owners::is_root().then_some(12_345)] {
        std::os::unix::fs::chown(&backup, owner, None).unwrap();
        let report = to.maint(&["restore-db", backup.to_str().unwrap(), "--yes"]).expect(4).report;
        assert!(report["data_dir_made_for"].is_null(), "{report}");
        assert!(!to.dir.exists());
    }
    // One that was there before stays.
    fs::create_dir(&to.dir).unwrap();
    to.maint(&["restore-db", backup.to_str().unwrap(), "--yes"]).expect(4);
    assert!(to.dir.exists());
}

#[test]
fn what_came_out_of_a_pipe_is_known_by_its_first_bytes() {
    let keys = tempfile::TempDir::new().unwrap();
    let key = keys.path().join("key");
    assert!(Command::new("age-keygen").arg("-o").arg(&key).output().unwrap().status.success());
    let public = Command::new("age-keygen").arg("-y").arg(&key).output().unwrap().stdout;
    let house = house(5);
    let sealed =
        House::at(house.dir.clone()).with("BACKUP_AGE_RECIPIENT", String::from_utf8(public).unwrap().trim());
    for (house, name) in [(&sealed, "sealed.db.zst"), (&house, "open.age")] {
        let file = keys.path().join(name);
        let piped = house.maint_command(&["backup-db", "--stdout"]).output().unwrap();
        fs::write(&file, piped.stdout).unwrap();
        let restore = ["restore-db", file.to_str().unwrap(), "--dry-run", "--force"];
        if name == "sealed.db.zst" {
            house.maint(&restore).expect(2).tells("--identity");
        }
        let with_key = [&restore[..], &["--identity", key.to_str().unwrap()]].concat();
        assert_eq!(house.maint(&with_key).expect(0).report["sessions"], 6, "{name}");
    }
}

#[test]
fn no_sign_in_comes_back() {
    let house = House::built();
    let sign_in = "INSERT INTO sign_ins (cookie_hash, expires_at) VALUES (randomblob(32), 1 << 62)";
    house.db().execute(sign_in, []).unwrap();
    house.maint(&["backup-db"]).expect(0);
    house.db().execute("DELETE FROM sign_ins", []).unwrap();
    house.maint(&["restore-db", "latest", "--yes"]).expect(0);
    let left: u64 = house.db().query_row("SELECT count(*) FROM sign_ins", [], |row| row.get(0)).unwrap();
    assert_eq!(left, 0, "whoever has signed out since would be let in again");
    house.assert_sound();
}

#[test]
fn a_new_host_needs_only_the_backup() {
    let from = house(5);
    let to = House::new();
    let backup = newest(&from);
    to.maint(&["restore-db", backup.to_str().unwrap(), "--dry-run"]).expect(0);
    assert!(!to.dir.exists(), "trying makes nothing");
    let report = to.maint(&["restore-db", backup.to_str().unwrap(), "--yes"]).expect(0).report;
    assert!(report["set_aside"].is_null());
    assert_eq!(sessions(&to), 5);
    to.start().stop();
    to.assert_sound();
}

#[test]
fn trying_on_a_new_host_leaves_the_backups_place_alone() {
    let from = house(5);
    let backup = newest(&from);
    let _read_only = Mounted::read_only(&from.dir.join("backups"));
    let to = House::new();
    to.maint(&["restore-db", backup.to_str().unwrap(), "--dry-run"]).expect(0);
    assert!(!to.dir.exists(), "trying makes nothing");
    assert_eq!(names(to.dir.parent().unwrap(), ""), [] as [std::path::PathBuf; 0]);
}

#[test]
fn after_a_restore_all_is_well_also_where_the_backup_is_old_and_its_audio_is_gone() {
    let house = House::built();
    let ids = seed::sessions(&mut house.db(), 5, 2, seed::now() - 3 * seed::DAY);
    let audio = seed::audio(&house.db(), ids[0], &house.dir.join("audio"), 100, HOUR);
    let kept = seed::audio(&house.db(), ids[1], &house.dir.join("audio"), 100, HOUR);
    house.maint(&["backup-db"]).expect(0);
    fs::remove_file(house.dir.join("audio").join(format!("{audio}.mp3"))).unwrap();
    house.maint(&["doctor"]).expect(3).tells("audio-rows").tells("overdue");
    house.maint(&["restore-db", "latest", "--yes"]).expect(0);
    house.maint(&["doctor"]).expect(0);
    let left: Vec<Vec<u8>> = house
        .db()
        .prepare("SELECT public_id FROM audio")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    assert_eq!(left, [kept.as_bytes().to_vec()], "what is there is still referred to");
}

#[test]
fn a_running_server_and_a_running_job_are_waited_for() {
    let house = house(5);
    let server = house.start();
    house.maint(&["restore-db", "latest", "--yes"]).expect(4).tells("stop it first");
    house.maint(&["restore-db", "latest", "--yes", "--force"]).expect(4);
    server.stop();
    let lock = fs::File::create(house.dir.join("locks").join("backup-db.lock")).unwrap();
    lock.lock().unwrap();
    house.maint(&["restore-db", "latest", "--yes"]).expect(75);
    lock.unlock().unwrap();
    let lock = fs::File::create(house.dir.join("locks").join("restore-db.lock")).unwrap();
    lock.lock().unwrap();
    house.maint(&["restore-db", "latest", "--yes"]).expect(75);
    lock.unlock().unwrap();
    assert_untouched(&house, 6);
}

#[test]
fn a_stale_log_beside_the_database_undoes_nothing() {
    let house = house(5);
    let server = house.start();
    let talk = server.start_session();
    assert_eq!(server.say(&talk, "this is only in the log").0, 200);
    server.kill();
    assert!(house.dir.join("companion.db-wal").metadata().unwrap().len() > 0);
    house.maint(&["restore-db", "latest", "--yes"]).expect(0);
    assert_eq!(sessions(&house), 5);
    let aside = names(&house.dir.join("set-aside"), "").pop().unwrap();
    assert!(aside.join("companion.db-wal").exists(), "the log went aside with its database");
}

#[test]
fn a_log_whose_database_is_gone_does_not_get_into_the_restored_one() {
    let house = house(5);
    house.leave_in_log();
    fs::remove_file(house.database()).unwrap();
    house.maint(&["restore-db", "latest", "--yes"]).expect(0);
    assert_eq!(sessions(&house), 5);
    house.assert_sound();
    let aside = names(&house.dir.join("set-aside"), "").pop().unwrap();
    assert!(aside.join("companion.db-wal").exists() && !aside.join("companion.db").exists());
}

/// A restore that is stopped in its middle, like one that takes long; `None` where it was faster.
fn stopped_midway(house: &House) -> Option<Child> {
    let mut child = house.maint_command(&["restore-db", "latest", "--yes", "--json"]).spawn().unwrap();
    let unpacking = || names(&house.dir, "").iter().any(|path| path.to_string_lossy().contains("-tmp-"));
    wait_for("it unpacks", || unpacking() || child.try_wait().unwrap().is_some());
    if child.try_wait().unwrap().is_none() {
        // Nobody has waited for it: its number is still its own.
        let pid = Pid::from_child(&child);
        kill_process(pid, Signal::STOP).unwrap();
        let stands = WaitIdOptions::STOPPED | WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        let stopped = waitid(WaitId::Pid(pid), stands).unwrap().unwrap().stopped();
        // Its copy is not in place yet.
        if stopped && unpacking() {
            return Some(child);
        }
        kill_process(pid, Signal::CONT).unwrap();
    }
    crate::support::Ran::from(child.wait_with_output().unwrap()).expect(0);
    None
}

#[test]
fn while_a_restore_is_under_way_nobody_else_gets_in() {
    let house = house(5000);
    let child =
        (0..20).find_map(|_| stopped_midway(&house)).expect("a restore is always faster than the test");
    for job in ["cleanup-sessions", "cleanup-audio", "backup-db", "verify-backups", "doctor"] {
        house.maint(&[job]).expect(75);
    }
    house.maint(&["restore-db", "latest", "--yes"]).expect(75);
    let told = house.try_start().err().unwrap();
    assert!(told.starts_with("Some(1)"), "{told}");
    assert_eq!(told.trim().lines().count(), 1, "{told}");
    kill_process(Pid::from_child(&child), Signal::CONT).unwrap();
    crate::support::Ran::from(child.wait_with_output().unwrap()).expect(0);
    assert_eq!(sessions(&house), 5000);
    house.start().stop();
}

#[test]
fn what_does_not_verify_is_refused_and_changes_nothing() {
    let house = house(50);
    let backup = newest(&house);
    let whole = fs::read(&backup).unwrap();
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 0x10;
    for (what, bytes) in
        [("truncated", &whole[..whole.len() / 2]), ("flipped", &flipped), ("empty", b""), ("text", b"hello")]
    {
        fs::write(&backup, bytes).unwrap();
        let ran = house.maint(&["restore-db", "latest", "--yes"]).expect(4);
        assert!(ran.error().contains("does not verify"), "{what}: {}", ran.error());
        assert_untouched(&house, 51);
    }
    fs::write(&backup, &whole).unwrap();
    let manifest = backup.to_string_lossy().replace(".db.zst", ".json");
    let told = fs::read_to_string(&manifest).unwrap();
    fs::write(&manifest, told.replace("\"sessions\": 50", "\"sessions\": 49")).unwrap();
    house.maint(&["restore-db", "latest", "--yes"]).expect(4).tells("promises 49 sessions");
    fs::remove_file(&manifest).unwrap();
    house.maint(&["restore-db", backup.to_str().unwrap(), "--yes"]).expect(4).tells("no manifest");
    assert_untouched(&house, 51);
    house.maint(&["restore-db", backup.to_str().unwrap(), "--yes", "--force"]).expect(0);
    assert_eq!(sessions(&house), 50);
}

/// A file with a backup's name that holds this database.
fn disguised(house: &House, database: &Path) -> std::path::PathBuf {
    let path = house.dir.join("backups").join("companion-20260101T000000Z.db.zst");
    fs::write(&path, zstd::encode_all(fs::read(database).unwrap().as_slice(), 3).unwrap()).unwrap();
    path
}

#[test]
fn a_foreign_or_newer_database_is_refused_even_by_force() {
    let house = house(5);
    let other = house.dir.join("other.db");
    for (pragmas, told) in [
        ("PRAGMA application_id = 7; CREATE TABLE x (y)", "another program"),
        (
            "PRAGMA application_id = 1129270608; PRAGMA user_version = 99; CREATE TABLE x (y)",
            "schema 99 is newer",
        ),
    ] {
        #[expect(clippy::disallowed_methods, reason = "a test makes what there should not be")]
        rusqlite::Connection::open(&other).unwrap().execute_batch(pragmas).unwrap();
        let path = disguised(&house, &other);
        house.maint(&["restore-db", path.to_str().unwrap(), "--yes", "--force"]).expect(4).tells(told);
        fs::remove_file(&other).unwrap();
    }
    assert_untouched(&house, 6);
}

#[test]
fn what_is_not_there_is_said_with_what_to_do() {
    let house = House::built();
    house.maint(&["restore-db", "latest", "--yes"]).expect(1).tells("BACKUP_DIR");
    house.maint(&["restore-db", "/no/such.db.zst", "--yes"]).expect(1).tells("list-backups");
    house.maint(&["restore-db"]).expect(2);
    assert_untouched(&house, 0);
}

#[test]
fn who_brings_a_database_in_place_of_a_backup_is_told_how_to_make_it_one() {
    let house = house(5);
    let bare = house.dir.join("yesterday.db");
    fs::copy(house.database(), &bare).unwrap();
    let bring = |path: &Path| house.maint(&["restore-db", path.to_str().unwrap(), "--force", "--yes"]);
    bring(&bare).expect(4).tells("pack it with `zstd`");
    let status =
        std::process::Command::new("zstd").args(["--quiet", bare.to_str().unwrap()]).status().unwrap();
    assert!(status.success());
    bring(&house.dir.join("yesterday.db.zst")).expect(0);
}

#[test]
fn whoever_makes_backups_for_a_pipe_alone_does_not_keep_what_was_set_aside_for_good() {
    let house = house(5);
    house.maint(&["restore-db", "latest", "--yes"]).expect(0);
    let place = house.dir.join("set-aside");
    let old = place.join("20260101T000000Z");
    fs::rename(&names(&place, "")[0], &old).unwrap();
    let pipe = |arguments: &[&str]| {
        let all = [&["backup-db", "--stdout", "--json"], arguments].concat();
        let output = house.maint_command(&all).output().unwrap();
        let report = String::from_utf8(output.stderr).unwrap();
        let report: Value = serde_json::from_str(report.lines().last().unwrap()).unwrap();
        (output.status.code().unwrap(), report)
    };
    let removed = serde_json::json!(["20260101T000000Z"]);
    let (code, dry) = pipe(&["--dry-run"]);
    assert_eq!((code, &dry["set_aside_removed"], old.exists()), (0, &removed, true));
    let silent =
        "UPDATE sessions SET last_active_at = last_active_at - 40 * 86400000; DELETE FROM maintenance_runs";
    house.db().execute_batch(silent).unwrap();
    let (code, refused) = pipe(&[]);
    assert_eq!((code, &refused["path"], old.exists()), (4, &"-".into(), true), "{refused}");
    seed::sign_of_life(&mut house.db());
    let (code, report) = pipe(&[]);
    assert_eq!((code, &report["set_aside_removed"], old.exists()), (0, &removed, false));
    assert!(house.backups().len() == 1, "no backup is rotated");
}

#[test]
fn two_restores_in_the_same_second_set_two_databases_aside_and_they_go_in_time() {
    let house = house(5);
    for _ in 0..3 {
        house.maint(&["restore-db", "latest", "--yes"]).expect(0);
    }
    let place = house.dir.join("set-aside");
    assert_eq!(names(&place, "").len(), 3);
    assert!(house.maint(&["status"]).expect(0).report["disk"]["set_aside_bytes"].as_u64().unwrap() > 0);
    fs::rename(&names(&place, "")[0], place.join("20260101T000000Z")).unwrap();
    let report = house.maint(&["backup-db"]).expect(0).report;
    assert_eq!(report["set_aside_removed"], serde_json::json!(["20260101T000000Z"]));
    assert_eq!(names(&place, "").len(), 2);
}

#[test]
fn an_interrupted_restore_keeps_everybody_out_until_it_is_undone() {
    let house = house(5);
    let aside = house.dir.join("set-aside").join("20261124T000000Z");
    fs::create_dir_all(&aside).unwrap();
    fs::rename(house.database(), aside.join("companion.db")).unwrap();
    let marker = r#"{"set_aside": "20261124T000000Z", "files": ["companion.db"]}"#.to_owned();
    fs::write(house.dir.join("restore.pending"), &marker).unwrap();
    for job in ["cleanup-sessions", "cleanup-audio", "backup-db", "status", "verify-backups"] {
        house.maint(&[job]).expect(4).tells("restore-db` again");
    }
    let told = house.try_start().err().unwrap();
    assert!(told.starts_with("Some(1)") && told.contains("was interrupted"), "{told}");
    assert_eq!(told.trim().lines().count(), 1, "{told}");
    assert!(!house.database().exists(), "nobody has made a new one");
    let found = house.maint(&["doctor"]).expect(3).report;
    assert_eq!(
        (&found["findings"][0]["item"], &found["findings_count"]),
        (&"restore.pending".into(), &1.into())
    );
    let copy = house.dir.join("companion.db");
    fs::write(&copy, "half of something").unwrap();
    house.maint(&["doctor", "--repair"]).expect(0);
    assert_eq!(sessions(&house), 6, "back to the one from before");
    assert_untouched(&house, 6);

    fs::create_dir_all(&aside).unwrap();
    fs::rename(house.database(), aside.join("companion.db")).unwrap();
    fs::write(house.dir.join("restore.pending"), marker).unwrap();
    let report = house.maint(&["restore-db", "latest", "--yes"]).expect(0).report;
    assert_eq!(report["interrupted_restore_undone"], true);
    assert_eq!(sessions(&house), 5);
}

#[test]
fn a_damaged_note_of_a_restore_says_in_one_line_what_to_do_and_that_works() {
    let house = house(5);
    let aside = house.dir.join("set-aside").join("20261124T000000Z");
    fs::create_dir_all(&aside).unwrap();
    fs::rename(house.database(), aside.join("companion.db")).unwrap();
    let pending = house.dir.join("restore.pending");
    fs::write(&pending, "").unwrap();
    for job in [&["cleanup-sessions"][..], &["backup-db"], &["status"], &["restore-db", "latest", "--yes"]] {
        let told = house.maint(job).expect(4).error();
        assert!(told.contains("is damaged: move it away (mv ") && !told.contains('\n'), "{told}");
    }
    let told = house.try_start().err().unwrap();
    assert!(told.starts_with("Some(1)") && told.contains("is damaged: move it away"), "{told}");
    assert_eq!(told.trim().lines().count(), 1, "{told}");
    let command = told.split_once("(mv").unwrap().1.split_once(')').unwrap().0;
    assert!(Command::new("sh").args(["-ec", &format!("mv{command}")]).status().unwrap().success());
    house.maint(&["restore-db", "latest", "--yes"]).expect(0);
    assert_eq!(sessions(&house), 5);
    assert!(aside.join("companion.db").exists());
    house.start().stop();
}

#[test]
fn without_room_nothing_is_changed() {
    let mounted = Mounted::small_disk("64m");
    let house = House::at(mounted.path().join("data"));
    house.start().stop();
    seed::sessions(&mut house.db(), 400, 20, seed::now() - HOUR);
    let elsewhere = tempfile::TempDir::new().unwrap();
    house.maint(&["backup-db", "--output-dir", elsewhere.path().to_str().unwrap()]).expect(0);
    let backup = names(elsewhere.path(), ".db.zst").pop().unwrap();
    let filler = crate::full_disk::fill(mounted.path());
    house.maint(&["restore-db", backup.to_str().unwrap(), "--yes"]).expect(1).tells("space");
    crate::full_disk::give_back(&filler);
    assert_untouched(&house, 400);
    house.maint(&["restore-db", backup.to_str().unwrap(), "--yes"]).expect(0);
}

#[test]
fn an_encrypted_backup_needs_its_key_and_the_age_tool_reads_it() {
    let keys = tempfile::TempDir::new().unwrap();
    let key = |name: &str| {
        let path = keys.path().join(name);
        let made = Command::new("age-keygen").arg("-o").arg(&path).output().unwrap();
        assert!(made.status.success(), "the test needs Debian's package age");
        let text = fs::read_to_string(&path).unwrap();
        let public = text.lines().find_map(|line| line.strip_prefix("# public key: ")).unwrap().to_owned();
        (path.to_str().unwrap().to_owned(), public)
    };
    let ((mine, recipient), (other, _)) = (key("mine"), key("other"));
    let house = House::built().with("BACKUP_AGE_RECIPIENT", &recipient);
    seed::sessions(&mut house.db(), 5, 2, seed::now() - HOUR);
    house.maint(&["backup-db"]).expect(0);
    let backup = names(&house.dir.join("backups"), ".db.zst.age").pop().unwrap();
    let plain = Command::new("age").args(["-d", "-i", &mine]).arg(&backup).output().unwrap();
    let database = zstd::decode_all(plain.stdout.as_slice()).unwrap();
    assert!(database.starts_with(b"SQLite format 3\0"));
    house.maint(&["restore-db", "latest", "--yes"]).expect(2).tells("--identity");
    house.maint(&["restore-db", "latest", "--yes", "--identity", "/no/such"]).expect(2);
    house.maint(&["restore-db", "latest", "--yes", "--identity", &other]).expect(4).tells("not to any key");
    let whole = fs::read(&backup).unwrap();
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 0x10;
    for bad in [&flipped, &whole[..whole.len() - 20]] {
        fs::write(&backup, bad).unwrap();
        house
            .maint(&["restore-db", "latest", "--yes", "--identity", &mine])
            .expect(4)
            .tells("does not verify");
    }
    fs::write(&backup, whole).unwrap();
    assert_untouched(&house, 5);
    let checked = house.maint(&["verify-backups"]).expect(0).report;
    assert_eq!(checked["verified"][0]["checked"], "sha256");
    let ran = house
        .maint(&["verify-backups", "--identity", &other])
        .expect(1)
        .tells("can be opened with the keys in");
    assert!(ran.stdout.contains(&other) && !ran.stdout.contains("make one now"), "{}", ran.stdout);
    let checked = house.maint(&["verify-backups", "--identity", &mine, "--restore-drill"]).expect(0).report;
    assert_eq!(
        (&checked["verified"][0]["checked"], &checked["drill"]["sessions"]),
        (&"content".into(), &5.into())
    );
    house.maint(&["restore-db", "latest", "--yes", "--identity", &mine]).expect(0);
    assert_eq!(sessions(&house), 5);
    let beside = backup.to_string_lossy().replace(".age", "");
    fs::write(&beside, zstd::encode_all(database.as_slice(), 3).unwrap()).unwrap();
    house.maint(&["backup-db", "--keep", "1"]).expect(0);
    let listed = house.maint(&["list-backups"]).expect(0).report;
    assert_eq!(
        listed["backups"].as_array().unwrap().len(),
        1,
        "what was decrypted by hand is no backup: {listed}"
    );
    let wrong = House::at(house.dir.clone()).with("BACKUP_AGE_RECIPIENT", "AGE-SECRET-KEY-1QQQ");
    let ran = wrong.maint(&["backup-db"]).expect(2).tells("BACKUP_AGE_RECIPIENT");
    assert!(!ran.stderr.contains("SECRET-KEY"));
}

#[test]
fn whoever_goes_back_by_hand_does_not_bring_back_the_erased() {
    let house = House::built();
    let server = house.start();
    let talk = server.start_session();
    assert_eq!(server.say(&talk, "hello").0, 200);
    house.maint(&["backup-db"]).expect(0);
    server.stop();
    let report = house.maint(&["restore-db", "latest", "--yes"]).expect(0).report;
    let server = house.start();
    let me = format!("{}/api/v1/me", server.url);
    let erased = crate::support::agent().delete(me).header("x-companion-person", &talk.token).call().unwrap();
    assert_eq!(erased.status(), 200);
    server.stop();
    let commands = report["go_back"].as_str().unwrap().strip_prefix("stop the server, then: ").unwrap();
    assert!(
        Command::new("sh").args(["-ec", commands]).current_dir("/").status().unwrap().success(),
        "{commands}"
    );
    assert_eq!(sessions(&house), 1, "the database from before still has them");
    house.start().stop();
    assert_eq!(sessions(&house), 0);
    house.assert_sound();
}

#[test]
fn the_latest_is_not_silently_one_from_the_future() {
    let house = house(5);
    let dir = house.dir.join("backups");
    let made = newest(&house);
    for ending in [".db.zst", ".json"] {
        let from = made.to_string_lossy().replace(".db.zst", ending);
        fs::copy(from, dir.join(format!("companion-20990101T000000Z{ending}"))).unwrap();
    }
    house.maint(&["restore-db", "latest", "--yes"]).expect(4).tells("from the future");
    assert_untouched(&house, 6);
}
