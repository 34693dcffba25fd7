//! SIGKILL at random moments: what was confirmed is there, once; what was interrupted can be run again.

use std::io::Write;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use serde_json::Value;

use crate::support::dice::{Dice, Kills, rounds, some_time};
use crate::support::seed::{self, DAY};
use crate::support::{House, Server, Talk, agent, names, wait_for};

/// How often each command is killed, here and in the files that name it.
const TIMES: [(&str, u32); 14] = [
    ("companion", 100),
    ("companion, learning", 20),
    ("companion, upgrading", 20),
    ("companion, with Qdrant", 100),
    ("cleanup-sessions", 50),
    ("cleanup-audio", 50),
    ("backup-db", 50),
    ("restore-db", 40),
    ("verify-backups", 20),
    ("doctor", 30),
    ("import-langgraph", 40),
    ("reindex-memories", 20),
    ("list-backups", 20),
    ("status", 50),
];

/// How often this command is killed.
pub fn times(command: &str) -> u32 {
    rounds(TIMES.iter().find(|(name, _)| *name == command).unwrap().1)
}

#[test]
fn every_command_is_killed_and_all_together_more_than_two_hundred_times() {
    let help = House::new().maint_command(&["--help"]).output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let commands = help.split("Commands:\n").nth(1).unwrap().split("\n\n").next().unwrap();
    for command in commands.lines().filter_map(|line| line.split_whitespace().next()) {
        assert!(
            command == "help" || TIMES.iter().any(|(name, _)| *name == command),
            "never killed: {command}"
        );
    }
    let total: u32 = TIMES.iter().map(|(command, _)| times(command)).sum();
    // Past the harness, which keeps what a test prints to itself.
    writeln!(std::io::stderr(), "{total} kills over every command").unwrap();
    assert!(total >= 200);
}

/// What somebody does after a crash: `doctor` is clean, or says what to do, does that, and is clean.
#[track_caller]
pub fn doctor_is_clean_or_mends(house: &House) {
    let ran = house.maint(&["doctor"]);
    if ran.code == 0 {
        return;
    }
    let report = ran.expect(3).report;
    for finding in report["findings"].as_array().unwrap() {
        assert!(finding["repair"].as_str().is_some_and(|repair| !repair.is_empty()), "{finding}");
    }
    house.maint(&["doctor", "--repair"]).expect(0);
    house.maint(&["doctor"]).expect(0);
}

/// The daily jobs have just run: whatever `doctor` finds later is not that nobody cared.
pub fn cared_for() -> House {
    let house = House::built();
    seed::sign_of_life(&mut house.db());
    for job in ["cleanup-audio", "cleanup-sessions", "backup-db"] {
        house.maint(&[job]).expect(0);
    }
    house
}

/// The server that runs now; replaced whenever it was killed.
struct Current {
    server: Mutex<Arc<Server>>,
    replaced: Condvar,
}

impl Current {
    fn get(&self) -> Arc<Server> {
        self.server.lock().unwrap().clone()
    }

    fn replace(&self, server: Server) {
        *self.server.lock().unwrap() = Arc::new(server);
        self.replaced.notify_all();
    }

    /// Waits until another server than `old` runs, or somebody else has something to say (`stop`).
    fn wait_for_another(&self, old: &Arc<Server>) {
        let server = self.server.lock().unwrap();
        let half_second = Duration::from_millis(500);
        drop(self.replaced.wait_timeout_while(server, half_second, |now| Arc::ptr_eq(now, old)).unwrap());
    }
}

/// Tells everybody to stop when it goes, also when a check has failed: else they would talk for ever.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// What somebody says, one number after another.
fn message(who: usize, number: usize) -> String {
    format!("person {who} says number {number}")
}

/// Says one thing after another until told to stop, trying each with the same turn id until it is done; counts those.
fn chatter(current: &Current, (talk, done): &(Talk, AtomicUsize), who: usize, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        let message = message(who, done.load(Ordering::SeqCst));
        let turn = uuid::Uuid::new_v4().to_string();
        // The last one may stay undone; all others are insisted on.
        loop {
            let server = current.get();
            if server.stream(talk, &message, &turn) {
                done.fetch_add(1, Ordering::SeqCst);
                break;
            }
            if stop.load(Ordering::Relaxed) {
                break;
            }
            current.wait_for_another(&server);
        }
    }
}

