//! Backups: their names, and which of them stay.

use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

use crate::domain::clock::Timestamp;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The last backup before most rows went stays this long, whatever the keep rules say: time to notice an accident.
pub const GUARDED_FOR: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// The name of a backup: `companion-YYYYMMDDTHHMMSSZ[-N].db.zst[.age]`. Ordered by when it was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct BackupName {
    /// When it was taken, to the second.
    pub taken: Timestamp,
    /// 1 for the first one of that second, and so on.
    pub number: u32,
    /// Whether it is encrypted.
    pub encrypted: bool,
}

impl BackupName {
    /// Reads a name that was made here; anything else is foreign.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let stem = name.strip_prefix("companion-")?;
        let (stem, encrypted) = match stem.strip_suffix(".age") {
            Some(stem) => (stem, true),
            None => (stem, false),
        };
        let stem = stem.strip_suffix(".db.zst")?;
        let (moment, number) = match stem.split_once('-') {
            Some((moment, number)) => (moment, number.parse().ok().filter(|number| *number >= 2)?),
            None => (stem, 1),
        };
        let read = Self { taken: Timestamp::parse_compact(moment)?, number, encrypted };
        (read.to_string() == name).then_some(read)
    }

    /// The name of the manifest beside it.
    #[must_use]
    pub fn manifest(&self) -> String {
        format!("companion-{}.json", self.stem())
    }

    fn stem(&self) -> String {
        let moment = self.taken.compact();
        if self.number > 1 { format!("{moment}-{}", self.number) } else { moment }
    }
}

impl fmt::Display for BackupName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ending = if self.encrypted { ".db.zst.age" } else { ".db.zst" };
        write!(out, "companion-{}{ending}", self.stem())
    }
}

/// Which backups stay: any one rule that wants a backup keeps it. Days, weeks (ISO 8601) and months are those of UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeepRules {
    /// So many of the newest.
    pub newest: NonZeroU32,
    /// The newest of each of the last so many days that have one.
    pub daily: u32,
    /// The same by weeks.
    pub weekly: u32,
    /// The same by months.
    pub monthly: u32,
}

impl KeepRules {
    /// Why each of the backups taken at these moments (newest first) stays; those without a reason go.
    ///
    /// As restic's `forget` does, a rule by days, weeks or months that does not find as many as it wants also keeps the
    /// oldest backup there is.
    #[must_use]
    pub fn reasons(&self, taken: &[Timestamp]) -> Vec<Vec<String>> {
        let newest = usize::try_from(self.newest.get()).unwrap_or(usize::MAX);
        let mut reasons: Vec<Vec<String>> = taken.iter().map(|_| Vec::new()).collect();
        for kept in reasons.iter_mut().take(newest) {
            kept.push(format!("among the newest {}", self.newest));
        }
        for period in self.periods() {
            keep_newest_of_each(&period, taken, &mut reasons);
        }
        reasons
    }

    /// The longest a backup made now can stay when backups are made as often as at these moments (newest first), and
    /// at least daily: each rule's count, times the longer of its period and the pace at which what it counts is made.
    #[must_use]
    pub fn longest(&self, taken: &[Timestamp]) -> Duration {
        let by_period = self.periods().map(|period| {
            // Only periods that have a backup count, so the rule's own pace is that of the newest of each.
            let picks: Vec<_> = taken.chunk_by(|a, b| (period.of)(*a) == (period.of)(*b)).collect();
            let picks: Vec<_> = picks.iter().filter_map(|of_period| of_period.first().copied()).collect();
            stay(period.wanted, period.span, &picks)
        });
        by_period.into_iter().fold(stay(self.newest.get(), DAY, taken), Duration::max)
    }

    /// The same whatever comes: an accident on its last day has it guarded for [`GUARDED_FOR`], and then it stays until
    /// the next one is made.
    #[must_use]
    pub fn longest_guarded(&self, taken: &[Timestamp]) -> Duration {
        self.longest(taken) + GUARDED_FOR + slowest(taken, LAST, DAY)
    }

