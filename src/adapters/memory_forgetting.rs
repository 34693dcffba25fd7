//! SQL for memories that go: one by one, by what they say, with their person or conversation, or by their age.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use rusqlite::{Connection, OptionalExtension, params};

use crate::domain::clock::Timestamp;
use crate::domain::memory::MemoryId;
use crate::domain::memory::unwanted::{Named, about_of, is_meant_by_any, words_to_look_for};

/// So many memories are changed with one statement: what it may have to undo is held in memory.
const AT_ONCE: usize = 200;
/// So long memories are looked at in one read: others want to read, too.
const LOOKED_FOR: Duration = Duration::from_millis(10);

/// Forgets one memory of a person. True when it was there.
///
/// # Errors
/// What `SQLite` says.
pub fn forget(connection: &Connection, person: i64, id: MemoryId) -> rusqlite::Result<bool> {
    let sql = "DELETE FROM memories WHERE public_id = ?1 AND person_id = ?2";
    Ok(connection.prepare_cached(sql)?.execute(params![id.as_bytes(), person])? > 0)
}

/// Forgets a portion of a person's memories, and which went before; returns how many there were.
///
/// # Errors
/// What `SQLite` says.
pub fn forget_some(connection: &Connection, person: i64) -> rusqlite::Result<u64> {
    connection.prepare_cached("DELETE FROM memories_dropped WHERE person_id = ?1")?.execute([person])?;
    let sql = "DELETE FROM memories WHERE id IN (SELECT id FROM memories WHERE person_id = ?1 LIMIT ?2)";
    Ok(connection.prepare_cached(sql)?.execute(params![person, AT_ONCE])? as u64)
}

/// Forgets a portion of what was learned in a session; returns how many memories that were.
///
/// # Errors
/// What `SQLite` says.
pub fn forget_some_of_session(connection: &Connection, session: i64) -> rusqlite::Result<u64> {
    let sql = "DELETE FROM memories WHERE id IN (SELECT id FROM memories WHERE session_id = ?1 LIMIT ?2)";
    Ok(connection.prepare_cached(sql)?.execute(params![session, AT_ONCE])? as u64)
}

/// Has a portion of the memories of a session, of up to `limit`, stay without it; returns how many that were.
///
/// # Errors
/// What `SQLite` says.
pub fn outlive_session(connection: &Connection, session: i64, limit: usize) -> rusqlite::Result<u64> {
    let sql = "UPDATE memories SET session_id = NULL WHERE id IN
        (SELECT id FROM memories WHERE session_id = ?1 LIMIT ?2)";
    Ok(connection.prepare_cached(sql)?.execute(params![session, limit.min(AT_ONCE)])? as u64)
}

/// True when there are memories of a session.
///
/// # Errors
/// What `SQLite` says.
pub fn has_memories(connection: &Connection, session: i64) -> rusqlite::Result<bool> {
    connection.prepare_cached("SELECT 1 FROM memories WHERE session_id = ?1 LIMIT 1")?.exists([session])
}

/// The rows of a person's memories that may be meant by one of these names, whether or not they are still true: what is about it, what has
/// nearly all the words, and all that is no longer true, which is not in the index.
///
/// # Errors
/// What `SQLite` says.
pub fn likely(connection: &Connection, person: i64, names: &[String]) -> rusqlite::Result<Vec<i64>> {
    let wanted = names.iter().map(|name| words_to_look_for(name)).filter(|words| !words.is_empty());
    let wanted: Vec<Vec<_>> =
        wanted.map(|words| words.iter().map(|word| word.to_le_bytes()).collect()).collect();
    let mut found = BTreeSet::new();
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let sql = "SELECT memory_id, words FROM memory_words WHERE person_id = ?1";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query([person])?;
    while let Some(row) = rows.next()? {
        let there = row.get_ref(1)?.as_blob()?.as_chunks().0;
        // More than four fifths of them; where there are not as many words at all, none is looked for.
        let has_nearly_all = |words: &Vec<[u8; 4]>| {
            let may_miss = (words.len() - 1) / 5;
            there.len() + may_miss >= words.len()
                && words.iter().filter(|word| !there.contains(word)).nth(may_miss).is_none()
        };
        if wanted.iter().any(has_nearly_all) {
            found.insert(row.get(0)?);
        }
    }
    let sql = "SELECT id FROM memories WHERE person_id = ?1 AND about = ?2 AND superseded_at IS NULL";
    let mut statement = connection.prepare_cached(sql)?;
    for thing in names.iter().filter_map(|name| about_of(name)) {
        for other in statement.query_map(params![person, thing], |row| row.get(0))? {
            found.insert(other?);
        }
    }
    let sql = "SELECT id FROM memories WHERE person_id = ?1 AND superseded_at IS NOT NULL";
    for other in connection.prepare_cached(sql)?.query_map([person], |row| row.get(0))? {
        found.insert(other?);
    }
    Ok(found.into_iter().collect())
}

