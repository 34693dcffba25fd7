//! `doctor`: everything it can find is made for real, mended, and gone at the second look.

use std::collections::BTreeMap;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::kills::times;
use crate::support::dice::Kills;
use crate::support::seed::{self, DAY, HOUR};
use crate::support::{House, Mounted, reachable_maint};

/// What a report lists under `list`, as `check: item`.
fn listed(report: &Value, list: &str) -> Vec<String> {
    let name = |finding: &Value| {
        for part in ["check", "item", "found", "repair"] {
            assert!(finding[part].as_str().is_some_and(|text| !text.is_empty()), "{finding}");
        }
        format!("{}: {}", finding["check"].as_str().unwrap(), finding["item"].as_str().unwrap())
    };
    let names: Vec<_> = report[list].as_array().unwrap().iter().map(name).collect();
    assert_eq!(report[if list == "findings" { "findings_count" } else { "repaired_count" }], names.len());
    names
}

fn found(house: &House) -> Vec<String> {
    let ran = house.maint(&["doctor"]);
    let found = listed(&ran.report, "findings");
    ran.expect(if found.is_empty() { 0 } else { 3 });
    found
}

/// Mends everything and is clean afterwards; returns what was mended.
#[track_caller]
fn mended(house: &House) -> Vec<String> {
    let ran = house.maint(&["doctor", "--repair"]).expect(0);
    assert_eq!(found(house), [""; 0]);
    listed(&ran.report, "repaired")
}

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

fn lived_in() -> House {
    let house = House::built();
    seed::sign_of_life(&mut house.db());
    house
}

fn audio(house: &House) -> PathBuf {
    house.dir.join("audio")
}

fn short(id: uuid::Uuid) -> String {
    format!("audio {}…", &id.to_string()[..8])
}

/// Every file with its mode and content, the log of the database left out.
fn snapshot(house: &House) -> BTreeMap<PathBuf, (u32, Vec<u8>)> {
    let mut files = house.files();
    files.retain(|path| !path.to_string_lossy().ends_with("-shm"));
    files.into_iter().map(|path| (path.clone(), (mode(&path), std::fs::read(&path).unwrap()))).collect()
}

/// Something for every check that mends; returns what is to be found.
fn damage(house: &House) -> Vec<String> {
    let mut db = house.db();
    db.busy_timeout(Duration::from_secs(10)).unwrap();
    let session = seed::sessions(&mut db, 2, 3, seed::now() - HOUR)[0];
    db.execute("UPDATE totals SET sessions = sessions + 5, checkpoints = checkpoints - 1", []).unwrap();
    db.execute("UPDATE sessions SET checkpoints = 99 WHERE public_id = ?1", [session.as_bytes()]).unwrap();
    let memories = [(); 3].map(|()| seed::memory(&db, session, "I like tea"));
    db.execute("UPDATE totals SET memories = memories + 7", []).unwrap();
    // Not found by what it says, not found at all, and found though it is gone.
    let row = "(SELECT id FROM memories WHERE public_id = ?1)";
    let spoil = format!("UPDATE memory_words SET words = x'01020304' WHERE memory_id = {row}");
    db.execute(&spoil, [memories[0].as_bytes()]).unwrap();
    db.execute(&format!("DELETE FROM memory_words WHERE memory_id = {row}"), [memories[1].as_bytes()])
        .unwrap();
    db.execute("INSERT INTO memory_words VALUES (1, 0, 5, 999, x'01020304')", []).unwrap();
    db.execute(
        "UPDATE persons SET memories = 9 WHERE id = (SELECT person_id FROM sessions WHERE public_id = ?1)",
        [session.as_bytes()],
    )
    .unwrap();
    let rowless = uuid::Uuid::new_v4();
    seed::file(&audio(house).join(format!("{rowless}.mp3")), 10, 2 * HOUR);
    let fileless = seed::audio(&db, session, &audio(house), 10, 2 * HOUR);
    std::fs::remove_file(audio(house).join(format!("{fileless}.mp3"))).unwrap();
    db.execute(
        "INSERT INTO maintenance_runs (job, started_at, outcome) VALUES ('cleanup-audio', 1000, 'running')",
        [],
    )
    .unwrap();
    let backups = house.dir.join("backups");
    let copies = house.dir.join(".companion-tmp-backup");
    std::fs::create_dir_all(&copies).unwrap();
    for dir in [&house.dir, &audio(house), &backups, &copies] {
        seed::file(&dir.join(".companion-tmp-1"), 10, 2 * HOUR);
    }
    seed::manifest(&backups.join("companion-20200101T000000Z-2.json"), 2 * HOUR);
    std::fs::remove_file(house.dir.join("reserve")).unwrap();
    set_mode(&house.database(), 0o644);
    set_mode(&house.dir, 0o750);
    let mut expected = vec![
        "leftovers: .companion-tmp-1".to_owned(),
        "leftovers: .companion-tmp-backup/.companion-tmp-1".to_owned(),
        "leftovers: audio/.companion-tmp-1".to_owned(),
        "leftovers: backups/.companion-tmp-1".to_owned(),
        "permissions: data directory".to_owned(),
        "permissions: companion.db".to_owned(),
        "reserve: reserve".to_owned(),
        "manifests: companion-20200101T000000Z-2.json".to_owned(),
        "totals: totals".to_owned(),
        format!("session-counts: session {}…", &session.to_string()[..8]),
        format!("memories: memory {}…", &memories[0].to_string()[..8]),
        format!("memories: memory {}…", &memories[1].to_string()[..8]),
        "memories: index of memories".to_owned(),
        "memories: counts of memories".to_owned(),
        format!("audio-rows: {}", short(fileless)),
        format!("audio-orphans: {}", short(rowless)),
        "runs: cleanup-audio of 1970-01-01T00:00:01.000Z".to_owned(),
    ];
    expected.sort();
    expected
}

