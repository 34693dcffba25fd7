//! Backups: proven, named last, rotated with care.

use std::os::unix::fs::PermissionsExt;

use crate::support::seed::{self, DAY};
use crate::support::{House, names};

fn house() -> House {
    let house = House::built();
    seed::sessions(&mut house.db(), 10, 5, seed::now() - DAY);
    house
}

#[test]
fn a_backup_is_made_while_the_server_writes_and_verifies() {
    let house = house();
    let server = house.start();
    let talk = server.start_session();
    assert_eq!(server.say(&talk, "hello").0, 200);
    let report = house.maint(&["backup-db"]).expect(0).report;
    assert_eq!(report["verified"], true);
    assert_eq!((&report["sessions"], &report["checkpoints"]), (&11.into(), &51.into()));
    let path = house.backups().pop().unwrap();
    assert_eq!(report["path"], path.to_str().unwrap());
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o600);
    assert_eq!(mode(&house.dir.join("backups")), 0o700);
    let manifest = std::fs::read_to_string(path.to_string_lossy().replace(".db.zst", ".json")).unwrap();
    assert!(!manifest.contains("hello"));
    house.assert_backups_verify();
    house.assert_no_temporary_files();
}

#[test]
fn the_newest_stay_foreign_files_are_not_touched() {
    let house = house();
    let backups = house.dir.join("backups");
    std::fs::write(backups.join("companion-20200101T000000Z.db.zst"), "no manifest: not ours").unwrap();
    std::fs::write(backups.join("holiday.json"), "{}").unwrap();
    let foreign = backups.join("companion-20200102T000000Z.json");
    std::fs::write(&foreign, r#"{"name": "another program's"}"#).unwrap();
    for _ in 0..4 {
        house.maint(&["backup-db", "--keep", "3"]).expect(0);
    }
    let report = house.maint(&["backup-db", "--keep", "2"]).expect(0).report;
    assert_eq!(report["kept"].as_array().unwrap().len(), 2);
    assert_eq!(report["removed"].as_array().unwrap().len(), 2);
    assert!(report["kept"][0]["reasons"].to_string().contains("newest 2"));
    assert_eq!(house.backups().len(), 3);
    assert!(
        backups.join("companion-20200101T000000Z.db.zst").exists() && backups.join("holiday.json").exists()
    );
    assert!(foreign.exists(), "it is not a manifest of ours");
    house.maint(&["backup-db", "--keep", "0"]).expect(2);
    let dry = house.maint(&["backup-db", "--keep", "1", "--dry-run"]).expect(0).report;
    assert_eq!(dry["removed"].as_array().unwrap().len(), 2, "the one to be made takes the place of both");
    assert_eq!(house.backups().len(), 3);
}

#[test]
fn after_an_accident_nothing_is_rotated_away() {
    let house = house();
    for _ in 0..3 {
        house.maint(&["backup-db"]).expect(0);
    }
    house.db().execute_batch("DELETE FROM checkpoints; UPDATE totals SET checkpoints = 0").unwrap();
    let ran = house.maint(&["backup-db", "--keep", "1"]).expect(3);
    assert!(ran.error().contains("more than half of the rows have gone"));
    assert_eq!(house.backups().len(), 4);
}

#[test]
fn a_backup_can_go_into_a_pipe() {
    let house = house();
    let output = house.maint_command(&["backup-db", "--stdout", "--json"]).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let database = zstd::decode_all(output.stdout.as_slice()).unwrap();
    assert!(database.starts_with(b"SQLite format 3\0"));
    assert!(house.backups().is_empty());
    assert!(names(&house.dir.join("backups"), "").is_empty(), "nothing of it lies with the backups");
    house.assert_no_temporary_files();
    let report = String::from_utf8(output.stderr).unwrap();
    let report: serde_json::Value = serde_json::from_str(report.lines().last().unwrap()).unwrap();
    assert_eq!(report["sha256"], crate::support::sha256(&output.stdout));
    let quiet = house.maint_command(&["backup-db", "--stdout", "--json", "--quiet"]).output().unwrap();
    assert!(quiet.status.success() && quiet.stderr.is_empty(), "{}", String::from_utf8_lossy(&quiet.stderr));
}

#[test]
fn another_directory_is_made_and_keeps_its_own_count() {
    let house = house();
    let elsewhere = house.dir.join("off-site").join("disk");
    house.maint(&["backup-db", "--output-dir", elsewhere.to_str().unwrap()]).expect(0);
    assert_eq!(crate::support::names(&elsewhere, ".db.zst").len(), 1);
    assert!(house.backups().is_empty());
}

#[test]
fn a_damaged_database_makes_no_backup_and_the_older_ones_stay() {
    let house = house();
    house.maint(&["backup-db", "--keep", "1"]).expect(0);
    house.db().execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    let mut bytes = std::fs::read(house.database()).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..middle + 4096].fill(0x5A);
    std::fs::write(house.database(), bytes).unwrap();
    let ran = house.maint(&["backup-db", "--keep", "1"]).expect(1);
    let told = ran.error();
    assert!(told.contains("the database is damaged, and no backup") || told.contains("malformed"), "{told}");
    assert_eq!(house.backups().len(), 1);
    house.assert_no_temporary_files();
}

