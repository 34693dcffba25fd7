//! The numbers that the server notes of itself, so that whoever runs it sees how they went: which they are, how several
//! become one, how often they are noted and how long they are kept.
//!
//! Bounds: 1440 samples of a minute (24 h) and 1440 of half an hour (30 days).

use std::time::Duration;

use crate::domain::clock::Timestamp;

/// So many samples are kept of each length.
pub const MOST: u32 = 1440;

/// A number that is noted. What counts since the sample before is a difference, so that no restart shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Number {
    /// Free bytes where the database lies.
    FreeBytes,
    /// Bytes of the database file.
    DatabaseBytes,
    /// Bytes of its write-ahead log.
    LogBytes,
    /// Bytes of audio replies.
    AudioBytes,
    /// Bytes of backups.
    BackupBytes,
    /// Bytes of memory the server holds.
    ResidentBytes,
    /// Sessions.
    Sessions,
    /// Checkpoints.
    Checkpoints,
    /// Memories.
    Memories,
    /// People.
    Persons,
    /// Open connections.
    OpenConnections,
    /// Open voice sockets.
    VoiceSockets,
    /// Turns answered since the sample before.
    Turns,
    /// Requests answered since then.
    Requests,
    /// Of these with an error of the server's own making, or an upstream's.
    FailedRequests,
    /// Requests refused: their body is too large.
    RefusedTooLarge,
    /// Requests refused: their body came too slowly.
    RefusedTooSlow,
    /// Requests refused: their client asks too often.
    RefusedTooOften,
    /// Requests refused: without a token, with a wrong one, or from a page of another site.
    RefusedNotLetIn,
    /// Requests refused: the server, or a service outside, has no room for them now.
    RefusedBusy,
    /// Requests refused: the disk is low.
    RefusedDiskFull,
    /// Connections not taken, or ended before a request was whole.
    RefusedConnections,
    /// Requests for files of which the client's copy was still good.
    StaticNotModified,
    /// Requests for files of which it was not.
    StaticSent,
}

/// What becomes of a number when two samples become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Joining {
    /// The later one counts.
    Later,
    /// The greater one: a peak is not to be lost.
    Greater,
    /// The smaller one.
    Smaller,
    /// Both together.
    Sum,
}

impl Number {
    /// All of them.
    pub const ALL: [Self; 24] = [
        Self::FreeBytes,
        Self::DatabaseBytes,
        Self::LogBytes,
        Self::AudioBytes,
        Self::BackupBytes,
        Self::ResidentBytes,
        Self::Sessions,
        Self::Checkpoints,
        Self::Memories,
        Self::Persons,
        Self::OpenConnections,
        Self::VoiceSockets,
        Self::Turns,
        Self::Requests,
        Self::FailedRequests,
        Self::RefusedTooLarge,
        Self::RefusedTooSlow,
        Self::RefusedTooOften,
        Self::RefusedNotLetIn,
        Self::RefusedBusy,
        Self::RefusedDiskFull,
        Self::RefusedConnections,
        Self::StaticNotModified,
        Self::StaticSent,
    ];

