//! `import-langgraph` on databases that LangGraph's own saver has written.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::process::Command;

use serde_json::Value;

use crate::support::dice::{Dice, rounds};
use crate::support::langgraph::{Predecessor, imported};
use crate::support::{House, Ran, Talk, seed};

const ROOT: &str = "6f1c8a52-31d0-4c1e-9d1e-0123456789ab";
const INTERRUPTED: &str = "9a2c8a52-31d0-4c1e-8d1e-0123456789ab";

fn import(house: &House, source: &Predecessor, more: &[&str]) -> Ran {
    house.maint(&[&["import-langgraph", source.path()], more].concat())
}

fn count(ran: &Ran, name: &str) -> u64 {
    ran.report[name].as_u64().unwrap_or_else(|| panic!("no {name} in {}", ran.report))
}

#[test]
fn everything_langgraph_writes_comes_in_once_and_the_source_stays_as_it_is() {
    let source = Predecessor::with_everything();
    let before = source.bytes();
    let house = House::built();
    let first = import(&house, &source, &[]).expect(0);
    source.assert_all_in(&house);
    assert_eq!(count(&first, "threads_found"), 11);
    assert_eq!(count(&first, "threads_without_words"), 2);
    assert_eq!(count(&first, "sessions_imported"), 10);
    assert_eq!(count(&first, "namespaces_skipped"), 1, "the sub-graph's own");
    assert_eq!(count(&first, "would_expire"), 10, "all are older than SESSION_RETENTION_DAYS");
    assert_eq!(count(&first, "parts_skipped"), 4, "a thought, two pictures, a sound");
    let skipped = serde_json::json!({"system": 2, "tool": 2, "without_words": 2, "other": 2});
    assert_eq!(first.report["messages_skipped"], skipped);
    let turns = count(&first, "turns_imported");

    let second = import(&house, &source, &[]).expect(0);
    source.assert_all_in(&house);
    assert_eq!(count(&second, "turns_imported"), 0);
    assert_eq!(count(&second, "turns_already_there"), turns);
    assert_eq!(count(&second, "sessions_unchanged"), 10);
    assert_eq!(second.report["person_token"], Value::Null, "the token is told once");
    assert_eq!(source.bytes(), before, "not a byte changed, no file was left beside it");
    house.assert_no_temporary_files();
    house.assert_sound();
}

#[test]
fn what_was_said_and_the_token_reach_neither_the_log_nor_the_record() {
    let source = Predecessor::with_everything();
    let house = House::built().with("LOG_LEVEL", "trace");
    let ran = import(&house, &source, &["--quiet"]).expect(0);
    let token = ran.report["person_token"].as_str().expect("told even with --quiet").to_owned();
    let sql = "SELECT report FROM maintenance_runs WHERE job = 'import-langgraph'";
    let record: String = house.db().query_row(sql, [], |row| row.get(0)).unwrap();
    for words in [token.as_str(), "question", "remembered", "plain words"] {
        assert!(!ran.stderr.contains(words) && !record.contains(words), "{words:?} was told");
    }
    assert!(!ran.stdout.contains("question"));
}

#[test]
fn the_token_opens_the_sessions_and_their_clients_go_on_with_the_ids_they_have() {
    let source = Predecessor::with_everything();
    let house = House::built();
    let server = house.start();
    let ran = import(&house, &source, &["--pin"]).expect(0);
    assert_eq!((count(&ran, "sessions_pinned"), count(&ran, "would_expire")), (10, 0));
    let token = ran.report["person_token"].as_str().unwrap().to_owned();
    let talk = Talk { session: INTERRUPTED.to_owned(), token };
    assert_eq!(server.say(&talk, "I am back").0, 200);
    let said = server.history(&talk);
    assert_eq!(said, ["are you there?", "still there?", "and now?", "I am back"]);
    let random: String = house
        .db()
        .query_row("SELECT count(*) FROM sessions WHERE substr(hex(public_id), 13, 1) = '4'", [], |row| {
            row.get::<_, u32>(0).map(|count| count.to_string())
        })
        .unwrap();
    assert_eq!(random, "10", "an id that could be guessed became a random one");
    server.stop();
    house.maint(&["cleanup-sessions"]).expect(0);
    assert_eq!(imported(&house, ROOT).len(), 240, "pinned sessions stay");
    house.assert_sound();
}

