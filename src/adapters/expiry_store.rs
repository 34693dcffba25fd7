//! SQL that tells which sessions have expired, and when anyone was last active.

use rusqlite::{Connection, Row, params};

use crate::domain::clock::Timestamp;
use crate::domain::retention::{ClockWitness, RetentionDays, UNREMEMBERED_IDLE};

/// Which sessions, and which people, have outlived their retention.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cutoffs {
    /// Sessions idle since before this go; `None` keeps them.
    pub idle_since: Option<Timestamp>,
    /// Unremembered sessions idle since before this go.
    pub unremembered_since: Timestamp,
    /// People unseen since before this go, with every session of theirs; `None` keeps them.
    pub unseen_since: Option<Timestamp>,
}

impl Cutoffs {
    /// Those of `now`, with so many days for sessions and for people; `None` keeps them.
    #[must_use]
    pub fn at(now: Timestamp, sessions: Option<RetentionDays>, persons: Option<RetentionDays>) -> Self {
        Self {
            idle_since: sessions.map(|days| days.cutoff(now)),
            unremembered_since: now.earlier_by(UNREMEMBERED_IDLE),
            unseen_since: persons.map(|days| days.cutoff(now)),
        }
    }

    /// As parameters of the queries below; a time before all others keeps everything.
    fn bounds(&self) -> [i64; 3] {
        let millis = |at: Option<Timestamp>| at.map_or(i64::MIN, Timestamp::as_millis);
        [millis(self.idle_since), self.unremembered_since.as_millis(), millis(self.unseen_since)]
    }
}

/// What a cleanup takes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Doomed {
    /// Sessions: those that have expired, and those of people who are erased. One whose deletion has begun is gone already.
    pub sessions: u64,
    /// Their checkpoints, and what is left of those.
    pub checkpoints: u64,
    /// People who are erased.
    pub persons: u64,
}

/// The keys of up to `limit` expired sessions, the longest idle first.
///
/// # Errors
/// What `SQLite` says.
pub fn expired(connection: &Connection, cutoffs: Cutoffs, limit: usize) -> rusqlite::Result<Vec<i64>> {
    let mut by_age = connection.prepare_cached(
        "SELECT id FROM sessions WHERE pinned = 0 AND last_active_at < ?1 ORDER BY last_active_at LIMIT ?2",
    )?;
    let idle_since = cutoffs.idle_since.map_or(i64::MIN, Timestamp::as_millis);
    let keys: Vec<i64> =
        by_age.query_map(params![idle_since, limit], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    if !keys.is_empty() {
        return Ok(keys);
    }
    let mut unremembered = connection.prepare_cached(
        "SELECT id FROM sessions WHERE pinned = 0 AND remembered = 0 AND last_active_at < ?1
         ORDER BY last_active_at LIMIT ?2",
    )?;
    let since = cutoffs.unremembered_since.as_millis();
    unremembered.query_map(params![since, limit], |row| row.get(0))?.collect()
}

/// How many sessions, checkpoints and people go in all: what [`expired`] yields, then who is unseen and has no session
/// left that was active since, with what is still theirs. Pinned sessions go with their person.
///
/// # Errors
/// What `SQLite` says.
pub fn count_doomed(connection: &Connection, cutoffs: Cutoffs) -> rusqlite::Result<Doomed> {
    let bounds = cutoffs.bounds();
    let two = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?));
    let by_age: (u64, u64) = connection.query_row(COUNT_EXPIRED, params![bounds[0], bounds[1]], two)?;
    let persons = connection.query_row(&count_unseen(), bounds, |row| row.get(0))?;
    let with_them: (u64, u64) = connection.query_row(&count_with_unseen(), bounds, two)?;
    // An older schema may know of none.
    let knows_begun = connection.table_exists(None, "deletions")?;
    let begun =
        if knows_begun { connection.query_row(&count_begun(), bounds, |row| row.get(0))? } else { 0 };
    let sessions = (by_age.0 + with_them.0).saturating_sub(begun);
    Ok(Doomed { sessions, checkpoints: by_age.1 + with_them.1, persons })
}

