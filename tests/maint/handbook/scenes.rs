//! What has happened before a section of the handbook is needed: broken for real, on a machine of its own.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use super::machine::{CONTAINER, Machine, SERVICE, copy};
use super::{TAKEN_ALONG, run, section};
use crate::support::seed::{self, DAY, HOUR};
use crate::support::{House, Mounted, names};

const START: &str = "systemctl start companion.service
    curl -s --retry 40 --retry-connrefused --retry-delay 1 http://127.0.0.1:8000/readyz";
const GO_WRONG: &str = "cd deploy && docker compose up --build --detach && docker compose stop server
    docker compose run --rm server companion-maint restore-db latest --yes && docker compose start server";
const KEY: &str = "age-keygen -o /mnt/stick/companion-backup.key";

/// Before and after a section.
pub struct Scene {
    pub machine: Machine,
    /// Runs before the section's commands, in the same place.
    pub prelude: String,
    /// Whose data directory it is.
    pub user: u32,
    /// How many sessions the database has in the end.
    pub sessions: Option<u64>,
    /// A small disk; gone before the machine.
    pub mounted: Option<Mounted>,
}

impl Scene {
    fn on(machine: Machine) -> Self {
        Self { machine, prelude: String::new(), user: SERVICE, sessions: None, mounted: None }
    }

    /// An installation with five sessions in its backup, and a sixth since. The server runs.
    fn lived_in() -> Self {
        let scene = Self::on(Machine::installed()).with_people();
        Self { prelude: START.to_owned(), sessions: Some(6), ..scene }
    }

    fn in_containers(prelude: &str) -> Self {
        let mut machine = Machine::installed();
        machine = Self { user: CONTAINER, ..Self::on(machine) }.with_people().machine;
        Self { user: CONTAINER, prelude: prelude.to_owned(), sessions: Some(5), ..Self::on(machine) }
    }

    fn with_people(self) -> Self {
        let house = self.house();
        house.start().stop();
        seed::sessions(&mut house.db(), 5, 2, seed::now() - HOUR);
        house.maint(&["backup-db"]).expect(0);
        seed::sessions(&mut house.db(), 1, 2, seed::now() - HOUR);
        self
    }

    pub fn house(&self) -> House {
        self.machine.house(self.user)
    }

    fn stopped(self) -> Self {
        Self { prelude: String::new(), ..self }
    }

    pub fn ending_with(self, sessions: u64) -> Self {
        Self { sessions: Some(sessions), ..self }
    }

    /// `breaks` the house in a way of its own.
    fn after(self, breaks: impl FnOnce(&House)) -> Self {
        breaks(&self.house());
        self
    }

    fn setting(self, from: &str, to: &str) -> Self {
        let path = self.machine.path("etc/companion/companion.env");
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from));
        fs::write(path, text.replace(from, to)).unwrap();
        self
    }
}

/// The scene of a section.
pub fn of(title: &str) -> Scene {
    match title {
        "Look first"
        | "A copy elsewhere"
        | "Encrypted backups"
        | "The restore drill"
        | "What a backup holds and does not" => Scene::lived_in(),
        "Schedules" | "Backups on another disk" | "Give it a language model" => Scene::lived_in(),
        "Let in only whom you want" => Scene::lived_in().ending_with(7),
        "The server does not start" => Scene {
            prelude: "systemctl start companion.service".to_owned(),
            ..Scene::lived_in().setting("SESSION_RETENTION_DAYS=7", "SESSION_RETENTION_DAYS=soon")
        },
        "Restore a backup" => Scene::lived_in().ending_with(5),
        "Go back to before a restore" => Scene::lived_in().after(|house| {
            house.maint(&["restore-db", "latest", "--yes"]).expect(0);
        }),
        "Restore with Docker Compose" => {
            Scene::in_containers("cd deploy && docker compose up --build --detach")
        }
        "Go back with Docker Compose" => Scene::in_containers(GO_WRONG).ending_with(6),
        "Restore in Kubernetes" => {
            Scene::in_containers("kubectl --namespace companion apply --kustomize deploy/kubernetes/base")
        }
        "Restore an encrypted backup" => encrypted(),
        "Encrypted backups with Docker Compose" => {
            let prelude = format!("{KEY}\ncd deploy && docker compose up --build --detach");
            Scene::in_containers(&prelude).ending_with(6)
        }
        "Encrypted backups in Kubernetes" => {
            let apply = "kubectl --namespace companion apply --kustomize deploy/kubernetes/base";
            Scene::in_containers(&format!("{KEY}\n{apply}")).ending_with(6)
        }
        "Install with systemd" | "Install with cron" => Scene::on(Machine::bare()).ending_with(0),
        "Install with Docker Compose" | "Install in Kubernetes" => {
            Scene { user: CONTAINER, ..Scene::on(Machine::bare()) }.ending_with(0)
        }
        "Coming from the Python predecessor" => predecessor(),
        _ => broken(title),
    }
}

