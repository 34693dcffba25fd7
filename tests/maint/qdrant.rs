//! Memories and their copy in Qdrant: whatever happens to the server, to Qdrant and beside them, in the end the two agree, one by one.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use companion::adapters::qdrant::Qdrant;
use companion::adapters::upstream::BreakerSettings;
use companion::config::QdrantConfig;
use companion::domain::clock::Timestamp;
use companion::domain::memory::MemoryId;
use companion::domain::memory::copy::{Edition, MemoryCopy, Point};
use companion::domain::memory::words::terms;
use serde_json::{Value, json};

use crate::kills::times;
use crate::qdrant_server::{Bridge, State};
use crate::support::dice::{Dice, Kills, some_time};
use crate::support::seed::{self, DAY};
use crate::support::{House, Server, Talk, agent, wait_for};

fn config(url: &str) -> QdrantConfig {
    QdrantConfig { base: url.parse().unwrap(), key: None, collection: "companion_memories".to_owned() }
}

/// Qdrant, asked by the test itself.
struct Asked {
    copy: std::sync::Arc<Qdrant>,
    runtime: tokio::runtime::Runtime,
}

impl Asked {
    fn at(url: &str) -> Self {
        let settings = BreakerSettings { threshold: 1000, recovery: Duration::from_secs(1) };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Self { copy: Qdrant::new(&config(url), settings).unwrap(), runtime }
    }

    /// What it holds.
    fn ids(&self) -> Vec<MemoryId> {
        let (held, next) = self.runtime.block_on(self.copy.page(None, 10_000)).unwrap();
        assert_eq!(next, None);
        held.iter().map(|copied| copied.id).collect()
    }

    fn change(&self, put: Vec<Point>, gone: Vec<MemoryId>) {
        self.runtime.block_on(self.copy.change(put, gone)).unwrap();
    }
}

/// A point of nobody here.
fn ghost(text: &str) -> Point {
    let id = MemoryId::random();
    Point::new((id, id, Timestamp::from_millis(1)), &terms(text), &[], None)
}

pub fn remember(server: &Server, talk: &Talk, text: &str) -> Option<String> {
    let url = format!("{}/api/v1/memories", server.url);
    let body = json!({"text": text, "source": "diary"});
    let mut sent = agent().post(url).header("x-companion-person", &talk.token).send_json(body).ok()?;
    let body: Value = sent.body_mut().read_json().ok()?;
    body["id"].as_str().map(str::to_owned)
}

fn ask(server: &Server, talk: &Talk, method: &str, id: &str, body: &Value) -> Option<u16> {
    let request = ureq::http::Request::builder()
        .method(method)
        .uri(format!("{}/api/v1/memories/{id}", server.url))
        .header("x-companion-person", &talk.token)
        .header("content-type", "application/json");
    agent().run(request.body(body.to_string()).unwrap()).ok().map(|answer| answer.status().as_u16())
}

fn found(server: &Server, talk: &Talk, asked: &str) -> Vec<String> {
    let url = format!("{}/api/v1/memories?q={asked}&limit=100", server.url);
    let mut answer = agent().get(url).header("x-companion-person", &talk.token).call().unwrap();
    let body: Value = answer.body_mut().read_json().unwrap();
    let memories = body["memories"].as_array().unwrap().iter();
    memories.map(|memory| memory["text"].as_str().unwrap().to_owned()).collect()
}

fn waiting(house: &House) -> u64 {
    let db = house.db();
    db.busy_timeout(Duration::from_secs(10)).unwrap();
    let sql = "SELECT (SELECT count(*) FROM memory_outbox)
        + (SELECT generation IS NULL OR copied_until IS NOT NULL FROM memory_copy)";
    db.query_row(sql, [], |row| row.get(0)).unwrap()
}

#[track_caller]
fn carried(house: &House) {
    wait_for("all is carried", || waiting(house) == 0);
}