#[test]
fn everything_it_finds_is_mended_while_people_talk_and_the_second_look_is_clean() {
    let house = lived_in();
    let server = house.start();
    assert_eq!(found(&house), [""; 0]);
    let expected = damage(&house);
    let mut all = found(&house);
    all.sort();
    assert_eq!(all, expected);

    let before = snapshot(&house);
    let tried = house.maint(&["doctor", "--repair", "--dry-run"]).expect(3).report;
    assert_eq!((&tried["dry_run"], &tried["repaired_count"]), (&true.into(), &0.into()));
    assert_eq!(tried["server_running"], true);
    assert_eq!(tried["findings_count"], expected.len());
    assert_eq!(snapshot(&house), before, "a dry run changes nothing");

    let talk = server.start_session();
    assert_eq!(server.say(&talk, "while it mends").0, 200);
    let mut all = mended(&house);
    all.sort();
    assert_eq!(all, expected);
    assert_eq!(server.say(&talk, "and afterwards").0, 200);
    assert_eq!(server.history(&talk), ["while it mends", "and afterwards"]);
    house.assert_sound();
    house.assert_no_temporary_files();
    assert_eq!((mode(&house.database()), mode(&house.dir)), (0o600, 0o700));
    assert_eq!(std::fs::metadata(house.dir.join("reserve")).unwrap().len(), 32 * 1024 * 1024);
    let outcomes = "SELECT group_concat(job || ' ' || outcome, ', ') FROM maintenance_runs ORDER BY id";
    let outcomes: String = house.db().query_row(outcomes, [], |row| row.get(0)).unwrap();
    assert_eq!(
        outcomes, "cleanup-audio killed, doctor succeeded",
        "only what may change something is recorded"
    );
    server.stop();
    assert_eq!(house.maint(&["doctor"]).expect(0).report["server_running"], false);
}

