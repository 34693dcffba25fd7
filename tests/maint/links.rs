//! A database whose name is that of a link: its log lies beside the real file, and so does all that is done with it.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

use crate::support::seed::{self, DAY, HOUR};
use crate::support::{House, names};

/// A house whose database lies on another disk, as `real.db`, and is linked to.
fn linked() -> (House, TempDir, PathBuf) {
    let house = House::built();
    let other = TempDir::new().unwrap();
    let real = other.path().join("real.db");
    fs::rename(house.database(), &real).unwrap();
    symlink(&real, house.database()).unwrap();
    (house, other, real)
}

fn sessions(house: &House) -> u64 {
    house.db().query_row("SELECT count(*) FROM sessions", [], |row| row.get(0)).unwrap()
}

fn is_link(house: &House) -> bool {
    fs::symlink_metadata(house.database()).unwrap().is_symlink()
}

#[test]
fn a_restore_puts_the_backup_where_the_link_leads_and_the_way_back_works() {
    let (house, other, real) = linked();
    seed::sessions(&mut house.db(), 5, 2, seed::now() - HOUR);
    house.maint(&["backup-db"]).expect(0);
    let server = house.start();
    let talk = server.start_session();
    assert_eq!(server.say(&talk, "only in the log").0, 200);
    server.kill();
    assert!(other.path().join("real.db-wal").exists());
    let report = house.maint(&["restore-db", "latest", "--yes"]).expect(0).report;
    assert!(is_link(&house) && real.is_file());
    assert_eq!(sessions(&house), 5);
    let aside = names(&other.path().join("set-aside"), "Z").remove(0);
    assert!(aside.join("real.db").is_file() && aside.join("real.db-wal").is_file());
    house.start().stop();
    house.maint(&["doctor"]).expect(0);

    let commands = report["go_back"].as_str().unwrap().strip_prefix("stop the server, then: ").unwrap();
    assert!(Command::new("sh").args(["-ec", commands]).status().unwrap().success(), "{commands}");
    assert_eq!(sessions(&house), 6, "with what was in the log alone");
    assert!(is_link(&house));
    house.assert_sound();
}

#[test]
fn every_job_works_behind_a_link_and_two_houses_never_share_a_database() {
    let (house, _other, real) = linked();
    let mut db = house.db();
    seed::sessions(&mut db, 50, 4, seed::now() - 9 * DAY);
    seed::sign_of_life(&mut db);
    drop(db);
    for job in ["backup-db", "cleanup-audio", "cleanup-sessions", "verify-backups", "status"] {
        house.maint(&[job]).expect(0);
    }
    assert_eq!(sessions(&house), 1);
    let server = house.start();
    let second = House::new();
    fs::create_dir_all(&second.dir).unwrap();
    symlink(&real, second.database()).unwrap();
    let told = second.try_start().err().unwrap();
    assert!(told.contains("already running"), "{told}");
    server.stop();
}

#[test]
fn a_restore_that_was_killed_behind_a_link_is_undone() {
    let (house, other, real) = linked();
    seed::sessions(&mut house.db(), 5, 2, seed::now() - HOUR);
    house.maint(&["backup-db"]).expect(0);
    seed::sessions(&mut house.db(), 1, 2, seed::now() - HOUR);
    let aside = other.path().join("set-aside/20261124T000000Z");
    fs::create_dir_all(&aside).unwrap();
    let marker = r#"{"set_aside": "20261124T000000Z", "files": ["real.db"]}"#;
    for (end, count) in [(&["doctor", "--repair"][..], 6), (&["restore-db", "latest", "--yes"], 5)] {
        fs::create_dir_all(&aside).unwrap();
        fs::rename(&real, aside.join("real.db")).unwrap();
        fs::write(house.dir.join("restore.pending"), marker).unwrap();
        house.maint(&["status"]).expect(4).tells("was interrupted");
        let ran = house.maint(end);
        assert!([0, 3].contains(&ran.code), "{}", ran.stdout);
        assert_eq!(sessions(&house), count);
        assert!(is_link(&house) && !house.dir.join("restore.pending").exists());
    }
    house.assert_sound();
}

#[test]
fn a_link_that_leads_nowhere_is_told_and_nothing_is_made() {
    let (house, other, real) = linked();
    house.maint(&["backup-db"]).expect(0);
    fs::remove_file(&real).unwrap();
    let jobs = [
        &["cleanup-sessions"][..],
        &["backup-db"],
        &["status"],
        &["doctor", "--repair"],
        &["restore-db", "latest", "--yes"],
    ];
    for job in jobs {
        let told = house.maint(job).expect(1).error();
        assert!(told.contains("is a link to") && told.contains("remove the link"), "{told}");
    }
    let told = house.try_start().err().unwrap();
    assert!(told.starts_with("Some(1)") && told.contains("is a link to"), "{told}");
    assert_eq!(told.trim().lines().count(), 1, "{told}");
    assert!(names(other.path(), ".db").is_empty());
    fs::remove_file(house.database()).unwrap();
    house.maint(&["restore-db", "latest", "--yes"]).expect(0);
}
