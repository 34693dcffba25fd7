//! A file system with no byte free: conversations are refused, cleanup still frees space, all heals by itself.

use std::io::Write;
use std::os::unix::fs::MetadataExt;

use serde_json::{Value, json};

use crate::support::seed::{self, DAY, HOUR};
use crate::support::{House, Mounted, Server, Talk, agent, names, wait_for};

/// Fills the file system to its last byte.
pub fn fill(place: &std::path::Path) -> std::path::PathBuf {
    let path = place.join("filler");
    let mut file = std::fs::File::create(&path).unwrap();
    for size in [1 << 20, 4096, 1] {
        while file.write_all(&vec![1; size]).is_ok() {}
    }
    path
}

/// Takes the filler away. First of all its bytes: those of a file that somebody has open stay taken, and every process
/// that is started has all files open for a moment.
pub fn give_back(filler: &std::path::Path) {
    std::fs::File::options().write(true).open(filler).unwrap().set_len(0).unwrap();
    std::fs::remove_file(filler).unwrap();
}

/// What had been set aside for the log is still used up; after that every turn is refused. Returns how many were kept.
fn talk_until_full(server: &Server, talk: &Talk) -> usize {
    let message = "long ".repeat(1600);
    for kept in 0..45 {
        let (status, body) = server.say(talk, &message);
        if status != 200 {
            assert_eq!((status, &body["error"]), (507, &"insufficient_storage".into()), "{body}");
            assert_eq!(server.say(talk, &message).0, 507);
            return kept;
        }
    }
    panic!("the disk is full and yet 45 long turns were kept");
}

#[test]
fn a_disk_that_sets_no_space_aside_has_a_reserve_all_the_same() {
    let Some(disk) = Mounted::old_disk("128M") else { return };
    let house = House::at(disk.path().join("data"));
    let server = house.start();
    let meta = house.dir.join("reserve").metadata().unwrap();
    assert!(meta.blocks() * 512 >= 32 << 20, "{} blocks", meta.blocks());
    server.stop();
    assert_eq!(house.maint(&["doctor"]).expect(0).report["findings"], json!([]));
}

#[test]
fn conversations_get_507_cleanup_frees_space_and_all_heals_by_itself() {
    let mounted = Mounted::small_disk("64m");
    let house = House::at(mounted.path().join("data"));
    let server = house.start();
    let talk = server.start_session();
    assert_eq!(server.say(&talk, "hello").0, 200);
    let mut db = house.db();
    let ids = seed::sessions(&mut db, 400, 20, seed::now() - 8 * DAY);
    seed::audio(&db, ids[0], &house.dir.join("audio"), 300_000, 2 * DAY);
    // So that the log is small when the disk is full.
    db.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    drop(db);
    fill(mounted.path());

    let kept = talk_until_full(&server, &talk);
    assert_eq!(server.history(&talk).len(), 1 + kept, "reading goes on, and what was refused was not kept");
    let audio = house.maint(&["cleanup-audio"]).expect(0).report;
    assert_eq!(audio["files_deleted"], 1);
    fill(&house.dir);
    let cleaned = house.maint(&["cleanup-sessions"]).expect(0).report;
    assert_eq!(cleaned["sessions_deleted"], 400);
    assert!(cleaned["bytes_reclaimed"].as_u64().unwrap() > 1_000_000, "{cleaned}");
    let (status, body) = server.say(&talk, "and now");
    assert_eq!(status, 200, "{body}");
    assert_eq!(server.history(&talk).len(), 2 + kept);
    server.stop();
    house.assert_sound();
}

#[test]
fn cleanup_frees_space_with_no_byte_free_and_no_server() {
    let mounted = Mounted::small_disk("64m");
    let house = House::at(mounted.path().join("data"));
    house.start().stop();
    let mut db = house.db();
    let ids = seed::sessions(&mut db, 400, 20, seed::now() - 8 * DAY);
    seed::audio(&db, ids[0], &house.dir.join("audio"), 300_000, 2 * DAY);
    seed::sign_of_life(&mut db);
    drop(db);
    fill(mounted.path());
    assert_eq!(house.maint(&["cleanup-audio"]).expect(0).report["files_deleted"], 1);
    fill(&house.dir);
    let cleaned = house.maint(&["cleanup-sessions"]).expect(0).report;
    assert_eq!(cleaned["sessions_deleted"], 400);
    assert!(cleaned["bytes_reclaimed"].as_u64().unwrap() > 1_000_000, "{cleaned}");
    house.assert_sound();
}

