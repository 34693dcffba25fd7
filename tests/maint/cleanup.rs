//! What is deleted, what stays, and what keeps a wrong clock from emptying the store.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use companion::config::{Flags, MaintConfig};
use companion::domain::clock::SystemClock;
use companion::maint::cleanup_audio::{self, Counts, Options};
use companion::maint::stop::Stop;
use companion::maint::{Progress, Report, Run};

use crate::kills::lengthen;
use crate::support::seed::{self, DAY, HOUR};
use crate::support::{House, SlowModel, wait_for};

fn count(house: &House, table: &str) -> u64 {
    house.db().query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
}

fn outcomes(house: &House) -> Vec<String> {
    let db = house.db();
    let mut statement = db.prepare("SELECT outcome FROM maintenance_runs ORDER BY id").unwrap();
    statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

#[test]
fn expired_sessions_go_with_all_that_hangs_on_them_and_the_rest_stays() {
    let house = House::built();
    let mut db = house.db();
    let old = seed::sessions(&mut db, 40, 10, seed::now() - 8 * DAY);
    let pinned = seed::sessions(&mut db, 1, 10, seed::now() - 300 * DAY);
    db.execute("UPDATE sessions SET pinned = 1 WHERE public_id = ?1", [pinned[0].as_bytes()]).unwrap();
    let unremembered = seed::sessions(&mut db, 1, 1, seed::now() - 2 * DAY);
    db.execute("UPDATE sessions SET remembered = 0 WHERE public_id = ?1", [unremembered[0].as_bytes()])
        .unwrap();
    seed::sessions(&mut db, 3, 2, seed::now() - 6 * DAY);
    seed::sign_of_life(&mut db);
    seed::audio(&db, old[0], &house.dir.join("audio"), 5000, 8 * DAY);
    drop(db);

    let dry = house.maint(&["cleanup-sessions", "--dry-run"]).expect(0).report;
    assert_eq!(count(&house, "sessions"), 46);
    assert!(outcomes(&house).is_empty(), "a dry run is not recorded");
    let done = house.maint(&["cleanup-sessions", "--batch-size", "7"]).expect(0).report;
    for name in [
        "sessions_before",
        "checkpoints_before",
        "sessions_deleted",
        "checkpoints_deleted",
        "audio_files_deleted",
        "sessions_remaining",
        "persons_erased",
        "retention_days",
    ] {
        assert_eq!(dry[name], done[name], "the dry run promised another {name}");
    }
    assert_eq!(done["sessions_deleted"], 41);
    assert_eq!(done["checkpoints_deleted"], 401);
    assert_eq!(done["audio_files_deleted"], 1);
    assert_eq!(done["sessions_remaining"], 5);
    assert!(done["bytes_reclaimed"].as_u64().unwrap() > 100_000);
    assert_eq!(count(&house, "audio"), 0);
    assert_eq!(count(&house, "sessions"), 5);
    assert_eq!(std::fs::read_dir(house.dir.join("audio")).unwrap().count(), 0);
    house.assert_sound();
    let again = house.maint(&["cleanup-sessions"]).expect(0).report;
    assert_eq!(again["sessions_deleted"], 0);
    assert_eq!(outcomes(&house), ["succeeded", "succeeded"]);
}

#[test]
fn what_stays_is_not_told_as_none_when_it_cannot_be_counted() {
    let house = House::built();
    let mut db = house.db();
    seed::sessions(&mut db, 3, 2, seed::now() - 8 * DAY);
    seed::sign_of_life(&mut db);
    // Once the first has gone nobody knows how many there are.
    db.execute_batch("CREATE TRIGGER lost AFTER DELETE ON sessions BEGIN DELETE FROM totals; END").unwrap();
    let report = house.maint(&["cleanup-sessions"]).expect(3).tells("count what remains").report;
    assert_eq!(
        (&report["sessions_deleted"], &report["sessions_remaining"]),
        (&3.into(), &serde_json::Value::Null)
    );
    assert_eq!((&report["errors"][0]["item"], count(&house, "sessions")), (&"sessions_remaining".into(), 1));
    db.execute_batch("INSERT INTO totals (id, sessions, checkpoints) VALUES (1, 1, 1)").unwrap();
    seed::sessions(&mut db, 1, 1, seed::now() - 8 * DAY);
    let text = house.maint_command(&["cleanup-sessions"]).output().unwrap().stdout;
    let text = String::from_utf8(text).unwrap();
    assert!(text.contains("1 of 2 deleted, an unknown number remain"), "{text}");
}

#[test]
fn the_file_shrinks_and_the_words_are_gone() {
    let house = House::built();
    let mut db = house.db();
    seed::sessions(&mut db, 300, 10, seed::now() - 8 * DAY);
    db.execute("UPDATE checkpoints SET said = 'a very particular word: xylograph'", []).unwrap();
    seed::sign_of_life(&mut db);
    db.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    drop(db);
    let before = std::fs::metadata(house.database()).unwrap().len();
    house.maint(&["cleanup-sessions"]).expect(0);
    let after = std::fs::metadata(house.database()).unwrap().len();
    assert!(after * 5 < before, "{before} -> {after}");
    for file in house.files() {
        let bytes = std::fs::read(&file).unwrap();
        assert!(!bytes.windows(9).any(|window| window == b"xylograph"), "{}", file.display());
    }
    assert_eq!(std::fs::metadata(house.dir.join("reserve")).unwrap().len(), 32 * 1024 * 1024);
}

#[test]
fn with_retention_off_only_unremembered_sessions_go() {
    let house = House::built().with("SESSION_RETENTION_DAYS", "off");
    let mut db = house.db();
    let ids = seed::sessions(&mut db, 2, 1, seed::now() - 90 * DAY);
    db.execute("UPDATE sessions SET remembered = 0 WHERE public_id = ?1", [ids[0].as_bytes()]).unwrap();
    seed::sign_of_life(&mut db);
    let report = house.maint(&["cleanup-sessions"]).expect(0).report;
    assert_eq!(
        (&report["sessions_deleted"], &report["retention_days"]),
        (&1.into(), &serde_json::Value::Null)
    );
    house
        .maint(&["cleanup-sessions", "--retention-days", "30"])
        .expect(4)
        .tells("SESSION_RETENTION_DAYS (off)");
}

#[test]
fn a_stricter_retention_than_promised_is_refused() {
    let house = House::built();
    seed::sessions(&mut house.db(), 1, 1, seed::now() - 4 * DAY);
    seed::sign_of_life(&mut house.db());
    let refused = house.maint(&["cleanup-sessions", "--retention-days", "3"]).expect(4).tells("stricter");
    assert_eq!(refused.report["retention_days"], 7, "null would say that sessions are kept for good");
    assert_eq!(count(&house, "sessions"), 2);
    house.maint(&["cleanup-sessions", "--retention-days", "3", "--force"]).expect(0);
    assert_eq!(count(&house, "sessions"), 1);
    house.maint(&["cleanup-sessions", "--retention-days", "7"]).expect(0);
}

#[test]
fn a_clock_a_year_ahead_deletes_nothing_even_after_many_tries() {
    let house = House::built();
    let dir = house.dir.join("audio");
    let mut db = house.db();
    // Seen from this store the machine's clock is a year ahead.
    let ids = seed::sessions(&mut db, 10, 2, seed::now() - 365 * DAY);
    seed::audio(&db, ids[0], &dir, 10, 365 * DAY);
    drop(db);
    house.maint(&["backup-db"]).expect(4).tells("far ahead");
    for _ in 0..3 {
        house.maint(&["cleanup-sessions"]).expect(4).tells("far ahead");
        house.maint(&["cleanup-audio"]).expect(4).tells("far ahead");
        house.maint(&["cleanup-sessions", "--dry-run"]).expect(4);
    }
    // A restart of the server in between changes nothing.
    house.start().stop();
    house.maint(&["cleanup-sessions"]).expect(4);
    assert_eq!((count(&house, "sessions"), count(&house, "audio")), (10, 1));
    assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 1);
    house.maint(&["cleanup-sessions", "--force"]).expect(0);
    assert_eq!(count(&house, "sessions"), 0);
}