    /// The same in whole days, for the backups of these names (newest first): what lies in the future counts for no rule,
    /// and the present ones may stay so much longer as the newest lies ahead.
    #[must_use]
    pub fn longest_days(&self, names: &[BackupName], now: Timestamp) -> u64 {
        let ahead = names.first().map_or(Duration::ZERO, |newest| newest.taken.since(now));
        let past: Vec<_> =
            names.iter().filter(|name| !is_from_the_future(**name, now)).map(|name| name.taken).collect();
        (self.longest_guarded(&past) + ahead).as_secs().div_ceil(DAY.as_secs())
    }

    fn periods(&self) -> [Period; 3] {
        [
            Period { name: "day", wanted: self.daily, span: DAY, of: Timestamp::day },
            Period { name: "week", wanted: self.weekly, span: DAY * 7, of: Timestamp::week },
            Period { name: "month", wanted: self.monthly, span: DAY * 31, of: Timestamp::month },
        ]
    }
}

/// Why a backup stays whose name lies in the future.
pub const FROM_THE_FUTURE: &str = "from the future: was the clock wrong?";

/// True for a backup that was taken, by its name, after `now`: the clock was wrong then, or is now. It counts for no rule
/// and nothing is held against it: it would be the newest for as long as the clock was ahead.
#[must_use]
pub fn is_from_the_future(name: BackupName, now: Timestamp) -> bool {
    name.taken > now
}

/// A rule that goes by the calendar.
struct Period {
    name: &'static str,
    /// So many of those that have a backup.
    wanted: u32,
    /// The longest one.
    span: Duration,
    /// Names the one a moment lies in.
    of: fn(Timestamp) -> String,
}

/// So many of the last backups tell when the next one comes.
const LAST: u32 = 7;

/// How long one of `count` stays when the next ones come at the slowest pace of these (newest first), or of `at_least`.
fn stay(count: u32, at_least: Duration, taken: &[Timestamp]) -> Duration {
    slowest(taken, count, at_least).saturating_mul(count)
}

/// The longest time between any two of the last `count` of these (newest first) that follow each other, or `at_least`.
fn slowest(taken: &[Timestamp], count: u32, at_least: Duration) -> Duration {
    let gaps = taken.iter().zip(taken.iter().skip(1)).map(|(newer, older)| newer.since(*older));
    let counted = gaps.take(usize::try_from(count).unwrap_or(usize::MAX));
    counted.fold(at_least, Duration::max)
}

fn keep_newest_of_each(period: &Period, taken: &[Timestamp], reasons: &mut [Vec<String>]) {
    let (mut last, mut left, name) = (None, period.wanted, period.name);
    for (place, (at, kept)) in taken.iter().zip(reasons).enumerate() {
        if left == 0 {
            return;
        }
        let now = (period.of)(*at);
        if last.as_ref() != Some(&now) {
            kept.push(format!("newest of {name} {now}"));
            left -= 1;
        } else if place + 1 == taken.len() {
            kept.push(format!("oldest there is, for want of {left} more {name}s"));
        }
        last = Some(now);
    }
}