#[test]
fn what_came_since_is_added_and_what_was_deleted_here_stays_deleted() {
    let mut source = Predecessor::with_everything();
    let house = House::built();
    import(&house, &source, &["--pin"]).expect(0);
    let begun = "INSERT INTO deletions (session_id, keep_memories) SELECT id, 1 FROM sessions WHERE checkpoints = 120";
    house.db().execute(begun, []).unwrap();
    let tried = import(&house, &source, &["--dry-run"]).expect(0);
    assert_eq!(count(&tried, "sessions_deleted_since"), 1, "one that is being deleted is gone, too");
    let gone = "UPDATE totals SET sessions = sessions - 1, checkpoints = checkpoints - 120;
        DELETE FROM checkpoints WHERE session_id = (SELECT id FROM sessions WHERE checkpoints = 120);
        DELETE FROM sessions WHERE checkpoints = 120";
    house.db().execute_batch(&format!("PRAGMA foreign_keys = ON; {gone}")).unwrap();
    source.goes_on("more");
    let ran = import(&house, &source, &[]).expect(0);
    assert_eq!((count(&ran, "sessions_updated"), count(&ran, "sessions_imported")), (2, 0));
    assert_eq!((count(&ran, "turns_imported"), count(&ran, "sessions_deleted_since")), (4, 1));
    assert!(imported(&house, ROOT).is_empty());
    let tried = import(&house, &source, &["--force", "--dry-run"]).expect(0);
    assert_eq!(count(&tried, "turns_imported"), 120);
    assert!(imported(&house, ROOT).is_empty(), "a dry run changes nothing");
    import(&house, &source, &["--force"]).expect(0);
    source.assert_all_in(&house);
    house.assert_sound();
}

#[test]
fn an_answer_that_comes_later_is_filled_in() {
    let source = Predecessor::with_everything();
    let house = House::built();
    import(&house, &source, &[]).expect(0);
    house
        .db()
        .execute(
            "UPDATE checkpoints SET answered = '', answered_at = said_at WHERE said = 'still there?'",
            [],
        )
        .unwrap();
    let ran = import(&house, &source, &[]).expect(0);
    assert_eq!((count(&ran, "turns_completed"), count(&ran, "turns_imported")), (1, 0));
    source.assert_all_in(&house);
}

#[test]
fn a_dry_run_tells_what_a_run_would_do() {
    let source = Predecessor::with_everything();
    let house = House::built();
    let tried = import(&house, &source, &["--dry-run"]).expect(0);
    let none = "SELECT (SELECT count(*) FROM persons) + (SELECT count(*) FROM sessions)
        + (SELECT count(*) FROM imported_threads)";
    assert_eq!(house.db().query_row(none, [], |row| row.get::<_, u32>(0)).unwrap(), 0);
    let done = import(&house, &source, &[]).expect(0);
    for name in ["sessions_imported", "turns_imported", "would_expire", "checkpoints_read"] {
        assert_eq!(count(&tried, name), count(&done, name), "{name}");
    }
}