fn broken(title: &str) -> Scene {
    match title {
        "The database is gone" => Scene::lived_in().stopped().ending_with(5).after(|house| {
            fs::remove_file(house.database()).unwrap();
        }),
        "The database is damaged" => Scene::lived_in().ending_with(5).after(damage).stopped(),
        "The disk is lost" => lost(Scene::lived_in()),
        "The disk is lost with Docker Compose" | "The disk is lost in Kubernetes" => {
            lost(Scene { user: CONTAINER, ..Scene::on(Machine::installed()) }.with_people())
        }
        "The disk is full" => full(),
        "Most rows have gone" => after_an_accident(),
        "A restore was interrupted" => Scene::lived_in().stopped().after(interrupt),
        "The note of a restore is damaged" => {
            Scene::lived_in().stopped().ending_with(5).after(interrupt_and_damage)
        }
        "The clock is wrong" => clock(),
        "Nobody has talked for long" => Scene::on(Machine::installed()).ending_with(0).after(|house| {
            house.start().stop();
            seed::sessions(&mut house.db(), 10, 2, seed::now() - 365 * DAY);
        }),
        "A job hangs" => {
            let lock = "/var/lib/companion/locks/backup-db.lock";
            let hang = format!(
                "(PATH=/usr/bin; exec flock --no-fork {lock} sleep 600) &\n\
                 (PATH=/usr/bin; while flock --nonblock {lock} true; do sleep 0.05; done)\n\
                 systemctl start companion.service"
            );
            Scene { prelude: hang, ..Scene::lived_in() }
        }
        "Wrong owners and permissions" => Scene::lived_in().after(|house| {
            fs::set_permissions(house.database(), PermissionsExt::from_mode(0o644)).unwrap();
        }),
        "A backup does not verify" => Scene::lived_in().after(|house| {
            house.maint(&["backup-db"]).expect(0);
            house.maint(&["backup-db"]).expect(0);
            house.backups().iter().take(2).for_each(|backup| {
                let mut bytes = fs::read(backup).unwrap();
                let middle = bytes.len() / 2;
                bytes[middle] ^= 0x10;
                fs::write(backup, bytes).unwrap();
            });
        }),
        "Lost Qdrant" => lost_qdrant(),
        "On the old host" => Scene::lived_in(),
        "On the new host" => moved(),
        "Upgrading" => older(),
        "Going back a version" => newer(),
        other => panic!("nobody says what has happened before the section {other:?}"),
    }
}

/// Most rows went, the nightly backup told of it, and there are as many backups as the rules keep, and two more.
fn after_an_accident() -> Scene {
    let scene = Scene::lived_in().ending_with(6).after(|house| {
        (0..7).for_each(|_| drop(house.maint(&["backup-db", "--keep", "9"]).expect(0)));
        let most = "DELETE FROM checkpoints WHERE session_id > 1; DELETE FROM sessions WHERE id > 1;
            UPDATE totals SET sessions = 1, checkpoints = 2";
        house.db().execute_batch(most).unwrap();
    });
    let timers = "systemctl start companion-backup-db.timer companion-cleanup-sessions.timer";
    let night = "! systemctl start companion-backup-db.service";
    Scene { prelude: format!("{START}\n{timers}\n{night}"), ..scene }
}

