//! Rows put straight into the database, where saying them one by one would take too long.

use rusqlite::{Connection, TransactionBehavior, params};
use sha2::{Digest, Sha256};

use super::{BEGINNING, Talk, TestApp};

/// `sessions` more sessions of the person behind `token`, each active a second before the last, with `turns` turns
/// of `words` each. Returns their ids, the last active first.
pub fn sessions(app: &TestApp, token: &str, sessions: u32, turns: u32, words: &str) -> Vec<String> {
    let mut db = app.db();
    // One that read first and wrote then would not wait for a server that writes meanwhile.
    let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate).unwrap();
    let person = key_of(&transaction, token);
    let mut ids = Vec::new();
    for number in 0..sessions {
        let (id, at) = (uuid::Uuid::new_v4(), BEGINNING - 1000 * i64::from(number) - 1000);
        let sql =
            "INSERT INTO sessions (public_id, person_id, title, created_at, last_active_at, checkpoints)
            VALUES (?1, ?2, 'seeded', ?3, ?3, ?4)";
        transaction.execute(sql, params![id.as_bytes(), person, at, turns]).unwrap();
        let key = transaction.last_insert_rowid();
        for turn in 0..turns {
            checkpoint(&transaction, key, at, &format!("{words} {turn}"));
        }
        ids.push(id.to_string());
    }
    let totals = "UPDATE totals SET sessions = sessions + ?1, checkpoints = checkpoints + ?2";
    transaction.execute(totals, [sessions, sessions * turns]).unwrap();
    transaction.commit().unwrap();
    ids
}

fn checkpoint(db: &Connection, session: i64, at: i64, said: &str) {
    let sql = "INSERT INTO checkpoints (session_id, public_id, said, answered, said_at, answered_at)
        VALUES (?1, ?2, ?3, 'answered', ?4, ?4)";
    db.prepare_cached(sql)
        .unwrap()
        .execute(params![session, uuid::Uuid::new_v4().as_bytes(), said, at])
        .unwrap();
}

fn key_of(db: &Connection, token: &str) -> i64 {
    let pairs = token.as_bytes().chunks_exact(2).map(|pair| str::from_utf8(pair).unwrap());
    let bytes: Vec<u8> = pairs.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect();
    let hash = Sha256::digest(bytes).to_vec();
    db.query_row("SELECT id FROM persons WHERE token_hash = ?1", [hash], |row| row.get(0)).unwrap()
}

/// An audio reply of the session's last turn: its row and its file. Returns its id.
pub fn audio(app: &TestApp, talk: &Talk, format: &str, bytes: &[u8]) -> String {
    let (db, id) = (app.db(), uuid::Uuid::new_v4());
    let session = uuid::Uuid::parse_str(&talk.session).unwrap();
    let session: i64 = db
        .query_row("SELECT id FROM sessions WHERE public_id = ?1", [session.as_bytes()], |row| row.get(0))
        .unwrap();
    let sql =
        "INSERT INTO audio (public_id, session_id, format, bytes, created_at) VALUES (?1, ?2, ?3, ?4, ?5)";
    db.execute(sql, params![id.as_bytes(), session, format, bytes.len(), BEGINNING]).unwrap();
    let sql = "UPDATE checkpoints SET audio_id = ?1 WHERE id =
        (SELECT max(id) FROM checkpoints WHERE session_id = ?2)";
    db.execute(sql, [db.last_insert_rowid(), session]).unwrap();
    std::fs::write(app.data_dir().join("audio").join(format!("{id}.{format}")), bytes).unwrap();
    id.to_string()
}