#[test]
fn a_clock_a_year_ahead_deletes_nothing_though_somebody_only_opened_the_page() {
    let house = House::built();
    let dir = house.dir.join("audio");
    let mut db = house.db();
    let ids = seed::sessions(&mut db, 10, 2, seed::now() - 365 * DAY);
    seed::audio(&db, ids[0], &dir, 10, 365 * DAY);
    // The visitor's sessions got their time from the wrong clock; nothing was said in them.
    seed::sessions(&mut db, 1, 0, seed::now());
    let pinned = seed::sessions(&mut db, 1, 0, seed::now());
    db.execute("UPDATE sessions SET pinned = 1 WHERE public_id = ?1", [pinned[0].as_bytes()]).unwrap();
    drop(db);
    for job in ["cleanup-sessions", "cleanup-audio", "backup-db"] {
        house.maint(&[job]).expect(4).tells("far ahead");
    }
    assert_eq!((count(&house, "sessions"), count(&house, "audio")), (12, 1));
    assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 1);
}

#[test]
fn a_clock_a_year_ahead_erases_nobody_who_only_noted_memories_and_before_any_run() {
    for memories in [5, 0] {
        let house = House::built();
        let mut db = house.db();
        let at = seed::now() - 401 * DAY;
        let ids = seed::sessions(&mut db, 1, 0, at);
        for _ in 0..memories {
            seed::memory(&db, ids[0], "a page of a diary");
        }
        db.execute("UPDATE memories SET said_at = ?1, created_at = ?1, changed_at = ?1", [at]).unwrap();
        drop(db);
        for _ in 0..2 {
            house.maint(&["cleanup-sessions"]).expect(4).tells("far ahead");
            house.maint(&["cleanup-audio"]).expect(4).tells("far ahead");
        }
        assert_eq!((count(&house, "persons"), count(&house, "memories")), (1, memories));
        house.maint(&["cleanup-sessions", "--force"]).expect(0);
        assert_eq!((count(&house, "persons"), count(&house, "memories")), (0, 0));
    }
}

#[test]
fn a_clock_a_year_ahead_erases_nobody_though_sessions_are_kept_for_years() {
    let mut house = House::built().with("SESSION_RETENTION_DAYS", "1000");
    seed::sessions(&mut house.db(), 10, 2, seed::now() - 375 * DAY);
    for (name, days) in [("PERSON_RETENTION_DAYS", "370"), ("MEMORY_RETENTION_DAYS", "30")] {
        house = house.with(name, days);
        house.maint(&["cleanup-sessions"]).expect(4).tells("far ahead");
        house.maint(&["cleanup-sessions", "--retention-days", "36500"]).expect(4).tells("far ahead");
        house = house.with("PERSON_RETENTION_DAYS", "off");
    }
    assert_eq!((count(&house, "sessions"), count(&house, "persons")), (10, 1));
}

#[test]
fn a_success_of_a_clock_that_was_ahead_does_not_blind_the_fuse() {
    let house = House::built();
    let mut db = house.db();
    seed::sessions(&mut db, 10, 2, seed::now() - 8 * DAY);
    seed::sign_of_life(&mut db);
    for job in ["cleanup-sessions", "cleanup-audio", "backup-db"] {
        let recorded = "INSERT INTO maintenance_runs (job, started_at, ended_at, outcome)
            VALUES (?1, ?2, ?2, 'succeeded')";
        db.execute(recorded, rusqlite::params![job, seed::now() + 365 * DAY]).unwrap();
        house.maint(&[job]).expect(4).tells("before the last run of this job that did its work");
    }
    assert_eq!(count(&house, "sessions"), 11);
    // Somebody looked at the clock and found it right: from then on the jobs run by themselves again.
    for job in ["backup-db", "cleanup-sessions", "cleanup-audio"] {
        house.maint(&[job, "--force"]).expect(0);
        house.maint(&[job]).expect(0);
    }
    assert_eq!(count(&house, "sessions"), 1);
    house.maint(&["backup-db"]).expect(3).tells("more than half of the rows have gone");
    let told = house.maint(&["status"]).expect(0).report;
    let audio =
        told["last_runs"].as_array().unwrap().iter().find(|run| run["job"] == "cleanup-audio").unwrap();
    assert_eq!(audio["started_at"], audio["last_success"], "the last run is the one of today");
}

