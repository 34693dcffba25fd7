//! Who asked to be forgotten stays forgotten, whatever is restored.

use std::fs;

use serde_json::Value;

use crate::support::langgraph::{Predecessor, imported};
use crate::support::seed::{self, DAY, HOUR};
use crate::support::{House, Server, Talk, agent};
use crate::upgrades::{earlier_schemas, house_of, owner_of_the_fixture};

/// Days that an accident may have a backup guarded for, and one until the next backup removes it.
const GUARD: i64 = 31;

/// Somebody asks to be forgotten; returns what they are told.
pub fn forget(server: &Server, talk: &Talk) -> Value {
    let url = format!("{}/api/v1/me", server.url);
    let mut answer = agent().delete(url).header("x-companion-person", &talk.token).call().unwrap();
    assert_eq!(answer.status(), 200);
    answer.body_mut().read_json().unwrap()
}

/// Whether the database file has these bytes anywhere.
fn holds(house: &House, word: &[u8]) -> bool {
    let database = fs::read(house.database()).unwrap();
    database.windows(word.len()).any(|window| window == word)
}

#[test]
fn nobody_who_was_erased_comes_back() {
    let house = House::built();
    let server = house.start();
    let (gone, stays) = (server.start_session(), server.start_session());
    assert_eq!(server.say(&gone, "a word that is rare: quincunx").0, 200);
    assert_eq!(server.say(&stays, "another one: xylograph").0, 200);
    house.maint(&["backup-db"]).expect(0);
    forget(&server, &gone);
    server.stop();
    let report = house.maint(&["restore-db", "latest", "--yes"]).expect(0).report;
    assert_eq!(report["erased_again"], 1);
    assert_eq!(house.content().sessions, 1);
    assert!(holds(&house, b"xylograph") && !holds(&house, b"quincunx"));
    let server = house.start();
    assert_eq!(server.history(&stays).len(), 1);
    server.stop();
    house.assert_sound();
}

/// So many days from when it was asked, or from now: it may have been before midnight.
fn assert_day(told: &serde_json::Value, days: i64, asked: i64) {
    let day = |from| companion::domain::clock::Timestamp::from_millis(from + days * DAY).day();
    assert!([asked, seed::now()].map(day).iter().any(|day| told == day.as_str()), "{told}");
}

#[test]
fn an_erasure_names_the_day_the_last_copy_forgets() {
    let house = House::built();
    seed::sign_of_life(&mut house.db());
    house.maint(&["backup-db", "--keep", "3", "--keep-weekly", "8"]).expect(0);
    let server = house.start();
    let talk = server.start_session();
    let today = seed::now();
    let body = forget(&server, &talk);
    assert_day(&body["backups_until"], 56 + GUARD, today);
    server.stop();
}

#[test]
fn the_day_an_erasure_names_holds_although_a_backup_is_guarded_later() {
    let house = House::built();
    let server = house.start();
    let (gone, stays) = (server.start_session(), server.start_session());
    for number in 0..6 {
        assert_eq!(server.say(&gone, &format!("quincunx {number}")).0, 200);
    }
    assert_eq!(server.say(&stays, "xylograph").0, 200);
    house.maint(&["backup-db"]).expect(0);
    let today = seed::now();
    let told = forget(&server, &gone)["backups_until"].as_str().unwrap().to_owned();
    server.stop();
    // They had said most of what was said: that looks like an accident.
    let ran = house.maint(&["backup-db"]).expect(3).tells("more than half");
    let listed = house.maint(&["list-backups"]).expect(0).report;
    let guarded = listed["backups"][1]["guarded_until"].as_str().unwrap().to_owned();
    assert!(guarded < told, "{guarded} {told}");
    // On the last day that the rules keep it, seven days from now, the guard would end seven days later than this one.
    assert_day(&told.as_str().into(), 7 + GUARD, today);
    assert!(ran.report["kept_at_most_days"].as_u64() >= Some(7 + 31), "{}", ran.report);
}

