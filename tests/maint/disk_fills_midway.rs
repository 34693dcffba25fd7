//! A disk that has no more room in the middle of a job: the job fails, nothing half-written has a final name, the
//! database is whole, and the same command succeeds once there is room.
//!
//! Three ways to get there: a limit on the size of a file, which fails the write that passes it; a disk with so many
//! pages left, one more each time, which fails every write there is, one after the other; and somebody else who fills
//! the disk while the job runs.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};

use rustix::process::{Pid, Signal, kill_process};

use crate::full_disk::{fill, give_back};
use crate::support::content::Content;
use crate::support::seed::{self, DAY, HOUR};
use crate::support::{House, Mounted, Ran, names, wait_for};

const PAGE: u64 = 4096;
const RESTORE: [&str; 3] = ["restore-db", "latest", "--yes"];

/// Runs the maintenance tool with no file of its allowed to grow beyond so many blocks of 512 bytes.
fn limited(house: &House, blocks: u64, arguments: &[&str]) -> Ran {
    let mut command = house.command("/bin/sh");
    let script = "ulimit -f $0; exec \"$@\"";
    command.args(["-c", script, &blocks.to_string(), env!("CARGO_BIN_EXE_companion-maint")]);
    Ran::from(command.args(arguments).arg("--json").output().unwrap())
}

fn blocks_of(path: &Path) -> u64 {
    path.metadata().unwrap().len() / 512
}

/// Nothing half-written has a final name, and the database is as it was.
#[track_caller]
fn assert_unharmed(house: &House, before: &Content, backups: &[PathBuf]) {
    assert_eq!(house.content(), *before);
    assert_eq!(house.backups(), backups);
    assert_eq!(
        names(&house.dir.join("backups"), ".json").len(),
        backups.len(),
        "a manifest without its backup"
    );
    house.assert_backups_verify();
    house.assert_no_temporary_files();
    assert!(!house.dir.join("restore.pending").exists());
    assert_eq!(names(&house.dir.join("set-aside"), "").len(), 0);
    house.assert_sound();
}

fn lived_in(house: &House, sessions: u32) {
    house.start().stop();
    seed::sessions(&mut house.db(), sessions, 20, seed::now() - HOUR);
    house.maint(&["backup-db"]).expect(0);
    seed::sessions(&mut house.db(), 1, 1, seed::now() - HOUR);
}

#[test]
fn a_file_that_may_not_grow_stops_a_backup_and_a_restore_anywhere() {
    let house = House::new();
    lived_in(&house, 100);
    let (before, backups, whole) = (house.content(), house.backups(), blocks_of(&house.database()));
    for part in [5, 25, 50, 75, 99] {
        for job in [&["backup-db"][..], &RESTORE] {
            limited(&house, whole * part / 100, job).expect(1);
            assert_unharmed(&house, &before, &backups);
        }
    }
    limited(&house, whole * 2, &["backup-db"]).expect(0);
    limited(&house, whole * 2, &RESTORE).expect(0);
    assert_eq!(house.content(), before);
}

#[test]
fn a_server_whose_files_may_not_grow_fails_a_turn_and_goes_on() {
    let house = House::new();
    let server = house.start();
    let talk = server.start_session();
    assert_eq!(server.say(&talk, "hello").0, 200);
    server.limit_files(Some(PAGE));
    let (status, told) = server.say(&talk, "this finds no room");
    assert!((500..600).contains(&status), "{status} {told}");
    assert_eq!(server.get("/livez").0, 200);
    // What is logged is read beside the answer.
    wait_for("the log tells why", || {
        server.log().lines().any(|line| line.contains("request_failed") && line.contains("cannot commit"))
    });
    server.limit_files(None);
    wait_for("it keeps what is said again", || server.say(&talk, "hello again").0 == 200);
    server.stop();
    house.assert_sound();
}

