//! People who talk at a steady rate, whatever the server does: a turn that is late counts from when it was due.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, ensure};

use crate::http::{self, Client};
use crate::table::millis;

const TALKERS: u32 = 16;

/// One answered turn.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    /// When it was due.
    pub due: Instant,
    /// From then to the whole answer, in milliseconds.
    pub took_ms: f64,
}

pub struct Load {
    stop: Arc<AtomicBool>,
    talkers: Vec<JoinHandle<Result<Vec<Sample>>>>,
}

impl Load {
    /// Starts conversations of so many turns a second in all, with answers that come whole.
    pub fn begin(address: SocketAddr, per_second: u32) -> Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let began = Instant::now() + Duration::from_millis(100);
        let mut talkers = Vec::new();
        for number in 0..TALKERS {
            let talker = Talker {
                client: Client::connect(address)?,
                session: http::start_session(address)?,
                stop: stop.clone(),
                due: began + Duration::from_secs(1) * number / per_second,
                every: Duration::from_secs(1) * TALKERS / per_second,
            };
            talkers.push(std::thread::spawn(move || talker.talk()));
        }
        Ok(Self { stop, talkers })
    }

    /// Ends them and returns every turn.
    pub fn end(self) -> Result<Vec<Sample>> {
        self.stop.store(true, Ordering::Relaxed);
        let mut samples = Vec::new();
        for talker in self.talkers {
            samples.extend(talker.join().map_err(|_| anyhow!("a talker panicked"))??);
        }
        Ok(samples)
    }
}

/// The milliseconds of the turns that were due between two moments.
pub fn between(samples: &[Sample], from: Instant, to: Instant) -> Vec<f64> {
    samples.iter().filter(|turn| (from..to).contains(&turn.due)).map(|turn| turn.took_ms).collect()
}

struct Talker {
    client: Client,
    session: String,
    stop: Arc<AtomicBool>,
    due: Instant,
    every: Duration,
}

impl Talker {
    fn talk(mut self) -> Result<Vec<Sample>> {
        let message =
            "I went for a walk along the river and thought about my sister, and what she said of the garden";
        let request = http::turn(&self.session, message);
        let mut samples = Vec::new();
        while !self.stop.load(Ordering::Relaxed) {
            rest(self.due.saturating_duration_since(Instant::now()));
            let (status, _) = self.client.ask(&request)?;
            ensure!(status == 200, "a turn was answered {status}");
            samples.push(Sample { due: self.due, took_ms: millis(self.due.elapsed()) });
            self.due += self.every;
        }
        Ok(samples)
    }
}

#[expect(clippy::disallowed_methods, reason = "a steady rate is made of short waits")]
pub fn rest(span: Duration) {
    std::thread::sleep(span);
}
