//! The server's numbers over time: noted at once and each minute, shown as trends. No maintenance is done here: what is noted
//! replaces what is too old.
//!
//! Bounds: no more than a twentieth of the time goes into it; else those of [`sample_store`]. While the disk is low nothing is
//! noted; what was counted meanwhile is in the next sample. What was counted in the last minute before the server ends is not noted.

use std::time::{Duration, Instant};

use rusqlite::Connection;

use crate::adapters::sample_store;
use crate::app::house::{House, SHARE};
use crate::app::{App, AppError};
use crate::domain::samples::{Grain, Number, Sample, Span, Trend};
use crate::telemetry::tally::Tally;

const EVERY: Duration = Duration::from_secs(60);

/// What is known outside of the use cases.
#[derive(Debug, Clone, Copy, Default)]
pub struct Live {
    /// What was counted since the server started.
    pub tally: Tally,
    /// Voice sockets open now.
    pub voice_sockets: u64,
}

/// How the numbers went.
#[derive(Debug, Clone)]
pub struct Trends {
    /// Over the span that was asked for.
    pub trend: Trend,
    /// What was counted in the last 24 hours, as one sample.
    pub last_day: Sample,
}

impl App {
    /// Notes the numbers at once and each minute. Goes on until it is dropped.
    pub async fn note_samples(&self, live: &(dyn Fn() -> Live + Send + Sync)) {
        let (mut noted, mut told) = (Tally::default(), false);
        loop {
            let (began, now) = (Instant::now(), live());
            match self.note_sample(now, &noted).await {
                Ok(true) => (noted, told) = (now.tally, false),
                Ok(false) => {}
                Err(error) if !told => {
                    tracing::warn!(event = "sample_not_noted", error = %error, "The numbers for the admin page could not be noted; it is tried each minute");
                    told = true;
                }
                Err(_) => {}
            }
            tokio::time::sleep(EVERY.max(began.elapsed() * SHARE)).await;
        }
    }

    /// Notes the numbers of now, of what was counted only what is not `noted` yet. False while the disk is low.
    async fn note_sample(&self, live: Live, noted: &Tally) -> Result<bool, AppError> {
        if self.data_dir.is_low() {
            return Ok(false);
        }
        let house = self.look_over().await;
        let sample = sample(&house, self.resident_bytes(), live, noted);
        let now = self.clock.now();
        self.database.write("note a sample", move |db| sample_store::note(db, &sample, now)).await?;
        Ok(true)
    }

    /// How the numbers went.
    ///
    /// # Errors
    /// What the database says.
    pub async fn trends(&self, span: Span) -> Result<Trends, AppError> {
        let now = self.clock.now();
        let look = move |db: &Connection| {
            let day = sample_store::kept(db, Grain::Minute, now)?;
            let trend = match span.grain() {
                Grain::Minute => Trend::of(span, now, &day),
                Grain::HalfHour => Trend::of(span, now, &sample_store::kept(db, Grain::HalfHour, now)?),
            };
            let mut last_day = Sample::default();
            day.iter().for_each(|(_, sample)| last_day.join(sample));
            Ok(Trends { trend, last_day })
        };
        Ok(self.database.read("read the samples", look).await?)
    }
}

fn sample(house: &House, resident: Option<u64>, live: Live, noted: &Tally) -> Sample {
    let mut sample = Sample::default();
    let rows = house.rows.as_ref();
    for (number, value) in [
        (Number::FreeBytes, house.disk.free),
        (Number::DatabaseBytes, house.disk.database),
        (Number::LogBytes, house.disk.log),
        (Number::AudioBytes, house.disk.audio),
        (Number::BackupBytes, house.disk.backups),
        (Number::ResidentBytes, resident),
        (Number::Sessions, rows.map(|rows| rows.sessions)),
        (Number::Checkpoints, rows.map(|rows| rows.checkpoints)),
        (Number::Memories, rows.map(|rows| rows.memories)),
        (Number::Persons, rows.map(|rows| rows.persons)),
        (Number::OpenConnections, Some(live.tally.open_connections)),
        (Number::VoiceSockets, Some(live.voice_sockets)),
    ] {
        sample.set(number, value);
    }
    for ((number, counted), (_, before)) in counts(&live.tally).into_iter().zip(counts(noted)) {
        sample.set(number, Some(counted.saturating_sub(before)));
    }
    sample
}

fn counts(tally: &Tally) -> [(Number, u64); 12] {
    [
        (Number::Turns, tally.turns),
        (Number::Requests, tally.requests),
        (Number::FailedRequests, tally.failed),
        (Number::RefusedTooLarge, tally.too_large),
        (Number::RefusedTooSlow, tally.too_slow),
        (Number::RefusedTooOften, tally.too_often),
        (Number::RefusedNotLetIn, tally.not_let_in),
        (Number::RefusedBusy, tally.busy),
        (Number::RefusedDiskFull, tally.disk_full),
        (Number::RefusedConnections, tally.connections),
        (Number::StaticNotModified, tally.not_modified),
        (Number::StaticSent, tally.sent),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_is_noted_and_what_is_counted_only_since_the_sample_before() {
        let house = House {
            rows: Some(crate::app::house::Rows {
                sessions: 1,
                checkpoints: 2,
                memories: 3,
                persons: 4,
                outbox: crate::adapters::outbox_store::Waiting::default(),
                jobs: Vec::new(),
            }),
            disk: crate::app::house::DiskUse {
                backups_free: None,
                free: Some(1),
                database: Some(2),
                log: Some(3),
                audio: Some(4),
                next_audio_files: None,
                backups: Some(5),
            },
            ..House::default()
        };
        let before = Tally { turns: 2, requests: 10, ..Tally::default() };
        let live = Live { tally: Tally { turns: 5, requests: 30, ..Tally::default() }, voice_sockets: 6 };
        let whole = sample(&house, Some(7), live, &before);
        assert!(Number::ALL.into_iter().all(|number| whole.get(number).is_some()), "{whole:?}");
        assert_eq!((whole.get(Number::Turns), whole.get(Number::Requests)), (Some(3), Some(20)));
        assert_eq!((whole.get(Number::VoiceSockets), whole.get(Number::BackupBytes)), (Some(6), Some(5)));
        let counted = Number::ALL.into_iter().filter(|number| number.is_counted()).count();
        assert_eq!(counted, counts(&before).len());
        let unseen = sample(&House::default(), None, live, &before);
        assert_eq!((unseen.get(Number::Sessions), unseen.get(Number::FreeBytes)), (None, None));
    }
}
