//! Which backups stay: the keep rules, and what no accident rotates away.

use crate::support::seed::{self, DAY};
use crate::support::{House, names};

/// Makes the backups look as if they had been made on the days before today, the last one `newest` days ago.
fn move_back(house: &House, newest: i64) {
    let (dir, now) = (house.dir.join("backups"), seed::now());
    for (age, backup) in (newest..).zip(names(&dir, ".db.zst").into_iter().rev()) {
        let at = std::time::UNIX_EPOCH + std::time::Duration::from_millis((now - age * DAY).unsigned_abs());
        let moment = companion::domain::clock::Timestamp::from_system(at).compact();
        for ending in [".db.zst", ".json"] {
            let from = backup.to_string_lossy().replace(".db.zst", ending);
            std::fs::rename(from, dir.join(format!("companion-{moment}{ending}"))).unwrap();
        }
    }
}

fn house(backups: u32) -> House {
    let house = House::built();
    seed::sessions(&mut house.db(), 10, 5, seed::now() - seed::HOUR);
    for _ in 0..backups {
        house.maint(&["backup-db", "--keep", "100"]).expect(0);
    }
    house
}

#[test]
fn rules_are_ored_and_each_kept_backup_has_its_reasons() {
    let house = house(9);
    move_back(&house, 1);
    let asked = ["backup-db", "--keep", "2", "--keep-daily", "4"];
    let dry = house.maint(&[&asked[..], &["--dry-run"]].concat()).expect(0).report;
    assert_eq!(dry["removed"].as_array().unwrap().len(), 6, "{dry}");
    let report = house.maint(&asked).expect(0).report;
    assert_eq!(dry["removed"], report["removed"]);
    let kept = report["kept"].as_array().unwrap();
    assert_eq!(kept.len(), 4);
    let reasons = kept[0]["reasons"].to_string();
    assert!(reasons.contains("among the newest 2") && reasons.contains("newest of day"), "{reasons}");
    assert!(kept[3]["reasons"].to_string().contains("newest of day"));
    // Of a day each, or of the second more that the last one took to come; and what a guard may add.
    assert!(matches!(report["kept_at_most_days"].as_u64(), Some(35 | 36)), "{report}");
    assert_eq!(house.backups().len(), 4);
    house.maint(&["backup-db", "--keep-weekly", "x"]).expect(2);
}

#[test]
fn the_settings_are_rules_too_and_a_flag_overrides_its_own_alone() {
    let house = house(9);
    move_back(&house, 1);
    let set = House::at(house.dir.clone())
        .with("BACKUP_KEEP", "2")
        .with("BACKUP_KEEP_DAILY", "5")
        .with("BACKUP_KEEP_MONTHLY", "12");
    let removed = |asked: &[&str]| {
        let all = [&["backup-db", "--dry-run"], asked].concat();
        let report = set.maint(&all).expect(0).report;
        (report["removed"].as_array().unwrap().len(), report["kept_at_most_days"].as_u64().unwrap())
    };
    // Ten with the one to be made: five days, and the oldest for want of months; a year of promise.
    let (gone, days) = removed(&[]);
    assert!((3..=5).contains(&gone) && days >= 31 * 12 + 31, "{gone} {days}");
    let (gone, days) = removed(&["--keep-monthly", "0"]);
    assert!(gone == 5 && days < 7 + 31, "{gone} {days}");
    assert_eq!(removed(&["--keep-monthly", "0", "--keep-daily", "0"]).0, 8);
    assert_eq!(removed(&["--keep-monthly", "0", "--keep", "8"]).0, 2);
    set.maint(&["backup-db"]).expect(0);
    assert!(house.backups().len() > 4, "what is run by hand keeps what the schedule keeps");
    let wrong = House::at(house.dir.clone()).with("BACKUP_KEEP_WEEKLY", "many");
    wrong.maint(&["backup-db"]).expect(2).tells("BACKUP_KEEP_WEEKLY");
}

