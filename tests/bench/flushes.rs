//! What the disk itself takes to keep 4 KiB, again and again: what is slow there is slow whoever writes.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};

use crate::load::{Sample, rest};
use crate::table::millis;

const EVERY: Duration = Duration::from_millis(20);

/// Writes in place and flushes until it is ended.
pub struct Flushes {
    stop: Arc<AtomicBool>,
    writer: JoinHandle<Result<Vec<Sample>>>,
}

impl Flushes {
    /// Begins, in a file of this name that is made for it.
    pub fn begin(path: &Path) -> Result<Self> {
        let file = File::create(path)?;
        let stop = Arc::new(AtomicBool::new(false));
        let told = stop.clone();
        Ok(Self { stop, writer: std::thread::spawn(move || write(&file, &told)) })
    }

    /// Ends it and returns every flush.
    pub fn end(self) -> Result<Vec<Sample>> {
        self.stop.store(true, Ordering::Relaxed);
        self.writer.join().map_err(|_| anyhow!("the writer panicked"))?
    }
}

fn write(file: &File, stop: &AtomicBool) -> Result<Vec<Sample>> {
    let mut samples = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let due = Instant::now();
        file.write_all_at(&[0; 4096], 0)?;
        file.sync_data()?;
        samples.push(Sample { due, took_ms: millis(due.elapsed()) });
        rest(EVERY);
    }
    Ok(samples)
}
