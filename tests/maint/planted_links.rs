//! What a service user may have planted in the data directory: links, second names, pipes, and a journal made up for SQLite.
//! Root who works there touches and reads nothing that the service user could not, never hangs, and says so in a line.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, lchown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::fs::{FileType, Mode};

use crate::owners::{COMMANDS, RESTORE, SERVICE, Served, everything, is_root};
use crate::support::{House, Ran};

/// Files of ours that root's jobs make, read, replace or remove.
const FILES: [&str; 16] = [
    "companion.db-wal",
    "companion.db-shm",
    "companion.db-journal",
    "reserve",
    "erasures",
    "import-owners",
    "installation",
    "restore.pending",
    "locks/backup-db.lock",
    "locks/doctor.lock",
    "locks/server.lock",
    ".companion-tmp-0123456789abcdef0123456789abcdef",
    "backups/.companion-installation",
    "backups/erasures",
    "backups/import-owners",
    "backups/companion-20200101T000000Z.json",
];

/// Directories of ours.
const DIRECTORIES: [&str; 9] = [
    "locks",
    "audio",
    "backups",
    "assets",
    "metrics",
    "set-aside",
    "set-aside/20200101T000000Z",
    ".companion-tmp-backup",
    ".companion-tmp-verify",
];

/// A house of the service user, and what lies outside of it: root's, and nobody else's business.
struct Trap {
    served: Served,
    /// Like a data directory: whatever a link makes of it, there is something to lose.
    victims: PathBuf,
}

/// All there is to know of a file or directory that must not change.
type Seen = (PathBuf, (u32, u32), u32, Vec<u8>);

impl Trap {
    fn new() -> Self {
        let served = Served::new();
        served.house.maint(&["backup-db"]).expect(0);
        fs::create_dir(served.house.dir.join("metrics")).unwrap();
        served.give_to_service();
        // It would be copied for every trap.
        fs::remove_file(served.house.dir.join("reserve")).unwrap();
        copy(&served.house.dir, &served.place.path().join("kept"));
        let victims = served.place.path().join("victims");
        let copied = Command::new("cp").arg("-r").arg(&served.house.dir).arg(&victims).status().unwrap();
        assert!(copied.success());
        for name in ["set-aside/20200101T000000Z", "assets/0.1.0-0123456789abcdef"] {
            fs::create_dir_all(victims.join(name)).unwrap();
            fs::write(victims.join(name).join("companion.db"), "precious").unwrap();
        }
        for name in FILES {
            fs::write(victims.join(name), "precious").unwrap();
        }
        let old = victims.join("audio/00000000-0000-4000-8000-000000000000.wav");
        fs::write(&old, "precious").unwrap();
        fs::File::open(old).unwrap().set_modified(std::time::UNIX_EPOCH).unwrap();
        for path in everything(&victims) {
            lchown(&path, Some(0), Some(0)).unwrap();
            // Where a link can be followed into, but not by the service user.
            let mode = if path.is_dir() { 0o711 } else { 0o640 };
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        }
        Self { served, victims }
    }

    fn house(&self) -> &House {
        &self.served.house
    }

    fn seen(&self) -> Vec<Seen> {
        let mut seen: Vec<Seen> = everything(&self.victims)
            .into_iter()
            .map(|path| {
                let meta = fs::symlink_metadata(&path).unwrap();
                let content = if meta.is_file() { fs::read(&path).unwrap() } else { Vec::new() };
                (path, (meta.uid(), meta.gid()), meta.mode(), content)
            })
            .collect();
        seen.sort();
        seen
    }