#[test]
fn the_pages_files_are_counted_kept_private_and_what_an_interrupted_start_left_goes() {
    let house = lived_in();
    let place = house.dir.join("assets");
    let kept = house.files().into_iter().find(|path| path.starts_with(&place)).unwrap();
    assert!(house.maint(&["status"]).expect(0).report["disk"]["asset_bytes"].as_u64().unwrap() > 4096);
    assert_eq!(found(&house), [""; 0]);
    set_mode(&kept, 0o644);
    let staged = |name: &str, age: i64| {
        let path = place.join(name);
        std::fs::create_dir(&path).unwrap();
        seed::file(&path.join("half.js"), 10, age);
        let at = std::time::UNIX_EPOCH + Duration::from_millis(u64::try_from(seed::now() - age).unwrap());
        std::fs::File::open(&path).unwrap().set_modified(at).unwrap();
        path
    };
    let (old, young) = (staged(".companion-tmp-1", 2 * HOUR), staged(".companion-tmp-2", HOUR / 2));
    let mut mended = mended(&house);
    mended.sort();
    let name = kept.strip_prefix(&house.dir).unwrap().display();
    assert_eq!(mended, ["leftovers: assets/.companion-tmp-1".to_owned(), format!("permissions: {name}")]);
    assert!(!old.exists() && young.exists());
    assert_eq!(mode(&kept), 0o600);
    house.start().stop();
    assert!(!young.exists(), "the next start clears what is left");
}

#[test]
fn what_it_would_mend_is_told_with_the_command_that_mends_it() {
    let house = lived_in();
    std::fs::remove_file(house.dir.join("reserve")).unwrap();
    std::fs::create_dir_all(house.dir.join("set-aside")).unwrap();
    std::fs::write(house.dir.join("set-aside/20200101T000000Z"), "a stranger").unwrap();
    let told = String::from_utf8(house.maint_command(&["doctor"]).output().unwrap().stdout).unwrap();
    let about = |check: &str| told.lines().find(|line| line.contains(check)).unwrap().to_owned();
    assert!(about("- to do: reserve: ").contains(" -> doctor --repair: "), "{told}");
    assert!(!about("- to do: set-aside: ").contains("doctor --repair"), "{told}");
}

#[test]
fn what_is_young_or_foreign_or_in_use_is_left_alone() {
    let house = lived_in();
    let mut db = house.db();
    let sessions = seed::sessions(&mut db, 2, 1, seed::now() - HOUR);
    seed::audio(&db, sessions[0], &audio(&house), 10, 20 * HOUR);
    let backups = house.dir.join("backups");
    seed::file(&audio(&house).join(format!("{}.mp3", uuid::Uuid::new_v4())), 10, HOUR / 2);
    seed::file(&audio(&house).join("readme.txt"), 10, 2 * HOUR);
    // Neither lower case nor random, of no format of ours, not done yet: the names of others.
    let id = uuid::Uuid::new_v4();
    let others = [
        "6f1c8a52-31d0-1c1e-9d1e-0123456789ab.mp3".to_owned(),
        format!("{id}.aac"),
        format!("{id}.mp3.part"),
    ];
    for name in [format!("{id:X}.mp3"), format!("{}.mp3", id.simple())].into_iter().chain(others) {
        seed::file(&audio(&house).join(name), 10, 2 * HOUR);
    }
    std::fs::create_dir(audio(&house).join(format!("{id}.mp3"))).unwrap();
    seed::file(&house.dir.join(".companion-tmp-2"), 10, HOUR / 2);
    seed::manifest(&backups.join("companion-20200101T000000Z.json"), HOUR / 2);
    seed::manifest(&backups.join("notes.json"), 9 * DAY);
    // Another program's, that happens to be called so.
    seed::file(&backups.join("companion-20200103T000000Z.json"), 10, 9 * DAY);
    std::fs::create_dir(house.dir.join("lost+found")).unwrap();
    let elsewhere = tempfile::NamedTempFile::new().unwrap();
    set_mode(elsewhere.path(), 0o644);
    symlink(elsewhere.path(), audio(&house).join(format!("{}.mp3", uuid::Uuid::new_v4()))).unwrap();
    symlink(elsewhere.path(), house.dir.join("erasures")).unwrap();
    symlink(elsewhere.path(), house.dir.join(".companion-tmp-3")).unwrap();
    // Encrypted backups end otherwise, and have the same manifests.
    seed::file(&backups.join("companion-20200102T000000Z.json"), 10, 2 * HOUR);
    seed::file(&backups.join("companion-20200102T000000Z.db.zst.age"), 10, 2 * HOUR);
    // A run under way is not one that was killed, and may be what did all of this.
    db.execute_batch(
        "INSERT INTO maintenance_runs (job, started_at, outcome) VALUES ('backup-db', 1, 'running')",
    )
    .unwrap();
    seed::file(&backups.join(".companion-tmp-4"), 10, 2 * HOUR);
    let locks: Vec<_> = ["backup-db", "cleanup-audio"]
        .map(|job| {
            let path = house.dir.join("locks").join(format!("{job}.lock"));
            let lock = std::fs::File::options().write(true).create(true).truncate(false).open(&path).unwrap();
            set_mode(&path, 0o600);
            lock.try_lock().unwrap();
            lock
        })
        .into();
    let lost = seed::audio(&db, sessions[1], &audio(&house), 10, 3 * HOUR);
    std::fs::remove_file(audio(&house).join(format!("{lost}.mp3"))).unwrap();
    std::fs::remove_file(house.dir.join("reserve")).unwrap();
    let manifest = "backups: companion-20200102T000000Z.db.zst.age";
    assert_eq!(found(&house), [manifest], "the manifest of that one is no manifest");
    let before = snapshot(&house).len();
    let ran = house.maint(&["doctor", "--repair"]).expect(3);
    assert_eq!(listed(&ran.report, "repaired"), [""; 0]);
    assert_eq!(snapshot(&house).len(), before);
    assert_eq!(mode(elsewhere.path()), 0o644, "no link is followed");
    locks.iter().for_each(|lock| lock.unlock().unwrap());
    assert_eq!(found(&house).len(), 5, "now nobody is at it");
}