#[test]
fn a_row_that_refers_to_nothing_makes_no_backup_and_the_older_ones_stay() {
    let house = house();
    house.maint(&["backup-db", "--keep", "1"]).expect(0);
    let lost = "PRAGMA foreign_keys = OFF; UPDATE checkpoints SET session_id = 999999 WHERE id = 1";
    house.db().execute_batch(lost).unwrap();
    let told = house.maint(&["backup-db", "--keep", "1"]).expect(1).error();
    assert!(told.contains("a row of checkpoints refers to one that is not there"), "{told}");
    assert_eq!(house.backups().len(), 1);
    house.assert_no_temporary_files();
}

#[test]
fn no_room_for_the_free_space_that_has_to_stay_is_exit_1() {
    let house = house().with("MIN_FREE_DISK_BYTES", "9000000000000000");
    let ran = house.maint(&["backup-db"]).expect(1);
    assert!(ran.error().contains("MIN_FREE_DISK_BYTES"), "{}", ran.error());
    assert!(house.backups().is_empty());
    house.assert_no_temporary_files();
}

#[test]
fn a_dry_run_counts_the_backup_that_would_be_made() {
    let house = house();
    for _ in 0..3 {
        house.maint(&["backup-db"]).expect(0);
    }
    let files = house.files();
    let dry = house.maint(&["backup-db", "--keep", "3", "--dry-run"]).expect(0).report;
    assert_eq!(house.files(), files);
    assert_eq!(dry["kept"].as_array().unwrap().len(), 3);
    assert!(dry["kept"][0]["reasons"].to_string().contains("would be made"), "{dry}");
    let done = house.maint(&["backup-db", "--keep", "3"]).expect(0).report;
    assert_eq!(dry["removed"].as_array().unwrap().len(), 1);
    for name in ["removed", "sessions", "checkpoints", "kept_at_most_days"] {
        assert_eq!(dry[name], done[name], "{name}");
    }
}

/// Both refuse in the same way, and the dry one changes nothing.
#[track_caller]
fn assert_refused_alike(house: &House, arguments: &[&str], code: i32) {
    let files = house.files();
    let dry = house.maint(&[arguments, &["--dry-run"]].concat()).expect(code);
    assert_eq!(house.files(), files);
    let real = house.maint(arguments).expect(code);
    let number = |told: String| told.replace(|c: char| c.is_ascii_digit(), "");
    assert_eq!(number(dry.error()), number(real.error()));
    assert_eq!(dry.report["removed"], real.report["removed"]);
}

