//! SQL for when a person has as many memories as they may: which goes, and that it went.

use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::adapters::session_store::{public_id, timestamp};
use crate::domain::clock::Timestamp;
use crate::domain::memory::MemoryId;

/// Of each person so many of the memories are listed that went.
const DROPPED_LISTED: u32 = 1000;
/// As many go when one is added: where a lower bound was set, others do not wait until it is reached.
const MOST_AT_ONCE: u32 = 200;
/// In milliseconds: what is remembered for less has not had its time to help with a reply.
const NEW_FOR: i64 = 30 * 24 * 60 * 60 * 1000;

/// The least useful of those that are or are not superseded and were remembered until then: walks through the index by use to the first
/// of them, and only where there is one.
const LEAST_USEFUL: &str = "SELECT id FROM memories
    WHERE person_id = ?1 AND (superseded_at IS NULL) = ?2 AND +created_at <= ?3
        AND (SELECT min(created_at) FROM memories WHERE person_id = ?1) <= ?3
    ORDER BY used, said_at LIMIT 1";

/// Lets the least useful memories of a person go until one more fits, at most 200; further ones go with the next that is added. What was
/// superseded goes first, then what has helped with the fewest replies, of those the one that was said longest ago; what is remembered for
/// less than 30 days only when all are. Which they were is noted, not what they said.
pub(crate) fn make(connection: &Connection, person: i64, most: u32, now: Timestamp) -> rusqlite::Result<()> {
    let mut count = connection.prepare_cached("SELECT memories FROM persons WHERE id = ?1")?;
    let there: u32 = count.query_row([person], |row| row.get(0))?;
    let too_many = there.saturating_sub(most.saturating_sub(1)).min(MOST_AT_ONCE);
    for _ in 0..too_many {
        let Some(least) = least_useful(connection, person, now)? else { break };
        note_dropped(connection, least, now)?;
        connection.prepare_cached("DELETE FROM memories WHERE id = ?1")?.execute([least])?;
    }
    if too_many > 0 { list_the_last(connection, person) } else { Ok(()) }
}

fn least_useful(connection: &Connection, person: i64, now: Timestamp) -> rusqlite::Result<Option<i64>> {
    let mut statement = connection.prepare_cached(LEAST_USEFUL)?;
    for counts in [false, true] {
        for until in [now.as_millis() - NEW_FOR, i64::MAX] {
            let least = statement.query_row(params![person, counts, until], |row| row.get(0)).optional()?;
            if least.is_some() {
                return Ok(least);
            }
        }
    }
    Ok(None)
}

fn note_dropped(connection: &Connection, memory: i64, now: Timestamp) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO memories_dropped (person_id, public_id, said_at, created_at, dropped_at)
             SELECT person_id, public_id, said_at, created_at, ?2 FROM memories WHERE id = ?1",
        )?
        .execute([memory, now.as_millis()])?;
    Ok(())
}

fn list_the_last(connection: &Connection, person: i64) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "DELETE FROM memories_dropped WHERE person_id = ?1 AND id <= (SELECT id FROM memories_dropped
                 WHERE person_id = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)",
        )?
        .execute(params![person, DROPPED_LISTED])?;
    Ok(())
}

/// A memory that went for want of room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dropped {
    /// Its id.
    pub id: MemoryId,
    /// When it was said.
    pub said_at: Timestamp,
    /// When it was first remembered.
    pub created_at: Timestamp,
    /// When it went.
    pub dropped_at: Timestamp,
}