fn house_with(url: &str) -> House {
    let house = House::new().with("QDRANT_URL", url);
    house.start().stop();
    seed::sign_of_life(&mut house.db());
    for job in ["cleanup-audio", "cleanup-sessions", "backup-db"] {
        house.maint(&[job]).expect(0);
    }
    house
}

/// What somebody has remembered and forgotten, as far as the server confirmed it; what was under way when it was killed is in
/// `unsure`.
#[derive(Default)]
struct Told {
    kept: Vec<(String, String)>,
    gone: Vec<String>,
    unsure: Vec<String>,
}

/// Adds, corrects and forgets by chance; words are used once, so that what is forgotten can be looked for.
fn live_on(server: &Server, talk: &Talk, told: &mut Told, dice: &mut Dice, word: u64) {
    let text = format!("word{word} about tea");
    let some = (!told.kept.is_empty()).then(|| dice.below(told.kept.len() as u64) as usize);
    match (dice.below(3), some) {
        (1, Some(some)) => {
            let (id, before) = told.kept[some].clone();
            match ask(server, talk, "PATCH", &id, &json!({"text": text})) {
                Some(200) => {
                    told.kept[some].1 = text;
                    told.gone.push(before);
                }
                _ => {
                    told.kept.swap_remove(some);
                    told.unsure.extend([before, text]);
                }
            }
        }
        (2, Some(some)) => {
            let (id, before) = told.kept.swap_remove(some);
            match ask(server, talk, "DELETE", &id, &json!({})) {
                Some(204) => told.gone.push(before),
                _ => told.unsure.push(before),
            }
        }
        _ => match remember(server, talk, &text) {
            Some(id) => told.kept.push((id, text)),
            None => told.unsure.push(text),
        },
    }
}

#[test]
fn killed_servers_and_a_qdrant_that_comes_and_goes_agree_in_the_end() {
    let qdrant = Bridge::start();
    let line = qdrant.line();
    let house = house_with(&line.url());
    let mut dice = Dice::new("killed_servers_with_qdrant");
    let mut server = house.start();
    let talk = server.start_session();
    let (stop, mut weather) = (AtomicBool::new(false), Dice::new("weather"));
    let mut told = Told::default();
    std::thread::scope(|scope| {
        let changing = scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                let state = [State::Up, State::Up, State::Down, State::Hung][weather.below(4) as usize];
                line.set(state);
                some_time(&mut weather, 400_000);
            }
        });
        let mut word = 0;
        for _ in 0..times("companion, with Qdrant") {
            for _ in 0..dice.below(12) {
                word += 1;
                live_on(&server, &talk, &mut told, &mut dice, word);
            }
            // At a random moment of one more change.
            let until = dice.below(30_000) + 1;
            word += 1;
            let alive = &server;
            std::thread::scope(|scope| {
                scope.spawn(move || {
                    some_time(&mut Dice::new("kill"), until);
                    alive.kill_now();
                });
                live_on(alive, &talk, &mut told, &mut dice, word);
            });
            server = house.start();
        }
        stop.store(true, Ordering::Relaxed);
        changing.join().unwrap();
    });
    line.set(State::Up);
    carried(&house);
    house.maint(&["doctor"]).expect(0);
    let copy = Asked::at(&qdrant.url());
    let (mut there, mut here) = (copy.ids(), kept_ids(&house));
    there.sort_unstable();
    here.sort_unstable();
    assert_eq!(there, here, "id by id");
    assert!(line.taken() > 5, "it has come and gone");
    assert!(line.most_open() <= 32, "of two servers at most, one of which was killed");
    assert!(!line.was_sent(b"about tea"), "no word goes there");
    assert!(told.kept.len() + told.gone.len() > 20, "too little happened for the kills to mean anything");
    for (_, text) in &told.kept {
        let word = text.split(' ').next().unwrap();
        assert!(found(&server, &talk, word).contains(text), "{text}");
    }
    for text in &told.gone {
        let word = text.split(' ').next().unwrap();
        assert!(!found(&server, &talk, word).contains(text), "{text}");
    }
    server.stop();
    house.assert_sound();
}