    /// Its name, in the database and in the API.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::FreeBytes => "free_bytes",
            Self::DatabaseBytes => "database_bytes",
            Self::LogBytes => "log_bytes",
            Self::AudioBytes => "audio_bytes",
            Self::BackupBytes => "backup_bytes",
            Self::ResidentBytes => "resident_bytes",
            Self::Sessions => "sessions",
            Self::Checkpoints => "checkpoints",
            Self::Memories => "memories",
            Self::Persons => "persons",
            Self::OpenConnections => "open_connections",
            Self::VoiceSockets => "voice_sockets",
            Self::Turns => "turns",
            Self::Requests => "requests",
            Self::FailedRequests => "failed_requests",
            Self::RefusedTooLarge => "refused_too_large",
            Self::RefusedTooSlow => "refused_too_slow",
            Self::RefusedTooOften => "refused_too_often",
            Self::RefusedNotLetIn => "refused_not_let_in",
            Self::RefusedBusy => "refused_busy",
            Self::RefusedDiskFull => "refused_disk_full",
            Self::RefusedConnections => "refused_connections",
            Self::StaticNotModified => "static_not_modified",
            Self::StaticSent => "static_sent",
        }
    }

    /// True for what counts since the sample before.
    #[must_use]
    pub fn is_counted(self) -> bool {
        self.joining() == Joining::Sum
    }

    const fn joining(self) -> Joining {
        match self {
            Self::FreeBytes => Joining::Smaller,
            Self::LogBytes | Self::ResidentBytes | Self::OpenConnections | Self::VoiceSockets => {
                Joining::Greater
            }
            Self::DatabaseBytes
            | Self::AudioBytes
            | Self::BackupBytes
            | Self::Sessions
            | Self::Checkpoints
            | Self::Memories
            | Self::Persons => Joining::Later,
            Self::Turns
            | Self::Requests
            | Self::FailedRequests
            | Self::RefusedTooLarge
            | Self::RefusedTooSlow
            | Self::RefusedTooOften
            | Self::RefusedNotLetIn
            | Self::RefusedBusy
            | Self::RefusedDiskFull
            | Self::RefusedConnections
            | Self::StaticNotModified
            | Self::StaticSent => Joining::Sum,
        }
    }
}

/// The numbers of one moment; `None` what was not known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sample([Option<u64>; Number::ALL.len()]);

impl Sample {
    /// A number of it.
    #[must_use]
    pub const fn get(&self, number: Number) -> Option<u64> {
        self.0[number as usize]
    }

    /// Notes a number.
    pub const fn set(&mut self, number: Number, value: Option<u64>) {
        self.0[number as usize] = value;
    }

    /// Makes one of this sample and a later one.
    pub fn join(&mut self, later: &Self) {
        for number in Number::ALL {
            let joined = match (self.get(number), later.get(number)) {
                (Some(one), Some(other)) => Some(match number.joining() {
                    Joining::Later => other,
                    Joining::Greater => one.max(other),
                    Joining::Smaller => one.min(other),
                    Joining::Sum => one.saturating_add(other),
                }),
                (one, other) => other.or(one),
            };
            self.set(number, joined);
        }
    }
}

/// How long a time one sample stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grain {
    /// A minute.
    Minute,
    /// Half an hour.
    HalfHour,
}

impl Grain {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Minute, Self::HalfHour];

    /// So long.
    #[must_use]
    pub const fn length(self) -> Duration {
        match self {
            Self::Minute => Duration::from_secs(60),
            Self::HalfHour => Duration::from_secs(30 * 60),
        }
    }

    /// When the time begins that a sample of `at` stands for.
    #[must_use]
    pub fn begin(self, at: Timestamp) -> Timestamp {
        begin_of(at, self.length())
    }

    /// When the oldest of the samples begins that are kept at `now`.
    #[must_use]
    pub fn oldest(self, now: Timestamp) -> Timestamp {
        self.begin(now).earlier_by(self.length() * (MOST - 1))
    }
}

fn begin_of(at: Timestamp, length: Duration) -> Timestamp {
    let length = i64::try_from(length.as_millis()).unwrap_or(i64::MAX);
    Timestamp::from_millis(at.as_millis() - at.as_millis().rem_euclid(length))
}

/// How far back somebody looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Span {
    /// 24 hours, 5 minutes at a time.
    Day,
    /// 30 days, 3 hours at a time.
    Month,
}

impl Span {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Day, Self::Month];

    /// As it is asked for.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Day => "24h",
            Self::Month => "30d",
        }
    }

    /// The samples it is made of.
    #[must_use]
    pub const fn grain(self) -> Grain {
        match self {
            Self::Day => Grain::Minute,
            Self::Month => Grain::HalfHour,
        }
    }

    /// How long a time one point of it stands for.
    #[must_use]
    pub const fn step(self) -> Duration {
        match self {
            Self::Day => Duration::from_secs(5 * 60),
            Self::Month => Duration::from_secs(3 * 60 * 60),
        }
    }

    /// How many points it has.
    #[must_use]
    pub const fn points(self) -> u32 {
        match self {
            Self::Day => 288,
            Self::Month => 240,
        }
    }

    /// When its first point begins at `now`.
    #[must_use]
    pub fn begin(self, now: Timestamp) -> Timestamp {
        begin_of(now, self.step()).earlier_by(self.step() * (self.points() - 1))
    }
}

