//! SQL for sessions that go: whole, or a long one in portions, the oldest turns first and its memories from it last.
//!
//! From its first portion on a long one is noted in `deletions`: it is gone for everybody, and whoever comes next goes on with it.

use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::adapters::{memory_forgetting, session_store};
use crate::domain::audio::{AudioFormat, AudioId};
use crate::domain::session::SessionId;

/// What a deletion took with it.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Deleted {
    /// Sessions.
    pub sessions: u64,
    /// Their checkpoints.
    pub checkpoints: u64,
    /// Memories.
    pub memories: u64,
    /// Memories that stay without their session.
    pub outlived: u64,
    /// Audio replies whose files are now to be removed.
    pub audio: Vec<(AudioId, AudioFormat)>,
}

impl Deleted {
    /// Nothing went.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }

    /// Takes up what another transaction deleted.
    pub fn add(&mut self, other: Self) {
        self.sessions += other.sessions;
        self.checkpoints += other.checkpoints;
        self.memories += other.memories;
        self.outlived += other.outlived;
        self.audio.extend(other.audio);
    }
}

/// Deletes one session, which has no memories any more, with all that hangs on it and adds what went to `deleted`.
fn delete(connection: &Connection, session: i64, deleted: &mut Deleted) -> rusqlite::Result<()> {
    let checkpoints =
        connection.prepare_cached("DELETE FROM checkpoints WHERE session_id = ?1")?.execute([session])?;
    let mut audio =
        connection.prepare_cached("DELETE FROM audio WHERE session_id = ?1 RETURNING public_id, format")?;
    for file in audio.query_map([session], session_store::audio_file)? {
        deleted.audio.push(file?);
    }
    let sessions = connection.prepare_cached("DELETE FROM sessions WHERE id = ?1")?.execute([session])?;
    deleted.sessions += sessions as u64;
    deleted.checkpoints += checkpoints as u64;
    Ok(())
}

/// Deletes a session of up to `limit` turns and memories whole, or the `limit` oldest turns of a longer one, or takes so many memories from
/// it, and adds what went to `deleted`. True when the session is gone; else its deletion has begun.
///
/// # Errors
/// What `SQLite` says.
pub fn delete_some(
    connection: &Connection,
    session: i64,
    limit: usize,
    deleted: &mut Deleted,
) -> rusqlite::Result<bool> {
    let is_gone = delete_portion(connection, session, limit, deleted)?;
    if !is_gone {
        // What its person wants of its memories, if it is they who delete it, stands.
        let sql = "INSERT OR IGNORE INTO deletions (session_id, keep_memories) VALUES (?1, 1)";
        connection.prepare_cached(sql)?.execute([session])?;
    }
    Ok(is_gone)
}

fn delete_portion(
    connection: &Connection,
    session: i64,
    limit: usize,
    deleted: &mut Deleted,
) -> rusqlite::Result<bool> {
    let turns: usize = connection
        .prepare_cached("SELECT coalesce(max(checkpoints), 0) FROM sessions WHERE id = ?1")?
        .query_row([session], |row| row.get(0))?;
    if turns > limit {
        let sql = "DELETE FROM checkpoints WHERE id IN
            (SELECT id FROM checkpoints WHERE session_id = ?1 ORDER BY id LIMIT ?2)";
        let went = connection.prepare_cached(sql)?.execute(params![session, limit])?;
        let sql = "UPDATE sessions SET checkpoints = checkpoints - ?2 WHERE id = ?1";
        connection.prepare_cached(sql)?.execute(params![session, went])?;
        deleted.checkpoints += went as u64;
        if went == limit {
            return Ok(false);
        }
    }
    let outlived = memory_forgetting::outlive_session(connection, session, limit)?;
    deleted.outlived += outlived;
    if memory_forgetting::has_memories(connection, session)? {
        return Ok(false);
    }
    delete(connection, session, deleted)?;
    Ok(true)
}

/// Notes that the deletion of a session by its person has begun, and some of it is left.
///
/// # Errors
/// What `SQLite` says.
pub fn note_begun(connection: &Connection, session: i64, keep_memories: bool) -> rusqlite::Result<()> {
    let sql = "INSERT INTO deletions (session_id, keep_memories) VALUES (?1, ?2)
        ON CONFLICT (session_id) DO UPDATE SET keep_memories = ?2";
    connection.prepare_cached(sql)?.execute(params![session, keep_memories])?;
    Ok(())
}

/// The row of a person's session, also when its deletion has begun.
///
/// # Errors
/// What `SQLite` says.
pub fn row_of(connection: &Connection, person: i64, session: SessionId) -> rusqlite::Result<Option<i64>> {
    let sql = "SELECT id FROM sessions WHERE public_id = ?1 AND person_id = ?2";
    let mut statement = connection.prepare_cached(sql)?;
    statement.query_row(params![session.as_bytes(), person], |row| row.get(0)).optional()
}

/// How many sessions there are whose deletion has begun.
///
/// # Errors
/// What `SQLite` says.
pub fn count_begun(connection: &Connection) -> rusqlite::Result<u64> {
    connection.prepare_cached("SELECT count(*) FROM deletions")?.query_row([], |row| row.get(0))
}

/// A session whose deletion has begun.
///
/// # Errors
/// What `SQLite` says.
pub fn first_begun(connection: &Connection) -> rusqlite::Result<Option<SessionId>> {
    let sql = "SELECT s.public_id FROM deletions d CROSS JOIN sessions s ON s.id = d.session_id LIMIT 1";
    connection.prepare_cached(sql)?.query_row([], |row| session_store::public_id(row, 0)).optional()
}