fn kept_ids(house: &House) -> Vec<MemoryId> {
    let db = house.db();
    let mut statement = db.prepare("SELECT public_id FROM memories WHERE superseded_at IS NULL").unwrap();
    let ids = statement.query_map([], |row| row.get(0).map(MemoryId::from_bytes)).unwrap();
    ids.map(Result::unwrap).collect()
}

/// The ids of a house with so many memories, all of which are carried.
fn lived_in(house: &House, memories: usize) -> Talk {
    let server = house.start();
    let talk = server.start_session();
    for number in 0..memories {
        remember(&server, &talk, &format!("Number {number} is about tea")).unwrap();
    }
    carried(house);
    server.stop();
    talk
}

fn findings(report: &Value) -> Vec<String> {
    let findings = report["findings"].as_array().unwrap().iter();
    let of_copy = findings.filter(|finding| finding["check"] == "memory-copy");
    of_copy.map(|finding| finding["found"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn doctor_compares_one_by_one_and_mends_with_a_server_and_without() {
    let qdrant = Bridge::start();
    let house = house_with(&qdrant.url());
    lived_in(&house, 20);
    house.maint(&["doctor"]).expect(0);
    let copy = Asked::at(&qdrant.url());
    for with_server in [false, true] {
        let server = with_server.then(|| house.start());
        let ids = copy.ids();
        let changed = Point { id: ids[1], ..ghost("something else") };
        copy.change(vec![ghost("of nobody"), changed], vec![ids[0]]);
        let report = house.maint(&["doctor"]).expect(3).report;
        let mut told = findings(&report);
        told.sort_unstable();
        let expected = [
            "is in Qdrant and is not to be found here",
            "is in Qdrant otherwise than here",
            "is not in Qdrant",
        ];
        assert_eq!(told, expected, "{report}");
        let report = house.maint(&["doctor", "--repair"]).expect(0).report;
        assert_eq!(report["repaired_count"], 3, "{report}");
        house.maint(&["doctor"]).expect(0);
        let (mut there, mut here) = (copy.ids(), kept_ids(&house));
        there.sort_unstable();
        here.sort_unstable();
        assert_eq!(there, here);
        drop(server);
    }
}

/// The SQL of a vector with so many numbers.
fn vector(numbers: usize, last: u8) -> String {
    format!("x'{}0000{last:02x}3f'", "0000803f".repeat(numbers - 1))
}

#[test]
fn vectors_of_meanings_are_copied_and_compared_one_by_one() {
    let qdrant = Bridge::start();
    let house = house_with(&qdrant.url());
    lived_in(&house, 5);
    let of_meanings = format!(
        "INSERT INTO embedding_models (name) VALUES ('one');
         UPDATE memories SET embedded = 1;
         INSERT INTO memory_vectors SELECT id, 1, {} FROM memories WHERE id < 4",
        vector(3, 0x80)
    );
    house.db().execute_batch(&of_meanings).unwrap();
    let report = house.maint(&["doctor"]).expect(3).report;
    assert_eq!(findings(&report), ["the copy of the index of memories is not whole"], "the first vectors");
    house.maint(&["doctor", "--repair"]).expect(0);
    let of_another = format!("INSERT INTO memory_vectors VALUES (4, 1, {})", vector(3, 0x80));
    house.db().execute_batch(&of_another).unwrap();
    assert_eq!(waiting(&house), 1, "a vector that comes later is carried by itself");
    let server = house.start();
    carried(&house);
    server.stop();
    house.maint(&["doctor"]).expect(0);
    let otherwise = format!("UPDATE memory_vectors SET vector = {} WHERE memory_id = 2", vector(3, 0x40));
    house.db().execute_batch(&otherwise).unwrap();
    let report = house.maint(&["doctor"]).expect(3).report;
    assert_eq!(findings(&report), ["is in Qdrant otherwise than here"], "{report}");
    house.maint(&["doctor", "--repair"]).expect(0);
    // Whoever makes them says more now, and still calls itself the same.
    let longer = format!("UPDATE memory_vectors SET vector = {}", vector(4, 0x80));
    house.db().execute_batch(&longer).unwrap();
    let ran = house.maint(&["doctor"]).expect(3);
    ran.tells("with 3 dimensions, those made now have 4").tells("reindex-memories");
    let server = house.start();
    house.maint(&["reindex-memories", "--only", "qdrant"]).expect(0);
    house.maint(&["doctor"]).expect(0);
    server.stop();
}

#[test]
fn doctor_says_what_to_do_when_qdrant_is_away() {
    let qdrant = Bridge::start();
    let line = qdrant.line();
    let house = house_with(&line.url());
    lived_in(&house, 3);
    line.set(State::Down);
    let ran = house.maint(&["doctor"]).expect(3);
    assert!(findings(&ran.report)[0].contains("cannot be reached"), "{}", ran.report);
    house
        .db()
        .execute_batch("DELETE FROM memories WHERE id = 1; UPDATE memory_outbox SET noted_at = 0")
        .unwrap();
    let ran = house.maint(&["doctor"]).expect(3);
    assert!(findings(&ran.report).iter().any(|found| found.contains("1 changes wait")), "{}", ran.report);
    line.set(State::Up);
    house.start().stop();
    let server = house.start();
    carried(&house);
    server.stop();
    house.maint(&["doctor"]).expect(0);
}

#[test]
fn both_indexes_are_made_anew_with_a_server_and_without() {
    let qdrant = Bridge::start();
    let house = house_with(&qdrant.url());
    let talk = lived_in(&house, 30);
    let copy = Asked::at(&qdrant.url());
    for with_server in [false, true] {
        let server = with_server.then(|| house.start());
        copy.change(vec![ghost("of nobody")], copy.ids()[..5].to_vec());
        house.db().execute("UPDATE memory_words SET words = x'' WHERE memory_id < 10", []).unwrap();
        let tried = house.maint(&["reindex-memories", "--dry-run"]).expect(0).report;
        assert_eq!((&tried["indexed"], &tried["copied"]), (&30.into(), &30.into()));
        assert_eq!(copy.ids().len(), 26, "nothing was changed");
        let done = house.maint(&["reindex-memories"]).expect(0).report;
        assert_eq!((&done["indexed"], &done["copied"]), (&30.into(), &30.into()), "{done}");
        assert_eq!(done["copied_by_server"], with_server);
        assert_eq!(copy.ids().len(), 30);
        house.maint(&["doctor"]).expect(0);
        drop(server);
    }
    let server = house.start();
    assert_eq!(found(&server, &talk, "tea").len(), 30);
    server.stop();
    house.db().execute("UPDATE memory_words SET words = x'' WHERE memory_id < 10", []).unwrap();
    let only = house.maint(&["reindex-memories", "--only", "embedded"]).expect(0).report;
    assert_eq!((&only["indexed"], &only["copy"]), (&30.into(), &Value::Null));
    house.maint(&["doctor"]).expect(0);
}

#[test]
fn a_reindex_that_cannot_be_done_says_why_and_harms_nothing() {
    let qdrant = Bridge::start();
    let line = qdrant.line();
    let house = house_with(&line.url());
    lived_in(&house, 5);
    line.set(State::Down);
    house.maint(&["reindex-memories", "--only", "qdrant"]).expect(1).tells("cannot be reached");
    line.set(State::Up);
    house.maint(&["doctor"]).expect(0);
    let copy = Asked::at(&qdrant.url());
    let edition = Edition { generation: [1; 16], dimensions: None };
    copy.runtime.block_on(copy.copy.begin([9; 16], edition, true)).unwrap();
    let ran = house.maint(&["reindex-memories", "--only", "qdrant"]).expect(4);
    ran.tells("not of this store");
    assert_eq!(copy.ids().len(), 0, "it was left as it is");
    let server = house.start();
    house.maint(&["reindex-memories", "--only", "qdrant", "--force"]).expect(4).tells("stop it first");
    server.stop();
    house.maint(&["reindex-memories", "--only", "qdrant", "--force"]).expect(0);
    assert_eq!(copy.ids().len(), 5);
    let without = House::built();
    without.maint(&["reindex-memories", "--only", "qdrant"]).expect(2).tells("QDRANT_URL");
    let with_rest = House::built().with("QDRANT_URL", "http://127.0.0.1:6333");
    with_rest.maint(&["status"]).expect(2).tells("REST port").tells("6334");
}

#[test]
fn what_jobs_without_qdrant_delete_reaches_it_with_a_server_and_without() {
    let qdrant = Bridge::start();
    let mut house = house_with(&qdrant.url()).with("MEMORY_RETENTION_DAYS", "30");
    let talk = lived_in(&house, 10);
    let copy = Asked::at(&qdrant.url());
    for with_server in [true, false] {
        let server = with_server.then(|| house.start());
        let old = format!(
            "UPDATE memories SET changed_at = changed_at - {} WHERE id IN (SELECT id FROM memories LIMIT 3)",
            31 * DAY
        );
        let db = house.db();
        db.busy_timeout(Duration::from_secs(10)).unwrap();
        db.execute_batch(&old).unwrap();
        drop(db);
        // As a container without a network runs it.
        house = house.with("QDRANT_URL", "");
        assert_eq!(house.maint(&["cleanup-sessions"]).expect(0).report["memories_deleted"], 3);
        house = house.with("QDRANT_URL", &qdrant.url());
        let server = server.unwrap_or_else(|| house.start());
        carried(&house);
        let (mut there, mut here) = (copy.ids(), kept_ids(&house));
        there.sort_unstable();
        here.sort_unstable();
        assert_eq!(there, here);
        server.stop();
    }
    let server = house.start();
    assert_eq!(found(&server, &talk, "tea").len(), 4);
    crate::erasures::forget(&server, &talk);
    carried(&house);
    assert_eq!(copy.ids().len(), 0, "who is erased is erased there, too");
    server.stop();
}

#[test]
fn after_a_restore_the_copy_is_begun_anew() {
    let qdrant = Bridge::start();
    let house = house_with(&qdrant.url());
    let talk = lived_in(&house, 5);
    house.maint(&["backup-db", "--force"]).expect(0);
    let server = house.start();
    for number in 5..10 {
        remember(&server, &talk, &format!("Number {number} is about tea")).unwrap();
    }
    carried(&house);
    server.stop();
    house.maint(&["restore-db", "latest", "--yes"]).expect(0);
    let server = house.start();
    carried(&house);
    let copy = Asked::at(&qdrant.url());
    let (mut there, mut here) = (copy.ids(), kept_ids(&house));
    there.sort_unstable();
    here.sort_unstable();
    assert_eq!((there.len(), there), (5, here));
    assert_eq!(found(&server, &talk, "tea").len(), 5);
    server.stop();
    house.maint(&["doctor"]).expect(0);
}

#[test]
fn killed_reindexing_is_finished_by_the_next_one() {
    let qdrant = Bridge::start();
    let house = house_with(&qdrant.url());
    lived_in(&house, 300);
    let command = || house.maint_command(&["reindex-memories"]);
    let mut kills = Kills::of(("reindex-memories", times("reindex-memories")), || {}, command);
    while let Some(round) = kills.next() {
        kills.kill(command().spawn().unwrap());
        if round % 5 == 0 {
            house.maint(&["doctor", "--repair"]).expect(0);
            house.maint(&["doctor"]).expect(0);
        }
    }
    kills.assert_met();
    house.maint(&["reindex-memories"]).expect(0);
    house.maint(&["doctor"]).expect(0);
    assert_eq!(Asked::at(&qdrant.url()).ids().len(), 300);
    house.assert_sound();
}