/// How the numbers went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trend {
    /// How far back.
    pub span: Span,
    /// When the first point begins.
    pub from: Timestamp,
    /// One after the other; `None` where nothing was noted.
    pub points: Vec<Option<Sample>>,
}

impl Trend {
    /// The trend at `now`, of samples in the order of their times.
    #[must_use]
    pub fn of(span: Span, now: Timestamp, samples: &[(Timestamp, Sample)]) -> Self {
        let from = span.begin(now);
        let mut points = vec![None; span.points() as usize];
        for (at, sample) in samples.iter().filter(|(at, _)| *at >= from) {
            let place = at.since(from).as_millis() / span.step().as_millis();
            let Some(point) = usize::try_from(place).ok().and_then(|place| points.get_mut(place)) else {
                continue;
            };
            point.get_or_insert(Sample::default()).join(sample);
        }
        Self { span, from, points }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-24T13:54:09.123Z
    const NOW: Timestamp = Timestamp::from_millis(1_795_528_449_123);

    fn of(numbers: &[(Number, u64)]) -> Sample {
        let mut sample = Sample::default();
        numbers.iter().for_each(|(number, value)| sample.set(*number, Some(*value)));
        sample
    }

    #[test]
    fn every_number_has_its_place_and_a_name_of_its_own() {
        let mut names = std::collections::BTreeSet::new();
        for (place, number) in Number::ALL.into_iter().enumerate() {
            assert_eq!(number as usize, place);
            assert!(names.insert(number.name()), "{}", number.name());
        }
    }

    #[test]
    fn two_samples_become_one() {
        use Number::{FreeBytes, Persons, ResidentBytes, Sessions, Turns};
        let mut one = of(&[(FreeBytes, 5), (Sessions, 9), (ResidentBytes, 7), (Turns, 2), (Persons, 1)]);
        one.join(&of(&[(FreeBytes, 6), (Sessions, 4), (ResidentBytes, 3), (Turns, 3)]));
        let joined = of(&[(FreeBytes, 5), (Sessions, 4), (ResidentBytes, 7), (Turns, 5), (Persons, 1)]);
        assert_eq!(one, joined);
        let mut nothing = Sample::default();
        nothing.join(&one);
        assert_eq!(nothing, one);
    }

    #[test]
    fn all_that_a_span_is_made_of_is_kept() {
        for span in Span::ALL {
            assert!(span.begin(NOW) >= span.grain().oldest(NOW), "{span:?}");
            assert_eq!(span.step().as_millis() % span.grain().length().as_millis(), 0);
            let whole = span.step() * span.points();
            assert_eq!(whole, span.grain().length() * MOST);
        }
    }

    #[test]
    fn a_trend_leaves_out_what_is_too_old_and_shows_where_nothing_was_noted() {
        let at = |minutes: u64| NOW.earlier_by(Duration::from_secs(60 * minutes));
        let turns = |count| of(&[(Number::Turns, count)]);
        let samples =
            [(at(60 * 24), turns(1)), (at(60 * 23), turns(2)), (at(2), turns(4)), (at(0), turns(8))];
        let trend = Trend::of(Span::Day, NOW, &samples);
        assert_eq!(trend.from.to_string(), "2026-11-23T13:55:00.000Z");
        let seen: Vec<_> =
            trend.points.iter().enumerate().filter_map(|(n, point)| Some((n, (*point)?))).collect();
        assert_eq!(seen, [(11, turns(2)), (287, turns(12))]);
        assert_eq!(trend.points.len(), 288);
    }
}