#[test]
fn an_erasure_goes_by_all_keep_rules_where_no_report_tells_of_them() {
    let house = House::built().with("BACKUP_KEEP", "3").with("BACKUP_KEEP_MONTHLY", "2");
    seed::sign_of_life(&mut house.db());
    house.maint(&["backup-db"]).expect(0);
    house.db().execute_batch("DELETE FROM maintenance_runs").unwrap();
    let server = house.start();
    let today = seed::now();
    let body = forget(&server, &server.start_session());
    assert_day(&body["backups_until"], 62 + GUARD, today);
    server.stop();
}

#[test]
fn nobody_who_was_not_seen_for_too_long_comes_back() {
    let house = House::built().with("PERSON_RETENTION_DAYS", "30");
    let mut db = house.db();
    seed::sessions(&mut db, 3, 2, seed::now() - 40 * DAY);
    // As the programs write: without it, what was there before stays between the rows.
    db.execute_batch("PRAGMA secure_delete = ON").unwrap();
    db.execute_batch("UPDATE sessions SET pinned = 1; UPDATE checkpoints SET said = 'quincunx'").unwrap();
    seed::sessions(&mut db, 2, 2, seed::now() - HOUR);
    drop(db);
    house.maint(&["backup-db"]).expect(0);
    assert_eq!(house.maint(&["cleanup-sessions"]).expect(0).report["persons_erased"], 1);
    let report = house.maint(&["restore-db", "latest", "--yes"]).expect(0).report;
    assert_eq!(report["erased_again"], 1);
    assert_eq!((house.content().sessions, house.content().checkpoints), (2, 4));
    assert!(!holds(&house, b"quincunx"));
    house.assert_sound();
}

#[test]
fn a_drill_forgets_as_a_restore_does_and_the_backup_stays_as_it_is() {
    let house = House::built();
    let server = house.start();
    let (gone, stays) = (server.start_session(), server.start_session());
    assert_eq!((server.say(&gone, "quincunx").0, server.say(&stays, "xylograph").0), (200, 200));
    house.maint(&["backup-db"]).expect(0);
    forget(&server, &gone);
    let report = house.maint(&["verify-backups", "--restore-drill"]).expect(0).report;
    assert_eq!((&report["drill"]["sessions"], &report["drill"]["checkpoints"]), (&1.into(), &1.into()));
    assert_eq!(report["verified"][0]["sessions"], 2);
    server.stop();
}

#[test]
fn a_backup_of_an_older_schema_revives_nobody_either() {
    for schema in earlier_schemas() {
        let house = house_of(schema);
        let old =
            house.maint(&["backup-db", "--force"]).expect(0).report["path"].as_str().unwrap().to_owned();
        let server = house.start();
        let owner = owner_of_the_fixture();
        assert_eq!(server.history(&owner).len(), 3);
        forget(&server, &owner);
        // The newest backup is the one that the upgrade took, of the same schema.
        let drill = house.maint(&["verify-backups", "--restore-drill"]).expect(0).report;
        assert_eq!((&drill["drill"]["sessions"], &drill["verified"][0]["sessions"]), (&0.into(), &2.into()));
        server.stop();
        let report = house.maint(&["restore-db", &old, "--yes"]).expect(0).report;
        assert_eq!((&report["schema_version"], &report["erased_again"]), (&schema.into(), &1.into()));
        assert!(!holds(&house, b"said 1"));
        house.start().stop();
        assert_eq!(house.content().sessions, 0);
        house.assert_sound();
    }
}

/// The ids in the file of those who held imported conversations.
fn import_owners(house: &House) -> Vec<String> {
    let text = fs::read_to_string(house.dir.join("import-owners")).unwrap();
    text.lines().map(|line| line.split(' ').next().unwrap().to_owned()).collect()
}

fn token_of(report: &Value) -> Talk {
    Talk { session: String::new(), token: report["person_token"].as_str().unwrap().to_owned() }
}

