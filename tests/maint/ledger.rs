//! The list of erased people survives what happens to disks: one that is full, one that is lost, one that is not there.

use std::fs;

use serde_json::Value;

use crate::erasures::forget;
use crate::full_disk::{fill, give_back};
use crate::support::seed::{self, HOUR};
use crate::support::{House, Mounted, Server, Talk, names};

/// A server with two people who talk, and a backup that holds both.
fn two_people(house: &House) -> (Server, Talk, Talk) {
    let server = house.start();
    let (gone, stays) = (server.start_session(), server.start_session());
    assert_eq!((server.say(&gone, "quincunx").0, server.say(&stays, "xylograph").0), (200, 200));
    house.maint(&["backup-db"]).expect(0);
    (server, gone, stays)
}

/// Only who was not erased is there after the newest backup was restored.
fn restore_forgets(house: &House, stays: &Talk) {
    let report = house.maint(&["restore-db", "latest", "--yes"]).expect(0).report;
    assert_eq!((&report["erased_again"], house.content().sessions), (&1.into(), 1));
    let server = house.start();
    assert_eq!(server.history(stays).len(), 1);
    server.stop();
}

#[test]
fn an_erasure_on_a_full_disk_is_entered_whole() {
    let mounted = Mounted::small_disk("120m");
    let house = House::at(mounted.path().join("data")).with("MIN_FREE_DISK_BYTES", "1048576");
    let (server, gone, stays) = two_people(&house);
    // The next line begins in a page that there is room for, and ends in one that there is none for.
    let line = |_| format!("{} 2026-11-24T00:00:00.000Z\n", uuid::Uuid::new_v4());
    let before: String = (0..66).map(line).collect();
    fs::write(house.dir.join("erasures"), &before).unwrap();
    let filler = fill(mounted.path());
    forget(&server, &gone);
    let after = fs::read_to_string(house.dir.join("erasures")).unwrap();
    assert!(after.starts_with(&before) && after.lines().count() == 67, "{:?}", &after[before.len()..]);
    server.stop();
    give_back(&filler);
    restore_forgets(&house, &stays);
}

#[test]
fn who_lost_the_data_and_not_the_backups_revives_nobody() {
    let elsewhere = tempfile::TempDir::new().unwrap();
    let kept = |house: House| house.with("BACKUP_DIR", elsewhere.path().to_str().unwrap());
    let old = kept(House::new());
    let (server, gone, stays) = two_people(&old);
    forget(&server, &gone);
    server.stop();
    drop(old);
    let new = kept(House::new());
    restore_forgets(&new, &stays);
    assert_eq!(fs::read_to_string(new.dir.join("erasures")).unwrap().lines().count(), 1);
    new.maint(&["doctor"]).expect(0);
}

#[test]
fn the_copy_that_could_not_be_written_is_completed() {
    let house = House::new();
    let (server, gone, stays) = two_people(&house);
    let copy = house.dir.join("backups/erasures");
    // Something is in its way.
    fs::create_dir(&copy).unwrap();
    forget(&server, &gone);
    forget(&server, &stays);
    server.stop();
    fs::remove_dir(&copy).unwrap();
    seed::sign_of_life(&mut house.db());
    let report = house.maint(&["doctor"]).expect(3).report;
    let finding = &report["findings"][0];
    assert_eq!((&finding["check"], &report["findings_count"]), (&"erasures".into(), &1.into()), "{report}");
    house.maint(&["doctor", "--repair"]).expect(0);
    assert_eq!(fs::read(&copy).unwrap(), fs::read(house.dir.join("erasures")).unwrap());
    fs::remove_file(&copy).unwrap();
    house.maint(&["backup-db", "--force"]).expect(0);
    assert_eq!(fs::read(&copy).unwrap(), fs::read(house.dir.join("erasures")).unwrap());
}