/// Looks at the next of the `left` memories, until there is a portion to be forgotten or it has taken long enough; returns what is meant
/// of them, with what it says.
///
/// # Errors
/// What `SQLite` says.
pub fn meant(
    connection: &Connection,
    left: &mut Vec<i64>,
    named: &[Named],
) -> rusqlite::Result<Vec<(i64, String)>> {
    let (began, mut found) = (Instant::now(), Vec::new());
    let mut text = connection.prepare_cached("SELECT text FROM memories WHERE id = ?1")?;
    while found.len() < AT_ONCE
        && began.elapsed() < LOOKED_FOR
        && let Some(memory) = left.pop()
    {
        let says: Option<String> = text.query_row([memory], |row| row.get(0)).optional()?;
        found.extend(says.filter(|says| is_meant_by_any(named, says)).map(|says| (memory, says)));
    }
    Ok(found)
}

/// Forgets those of a person's memories that still say this; returns how many there were.
///
/// # Errors
/// What `SQLite` says.
pub fn forget_these(
    connection: &Connection,
    person: i64,
    memories: &[(i64, String)],
) -> rusqlite::Result<u64> {
    let sql = "DELETE FROM memories WHERE id = ?1 AND person_id = ?2 AND text = ?3";
    let mut forget = connection.prepare_cached(sql)?;
    let mut forgotten = 0;
    for (memory, text) in memories {
        forgotten += forget.execute(params![memory, person, text])? as u64;
    }
    Ok(forgotten)
}

/// Forgets up to `limit` memories that were neither added nor changed since `cutoff`; returns how many.
///
/// # Errors
/// What `SQLite` says.
pub fn expire(connection: &Connection, cutoff: Timestamp, limit: usize) -> rusqlite::Result<u64> {
    let sql = "DELETE FROM memories WHERE id IN
        (SELECT id FROM memories WHERE changed_at < ?1 ORDER BY changed_at LIMIT ?2)";
    Ok(connection.prepare_cached(sql)?.execute(params![cutoff.as_millis(), limit])? as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::sqlite::with_session_for_testing as with_session;

    #[test]
    fn all_go_however_many_portions_there_are() {
        let (_root, db) = with_session();
        let memories = "
            INSERT INTO sessions (id, public_id, person_id, created_at, last_active_at)
                VALUES (2, randomblob(16), 1, 1, 1);
            WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1200)
                INSERT INTO memories (public_id, person_id, session_id, text, said_at, created_at, changed_at)
                SELECT randomblob(16), 1, 1 + i % 2, 'tea', i, i, i FROM n";
        db.execute_batch(memories).unwrap();
        let of_sessions = || {
            let sql = "SELECT count(*), count(session_id) FROM memories";
            db.query_row(sql, [], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?))).unwrap()
        };
        let portions = |forget: &dyn Fn() -> rusqlite::Result<u64>| [(); 4].map(|()| forget().unwrap());
        assert_eq!(portions(&|| outlive_session(&db, 1, usize::MAX >> 1)), [200, 200, 200, 0]);
        assert_eq!(of_sessions(), (1200, 600));
        assert_eq!(portions(&|| forget_some_of_session(&db, 2)), [200, 200, 200, 0]);
        assert_eq!(of_sessions(), (600, 0));
        assert_eq!(portions(&|| forget_some(&db, 1)), [200, 200, 200, 0]);
        assert_eq!(of_sessions(), (0, 0));
    }

    #[test]
    fn what_is_named_goes_in_portions_unless_it_says_something_else_meanwhile() {
        let (_root, db) = with_session();
        let memories = "
            INSERT INTO persons (id, public_id, token_hash, created_at, last_seen_at)
                VALUES (2, randomblob(16), randomblob(32), 1, 1);
            WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500)
                INSERT INTO memories (public_id, person_id, text, said_at, created_at, changed_at, superseded_at)
                SELECT randomblob(16), 1 + i % 2, 'I live in Porto', i, i, i, i FROM n";
        db.execute_batch(memories).unwrap();
        let (names, named) = (["i live in porto".to_owned()], [Named::of("i live in porto")]);
        let mut left = likely(&db, 1, &names).unwrap();
        assert_eq!(left.len(), 250, "nobody else's are looked at");
        let (mut portions, mut forgotten) = (Vec::new(), 0);
        while !left.is_empty() {
            let found = meant(&db, &mut left, &named).unwrap();
            if portions.is_empty() {
                let corrected = "UPDATE memories SET text = 'I live in Lisbon' WHERE id = ?1";
                db.execute(corrected, [found[0].0]).unwrap();
            }
            portions.push(found.len());
            forgotten += forget_these(&db, 1, &found).unwrap();
        }
        assert!(portions.iter().all(|portion| *portion <= 200), "{portions:?}");
        assert_eq!((portions.iter().sum::<usize>(), forgotten), (250, 249));
    }
}