#[test]
fn the_backup_from_before_an_accident_outlives_ten_nights_and_goes_after_a_month() {
    let house = house(1);
    let before = house.backups().pop().unwrap();
    lose_most(&house);
    house.maint(&["backup-db", "--keep", "2"]).expect(3).tells("stays until");
    for _ in 0..10 {
        house.maint(&["backup-db", "--keep", "2"]).expect(0);
    }
    assert!(before.exists());
    assert_eq!(house.backups().len(), 3);
    let report = house.maint(&["backup-db", "--keep", "2"]).expect(0).report;
    let guarded =
        report["kept"].as_array().unwrap().iter().find(|kept| kept["reasons"].to_string().contains("half"));
    assert_eq!(guarded.unwrap()["file"], before.file_name().unwrap().to_str().unwrap());
    house.maint(&["list-backups"]).expect(0).tells("guarded_until");
    house.maint(&["restore-db", before.to_str().unwrap(), "--yes"]).expect(0);
    let manifest = before.to_string_lossy().replace(".db.zst", ".json");
    let text = std::fs::read_to_string(&manifest).unwrap();
    let (head, _) = text.split_once("guarded_until").unwrap();
    std::fs::write(&manifest, format!("{head}guarded_until\": \"2026-01-01T00:00:00.000Z\"}}")).unwrap();
    house.maint(&["backup-db", "--keep", "2"]).expect(0);
    assert!(!before.exists(), "its time is over");
}

/// Nobody can say any more what most of them said.
fn lose_most(house: &House) {
    house.db().execute_batch("DELETE FROM checkpoints; UPDATE totals SET checkpoints = 0").unwrap();
}

/// Nobody has talked for so long that the clock is doubted.
fn fall_silent(house: &House) {
    let silent =
        "UPDATE sessions SET last_active_at = last_active_at - 40 * 86400000; DELETE FROM maintenance_runs";
    house.db().execute_batch(silent).unwrap();
}

#[test]
fn force_passes_the_clock_and_neither_the_guard_nor_the_look_at_what_has_gone() {
    let house = house(2);
    let before = house.maint(&["backup-db"]).expect(0).report["path"].as_str().unwrap().to_owned();
    let before = std::path::PathBuf::from(before);
    lose_most(&house);
    fall_silent(&house);
    let force = ["backup-db", "--keep", "1", "--force"];
    let piped = house.maint_command(&["backup-db", "--stdout"]).output().unwrap();
    assert_eq!(
        (piped.status.code(), piped.stdout.is_empty()),
        (Some(0), false),
        "nothing is removed by it, and it is no witness for the clock"
    );
    house.maint(&["backup-db", "--keep", "1"]).expect(4).tells("the clock says");
    let ran = house.maint(&force).expect(3).tells("more than half");
    assert_eq!(ran.report["removed"], serde_json::json!([]));
    assert_eq!(ran.report["most_rows_gone_since"], before.file_name().unwrap().to_str().unwrap());
    for _ in 0..2 {
        fall_silent(&house);
        house.maint(&force).expect(0);
    }
    assert!(before.exists(), "it is guarded");
    // Nor does a clock end it that is a year ahead and was forced.
    let manifest = before.to_string_lossy().replace(".db.zst", ".json");
    let text = std::fs::read_to_string(&manifest).unwrap();
    let (head, _) = text.split_once("guarded_until").unwrap();
    std::fs::write(&manifest, format!("{head}guarded_until\": \"2026-01-01T00:00:00.000Z\"}}")).unwrap();
    fall_silent(&house);
    house.maint(&force).expect(0);
    assert!(before.exists());
    house.maint(&["backup-db", "--keep", "1"]).expect(0);
    assert!(!before.exists() && house.backups().len() == 1, "its time is over, by a clock that is sure");
}

#[test]
fn a_refused_run_does_not_use_up_the_one_time_an_accident_is_told() {
    let house = house(3);
    lose_most(&house);
    fall_silent(&house);
    for _ in 0..2 {
        house.maint(&["backup-db", "--keep", "2"]).expect(4).tells("the clock says");
        assert!(!guarded(&house).contains(&true));
    }
    seed::sessions(&mut house.db(), 1, 1, seed::now() - seed::HOUR);
    house.maint(&["backup-db", "--keep", "2", "--dry-run"]).expect(3);
    let ran = house.maint(&["backup-db", "--keep", "2"]).expect(3).tells("more than half");
    assert_eq!(ran.report["removed"], serde_json::json!([]));
    assert_eq!(guarded(&house), [false, false, false, true, false, false]);
    house.maint(&["backup-db", "--keep", "2"]).expect(0);
}