#[test]
fn a_dry_run_refuses_what_the_real_run_refuses() {
    let full = house().with("MIN_FREE_DISK_BYTES", "9000000000000000");
    assert_refused_alike(&full, &["backup-db"], 1);
    let elsewhere = full.dir.join("a").join("b");
    full.maint(&["backup-db", "--dry-run", "--output-dir", elsewhere.to_str().unwrap()]).expect(1);
    assert!(!full.dir.join("a").exists());
    let house = house();
    let file = house.dir.join("file");
    std::fs::write(&file, "").unwrap();
    for taken in [file.clone(), file.join("below")] {
        assert_refused_alike(&house, &["backup-db", "--output-dir", taken.to_str().unwrap()], 1);
    }
    assert_refused_alike(&house, &["backup-db", "--keep", "2"], 0);
    let late = house.db();
    late.execute_batch("UPDATE sessions SET last_active_at = last_active_at - 40 * 86400000").unwrap();
    late.execute_batch("DELETE FROM maintenance_runs").unwrap();
    assert_refused_alike(&house, &["backup-db"], 4);
    late.execute_batch("DELETE FROM checkpoints; UPDATE totals SET checkpoints = 0").unwrap();
    seed::sign_of_life(&mut house.db());
    assert_refused_alike(&house, &["backup-db", "--keep", "1"], 3);
}

/// Makes the newest backup look as if it had been made `days` from now.
fn move_to_the_future(house: &House, days: i64) -> std::path::PathBuf {
    let newest = house.backups().pop().unwrap();
    let at = companion::domain::clock::Timestamp::from_millis(seed::now() + days * DAY).compact();
    let future = house.dir.join("backups").join(format!("companion-{at}.db.zst"));
    let manifest = |path: &std::path::Path| path.to_string_lossy().replace(".db.zst", ".json");
    std::fs::rename(manifest(&newest), manifest(&future)).unwrap();
    std::fs::rename(newest, &future).unwrap();
    future
}

#[test]
fn a_backup_from_the_future_stays_and_does_not_stop_the_rotation() {
    let house = house();
    for _ in 0..2 {
        house.maint(&["backup-db"]).expect(0);
    }
    let future = move_to_the_future(&house, 300);
    // Most rows go for good, which is told once.
    house.db().execute_batch("DELETE FROM checkpoints; UPDATE totals SET checkpoints = 0").unwrap();
    house.maint(&["backup-db", "--keep", "2"]).expect(3);
    for _ in 0..3 {
        house.maint(&["backup-db", "--keep", "2"]).expect(0);
    }
    let report = house.maint(&["backup-db", "--keep", "2"]).expect(0).report;
    let kept = report["kept"].as_array().unwrap();
    assert_eq!(kept.len(), 4, "that of the future, two, and the guarded one: {report}");
    assert_eq!(kept[0]["file"], future.file_name().unwrap().to_str().unwrap());
    assert_eq!(kept[0]["reasons"].to_string(), r#"["from the future: was the clock wrong?"]"#);
    assert_eq!(report["removed"].as_array().unwrap().len(), 1);
    let days = report["kept_at_most_days"].as_u64().unwrap();
    assert!((333..=334).contains(&days), "an erasure is promised by the last that remembers: {days}");
}

#[test]
fn the_manifest_of_a_backup_on_a_disk_that_is_away_stays() {
    let house = house();
    house.maint(&["backup-db"]).expect(0);
    let backup = house.backups().remove(0);
    let manifest = std::path::PathBuf::from(backup.to_string_lossy().replace(".db.zst", ".json"));
    std::fs::remove_file(&backup).unwrap();
    std::os::unix::fs::symlink("/media/away/companion.db.zst", &backup).unwrap();
    let written = std::fs::File::options().write(true).open(&manifest).unwrap();
    let long_ago =
        written.metadata().unwrap().modified().unwrap() - std::time::Duration::from_secs(2 * 60 * 60);
    written.set_modified(long_ago).unwrap();
    house.maint(&["doctor", "--repair"]);
    assert!(manifest.exists(), "doctor");
    house.maint(&["backup-db"]).expect(0);
    assert!(manifest.exists(), "backup-db");
}
