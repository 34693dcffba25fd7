//! Bad input: each a clear error, and nothing lost.

use std::os::unix::fs::PermissionsExt;

use crate::support::{House, names, seed};

#[test]
fn a_retention_that_is_none_is_exit_2() {
    let house = House::built();
    seed::sessions(&mut house.db(), 3, 1, seed::now() - 9 * seed::DAY);
    for bad in ["0", "-1", "abc", "1e9", "36501", "", "7.5"] {
        let flag = format!("--retention-days={bad}");
        house.maint(&["cleanup-sessions", &flag]).expect(2).tells("1 to 36500");
        house.maint(&["cleanup-sessions", "--retention-days", bad]).expect(2);
        if !bad.is_empty() {
            let house = House::at(house.dir.clone()).with("SESSION_RETENTION_DAYS", bad);
            house.maint(&["cleanup-sessions"]).expect(2).tells("SESSION_RETENTION_DAYS");
            assert!(house.try_start().err().unwrap().starts_with("Some(2)"));
        }
    }
    assert_eq!(
        house.db().query_row("SELECT count(*) FROM sessions", [], |row| row.get::<_, u32>(0)).unwrap(),
        3
    );
}

#[test]
fn typos_are_explained() {
    let house = House::built();
    house.maint(&["cleanup-sesions"]).expect(2).tells("cleanup-sessions");
    house.maint(&["cleanup-sessions", "--retention-day", "7"]).expect(2).tells("--retention-days");
    house.maint(&[]).expect(2).tells("Usage");
    house.maint(&["cleanup-audio", "--max-age-hours", "0"]).expect(2);
    house.maint(&["backup-db", "--stdout", "--keep", "3"]).expect(2);
}

#[test]
fn numbers_that_are_none_say_what_would_be_right() {
    let house = House::built();
    for (job, flag, least, most) in [
        ("cleanup-sessions", "--batch-size", 1, 500),
        ("cleanup-sessions", "--max-delete-percent", 0, 100),
        ("cleanup-audio", "--max-age-hours", 1, 876_000),
        ("cleanup-audio", "--max-total-bytes", 0, u64::MAX),
        ("cleanup-audio", "--max-delete-percent", 0, 100),
        ("backup-db", "--keep", 1, 10_000),
        ("backup-db", "--keep-daily", 0, 100_000),
        ("backup-db", "--keep-weekly", 0, 10_000),
        ("backup-db", "--keep-monthly", 0, 10_000),
    ] {
        for bad in ["-1", "", "+1", "1e9", "7.5", "99999999999999999999", "abc"] {
            let told = format!("must be a whole number from {least} to {most}");
            house.maint(&[job, flag, bad]).expect(2).tells(&told);
        }
    }
}