#[test]
fn what_is_told_of_an_accident_is_no_advice_to_run_it_again() {
    let house = house(1);
    lose_most(&house);
    let output = house.maint_command(&["backup-db"]).output().unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(3));
    assert!(told.starts_with("backup-db: MOST ROWS HAVE GONE, look before it runs again"), "{told}");
    assert!(told.contains("stop the schedule") && !told.contains("safe to run again"), "{told}");
}

#[test]
fn losing_every_conversation_is_an_accident_however_many_people_stay() {
    let house = House::built();
    for _ in 0..30 {
        seed::sessions(&mut house.db(), 1, 1, seed::now() - seed::HOUR);
    }
    house.maint(&["backup-db", "--keep", "2"]).expect(0);
    let before = house.backups().pop().unwrap();
    house
        .db()
        .execute_batch(
            "DELETE FROM checkpoints; DELETE FROM sessions; UPDATE totals SET sessions = 0, checkpoints = 0",
        )
        .unwrap();
    house.maint(&["backup-db", "--keep", "2"]).expect(3).tells("more than half");
    for _ in 0..5 {
        house.maint(&["backup-db", "--keep", "2"]).expect(0);
    }
    assert!(before.exists());
}

/// Takes conversations away until there are so many, each with one turn.
fn shrink_to(house: &House, sessions: u32) {
    house
        .db()
        .execute_batch(&format!(
            "DELETE FROM checkpoints WHERE session_id > {sessions}; DELETE FROM sessions WHERE id > {sessions};
             UPDATE totals SET sessions = {sessions}, checkpoints = {sessions}"
        ))
        .unwrap();
}

/// The guards that `list-backups` tells of, newest first.
fn guarded(house: &House) -> Vec<bool> {
    let listed = house.maint(&["list-backups"]).expect(0).report;
    let backups = listed["backups"].as_array().unwrap();
    backups.iter().map(|backup| !backup["guarded_until"].is_null()).collect()
}

#[test]
fn a_loss_in_small_steps_is_told_once_the_sum_is_more_than_half() {
    let house = House::built();
    seed::sessions(&mut house.db(), 1000, 1, seed::now() - seed::HOUR);
    let keep = ["backup-db", "--keep", "2"];
    house.maint(&keep).expect(0);
    let first = house.backups().pop().unwrap();
    shrink_to(&house, 501);
    house.maint(&keep).expect(0);
    shrink_to(&house, 252);
    let dry = house.maint(&[&keep[..], &["--dry-run"]].concat()).expect(3);
    assert_eq!(guarded(&house), [false, false], "a dry run guards nothing");
    let ran = house.maint(&keep).expect(3).tells("more than half");
    assert_eq!(dry.error(), ran.error());
    assert_eq!(ran.report["errors"][0]["item"], first.file_name().unwrap().to_str().unwrap());
    assert_eq!(
        (ran.report["removed"].as_array().unwrap().len(), guarded(&house)),
        (0, vec![false, false, true])
    );
    for _ in 0..4 {
        house.maint(&keep).expect(0);
    }
    assert!(first.exists() && house.backups().len() == 3, "the next night goes on as usual");
    // From here on it is the next loss.
    shrink_to(&house, 125);
    house.maint(&keep).expect(3);
    assert_eq!(guarded(&house), [false, true, false, true]);
    house.maint(&keep).expect(0);
}

#[test]
fn many_backups_from_before_an_accident_are_told_of_on_one_night() {
    let house = house(4);
    let before = house.maint(&["backup-db", "--keep", "100"]).expect(0).report["path"].clone();
    let before = std::path::PathBuf::from(before.as_str().unwrap());
    lose_most(&house);
    let keep = ["backup-db", "--keep", "4"];
    house.maint(&keep).expect(3);
    assert_eq!(guarded(&house), [false, true, false, false, false, false]);
    for _ in 0..6 {
        house.maint(&keep).expect(0);
    }
    assert!(before.exists());
    assert_eq!(house.backups().len(), 5);
}

#[test]
fn a_night_that_was_killed_after_the_guard_is_told_again() {
    let house = house(1);
    let before = house.backups().pop().unwrap();
    lose_most(&house);
    let made = house.maint(&["backup-db"]).expect(3).report["path"].as_str().unwrap().to_owned();
    for ending in [".db.zst", ".json"] {
        std::fs::remove_file(made.replace(".db.zst", ending)).unwrap();
    }
    house.maint(&["backup-db", "--keep", "1"]).expect(3);
    house.maint(&["backup-db", "--keep", "1"]).expect(0);
    assert!(before.exists());
}