/// A server whose Qdrant was away when it started, and is back with nothing in it.
fn lost_qdrant() -> Scene {
    let scene = Scene::lived_in().ending_with(7).after(|house| {
        let server = house.start();
        let talk = server.start_session();
        crate::qdrant::remember(&server, &talk, "My sister lives in Porto").unwrap();
        server.stop();
    });
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/qdrant/bridge.py"), &scene.machine.path("srv"));
    let setting = "echo QDRANT_URL=http://127.0.0.1:6334 >>/etc/companion/companion.env";
    let again = "/usr/bin/sleep 600 | /qdrant/bin/python /srv/bridge.py --port 6334 &";
    let connect = "/qdrant/bin/python -c \"import socket; socket.create_connection(('127.0.0.1', 6334))\"";
    let up = format!("i=0; until {connect}; do i=$((i + 1)); [ $i -lt 500 ] || exit 1; done");
    Scene { prelude: format!("{setting}\n{START}\n{again}\n{up}"), ..scene }
}

/// An installation whose newest backup is encrypted; the key came on a stick.
fn encrypted() -> Scene {
    let recipient = "echo \"BACKUP_AGE_RECIPIENT=$(age-keygen -y /mnt/stick/companion-backup.key)\"";
    let backup = "systemctl start companion-backup-db.service";
    let prelude = format!("{KEY}\n{recipient} >>/etc/companion/companion.env\n{START}\n{backup}");
    Scene { prelude, ..Scene::lived_in() }
}

fn damage(house: &House) {
    let mut bytes = fs::read(house.database()).unwrap();
    let middle = bytes.len() / 2 / 4096 * 4096;
    bytes[middle..middle + 4096].fill(0x5A);
    bytes[4096..8192].fill(0x5A);
    fs::write(house.database(), bytes).unwrap();
}

/// The disk took the data directory and its backups; off-site are the backups, and that somebody was erased since.
fn lost(scene: Scene) -> Scene {
    let scene = scene.stopped();
    let house = scene.house();
    let gone = seed::sessions(&mut house.db(), 2, 2, seed::now() - HOUR);
    house.maint(&["backup-db"]).expect(0);
    let whose =
        "SELECT p.public_id FROM persons p JOIN sessions s ON s.person_id = p.id WHERE s.public_id = ?1";
    let person: Vec<u8> = house.db().query_row(whose, [gone[0].as_bytes()], |row| row.get(0)).unwrap();
    let person = uuid::Uuid::from_slice(&person).unwrap();
    let offsite = scene.machine.path("mnt/offsite");
    let backups = match scene.user {
        CONTAINER => scene.machine.path("backups/companion"),
        _ => house.dir.join("backups"),
    };
    names(&backups, "").iter().for_each(|file| copy(file, &offsite));
    fs::write(offsite.join("erasures"), format!("{person} 2026-11-24T00:00:00.000Z\n")).unwrap();
    fs::remove_dir_all(backups).unwrap();
    fs::remove_dir_all(&house.dir).unwrap();
    // Five, and the sixth that was talked to before this backup.
    scene.ending_with(6)
}

/// A disk of 300 MiB that something else fills to its last byte while the server runs.
fn full() -> Scene {
    let mut scene = Scene::on(Machine::installed());
    scene.mounted = Some(Mounted::small_disk_at(&scene.machine.path("var/lib"), "300m"));
    let scene = scene.with_people();
    let house = scene.house();
    let mut db = house.db();
    let old = seed::sessions(&mut db, 400, 20, seed::now() - 8 * DAY);
    seed::audio(&db, old[0], &house.dir.join("audio"), 300_000, 2 * DAY);
    drop(db);
    let fill = "cat /dev/zero >/var/lib/something-large; true";
    Scene { prelude: format!("{START}\n{fill}"), sessions: Some(6), ..scene }
}

fn interrupt(house: &House) {
    let aside = house.dir.join("set-aside/20261124T000000Z");
    fs::create_dir_all(&aside).unwrap();
    fs::rename(house.database(), aside.join("companion.db")).unwrap();
    fs::write(house.database(), "half of something").unwrap();
    let marker = r#"{"set_aside": "20261124T000000Z", "files": ["companion.db"]}"#;
    fs::write(house.dir.join("restore.pending"), marker).unwrap();
}