#[test]
fn cleanup_of_audio_frees_space_with_no_byte_free_no_server_and_no_reserve() {
    for killed in [false, true] {
        let mounted = Mounted::small_disk("64m");
        let house = House::at(mounted.path().join("data"));
        let server = house.start();
        let talk = server.start_session();
        assert_eq!(server.say(&talk, "hello").0, 200);
        // What is in the log alone is seen too.
        if killed {
            server.kill()
        } else {
            server.stop()
        }
        let mut db = house.db();
        let ids = seed::sessions(&mut db, 400, 20, seed::now() - 8 * DAY);
        seed::audio(&db, ids[0], &house.dir.join("audio"), 300_000, 2 * DAY);
        drop(db);
        std::fs::remove_file(house.dir.join("reserve")).unwrap();
        let filler = fill(mounted.path());
        let told = house.maint(&["cleanup-sessions"]).expect(1).error();
        assert!(told.contains("no space left") && told.contains("cleanup-audio"), "{told}");
        assert_eq!(house.maint(&["cleanup-audio"]).expect(0).report["files_deleted"], 1);
        let rows = "SELECT (SELECT count(*) FROM audio) + (SELECT count(*) FROM checkpoints WHERE audio_id IS NOT NULL)";
        assert_eq!(house.db().query_row(rows, [], |row| row.get::<_, u32>(0)).unwrap(), 0);
        let recorded =
            "SELECT count(*) FROM maintenance_runs WHERE job = 'cleanup-audio' AND outcome = 'succeeded'";
        assert_eq!(house.db().query_row(recorded, [], |row| row.get::<_, u32>(0)).unwrap(), 1);
        give_back(&filler);
        assert_eq!(house.maint(&["cleanup-sessions"]).expect(0).report["sessions_deleted"], 400);
        assert_eq!(std::fs::metadata(house.dir.join("reserve")).unwrap().len(), 32 * 1024 * 1024);
        house.assert_sound();
    }
}

#[test]
fn status_tells_what_there_is_with_no_byte_free_and_no_server() {
    let mounted = Mounted::small_disk("64m");
    let house = House::at(mounted.path().join("data"));
    house.start().stop();
    seed::sessions(&mut house.db(), 30, 2, seed::now() - seed::HOUR);
    let filler = fill(mounted.path());
    let told = house.maint(&["status"]).expect(0).report;
    assert_eq!(
        (&told["sessions"], &told["checkpoints"], &told["disk"]["free_bytes"]),
        (&30.into(), &60.into(), &0.into())
    );
    let text = house.maint_command(&["status"]).output().unwrap();
    let text = String::from_utf8(text.stdout).unwrap();
    assert!(text.contains("0 B free, 32.0 MiB kept in reserve") && text.contains("30 sessions"), "{text}");
    give_back(&filler);
    house.assert_sound();
}

/// A house whose database lies on a small disk of its own.
fn house_with_database_elsewhere(mounted: &Mounted) -> (House, std::path::PathBuf) {
    let database = mounted.path().join("db/companion.db");
    (House::new().with("SHORT_TERM_MEMORY_DB_PATH", database.to_str().unwrap()), database)
}

#[test]
fn a_database_on_a_full_disk_of_its_own_can_be_erased_from_and_cleaned() {
    let mounted = Mounted::small_disk("64m");
    let (house, database) = house_with_database_elsewhere(&mounted);
    let server = house.start();
    let talk = server.start_session();
    assert_eq!(server.say(&talk, "forget me").0, 200);
    #[expect(clippy::disallowed_methods, reason = "a test looks at what is there")]
    let mut db = rusqlite::Connection::open(&database).unwrap();
    seed::sessions(&mut db, 400, 20, seed::now() - 8 * DAY);
    db.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    drop(db);
    fill(mounted.path());
    let url = format!("{}/api/v1/me", server.url);
    let answer = agent().delete(url).header("x-companion-person", &talk.token).call().unwrap();
    assert_eq!(answer.status(), 200);
    server.stop();

    give_back(&mounted.path().join("filler"));
    let server = house.start();
    assert_eq!(server.say(&server.start_session(), "hello").0, 200);
    server.stop();
    let reserve = mounted.path().join("db/.companion-reserve");
    assert_eq!(std::fs::metadata(&reserve).unwrap().len(), 32 * 1024 * 1024);
    let of_house = std::fs::metadata(house.dir.join("reserve")).unwrap().len();
    assert_eq!(of_house, 32 * 1024 * 1024, "who is erased is noted there");
    fill(mounted.path());
    assert_eq!(house.maint(&["cleanup-sessions"]).expect(0).report["sessions_deleted"], 400);
    assert_eq!(std::fs::metadata(&reserve).unwrap().len(), 32 * 1024 * 1024);
    let doctor = house.maint(&["doctor"]).report;
    let found = doctor["findings"].as_array().unwrap();
    assert!(found.iter().all(|finding| finding["check"] == "overdue"), "{found:?}");
}