#[test]
fn what_only_people_can_mend_is_told_and_stays() {
    let house = House::built().with("MIN_FREE_DISK_BYTES", "9000000000000000");
    let mut db = house.db();
    seed::sessions(&mut db, 1, 1, seed::now() - 3 * DAY);
    seed::sign_of_life(&mut db);
    seed::file(&house.dir.join("backups/companion-20200101T000000Z.db.zst"), 10, 2 * HOUR);
    let expected = [
        "free-space: database",
        "backups: companion-20200101T000000Z.db.zst",
        "overdue: cleanup-sessions",
        "overdue: cleanup-audio",
        "overdue: backup-db",
    ];
    assert_eq!(found(&house), expected);
    let ran = house.maint(&["doctor", "--repair"]).expect(3);
    assert_eq!(
        (listed(&ran.report, "findings"), listed(&ran.report, "repaired").len()),
        (expected.map(str::to_owned).to_vec(), 0)
    );
    let text = house.maint_command(&["doctor"]).output().unwrap();
    assert_eq!(text.status.code(), Some(3));
    let text = String::from_utf8(text.stdout).unwrap();
    assert!(text.starts_with("doctor: NOT ALL IS WELL"), "{text}");
    assert!(text.contains("run companion-maint backup-db"), "{text}");
}

#[test]
fn many_findings_of_a_kind_are_counted_and_all_mended() {
    let house = lived_in();
    seed::sessions(&mut house.db(), 1200, 1, seed::now() - HOUR);
    house.db().execute_batch("UPDATE sessions SET checkpoints = 7").unwrap();
    let report = house.maint(&["doctor"]).expect(3).report;
    assert_eq!(report["findings_count"], 1201);
    let findings = report["findings"].as_array().unwrap();
    assert_eq!((findings.len(), &findings[100]["item"]), (101, &"1101 more".into()));
    assert_eq!(house.maint(&["doctor", "--repair"]).expect(0).report["repaired_count"], 1201);
    assert_eq!(found(&house), [""; 0]);
}

#[test]
fn missing_totals_are_counted_again() {
    let house = lived_in();
    for spoil in ["DELETE FROM totals", "UPDATE totals SET sessions = -3"] {
        house.db().execute_batch(spoil).unwrap();
        assert_eq!(mended(&house), ["totals: totals"], "{spoil}");
        house.assert_sound();
    }
}