#[test]
fn a_clock_behind_the_newest_row_deletes_nothing() {
    let house = House::built();
    let mut db = house.db();
    seed::sessions(&mut db, 10, 2, seed::now() - 8 * DAY);
    seed::sessions(&mut db, 1, 1, seed::now() + 365 * DAY);
    house.maint(&["cleanup-sessions"]).expect(4).tells("before the newest entry");
    house.maint(&["cleanup-audio"]).expect(4).tells("before the newest entry");
    house.maint(&["backup-db"]).expect(4).tells("before the newest entry");
    assert_eq!(house.backups().len(), 1, "the backup itself is made all the same");
    assert_eq!(count(&house, "sessions"), 11);
}

#[test]
fn a_quiet_month_is_no_reason_to_refuse_while_the_job_keeps_succeeding() {
    let house = House::built();
    seed::sessions(&mut house.db(), 1, 1, seed::now() - 30 * DAY);
    house.maint(&["cleanup-sessions"]).expect(4);
    let recorded =
        "INSERT INTO maintenance_runs (job, started_at, ended_at, outcome) VALUES (?1, ?2, ?2, 'succeeded')";
    house.db().execute(recorded, rusqlite::params!["cleanup-sessions", seed::now() - DAY]).unwrap();
    assert_eq!(house.maint(&["cleanup-sessions"]).expect(0).report["sessions_deleted"], 1);
}

#[test]
fn more_than_the_given_share_is_refused() {
    let house = House::built();
    let mut db = house.db();
    seed::sessions(&mut db, 6, 1, seed::now() - 8 * DAY);
    let kept = seed::sessions(&mut db, 4, 1, seed::now() - HOUR);
    house
        .maint(&["cleanup-sessions", "--max-delete-percent", "50"])
        .expect(4)
        .tells("--max-delete-percent 50");
    assert_eq!(count(&house, "sessions"), 10);
    house.maint(&["cleanup-sessions", "--max-delete-percent", "60"]).expect(0);
    assert_eq!(count(&house, "sessions"), 4);
    // The person of those six has no session any more.
    let house = house.with("PERSON_RETENTION_DAYS", "7");
    house
        .maint(&["cleanup-sessions", "--max-delete-percent", "40"])
        .expect(4)
        .tells("1 of 2 people would go");
    let house = house.with("PERSON_RETENTION_DAYS", "off").with("MEMORY_RETENTION_DAYS", "4");
    seed::memory(&db, kept[0], "old");
    db.execute("UPDATE memories SET changed_at = ?1", [seed::now() - 5 * DAY]).unwrap();
    seed::memory(&db, kept[0], "new");
    house
        .maint(&["cleanup-sessions", "--max-delete-percent", "0"])
        .expect(4)
        .tells("1 of 2 memories would go");
    assert_eq!((count(&house, "persons"), count(&house, "memories")), (2, 2));
    house.maint(&["cleanup-sessions", "--max-delete-percent", "50"]).expect(0);
    assert_eq!((count(&house, "persons"), count(&house, "memories")), (2, 1));
}

#[test]
fn people_unseen_for_long_are_erased_and_entered_in_the_ledger() {
    let house = House::built();
    let mut db = house.db();
    seed::sessions(&mut db, 1, 1, seed::now() - 401 * DAY);
    seed::sign_of_life(&mut db);
    let id: [u8; 16] =
        db.query_row("SELECT public_id FROM persons ORDER BY id", [], |row| row.get(0)).unwrap();
    assert_eq!(house.maint(&["cleanup-sessions"]).expect(0).report["persons_erased"], 1);
    assert_eq!(count(&house, "persons"), 1);
    let ledger = std::fs::read_to_string(house.dir.join("erasures")).unwrap();
    assert_eq!((ledger.lines().count(), ledger.len()), (1, 62), "the README tells how it grows");
    assert!(ledger.starts_with(&uuid::Uuid::from_bytes(id).to_string()));
}

/// Has this done in the midst of a job, with the deletion that leaves so many rows in the table: between two others, however fast it is.
fn once_left(db: &rusqlite::Connection, table: &str, rows: u64, change: &str) {
    let sql = format!(
        "CREATE TRIGGER meanwhile AFTER DELETE ON {table} WHEN (SELECT count(*) FROM {table}) = {rows} BEGIN {change}; END"
    );
    db.execute_batch(&sql).unwrap();
}

#[test]
fn whoever_comes_back_while_others_are_erased_stays() {
    const PEOPLE: u64 = 300;
    let house = House::built();
    let mut db = house.db();
    // Each is a transaction, which is not what takes time here.
    db.execute_batch("PRAGMA synchronous = OFF").unwrap();
    for _ in 0..PEOPLE {
        seed::sessions(&mut db, 1, 1, seed::now() - 401 * DAY);
    }
    // The last one in the order in which they go.
    let last: i64 = db.query_row("SELECT max(id) FROM persons", [], |row| row.get(0)).unwrap();
    db.execute_batch(&format!(
        "UPDATE sessions SET pinned = 1; UPDATE persons SET last_seen_at = last_seen_at + 1000 WHERE id = {last}"
    ))
    .unwrap();
    seed::sign_of_life(&mut db);
    let back = format!("UPDATE persons SET last_seen_at = {} WHERE id = {last}", seed::now());
    once_left(&db, "persons", PEOPLE / 2, &back);
    assert_eq!(house.maint(&["cleanup-sessions"]).expect(0).report["persons_erased"], PEOPLE - 1);
    db.execute_batch("DROP TRIGGER meanwhile").unwrap();
    drop(db);
    let stayed = (count(&house, "persons"), count(&house, "sessions"));
    house.start().stop();
    assert_eq!((count(&house, "persons"), count(&house, "sessions")), stayed, "nobody is erased afterwards");
    assert_eq!(stayed.0, 2);
}

