//! Backups are looked through as if they had to be restored tonight.

use std::path::{Path, PathBuf};

use crate::support::House;
use crate::support::seed::{self, HOUR};

fn house(backups: u32) -> House {
    let house = House::built();
    seed::sessions(&mut house.db(), 20, 5, seed::now() - HOUR);
    for _ in 0..backups {
        house.maint(&["backup-db"]).expect(0);
    }
    house
}

#[test]
fn every_backup_is_unpacked_and_the_newest_restored_for_practice() {
    let house = house(3);
    let report = house.maint(&["verify-backups", "--restore-drill"]).expect(0).report;
    assert_eq!((&report["backups"], &report["failed"]), (&3.into(), &0.into()));
    assert_eq!(report["verified"].as_array().unwrap().len(), 3);
    assert_eq!(report["verified"][0]["checked"], "content");
    assert_eq!(report["drill"]["file"], report["verified"][0]["file"]);
    assert_eq!((&report["drill"]["sessions"], &report["drill"]["checkpoints"]), (&20.into(), &100.into()));
    assert!(!house.dir.join(".companion-tmp-verify").exists());
    assert!(!house.dir.join("set-aside").exists(), "practice leaves the real house alone");
}

#[test]
fn a_damaged_one_is_named_and_the_rest_is_still_checked() {
    let house = house(3);
    let damaged = &house.backups()[1];
    let mut bytes = std::fs::read(damaged).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(damaged, bytes).unwrap();
    let report = house.maint(&["verify-backups"]).expect(3).report;
    assert_eq!(report["verified"].as_array().unwrap().len(), 2);
    assert_eq!(report["errors"][0]["item"], damaged.file_name().unwrap().to_str().unwrap());
    for backup in house.backups() {
        std::fs::write(backup, "nothing").unwrap();
    }
    house.maint(&["verify-backups"]).expect(1).tells("make one now");
}

#[test]
fn a_manifest_is_as_large_as_the_readme_says() {
    let house = house(1);
    let manifest = house.backups()[0].to_str().unwrap().replace(".db.zst", ".json");
    let text = std::fs::read_to_string(&manifest).unwrap();
    for (bytes, code) in [(64 * 1024, 0), (64 * 1024 + 1, 1), (64 * 1024, 0)] {
        std::fs::write(&manifest, format!("{text}{}", " ".repeat(bytes - text.len()))).unwrap();
        house.maint(&["verify-backups"]).expect(code);
    }
}

#[test]
fn a_backup_whose_manifest_is_damaged_or_gone_does_not_verify() {
    let house = house(3);
    let [one, damaged, gone] = house.backups().try_into().unwrap();
    let manifest = |backup: &Path| PathBuf::from(backup.to_str().unwrap().replace(".db.zst", ".json"));
    std::fs::write(manifest(&damaged), "{").unwrap();
    std::fs::remove_file(manifest(&gone)).unwrap();
    let report = house.maint(&["verify-backups"]).expect(3).tells("no readable manifest").report;
    assert_eq!((&report["backups"], &report["failed"]), (&3.into(), &2.into()));
    assert_eq!(report["verified"].as_array().unwrap().len(), 1);
    let named = |backup: &Path| {
        let name = backup.file_name().unwrap().to_str().unwrap();
        report["errors"].as_array().unwrap().iter().any(|error| error["item"] == name)
    };
    assert!(named(&damaged) && named(&gone) && !named(&one));
    std::fs::remove_file(manifest(&one)).unwrap();
    house.maint(&["verify-backups"]).expect(1).tells("make one now");
}

#[test]
fn backups_are_listed_without_a_database() {
    let house = house(2);
    std::fs::remove_file(house.database()).unwrap();
    std::fs::write(house.dir.join("backups").join("companion-20200101T000000Z.db.zst"), "?").unwrap();
    let report = house.maint(&["list-backups"]).expect(0).report;
    assert_eq!(report["backups"].as_array().unwrap().len(), 2);
    assert_eq!(
        (&report["backups"][0]["sessions"], &report["backups"][0]["encrypted"]),
        (&20.into(), &false.into())
    );
    assert_eq!(report["without_manifest"][0], "companion-20200101T000000Z.db.zst");
    house.maint(&["verify-backups"]).expect(1).tells("no database");
}

#[test]
fn no_backup_at_all_is_said() {
    let house = House::built();
    house.maint(&["verify-backups"]).expect(1).tells("there is no backup").tells("backup-db` makes one");
}

#[test]
fn nothing_is_unpacked_where_the_backups_lie_and_room_is_left_where_it_is() {
    let house = house(2);
    let backups = house.dir.join("backups");
    let read_only = crate::support::Mounted::read_only(&backups);
    house.maint(&["verify-backups", "--restore-drill"]).expect(0);
    drop(read_only);
    let full = House::at(house.dir.clone()).with("MIN_FREE_DISK_BYTES", "9000000000000000");
    let ran = full.maint(&["verify-backups"]).expect(1).tells("MIN_FREE_DISK_BYTES");
    assert!(!ran.stdout.contains("make one now"), "no backup is bad: {}", ran.stdout);
    house.assert_no_temporary_files();
}