/// Whatever was done is there, once and in order. What is under way may be there, too, and more while people talk.
fn assert_nothing_is_lost(server: &Server, talks: &[(Talk, AtomicUsize)]) {
    for (who, (talk, done)) in talks.iter().enumerate() {
        let done = done.load(Ordering::SeqCst);
        let kept = server.history(talk);
        assert!(kept.len() >= done, "person {who} was told that {done} were kept, {} are", kept.len());
        let expected: Vec<_> = (0..kept.len()).map(|number| message(who, number)).collect();
        assert_eq!(kept, expected);
    }
}

#[test]
fn killed_servers_lose_no_turn_that_was_done_and_double_none() {
    let house = House::new();
    let mut dice = Dice::new("killed_servers");
    let mut kills = 0;
    while kills < times("companion") {
        let server = Arc::new(house.start());
        let talks: Vec<_> = (0..4).map(|_| (server.start_session(), AtomicUsize::new(0))).collect();
        let current = Current { server: Mutex::new(server), replaced: Condvar::new() };
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let (current, stop) = (&current, &stop);
            for (who, talk) in talks.iter().enumerate() {
                scope.spawn(move || chatter(current, talk, who, stop));
            }
            let _over = Over(stop);
            for _ in 0..20 {
                some_time(&mut dice, 900_000);
                current.get().kill_now();
                kills += 1;
                current.replace(house.start());
                house.assert_no_temporary_files_but_of_the_running_server();
                assert_nothing_is_lost(&current.get(), &talks);
                house.assert_sound();
            }
        });
        let server = current.get();
        let done = |(_, done): &(Talk, AtomicUsize)| done.load(Ordering::SeqCst);
        let said: usize = talks.iter().map(done).sum();
        assert!(said > 4, "too little was said for the kills to mean anything");
        assert_nothing_is_lost(&server, &talks);
        for talk in &talks {
            // The turn that was under way at the end may have been kept without its `done` reaching anyone.
            assert!(server.history(&talk.0).len() <= done(talk) + 1);
        }
        server.kill_now();
        house.assert_sound();
    }
}

/// Gives a conversation so many short turns more, and something that was learned in it.
pub fn lengthen(db: &rusqlite::Connection, talk: &Talk, turns: u32) {
    let session: uuid::Uuid = talk.session.parse().unwrap();
    let learned = seed::memory(db, session, &format!("learned in {session}"));
    let key = "SELECT id FROM sessions WHERE public_id = ?1";
    let key: i64 = db.query_row(key, [session.as_bytes()], |row| row.get(0)).unwrap();
    let link = "UPDATE memories SET session_id = ?1 WHERE public_id = ?2";
    db.execute(link, rusqlite::params![key, learned.as_bytes()]).unwrap();
    db.execute(
        "WITH RECURSIVE turn (number) AS (SELECT 1 UNION ALL SELECT number + 1 FROM turn WHERE number < ?2)
         INSERT INTO checkpoints (session_id, public_id, said, answered, said_at, answered_at)
         SELECT ?1, randomblob(16), number, number, number, number FROM turn",
        rusqlite::params![key, turns],
    )
    .unwrap();
    let of_session = "UPDATE sessions SET checkpoints = checkpoints + ?2 WHERE id = ?1";
    db.execute(of_session, rusqlite::params![key, turns]).unwrap();
    db.execute("UPDATE totals SET checkpoints = checkpoints + ?1", [turns]).unwrap();
}

#[test]
fn deletions_that_are_killed_half_way_go_on_at_the_next_start() {
    const TURNS: u32 = 2000;
    let house = House::new();
    let server = house.start();
    let (whole, but_memories, other) =
        (server.start_session(), server.start_session(), server.start_session());
    assert_eq!(server.say(&other, "hello").0, 200);
    let db = house.db();
    db.execute_batch("BEGIN IMMEDIATE").unwrap();
    lengthen(&db, &whole, TURNS);
    lengthen(&db, &but_memories, TURNS);
    db.execute_batch("COMMIT").unwrap();
    let number = |sql: &str| db.query_row(sql, [], |row| row.get::<_, u32>(0)).unwrap();
    std::thread::scope(|scope| {
        for (talk, keep_memories) in [(&whole, false), (&but_memories, true)] {
            let path = format!("/api/v1/sessions/{}?keep_memories={keep_memories}", talk.session);
            // It may never be answered.
            let asked = agent().delete(server.url.clone() + &path).header("x-companion-person", &talk.token);
            scope.spawn(|| asked.call());
        }
        let untouched = format!("SELECT count(*) FROM sessions WHERE checkpoints = {TURNS}");
        wait_for("a part of each is gone", || number(&untouched) == 0);
        server.kill_now();
    });
    let server = house.start();
    wait_for("all of both is gone", || number("SELECT count(*) FROM sessions") == 1);
    assert_eq!(number("SELECT count(*) FROM checkpoints"), 1);
    let left: Vec<String> = db
        .prepare("SELECT text FROM memories")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(left, [format!("learned in {}", but_memories.session)]);
    assert_eq!(server.history(&other), ["hello"]);
    server.stop();
    house.assert_sound();
}

