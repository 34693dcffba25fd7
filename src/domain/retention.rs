//! How long things are kept: retention, cut-offs, the clock fuse, and which backups stay.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;
use std::time::Duration;

use crate::domain::clock::Timestamp;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Sessions that are not remembered go after being idle this long, whatever the retention.
pub const UNREMEMBERED_IDLE: Duration = DAY;

/// Whole days, 1 to 36500.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct RetentionDays(NonZeroU32);

impl RetentionDays {
    /// The longest retention: a hundred years.
    pub const MAX: u32 = 36_500;

    /// `days`, if it is within 1 to 36500.
    #[must_use]
    pub fn new(days: u32) -> Option<Self> {
        NonZeroU32::new(days).filter(|d| d.get() <= Self::MAX).map(Self)
    }

    /// The number of days.
    #[must_use]
    pub fn get(self) -> u32 {
        self.0.get()
    }

    /// The same as a span of time.
    #[must_use]
    pub fn span(self) -> Duration {
        DAY * self.get()
    }

    /// What was last used before this moment has outlived its retention.
    #[must_use]
    pub fn cutoff(self, now: Timestamp) -> Timestamp {
        now.earlier_by(self.span())
    }
}

impl fmt::Display for RetentionDays {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}", self.0)
    }
}

/// Why a text is not a number of days.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be a whole number of days from 1 to 36500")]
pub struct NotDays;

impl FromStr for RetentionDays {
    type Err = NotDays;

    fn from_str(text: &str) -> Result<Self, NotDays> {
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        if !digits {
            return Err(NotDays);
        }
        text.parse().ok().and_then(Self::new).ok_or(NotDays)
    }
}

/// What the clock is held against before anything is deleted by age.
#[derive(Debug, Clone, Copy, Default)]
pub struct ClockWitness {
    /// When the newest thing in the store was made, whatever it is.
    pub newest_row: Option<Timestamp>,
    /// When the newest turn was said. Less than a turn is no sign of life: anybody can open a session, and would
    /// then vouch for a clock that is far ahead.
    pub newest_turn: Option<Timestamp>,
    /// When the same job last did its work, at least in part: what one file keeps from succeeding is no stranger to the time.
    pub last_work: Option<Timestamp>,
    /// Where there is neither a turn nor a success: when the newest memory was noted or, without any, somebody was last seen.
    pub newest_kept: Option<Timestamp>,
}

/// Why a clock is not trusted to delete by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ClockDoubt {
    /// The clock says it is earlier than something that already happened.
    #[error("the clock says {now}, which is before the newest entry ({newest})")]
    Behind {
        /// What the clock says.
        now: Timestamp,
        /// The newest entry.
        newest: Timestamp,
    },
    /// The clock says it is earlier than the last run of this job that did its work.
    #[error(
        "the clock says {now}, which is before the last run of this job that did its work ({last_work}); it was wrong \
         then, or is now"
    )]
    BeforeWork {
        /// What the clock says.
        now: Timestamp,
        /// When the job last did its work, by the clock of then.
        last_work: Timestamp,
    },
    /// The clock is far ahead of everything that happened.
    #[error("the clock says {now}, far ahead of the last sign of life ({last_sign})")]
    Ahead {
        /// What the clock says.
        now: Timestamp,
        /// The later of the newest turn and the last run that did its work; the newest of what is kept, where there is neither.
        last_sign: Timestamp,
    },
}

/// A clock may differ this much from the one that wrote the newest entry before it counts as behind.
const CLOCK_SLACK: Duration = Duration::from_secs(60);

/// Refuses a clock that is behind the newest entry or the last run that did its work, or ahead of both the newest turn and the
/// last such run by more than half of `retention` (at least two days). Where there is neither, what else is kept is
/// the witness: somebody may have only noted memories. With no witness at all there is nothing to lose.
///
/// A success in the future is no witness for the clock, it is one against it: this clock or that of then was wrong. If
/// it passed, one run with a clock far ahead would blind the fuse to the next such clock.
///
/// # Errors
/// The [`ClockDoubt`], ready to be shown.
pub fn check_clock(now: Timestamp, witness: ClockWitness, retention: Duration) -> Result<(), ClockDoubt> {
    let latest = now.later_by(CLOCK_SLACK);
    let newest = witness.newest_row.max(witness.newest_turn).max(witness.newest_kept);
    if let Some(newest) = newest.filter(|newest| *newest > latest) {
        return Err(ClockDoubt::Behind { now, newest });
    }
    if let Some(last_work) = witness.last_work.filter(|last| *last > latest) {
        return Err(ClockDoubt::BeforeWork { now, last_work });
    }
    let tolerance = (retention / 2).max(DAY * 2);
    match witness.newest_turn.max(witness.last_work).or(witness.newest_kept) {
        Some(last_sign) if now.since(last_sign) > tolerance => Err(ClockDoubt::Ahead { now, last_sign }),
        _ => Ok(()),
    }
}