#[test]
fn what_cannot_be_read_is_listed_and_the_rest_comes_in() {
    let source = Predecessor::with_everything();
    let damage = [
        format!("UPDATE checkpoints SET checkpoint = substr(checkpoint, 1, 300) WHERE rowid IN (SELECT rowid FROM
            checkpoints WHERE thread_id = '{ROOT}' ORDER BY checkpoint_id LIMIT 5 OFFSET 40)"),
        "UPDATE checkpoints SET type = 'pickle' WHERE thread_id = 'silent'".to_owned(),
        "UPDATE checkpoints SET checkpoint = x'93010203' WHERE thread_id = 'stateless'".to_owned(),
        "UPDATE checkpoints SET checkpoint = zeroblob(70000000) WHERE thread_id = 'no root' AND checkpoint_ns = 'left'"
            .to_owned(),
    ];
    source.db().execute_batch(&damage.join(";")).unwrap();
    let house = House::built();
    let ran = import(&house, &source, &[]).expect(3);
    assert_eq!(count(&ran, "checkpoints_unreadable"), 8);
    let errors = ran.report["errors"].as_array().unwrap();
    assert_eq!(errors.len(), 6, "of one thread no more than three are listed: {errors:?}");
    let listed = serde_json::to_string(errors).unwrap();
    assert!(listed.contains("thread 6f1c8a52…, checkpoint ") && !listed.contains(ROOT), "{listed}");
    for part in ["cut off", "neither msgpack nor json", "damaged", "larger than"] {
        assert!(listed.contains(part), "{part} is not in {listed}");
    }
    let words = |thread: &str| -> Vec<String> {
        imported(&house, thread).into_iter().map(|(_, words, _)| words).collect()
    };
    let expected: Vec<_> = source.said[ROOT].iter().map(|(_, words, _)| words.clone()).collect();
    assert_eq!(words(ROOT), expected, "later states repeat what the damaged ones held");
    assert_eq!(words("no root/right"), ["on the right"]);
    import(&house, &source, &[]).expect(3);
    house.assert_sound();
}

#[test]
fn bytes_gone_wrong_anywhere_never_harm_the_house() {
    let source = Predecessor::written(&["many", "6", "4"]);
    let whole = std::fs::read(&source.file).unwrap();
    let house = House::built();
    let mut dice = Dice::new("bytes_gone_wrong");
    let mut codes = BTreeSet::new();
    for round in 0..rounds(40) {
        let mut bytes = whole.clone();
        if round % 4 == 3 {
            bytes.truncate(usize::try_from(dice.below(whole.len() as u64)).unwrap());
        }
        for _ in 0..dice.below(60) {
            let place = usize::try_from(dice.below(bytes.len().max(1) as u64)).unwrap();
            if let Some(byte) = bytes.get_mut(place) {
                *byte = u8::try_from(dice.below(256)).unwrap();
            }
        }
        std::fs::write(&source.file, &bytes).unwrap();
        let ran = import(&house, &source, &[]);
        assert!([0, 1, 3].contains(&ran.code), "{} {}", ran.code, ran.stderr);
        assert!(ran.code == 0 || !ran.error().is_empty());
        codes.insert(ran.code);
        assert!(!ran.stderr.contains("panicked"), "{}", ran.stderr);
        assert_eq!(std::fs::read(&source.file).unwrap(), bytes);
    }
    assert!(codes.len() > 1, "the damage was never noticed: {codes:?}");
    house.assert_sound();
    house.assert_no_temporary_files();
}

#[test]
fn a_log_that_is_still_to_be_applied_is_read_and_left_alone() {
    let source = Predecessor::written(&["killed"]);
    let before = source.bytes();
    assert!(before.len() > 1, "the write-ahead log is there");
    let house = House::built();
    import(&house, &source, &[]).expect(0);
    source.assert_all_in(&house);
    assert_eq!(source.bytes(), before);
    house.assert_no_temporary_files();
}