#[test]
fn erasing_works_with_no_byte_free() {
    let mounted = Mounted::small_disk("64m");
    let house = House::at(mounted.path().join("data"));
    let server = house.start();
    let talk = server.start_session();
    assert_eq!(server.say(&talk, "forget me").0, 200);
    fill(mounted.path());
    let url = format!("{}/api/v1/sessions/{}", server.url, talk.session);
    let answer = agent().delete(url).header("x-companion-person", &talk.token).call().unwrap();
    assert_eq!(answer.status(), 204);
    server.stop();
    house.assert_sound();
}

#[test]
fn a_backup_that_does_not_fit_leaves_nothing_and_touches_nothing() {
    let mounted = Mounted::small_disk("80m");
    let house = House::at(mounted.path().join("data"));
    house.start().stop();
    seed::sessions(&mut house.db(), 200, 20, seed::now() - seed::HOUR);
    house.maint(&["backup-db"]).expect(0);
    let before = house.backups();
    let filler = fill(mounted.path());
    let ran = house.maint(&["backup-db"]).expect(1);
    assert!(ran.error().contains("space"), "{}", ran.error());
    assert_eq!(house.backups(), before);
    house.assert_no_temporary_files();
    house.assert_backups_verify();
    give_back(&filler);
    house.maint(&["backup-db"]).expect(0);
    house.assert_sound();
}

#[test]
fn a_backup_to_a_disk_that_can_only_be_read_says_that_it_cannot_be_written_to() {
    let house = House::built();
    let elsewhere = tempfile::TempDir::new().unwrap();
    let mounted = Mounted::read_only(elsewhere.path());
    let place = mounted.path().to_str().unwrap();
    for more in [&[][..], &["--dry-run"]] {
        let told = house.maint(&[&["backup-db", "--output-dir", place], more].concat()).expect(1).error();
        assert!(told.starts_with(&format!("write to {place}: Read-only file system")), "{told}");
    }
}

#[test]
fn a_person_is_erased_with_no_byte_free() {
    let mounted = Mounted::small_disk("64m");
    let house = House::at(mounted.path().join("data"));
    let server = house.start();
    let talk = server.start_session();
    assert_eq!(server.say(&talk, "forget me: quincunx").0, 200);
    fill(mounted.path());
    let url = format!("{}/api/v1/me", server.url);
    let answer = agent().delete(url).header("x-companion-person", &talk.token).call().unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(std::fs::read_to_string(house.dir.join("erasures")).unwrap().lines().count(), 1);
    server.stop();
    house.assert_sound();
    let database = std::fs::read(house.database()).unwrap();
    assert!(!database.windows(8).any(|window| window == b"quincunx"));
}

/// Half a second of silence.
fn recording() -> Vec<u8> {
    silence(8000)
}

/// A file of so many bytes of silence and 44 more.
fn silence(bytes: u32) -> Vec<u8> {
    let length = bytes.to_le_bytes();
    let mut wav = [&b"RIFF"[..], &(bytes + 36).to_le_bytes(), b"WAVEfmt ", &16_u32.to_le_bytes()].concat();
    // PCM, one channel, 8000 samples a second, of 16 bits.
    wav.extend([1, 0, 1, 0, 0x40, 0x1f, 0, 0, 0x80, 0x3e, 0, 0, 2, 0, 16, 0]);
    [&wav, &b"data"[..], &length, &vec![0; bytes as usize]].concat()
}