#[test]
fn a_log_that_may_not_grow_stops_a_cleanup_and_the_report_is_exact() {
    let house = House::built();
    let mut db = house.db();
    let old = seed::sessions(&mut db, 400, 20, seed::now() - 8 * DAY);
    seed::sign_of_life(&mut db);
    for session in &old[..20] {
        seed::audio(&db, *session, &house.dir.join("audio"), 1000, HOUR);
    }
    drop(db);
    let mut failed = 0;
    for kilobytes in [16, 64, 150, 300, 1000, 3000] {
        let before = house.content().sessions;
        let ran = limited(&house, kilobytes * 2, &["cleanup-sessions", "--batch-size", "10"]);
        let deleted = ran.report["sessions_deleted"].as_u64().unwrap_or(0);
        assert_eq!(house.content().sessions, before - deleted, "{}", ran.stdout);
        house.assert_sound();
        if ran.code != 0 {
            failed += 1;
            ran.expect(1);
        }
    }
    assert!(failed >= 3, "too few of them failed for this to mean anything: {failed}");
    house.maint(&["cleanup-sessions"]).expect(0);
    assert_eq!(house.content().sessions, 1);
    assert_eq!(names(&house.dir.join("audio"), ".mp3").len(), 0);
    for job in ["cleanup-audio", "backup-db", "doctor"] {
        house.maint(&[job]).expect(0);
    }
}

/// A disk on which so many pages are left.
struct Tight {
    mounted: Mounted,
    filler: PathBuf,
}

impl Tight {
    fn new(size: &str) -> Self {
        let mounted = Mounted::small_disk(size);
        let filler = mounted.path().join("filler");
        Self { mounted, filler }
    }

    fn house(&self) -> House {
        House::at(self.mounted.path().join("data"))
    }

    fn leave(&self, pages: u64) {
        fill(self.mounted.path());
        let file = File::options().write(true).open(&self.filler).unwrap();
        file.set_len(file.metadata().unwrap().len().next_multiple_of(PAGE) - pages * PAGE).unwrap();
    }

    fn make_room(&self) {
        give_back(&self.filler);
    }
}

fn pages_of(path: &Path) -> u64 {
    path.metadata().unwrap().len().div_ceil(PAGE)
}

#[test]
fn with_one_page_more_each_time_every_write_of_a_backup_fails_once() {
    let disk = Tight::new("48m");
    let house = disk.house();
    lived_in(&house, 40);
    let (before, backups) = (house.content(), house.backups());
    let (copy, packed) = (pages_of(&house.database()), pages_of(&backups[0]));
    let sizes = [1, copy / 2].into_iter().chain(copy..copy + packed + 40);
    let mut told = BTreeSet::new();
    for pages in sizes {
        disk.leave(pages);
        let ran = house.maint(&["backup-db"]);
        disk.make_room();
        if ran.code == 0 {
            let stages = ["not enough space in ", "compress ", "write "];
            assert!(stages.iter().all(|stage| told.contains(*stage)), "not every write failed: {told:?}");
            assert_eq!(house.backups().len(), 2);
            house.assert_backups_verify();
            return;
        }
        let error = ran.error();
        ran.expect(1);
        assert!(error.to_lowercase().contains("space"), "{error}");
        told.insert(error.split('/').next().unwrap_or_default().to_owned());
        assert_unharmed(&house, &before, &backups);
    }
    panic!("it never had enough");
}

#[test]
fn with_one_page_more_each_time_every_write_of_a_restore_fails_once() {
    let disk = Tight::new("48m");
    let house = disk.house();
    lived_in(&house, 40);
    let (before, backups) = (house.content(), house.backups());
    let copy = pages_of(&house.database());
    let mut told = BTreeSet::new();
    for pages in [1, copy / 2].into_iter().chain(copy - 3..copy + 40) {
        disk.leave(pages);
        let ran = house.maint(&RESTORE);
        disk.make_room();
        if ran.code == 0 {
            assert!(told.contains("write "), "the marker never failed: {told:?}");
            assert_eq!(house.content().sessions, 40);
            return;
        }
        let error = ran.error();
        ran.expect(1);
        assert!(error.to_lowercase().contains("space"), "{error}");
        told.insert(error.split('/').next().unwrap_or_default().to_owned());
        assert_unharmed(&house, &before, &backups);
    }
    panic!("it never had enough");
}

/// Fills the disk as soon as the job has `begun`, which stands still meanwhile. `None` where the job was faster.
fn fill_while(house: &House, disk: &Tight, arguments: &[&str], begun: impl Fn() -> bool) -> Option<Ran> {
    let mut child = house.maint_command(arguments).arg("--json").spawn().unwrap();
    while !begun() && child.try_wait().unwrap().is_none() {
        std::thread::yield_now();
    }
    let is_over = child.try_wait().unwrap().is_some();
    if !is_over {
        // Nobody has waited for it: its number is still its own.
        let job = Pid::from_child(&child);
        kill_process(job, Signal::STOP).unwrap();
        let second = fill(&house.dir.join("audio"));
        kill_process(job, Signal::CONT).unwrap();
        child.wait().unwrap();
        give_back(&second);
    }
    let ran = Ran::from(child.wait_with_output().unwrap());
    disk.make_room();
    if is_over || ran.code == 0 {
        ran.expect(0);
        return None;
    }
    Some(ran)
}

