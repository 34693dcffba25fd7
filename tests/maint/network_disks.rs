//! Network file systems: nothing of ours runs on one, and backups can lie on one.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::erasures::forget;
use crate::support::{House, Mounted, names, seed, wait_for};

const REFUSED: &str = "is on a network file system (FUSE)";

#[test]
fn a_data_directory_on_a_network_file_system_is_refused_before_anything_is_made_there() {
    let place = tempfile::tempdir().unwrap();
    let Some(disk) = Mounted::network_disk(place.path()) else { return };
    let house = House::at(disk.path().join("deep/data"));
    let told = house.try_start().err().unwrap();
    assert!(
        told.starts_with("Some(1)") && told.contains(REFUSED) && told.contains("use a local disk"),
        "{told}"
    );
    assert_eq!(std::fs::read_dir(disk.path()).unwrap().count(), 0, "nothing was made");

    let house = House::at(disk.path().join("data"));
    std::fs::create_dir(&house.dir).unwrap();
    assert!(house.try_start().err().unwrap().contains(REFUSED));
    for command in ["status", "cleanup-sessions", "cleanup-audio", "backup-db", "doctor"] {
        let ran = house.maint(&[command]);
        assert!([1, 4].contains(&ran.code) && ran.error().contains(REFUSED), "{command}: {}", ran.stdout);
    }
    assert_eq!(std::fs::read_dir(&house.dir).unwrap().count(), 0, "nothing was made");
}

#[test]
fn a_database_alone_on_a_network_file_system_is_refused_too() {
    let place = tempfile::tempdir().unwrap();
    let Some(disk) = Mounted::network_disk(place.path()) else { return };
    let there = disk.path().join("companion.db");
    let house = House::built().with("SHORT_TERM_MEMORY_DB_PATH", there.to_str().unwrap());
    assert!(house.try_start().err().unwrap().contains(REFUSED));
    assert!(house.maint(&["status"]).error().contains(REFUSED));
    assert!(!there.exists());
}

#[test]
fn backups_can_lie_on_a_network_file_system() {
    let place = tempfile::tempdir().unwrap();
    let Some(disk) = Mounted::network_disk(place.path()) else { return };
    let there = disk.path().join("ours/backups");
    let house = House::new().with("BACKUP_DIR", there.to_str().unwrap()).with("BACKUP_KEEP", "1");
    house.start().stop();
    seed::sessions(&mut house.db(), 3, 2, seed::now());
    house.maint(&["backup-db"]).expect(0);
    let first = names(&there, ".db.zst");
    house.maint(&["backup-db"]).expect(0);
    let second = names(&there, ".db.zst");
    assert!(first.len() == 1 && second.len() == 1 && first != second, "{first:?} {second:?}");
    house.maint(&["verify-backups"]).expect(0);
    assert_eq!(house.maint(&["list-backups"]).expect(0).report["backups"].as_array().unwrap().len(), 1);
    std::fs::remove_file(house.database()).unwrap();
    house.maint(&["restore-db", second[0].to_str().unwrap(), "--yes"]).expect(0);
    let sessions: i64 = house.db().query_row("SELECT count(*) FROM sessions", [], |row| row.get(0)).unwrap();
    assert_eq!(sessions, 3);
    assert_eq!(names(&there, "").iter().filter(|path| path.to_string_lossy().contains("-tmp-")).count(), 0);
}

#[test]
fn a_disk_of_backups_that_hangs_keeps_nobody_from_being_erased_and_the_server_from_stopping() {
    let place = tempfile::tempdir().unwrap();
    let Some(disk) = Mounted::network_disk(place.path()) else { return };
    let there = disk.path().join("backups");
    let house = House::new().with("BACKUP_DIR", there.to_str().unwrap());
    let mut server = house.start();
    let gone = [server.start_session(), server.start_session()];
    // Who stays.
    seed::sessions(&mut house.db(), 5, 2, seed::now());
    house.maint(&["backup-db"]).expect(0);
    disk.hang();
    for talk in &gone {
        let told = forget(&server, talk);
        assert!(told["backups_until"].is_string(), "{told}");
    }
    assert_eq!(std::fs::read_to_string(house.dir.join("erasures")).unwrap().lines().count(), 2);
    assert_eq!(server.terminate(), 0);
    assert!(server.log().contains("waits for the next backup"), "{}", server.log());
    disk.go_on();
    house.maint(&["backup-db"]).expect(0);
    let beside = || std::fs::read_to_string(there.join("erasures")).unwrap_or_default().lines().count();
    wait_for("both are entered beside the backups", || beside() == 2);
}

#[test]
fn a_disk_of_backups_that_hangs_does_not_keep_the_server_from_starting() {
    let place = tempfile::tempdir().unwrap();
    let Some(disk) = Mounted::network_disk(place.path()) else { return };
    let there = disk.path().join("backups");
    let house = House::new().with("BACKUP_DIR", there.to_str().unwrap());
    disk.hang();
    let started = AtomicBool::new(false);
    let mut server = thread::scope(|scope| {
        // A start that waits for the disk fails this test, and not for ever.
        scope.spawn(|| {
            let began = Instant::now();
            while !started.load(Ordering::Relaxed) && began.elapsed() < Duration::from_secs(20) {
                thread::park_timeout(Duration::from_millis(10));
            }
            if !started.load(Ordering::Relaxed) {
                disk.go_on();
            }
        });
        let server = house.start();
        started.store(true, Ordering::Relaxed);
        server
    });
    let talk = server.start_session();
    assert_eq!(server.say(&talk, "hello").0, 200);
    forget(&server, &talk);
    assert_eq!(server.terminate(), 0);
    assert!(server.log().contains("backup_disk_hangs"), "{}", server.log());
}