/// True when deleting `deleted` of `total` is more than `max_percent` of them.
#[must_use]
pub fn exceeds_percent(deleted: u64, total: u64, max_percent: u8) -> bool {
    u128::from(deleted) * 100 > u128::from(total) * u128::from(max_percent)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_795_528_449_123);

    #[test]
    fn days_are_whole_and_within_bounds() {
        for bad in ["0", "-1", "abc", "1e9", "36501", "", "7.5", "+7", " 7", "99999999999"] {
            assert_eq!(bad.parse::<RetentionDays>(), Err(NotDays), "{bad}");
        }
        assert_eq!("7".parse::<RetentionDays>().unwrap().get(), 7);
        assert_eq!("36500".parse::<RetentionDays>().unwrap().get(), 36_500);
    }

    #[test]
    fn a_clock_a_year_off_is_doubted_both_ways() {
        let year = DAY * 365;
        let now = Some(NOW);
        let witness = ClockWitness { newest_row: now, newest_turn: now, last_work: now, newest_kept: None };
        let week = DAY * 7;
        assert!(matches!(check_clock(NOW.later_by(year), witness, week), Err(ClockDoubt::Ahead { .. })));
        assert!(matches!(check_clock(NOW.earlier_by(year), witness, week), Err(ClockDoubt::Behind { .. })));
        assert_eq!(check_clock(NOW.later_by(DAY), witness, week), Ok(()));
    }

    #[test]
    fn one_sign_of_life_is_enough() {
        let long_ago = Some(NOW.earlier_by(DAY * 30));
        let quiet = ClockWitness {
            newest_row: long_ago,
            newest_turn: long_ago,
            last_work: Some(NOW),
            newest_kept: None,
        };
        assert_eq!(check_clock(NOW.later_by(DAY), quiet, DAY), Ok(()));
        assert_eq!(check_clock(NOW, ClockWitness::default(), DAY), Ok(()));
    }

    #[test]
    fn a_session_in_which_nobody_said_anything_vouches_for_no_clock() {
        let visited = ClockWitness {
            newest_row: Some(NOW),
            newest_turn: Some(NOW.earlier_by(DAY * 365)),
            last_work: None,
            newest_kept: Some(NOW),
        };
        assert!(matches!(check_clock(NOW, visited, DAY * 7), Err(ClockDoubt::Ahead { .. })));
        assert!(matches!(check_clock(NOW.earlier_by(DAY), visited, DAY * 7), Err(ClockDoubt::Behind { .. })));
    }

    #[test]
    fn what_is_kept_is_a_witness_where_nobody_said_anything_and_no_job_has_run() {
        let kept = ClockWitness { newest_kept: Some(NOW), ..ClockWitness::default() };
        let week = DAY * 7;
        assert!(matches!(check_clock(NOW.later_by(DAY * 365), kept, week), Err(ClockDoubt::Ahead { .. })));
        assert!(matches!(check_clock(NOW.earlier_by(DAY), kept, week), Err(ClockDoubt::Behind { .. })));
        assert_eq!(check_clock(NOW.later_by(DAY), kept, week), Ok(()));
    }

    #[test]
    fn a_success_in_the_future_vouches_for_no_clock() {
        let fooled = ClockWitness {
            newest_row: Some(NOW),
            newest_turn: Some(NOW),
            last_work: Some(NOW.later_by(DAY * 365)),
            newest_kept: None,
        };
        for at in [NOW, NOW.later_by(DAY * 300)] {
            assert!(matches!(check_clock(at, fooled, DAY * 7), Err(ClockDoubt::BeforeWork { .. })));
        }
        let slack = ClockWitness { last_work: Some(NOW.later_by(CLOCK_SLACK)), ..fooled };
        assert_eq!(check_clock(NOW, slack, DAY * 7), Ok(()));
    }

    #[test]
    fn a_percentage_is_exceeded_only_beyond_it() {
        assert!(!exceeds_percent(50, 100, 50));
        assert!(exceeds_percent(51, 100, 50));
        assert!(!exceeds_percent(0, 0, 0));
    }

    proptest! {
        #[test]
        fn a_longer_retention_never_cuts_later(a in 1u32..36_500, b in 1u32..36_500) {
            let (short, long) = (a.min(b), a.max(b));
            let cut = |d| RetentionDays::new(d).unwrap().cutoff(NOW);
            prop_assert!(cut(long) <= cut(short));
            prop_assert!(cut(short) < NOW);
        }
    }
}
