//! From every earlier schema to this one, interrupted or not, and back again.
//!
//! `fixtures/schema-N.db` is a database as the release with schema N left it. When a migration is added, the fixture of
//! the schema before it is made once, before the migration is committed, and never changed again:
//! `cargo test --test maint make_a_fixture -- --ignored`.

use std::fs;
use std::path::PathBuf;

use companion::adapters::sqlite::schema_version;
use rusqlite::Connection;

use crate::kills::{doctor_is_clean_or_mends, times};
use crate::support::content::content;
use crate::support::dice::{Dice, some_time};
use crate::support::seed::{self, HOUR};
use crate::support::{House, Talk, sha256, wait_for};

/// Who has a pinned conversation in every fixture.
const TOKEN: [u8; 32] = [7; 32];
const SESSION: uuid::Uuid = uuid::Uuid::from_u128(0x5e55_1017_0000_4000_8000_0000_0000_0001);

pub fn fixture(schema: i64) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("tests/maint/fixtures/schema-{schema}.db"))
}

pub fn earlier_schemas() -> impl Iterator<Item = i64> {
    1..schema_version()
}

/// A house as a release with this schema left it.
pub fn house_of(schema: i64) -> House {
    let house = House::built();
    // Into the file that is there, which has the right owner and permissions.
    fs::write(house.database(), fs::read(fixture(schema)).unwrap()).unwrap();
    house
}

/// So much in it that its upgrade takes a while.
fn large_house_of(schema: i64) -> House {
    let house = house_of(schema);
    seed::sessions(&mut house.db(), 300, 20, seed::now() - HOUR);
    house
}

fn pragma(house: &House, name: &str) -> i64 {
    house.db().query_row(&format!("PRAGMA {name}"), [], |row| row.get(0)).unwrap()
}

pub fn owner_of_the_fixture() -> Talk {
    let token = TOKEN.iter().map(|byte| format!("{byte:02x}")).collect();
    Talk { session: SESSION.to_string(), token }
}

/// Writes the fixture of the schema before the current one, by the migrations up to it.
#[test]
#[ignore = "a fixture is made once and kept"]
fn make_a_fixture() {
    let path = fixture(schema_version() - 1);
    assert!(!path.exists(), "a fixture is never changed");
    #[expect(clippy::disallowed_methods, reason = "a test makes what a release made")]
    let db = Connection::open(&path).unwrap();
    db.execute_batch("PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL").unwrap();
    let migrations = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/adapters/migrations");
    let mut steps = crate::support::names(&migrations, ".sql");
    steps.pop();
    assert_eq!(steps.len(), usize::try_from(schema_version() - 1).unwrap());
    for step in &steps {
        db.execute_batch(&fs::read_to_string(step).unwrap()).unwrap();
    }
    db.execute_batch(&format!("PRAGMA user_version = {}", steps.len())).unwrap();
    let (token, session) = (sha256(&TOKEN), SESSION.simple());
    db.execute_batch(&format!(
        "INSERT INTO persons (id, public_id, token_hash, created_at, last_seen_at)
             VALUES (1, randomblob(16), x'{token}', 1792000000000, 1792000000000);
         INSERT INTO sessions (id, public_id, person_id, title, pinned, created_at, last_active_at, checkpoints)
             VALUES (1, x'{session}', 1, 'Kept', 1, 1792000000000, 1792000000000, 3),
                    (2, randomblob(16), 1, NULL, 0, 1792000000000, 1792000000000, 1);
         INSERT INTO checkpoints (session_id, public_id, turn_id, said, answered, said_at, answered_at)
             SELECT max(1, column1 - 2), randomblob(16), randomblob(16), 'said ' || column1, 'answered ' || column1,
                    1792000000000 + column1, 1792000000000 + column1 FROM (VALUES (1), (2), (3), (4));
         UPDATE totals SET sessions = 2, checkpoints = 4;
         INSERT INTO maintenance_runs (job, started_at, ended_at, outcome)
             VALUES ('backup-db', 1792000000000, 1792000001000, 'succeeded')"
    ))
    .unwrap();
}