/// What a person leaves who has not been seen for 401 days: two pinned sessions, one that goes by its age as well, and
/// one that was active since and goes by its age first.
fn unseen_person(house: &House) {
    let mut db = house.db();
    let ids = seed::sessions(&mut db, 4, 3, seed::now() - 401 * DAY);
    for pinned in &ids[..2] {
        db.execute("UPDATE sessions SET pinned = 1 WHERE public_id = ?1", [pinned.as_bytes()]).unwrap();
        seed::audio(&db, *pinned, &house.dir.join("audio"), 10, HOUR);
    }
    let since = seed::now() - 300 * DAY;
    db.execute(
        "UPDATE sessions SET last_active_at = ?2 WHERE public_id = ?1",
        rusqlite::params![ids[3].as_bytes(), since],
    )
    .unwrap();
    // Somebody who was seen keeps a pinned session of the same age.
    let kept = seed::sessions(&mut db, 1, 1, seed::now() - 401 * DAY);
    db.execute("UPDATE sessions SET pinned = 1 WHERE public_id = ?1", [kept[0].as_bytes()]).unwrap();
    db.execute(
        "UPDATE persons SET last_seen_at = ?2 WHERE id = (SELECT person_id FROM sessions WHERE public_id = ?1)",
        rusqlite::params![kept[0].as_bytes(), seed::now()],
    )
    .unwrap();
    seed::sign_of_life(&mut db);
}

#[test]
fn what_goes_with_an_unseen_person_is_in_the_plan() {
    let house = House::built();
    unseen_person(&house);
    let status = house.maint(&["status"]).expect(0).report;
    assert_eq!(
        (&status["next_cleanup_sessions"], &status["next_cleanup_checkpoints"]),
        (&4.into(), &12.into())
    );
    let dry = house.maint(&["cleanup-sessions", "--dry-run"]).expect(0).report;
    let few = ["cleanup-sessions", "--max-delete-percent", "60"];
    house.maint(&few).expect(4).tells("4 of 6 sessions would go");
    let done = house.maint(&["cleanup-sessions"]).expect(0).report;
    for (name, gone) in [
        ("sessions_deleted", 4),
        ("checkpoints_deleted", 12),
        ("audio_files_deleted", 2),
        ("persons_erased", 1),
        ("sessions_remaining", 2),
    ] {
        assert_eq!((&dry[name], &done[name]), (&gone.into(), &gone.into()), "{name}");
    }
    house.assert_sound();
}

#[test]
fn a_refused_cleanup_says_what_there_is_and_that_nothing_went() {
    let house = House::built();
    let mut db = house.db();
    let ids = seed::sessions(&mut db, 10, 2, seed::now() - 8 * DAY);
    seed::audio(&db, ids[0], &house.dir.join("audio"), 10, 8 * DAY);
    let refused: [&[&str]; 3] = [
        &["cleanup-sessions"],
        &["cleanup-sessions", "--retention-days", "1"],
        &["cleanup-sessions", "--dry-run"],
    ];
    let assert_told = |arguments: &[&str], there: u64| {
        let report = house.maint(arguments).expect(4).report;
        assert_eq!(
            (&report["sessions_before"], &report["sessions_remaining"]),
            (&there.into(), &there.into())
        );
        assert_eq!(report["checkpoints_before"], there * 2);
        for name in ["sessions_deleted", "checkpoints_deleted", "audio_files_deleted", "persons_erased"] {
            assert_eq!(report[name], 0, "{name} of {arguments:?}");
        }
    };
    refused.iter().for_each(|arguments| assert_told(arguments, 10));
    seed::sessions(&mut db, 1, 2, seed::now() - HOUR);
    assert_told(&["cleanup-sessions", "--max-delete-percent", "5"], 11);
    assert_told(&["cleanup-sessions", "--max-delete-percent", "5", "--dry-run"], 11);
}

#[test]
fn audio_goes_by_age_then_by_bytes_and_foreign_files_stay() {
    let house = House::built();
    let dir = house.dir.join("audio");
    let mut db = house.db();
    let ids = seed::sessions(&mut db, 1, 1, seed::now() - HOUR);
    seed::audio(&db, ids[0], &dir, 1000, 25 * HOUR);
    for age in 1..=5 {
        seed::audio(&db, ids[0], &dir, 1000, age * HOUR);
    }
    std::fs::write(dir.join("notes.txt"), "mine").unwrap();
    let outside = house.dir.join("outside.mp3");
    seed::file(&outside, 10, 100 * DAY);
    std::os::unix::fs::symlink(&outside, dir.join(format!("{}.mp3", uuid::Uuid::new_v4()))).unwrap();
    let dry = house.maint(&["cleanup-audio", "--max-total-bytes", "3000", "--dry-run"]).expect(0).report;
    let report = house.maint(&["cleanup-audio", "--max-total-bytes", "3000"]).expect(0).report;
    assert_eq!(report["files_scanned"], 6);
    assert_eq!(report["files_deleted"], 3);
    assert_eq!(report["bytes_reclaimed"], 3000);
    assert_eq!((&report["files_remaining"], &report["bytes_remaining"]), (&3.into(), &3000.into()));
    assert_eq!(dry["files_deleted"], report["files_deleted"]);
    assert_eq!(count(&house, "audio"), 3);
    assert!(outside.exists() && dir.join("notes.txt").exists());
    assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 5, "three replies, the link and the foreign file");
    house.assert_sound();
}