/// Says something by a recording: the status and the answer.
fn speak(server: &Server, talk: &Talk) -> (u16, Value) {
    let field = |name: &str| format!("--x\r\nContent-Disposition: form-data; name=\"{name}\"");
    let session = format!("{}\r\n\r\n{}\r\n", field("session_id"), talk.session);
    let audio = format!("{}; filename=\"a.wav\"\r\n\r\n", field("audio"));
    let body = [session.as_bytes(), audio.as_bytes(), &recording(), b"\r\n--x--\r\n"].concat();
    let asked = agent().post(format!("{}/api/v1/voice/process", server.url));
    let mut answer = asked.header("content-type", "multipart/form-data; boundary=x").send(body).unwrap();
    (answer.status().as_u16(), answer.body_mut().read_json().unwrap())
}

/// So many replies can be heard, and they are within the budget of 30,000 bytes.
fn assert_kept(house: &House, replies: usize) {
    let files = names(&house.dir.join("audio"), "");
    let bytes: u64 = files.iter().map(|file| file.metadata().unwrap().len()).sum();
    let rows = house.db().query_row("SELECT count(*) FROM audio", [], |row| row.get::<_, usize>(0));
    assert_eq!((files.len(), rows.unwrap()), (replies, replies), "rows go with their files");
    assert!(bytes <= 30_000, "{bytes}");
}

#[test]
fn sound_that_cannot_be_removed_stands_in_the_way_of_no_reply_but_what_has_no_room_beside_it() {
    let house = House::built().with("AUDIO_MAX_TOTAL_BYTES", "30000");
    let (dir, sound) = (house.dir.join("audio"), house.dir.join("sound.wav"));
    std::fs::write(&sound, recording()).unwrap();
    let house = house.with("TTS_COMMAND", &format!("/bin/sh -c 'cat > /dev/null; cat {}'", sound.display()));
    let mut db = house.db();
    let ids = seed::sessions(&mut db, 2, 1, seed::now() - HOUR);
    let stuck = seed::audio(&db, ids[0], &dir, 9000, 3 * HOUR);
    seed::audio(&db, ids[1], &dir, 9000, 2 * HOUR);
    let path = dir.join(format!("{stuck}.mp3"));
    let _pinned = Mounted::pinned(&path);
    let server = house.start();
    let talk = server.start_session();
    let spoken = || {
        let body = json!({"session_id": talk.session, "message": "hello", "speak": true});
        let (status, told) = server.post("/chat", &body);
        assert_eq!(status, 200, "{told}");
        told
    };
    for _ in 0..4 {
        let told = spoken();
        assert_eq!(told["degraded"], json!([]), "{told}");
        let heard = agent().get(server.url.clone() + told["audio_url"].as_str().unwrap()).call();
        assert_eq!(heard.unwrap().status(), 200);
    }
    assert_kept(&house, 3);
    // One that has no room even where all others go: they stay.
    std::fs::write(&sound, silence(25_000)).unwrap();
    let told = spoken();
    assert_eq!((&told["degraded"], &told["audio_url"]), (&json!(["speech"]), &Value::Null));
    assert_kept(&house, 3);
    wait_for("it is told", || server.log().contains("audio_not_evicted"));
    assert!(!server.log().contains(&stuck.to_string()), "an audio id is a secret");
    server.stop();
}

#[test]
fn a_recording_that_cannot_be_written_down_for_who_hears_is_507_and_tells_where_help_is() {
    let mounted = Mounted::small_disk("64m");
    let house = House::at(mounted.path().join("data")).with("STT_COMMAND", "/bin/sh -c 'echo hello'");
    let server = house.start();
    let talk = server.start_session();
    let filler = fill(mounted.path());
    let (status, told) = speak(&server, &talk);
    assert_eq!((status, &told["error"]), (507, &"insufficient_storage".into()), "{told}");
    assert!(told["message"].to_string().contains("findahelpline.com"), "{told}");
    give_back(&filler);
    let (status, told) = speak(&server, &talk);
    assert_eq!(status, 200, "{told}");
    server.stop();
    house.assert_sound();
}

#[test]
fn a_server_starts_on_a_full_disk_and_all_heals() {
    let mounted = Mounted::small_disk("64m");
    let house = House::at(mounted.path().join("data"));
    let server = house.start();
    let talk = server.start_session();
    assert_eq!(server.say(&talk, "hello").0, 200);
    server.stop();
    let filler = fill(mounted.path());
    fill(&house.dir);
    let server = house.start();
    assert_eq!(server.history(&talk), ["hello"], "what is kept can be read");
    give_back(&filler);
    assert_eq!(server.say(&talk, "again").0, 200);
    server.stop();
    house.start().stop();
    assert_eq!(std::fs::metadata(house.dir.join("reserve")).unwrap().len(), 32 * 1024 * 1024);
    house.assert_sound();
}

