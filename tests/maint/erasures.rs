//! Who asked to be forgotten stays forgotten, whatever is restored.

use std::fs;

use serde_json::Value;

use crate::support::seed::{self, DAY, HOUR};
use crate::support::{House, Server, Talk, agent};
use crate::upgrades::{earlier_schemas, house_of, owner_of_the_fixture};

/// Somebody asks to be forgotten; returns what they are told.
fn forget(server: &Server, talk: &Talk) -> Value {
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

#[test]
fn an_erasure_names_the_day_the_last_copy_forgets() {
    let house = House::built();
    seed::sign_of_life(&mut house.db());
    house.maint(&["backup-db", "--keep", "3", "--keep-weekly", "8"]).expect(0);
    let server = house.start();
    let talk = server.start_session();
    let body = forget(&server, &talk);
    let at =
        std::time::UNIX_EPOCH + std::time::Duration::from_millis((seed::now() + 56 * DAY).unsigned_abs());
    assert_eq!(body["backups_until"], companion::domain::clock::Timestamp::from_system(at).day());
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