#[test]
fn all_wrong_settings_are_told_at_once() {
    let house = House::built()
        .with("SESSION_RETENTION_DAYS", "soon")
        .with("BACKUP_KEEP", "0")
        .with("LOG_FORMAT", "xml");
    let ran = house.maint(&["status"]).expect(2);
    for name in ["SESSION_RETENTION_DAYS", "BACKUP_KEEP", "LOG_FORMAT"] {
        assert!(ran.stderr.contains(name), "{name} is not in {}", ran.stderr);
    }
    let errors = ran.report["errors"].as_array().unwrap();
    assert_eq!((&ran.report["schema"], &ran.report["job"], errors.len()), (&1.into(), &"status".into(), 3));
    assert!(errors.iter().all(|error| error["item"] == "settings"), "{errors:?}");
    assert!(errors[1]["error"].as_str().unwrap().contains("SESSION_RETENTION_DAYS=\"soon\""), "{errors:?}");
    let ran = house.maint(&["backup-db", "--stdout"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "only a backup goes into its pipe");
}

#[test]
fn a_settings_file_is_read_as_it_was_meant_or_not_at_all() {
    let house = House::built();
    let file = house.dir.join("settings.env");
    let with = |bytes: &[u8]| {
        std::fs::write(&file, bytes).unwrap();
        house.maint(&["status", "--env-file", file.to_str().unwrap()])
    };
    with(b"\xef\xbb\xbfBACKUP_KEEP=3\r\nSESSION_RETENTION_DAYS=7\r\n").expect(0);
    with(b"ACCESS_TOKEN='long-enough-and$ecret-too'\n").expect(0);
    let ran = with(b"ACCESS_TOKEN=long-enough-and$ecret-too\n")
        .expect(2)
        .tells("ACCESS_TOKEN")
        .tells("single quotes");
    assert!(!ran.stderr.contains("long-enough") && !ran.stderr.contains("ecret-too"), "{}", ran.stderr);
    with(b"BACKUP_DIR=/b\xfcro\n").expect(2).tells("UTF-8");
    let dir = house.dir.to_str().unwrap();
    house.maint(&["status", "--env-file", dir]).expect(2).tells("directory");
}

#[test]
fn a_file_that_never_ends_is_not_read_to_its_end() {
    let house = House::built();
    for (arguments, told) in [
        (["status", "--env-file", "/dev/zero"].as_slice(), "larger than 1 MiB"),
        (&["restore-db", "latest", "--yes", "--identity", "/dev/zero"], "larger than 1 MiB"),
        (&["import-langgraph", "/dev/null", "--person-token-file", "/dev/zero"], "no person's token"),
    ] {
        // What would read on ends at a bound of its own, before the machine does.
        let limited = ["--as=2000000000", env!("CARGO_BIN_EXE_companion-maint")];
        let mut command = house.command("prlimit");
        let output = command.args(limited).args(arguments).arg("--json").output().unwrap();
        crate::support::Ran::from(output).expect(2).tells(told);
    }
}

#[test]
fn what_is_never_begun_is_one_document_too() {
    let house = House::built();
    let wrong: [(&[&str], &str, &str); 5] = [
        (&["restore-db", "latest"], "restore-db", "--yes"),
        (&["status", "--ping-url", "no address"], "status", "--ping-url"),
        (&["cleanup-sesions"], "", "cleanup-sesions"),
        (&["cleanup-audio", "--max-age-hours", "0"], "cleanup-audio", "--max-age-hours"),
        (&["backup-db", "--keep"], "backup-db", "--keep"),
    ];
    for (arguments, job, part) in wrong {
        let report = house.maint(arguments).expect(2).report;
        assert_eq!((&report["job"], &report["exit_code"]), (&job.into(), &2.into()), "{arguments:?}");
        assert_eq!(report["errors"][0]["item"], "command line");
        assert!(report["errors"][0]["error"].as_str().unwrap().contains(part), "{report}");
    }
    let help = house.maint(&["status", "--help"]);
    assert_eq!((help.code, help.report), (0, serde_json::Value::Null));
}

#[test]
fn a_missing_data_directory_or_database_is_exit_1_and_says_what_to_do() {
    let house = House::new();
    for job in ["cleanup-sessions", "cleanup-audio", "backup-db", "status"] {
        house.maint(&[job]).expect(1).tells("DATA_DIR");
        assert!(!house.dir.exists(), "{job} made the data directory");
    }
    let house = House::built();
    std::fs::remove_file(house.database()).unwrap();
    for job in ["cleanup-sessions", "cleanup-audio", "backup-db", "status"] {
        house.maint(&[job]).expect(1).tells("no database").tells("restore-db latest");
        assert!(!house.database().exists(), "{job} made a database");
        let text = text_of(&house, job);
        assert!(!text.contains(" deleted") && !text.contains("retention"), "it looked at nothing: {text}");
    }
}

fn text_of(house: &House, job: &str) -> String {
    String::from_utf8(house.maint_command(&[job]).output().unwrap().stdout).unwrap()
}

#[test]
fn who_has_lost_the_database_is_told_of_the_backups_and_the_disk() {
    let house = House::built();
    seed::sign_of_life(&mut house.db());
    house.maint(&["backup-db"]).expect(0);
    std::fs::remove_file(house.database()).unwrap();
    let report = house.maint(&["status"]).expect(1).tells("no database").report;
    assert_eq!(report["database_read"], false);
    assert_eq!(report["disk"]["backups"], 1);
    assert!(report["disk"]["free_bytes"].as_u64().unwrap() > 0);
    let text = text_of(&house, "status");
    let newest = house.backups()[0].file_name().unwrap().to_string_lossy().into_owned();
    assert!(text.contains(&format!("newest       {newest}")), "{text}");
    for unknown in ["holds", "next cleanup", "never ran"] {
        assert!(!text.contains(unknown), "{unknown} is not known: {text}");
    }
}

#[test]
fn a_database_path_that_is_a_directory() {
    let house = House::built();
    let directory = house.dir.join("audio");
    let house = House::at(house.dir.clone()).with("SHORT_TERM_MEMORY_DB_PATH", directory.to_str().unwrap());
    std::fs::create_dir_all(&directory).unwrap();
    house.maint(&["cleanup-sessions"]).expect(1).tells("is a directory");
    assert!(house.try_start().err().unwrap().contains("is a directory"));
}

#[test]
fn a_lost_database_with_its_log_still_there_is_not_started_over() {
    let house = House::built();
    let server = house.start();
    let talk = server.start_session();
    assert_eq!(server.say(&talk, "hello").0, 200);
    server.kill();
    std::fs::remove_file(house.database()).unwrap();
    let told = house.try_start().err().unwrap();
    assert!(told.contains("write-ahead log is still there"), "{told}");
}

#[test]
fn a_backup_directory_that_cannot_be_written() {
    let house = House::built();
    seed::sign_of_life(&mut house.db());
    let blocked = house.dir.join("file");
    std::fs::write(&blocked, "in the way").unwrap();
    let into = blocked.join("backups");
    house.maint(&["backup-db", "--output-dir", into.to_str().unwrap()]).expect(1).tells("file");
    if !rustix::process::geteuid().is_root() {
        std::fs::set_permissions(house.dir.join("backups"), std::fs::Permissions::from_mode(0o500)).unwrap();
        house.maint(&["backup-db"]).expect(1).tells("ermission denied");
    }
    let read_only = crate::support::Mounted::read_only(&house.dir.join("backups"));
    house.maint(&["backup-db"]).expect(1).tells("ead-only file system");
    drop(read_only);
    house.maint(&["backup-db"]).expect(0);
}

#[test]
fn an_unwritable_data_directory_is_one_clear_line() {
    for (place, why) in [("/proc/nowhere", "/proc/nowhere"), ("/dev/null", "/dev/null is not a directory")] {
        let told = House::at(place.into()).try_start().err().unwrap();
        assert!(told.starts_with("Some(1)") && told.contains(why), "{told}");
        assert_eq!(told.trim().lines().count(), 1, "{told}");
    }
}

#[test]
fn a_database_is_not_looked_for_under_the_name_of_another_file_of_ours() {
    let house = House::built();
    house.maint(&["backup-db"]).expect(0);
    let mut ours = house.files();
    ours.retain(|path| {
        !names(&house.dir, "").iter().any(|of_db| path == of_db && of_db.starts_with(house.database()))
    });
    ours.retain(|path| !path.starts_with(house.dir.join("backups")));
    ours.extend(
        ["reserve", "locks/server.lock", "backups/.companion-installation"].map(|name| house.dir.join(name)),
    );
    ours.retain(|path| !path.to_string_lossy().contains("companion.db"));
    assert!(ours.len() > 5, "{ours:?}");
    for path in ours {
        let before = std::fs::read(&path).unwrap();
        let named = House::at(house.dir.clone()).with("SHORT_TERM_MEMORY_DB_PATH", path.to_str().unwrap());
        named.maint(&["status"]).expect(2).tells("SHORT_TERM_MEMORY_DB_PATH").tells("another file of ours");
        assert!(std::fs::read(&path).unwrap() == before, "{}", path.display());
    }
    let named = House::at(house.dir.clone())
        .with("SHORT_TERM_MEMORY_DB_PATH", house.dir.join("reserve").to_str().unwrap());
    assert!(named.try_start().err().unwrap().starts_with("Some(2)"));
}

#[test]
fn what_has_the_name_of_the_reserve_and_is_none_stays() {
    let house = House::built();
    seed::sessions(&mut house.db(), 3, 1, seed::now() - 9 * seed::DAY);
    let reserve = house.dir.join("reserve");
    std::fs::write(&reserve, "SQLite format 3\0 and all that was said").unwrap();
    let kept = std::fs::read(&reserve).unwrap();
    let mut server = house.start();
    assert_eq!(server.terminate(), 0);
    assert!(server.log().contains("another file has the name of the reserve"), "{}", server.log());
    house.maint(&["cleanup-sessions", "--force"]).expect(0);
    let left = house.maint(&["doctor", "--repair"]).expect(3).report;
    assert_eq!(left["findings"][0]["check"], "reserve", "{left}");
    assert_eq!(std::fs::read(&reserve).unwrap(), kept);
}

#[test]
fn a_link_to_a_disk_that_is_not_mounted_is_told_as_such() {
    for (link, data) in
        [("data", "data"), ("disk", "disk/data"), ("data/audio", "data"), ("data/locks", "data")]
    {
        let place = tempfile::tempdir().unwrap();
        let (link, target) = (place.path().join(link), place.path().join("not-mounted"));
        let house = House::at(place.path().join(data));
        std::fs::create_dir_all(link.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink(&target, &link).unwrap();
        let why = format!("{}: it is a link to {}, which is not there", link.display(), target.display());
        let told = house.try_start().err().unwrap();
        assert!(told.starts_with("Some(1)") && told.contains(&why), "{told}");
        assert_eq!(told.trim().lines().count(), 1, "{told}");
        if !house.dir.exists() {
            house.maint(&["status"]).expect(1).tells(&why);
        }
        assert!(!target.exists(), "{why}, and yet it was made");
    }
}
