//! What is remembered outlives conversations, backups and restores, and nothing else.

use serde_json::{Value, json};

use crate::erasures::forget;
use crate::kills::times;
use crate::support::dice::{Dice, some_time};
use crate::support::seed::{self, DAY, HOUR};
use crate::support::{House, Server, Talk, agent, wait_for};

fn remember(server: &Server, talk: &Talk, text: &str) {
    let url = format!("{}/api/v1/memories", server.url);
    let sent = agent().post(url).header("x-companion-person", &talk.token).send_json(json!({"text": text}));
    assert_eq!(sent.unwrap().status(), 201);
}

fn found(server: &Server, talk: &Talk, asked: &str) -> Vec<String> {
    let url = format!("{}/api/v1/memories?q={asked}", server.url);
    let mut answer = agent().get(url).header("x-companion-person", &talk.token).call().unwrap();
    let body: Value = answer.body_mut().read_json().unwrap();
    let memories = body["memories"].as_array().unwrap().iter();
    memories.map(|memory| memory["text"].as_str().unwrap().to_owned()).collect()
}

/// The files that hold the word, backups left out: they are compressed anyway.
fn holding(house: &House, word: &str) -> Vec<String> {
    let holds = |file: &std::path::PathBuf| {
        String::from_utf8_lossy(&std::fs::read(file).unwrap_or_default()).contains(word)
    };
    house.files().iter().filter(|file| holds(file)).map(|file| file.display().to_string()).collect()
}

#[test]
fn a_restore_brings_memories_back_but_not_of_those_who_were_erased() {
    let house = House::built();
    let server = house.start();
    let (gone, stays) = (server.start_session(), server.start_session());
    remember(&server, &gone, "My dog is called Quincunx");
    remember(&server, &stays, "My cat is called Xylograph");
    remember(&server, &stays, "I live in Porto");
    let status = house.maint(&["status"]).expect(0).report;
    assert_eq!(status["memories"], 3);
    let made = house.maint(&["backup-db"]).expect(0).report;
    assert_eq!(made["memories"], 3);
    forget(&server, &gone);
    remember(&server, &stays, "This comes after the backup");
    let drill = house.maint(&["verify-backups", "--restore-drill"]).expect(0).report;
    assert_eq!(drill["drill"]["memories"], 2);
    assert_eq!(house.maint(&["list-backups"]).expect(0).report["backups"][0]["memories"], 3);
    server.stop();
    let report = house.maint(&["restore-db", "latest", "--yes"]).expect(0).report;
    assert_eq!((&report["memories"], &report["erased_again"]), (&3.into(), &1.into()));
    let aside = report["set_aside"].as_str().unwrap();
    std::fs::remove_dir_all(aside).or_else(|_| std::fs::remove_file(aside)).unwrap();
    assert_eq!(holding(&house, "Quincunx"), Vec::<String>::new());
    let server = house.start();
    assert_eq!(found(&server, &stays, "cat"), ["My cat is called Xylograph"]);
    assert!(found(&server, &stays, "backup").is_empty());
    server.stop();
    assert_eq!(house.content().memories, 2);
    house.assert_sound();
}

/// As a release found it that did not know letters and their marks for one.
#[test]
fn what_an_earlier_release_indexed_otherwise_is_told_by_doctor_and_found_once_it_is_indexed_again() {
    let house = House::built();
    let server = house.start();
    let talk = server.start_session();
    remember(&server, &talk, "My sister is Zoe\u{308}");
    let words = companion::domain::memory::words::terms("My sister is Zoe");
    let words: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    house.db().execute("UPDATE memory_words SET words = ?1", [words]).unwrap();
    assert!(found(&server, &talk, "Zo%C3%AB").is_empty());
    house.maint(&["doctor"]).expect(3).tells("is not found by what it says");
    house.maint(&["reindex-memories"]).expect(0);
    assert_eq!(found(&server, &talk, "Zo%C3%AB"), ["My sister is Zoe\u{308}"]);
    let findings = house.maint(&["doctor"]).report["findings"].clone();
    assert!(findings.as_array().unwrap().iter().all(|finding| finding["check"] != "memories"), "{findings}");
    server.stop();
}

#[test]
fn an_expired_conversation_leaves_what_was_learned_in_it_without_its_link() {
    let house = House::built();
    let mut db = house.db();
    let session = seed::sessions(&mut db, 1, 2, seed::now() - 8 * DAY)[0];
    db.execute_batch("UPDATE persons SET last_seen_at = last_seen_at + 8 * 86400000").unwrap();
    seed::sign_of_life(&mut db);
    let learned = "INSERT INTO memories (public_id, person_id, session_id, thread, text, said_at, created_at, changed_at)
        SELECT randomblob(16), person_id, id, 7, 'tea', 1, 1, 1 FROM sessions WHERE public_id = ?1";
    db.execute(learned, [session.as_bytes()]).unwrap();
    let report = house.maint(&["cleanup-sessions"]).expect(0).report;
    assert_eq!((&report["sessions_deleted"], &report["memories_deleted"]), (&1.into(), &0.into()));
    let left = db.query_row("SELECT text, session_id, thread FROM memories", [], |row| {
        Ok((row.get::<_, String>(0)?, row.get::<_, Option<i64>>(1)?, row.get::<_, i64>(2)?))
    });
    assert_eq!(left.unwrap(), ("tea".to_owned(), None, 7));
    drop(db);
    house.assert_sound();
}