#[test]
fn orphans_go_only_when_asked_and_only_when_settled() {
    let house = House::built();
    let dir = house.dir.join("audio");
    let mut db = house.db();
    let ids = seed::sessions(&mut db, 1, 1, seed::now() - HOUR);
    let kept = seed::audio(&db, ids[0], &dir, 10, 2 * HOUR);
    seed::file(&dir.join(format!("{}.mp3", uuid::Uuid::new_v4())), 10, 2 * HOUR);
    let fresh = dir.join(format!("{}.mp3", uuid::Uuid::new_v4()));
    seed::file(&fresh, 10, HOUR / 2);
    seed::file(&dir.join(".companion-tmp-abc"), 30, 2 * HOUR);
    let under_way = dir.join(".companion-tmp-def");
    seed::file(&under_way, 10, HOUR / 2);
    assert_eq!(house.maint(&["cleanup-audio"]).expect(0).report["files_deleted"], 0);
    let dry = house.maint(&["cleanup-audio", "--orphans", "--dry-run"]).expect(0).report;
    let few = ["cleanup-audio", "--orphans", "--max-delete-percent", "40"];
    house.maint(&few).expect(4).tells("2 of 4 audio files would go");
    let done = house.maint(&["cleanup-audio", "--orphans"]).expect(0).report;
    for report in [dry, done] {
        assert_eq!((&report["files_scanned"], &report["files_deleted"]), (&4.into(), &2.into()));
        assert_eq!((&report["bytes_reclaimed"], &report["files_remaining"]), (&40.into(), &2.into()));
        assert_eq!(report["bytes_remaining"], 20);
    }
    assert!(fresh.exists() && dir.join(format!("{kept}.mp3")).exists() && under_way.exists());
    std::fs::remove_file(under_way).unwrap();
    house.assert_no_temporary_files();
}

#[test]
fn a_spoken_phrase_goes_by_age_and_bytes_and_is_no_orphan() {
    let house = House::built();
    let dir = house.dir.join("audio");
    let phrase = |number: u8, age| {
        let path = dir.join(format!("phrase-{}.wav", format!("{number:02x}").repeat(32)));
        seed::file(&path, 1000, age);
        path
    };
    let (old, large, new) = (phrase(1, 25 * HOUR), phrase(2, 3 * HOUR), phrase(3, 2 * HOUR));
    let told = house.maint(&["doctor"]).expect(0).report;
    assert!(!told.to_string().contains("no checkpoint refers"), "{told}");
    let report = house.maint(&["cleanup-audio", "--orphans"]).expect(0).report;
    assert_eq!((&report["files_scanned"], &report["files_deleted"]), (&3.into(), &1.into()));
    assert!(!old.exists() && large.exists() && new.exists());
    house.maint(&["cleanup-audio", "--max-total-bytes", "1500"]).expect(0);
    assert!(!large.exists() && new.exists());
}

#[test]
fn one_undeletable_file_is_exit_3_and_the_rest_goes() {
    let house = House::built();
    let dir = house.dir.join("audio");
    let mut db = house.db();
    let ids = seed::sessions(&mut db, 2, 1, seed::now() - HOUR);
    let stuck = seed::audio(&db, ids[0], &dir, 10, 30 * HOUR);
    seed::audio(&db, ids[1], &dir, 10, 29 * HOUR);
    let path = dir.join(format!("{stuck}.mp3"));
    let _guard = crate::support::Mounted::pinned(&path);
    let ran = house.maint(&["cleanup-audio"]).expect(3);
    assert_eq!(ran.report["files_deleted"], 1);
    assert_eq!(ran.report["errors"].as_array().unwrap().len(), 1);
    assert!(!format!("{}{}", ran.stdout, ran.stderr).contains(&stuck.to_string()), "an audio id is a secret");
    assert_eq!(count(&house, "audio"), 1);
}

#[test]
fn a_file_that_stays_undeletable_while_nobody_talks_is_no_wrong_clock() {
    let house = House::built();
    let dir = house.dir.join("audio");
    let mut db = house.db();
    let ids = seed::sessions(&mut db, 2, 1, seed::now() - 4 * DAY);
    let stuck = seed::audio(&db, ids[0], &dir, 10, 80 * HOUR);
    seed::audio(&db, ids[1], &dir, 10, 79 * HOUR);
    let _guard = crate::support::Mounted::pinned(&dir.join(format!("{stuck}.mp3")));
    house.maint(&["cleanup-audio"]).expect(4).tells("far ahead of the last sign of life");
    let recorded = "INSERT INTO maintenance_runs (job, started_at, ended_at, outcome)
        VALUES ('cleanup-audio', ?1, ?1, 'partial')";
    db.execute(recorded, [seed::now() - HOUR]).unwrap();
    assert_eq!(house.maint(&["cleanup-audio"]).expect(3).report["files_deleted"], 1);
}

#[test]
fn a_directory_full_of_undeletable_files_does_not_fill_the_record() {
    let house = House::built();
    let dir = house.dir.join("audio");
    let mut db = house.db();
    let ids = seed::sessions(&mut db, 1, 1, seed::now() - HOUR);
    for _ in 0..150 {
        seed::audio(&db, ids[0], &dir, 10, 30 * HOUR);
    }
    let read_only = crate::support::Mounted::read_only(&dir);
    let report = house.maint(&["cleanup-audio"]).expect(3).report;
    let recorded: String = db
        .query_row("SELECT report FROM maintenance_runs ORDER BY id DESC LIMIT 1", [], |row| row.get(0))
        .unwrap();
    for report in [report, serde_json::from_str(&recorded).unwrap()] {
        let errors = report["errors"].as_array().unwrap();
        assert_eq!((errors.len(), &errors[100]["item"]), (101, &"50 more".into()));
        assert_eq!((&report["files_deleted"], &report["files_remaining"]), (&0.into(), &150.into()));
    }
    drop(read_only);
    assert_eq!(house.maint(&["cleanup-audio"]).expect(0).report["files_deleted"], 150);
}

