//! SQL for the numbers that the server notes of itself over time.
//!
//! Bounds: [`MOST`](crate::domain::samples::MOST) samples of each length. Of what is older than it is to be kept, or from a time to
//! come (a clock was wrong), a few go with each sample that comes: so many that there are never more, and so few that a clock
//! that is wrong for a moment costs little.

use std::sync::LazyLock;

use rusqlite::{Connection, OptionalExtension, Row, params_from_iter};

use crate::domain::clock::Timestamp;
use crate::domain::samples::{Grain, Number, Sample};

const GONE_AT_ONCE: u32 = 10;

static COLUMNS: LazyLock<String> = LazyLock::new(|| Number::ALL.map(Number::name).join(", "));

const fn key_of(grain: Grain) -> i64 {
    match grain {
        Grain::Minute => 1,
        Grain::HalfHour => 2,
    }
}

/// Notes the numbers of a moment: for its minute and for its half hour, with what these have noted already.
///
/// # Errors
/// What `SQLite` says.
pub fn note(connection: &Connection, sample: &Sample, at: Timestamp) -> rusqlite::Result<()> {
    for grain in Grain::ALL {
        let began = grain.begin(at);
        let mut joined = noted(connection, grain, began)?.unwrap_or_default();
        joined.join(sample);
        keep(connection, grain, began, &joined)?;
        thin(connection, grain, at)?;
    }
    Ok(())
}

fn noted(connection: &Connection, grain: Grain, began: Timestamp) -> rusqlite::Result<Option<Sample>> {
    let sql = format!("SELECT {} FROM samples WHERE grain = ?1 AND began_at = ?2", *COLUMNS);
    let mut statement = connection.prepare_cached(&sql)?;
    statement.query_row([key_of(grain), began.as_millis()], |row| sample(row, 0)).optional()
}

fn keep(connection: &Connection, grain: Grain, began: Timestamp, sample: &Sample) -> rusqlite::Result<()> {
    let places = "?, ".repeat(Number::ALL.len() + 1);
    let sql = format!("INSERT OR REPLACE INTO samples (grain, began_at, {}) VALUES ({places}?)", *COLUMNS);
    let whole = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    let numbers = Number::ALL.into_iter().map(|number| sample.get(number).map(whole));
    let keys = [Some(key_of(grain)), Some(began.as_millis())];
    connection.prepare_cached(&sql)?.execute(params_from_iter(keys.into_iter().chain(numbers)))?;
    Ok(())
}

fn thin(connection: &Connection, grain: Grain, now: Timestamp) -> rusqlite::Result<()> {
    let sql = "DELETE FROM samples WHERE grain = ?1 AND began_at IN (
        SELECT began_at FROM samples WHERE grain = ?1 AND (began_at < ?2 OR began_at > ?3) LIMIT ?4)";
    let bounds = [grain.oldest(now).as_millis(), grain.begin(now).as_millis(), i64::from(GONE_AT_ONCE)];
    connection.prepare_cached(sql)?.execute([key_of(grain), bounds[0], bounds[1], bounds[2]])?;
    Ok(())
}