#[test]
fn there_is_a_fixture_of_every_earlier_schema() {
    for schema in earlier_schemas() {
        let copy = tempfile::NamedTempFile::new().unwrap();
        fs::copy(fixture(schema), copy.path()).expect("make it; how is told at the top of this file");
        #[expect(clippy::disallowed_methods, reason = "a test looks at what is there")]
        let db = Connection::open(copy.path()).unwrap();
        let found: i64 = db.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
        assert_eq!(found, schema);
    }
}

#[test]
fn every_earlier_schema_is_upgraded_after_a_verified_backup_and_the_way_back_works() {
    for schema in earlier_schemas() {
        let house = house_of(schema);
        let before = house.content();
        for job in ["cleanup-sessions", "cleanup-audio", "doctor"] {
            house.maint(&[job]).expect(4).tells("start the server once");
        }
        house.maint(&["status"]).expect(0);
        house.maint(&["backup-db", "--force"]).expect(0);
        house.maint(&["verify-backups", "--restore-drill"]).expect(0);
        let server = house.start();
        assert_eq!(house.backups().len(), 2, "the upgrade took a backup of its own");
        house.assert_backups_verify();
        assert_eq!(pragma(&house, "user_version"), schema_version());
        let owner = owner_of_the_fixture();
        assert_eq!(server.history(&owner), ["said 1", "said 2", "said 3"]);
        assert_eq!(server.say(&owner, "said with the new release").0, 200);
        server.stop();
        house.assert_sound();

        let report = house.maint(&["restore-db", "latest", "--yes"]).expect(0).report;
        assert_eq!(report["schema_version"], schema);
        // All that the old release asks a database before it opens it.
        assert_eq!(pragma(&house, "user_version"), schema);
        assert_eq!(pragma(&house, "application_id"), 1_129_270_608);
        assert_eq!(house.content(), before);
        house.start().stop();
        assert_eq!(pragma(&house, "user_version"), schema_version(), "and forward again");
        assert_eq!(house.content(), before);
    }
}

/// What a release sees whose successor has upgraded the database.
#[test]
fn an_older_release_refuses_a_newer_database_and_restores_the_backup_from_before() {
    let house = House::built();
    seed::sessions(&mut house.db(), 5, 2, seed::now() - HOUR);
    house.maint(&["backup-db"]).expect(0);
    let before = house.content();
    seed::sessions(&mut house.db(), 5, 2, seed::now() - HOUR);
    let newer = schema_version() + 1;
    house.db().execute_batch(&format!("PRAGMA user_version = {newer}")).unwrap();
    let bytes = fs::read(house.database()).unwrap();
    let told = house.try_start().err().unwrap();
    assert!(told.starts_with("Some(1)") && told.contains(&format!("schema {newer}")), "{told}");
    assert!(told.contains("restore the backup"), "{told}");
    assert_eq!(told.trim().lines().count(), 1, "{told}");
    for job in ["cleanup-sessions", "cleanup-audio", "backup-db", "verify-backups", "doctor", "status"] {
        house.maint(&[job]).expect(4).tells(&format!("schema {newer}"));
    }
    assert_eq!(fs::read(house.database()).unwrap(), bytes, "nobody has touched it");
    house.maint(&["list-backups"]).expect(0);
    house.maint(&["restore-db", "latest", "--yes"]).expect(0);
    assert_eq!(house.content(), before);
    house.start().stop();
}

/// Whoever keeps the write lock keeps the upgrade from going on after its backup.
#[test]
fn while_it_upgrades_the_server_is_alive_and_not_ready() {
    let house = large_house_of(1);
    let before = house.content();
    let blocker = house.db();
    blocker.execute_batch("PRAGMA journal_mode = WAL; BEGIN IMMEDIATE").unwrap();
    let server = house.listen().unwrap();
    wait_for("the backup of the upgrade is there", || !house.backups().is_empty());
    let (status, body) = server.get("/readyz");
    assert_eq!((status, &body["reasons"]), (503, &serde_json::json!(["migrating"])), "{body}");
    assert_eq!(server.get("/livez").0, 200);
    let (status, body) = server.post("/session/start", &serde_json::json!({}));
    assert_eq!((status, &body["details"]["reason"]), (503, &"migrating".into()), "{body}");
    // Killed between its backup and its migration.
    server.kill();
    house.maint(&["cleanup-audio"]).expect(4).tells("start the server once");
    assert_eq!(pragma(&house, "user_version"), 1);
    let server = house.listen().unwrap();
    blocker.execute_batch("COMMIT").unwrap();
    drop(blocker);
    server.wait_until_ready();
    assert_eq!(server.history(&owner_of_the_fixture()), ["said 1", "said 2", "said 3"]);
    server.stop();
    assert_eq!((pragma(&house, "user_version"), house.content()), (schema_version(), before));
}