#[test]
fn rows_that_a_killed_run_left_without_a_file_go_however_many_and_however_young() {
    let house = House::built();
    let mut db = house.db();
    let ids = seed::sessions(&mut db, 2, 1, seed::now() - HOUR);
    let dir = house.dir.join("audio");
    // As a run leaves them that was killed between files and rows.
    db.execute(
        "WITH RECURSIVE reply (number) AS (SELECT 1 UNION ALL SELECT number + 1 FROM reply WHERE number < 12000)
         INSERT INTO audio (public_id, session_id, format, bytes, created_at)
         SELECT randomblob(16), (SELECT min(id) FROM sessions), 'mp3', 10, ?1 FROM reply",
        [seed::now() - 30 * HOUR],
    )
    .unwrap();
    let lost = seed::audio(&db, ids[0], &dir, 10, HOUR / 60);
    std::fs::remove_file(dir.join(format!("{lost}.mp3"))).unwrap();
    seed::audio(&db, ids[1], &dir, 10, 2 * HOUR);
    killed_cleanup_audio(&db);
    assert_eq!(house.maint(&["cleanup-audio"]).expect(0).report["files_remaining"], 1);
    assert_eq!(count(&house, "audio"), 1, "that of the reply that can be heard");
    assert_eq!(count(&house, "checkpoints WHERE audio_id IS NOT NULL"), 1, "no other is offered");
    house.assert_sound();

    // Another directory, or one that is not mounted.
    let elsewhere = house.dir.join("elsewhere");
    std::fs::rename(&dir, &elsewhere).unwrap();
    std::fs::create_dir(&dir).unwrap();
    killed_cleanup_audio(&db);
    for _ in 0..2 {
        house.maint(&["cleanup-audio"]).expect(3).tells("is AUDIO_DIR the server's, and mounted?");
    }
    seed::audio(&db, ids[0], &dir, 10, HOUR / 60);
    house.maint(&["cleanup-audio"]).expect(0);
    assert_eq!(count(&house, "audio"), 2, "one that is spoken there takes no other with it");
    std::fs::remove_dir_all(&dir).unwrap();
    std::fs::rename(&elsewhere, &dir).unwrap();
    house.maint(&["cleanup-audio"]).expect(0);
    assert_eq!(count(&house, "audio"), 2, "it can be heard again");
}

/// Records a run as it is when it was killed.
fn killed_cleanup_audio(db: &rusqlite::Connection) {
    let begun =
        "INSERT INTO maintenance_runs (job, started_at, outcome) VALUES ('cleanup-audio', ?1, 'running')";
    db.execute(begun, [seed::now() - HOUR / 60]).unwrap();
}

#[test]
fn rows_past_their_age_that_have_no_file_go_also_where_no_other_reply_is_kept() {
    let house = House::built();
    let dir = house.dir.join("audio");
    let mut db = house.db();
    let ids = seed::sessions(&mut db, 1, 1, seed::now() - HOUR);
    for killed in [true, false] {
        let lost = seed::audio(&db, ids[0], &dir, 10, 25 * HOUR);
        std::fs::remove_file(dir.join(format!("{lost}.mp3"))).unwrap();
        if killed {
            killed_cleanup_audio(&db);
        }
        house.maint(&["cleanup-audio"]).expect(0);
        assert_eq!((count(&house, "audio"), count(&house, "checkpoints WHERE audio_id IS NOT NULL")), (0, 0));
    }
}

#[test]
fn rows_that_cannot_be_removed_are_told_with_their_reason_and_go_with_the_next_run() {
    let house = House::built();
    let mut db = house.db();
    let ids = seed::sessions(&mut db, 1, 1, seed::now() - HOUR);
    seed_replies(&db, &house, ids[0], 250, 25 * HOUR);
    db.execute_batch(HOLD_ROWS).unwrap();
    let report = house.maint(&["cleanup-audio"]).expect(3).report;
    assert_eq!((&report["files_deleted"], count(&house, "audio")), (&250.into(), 250));
    let told = serde_json::json!([{"item": "rows of deleted audio", "error": "held for a test"}]);
    assert_eq!(report["errors"], told);
    db.execute_batch("DROP TRIGGER held").unwrap();
    house.maint(&["cleanup-audio"]).expect(0);
    assert_eq!(count(&house, "audio"), 0);

    // What is in the way for a while only is tried again by the run itself, with the rows of what it took alone.
    seed_replies(&db, &house, ids[0], 250, HOUR);
    db.execute_batch(HOLD_ROWS).unwrap();
    let report = take_all_audio(&house, Arc::default(), &LetsGoAt(201, &db));
    assert_eq!((report.exit_code, report.counts.files_deleted), (0, 250), "{report:?}");
    assert_eq!(count(&house, "audio"), 0);
}

/// Nobody can remove a row of a reply.
const HOLD_ROWS: &str =
    "CREATE TRIGGER held BEFORE DELETE ON audio BEGIN SELECT RAISE(ABORT, 'held for a test'); END";

/// So many replies in one transaction.
fn seed_replies(db: &rusqlite::Connection, house: &House, session: uuid::Uuid, replies: u32, age: i64) {
    db.execute_batch("BEGIN IMMEDIATE").unwrap();
    for _ in 0..replies {
        seed::audio(db, session, &house.dir.join("audio"), 10, age);
    }
    db.execute_batch("COMMIT").unwrap();
}

/// Once so many files are gone, their rows can go, too.
struct LetsGoAt<'a>(u64, &'a rusqlite::Connection);

impl Progress for LetsGoAt<'_> {
    fn advance(&self, _: &str, done: u64, _: u64) {
        if done == self.0 {
            self.1.execute_batch("DROP TRIGGER held").unwrap();
        }
    }
}

/// Asks a run to stop once it has removed so many files.
struct StopsAt(u64, Arc<AtomicBool>);

impl Progress for StopsAt {
    fn advance(&self, _: &str, done: u64, _: u64) {
        self.1.fetch_or(done >= self.0, Ordering::Relaxed);
    }
}

#[test]
fn cleanup_of_audio_that_is_stopped_has_removed_the_rows_of_what_it_took() {
    let house = House::built();
    let mut db = house.db();
    let ids = seed::sessions(&mut db, 1, 1, seed::now() - HOUR);
    seed_replies(&db, &house, ids[0], 300, HOUR);
    let asked = Arc::new(AtomicBool::new(false));
    let report = take_all_audio(&house, asked.clone(), &StopsAt(250, asked));
    assert_eq!((report.exit_code, report.counts.files_deleted), (1, 250), "{report:?}");
    assert_eq!(count(&house, "audio"), 50, "rows go with their files");
    house.assert_sound();
}