#[test]
fn other_files_are_refused_with_one_clear_sentence() {
    let house = House::built();
    let place = tempfile::tempdir().unwrap();
    let path = |name: &str| place.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(path("text"), "just some text").unwrap();
    std::fs::write(path("empty"), "").unwrap();
    #[expect(clippy::disallowed_methods, reason = "a database of nobody's")]
    rusqlite::Connection::open(path("other")).unwrap().execute_batch("CREATE TABLE t (x)").unwrap();
    let ours = house.database().to_str().unwrap().to_owned();
    let directory = place.path().to_str().unwrap().to_owned();
    for (source, told) in [
        (path("nothing"), "there is no file"),
        (directory, "is a directory"),
        (path("text"), "is not a SQLite database"),
        (path("empty"), "is empty"),
        (path("other"), "without LangGraph's tables"),
        (ours, "is a database of this program"),
    ] {
        let ran = house.maint(&["import-langgraph", &source]).expect(1);
        assert!(ran.error().contains(told), "{}", ran.error());
        assert_eq!(ran.report["errors"].as_array().unwrap().len(), 1);
    }
    house.maint(&["import-langgraph"]).expect(2).tells("MEMORY.DB");
}

#[test]
fn sessions_go_to_whom_the_token_names() {
    let source = Predecessor::with_everything();
    let house = House::built();
    let server = house.start();
    let somebody = server.start_session();
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("token");
    let flag = ["--person-token-file", file.to_str().unwrap()];
    import(&house, &source, &flag).expect(2).tells("--person-token-file");
    std::fs::write(&file, "no token").unwrap();
    import(&house, &source, &flag).expect(2).tells("64 hexadecimal digits");
    std::fs::write(&file, "ab".repeat(32)).unwrap();
    import(&house, &source, &flag).expect(2).tells("nobody's");
    std::fs::write(&file, format!("{}\n", somebody.token)).unwrap();
    let ran = import(&house, &source, &flag).expect(0);
    assert_eq!(ran.report["person_token"], Value::Null);
    let talk = Talk { session: INTERRUPTED.to_owned(), token: somebody.token };
    assert_eq!(server.history(&talk).len(), 3);
    server.stop();
}

#[test]
fn a_session_that_was_here_before_is_left_alone() {
    let source = Predecessor::with_everything();
    let house = House::built();
    let ids = seed::sessions(&mut house.db(), 1, 2, seed::now());
    let id = uuid::Uuid::parse_str(INTERRUPTED).unwrap();
    let taken = "UPDATE sessions SET public_id = ?1 WHERE public_id = ?2";
    house.db().execute(taken, [id.as_bytes(), ids[0].as_bytes()]).unwrap();
    let ran = import(&house, &source, &[]).expect(3).tells("was here before");
    assert_eq!(count(&ran, "sessions_imported"), 9);
    let kept = "SELECT count(*) FROM checkpoints JOIN sessions s ON s.id = session_id WHERE s.public_id = ?1";
    assert_eq!(house.db().query_row(kept, [id.as_bytes()], |row| row.get::<_, u32>(0)).unwrap(), 2);
    house.assert_sound();
}

#[test]
fn a_setting_that_names_the_predecessors_database_puts_ours_beside_it() {
    let source = Predecessor::written(&["many", "2", "3"]);
    let house = House::new().with("SHORT_TERM_MEMORY_DB_PATH", source.path());
    let mut command = house.command(env!("CARGO_BIN_EXE_companion"));
    let mut child = command.env("PORT", "0").stderr(std::process::Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.next().unwrap().starts_with("Listening on "));
    let told = lines.next().unwrap();
    let (_, command) = told.split_once("conversations: ").unwrap();
    let run = command.replace("companion-maint", env!("CARGO_BIN_EXE_companion-maint"));
    let output = Command::new("sh").arg("-c").arg(run).env("MIN_FREE_DISK_BYTES", "0").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    child.kill().unwrap();
    child.wait().unwrap();

    assert!(source.file.with_file_name("companion.db").exists());
    assert_eq!(house.maint(&["status"]).expect(0).report["checkpoints"], 6);
    house.start().stop();
    std::fs::remove_file(&source.file).unwrap();
    house.start().stop();
    assert!(!source.file.exists(), "once the predecessor's has gone, ours is still the one beside it");
    assert_eq!(house.maint(&["status"]).expect(0).report["checkpoints"], 6);
}
