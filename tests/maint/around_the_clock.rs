//! A hundred writes a second for two minutes, while backups are made, restored elsewhere and looked at, one after the
//! other. It has a pace, which is the disk's to keep: `tests/run` runs it by itself.

use std::io::Write;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::dice::rounds;
use crate::support::{House, Server, Talk, agent};

const WRITERS: u32 = 4;
const WRITES_PER_SECOND: u32 = 100;
const TURNS_PER_SESSION: u64 = 25;

/// What the server has confirmed.
#[derive(Default)]
struct Acknowledged {
    sessions: AtomicU64,
    turns: AtomicU64,
}

impl Acknowledged {
    /// Turns first: a session is confirmed before its turns are.
    fn now(&self) -> (u64, u64) {
        let turns = self.turns.load(Ordering::SeqCst);
        (self.sessions.load(Ordering::SeqCst), turns)
    }
}

/// Ends the writers, also when a check has failed.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn say(talking: &ureq::Agent, server: &Server, talk: &Talk, message: &str) {
    let body = json!({"session_id": talk.session, "message": message});
    let mut answer = talking.post(format!("{}/api/v1/chat", server.url)).send_json(&body).unwrap();
    let status = answer.status().as_u16();
    let body: Value = answer.body_mut().read_json().unwrap();
    assert_eq!(status, 200, "{body}");
}

/// Says one thing after another, at its share of the pace; one that was late does not wait for the next.
fn write(server: &Server, acknowledged: &Acknowledged, stop: &AtomicBool) {
    let talking = agent();
    let pace = Duration::from_secs(1) * WRITERS / WRITES_PER_SECOND;
    let began = Instant::now();
    let mut talk = None;
    for said in 0.. {
        if said % TURNS_PER_SESSION == 0 {
            talk = Some(server.start_session());
            acknowledged.sessions.fetch_add(1, Ordering::SeqCst);
        }
        say(
            &talking,
            server,
            talk.as_ref().unwrap(),
            &format!("number {said}, and {}", "more of it ".repeat(20)),
        );
        acknowledged.turns.fetch_add(1, Ordering::SeqCst);
        wait_until(began, pace * u32::try_from(said + 1).unwrap());
        if stop.load(Ordering::Relaxed) {
            return;
        }
    }
}

/// How long the disk takes, on average, to keep a few bytes, beside all that goes on there; until told to stop.
fn mean_flush(stop: &AtomicBool) -> Duration {
    let file = tempfile::tempfile().unwrap();
    let (mut taken, mut flushes) = (Duration::ZERO, 0);
    while !stop.load(Ordering::Relaxed) {
        let began = Instant::now();
        file.write_all_at(b"a few bytes", 0).unwrap();
        file.sync_data().unwrap();
        (taken, flushes) = (taken + began.elapsed(), flushes + 1);
        std::thread::park_timeout(Duration::from_millis(200));
    }
    taken / flushes.max(1)
}

/// Waits until so long after `began`.
fn wait_until(began: Instant, due: Duration) {
    while began.elapsed() < due {
        std::thread::park_timeout(due.saturating_sub(began.elapsed()));
    }
}

/// One backup, restored elsewhere. Returns the sessions and turns it holds.
fn back_up_and_restore(house: &House, acknowledged: &Acknowledged) -> (u64, u64) {
    let (sessions, turns) = acknowledged.now();
    let made = house.maint(&["backup-db", "--keep", "3"]).expect(0).report;
    let elsewhere = House::new();
    let restored = elsewhere.maint(&["restore-db", made["path"].as_str().unwrap(), "--yes"]).expect(0).report;
    elsewhere.assert_sound();
    let found = elsewhere.content();
    assert!(
        found.sessions >= sessions && found.checkpoints >= turns,
        "{sessions} sessions and {turns} turns were confirmed before the backup, it holds {found:?}"
    );
    for report in [&made, &restored] {
        assert_eq!(
            (&report["sessions"], &report["checkpoints"]),
            (&found.sessions.into(), &found.checkpoints.into())
        );
    }
    (found.sessions, found.checkpoints)
}

#[test]
fn backups_taken_while_a_hundred_things_a_second_are_said_hold_all_that_was_confirmed() {
    let house = House::new();
    let server = house.start();
    let acknowledged = Acknowledged::default();
    let stop = AtomicBool::new(false);
    let lasting = Duration::from_secs(120) * rounds(1);
    let wanted = lasting.as_secs() * u64::from(WRITES_PER_SECOND);
    let began = Instant::now();
    let mut held = Vec::new();
    let flush = std::thread::scope(|scope| {
        let machine = scope.spawn(|| mean_flush(&stop));
        for _ in 0..WRITERS {
            scope.spawn(|| write(&server, &acknowledged, &stop));
        }
        let over = Over(&stop);
        // All of it is said, however slow the machine; by how much it may be slower is asserted below.
        while began.elapsed() < lasting || acknowledged.now().1 < wanted {
            held.push(back_up_and_restore(&house, &acknowledged));
            // Once a second, so that who writes gets on meanwhile.
            wait_until(began, Duration::from_secs(1) * u32::try_from(held.len()).unwrap());
        }
        drop(over);
        machine.join().unwrap()
    });
    let took = began.elapsed();
    let (sessions, turns) = acknowledged.now();
    let told = format!("{turns} turns in {sessions} sessions, {} backups restored", held.len());
    // Past the harness, which keeps what a test prints to itself.
    writeln!(std::io::stderr(), "{told}").unwrap();
    assert!(held.is_sorted_by(|a, b| a.0 <= b.0 && a.1 <= b.1), "rows went away: {held:?}");
    assert!(held.len() > 10, "too few backups: {}", held.len());
    // Three of four in time, where the disk keeps that pace: each is a flush, and meets one more while the log is emptied.
    let most = (lasting * 4 / 3).max(flush * 2 * u32::try_from(wanted).unwrap());
    assert!(
        turns >= wanted && took <= most,
        "{turns} writes of {wanted} took {took:?} and not {most:?}, a flush {flush:?}"
    );
    assert_eq!(back_up_and_restore(&house, &acknowledged), (sessions, turns), "and not one more");
    server.stop();
    house.assert_sound();
}