#[test]
fn a_damaged_database_is_never_touched_but_the_rest_is_mended() {
    let house = lived_in();
    let mut db = house.db();
    seed::sessions(&mut db, 50, 20, seed::now() - HOUR);
    db.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    drop(db);
    let whole = std::fs::read(house.database()).unwrap();
    let middle = whole.len() / 2;
    let spoilt = |from: usize| {
        let mut bytes = whole.clone();
        bytes[from..from + 4096].fill(0x5A);
        bytes
    };
    for bytes in [
        spoilt(middle),
        spoilt(0),
        spoilt(4096),
        whole[..middle].to_vec(),
        Vec::new(),
        b"no database".to_vec(),
    ] {
        std::fs::write(house.database(), &bytes).unwrap();
        set_mode(&house.dir, 0o755);
        // Every file in the audio directory looks like an orphan when the rows cannot be read.
        let precious = audio(&house).join(format!("{}.mp3", uuid::Uuid::new_v4()));
        seed::file(&precious, 10, 2 * HOUR);
        let place = tempfile::TempDir::new().unwrap();
        let metrics = place.path().join("x.prom");
        let arguments = ["doctor", "--repair", "--metrics-file", metrics.to_str().unwrap()];
        let ran = house.maint(&arguments).expect(3).tells("restore-db latest");
        assert_eq!(listed(&ran.report, "repaired"), ["permissions: data directory"]);
        let left = listed(&ran.report, "findings");
        assert!(!left.is_empty() && left.iter().all(|name| name == "integrity: database"), "{left:?}");
        assert!(precious.exists());
        assert_eq!(std::fs::read(house.database()).unwrap(), bytes, "not a byte was changed");
        std::fs::remove_file(precious).unwrap();
    }
    std::fs::write(house.database(), whole).unwrap();
    assert_eq!(found(&house), [""; 0]);
}

#[test]
fn rows_that_refer_to_nothing_are_a_damage_too() {
    let house = lived_in();
    house.db().execute_batch("PRAGMA foreign_keys = OFF; DELETE FROM persons; DELETE FROM totals").unwrap();
    let ran = house.maint(&["doctor", "--repair"]).expect(3).tells("restore-db latest");
    assert_eq!(listed(&ran.report, "findings"), ["integrity: table sessions"]);
}

#[test]
fn other_troubles_have_the_codes_of_every_command() {
    let house = House::new();
    house.maint(&["doctor"]).expect(1).tells("DATA_DIR");
    let house = lived_in();
    let lock = std::fs::File::create(house.dir.join("locks/doctor.lock")).unwrap();
    lock.try_lock().unwrap();
    house.maint(&["doctor"]).expect(75);
    lock.unlock().unwrap();
    for (version, part) in [(99, "schema 99"), (1, "start the server once")] {
        house.db().execute_batch(&format!("PRAGMA user_version = {version}")).unwrap();
        house.maint(&["doctor", "--repair"]).expect(4).tells(part);
    }
    std::fs::remove_file(house.database()).unwrap();
    house.maint(&["doctor", "--repair"]).expect(1).tells("no database");
    assert!(!house.database().exists());
}

#[test]
fn a_log_that_somebody_keeps_from_shrinking() {
    let house = lived_in();
    let (reader, writer) = (house.db(), house.db());
    reader.execute_batch("BEGIN; SELECT * FROM sessions").unwrap();
    writer.execute_batch("PRAGMA auto_vacuum; CREATE TABLE filler (a BLOB)").unwrap();
    for _ in 0..70 {
        writer.execute("INSERT INTO filler VALUES (randomblob(1048576))", []).unwrap();
    }
    assert_eq!(found(&house), ["log-size: write-ahead log"]);
    let ran = house.maint(&["doctor", "--repair"]).expect(3);
    assert!(ran.error().contains("in use"), "{}", ran.error());
    assert_eq!(listed(&ran.report, "findings"), ["log-size: write-ahead log"]);
    reader.execute_batch("COMMIT").unwrap();
    assert_eq!(mended(&house), ["log-size: write-ahead log"]);
}

