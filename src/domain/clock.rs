//! Time: the one place that reads the system clock, and the one form in which time is kept.

use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Serialize, Serializer};
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;
use time::{OffsetDateTime, PrimitiveDateTime};

const MILLIS_A_DAY: i64 = 24 * 60 * 60 * 1000;

/// A moment as UTC milliseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, utoipa::ToSchema)]
#[schema(value_type = String, format = DateTime)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The moment `millis` milliseconds after 1970-01-01T00:00:00Z.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// This moment minus `span`, stopping at the earliest one there is.
    #[must_use]
    pub fn earlier_by(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(millis_of(span)))
    }

    /// This moment plus `span`, stopping at the latest one there is.
    #[must_use]
    pub fn later_by(self, span: Duration) -> Self {
        Self(self.0.saturating_add(millis_of(span)))
    }

    /// How long after `earlier` this is; zero when it is not after it.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// The moment of a file's time stamp.
    #[must_use]
    pub fn from_system(at: SystemTime) -> Self {
        match at.duration_since(UNIX_EPOCH) {
            Ok(after) => Self(millis_of(after)),
            Err(before) => Self(-millis_of(before.duration())),
        }
    }

    /// `20261124T135409Z`, the form used in file names; whole seconds.
    #[must_use]
    pub fn compact(self) -> String {
        let form = format_description!("[year][month][day]T[hour][minute][second]Z");
        self.date_time().format(&form).unwrap_or_default()
    }

    /// This moment without its milliseconds.
    #[must_use]
    pub fn whole_second(self) -> Self {
        Self(self.0 - self.0.rem_euclid(1000))
    }

    /// Reads [`Self::compact`].
    #[must_use]
    pub fn parse_compact(text: &str) -> Option<Self> {
        let form = format_description!("[year][month][day]T[hour][minute][second]Z");
        let at = PrimitiveDateTime::parse(text, &form).ok()?.assume_utc();
        Some(Self(at.unix_timestamp().checked_mul(1000)?))
    }

    /// The ISO 8601 week, `2026-W48`.
    #[must_use]
    pub fn week(self) -> String {
        let (year, week, _) = self.date_time().to_iso_week_date();
        format!("{year:04}-W{week:02}")
    }

    /// The month, `2026-11`.
    #[must_use]
    pub fn month(self) -> String {
        self.date_time().format(&format_description!("[year]-[month]")).unwrap_or_default()
    }

    /// The calendar day, `2026-11-24`.
    #[must_use]
    pub fn day(self) -> String {
        self.date_time().format(&format_description!("[year]-[month]-[day]")).unwrap_or_default()
    }

    /// The day (UTC), counted from 1970-01-01.
    #[must_use]
    pub fn day_number(self) -> i64 {
        self.0.div_euclid(MILLIS_A_DAY)
    }

    /// How long it is until the next day (UTC) begins.
    #[must_use]
    pub fn until_next_day(self) -> Duration {
        Duration::from_millis((MILLIS_A_DAY - self.0.rem_euclid(MILLIS_A_DAY)).unsigned_abs())
    }

    /// Reads the form that is displayed (RFC 3339).
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let at = OffsetDateTime::parse(text, &Rfc3339).ok()?;
        i64::try_from(at.unix_timestamp_nanos() / 1_000_000).ok().map(Self)
    }

    fn date_time(self) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0) * 1_000_000)
            .unwrap_or(OffsetDateTime::UNIX_EPOCH)
    }
}

/// RFC 3339 in UTC with milliseconds: `2026-11-24T13:54:09.123Z`.
impl fmt::Display for Timestamp {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let form = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");
        out.write_str(&self.date_time().format(&form).unwrap_or_default())
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

fn millis_of(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

/// Whoever tells the time.
pub trait Clock: Send + Sync {
    /// The current moment.
    fn now(&self) -> Timestamp;
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the system clock")]
    fn now(&self) -> Timestamp {
        Timestamp::from_system(SystemTime::now())
    }
}

/// A clock that stands still until it is moved; for tests.
#[derive(Debug)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    /// A clock that shows `at`.
    #[must_use]
    pub fn at(at: Timestamp) -> Self {
        Self(AtomicI64::new(at.0))
    }

    /// Moves the clock forward by `span`.
    pub fn advance(&self, span: Duration) {
        self.0.fetch_add(millis_of(span), Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_and_reads_the_same_moment() {
        let at = Timestamp::from_millis(1_795_528_449_123);
        assert_eq!(at.to_string(), "2026-11-24T13:54:09.123Z");
        assert_eq!(Timestamp::parse(&at.to_string()), Some(at));
        assert_eq!(at.compact(), "20261124T135409Z");
        assert_eq!(at.day(), "2026-11-24");
    }

    #[test]
    fn a_difference_is_never_negative() {
        let at = Timestamp::from_millis(5_000);
        assert_eq!(at.since(at.later_by(Duration::from_secs(1))), Duration::ZERO);
        assert_eq!(at.later_by(Duration::from_secs(2)).since(at), Duration::from_secs(2));
    }
}