/// Runs a cleanup for which there is no room for any reply; `asked` tells it to stop.
fn take_all_audio(house: &House, asked: Arc<AtomicBool>, progress: &dyn Progress) -> Report<Counts> {
    let settings = house.dir.join("settings");
    std::fs::write(&settings, "").unwrap();
    let overrides = vec![("DATA_DIR", house.dir.display().to_string())];
    let config = MaintConfig::load(Flags { env_file: Some(settings), overrides }).unwrap();
    let run = Run {
        config: &config,
        clock: &SystemClock,
        dry_run: false,
        force: false,
        stop: &Stop::new(asked, None),
        wait_lock: None,
        progress,
    };
    let options =
        Options { max_age: None, max_total_bytes: Some(0), orphans: false, max_delete_percent: None };
    cleanup_audio::run(&run, options)
}

#[test]
fn a_session_that_becomes_active_meanwhile_stays() {
    let house = House::built();
    let mut db = house.db();
    seed::sessions(&mut db, 400, 20, seed::now() - 8 * DAY);
    seed::sign_of_life(&mut db);
    let last: i64 = db
        .query_row("SELECT id FROM sessions ORDER BY last_active_at, id LIMIT 1 OFFSET 399", [], |row| {
            row.get(0)
        })
        .unwrap();
    let active = format!("UPDATE sessions SET last_active_at = {} WHERE id = {last}", seed::now());
    once_left(&db, "sessions", 200, &active);
    assert_eq!(
        house.maint(&["cleanup-sessions", "--batch-size", "1"]).expect(0).report["sessions_deleted"],
        399
    );
    let left =
        db.query_row("SELECT count(*) FROM sessions WHERE id = ?1", [last], |row| row.get::<_, u64>(0));
    assert_eq!(left.unwrap(), 1);
}

#[test]
fn whoever_is_being_answered_keeps_a_conversation_that_had_expired() {
    let model = SlowModel::start();
    let house = House::built().with("LLM_BASE_URL", &model.url);
    let server = house.start();
    let (back, away) = (server.start_session(), server.start_session());
    let mut db = house.db();
    lengthen(&db, &back, 10);
    lengthen(&db, &away, 10);
    db.execute("UPDATE sessions SET last_active_at = ?1", [seed::now() - 8 * DAY]).unwrap();
    seed::sign_of_life(&mut db);
    std::thread::scope(|scope| {
        let said = scope.spawn(|| server.say(&back, "I am back"));
        wait_for("the model is asked", || model.asked() == 1);
        assert_eq!(house.maint(&["cleanup-sessions"]).expect(0).report["sessions_deleted"], 1);
        model.answer();
        let (status, body) = said.join().unwrap();
        assert_eq!(status, 200, "{body}");
    });
    let said = server.history(&back);
    assert_eq!((said.len(), said.last().map(String::as_str)), (11, Some("I am back")));
    let (status, body) = server.say(&away, "I am back, too");
    assert_eq!((status, &body["error"]), (404, &"session_not_found".into()), "it has expired");
    assert_eq!(model.asked(), 1);
    server.stop();
    house.assert_sound();
}

#[test]
fn status_tells_what_is_there_and_what_would_go() {
    let house = House::built();
    let mut db = house.db();
    seed::sessions(&mut db, 3, 2, seed::now() - 8 * DAY);
    seed::sign_of_life(&mut db);
    house.maint(&["backup-db"]).expect(0);
    let report = house.maint(&["status"]).expect(0).report;
    assert_eq!((&report["sessions"], &report["checkpoints"]), (&4.into(), &7.into()));
    assert_eq!(
        (&report["next_cleanup_sessions"], &report["next_cleanup_checkpoints"]),
        (&3.into(), &6.into())
    );
    assert_eq!(report["disk"]["backups"], 1);
    assert_eq!(report["disk"]["backups_share_the_databases_disk"], true);
    let runs = report["last_runs"].as_array().unwrap();
    let of = |job: &str| runs.iter().find(|run| run["job"] == job).unwrap()["outcome"].clone();
    assert_eq!((of("backup-db"), of("cleanup-audio")), ("succeeded".into(), "never".into()));
    let text = house.maint_command(&["status"]).output().unwrap();
    assert!(String::from_utf8(text.stdout).unwrap().contains("3 sessions, 6 checkpoints"));
}

#[test]
fn status_tells_the_rest_where_one_place_cannot_be_looked_at() {
    let house = House::built();
    seed::sessions(&mut house.db(), 3, 2, seed::now() - seed::HOUR);
    let no_directory = house.dir.join("notes");
    std::fs::write(&no_directory, "mine").unwrap();
    let house = house.with("BACKUP_DIR", no_directory.to_str().unwrap());
    let told = house.maint(&["status"]).expect(3).report;
    assert_eq!((&told["sessions"], &told["database_read"]), (&3.into(), &true.into()));
    assert!(told["disk"]["free_bytes"].as_u64().unwrap() > 0);
    let errors = told["errors"].as_array().unwrap();
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(errors[0]["item"].as_str().unwrap().contains("notes"), "{errors:?}");
    let text = house.maint_command(&["status"]).output().unwrap();
    assert!(String::from_utf8(text.stdout).unwrap().contains("3 sessions"));
}

#[test]
fn cleanup_audio_without_its_directory_says_what_to_do() {
    let house = House::built();
    std::fs::remove_dir_all(house.dir.join("audio")).unwrap();
    for arguments in [&["cleanup-audio"][..], &["cleanup-audio", "--dry-run"]] {
        house.maint(arguments).expect(1).tells("AUDIO_DIR").tells("start the server");
    }
    house.start().stop();
    house.maint(&["cleanup-audio"]).expect(0);
}

