//! Backups: proven, named last, rotated with care.

use std::os::unix::fs::PermissionsExt;

use crate::support::House;
use crate::support::seed::{self, DAY};

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
    house.maint(&["backup-db", "--keep", "0"]).expect(2);
    let dry = house.maint(&["backup-db", "--keep", "1", "--dry-run"]).expect(0).report;
    assert_eq!(dry["removed"].as_array().unwrap().len(), 1);
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
    house.assert_no_temporary_files();
    let report = String::from_utf8(output.stderr).unwrap();
    assert!(report.contains(&crate::support::sha256(&output.stdout)));
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
    assert!(ran.error().contains("does not verify") || ran.error().contains("malformed"), "{}", ran.error());
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