/// The row of a session whose deletion has begun, and whether what was learned in it is kept.
///
/// # Errors
/// What `SQLite` says.
pub fn begun(connection: &Connection, session: SessionId) -> rusqlite::Result<Option<(i64, bool)>> {
    let sql = "SELECT d.session_id, d.keep_memories FROM deletions d JOIN sessions s ON s.id = d.session_id
        WHERE s.public_id = ?1";
    let row = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?));
    connection.prepare_cached(sql)?.query_row([session.as_bytes()], row).optional()
}

/// Takes what a transaction deleted off the totals; the same transaction must do so.
///
/// # Errors
/// What `SQLite` says.
pub fn subtract_from_totals(connection: &Connection, deleted: &Deleted) -> rusqlite::Result<()> {
    let negative = |count: u64| i64::try_from(count).map_or(i64::MIN, |count| -count);
    session_store::add_to_totals(connection, negative(deleted.sessions), negative(deleted.checkpoints))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::person_store;
    use crate::adapters::session_store::{Totals, totals};

    /// One person with sessions of so many turns each.
    fn with_turns(turns: &[usize]) -> (tempfile::TempDir, Connection) {
        let (root, db) = crate::adapters::sqlite::empty_for_testing();
        let person = "INSERT INTO persons (id, public_id, token_hash, created_at, last_seen_at)
            VALUES (1, randomblob(16), randomblob(32), 0, 0)";
        db.execute_batch(person).unwrap();
        for turns in turns {
            let sql = "INSERT INTO sessions (public_id, person_id, created_at, last_active_at, checkpoints)
                VALUES (randomblob(16), 1, 0, 0, ?1)";
            db.execute(sql, [turns]).unwrap();
            let session = db.last_insert_rowid();
            for turn in 0..*turns {
                let sql =
                    "INSERT INTO checkpoints (session_id, public_id, said, answered, said_at, answered_at)
                    VALUES (?1, randomblob(16), ?2, '', 0, 0)";
                db.execute(sql, params![session, turn.to_string()]).unwrap();
            }
        }
        let all: usize = turns.iter().sum();
        db.execute("UPDATE totals SET sessions = ?1, checkpoints = ?2", [turns.len(), all]).unwrap();
        (root, db)
    }

    #[test]
    fn a_long_one_goes_from_its_beginning_a_portion_at_a_time() {
        let (_root, db) = with_turns(&[12, 3]);
        let mut deleted = Deleted::default();
        assert!(!delete_some(&db, 1, 5, &mut deleted).unwrap());
        let left: (u64, u64, String) = db
            .query_row(
                "SELECT (SELECT checkpoints FROM sessions WHERE id = 1), count(*), min(said) FROM checkpoints
                 WHERE session_id = 1 AND id = (SELECT min(id) FROM checkpoints)",
                [],
                |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
            )
            .unwrap();
        assert_eq!(left, (7, 1, "5".to_owned()));
        let listed = || session_store::list(&db, 1, None, 10).unwrap().len();
        assert_eq!((count_begun(&db).unwrap(), listed()), (1, 1), "what is left is out of reach");
        assert!(!delete_some(&db, 1, 5, &mut deleted).unwrap());
        assert!(delete_some(&db, 1, 5, &mut deleted).unwrap());
        subtract_from_totals(&db, &deleted).unwrap();
        assert_eq!((deleted.sessions, deleted.checkpoints), (1, 12));
        assert_eq!((count_begun(&db).unwrap(), listed()), (0, 1));
        assert_eq!(totals(&db).unwrap(), Totals { sessions: 1, checkpoints: 3, memories: 0 });
        assert!(delete_some(&db, 1, 5, &mut Deleted::default()).unwrap(), "one that is gone is gone");
    }

    fn remember(db: &Connection, session: u32, memories: u32) {
        let sql = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?2)
            INSERT INTO memories (public_id, person_id, session_id, text, said_at, created_at, changed_at)
            SELECT randomblob(16), 1, ?1, 'tea', i, i, i FROM n";
        db.execute(sql, [session, memories]).unwrap();
    }

    #[test]
    fn its_memories_stay_without_it_a_portion_at_a_time() {
        let (_root, db) = with_turns(&[3]);
        remember(&db, 1, 12);
        let mut deleted = Deleted::default();
        let mut portion = || {
            let before = db.total_changes();
            let is_gone = delete_some(&db, 1, 5, &mut deleted).unwrap();
            (is_gone, db.total_changes() - before)
        };
        // With the first it is noted that it has begun.
        assert_eq!((portion(), portion()), ((false, 5 + 1), (false, 5)));
        let (is_gone, changes) = portion();
        assert!(is_gone && changes < 12, "{changes}");
        assert_eq!((deleted.sessions, deleted.outlived, deleted.memories), (1, 12, 0));
        let left = "SELECT count(*) FROM memories WHERE session_id IS NULL";
        assert_eq!(db.query_row(left, [], |row| row.get::<_, u64>(0)).unwrap(), 12);
    }

    #[test]
    fn a_person_goes_in_portions_too() {
        let (_root, db) = with_turns(&[12, 3, 0, 1]);
        remember(&db, 2, 12);
        remember(&db, 3, 1);
        let (mut deleted, mut portions) = (Deleted::default(), 1);
        while !person_store::erase_some(&db, 1, 5, &mut deleted).unwrap() {
            portions += 1;
            assert!(portions < 20, "there is no end to it");
        }
        assert!(portions >= 8, "{portions}");
        assert_eq!((deleted.sessions, deleted.checkpoints, deleted.memories), (4, 16, 13));
        assert_eq!(totals(&db).unwrap(), Totals::default());
        let people: u64 = db.query_row("SELECT count(*) FROM persons", [], |row| row.get(0)).unwrap();
        assert_eq!(people, 0);
    }
}