/// Runs a job over and over beside a talking server and kills it at random moments; `check` looks after each kill. Every
/// tenth time, and in the end, `doctor` is asked and the job may finish; then `finished` looks whether it has done all of its
/// work, given its report.
fn kill_job(
    arguments: &[&'static str],
    prepare: impl Fn(&House),
    check: impl Fn(&House),
    finished: impl Fn(&House, &Value),
) {
    let finish = |house: &House| {
        doctor_is_clean_or_mends(house);
        let report = house.maint(arguments).expect(0).report;
        check(house);
        finished(house, &report);
        house.assert_no_temporary_files_but_of_the_running_server();
    };
    let house = cared_for();
    let server = house.start();
    let talk = server.start_session();
    let stop = AtomicBool::new(false);
    let mut kills =
        Kills::of((arguments[0], times(arguments[0])), || prepare(&house), || house.maint_command(arguments));
    let said = std::thread::scope(|scope| {
        let talking = scope.spawn(|| talk_on(&server, &talk, &stop));
        let over = Over(&stop);
        while let Some(round) = kills.next() {
            prepare(&house);
            kills.kill(house.maint_command(arguments).spawn().unwrap());
            check(&house);
            if round % 10 == 0 {
                finish(&house);
            }
        }
        drop(over);
        talking.join().unwrap()
    });
    assert!(said > 0);
    let expected: Vec<_> = (0..said).map(|number| format!("number {number}")).collect();
    assert_eq!(server.history(&talk), expected, "what should stay is there");
    finish(&house);
    server.stop();
    house.assert_sound();
    kills.assert_met();
}

fn talk_on(server: &Server, talk: &Talk, stop: &AtomicBool) -> u32 {
    let mut said = 0;
    while !stop.load(Ordering::Relaxed) {
        let (status, body) = server.say(talk, &format!("number {said}"));
        assert_eq!(status, 200, "{body}");
        said += 1;
        some_time(&mut Dice::new("talk"), 200_000);
    }
    said
}

#[test]
fn killed_cleanup_sessions_takes_nothing_that_should_stay() {
    const LONG: u32 = 300;
    let prepare = |house: &House| {
        let mut db = house.db();
        db.busy_timeout(Duration::from_secs(10)).unwrap();
        let ids = seed::sessions(&mut db, 60, 5, seed::now() - 8 * DAY);
        seed::audio(&db, ids[0], &house.dir.join("audio"), 100, 8 * DAY);
        // Goes in portions.
        seed::sessions(&mut db, 1, LONG, seed::now() - 9 * DAY);
    };
    let check = |house: &House| {
        let db = house.db();
        let fresh = "SELECT count(*) FROM sessions WHERE last_active_at > ?1";
        let kept: u32 = db.query_row(fresh, [seed::now() - DAY], |row| row.get(0)).unwrap();
        assert_eq!(kept, 2, "the sign of life and the running conversation");
        let uncounted = "SELECT count(*) FROM sessions WHERE checkpoints <>
            (SELECT count(*) FROM checkpoints WHERE session_id = sessions.id)";
        assert_eq!(db.query_row(uncounted, [], |row| row.get::<_, u32>(0)).unwrap(), 0);
        let halves = "SELECT count(*) FROM sessions WHERE last_active_at < ?1 AND checkpoints NOT IN (5, ?2)
            AND id NOT IN (SELECT session_id FROM deletions)";
        let halves =
            db.query_row(halves, [seed::now() - 7 * DAY, i64::from(LONG)], |row| row.get::<_, u32>(0));
        assert_eq!(halves.unwrap(), 0, "no session that anybody can reach is half deleted");
    };
    let finished = |house: &House, _: &Value| {
        let all = "SELECT (SELECT count(*) FROM sessions), (SELECT count(*) FROM audio)";
        let left = house.db().query_row(all, [], |row| Ok((row.get::<_, u32>(0)?, row.get::<_, u32>(1)?)));
        assert_eq!(left.unwrap(), (2, 0), "nothing that has expired is left");
        assert!(names(&house.dir.join("audio"), ".mp3").is_empty());
    };
    kill_job(&["cleanup-sessions", "--batch-size", "5"], prepare, check, finished);
}

#[test]
fn killed_cleanup_audio_takes_nothing_that_should_stay() {
    // Room for the young reply alone: some are past their age, the others past the budget.
    const JOB: [&str; 3] = ["cleanup-audio", "--max-total-bytes", "12345"];
    let young = AtomicBool::new(false);
    let checks = AtomicUsize::new(0);
    let prepare = |house: &House| {
        let mut db = house.db();
        db.busy_timeout(Duration::from_secs(10)).unwrap();
        let dir = house.dir.join("audio");
        let ids = seed::sessions(&mut db, 1, 1, seed::now() - DAY);
        db.execute_batch("BEGIN IMMEDIATE").unwrap();
        for number in 0..300 {
            seed::audio(&db, ids[0], &dir, 100, if number % 3 == 0 { 25 } else { 2 } * seed::HOUR);
        }
        db.execute_batch("COMMIT").unwrap();
        if !young.swap(true, Ordering::Relaxed) {
            seed::audio(&db, ids[0], &dir, 12345, seed::HOUR);
        }
    };
    let finished = |house: &House, _: &Value| {
        let rows = house.db().query_row("SELECT count(*) FROM audio", [], |row| row.get::<_, u32>(0));
        let files = names(&house.dir.join("audio"), ".mp3").len();
        assert_eq!((rows.unwrap(), files), (1, 1), "the old ones are gone, and no row is without its file");
    };
    let check = |house: &House| {
        let files = names(&house.dir.join("audio"), ".mp3");
        let young = files.iter().filter(|file| std::fs::metadata(file).unwrap().len() == 12345).count();
        assert_eq!(young, 1, "the young reply stays");
        // The next run needs no `doctor` before it.
        if checks.fetch_add(1, Ordering::Relaxed).is_multiple_of(4) {
            finished(house, &house.maint(&JOB).expect(0).report);
        }
    };
    kill_job(&JOB, prepare, check, finished);
}

#[test]
fn killed_backups_leave_no_file_that_does_not_verify() {
    let seeded = AtomicBool::new(false);
    let prepare = |house: &House| {
        if !seeded.swap(true, Ordering::Relaxed) {
            let mut db = house.db();
            db.busy_timeout(Duration::from_secs(10)).unwrap();
            seed::sessions(&mut db, 1500, 20, seed::now() - DAY);
        }
    };
    let finished = |house: &House, report: &Value| {
        let backups = house.backups();
        assert!(backups.contains(&report["path"].as_str().unwrap().into()), "{report} {backups:?}");
        assert_eq!(backups.len(), 2, "{backups:?}");
    };
    kill_job(&["backup-db", "--keep", "2"], prepare, House::assert_backups_verify, finished);
}

#[test]
fn killed_verifications_harm_no_backup_and_the_next_one_clears_up() {
    let seeded = AtomicBool::new(false);
    let prepare = |house: &House| {
        if !seeded.swap(true, Ordering::Relaxed) {
            let mut db = house.db();
            db.busy_timeout(Duration::from_secs(10)).unwrap();
            seed::sessions(&mut db, 200, 20, seed::now() - DAY);
            house.maint(&["backup-db"]).expect(0);
        }
    };
    let left_unpacked = AtomicBool::new(false);
    let check = |house: &House| {
        if house.dir.join(".companion-tmp-verify").exists() {
            left_unpacked.store(true, Ordering::Relaxed);
            house.maint(&["doctor"]).expect(3).tells("leftovers").tells(".companion-tmp-verify");
        }
        assert_eq!(house.backups().len(), 2);
        house.assert_backups_verify();
        assert!(!house.dir.join("set-aside").exists() && !house.dir.join("restore.pending").exists());
    };
    kill_job(&["verify-backups", "--restore-drill"], prepare, check, |_, _| {});
    assert!(left_unpacked.load(Ordering::Relaxed), "no kill came while a backup was unpacked");
}

#[test]
fn killed_looks_at_the_state_disturb_nobody_who_talks() {
    kill_job(&["status"], |_| {}, House::assert_sound, |_, _| {});
}

#[test]
fn killed_readers_change_nothing() {
    let house = cared_for();
    let before = house.content();
    for command in ["list-backups", "status"] {
        let mut kills = Kills::of((command, times(command)), || {}, || house.maint_command(&[command]));
        while kills.next().is_some() {
            kills.kill(house.maint_command(&[command]).spawn().unwrap());
        }
        kills.assert_met();
        house.maint(&["doctor"]).expect(0);
        house.maint(&[command]).expect(0);
    }
    assert_eq!(house.content(), before);
}