#[test]
fn wrong_owners_are_put_right_by_root_and_told_to_others() {
    if !rustix::process::geteuid().is_root() {
        // Only root can make files of two users.
        return;
    }
    let place = tempfile::TempDir::new().unwrap();
    set_mode(place.path(), 0o755);
    let house = House::at(place.path().join("data"));
    house.start().stop();
    seed::sign_of_life(&mut house.db());
    let erasures = house.dir.join("erasures");
    std::fs::write(&erasures, "").unwrap();
    set_mode(&erasures, 0o600);
    let chown = |who: &str, path: &Path| {
        assert!(Command::new("chown").args(["-R", who]).arg(path).status().unwrap().success());
    };
    chown("12345:12345", &house.dir);
    chown("0:0", &erasures);
    assert_eq!(found(&house), ["permissions: erasures"]);
    let mut as_owner = Command::new("setpriv");
    as_owner
        .args(["--reuid", "12345", "--regid", "12345", "--clear-groups"])
        .arg(reachable_maint(place.path()));
    as_owner
        .args(["doctor", "--repair", "--json"])
        .env_clear()
        .env("DATA_DIR", &house.dir)
        .env("MIN_FREE_DISK_BYTES", "0");
    as_owner.current_dir(place.path());
    let ran = crate::support::Ran::from(as_owner.output().unwrap()).expect(3).tells("only root can");
    assert_eq!(listed(&ran.report, "findings"), ["permissions: erasures"]);
    assert_eq!(mended(&house), ["permissions: erasures"]);
    let owner = |path: &Path| std::fs::symlink_metadata(path).unwrap().uid();
    assert!(house.files().iter().all(|path| owner(path) == 12345));
    // A second name of somebody else's file is not given away.
    let theirs = place.path().join("theirs");
    std::fs::write(&theirs, "").unwrap();
    set_mode(&theirs, 0o600);
    std::fs::remove_file(&erasures).unwrap();
    std::fs::hard_link(&theirs, &erasures).unwrap();
    house.maint(&["doctor", "--repair"]).expect(3);
    assert_eq!(owner(&theirs), 0);
}

#[test]
fn a_backup_directory_outside_is_not_closed_to_others_but_its_backups_are() {
    let outside = tempfile::TempDir::new().unwrap();
    set_mode(outside.path(), 0o755);
    let house = lived_in().with("BACKUP_DIR", outside.path().to_str().unwrap());
    house.maint(&["backup-db"]).expect(0);
    let backup = crate::support::names(outside.path(), ".db.zst").remove(0);
    set_mode(&backup, 0o640);
    assert_eq!(mended(&house), [format!("permissions: {}", backup.display())]);
    assert_eq!((mode(&backup), mode(outside.path())), (0o600, 0o755));
}

#[test]
fn an_interrupted_restore_is_undone_and_what_was_unpacked_to_look_at_goes() {
    let house = lived_in();
    let aside = house.dir.join("set-aside/20261124T020000Z");
    std::fs::create_dir_all(&aside).unwrap();
    for dir in [&house.dir.join("set-aside"), &aside] {
        set_mode(dir, 0o700);
    }
    std::fs::rename(house.database(), aside.join("companion.db")).unwrap();
    let pending = house.dir.join("restore.pending");
    let told = serde_json::json!({"set_aside": "20261124T020000Z", "files": ["companion.db"]});
    std::fs::write(&pending, told.to_string()).unwrap();
    // Beside the backups is where earlier releases unpacked.
    for bench in [".companion-tmp-verify", "backups/.companion-tmp-verify"] {
        let bench = house.dir.join(bench);
        std::fs::create_dir(&bench).unwrap();
        seed::file(&bench.join("unpacked"), 10, 0);
    }
    assert_eq!(found(&house), ["restore: restore.pending"]);
    house.maint(&["doctor", "--repair", "--dry-run"]).expect(3);
    assert!(pending.exists() && !house.database().exists());
    let gone = ["leftovers: .companion-tmp-verify", "leftovers: backups/.companion-tmp-verify"];
    assert_eq!(mended(&house), [&["restore: restore.pending"][..], &gone].concat());
    house.assert_sound();
    // What a restore that went well has set aside stays, and stays private.
    house.maint(&["backup-db"]).expect(0);
    house.maint(&["restore-db", "latest", "--yes"]).expect(0);
    assert_eq!(found(&house), [""; 0]);
    let kept = crate::support::names(&house.dir.join("set-aside"), "Z").remove(0).join("companion.db");
    set_mode(&kept, 0o644);
    assert_eq!(mended(&house).len(), 1);
    assert_eq!(mode(&kept), 0o600);
}