/// Makes a conversation longer by 48 MiB, which is more than the reserve.
fn lengthen(house: &House, session: &str) {
    const TURNS: u32 = 8000;
    let db = house.db();
    let id = session.parse::<uuid::Uuid>().unwrap();
    let key: i64 = db
        .query_row("SELECT id FROM sessions WHERE public_id = ?1", [id.as_bytes()], |row| row.get(0))
        .unwrap();
    db.execute(
        "WITH RECURSIVE turn (number) AS (SELECT 1 UNION ALL SELECT number + 1 FROM turn WHERE number < ?2)
         INSERT INTO checkpoints (session_id, public_id, said, answered, said_at, answered_at)
         SELECT ?1, randomblob(16), hex(randomblob(1500)), hex(randomblob(1500)), ?3, ?3 FROM turn",
        rusqlite::params![key, TURNS, seed::now() - 8 * DAY],
    )
    .unwrap();
    db.execute("UPDATE sessions SET checkpoints = checkpoints + ?2 WHERE id = ?1", [key, TURNS.into()])
        .unwrap();
    db.execute("UPDATE totals SET checkpoints = checkpoints + ?1", [TURNS]).unwrap();
    db.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
}

#[test]
fn more_memories_than_the_reserve_holds_are_forgotten_with_no_byte_free_on_a_disk_of_their_own() {
    let mounted = Mounted::small_disk("192m");
    let (house, database) = house_with_database_elsewhere(&mounted);
    let server = house.start();
    let talk = server.start_session();
    assert_eq!(server.say(&talk, "hello").0, 200);
    #[expect(clippy::disallowed_methods, reason = "a test looks at what is there")]
    let db = rusqlite::Connection::open(&database).unwrap();
    db.execute(
        "WITH RECURSIVE memory (number) AS (SELECT 1 UNION ALL SELECT number + 1 FROM memory WHERE number < 4500)
         INSERT INTO memories (public_id, person_id, text, said_at, created_at, changed_at)
         SELECT randomblob(16), 1, 'quincunx ' || hex(randomblob(4000)), number, number, number FROM memory",
        [],
    )
    .unwrap();
    db.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    fill(mounted.path());
    assert_eq!(server.delete(&talk, "/memories"), 204);
    let left: u32 = db.query_row("SELECT count(*) FROM memories", [], |row| row.get(0)).unwrap();
    assert_eq!(left, 0);
    assert_eq!(server.say(&talk, "and now").0, 200, "there is room again");
    server.stop();
    let verdict: String = db.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(verdict, "ok");
    drop(db);
    let database = std::fs::read(&database).unwrap();
    assert!(!database.windows(8).any(|window| window == b"quincunx"));
}

#[test]
fn a_conversation_larger_than_the_reserve_goes_with_no_byte_free() {
    let mounted = Mounted::small_disk("256m");
    let house = House::at(mounted.path().join("data"));
    let server = house.start();
    let [expired, deleted, erased] = [(); 3].map(|()| {
        let talk = server.start_session();
        assert_eq!(server.say(&talk, "hello").0, 200);
        lengthen(&house, &talk.session);
        talk
    });
    let id = expired.session.parse::<uuid::Uuid>().unwrap();
    let sql = "UPDATE sessions SET last_active_at = ?2 WHERE public_id = ?1";
    house.db().execute(sql, rusqlite::params![id.as_bytes(), seed::now() - 8 * DAY]).unwrap();
    house.db().execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    fill(mounted.path());
    assert_eq!(house.maint(&["cleanup-sessions"]).expect(0).report["sessions_deleted"], 1);
    fill(&house.dir);
    assert_eq!(server.delete(&deleted, &format!("/sessions/{}", deleted.session)), 204);
    assert_eq!(server.get(&format!("/api/v1/sessions/{}", deleted.session)).0, 401);
    fill(&house.dir.join("audio"));
    assert_eq!(server.delete(&erased, "/me"), 200);
    server.stop();
    assert_eq!(house.content().sessions, 0);
    house.assert_sound();
}