#[test]
fn importing_again_revives_nobody_who_was_erased() {
    let source = Predecessor::written(&["many", "3", "2"]);
    let import = ["import-langgraph", source.path()];
    let house = House::built();
    house.maint(&["backup-db"]).expect(0);
    let first = house.maint(&import).expect(0).report;
    let server = house.start();
    forget(&server, &token_of(&first));
    server.stop();
    let ledger = fs::read_to_string(house.dir.join("erasures")).unwrap();
    assert!(ledger.starts_with(&import_owners(&house)[0]));

    for restored in [false, true] {
        if restored {
            house.maint(&["restore-db", "latest", "--yes"]).expect(0);
        }
        house.maint(&import).expect(4).tells("has been erased since");
        house.maint(&[&import[..], &["--dry-run"]].concat()).expect(4).tells("--force");
        assert_eq!(house.content().sessions, 0);
    }
    let forced = house.maint(&[&import[..], &["--force"]].concat()).expect(0).report;
    assert_eq!(forced["sessions_imported"], 3);
    assert_ne!(token_of(&forced).token, token_of(&first).token);
    let owners = import_owners(&house);
    assert!(owners.len() == 1 && !ledger.starts_with(&owners[0]), "somebody new");
    house.maint(&import).expect(0);
    // The next start of the server erases nobody: they are not the one who asked to be forgotten.
    house.start().stop();
    source.assert_all_in(&house);
    house.assert_sound();
}

#[test]
fn an_import_after_a_restore_is_for_the_same_person_so_that_one_erasure_reaches_both() {
    let source = Predecessor::written(&["many", "3", "2"]);
    let import = ["import-langgraph", source.path()];
    let house = House::built();
    let backup = || house.maint(&["backup-db"]).expect(0).report["path"].as_str().unwrap().to_owned();
    let before = backup();
    house.maint(&import).expect(0);
    let with_import = backup();
    let owners = import_owners(&house);
    house.maint(&["restore-db", &before, "--yes"]).expect(0);
    let again = house.maint(&import).expect(0).report;
    assert_eq!((&again["sessions_imported"], import_owners(&house)), (&3.into(), owners));
    let server = house.start();
    forget(&server, &token_of(&again));
    server.stop();
    let report = house.maint(&["restore-db", &with_import, "--yes"]).expect(0).report;
    assert_eq!((&report["erased_again"], house.content().sessions), (&1.into(), 0));
    house.maint(&import).expect(4);
}

#[test]
fn whoever_was_named_for_an_import_and_was_erased_is_not_revived_either() {
    let source = Predecessor::written(&["many", "3", "2"]);
    let house = House::built();
    house.maint(&["backup-db"]).expect(0);
    let server = house.start();
    let talk = server.start_session();
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("token");
    fs::write(&file, &talk.token).unwrap();
    house
        .maint(&["import-langgraph", source.path(), "--person-token-file", file.to_str().unwrap()])
        .expect(0);
    forget(&server, &talk);
    server.stop();
    house.maint(&["restore-db", "latest", "--yes"]).expect(0);
    house.maint(&["import-langgraph", source.path()]).expect(4).tells("has been erased since");
    assert_eq!(house.content().sessions, 0);
}

#[test]
fn an_import_from_before_there_was_a_note_is_noted_and_a_damaged_note_is_told() {
    let source = Predecessor::written(&["many", "3", "2"]);
    let import = ["import-langgraph", source.path()];
    let house = House::built();
    house.maint(&import).expect(0);
    let note = house.dir.join("import-owners");
    let text = fs::read_to_string(&note).unwrap();
    fs::remove_file(&note).unwrap();
    house.maint(&[&import[..], &["--dry-run"]].concat()).expect(0);
    assert!(!note.exists(), "a dry run changes nothing");
    house.maint(&import).expect(0);
    assert_eq!(fs::read_to_string(&note).unwrap(), text);
    fs::remove_file(&note).unwrap();
    house.start().stop();
    assert_eq!(fs::read_to_string(&note).unwrap(), text, "before anyone can ask to be forgotten");
    fs::write(&note, "half").unwrap();
    house.maint(&import).expect(1).tells("it is damaged");
    house.start().stop();
    // Killed between the note and the database: somebody is noted who never came to be.
    fs::write(&note, format!("{} made\n{text}", uuid::Uuid::new_v4())).unwrap();
    let ran = house.maint(&import).expect(0);
    assert_eq!((&ran.report["turns_imported"], &ran.report["person_token"]), (&0.into(), &Value::Null));
    assert_eq!(imported(&house, source.said.keys().next().unwrap()).len(), 4);
}