#[test]
fn status_makes_the_plan_of_cleanup_audio() {
    let house = House::built().with("AUDIO_MAX_TOTAL_BYTES", "2000");
    let dir = house.dir.join("audio");
    let mut db = house.db();
    let ids = seed::sessions(&mut db, 1, 1, seed::now() - HOUR);
    for age in [25, 3, 2, 1] {
        seed::audio(&db, ids[0], &dir, 1000, age * HOUR);
    }
    assert_eq!(house.maint(&["status"]).expect(0).report["next_cleanup_audio_files"], 2);
    assert_eq!(house.maint(&["cleanup-audio"]).expect(0).report["files_deleted"], 2);
}

#[test]
fn the_log_counts_and_never_quotes() {
    let house = House::built();
    let mut db = house.db();
    let ids = seed::sessions(&mut db, 2, 1, seed::now() - 8 * DAY);
    seed::audio(&db, ids[0], &house.dir.join("audio"), 10, 8 * DAY);
    seed::sign_of_life(&mut db);
    let log = house.maint(&["cleanup-sessions", "-v"]).expect(0).stderr;
    let [planned, done] = ["session_cleanup_analysis", "session_cleanup_completed"].map(|event| {
        let line = log.lines().find(|line| line.contains(event)).unwrap();
        serde_json::from_str::<serde_json::Value>(line).unwrap()
    });
    assert_eq!(
        (&done["sessions_before"], &done["sessions_deleted"], &done["audio_files_deleted"]),
        (&3.into(), &2.into(), &1.into())
    );
    for [before, after] in [
        ["retention_days", "retention_days"],
        ["cutoff", "cutoff"],
        ["sessions_before", "sessions_before"],
        ["checkpoints_before", "checkpoints_before"],
        ["sessions_to_delete", "sessions_deleted"],
        ["checkpoints_to_delete", "checkpoints_deleted"],
        ["audio_files_to_delete", "audio_files_deleted"],
        ["memories_to_delete", "memories_deleted"],
        ["persons_to_erase", "persons_erased"],
    ] {
        assert!(!planned[before].is_null());
        assert_eq!(planned[before], done[after], "{before}");
    }
    for secret in ["something said", &ids[0].to_string(), &ids[1].to_string()] {
        assert!(!log.contains(secret), "{secret}");
    }
    for (job, event) in [("cleanup-audio", "audio_cleanup_completed"), ("backup-db", "backup_completed")] {
        let log = house.maint(&[job, "-v"]).expect(0).stderr;
        assert_eq!(log.lines().filter(|line| line.contains(event)).count(), 1, "{log}");
        assert!(!log.contains("something said"), "{log}");
    }
}

/// How long the longest of the turns took that somebody said while this was done, and the machine itself for three flushes of a
/// few bytes meanwhile, at worst: a turn waits for that of a transaction before it, that of the log being emptied, and its own. None
/// failed.
fn longest_turn_during(server: &crate::support::Server, done: impl FnOnce() + Send) -> (Duration, Duration) {
    let talk = server.start_session();
    let witness = tempfile::tempfile().unwrap();
    std::thread::scope(|scope| {
        let done = scope.spawn(done);
        let (mut longest, over) = (Duration::ZERO, Arc::new(AtomicBool::new(false)));
        let machine = scope.spawn({
            let over = over.clone();
            move || longest_flush(&witness, &over)
        });
        while !done.is_finished() {
            let began = Instant::now();
            assert_eq!(server.say(&talk, "hello").0, 200);
            longest = longest.max(began.elapsed());
        }
        over.store(true, Ordering::SeqCst);
        done.join().unwrap();
        (longest, 3 * machine.join().unwrap())
    })
}

fn longest_flush(file: &File, over: &AtomicBool) -> Duration {
    let mut longest = Duration::ZERO;
    while !over.load(Ordering::SeqCst) {
        let began = Instant::now();
        std::thread::park_timeout(Duration::from_millis(5));
        file.write_all_at(b"a few bytes", 0).unwrap();
        file.sync_data().unwrap();
        longest = longest.max(began.elapsed());
    }
    longest
}

#[test]
fn a_turn_is_answered_within_two_seconds_while_a_cleanup_cannot_empty_the_log_because_somebody_reads() {
    let house = House::built();
    seed::sessions(&mut house.db(), 400, 20, seed::now() - 8 * DAY);
    seed::sign_of_life(&mut house.db());
    let server = house.start();
    let reader = house.db();
    reader.execute_batch("BEGIN; SELECT count(*) FROM sessions").unwrap();
    let (longest, machine) = longest_turn_during(&server, || {
        assert_eq!(house.maint(&["cleanup-sessions"]).expect(0).report["sessions_deleted"], 400);
    });
    assert!(longest < Duration::from_secs(2) + machine, "a turn took {longest:?}, flushes {machine:?}");
    drop(reader);
    server.stop();
    house.assert_sound();
}

#[test]
fn a_conversation_of_any_length_goes_in_portions_and_a_turn_is_answered_within_400_ms() {
    let house = House::built();
    let mut db = house.db();
    seed::sessions(&mut db, 1, 30_000, seed::now() - 8 * DAY);
    // Somebody unseen for longer than people are kept, with a pinned conversation.
    let pinned = seed::sessions(&mut db, 1, 30_000, seed::now() - 500 * DAY)[0];
    db.execute("UPDATE sessions SET pinned = 1 WHERE public_id = ?1", [pinned.as_bytes()]).unwrap();
    seed::sign_of_life(&mut db);
    drop(db);
    let server = house.start();
    let (longest, machine) = longest_turn_during(&server, || {
        let cleaned = house.maint(&["cleanup-sessions"]).expect(0).report;
        let gone =
            ["sessions_deleted", "checkpoints_deleted", "persons_erased"].map(|what| cleaned[what].as_u64());
        assert_eq!(gone, [Some(2), Some(60_000), Some(1)], "{cleaned}");
    });
    // In one transaction each it is longer than a second.
    assert!(longest < Duration::from_millis(400) + machine, "a turn took {longest:?}, flushes {machine:?}");
    server.stop();
    house.assert_sound();
}
