//! Rows of the past, put straight into the database: a clock that is wrong and data that is old look the same.

use std::time::{SystemTime, UNIX_EPOCH};

use rusqlite::{Connection, TransactionBehavior, params};

pub const HOUR: i64 = 3_600_000;
pub const DAY: i64 = 24 * HOUR;

pub fn now() -> i64 {
    #[expect(clippy::disallowed_methods, reason = "the programs under test read the same clock")]
    let now = SystemTime::now();
    i64::try_from(now.duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

/// `sessions` sessions of one new person, last active at `at`, with `turns` turns each. Returns their ids.
pub fn sessions(db: &mut Connection, sessions: u32, turns: u32, at: i64) -> Vec<uuid::Uuid> {
    // One that read first and wrote then would not wait for who writes meanwhile.
    let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate).unwrap();
    let person = person(&transaction, at);
    let mut ids = Vec::new();
    for _ in 0..sessions {
        let id = uuid::Uuid::new_v4();
        transaction
            .execute(
                "INSERT INTO sessions (public_id, person_id, created_at, last_active_at, checkpoints)
                 VALUES (?1, ?2, ?3, ?3, ?4)",
                params![id.as_bytes(), person, at, turns],
            )
            .unwrap();
        let session = transaction.last_insert_rowid();
        for turn in 0..turns {
            transaction
                .execute(
                    "INSERT INTO checkpoints (session_id, public_id, turn_id, said, answered, said_at, answered_at)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6)",
                    params![
                        session,
                        uuid::Uuid::new_v4().as_bytes(),
                        uuid::Uuid::new_v4().as_bytes(),
                        format!("something said in turn {turn}, {}", "and more of it ".repeat(10)),
                        "something answered, at some length ".repeat(8),
                        at
                    ],
                )
                .unwrap();
        }
        ids.push(id);
    }
    transaction
        .execute(
            "UPDATE totals SET sessions = sessions + ?1, checkpoints = checkpoints + ?2",
            [sessions, sessions * turns],
        )
        .unwrap();
    transaction.commit().unwrap();
    ids
}

fn person(db: &Connection, at: i64) -> i64 {
    let hash = [uuid::Uuid::new_v4().into_bytes(), uuid::Uuid::new_v4().into_bytes()].concat();
    db.execute(
        "INSERT INTO persons (public_id, token_hash, created_at, last_seen_at) VALUES (?1, ?2, ?3, ?3)",
        params![uuid::Uuid::new_v4().as_bytes(), hash, at],
    )
    .unwrap();
    db.last_insert_rowid()
}

/// A session that `newest` sees as the latest sign of life: the clock is right.
pub fn sign_of_life(db: &mut Connection) {
    sessions(db, 1, 1, now() - HOUR);
}

/// An audio reply of a session: its row and its file, `age` old.
pub fn audio(
    db: &Connection,
    session: uuid::Uuid,
    dir: &std::path::Path,
    bytes: usize,
    age: i64,
) -> uuid::Uuid {
    let id = uuid::Uuid::new_v4();
    let at = now() - age;
    db.execute(
        "INSERT INTO audio (public_id, session_id, format, bytes, created_at)
         VALUES (?1, (SELECT id FROM sessions WHERE public_id = ?2), 'mp3', ?3, ?4)",
        params![id.as_bytes(), session.as_bytes(), bytes, at],
    )
    .unwrap();
    db.execute(
        "UPDATE checkpoints SET audio_id = ?1 WHERE id = (SELECT max(id) FROM checkpoints WHERE session_id =
         (SELECT id FROM sessions WHERE public_id = ?2))",
        params![db.last_insert_rowid(), session.as_bytes()],
    )
    .unwrap();
    file(&dir.join(format!("{id}.mp3")), bytes, age);
    id
}

/// A private file, as the programs make them, `age` old.
pub fn file(path: &std::path::Path, bytes: usize, age: i64) {
    aged(path, &vec![7; bytes], age);
}

/// A backup's manifest, last written so long ago.
pub fn manifest(path: &std::path::Path, age: i64) {
    let told = serde_json::json!({
        "schema": 1, "created_at": "2020-01-01T00:00:00.000Z", "program": "companion 0.1.0", "schema_version": 3,
        "database_bytes": 1, "bytes": 1, "sha256": "", "persons": 0, "sessions": 0, "checkpoints": 0,
    });
    aged(path, told.to_string().as_bytes(), age);
}

fn aged(path: &std::path::Path, content: &[u8], age: i64) {
    std::fs::write(path, content).unwrap();
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(path, private).unwrap();
    let at = UNIX_EPOCH + std::time::Duration::from_millis(u64::try_from(now() - age).unwrap());
    std::fs::File::options().write(true).open(path).unwrap().set_modified(at).unwrap();
}

/// A memory of the session's person, found by what it says.
pub fn memory(db: &Connection, session: uuid::Uuid, text: &str) -> uuid::Uuid {
    let id = uuid::Uuid::new_v4();
    db.execute(
        "INSERT INTO memories (public_id, person_id, text, said_at, created_at, changed_at)
         SELECT ?1, person_id, ?2, ?3, ?3, ?3 FROM sessions WHERE public_id = ?4",
        params![id.as_bytes(), text, now(), session.as_bytes()],
    )
    .unwrap();
    let words = companion::domain::memory::words::terms(text);
    let words: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    db.execute(
        "INSERT INTO memory_words (person_id, thread, said_at, memory_id, words)
         SELECT person_id, 0, said_at, id, ?2 FROM memories WHERE public_id = ?1",
        params![id.as_bytes(), words],
    )
    .unwrap();
    id
}