#[test]
fn a_damaged_list_keeps_a_restore_from_reviving_anyone() {
    let house = House::new();
    let (server, gone, stays) = two_people(&house);
    forget(&server, &gone);
    server.stop();
    let list = house.dir.join("erasures");
    let good = fs::read_to_string(&list).unwrap();
    fs::write(&list, format!("garbage\n{good}")).unwrap();
    let content = house.content();
    house.maint(&["restore-db", "latest", "--yes"]).expect(1).tells("line 1 is damaged");
    assert_eq!(house.content(), content);
    let report = house.maint(&["doctor"]).expect(3).report;
    assert_eq!(report["findings"][0]["check"], "erasures", "{report}");
    // Who is not in the database any more needs no list; those who talk are served.
    house.start().stop();
    fs::write(&list, good).unwrap();
    restore_forgets(&house, &stays);
}

#[test]
fn an_erasure_succeeds_while_the_disk_of_the_backups_is_away() {
    let elsewhere = tempfile::TempDir::new().unwrap();
    let place = elsewhere.path().join("mounted");
    let house = House::new().with("BACKUP_DIR", place.to_str().unwrap());
    let (server, gone, _) = two_people(&house);
    let away = elsewhere.path().join("away");
    fs::rename(&place, &away).unwrap();
    let told = forget(&server, &gone);
    assert!(told["backups_until"].is_string(), "{told}");
    server.stop();
    fs::remove_dir(&place).ok();
    fs::rename(&away, &place).unwrap();
    house.maint(&["backup-db"]).expect(0);
    assert!(place.join("erasures").exists());
}

#[test]
fn backups_do_not_begin_anew_where_their_disk_is_not_mounted() {
    let elsewhere = tempfile::TempDir::new().unwrap();
    let place = elsewhere.path().join("mounted");
    let house = House::new().with("BACKUP_DIR", place.to_str().unwrap());
    two_people(&house).0.stop();
    let away = elsewhere.path().join("away");
    fs::rename(&place, &away).unwrap();
    for mount_point in [false, true] {
        if mount_point {
            fs::create_dir(&place).unwrap();
        }
        for arguments in [&["backup-db"][..], &["backup-db", "--dry-run"]] {
            house.maint(arguments).expect(4).tells("is a disk not mounted?").tells("--force");
        }
        let report = house.maint(&["doctor"]).expect(3).report;
        assert_eq!(report["findings"][0]["check"], "backup-place", "{report}");
        assert_eq!(place.exists(), mount_point);
    }
    // Another directory is no accident.
    let other = tempfile::TempDir::new().unwrap();
    house.maint(&["backup-db", "--output-dir", other.path().to_str().unwrap()]).expect(0);
    fs::remove_dir(&place).unwrap();
    fs::rename(&away, &place).unwrap();
    house.maint(&["backup-db"]).expect(0);
    fs::remove_dir_all(&place).unwrap();
    house.maint(&["backup-db", "--force"]).expect(0);
    assert_eq!(names(&place, ".db.zst").len(), 1);
    house.maint(&["backup-db"]).expect(0);
}

#[test]
fn a_backup_elsewhere_does_not_shorten_what_an_erasure_promises() {
    let house = House::built();
    seed::sessions(&mut house.db(), 2, 2, seed::now() - HOUR);
    seed::sign_of_life(&mut house.db());
    house.maint(&["backup-db", "--keep", "3", "--keep-weekly", "8"]).expect(0);
    let server = house.start();
    let promised =
        |server: &Server| -> Value { forget(server, &server.start_session())["backups_until"].clone() };
    let first = promised(&server);
    let other = tempfile::TempDir::new().unwrap();
    house.maint(&["backup-db", "--keep", "1", "--output-dir", other.path().to_str().unwrap()]).expect(0);
    assert_eq!(promised(&server), first);
    let piped = house.maint_command(&["backup-db", "--stdout"]).output().unwrap();
    assert_eq!(piped.status.code(), Some(0));
    assert_eq!(promised(&server), first);
    server.stop();
}
