//! What a database holds, to hold one against another, and logs that somebody left behind.

use std::path::Path;

use rusqlite::Connection;
use rusqlite::config::DbConfig;

use crate::support::{House, seed, sha256};

/// Every row that people would miss. The record of maintenance is left out: each run adds to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    pub sessions: u64,
    pub checkpoints: u64,
    pub memories: u64,
    digest: String,
}

const ROWS: &str = "
    SELECT quote(public_id) || quote(token_hash) || created_at AS row FROM persons
    UNION ALL SELECT quote(public_id) || quote(title) || pinned || remembered || created_at || checkpoints FROM sessions
    UNION ALL SELECT quote(public_id) || quote(turn_id) || quote(said) || quote(answered) || said_at || answered_at
        FROM checkpoints
    ORDER BY row";

/// What the database at `path` holds, which has to be whole.
#[track_caller]
pub fn content(path: &Path) -> Content {
    assert!(path.exists(), "{} is gone", path.display());
    #[expect(clippy::disallowed_methods, reason = "a test looks at what is there")]
    content_of(&Connection::open(path).unwrap())
}

#[track_caller]
fn content_of(db: &Connection) -> Content {
    let verdict: String = db.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(verdict, "ok");
    let count =
        |table: &str| db.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap();
    let mut statement = db.prepare(ROWS).unwrap();
    let mut rows: Vec<String> =
        statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    let memories = memories(db);
    rows.extend_from_slice(&memories);
    Content {
        sessions: count("sessions"),
        checkpoints: count("checkpoints"),
        memories: memories.len() as u64,
        digest: sha256(rows.join("\n").as_bytes()),
    }
}

/// None where the schema is from before there were any.
fn memories(db: &Connection) -> Vec<String> {
    let known = "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = 'memories')";
    if !db.query_row(known, [], |row| row.get::<_, bool>(0)).unwrap() {
        return Vec::new();
    }
    let sql = "SELECT quote(m.public_id) || quote(text) || quote(source) || m.said_at || created_at || quote(w.words) AS row
        FROM memories m LEFT JOIN memory_words w ON w.memory_id = m.id ORDER BY row";
    let mut statement = db.prepare(sql).unwrap();
    statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

impl House {
    pub fn content(&self) -> Content {
        content(&self.database())
    }

    /// One more session, which is only in the write-ahead log, as a server leaves it that was killed. Returns what the
    /// database then holds.
    pub fn leave_in_log(&self) -> Content {
        let mut db = self.db();
        db.execute_batch("PRAGMA journal_mode = WAL").unwrap();
        db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).unwrap();
        seed::sessions(&mut db, 1, 1, seed::now() - seed::HOUR);
        let content = content_of(&db);
        drop(db);
        let log = self.dir.join("companion.db-wal");
        assert!(log.metadata().is_ok_and(|meta| meta.len() > 0), "the log is empty");
        content
    }
}