const COUNT_EXPIRED: &str = "SELECT count(*), coalesce(sum(checkpoints), 0) FROM (
    SELECT checkpoints FROM sessions WHERE pinned = 0 AND last_active_at < ?1
    UNION ALL
    SELECT checkpoints FROM sessions WHERE pinned = 0 AND remembered = 0
        AND last_active_at < ?2 AND last_active_at >= ?1)";

/// A session that [`expired`] yields.
const EXPIRED: &str = "(sessions.pinned = 0 AND (sessions.last_active_at < ?1
    OR (sessions.remembered = 0 AND sessions.last_active_at < ?2)))";

/// Who is unseen once the expired sessions are gone.
fn unseen() -> String {
    format!(
        "persons.last_seen_at < ?3 AND NOT EXISTS (SELECT 1 FROM sessions
             WHERE person_id = persons.id AND last_active_at >= ?3 AND NOT {EXPIRED})"
    )
}

fn count_unseen() -> String {
    format!("SELECT count(*) FROM persons WHERE {}", unseen())
}

/// The sessions of people who are erased, without those that have expired anyway.
fn count_with_unseen() -> String {
    format!(
        "SELECT count(*), coalesce(sum(sessions.checkpoints), 0)
         FROM persons CROSS JOIN sessions ON sessions.person_id = persons.id
         WHERE {} AND NOT {EXPIRED}",
        unseen()
    )
}

/// Those of all these whose deletion has begun.
fn count_begun() -> String {
    format!(
        "SELECT count(*) FROM deletions CROSS JOIN sessions ON sessions.id = deletions.session_id
         CROSS JOIN persons ON persons.id = sessions.person_id WHERE {EXPIRED} OR ({})",
        unseen()
    )
}

/// How many audio replies hang on the sessions that go in all.
///
/// # Errors
/// What `SQLite` says.
pub fn count_doomed_audio(connection: &Connection, cutoffs: Cutoffs) -> rusqlite::Result<u64> {
    let bounds = cutoffs.bounds();
    let by_age: u64 =
        connection.query_row(COUNT_EXPIRED_AUDIO, params![bounds[0], bounds[1]], |row| row.get(0))?;
    let with_people: u64 = connection.query_row(&count_audio_with_unseen(), bounds, |row| row.get(0))?;
    Ok(by_age + with_people)
}

/// Two ranges of two indexes: one condition with OR would read through every session there is. A cross join keeps
/// `SQLite` from beginning with the audio.
const COUNT_EXPIRED_AUDIO: &str = "SELECT count(*) FROM (
    SELECT id FROM sessions WHERE pinned = 0 AND last_active_at < ?1
    UNION ALL
    SELECT id FROM sessions WHERE pinned = 0 AND remembered = 0
        AND last_active_at < ?2 AND last_active_at >= ?1) AS expired
    CROSS JOIN audio ON audio.session_id = expired.id";

fn count_audio_with_unseen() -> String {
    format!(
        "SELECT count(*) FROM persons CROSS JOIN sessions ON sessions.person_id = persons.id
         CROSS JOIN audio ON audio.session_id = sessions.id
         WHERE {} AND NOT {EXPIRED}",
        unseen()
    )
}

/// How many memories go: those neither added nor changed since `changed_since` (`None` keeps them), and those of people who
/// are erased.
///
/// # Errors
/// What `SQLite` says.
pub fn count_doomed_memories(
    connection: &Connection,
    cutoffs: Cutoffs,
    changed_since: Option<Timestamp>,
) -> rusqlite::Result<u64> {
    let [idle, unremembered, unseen_since] = cutoffs.bounds();
    let since = changed_since.map_or(i64::MIN, Timestamp::as_millis);
    let by_age = "SELECT count(*) FROM memories WHERE changed_at < ?1";
    let by_age: u64 = connection.query_row(by_age, [since], |row| row.get(0))?;
    let with_people = format!(
        "SELECT count(*) FROM persons CROSS JOIN memories ON memories.person_id = persons.id
         WHERE memories.changed_at >= ?4 AND {}",
        unseen()
    );
    let with_people: u64 =
        connection.query_row(&with_people, [idle, unremembered, unseen_since, since], |row| row.get(0))?;
    Ok(by_age + with_people)
}

