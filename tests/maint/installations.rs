//! Two installations that name the same directory of backups: neither harms the other's, and a move takes them along.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::erasures::forget;
use crate::support::seed::{self, HOUR};
use crate::support::{House, names};

const MARKER: &str = ".companion-installation";

/// A directory that several installations name.
struct Shared(tempfile::TempDir);

impl Shared {
    fn new() -> Self {
        Self(tempfile::TempDir::new().unwrap())
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn names(&self, house: House) -> House {
        house.with("BACKUP_DIR", self.path().to_str().unwrap())
    }

    /// An installation with so many conversations.
    fn lived_in(&self, sessions: u32) -> House {
        let house = self.names(House::new());
        house.start().stop();
        seed::sessions(&mut house.db(), sessions, 1, seed::now() - HOUR);
        seed::sign_of_life(&mut house.db());
        house
    }

    fn newest(&self) -> PathBuf {
        names(self.path(), ".db.zst").pop().unwrap()
    }

    /// Every file with what is in it.
    fn everything(&self) -> Vec<(PathBuf, Vec<u8>)> {
        names(self.path(), "").into_iter().map(|path| (path.clone(), fs::read(path).unwrap())).collect()
    }
}

fn id(house: &House) -> String {
    fs::read_to_string(house.dir.join("installation")).unwrap()
}

/// The backup that it makes now.
fn made_by(house: &House) -> PathBuf {
    PathBuf::from(house.maint(&["backup-db"]).expect(0).report["path"].as_str().unwrap())
}

fn sessions(house: &House) -> u64 {
    house.db().query_row("SELECT count(*) FROM sessions", [], |row| row.get(0)).unwrap()
}

#[test]
fn the_first_backup_makes_the_id_and_claims_the_directory() {
    let shared = Shared::new();
    let house = shared.lived_in(3);
    house.maint(&["backup-db", "--dry-run"]).expect(0);
    house.start().stop();
    assert!(!house.dir.join("installation").exists() && !shared.path().join(MARKER).exists());
    house.maint(&["backup-db"]).expect(0);
    let made = id(&house);
    let meta = fs::metadata(house.dir.join("installation")).unwrap();
    assert_eq!(meta.permissions().mode() & 0o777, 0o600);
    assert_eq!(meta.uid(), fs::metadata(&house.dir).unwrap().uid());
    assert_eq!(fs::read_to_string(shared.path().join(MARKER)).unwrap(), made);
    // As an earlier release leaves it: backups, and nobody's.
    fs::remove_file(shared.path().join(MARKER)).unwrap();
    house.maint(&["backup-db"]).expect(0);
    assert_eq!(fs::read_to_string(shared.path().join(MARKER)).unwrap(), made);
    assert_eq!(id(&house), made, "it stays");
    house.maint(&["doctor"]).expect(0);
    house.assert_no_temporary_files();
}

#[test]
fn a_backup_into_the_directory_of_another_installation_touches_nothing() {
    let shared = Shared::new();
    let (first, second) = (shared.lived_in(3), shared.lived_in(30));
    first.maint(&["backup-db"]).expect(0);
    let backup = shared.newest();
    seed::file(&shared.path().join(".companion-tmp-first"), 10, 2 * HOUR);
    seed::manifest(&shared.path().join("companion-20200101T000000Z.json"), 2 * HOUR);
    let before = shared.everything();
    for arguments in [&["backup-db", "--keep", "1"][..], &["backup-db", "--dry-run"]] {
        second.maint(arguments).expect(4).tells("another installation").tells("BACKUP_DIR").tells("--force");
    }
    let own = House::at(second.dir.clone());
    own.maint(&["backup-db", "--output-dir", shared.path().to_str().unwrap()]).expect(4);
    let server = second.start();
    let erased = forget(&server, &server.start_session());
    assert!(erased["backups_until"].is_null(), "nobody of ours is in there: {erased}");
    server.stop();
    let piped = second.maint_command(&["backup-db", "--stdout"]).output().unwrap();
    assert_eq!(piped.status.code(), Some(0), "a pipe is nobody's directory");
    let status = second.maint(&["status"]).expect(0).report;
    assert_eq!(
        (&status["disk"]["backups_are_anothers"], &status["disk"]["backups"]),
        (&true.into(), &0.into())
    );
    assert!(status["newest_backup"].is_null(), "{status}");
    second.maint(&["list-backups"]).expect(0);
    second.maint(&["verify-backups", "--restore-drill"]).expect(0);
    let report = second.maint(&["doctor", "--repair"]).expect(3).report;
    assert_eq!(report["findings"][0]["check"], "backups", "{report}");
    assert!(report["findings"][0]["repair"].as_str().unwrap().contains("BACKUP_DIR"));
    assert_eq!((&report["findings_count"], &report["repaired_count"]), (&1.into(), &0.into()), "{report}");
    assert_eq!(shared.everything(), before);

    second.maint(&["backup-db", "--force"]).expect(0);
    let status = second.maint(&["status"]).expect(0).report;
    assert_eq!(
        (&status["disk"]["backups_are_anothers"], &status["disk"]["backups"]),
        (&false.into(), &2.into())
    );
    assert_eq!(fs::read_to_string(shared.path().join(MARKER)).unwrap(), id(&second));
    second.maint(&["doctor"]).expect(0);
    first.maint(&["backup-db"]).expect(4);
    first.maint(&["doctor"]).expect(3);
    assert!(backup.exists());
}

/// The disk died with the data, the backups did not, and the new server was empty when it took over their directory.
#[test]
fn taking_a_directory_over_removes_nothing_and_guards_the_last_backup_from_before() {
    let shared = Shared::new();
    let first = shared.lived_in(53);
    (1..7).for_each(|_| drop(made_by(&first)));
    let last = made_by(&first);
    let all = names(shared.path(), ".db.zst");
    let second = shared.lived_in(1);
    second.maint(&["backup-db", "--force", "--dry-run"]).expect(3).tells("more than half");
    assert_eq!(fs::read_to_string(shared.path().join(MARKER)).unwrap(), id(&first));
    let ran = second.maint(&["backup-db", "--keep", "1", "--force"]).expect(3).tells("more than half");
    assert_eq!(ran.report["removed"], serde_json::json!([]));
    assert!(all.iter().all(|backup| backup.exists()));
    for _ in 0..6 {
        second.maint(&["backup-db", "--force"]).expect(0);
    }
    assert!(last.exists());
    second.maint(&["restore-db", last.to_str().unwrap(), "--yes"]).expect(0);
    assert_eq!(sessions(&second), 54);
}

#[test]
fn the_last_backup_from_before_a_takeover_is_guarded_although_there_is_more_now() {
    let shared = Shared::new();
    let first = shared.lived_in(3);
    (1..3).for_each(|_| drop(made_by(&first)));
    let last = made_by(&first);
    let second = shared.lived_in(30);
    let force = ["backup-db", "--keep", "1", "--force"];
    let dry = second.maint(&[&force[..], &["--dry-run"]].concat()).expect(0).report;
    let ran = second.maint(&force).expect(0).report;
    for report in [&dry, &ran] {
        assert_eq!(
            (report["kept"].as_array().unwrap().len(), &report["removed"]),
            (4, &serde_json::json!([]))
        );
    }
    for _ in 0..2 {
        second.maint(&["backup-db", "--keep", "1"]).expect(0);
    }
    assert!(last.exists());
    assert_eq!(names(shared.path(), ".db.zst").len(), 2);
}

#[test]
fn the_force_that_takes_a_directory_over_does_not_pass_the_clock_as_well() {
    let shared = Shared::new();
    shared.lived_in(3).maint(&["backup-db"]).expect(0);
    let second = shared.lived_in(30);
    let silent = "UPDATE sessions SET last_active_at = last_active_at - 40 * 86400000";
    second.db().execute_batch(silent).unwrap();
    let force = ["backup-db", "--force"];
    second.maint(&["backup-db"]).expect(4).tells("another installation");
    second.maint(&[&force[..], &["--dry-run"]].concat()).expect(4).tells("the clock says");
    second.maint(&force).expect(4).tells("the clock says");
    assert_eq!(fs::read_to_string(shared.path().join(MARKER)).unwrap(), id(&second));
    second.maint(&force).expect(0);
}

#[test]
fn who_lives_here_is_not_replaced_by_another_installation_although_no_backup_was_ever_made() {
    let shared = Shared::new();
    let (first, second) = (shared.lived_in(3), shared.lived_in(30));
    first.maint(&["backup-db"]).expect(0);
    second.maint(&["backup-db"]).expect(4);
    second.maint(&["restore-db", "latest", "--yes"]).expect(4).tells("another installation").tells("--force");
    assert_eq!(sessions(&second), 31);
    assert!(!second.dir.join("installation").exists());
}

#[test]
fn latest_of_another_installation_has_to_be_named() {
    let shared = Shared::new();
    let (first, second) = (shared.lived_in(3), shared.lived_in(30));
    House::at(second.dir.clone()).maint(&["backup-db"]).expect(0);
    let second_id = id(&second);
    first.maint(&["backup-db"]).expect(0);
    for arguments in [&["restore-db", "latest", "--yes"][..], &["restore-db", "latest", "--dry-run"]] {
        second.maint(arguments).expect(4).tells("another installation").tells("name the file");
    }
    fs::remove_file(second.database()).unwrap();
    second.maint(&["restore-db", "latest", "--yes"]).expect(4);
    second.maint(&["restore-db", shared.newest().to_str().unwrap(), "--yes"]).expect(0);
    assert_eq!((sessions(&second), id(&second)), (4, second_id.clone()));
    second.maint(&["restore-db", "latest", "--yes", "--force"]).expect(0);
    assert_eq!(id(&second), second_id, "it has not become the other one");
    second.maint(&["backup-db"]).expect(4);
    // On the host itself nothing changes.
    let first_id = id(&first);
    first.maint(&["restore-db", "latest", "--yes"]).expect(0);
    assert_eq!(id(&first), first_id);
    first.maint(&["backup-db"]).expect(0);
}

#[test]
fn a_new_host_goes_on_with_the_backups_it_restores_from() {
    let shared = Shared::new();
    let old = shared.lived_in(3);
    old.maint(&["backup-db"]).expect(0);
    for asked in ["latest".to_owned(), shared.newest().file_name().unwrap().to_string_lossy().into_owned()] {
        let new = shared.names(House::new());
        new.maint(&["restore-db", &asked, "--dry-run"]).expect(0);
        assert!(!new.dir.exists());
        new.maint(&["restore-db", &asked, "--yes"]).expect(0);
        assert_eq!((sessions(&new), id(&new)), (4, id(&old)), "{asked}");
        let meta = fs::metadata(new.dir.join("installation")).unwrap();
        assert_eq!(
            (meta.permissions().mode() & 0o777, meta.uid()),
            (0o600, fs::metadata(&new.dir).unwrap().uid())
        );
        new.start().stop();
        new.maint(&["backup-db"]).expect(0);
        new.maint(&["doctor"]).expect(0);
    }
    // A copy for something else: the file is named where it lies, and its backups go elsewhere.
    let copy = House::new();
    copy.maint(&["restore-db", shared.newest().to_str().unwrap(), "--yes"]).expect(0);
    assert!(!copy.dir.join("installation").exists());
    copy.start().stop();
    shared.names(House::at(copy.dir.clone())).maint(&["backup-db"]).expect(4);
    assert!(!copy.dir.join("installation").exists(), "what was refused made nothing");
}

#[test]
fn a_new_host_whose_server_ran_first_goes_on_as_well() {
    let shared = Shared::new();
    let old = shared.lived_in(3);
    old.maint(&["backup-db"]).expect(0);
    // As in Kubernetes after the volume was lost: the server is there before anyone restores, and so is the night.
    let new = shared.names(House::new());
    let server = new.start();
    server.start_session();
    server.stop();
    new.maint(&["backup-db"]).expect(4).tells("another installation");
    new.maint(&["restore-db", "latest", "--yes"]).expect(0);
    assert_eq!((sessions(&new), id(&new)), (4, id(&old)));
    new.maint(&["backup-db"]).expect(0);
}

#[test]
fn an_older_schema_is_backed_up_and_upgraded_beside_its_own_backups_alone() {
    let shared = Shared::new();
    let (first, second) = (shared.lived_in(3), shared.lived_in(30));
    first.maint(&["backup-db"]).expect(0);
    fs::write(second.database(), fs::read(crate::upgrades::fixture(2)).unwrap()).unwrap();
    let before = shared.everything();
    second.maint(&["backup-db"]).expect(4).tells("another installation");
    let output = second.command(env!("CARGO_BIN_EXE_companion")).env("PORT", "0").output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("was not upgraded") && told.contains("BACKUP_DIR"), "{told}");
    assert_eq!(shared.everything(), before);
    let own = House::at(second.dir.clone());
    // Whoever is in there has been silent for long.
    own.maint(&["backup-db", "--force"]).expect(0);
    own.start().stop();
}