/// The old database is set aside, as private as a restore does it, there is no new one yet, and the note is cut off.
fn interrupt_and_damage(house: &House) {
    interrupt(house);
    fs::remove_file(house.database()).unwrap();
    for dir in ["set-aside", "set-aside/20261124T000000Z"] {
        fs::set_permissions(house.dir.join(dir), PermissionsExt::from_mode(0o700)).unwrap();
    }
    fs::write(house.dir.join("restore.pending"), r#"{"set_as"#).unwrap();
}

/// The clock is a year behind what the store has seen. Setting it right, the store's times are moved instead.
fn clock() -> Scene {
    let scene = Scene::on(Machine::installed()).with_people();
    let house = scene.house();
    seed::sessions(&mut house.db(), 1, 1, seed::now() + 365 * DAY);
    let (now, year) = (seed::now(), 365 * DAY);
    let moves = [
        ("persons", "created_at"),
        ("persons", "last_seen_at"),
        ("sessions", "created_at"),
        ("sessions", "last_active_at"),
        ("checkpoints", "said_at"),
        ("checkpoints", "answered_at"),
    ]
    .map(|(table, time)| format!("UPDATE {table} SET {time} = {time} - {year} WHERE {time} > {now};"))
    .concat();
    let script = format!("sqlite3 /var/lib/companion/companion.db '{moves}'\n");
    fs::write(scene.machine.path("scene/set-ntp"), script).unwrap();
    scene.ending_with(7)
}

/// A new host to which the old one's last backup was carried.
fn moved() -> Scene {
    let old = run(&section("On the old host"), of("On the old host"));
    let new = Scene::on(Machine::installed());
    for name in TAKEN_ALONG {
        copy(&old.machine.path("mnt/transfer").join(name), &new.machine.path("mnt/transfer"));
    }
    fs::remove_file(new.machine.path("etc/companion/companion.env")).unwrap();
    new.ending_with(6)
}

/// The database of the first release.
fn older() -> Scene {
    let scene = Scene::on(Machine::installed());
    let house = scene.house();
    house.start().stop();
    fs::remove_file(house.database()).unwrap();
    let old = house.db();
    old.execute_batch("PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL").unwrap();
    old.execute_batch(include_str!("../../../src/adapters/migrations/0001_conversations.sql")).unwrap();
    old.execute_batch("PRAGMA user_version = 1").unwrap();
    drop(old);
    fs::set_permissions(house.database(), PermissionsExt::from_mode(0o600)).unwrap();
    seed::sessions(&mut house.db(), 3, 2, seed::now() - HOUR);
    scene.ending_with(3)
}

/// A later release has upgraded the database, after a backup; the programs under test are the old ones.
fn newer() -> Scene {
    let scene = Scene::on(Machine::installed()).with_people();
    scene.house().db().execute_batch("PRAGMA user_version = 99").unwrap();
    for name in ["companion", "companion-maint"] {
        let place = scene.machine.path("own-bin");
        fs::rename(place.join(name), place.join(format!("{name}.old"))).unwrap();
        fs::write(place.join(name), "#!/bin/sh\nexit 70\n").unwrap();
    }
    scene.ending_with(5)
}

/// LangGraph's tables, as its checkpointer makes them, with one old conversation.
fn predecessor() -> Scene {
    let scene = Scene::lived_in().ending_with(7);
    let memory = scene.machine.path("srv/predecessor/memory.db");
    #[expect(clippy::disallowed_methods, reason = "a test makes what another program makes")]
    let db = rusqlite::Connection::open(memory).unwrap();
    db.execute_batch(include_str!("memory.sql")).unwrap();
    scene
}

/// What is in the end as it should be, whatever the section was about.
pub fn assert_settled(scene: &Scene) {
    let Some(expected) = scene.sessions else { return };
    let house = scene.house();
    let count: u64 = house.db().query_row("SELECT count(*) FROM sessions", [], |row| row.get(0)).unwrap();
    assert_eq!(count, expected, "sessions in the end");
    house.assert_sound();
    house.assert_no_temporary_files();
    let user = fs::metadata(&house.dir).unwrap().uid();
    assert_ne!(user, 0, "the data directory belongs to root: the server cannot use it");
    assert_owned(&house.dir, user);
}

fn assert_owned(dir: &Path, user: u32) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let meta = fs::symlink_metadata(&path).unwrap();
        assert_eq!(meta.uid(), user, "{} has the wrong owner: the jobs cannot remove it", path.display());
        if meta.is_dir() {
            assert_owned(&path, user);
        }
    }
}