    /// Runs every command as root, with what `plant` puts at `name` each time.
    #[track_caller]
    fn spring(&self, name: &str, plant: &dyn Fn(&Path)) {
        let kept = self.served.place.path().join("kept");
        for command in COMMANDS.into_iter().chain([RESTORE]) {
            plant(&self.clear(name));
            let before = self.seen();
            let ran = self.run_as_root(command);
            assert!([0, 1, 3, 4].contains(&ran.code), "{name}, {command:?}: {} {}", ran.stdout, ran.stderr);
            for error in ran.report["errors"].as_array().unwrap() {
                let told = error["error"].as_str().unwrap();
                assert!(!told.contains('\n') && !told.contains("precious"), "{told}");
            }
            let after = self.seen();
            for (before, after) in before.iter().zip(&after) {
                assert_eq!(before, after, "{name}, {command:?}: {}", ran.stdout);
            }
            assert_eq!(before.len(), after.len(), "{name}, {command:?}");
            copy(&kept, &self.house().dir);
        }
    }

    /// The place of `name` in the data directory, with nothing there.
    fn clear(&self, name: &str) -> PathBuf {
        let path = self.house().dir.join(name);
        if fs::symlink_metadata(&path).is_ok_and(|meta| meta.is_dir()) {
            fs::remove_dir_all(&path).unwrap();
        } else {
            drop(fs::remove_file(&path));
        }
        let parent = path.parent().unwrap();
        if !parent.exists() {
            fs::create_dir(parent).unwrap();
            lchown(parent, Some(SERVICE), Some(SERVICE)).unwrap();
        }
        path
    }

    /// Whatever waits for somebody who never comes is ended after a minute.
    fn run_as_root(&self, command: &[&str]) -> Ran {
        let mut timed = self.house().command("/usr/bin/timeout");
        timed
            .args(["--signal=KILL", "60"])
            .arg(env!("CARGO_BIN_EXE_companion-maint"))
            .args(command)
            .arg("--json");
        timed.arg("--metrics-file").arg(self.house().dir.join("metrics/job.prom"));
        Ran::from(timed.output().unwrap())
    }
}

/// Makes `to` what `from` is, owners and links included.
fn copy(from: &Path, to: &Path) {
    drop(fs::remove_dir_all(to));
    assert!(Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap().success());
}

fn link(path: &Path, target: &Path) {
    symlink(target, path).unwrap();
    lchown(path, Some(SERVICE), Some(SERVICE)).unwrap();
}

#[test]
fn a_link_in_the_place_of_a_file_leads_root_nowhere() {
    assert!(is_root(), "this test plants for root; run the tests as root");
    let trap = Trap::new();
    for name in FILES {
        trap.spring(name, &|path| link(path, &trap.victims.join(name)));
    }
}

#[test]
fn a_link_to_what_is_not_there_makes_root_make_nothing() {
    assert!(is_root(), "this test plants for root; run the tests as root");
    let trap = Trap::new();
    for name in FILES {
        trap.spring(name, &|path| link(path, &trap.victims.join("not-there")));
    }
    for name in DIRECTORIES {
        trap.spring(name, &|path| link(path, &trap.victims.join("not-there")));
    }
}

#[test]
fn a_link_in_the_place_of_a_directory_leads_root_nowhere() {
    assert!(is_root(), "this test plants for root; run the tests as root");
    let trap = Trap::new();
    for name in DIRECTORIES {
        trap.spring(name, &|path| link(path, &trap.victims.join(name)));
    }
}

#[test]
fn a_second_name_of_roots_file_is_not_given_away() {
    assert!(is_root(), "this test plants for root; run the tests as root");
    let trap = Trap::new();
    for name in FILES {
        trap.spring(name, &|path| fs::hard_link(trap.victims.join(name), path).unwrap());
    }
}