#[test]
fn a_damaged_note_of_a_restore_is_told_with_what_to_do() {
    let house = lived_in();
    let pending = house.dir.join("restore.pending");
    std::fs::write(&pending, r#"{"set_aside": "2026"#).unwrap();
    assert_eq!(found(&house), ["restore: restore.pending"]);
    let before = snapshot(&house);
    let ran = house.maint(&["doctor", "--repair"]).expect(3);
    let finding = &ran.report["findings"][0];
    assert!(finding["found"].as_str().unwrap().starts_with("is damaged"), "{finding}");
    let repair = finding["repair"].as_str().unwrap();
    assert!(repair.contains("restore-db` again") && repair.contains("set-aside"), "{repair}");
    assert_eq!(snapshot(&house), before);
}

#[test]
fn what_cannot_be_mended_is_told_without_the_name_of_an_audio_reply() {
    let house = lived_in();
    let ids = [uuid::Uuid::new_v4(), uuid::Uuid::new_v4()];
    let files = ids.map(|id| audio(&house).join(format!("{id}.mp3")));
    files.iter().for_each(|path| seed::file(path, 10, 2 * HOUR));
    let pinned = Mounted::pinned(&files[0]);
    let ran = house.maint(&["doctor", "--repair"]).expect(3);
    assert_eq!(listed(&ran.report, "repaired"), [format!("audio-orphans: {}", short(ids[1]))]);
    assert_eq!(listed(&ran.report, "findings"), [format!("audio-orphans: {}", short(ids[0]))]);
    assert_eq!(ran.report["errors"][0]["item"], format!("mending {}", short(ids[0])));
    assert!(!ran.stdout.contains(&ids[0].to_string()) && !ran.stderr.contains(&ids[0].to_string()));
    drop(pinned);
    assert_eq!(mended(&house).len(), 1);
}

#[test]
fn on_a_full_disk_it_tells_so_and_makes_the_checks_it_can() {
    let mounted = Mounted::small_disk("48m");
    let house = House::at(mounted.path().join("data")).with("MIN_FREE_DISK_BYTES", "1000000");
    house.start().stop();
    set_mode(&house.dir, 0o755);
    let filler = mounted.path().join("filler");
    let mut file = std::fs::File::create(&filler).unwrap();
    for size in [1 << 20, 4096, 1] {
        while file.write_all(&vec![1; size]).is_ok() {}
    }
    let ran = house.maint(&["doctor", "--repair"]).expect(3);
    assert!(ran.error().contains("no space left"), "{}", ran.error());
    assert_eq!(listed(&ran.report, "findings"), ["free-space: database"]);
    assert_eq!(listed(&ran.report, "repaired"), ["permissions: data directory"]);
    crate::full_disk::give_back(&filler);
    assert_eq!(found(&house), [""; 0]);
}

#[test]
fn killed_repairs_can_be_run_again() {
    let house = lived_in();
    let server = house.start();
    let talk = server.start_session();
    let repair = || house.maint_command(&["doctor", "--repair"]);
    let mut kills = Kills::of(("doctor", times("doctor")), || drop(damage(&house)), repair);
    while let Some(round) = kills.next() {
        damage(&house);
        kills.kill(repair().spawn().unwrap());
        house.maint(&["doctor", "--repair"]).expect(0);
        assert_eq!(found(&house), [""; 0], "round {round}");
        house.assert_sound();
        if round % 10 == 0 {
            assert_eq!(server.say(&talk, "still there?").0, 200);
        }
    }
    server.stop();
    house.assert_no_temporary_files();
    kills.assert_met();
}

#[test]
fn a_file_among_the_databases_set_aside_is_told_and_in_nobodys_way() {
    let house = lived_in();
    house.maint(&["backup-db"]).expect(0);
    house.maint(&["restore-db", "latest", "--yes"]).expect(0);
    let stranger = house.dir.join("set-aside/20200101T000000Z");
    std::fs::write(&stranger, "a note").unwrap();
    for job in ["status", "backup-db", "cleanup-sessions", "cleanup-audio", "verify-backups"] {
        house.maint(&[job]).expect(0);
    }
    assert_eq!(found(&house), ["set-aside: set-aside/20200101T000000Z"]);
    assert_eq!(std::fs::read_to_string(&stranger).unwrap(), "a note");
    std::fs::remove_file(&stranger).unwrap();
    assert_eq!(found(&house), [""; 0]);
}