/// The samples of this length that are to be kept at `now`, in the order of their times.
///
/// # Errors
/// What `SQLite` says.
pub fn kept(
    connection: &Connection,
    grain: Grain,
    now: Timestamp,
) -> rusqlite::Result<Vec<(Timestamp, Sample)>> {
    let sql = format!(
        "SELECT began_at, {} FROM samples WHERE grain = ?1 AND began_at BETWEEN ?2 AND ?3 ORDER BY began_at",
        *COLUMNS
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let bounds = [key_of(grain), grain.oldest(now).as_millis(), grain.begin(now).as_millis()];
    let read = |row: &Row<'_>| Ok((Timestamp::from_millis(row.get(0)?), sample(row, 1)?));
    statement.query_map(bounds, read)?.collect()
}

fn sample(row: &Row<'_>, first: usize) -> rusqlite::Result<Sample> {
    let mut sample = Sample::default();
    for (place, number) in Number::ALL.into_iter().enumerate() {
        sample.set(number, row.get(first + place)?);
    }
    Ok(sample)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::adapters::sqlite::empty_for_testing as empty;
    use crate::domain::samples::{MOST, Span, Trend};

    /// 2026-11-24T13:54:09.123Z
    const BEGAN: Timestamp = Timestamp::from_millis(1_795_528_449_123);
    const MINUTE: Duration = Duration::from_secs(60);
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);

    fn of(sessions: u64, turns: u64) -> Sample {
        let mut sample = Sample::default();
        sample.set(Number::Sessions, Some(sessions));
        sample.set(Number::Turns, Some(turns));
        sample
    }

    fn rows(db: &Connection, grain: Grain) -> u32 {
        let sql = "SELECT count(*) FROM samples WHERE grain = ?1";
        db.query_row(sql, [key_of(grain)], |row| row.get(0)).unwrap()
    }

    #[test]
    fn what_is_noted_twice_in_a_minute_is_one_sample_and_comes_back_whole() {
        let (_root, db) = empty();
        note(&db, &of(3, 4), BEGAN).unwrap();
        note(&db, &of(5, 6), BEGAN.later_by(MINUTE / 2)).unwrap();
        note(&db, &of(7, 8), BEGAN.later_by(MINUTE)).unwrap();
        let now = BEGAN.later_by(MINUTE);
        let minute = Grain::Minute.begin(BEGAN);
        let minutes = kept(&db, Grain::Minute, now).unwrap();
        assert_eq!(minutes, [(minute, of(5, 10)), (minute.later_by(MINUTE), of(7, 8))]);
        let half_hours = kept(&db, Grain::HalfHour, now).unwrap();
        assert_eq!(half_hours, [(Grain::HalfHour.begin(BEGAN), of(7, 18))]);
        assert_eq!(kept(&db, Grain::Minute, now.later_by(DAY)).unwrap(), []);
    }

    #[test]
    fn every_number_is_a_column() {
        let (_root, db) = empty();
        let mut whole = Sample::default();
        for (value, number) in (1..).zip(Number::ALL) {
            whole.set(number, Some(value));
        }
        note(&db, &whole, BEGAN).unwrap();
        assert_eq!(kept(&db, Grain::Minute, BEGAN).unwrap(), [(Grain::Minute.begin(BEGAN), whole)]);
    }

    #[test]
    fn after_more_than_a_month_there_are_so_many_and_no_more() {
        let (_root, mut db) = empty();
        let all = db.transaction().unwrap();
        // A quarter of an hour at a time for 31 days, then a minute at a time for two.
        let quarters = (0..31 * 96).map(|number| MINUTE * 15 * number);
        let minutes = (0..2 * MOST).map(|number| DAY * 31 + MINUTE * number);
        let mut at = BEGAN;
        for (number, after) in quarters.chain(minutes).enumerate() {
            at = BEGAN.later_by(after);
            note(&all, &of(1, 1), at).unwrap();
            if number % 100 == 0 {
                assert!(rows(&all, Grain::Minute) <= MOST && rows(&all, Grain::HalfHour) <= MOST);
            }
        }
        all.commit().unwrap();
        assert_eq!((rows(&db, Grain::Minute), rows(&db, Grain::HalfHour)), (MOST, MOST));
        let day = Trend::of(Span::Day, at, &kept(&db, Grain::Minute, at).unwrap());
        assert_eq!(day.points.iter().flatten().count(), 288);
        assert!(day.points[..287].iter().flatten().all(|point| point.get(Number::Turns) == Some(5)));
        let month = Trend::of(Span::Month, at, &kept(&db, Grain::HalfHour, at).unwrap());
        assert_eq!(month.points.iter().flatten().count(), 240);
        assert_eq!(month.points[100].and_then(|point| point.get(Number::Turns)), Some(12));
    }

    #[test]
    fn a_clock_that_is_wrong_for_a_moment_costs_little_and_what_it_left_goes() {
        let (_root, mut db) = empty();
        let all = db.transaction().unwrap();
        (0..MOST).for_each(|number| note(&all, &of(1, 1), BEGAN.later_by(MINUTE * number)).unwrap());
        all.commit().unwrap();
        let now = BEGAN.later_by(MINUTE * MOST);
        note(&db, &of(1, 1), now.later_by(DAY * 400)).unwrap();
        assert_eq!(kept(&db, Grain::Minute, now).unwrap().len() as u32, MOST - GONE_AT_ONCE);
        note(&db, &of(1, 1), now).unwrap();
        assert!(kept(&db, Grain::Minute, now).unwrap().len() as u32 >= MOST - GONE_AT_ONCE - 1);
        let latest: i64 = db.query_row("SELECT max(began_at) FROM samples", [], |row| row.get(0)).unwrap();
        assert!(latest <= now.as_millis(), "what is from a time to come is gone");
    }

    #[test]
    fn after_a_long_rest_what_is_too_old_goes_step_by_step() {
        let (_root, mut db) = empty();
        let all = db.transaction().unwrap();
        (0..MOST).for_each(|number| note(&all, &of(1, 1), BEGAN.later_by(MINUTE * number)).unwrap());
        let later = BEGAN.later_by(DAY * 10);
        for number in 0..MOST / GONE_AT_ONCE + 1 {
            note(&all, &of(1, 1), later.later_by(MINUTE * number)).unwrap();
            assert!(rows(&all, Grain::Minute) <= MOST);
        }
        all.commit().unwrap();
        assert_eq!(rows(&db, Grain::Minute), MOST / GONE_AT_ONCE + 1);
    }
}