/// When any session was last active.
///
/// # Errors
/// What `SQLite` says.
pub fn newest_activity(connection: &Connection) -> rusqlite::Result<Option<Timestamp>> {
    let newest: Option<i64> = connection.query_row(
        "SELECT max(at) FROM (SELECT max(last_active_at) AS at FROM sessions WHERE pinned = 0
         UNION ALL SELECT max(last_active_at) FROM sessions WHERE pinned = 1)",
        [],
        |row| row.get(0),
    )?;
    Ok(newest.map(Timestamp::from_millis))
}

/// When anybody last said something: the last activity of a session that holds a turn.
///
/// # Errors
/// What `SQLite` says.
pub fn newest_turn(connection: &Connection) -> rusqlite::Result<Option<Timestamp>> {
    let newest: Option<i64> = connection.query_row(NEWEST_TURN, [], |row| row.get(0))?;
    Ok(newest.map(Timestamp::from_millis))
}

/// Each half goes down its index and stops at the first session with a turn.
const NEWEST_TURN: &str = "SELECT max(at) FROM (
    SELECT * FROM (SELECT last_active_at AS at FROM sessions WHERE pinned = 0 AND checkpoints > 0
        ORDER BY last_active_at DESC LIMIT 1)
    UNION ALL
    SELECT * FROM (SELECT last_active_at FROM sessions WHERE pinned = 1 AND checkpoints > 0
        ORDER BY last_active_at DESC LIMIT 1))";

/// What the clock is held against before a job whose last work is given deletes anything by age.
///
/// # Errors
/// What `SQLite` says.
pub fn clock_witness(
    connection: &Connection,
    last_work: Option<Timestamp>,
) -> rusqlite::Result<ClockWitness> {
    let (newest_row, newest_turn) = (newest_activity(connection)?, newest_turn(connection)?);
    let is_seen = newest_turn.is_some() || last_work.is_some();
    let newest_kept = if is_seen { None } else { newest_kept(connection)? };
    Ok(ClockWitness { newest_row, newest_turn, last_work, newest_kept })
}

/// When the newest memory was noted. Whoever only opens the page notes none: that somebody was seen counts where there is no
/// memory. An older schema may know of none.
fn newest_kept(connection: &Connection) -> rusqlite::Result<Option<Timestamp>> {
    let newest = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, Option<i64>>(0));
    let remembers = connection.table_exists(None, "memories")?;
    let noted = if remembers { newest("SELECT max(changed_at) FROM memories")? } else { None };
    let kept = noted.map_or_else(|| newest("SELECT max(last_seen_at) FROM persons"), |at| Ok(Some(at)))?;
    Ok(kept.map(Timestamp::from_millis))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::sqlite::empty_for_testing as empty;

    #[test]
    fn counting_what_has_expired_reads_nothing_else() {
        let (_root, db) = empty();
        let by_age = [COUNT_EXPIRED, COUNT_EXPIRED_AUDIO].map(|sql| (sql.to_owned(), 2));
        let by_person = [count_unseen(), count_with_unseen(), count_begun(), count_audio_with_unseen()]
            .map(|sql| (sql, 3));
        for (sql, bounds) in by_age.into_iter().chain(by_person) {
            let mut plan = db.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
            let bounds = rusqlite::params_from_iter(std::iter::repeat_n(0, bounds));
            let steps = plan.query_map(bounds, |row| row.get::<_, String>(3)).unwrap();
            let steps: Vec<_> = steps.map(Result::unwrap).collect();
            let whole = |step: &&String| {
                ["SCAN sessions", "SCAN audio", "SCAN persons"].iter().any(|scan| step.starts_with(scan))
            };
            assert_eq!(steps.iter().find(whole), None, "{steps:?}");
        }
    }
    #[test]
    fn the_newest_turn_is_found_without_sorting() {
        let (_root, db) = empty();
        let mut plan = db.prepare(&format!("EXPLAIN QUERY PLAN {NEWEST_TURN}")).unwrap();
        let steps: Vec<_> =
            plan.query_map([], |row| row.get::<_, String>(3)).unwrap().map(Result::unwrap).collect();
        for index in ["sessions_by_activity", "sessions_pinned"] {
            assert!(
                steps.iter().any(|step| step == &format!("SCAN sessions USING INDEX {index}")),
                "{steps:?}"
            );
        }
        assert!(!steps.iter().any(|step| step.contains("TEMP B-TREE")), "{steps:?}");
    }
}