/// True when more than half of the rows have gone.
#[must_use]
pub fn has_halved(before: u64, now: u64) -> bool {
    now.saturating_mul(2) < before
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rules(newest: u32, daily: u32, weekly: u32, monthly: u32) -> KeepRules {
        KeepRules { newest: NonZeroU32::new(newest).unwrap(), daily, weekly, monthly }
    }

    fn day(number: u64) -> Timestamp {
        Timestamp::parse("2026-01-01T02:00:00Z").unwrap().later_by(DAY * u32::try_from(number).unwrap())
    }

    /// The numbers of the days whose backups stay, of one backup a day on `days` days.
    fn kept(rules: KeepRules, days: u64) -> Vec<u64> {
        let numbers: Vec<_> = (0..days).rev().collect();
        let taken: Vec<_> = numbers.iter().map(|number| day(*number)).collect();
        let reasons = rules.reasons(&taken);
        numbers
            .into_iter()
            .zip(reasons)
            .filter(|(_, reasons)| !reasons.is_empty())
            .map(|(day, _)| day)
            .collect()
    }

    #[test]
    fn names_sort_by_time_and_foreign_ones_are_not_ours() {
        let plain = BackupName::parse("companion-20261124T020000Z.db.zst").unwrap();
        let second = BackupName::parse("companion-20261124T020000Z-2.db.zst").unwrap();
        let encrypted = BackupName::parse("companion-20261124T020001Z.db.zst.age").unwrap();
        assert!(plain < second && second < encrypted && encrypted.encrypted && !plain.encrypted);
        assert_eq!(second.manifest(), "companion-20261124T020000Z-2.json");
        for foreign in [
            "companion-20261124T020000Z.db",
            "companion-20261124T020000Z-1.db.zst",
            "companion-20261124T020000Z-02.db.zst",
            "companion-20261399T020000Z.db.zst",
            "companion-2026-11-24.db.zst",
            "my-companion-20261124T020000Z.db.zst",
            "companion-20261124T020000é.db.zst",
            "companion-20261124T020000Z.db.zst.gpg",
        ] {
            assert_eq!(BackupName::parse(foreign), None, "{foreign}");
        }
    }

    #[test]
    fn each_rule_keeps_its_own_and_any_rule_is_enough() {
        assert_eq!(kept(rules(3, 0, 0, 0), 10), [9, 8, 7]);
        assert_eq!(kept(rules(1, 4, 0, 0), 10), [9, 8, 7, 6]);
        // 2026-01-01 was a Thursday: weeks begin on days 4, 11, 18, ...
        assert_eq!(kept(rules(1, 0, 3, 0), 20), [19, 17, 10]);
        assert_eq!(kept(rules(1, 2, 0, 2), 50), [49, 48, 30]);
    }

    #[test]
    fn a_rule_that_wants_more_than_there_is_keeps_the_oldest() {
        assert_eq!(kept(rules(1, 0, 0, 5), 50), [49, 30, 0]);
        let taken = [day(1), day(1).earlier_by(Duration::from_secs(60))];
        assert!(rules(1, 3, 0, 0).reasons(&taken)[1][0].starts_with("oldest"));
    }

    #[test]
    fn a_reason_names_its_period() {
        let reasons = rules(1, 1, 1, 1).reasons(&[day(0)]);
        assert_eq!(
            reasons[0],
            [
                "among the newest 1",
                "newest of day 2026-01-01",
                "newest of week 2026-W01",
                "newest of month 2026-01"
            ]
        );
    }

    #[test]
    fn the_longest_stay_follows_the_rules_and_the_pace() {
        assert_eq!(rules(7, 0, 0, 0).longest(&[]), DAY * 7);
        assert_eq!(rules(2, 0, 0, 0).longest(&[day(14), day(7), day(0)]), DAY * 14);
        assert_eq!(rules(7, 14, 8, 0).longest(&[]), DAY * 56);
        let weekly: Vec<_> = (0..20).rev().map(|week| day(week * 7)).collect();
        assert_eq!(rules(1, 14, 0, 0).longest(&weekly), DAY * 7 * 14);
        assert_eq!(rules(1, 0, 0, 12).longest(&weekly), DAY * 35 * 12);
    }

    /// A backup of which is known until when it is guarded, and how long it was to stay when it was made.
    struct Promised {
        at: Timestamp,
        guarded_until: Option<Timestamp>,
        longest: Duration,
    }

    /// Backups at these hours, one after the other, each followed by a rotation: of each one that went, how long it had
    /// stayed and what was promised when it was made. The first hundred only set the pace. With `accidents` each one is
    /// guarded when it is about to go.
    fn rotated(
        rules: KeepRules,
        accidents: bool,
        hours: impl IntoIterator<Item = u64>,
    ) -> Vec<(Duration, Duration)> {
        let (mut shelf, mut gone): (Vec<Promised>, _) = (Vec::new(), Vec::new());
        for (number, hour) in hours.into_iter().enumerate() {
            let now = day(0).later_by(Duration::from_secs(60 * 60 * hour));
            shelf.insert(0, Promised { at: now, guarded_until: None, longest: Duration::MAX });
            let taken: Vec<_> = shelf.iter().map(|backup| backup.at).collect();
            if number >= 100 {
                let longest = if accidents { KeepRules::longest_guarded } else { KeepRules::longest };
                shelf[0].longest = longest(&rules, &taken);
            }
            let mut why = rules.reasons(&taken).into_iter();
            shelf.retain_mut(|backup| {
                let mut stays = !why.next().unwrap().is_empty();
                if !stays && accidents {
                    stays = *backup.guarded_until.get_or_insert(now.later_by(GUARDED_FOR)) > now;
                }
                if !stays && backup.longest < Duration::MAX {
                    gone.push((now.since(backup.at), backup.longest));
                }
                stays
            });
        }
        gone
    }

    #[test]
    fn no_backup_outlives_its_promise_at_any_steady_pace() {
        // Hours between backups, over and over: hourly, daily, twice a day and then none for two, weekly, ...
        let paces: [&[u64]; 7] = [&[1], &[24], &[23, 50], &[7 * 24], &[10 * 24], &[40 * 24], &[1, 2, 300]];
        for pace in paces {
            for rules in [rules(3, 0, 0, 0), rules(1, 14, 0, 0), rules(2, 0, 8, 0), rules(7, 14, 8, 3)] {
                // Of hourly ones 720 at a time would be guarded, which takes long to go through.
                for accidents in [false, true].into_iter().filter(|accidents| !accidents || *pace != [1]) {
                    let hours = (0..1500).scan(0, |at, number: usize| {
                        *at += pace[number % pace.len()];
                        Some(*at)
                    });
                    let gone = rotated(rules, accidents, hours);
                    assert!(gone.len() > 900, "{pace:?} {rules:?} {accidents}: {} were rotated", gone.len());
                    for (stayed, promised) in gone {
                        let longest = format!("{pace:?} {rules:?} {accidents}: {stayed:?} of {promised:?}");
                        assert!(stayed <= promised, "{longest}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_promise_is_no_longer_than_the_pace_asks_for() {
        let weekly = rotated(rules(1, 14, 0, 0), false, (0..300).map(|week| week * 7 * 24));
        let longest = weekly.iter().max().unwrap();
        assert_eq!(*longest, (DAY * 98, DAY * 98));
    }

    #[test]
    fn a_half_is_still_a_half() {
        assert!(!has_halved(10, 5) && has_halved(10, 4) && !has_halved(0, 0));
    }

    proptest! {
        #[test]
        fn every_name_made_is_read_back(seconds in 0i64..4_000_000_000, number in 1u32..50, encrypted: bool) {
            let name = BackupName { taken: Timestamp::from_millis(seconds * 1000), number, encrypted };
            prop_assert_eq!(BackupName::parse(&name.to_string()), Some(name));
        }

        #[test]
        fn the_newest_stays_and_twice_is_the_same_as_once(
            days in proptest::collection::vec(0u64..900, 1..80),
            (newest, daily, weekly, monthly) in (1u32..9, 0u32..9, 0u32..9, 0u32..9),
        ) {
            let mut taken: Vec<_> = days.into_iter().map(day).collect();
            taken.sort_by(|a, b| b.cmp(a));
            let rules = rules(newest, daily, weekly, monthly);
            let stay = |taken: &[Timestamp]| -> Vec<Timestamp> {
                let reasons = rules.reasons(taken);
                taken.iter().zip(reasons).filter(|(_, why)| !why.is_empty()).map(|(at, _)| *at).collect()
            };
            let once = stay(&taken);
            prop_assert_eq!(once[0], taken[0]);
            prop_assert_eq!(stay(&once), once);
        }
    }
}