#[test]
fn memories_go_by_their_age_when_that_is_set_and_with_people_who_stay_away() {
    let house = House::built().with("MEMORY_RETENTION_DAYS", "30").with("PERSON_RETENTION_DAYS", "100");
    let server = house.start();
    let (talk, away) = (server.start_session(), server.start_session());
    for number in 0..120 {
        remember(&server, &talk, &format!("Old fact {number} about Quincunx"));
    }
    remember(&server, &talk, "A new fact about tea");
    remember(&server, &away, "I went away");
    server.stop();
    let db = house.db();
    db.execute_batch(&format!(
        "PRAGMA secure_delete = ON;
         UPDATE memories SET changed_at = changed_at - {} WHERE text LIKE 'Old%';
         UPDATE persons SET last_seen_at = last_seen_at - {} WHERE id = 2;
         UPDATE sessions SET last_active_at = last_active_at - {} WHERE person_id = 2",
        31 * DAY,
        101 * DAY,
        101 * DAY
    ))
    .unwrap();
    let dry = house.maint(&["cleanup-sessions", "--dry-run"]).expect(0).report;
    let done = house.maint(&["cleanup-sessions"]).expect(0).report;
    assert_eq!((&done["memories_deleted"], &done["persons_erased"]), (&121.into(), &1.into()));
    assert_eq!(dry["memories_deleted"], done["memories_deleted"]);
    assert_eq!(house.content().memories, 1);
    assert_eq!(holding(&house, "Quincunx"), Vec::<String>::new());
    let server = house.start();
    assert_eq!(found(&server, &talk, "fact"), ["A new fact about tea"]);
    server.stop();
    house.assert_sound();
    let off = House::built();
    seed::sessions(&mut off.db(), 1, 1, seed::now() - HOUR);
    let sql = "INSERT INTO memories (public_id, person_id, text, said_at, created_at, changed_at)
        VALUES (randomblob(16), 1, 'tea', 1, 1, 1)";
    off.db().execute(sql, []).unwrap();
    assert_eq!(off.maint(&["cleanup-sessions"]).expect(0).report["memories_deleted"], 0);
}

/// True when it was answered.
fn tell(server: &Server, talk: &Talk, message: &str) -> bool {
    let request =
        agent().post(format!("{}/api/v1/chat", server.url)).header("x-companion-person", &talk.token);
    let sent = request.send_json(json!({"session_id": talk.session, "message": message}));
    sent.is_ok_and(|answer| answer.status() == 200)
}

#[test]
fn what_was_told_is_learned_once_however_often_the_server_is_killed() {
    let house = House::new().with("RATE_LIMIT_ENABLED", "false");
    let mut server = house.start();
    let talk = server.start_session();
    let mut dice = Dice::new("killed_while_learning");
    let (mut number, mut answered) = (0, Vec::new());
    for _ in 0..times("companion, learning") {
        // It dies while it learns of this one, or is told the next ones.
        let (alive, until) = (&server, dice.below(40_000) + 1);
        number += 1;
        answered.push(format!("I like fruit{number}"));
        assert!(tell(alive, &talk, &answered[answered.len() - 1]));
        std::thread::scope(|scope| {
            scope.spawn(move || {
                some_time(&mut Dice::new("kill"), until);
                alive.kill_now();
            });
            loop {
                number += 1;
                let message = format!("I like fruit{number}");
                if !tell(alive, &talk, &message) {
                    break;
                }
                answered.push(message);
            }
        });
        server = house.start();
    }
    let db = house.db();
    db.busy_timeout(std::time::Duration::from_secs(10)).unwrap();
    let waiting = || db.query_row("SELECT count(*) FROM to_learn", [], |row| row.get::<_, u64>(0)).unwrap();
    wait_for("it is learned", || waiting() == 0);
    let all = "SELECT coalesce(group_concat(text, '|'), '') FROM memories";
    let learned: String = db.query_row(all, [], |row| row.get(0)).unwrap();
    drop(db);
    let mut learned: Vec<&str> = learned.split('|').collect();
    let mut kept = server.history(&talk);
    learned.sort_unstable();
    kept.sort_unstable();
    assert_eq!(learned, kept, "of every turn that was kept, once");
    assert!(answered.iter().all(|message| kept.contains(message)));
    server.stop();
    house.assert_sound();
}