#[test]
fn killed_upgrades_leave_the_old_one_or_the_new_one_and_the_next_start_finishes() {
    let house = large_house_of(1);
    let (before, old) = (house.content(), fs::read(house.database()).unwrap());
    let mut dice = Dice::new("killed_upgrades");
    let mut stayed_old = 0;
    for round in 0..times("companion, upgrading") {
        for part in ["-wal", "-shm"] {
            let _ = fs::remove_file(house.dir.join(format!("companion.db{part}")));
        }
        fs::write(house.database(), &old).unwrap();
        let server = house.listen().unwrap();
        if round % 2 == 1 {
            wait_for("the backup has its name", || !house.backups().is_empty());
        }
        some_time(&mut dice, if round % 2 == 0 { 300_000 } else { 20_000 });
        server.kill();
        house.assert_backups_verify();
        let schema = pragma(&house, "user_version");
        assert!(schema == 1 || schema == schema_version(), "{schema}");
        assert_eq!(house.content(), before);
        if schema == 1 {
            stayed_old += 1;
            house.maint(&["status"]).expect(0);
        }
        house.start().stop();
        assert_eq!((pragma(&house, "user_version"), house.content()), (schema_version(), before.clone()));
        house.assert_backups_verify();
        house.assert_no_temporary_files();
        for backup in house.backups() {
            fs::remove_file(backup.to_string_lossy().replace(".db.zst", ".json")).unwrap();
            fs::remove_file(backup).unwrap();
        }
    }
    assert!(stayed_old > 0, "no kill came before the end of the upgrade");
    for job in ["cleanup-audio", "cleanup-sessions", "backup-db"] {
        house.maint(&[job]).expect(0);
    }
    doctor_is_clean_or_mends(&house);
    house.assert_sound();
}

/// What is in the way of the second migration, after it has made its table, and of the third, after the second is done.
const OBSTACLES: [&str; 2] =
    ["ALTER TABLE checkpoints ADD COLUMN audio_id INTEGER", "CREATE TABLE imported_threads (filler INTEGER)"];

#[test]
fn an_upgrade_that_fails_half_way_leaves_the_old_one_usable() {
    for obstacle in OBSTACLES {
        let house = house_of(1);
        house.db().execute_batch(obstacle).unwrap();
        let before = house.content();
        // More than once: the reason must not depend on which part of the server notices first.
        for _ in 0..5 {
            let mut command = house.command(env!("CARGO_BIN_EXE_companion"));
            let output = command.env("PORT", "0").output().unwrap();
            let told = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(1), "{told}");
            assert!(told.contains("companion: the upgrade of the database failed"), "{told}");
        }
        assert_eq!(pragma(&house, "user_version"), 1, "{obstacle}");
        let made = "SELECT count(*) FROM sqlite_schema WHERE name = 'audio'";
        let made: i64 = house.db().query_row(made, [], |row| row.get(0)).unwrap();
        assert_eq!(made, 0, "all steps are undone: {obstacle}");
        assert_eq!(house.content(), before);
        house.maint(&["status"]).expect(0);
        house.maint(&["verify-backups"]).expect(0);
        let backup = house.backups().pop().unwrap();
        let copy = tempfile::NamedTempFile::new().unwrap();
        fs::write(copy.path(), zstd::decode_all(fs::read(backup).unwrap().as_slice()).unwrap()).unwrap();
        assert_eq!(content(copy.path()), before, "and there is a backup of it");
    }
}

#[test]
fn an_upgrade_without_room_for_its_backup_is_not_begun() {
    let house = house_of(1).with("MIN_FREE_DISK_BYTES", "9000000000000000");
    let before = house.content();
    let mut command = house.command(env!("CARGO_BIN_EXE_companion"));
    let output = command.env("PORT", "0").output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8(output.stderr).unwrap().contains("not upgraded"));
    assert_eq!((pragma(&house, "user_version"), house.content()), (1, before));
    assert!(house.backups().is_empty());
    house.assert_no_temporary_files();
}