/// The last memories of a person that went for want of room, at most 1000, in the order in which they went.
///
/// # Errors
/// What `SQLite` says.
pub fn dropped(connection: &Connection, person: i64) -> rusqlite::Result<Vec<Dropped>> {
    let sql = "SELECT public_id, said_at, created_at, dropped_at FROM memories_dropped WHERE person_id = ?1 ORDER BY id";
    let read = |row: &Row<'_>| {
        Ok(Dropped {
            id: public_id(row, 0)?,
            said_at: timestamp(row, 1)?,
            created_at: timestamp(row, 2)?,
            dropped_at: timestamp(row, 3)?,
        })
    };
    connection.prepare_cached(sql)?.query_map([person], read)?.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_useful_is_found_without_reading_all_of_a_persons() {
        let (_root, connection) = crate::adapters::sqlite::empty_for_testing();
        let mut plan = connection.prepare(&format!("EXPLAIN QUERY PLAN {LEAST_USEFUL}")).unwrap();
        let steps = plan.query_map([1, 1, 1], |row| row.get::<_, String>(3)).unwrap();
        let steps: Vec<_> = steps.map(Result::unwrap).collect();
        assert_eq!(
            steps,
            [
                "SEARCH memories USING INDEX memories_by_use (person_id=? AND <expr>=?)",
                "SCALAR SUBQUERY 1",
                "SEARCH memories USING COVERING INDEX memories_by_person (person_id=?)"
            ]
        );
    }

    #[test]
    fn what_is_no_longer_true_goes_first_then_what_is_old_then_by_use_and_by_when_it_was_said() {
        let (_root, connection) = crate::adapters::sqlite::empty_for_testing();
        let persons = "INSERT INTO persons (id, public_id, token_hash, created_at, last_seen_at)
            VALUES (1, randomblob(16), randomblob(32), 1, 1)";
        connection.execute_batch(persons).unwrap();
        // The bits of each one's number are what it is, the weightiest first; they are added the other way round.
        for number in (0_i64..16).rev() {
            let sql = "INSERT INTO memories (id, public_id, person_id, text, said_at, created_at, changed_at, used, superseded_at)
                VALUES (?1, randomblob(16), 1, 'tea', ?1 & 1, ?2, 1, ?1 >> 1 & 1, iif(?1 >> 3 & 1, NULL, 1))";
            connection.execute(sql, [number, (number >> 2 & 1) * (NEW_FOR + 1)]).unwrap();
        }
        let now = Timestamp::from_millis(2 * NEW_FOR);
        let left = || {
            let mut ids = connection.prepare("SELECT id FROM memories ORDER BY id").unwrap();
            let ids = ids.query_map([], |row| row.get::<_, i64>(0)).unwrap().map(Result::unwrap);
            ids.collect::<Vec<_>>()
        };
        for gone in 1_u32..=16 {
            make(&connection, 1, 17 - gone, now).unwrap();
            assert_eq!(left(), (i64::from(gone)..16).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_lower_bound_is_reached_over_the_next_that_are_added() {
        let (_root, connection) = crate::adapters::sqlite::empty_for_testing();
        let persons = "BEGIN; INSERT INTO persons (id, public_id, token_hash, created_at, last_seen_at)
            VALUES (1, randomblob(16), randomblob(32), 1, 1)";
        connection.execute_batch(persons).unwrap();
        let add = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
            INSERT INTO memories (public_id, person_id, text, said_at, created_at, changed_at)
            SELECT randomblob(16), 1, 'I like tea', i, 1, 1 FROM n";
        connection.execute(add, [450]).unwrap();
        let count = |of: &str| -> u32 {
            connection.query_row(&format!("SELECT count(*) FROM {of}"), [], |row| row.get(0)).unwrap()
        };
        for (left, gone) in [(251, 200), (52, 400), (10, 443), (10, 444)] {
            make(&connection, 1, 10, Timestamp::from_millis(1)).unwrap();
            connection.execute(add, [1]).unwrap();
            assert_eq!((count("memories"), count("memories_dropped")), (left, gone));
        }
    }

    #[test]
    fn of_those_that_went_the_last_thousand_of_a_person_are_listed() {
        let (_root, connection) = crate::adapters::sqlite::empty_for_testing();
        let persons = "BEGIN; INSERT INTO persons (id, public_id, token_hash, created_at, last_seen_at)
            VALUES (1, randomblob(16), randomblob(32), 1, 1), (2, randomblob(16), randomblob(32), 1, 1)";
        connection.execute_batch(persons).unwrap();
        let add = |person: i64, said_at: u32| {
            make(&connection, person, 1, Timestamp::from_millis(1)).unwrap();
            let sql = "INSERT INTO memories (public_id, person_id, text, said_at, created_at, changed_at)
                VALUES (randomblob(16), ?1, 'I like tea', ?2, 1, 1)";
            connection.execute(sql, params![person, said_at]).unwrap();
        };
        let listed = |person: i64| -> Vec<i64> {
            dropped(&connection, person).unwrap().iter().map(|gone| gone.said_at.as_millis()).collect()
        };
        (0..3).for_each(|number| add(2, number));
        (0..=DROPPED_LISTED).for_each(|number| add(1, number));
        assert_eq!(listed(1), (0..i64::from(DROPPED_LISTED)).collect::<Vec<_>>());
        (1..4).for_each(|more| add(1, DROPPED_LISTED + more));
        assert_eq!(listed(1), (3..i64::from(DROPPED_LISTED) + 3).collect::<Vec<_>>());
        assert_eq!(listed(2), [0, 1], "nobody else's are touched");
    }
}