/// The same on a disk with so many pages left; again, until the disk was full before the job was done.
fn filled_while(
    house: &House,
    disk: &Tight,
    pages: u64,
    arguments: &[&str],
    begun: impl Fn() -> bool,
) -> Ran {
    let backups = house.dir.join("backups");
    let there = names(&backups, "");
    let failed = (0..50).find_map(|_| {
        disk.leave(pages);
        let failed = fill_while(house, disk, arguments, &begun);
        let made = names(&backups, "").into_iter().filter(|path| failed.is_none() && !there.contains(path));
        made.for_each(|path| std::fs::remove_file(path).unwrap());
        failed
    });
    failed.unwrap_or_else(|| panic!("the job is always faster than the test"))
}

fn temporary_files(dir: &Path) -> usize {
    names(dir, "").iter().filter(|path| path.to_string_lossy().contains("-tmp-")).count()
}

#[test]
fn somebody_fills_the_disk_while_a_backup_or_a_restore_is_made() {
    let disk = Tight::new("72m");
    let house = disk.house();
    lived_in(&house, 400);
    let (before, backups, pages) = (house.content(), house.backups(), pages_of(&house.database()));
    let place = house.dir.join("backups");
    for copies in [1, 2] {
        // Enough for the packed file, too; little enough to be gone before that is written.
        filled_while(&house, &disk, pages + 200, &["backup-db"], || temporary_files(&place) >= copies)
            .expect(1)
            .tells("space");
        assert_unharmed(&house, &before, &backups);
    }
    filled_while(&house, &disk, pages + 20, &RESTORE, || temporary_files(&house.dir) > 0)
        .expect(1)
        .tells("space");
    assert_unharmed(&house, &before, &backups);
    house.maint(&["backup-db"]).expect(0);
    house.maint(&RESTORE).expect(0);
    assert_eq!(house.content(), before);
}

#[test]
fn somebody_takes_the_room_that_a_cleanup_was_lent() {
    let disk = Tight::new("64m");
    let house = disk.house();
    let server = house.start();
    let talk = server.start_session();
    assert_eq!(server.say(&talk, "hello").0, 200);
    let mut db = house.db();
    // With a pause after each they take at least six seconds: it is not done before it is stopped.
    let old = seed::sessions(&mut db, 4000, 1, seed::now() - 8 * DAY);
    seed::audio(&db, old[3999], &house.dir.join("audio"), 300_000, 2 * DAY);
    db.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    let sessions = || db.query_row("SELECT count(*) FROM sessions", [], |row| row.get::<_, u64>(0)).unwrap();
    fill(disk.mounted.path());
    let reserve = house.dir.join("reserve");
    let mut child =
        house.maint_command(&["cleanup-sessions", "--batch-size", "1", "--json"]).spawn().unwrap();
    let log = house.dir.join("companion.db-wal");
    while log.metadata().unwrap().len() == 0 && child.try_wait().unwrap().is_none() {
        std::thread::yield_now();
    }
    // It stands still meanwhile: filling may take longer than all it has to do.
    let job = Pid::from_child(&child);
    kill_process(job, Signal::STOP).unwrap();
    let more = fill(&house.dir);
    kill_process(job, Signal::CONT).unwrap();
    let ran = Ran::from(child.wait_with_output().unwrap()).expect(1).tells("space");
    assert_eq!(sessions(), 4001 - ran.report["sessions_deleted"].as_u64().unwrap());
    assert!(!reserve.exists());

    // Now there is no byte and no reserve, and files can still be unlinked.
    fill(&house.dir.join("audio"));
    let audio = house.maint(&["cleanup-audio"]);
    assert_eq!(audio.report["files_deleted"], 1, "{} {}", audio.stdout, audio.stderr);
    give_back(&more);
    house.maint(&["cleanup-sessions"]).expect(0);
    assert_eq!(sessions(), 1);
    assert_eq!(reserve.metadata().unwrap().len(), 32 * 1024 * 1024, "and the reserve is back");
    assert_eq!(server.history(&talk), ["hello"]);
    drop(db);
    server.stop();
    house.assert_sound();
}