#[test]
fn nobody_waits_for_a_pipe() {
    assert!(is_root(), "this test plants for root; run the tests as root");
    let trap = Trap::new();
    for name in FILES.into_iter().chain(["companion.db"]) {
        trap.spring(name, &|path| {
            rustix::fs::mknodat(rustix::fs::CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
            lchown(path, Some(SERVICE), Some(SERVICE)).unwrap();
        });
    }
}

/// A journal as SQLite leaves it when a transaction over several databases is cut off: it names a file to be deleted once it
/// is rolled back.
fn journal_that_names(victim: &Path, database_bytes: u64) -> Vec<u8> {
    let mut journal = vec![0; 512];
    // Its mark; no pages to be put back; how many the database has, and their size.
    journal[..8].copy_from_slice(&[0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7]);
    journal[16..20].copy_from_slice(&u32::try_from(database_bytes / 4096).unwrap().to_be_bytes());
    journal[20..24].copy_from_slice(&512_u32.to_be_bytes());
    journal[24..28].copy_from_slice(&4096_u32.to_be_bytes());
    let name = victim.to_str().unwrap().as_bytes();
    let sum: u32 = name.iter().map(|byte| u32::from(*byte)).sum();
    journal.extend((0x4000_0000_u32 / 4096 + 1).to_be_bytes());
    journal.extend(name);
    journal.extend(u32::try_from(name.len()).unwrap().to_be_bytes());
    journal.extend(sum.to_be_bytes());
    journal.extend([0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7]);
    journal
}

#[test]
fn a_journal_does_not_make_root_delete_what_it_names() {
    assert!(is_root(), "this test plants for root; run the tests as root");
    let trap = Trap::new();
    let victim = trap.victims.join("reserve");
    let plant = |path: &Path, victim: &Path| {
        let database_bytes = fs::metadata(trap.house().database()).unwrap().len();
        fs::write(path, journal_that_names(victim, database_bytes)).unwrap();
        lchown(path, Some(SERVICE), Some(SERVICE)).unwrap();
    };
    trap.spring("companion.db-journal", &|path| plant(path, &victim));
    // The trap works: what is the service user's own goes.
    let own = trap.house().dir.join("own");
    fs::write(&own, "mine").unwrap();
    lchown(&own, Some(SERVICE), Some(SERVICE)).unwrap();
    plant(&trap.clear("companion.db-journal"), &own);
    trap.run_as_root(&["cleanup-sessions"]).expect(0);
    assert!(!own.exists());
}

#[test]
fn a_backup_that_is_a_link_to_somebody_elses_is_not_restored_however_it_is_named() {
    assert!(is_root(), "this test plants for root; run the tests as root");
    let trap = Trap::new();
    let backup = trap.house().backups().pop().unwrap();
    let name = backup.file_name().unwrap().to_str().unwrap();
    for name in [name.to_owned(), name.replace(".db.zst", ".json")] {
        link(&trap.clear(&format!("backups/{name}")), &trap.victims.join("backups").join(&name));
    }
    let theirs = trap.victims.join("backups").join(name);
    let by_another_way = trap.served.place.path().join("way");
    symlink(trap.house().dir.join("backups"), &by_another_way).unwrap();
    for asked in ["latest", name, backup.to_str().unwrap(), by_another_way.join(name).to_str().unwrap()] {
        let ran = trap.run_as_root(&["restore-db", asked, "--yes"]);
        assert!([1, 4].contains(&ran.code), "{asked}: {}", ran.stdout);
    }
    // What the operator names elsewhere is theirs to read, with the lists beside it.
    let lists = ["erasures", "import-owners"].map(|list| trap.victims.join("backups").join(list));
    trap.run_as_root(&["restore-db", theirs.to_str().unwrap(), "--yes"]).expect(1).tells("is damaged");
    lists.iter().for_each(|list| fs::write(list, "").unwrap());
    trap.run_as_root(&["restore-db", theirs.to_str().unwrap(), "--yes"]).expect(0);
    trap.served.run_as(SERVICE, &["status"]).expect(0);
}

#[test]
fn a_directory_that_the_owner_may_not_use_is_told_with_what_to_do() {
    assert!(is_root(), "this test plants for root; run the tests as root");
    let served = Served::new();
    let roots = served.place.path().join("roots");
    fs::create_dir(&roots).unwrap();
    fs::set_permissions(&roots, Permissions::from_mode(0o700)).unwrap();
    let into = ["backup-db", "--output-dir", roots.to_str().unwrap()];
    let told = served.house.maint(&into).expect(1).error();
    assert!(told.contains(roots.to_str().unwrap()) && told.contains("chown"), "{told}");
    lchown(&roots, Some(SERVICE), Some(SERVICE)).unwrap();
    served.house.maint(&into).expect(0);
    served.assert_owned(&into);
}
