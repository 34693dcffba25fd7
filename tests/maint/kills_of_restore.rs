//! SIGKILL at random moments of a restore: the database is the old one or the restored one, or everybody is kept out and
//! told what to do; and what was there before is never lost.

use std::cell::RefCell;
use std::path::PathBuf;
use std::time::Instant;

use crate::kills::{cared_for, doctor_is_clean_or_mends, times};
use crate::support::content::{Content, content};
use crate::support::dice::{Dice, Kills, some_time};
use crate::support::seed::{self, HOUR};
use crate::support::{House, names};

const RESTORE: [&str; 3] = ["restore-db", "latest", "--yes"];

/// How a killed restore was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    /// The old database is whole and in use.
    Old,
    /// Nobody may use any before it is decided which.
    Pending,
    /// It had done its work.
    Restored,
}

fn asides(house: &House) -> Vec<PathBuf> {
    names(&house.dir.join("set-aside"), "")
}

/// Whether a restore was interrupted and waits for a decision.
pub fn pending(house: &House) -> bool {
    house.dir.join("restore.pending").exists()
}

/// Kills a restore up to so long after it has `begun` something.
fn kill(house: &House, dice: &mut Dice, most_micros: u64, begun: impl Fn() -> bool) {
    let mut child = house.maint_command(&RESTORE).spawn().unwrap();
    while !begun() && child.try_wait().unwrap().is_none() {
        std::thread::yield_now();
    }
    some_time(dice, most_micros);
    child.kill().unwrap();
    child.wait().unwrap();
}

/// Kills a restore soon after it has begun to set the database aside. Mostly it is then [`pending`].
pub fn kill_midway(house: &House, dice: &mut Dice) {
    kill(house, dice, 3_000, || pending(house));
}

/// Kills a restore at some moment of it, soon after it has begun to unpack, or to set aside.
fn kill_anywhere(house: &House, dice: &mut Dice, whole: u64, round: u32) {
    let unpacking = || names(&house.dir, "").iter().any(|path| path.to_string_lossy().contains("-tmp-"));
    match round % 3 {
        0 => kill(house, dice, whole, || true),
        1 => kill(house, dice, 10_000, unpacking),
        _ => kill_midway(house, dice),
    }
}

/// The database that was set aside since there were `earlier` of them holds what was there before.
#[track_caller]
fn assert_set_aside(house: &House, earlier: &[PathBuf], before: &Content) {
    let new: Vec<_> = asides(house).into_iter().filter(|aside| !earlier.contains(aside)).collect();
    assert_eq!(new.len(), 1, "{new:?}");
    assert_eq!(content(&new[0].join("companion.db")), *before);
}

/// Nobody uses a database that may be replaced, and everybody says so in one line.
fn assert_kept_out(house: &House) {
    for job in ["cleanup-sessions", "cleanup-audio", "backup-db", "verify-backups", "status"] {
        let output = house.maint_command(&[job]).output().unwrap();
        assert_eq!(output.status.code(), Some(4), "{job}");
        let told = String::from_utf8(output.stdout).unwrap();
        let told: Vec<_> = told.lines().filter(|line| line.contains("was interrupted")).collect();
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].contains("restore-db` again") && told[0].contains("doctor --repair"), "{told:?}");
    }
    let told = house.try_start().err().unwrap();
    assert!(told.starts_with("Some(1)") && told.contains("was interrupted"), "{told}");
    assert_eq!(told.trim().lines().count(), 1, "{told}");
    let found = house.maint(&["doctor"]).expect(3).report;
    assert_eq!(
        (&found["findings"][0]["item"], &found["findings_count"]),
        (&"restore.pending".into(), &1.into())
    );
    assert!(found["findings"][0]["repair"].as_str().unwrap().contains("restore-db` again"));
}

/// Looks at what a killed restore left, and does what the program says has to be done.
fn settle(
    house: &House,
    (before, backed_up): (&Content, &Content),
    earlier: &[PathBuf],
    go_back: bool,
) -> Found {
    if pending(house) {
        assert_kept_out(house);
        if go_back {
            house.maint(&["doctor", "--repair"]).expect(0);
            assert_eq!(house.content(), *before);
            assert_eq!(asides(house), earlier, "what was set aside is back");
        } else {
            let report = house.maint(&RESTORE).expect(0).report;
            assert_eq!(report["interrupted_restore_undone"], true);
            assert_eq!(house.content(), *backed_up);
            assert_set_aside(house, earlier, before);
        }
        return Found::Pending;
    }
    house.maint(&["cleanup-audio"]).expect(0);
    if house.content() == *before {
        assert_eq!(asides(house), earlier, "nothing is set aside");
        return Found::Old;
    }
    assert_eq!(house.content(), *backed_up);
    assert_set_aside(house, earlier, before);
    Found::Restored
}

#[test]
fn killed_restores_lose_no_row_and_say_what_to_do() {
    let house = cared_for();
    seed::sessions(&mut house.db(), 300, 5, seed::now() - HOUR);
    house.maint(&["backup-db"]).expect(0);
    let backed_up = house.content();
    let began = Instant::now();
    house.maint(&RESTORE).expect(0);
    let whole = u64::try_from(began.elapsed().as_micros()).unwrap();
    let mut dice = Dice::new("killed_restores");
    let mut found = Vec::new();
    let usual = times("restore-db");
    // As many again where none has met the exchange of the two, which is short.
    for round in 0..2 * usual {
        if round >= usual && found.contains(&Found::Pending) {
            break;
        }
        let before = house.leave_in_log();
        let earlier = asides(&house);
        kill_anywhere(&house, &mut dice, whole, round);
        found.push(settle(&house, (&before, &backed_up), &earlier, round % 2 == 0));
    }
    for state in [Found::Old, Found::Pending] {
        assert!(found.contains(&state), "no kill left it {state:?}: {found:?}");
    }
    doctor_is_clean_or_mends(&house);
    house.maint(&RESTORE).expect(0);
    house.assert_no_temporary_files();
    house.start().stop();
    assert_eq!(house.content(), backed_up);
    house.assert_sound();
}

#[test]
fn a_killed_restore_on_a_new_host_is_finished_by_the_next() {
    let from = cared_for();
    seed::sessions(&mut from.db(), 100, 5, seed::now() - HOUR);
    let made = from.maint(&["backup-db"]).expect(0).report;
    let restore = ["restore-db", made["path"].as_str().unwrap(), "--yes"];
    let measured = RefCell::new(House::new());
    let mut kills = Kills::of(
        ("restore-db on a new host", times("restore-db") / 4),
        || drop(measured.replace(House::new())),
        || measured.borrow().maint_command(&restore),
    );
    while kills.next().is_some() {
        let to = House::new();
        kills.kill(to.maint_command(&restore).spawn().unwrap());
        to.maint(&restore).expect(0);
        assert_eq!(to.content(), from.content());
        to.assert_no_temporary_files();
    }
    kills.assert_met();
}
