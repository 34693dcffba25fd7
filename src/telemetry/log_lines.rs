//! Lines of the log on their way to stderr. Who writes there waits for whoever reads it (a full pipe, a terminal that was
//! stopped); who says something does not wait.
//!
//! Bounds: 1024 lines wait; what comes then is left out and counted. The end waits for them for 1 s.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tracing_subscriber::fmt::MakeWriter;

const MOST: usize = 1024;
const LAST_WAIT: Duration = Duration::from_secs(1);

/// Takes lines from everybody; clones fill the same queue.
#[derive(Debug, Clone, Default)]
pub struct LogLines {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    lines: VecDeque<Vec<u8>>,
    left_out: u64,
    /// What was taken out is not written yet.
    writing: bool,
}

/// What is to be written next.
struct Next {
    line: Vec<u8>,
    /// Lines that were left out, where that is to be told after this one.
    left_out: u64,
}

impl LogLines {
    /// Adds a line, or leaves it out.
    pub fn add(&self, line: &[u8]) {
        let mut waiting = self.waiting();
        if waiting.lines.len() < MOST {
            waiting.lines.push_back(line.to_owned());
            self.shared.changed.notify_all();
        } else {
            waiting.left_out += 1;
        }
    }

    /// Waits until all is written, but not for long when nobody reads.
    pub fn flush(&self) {
        let unwritten = |waiting: &mut Waiting| waiting.writing || !waiting.lines.is_empty();
        drop(self.shared.changed.wait_timeout_while(self.waiting(), LAST_WAIT, unwritten));
    }

    /// Writes lines to `out`, for good; `tell` hears how many were left out.
    pub(super) fn write_all(&self, mut out: impl Write, mut tell: impl FnMut(u64)) {
        loop {
            let Next { line, left_out } = self.next();
            // Where it cannot be written there is nowhere to say so.
            drop(out.write_all(&line));
            if left_out > 0 {
                tell(left_out);
            }
        }
    }

    /// Waits for it.
    fn next(&self) -> Next {
        let mut waiting = self.waiting();
        waiting.writing = false;
        self.shared.changed.notify_all();
        loop {
            if let Some(line) = waiting.lines.pop_front() {
                waiting.writing = true;
                let tell = waiting.lines.is_empty() || waiting.left_out >= MOST as u64;
                let left_out = if tell { std::mem::take(&mut waiting.left_out) } else { 0 };
                return Next { line, left_out };
            }
            waiting = self.shared.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.shared.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Each line comes in one piece.
impl Write for &LogLines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.add(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for LogLines {
    type Writer = &'a Self;

    fn make_writer(&'a self) -> Self::Writer {
        self
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

    use super::*;

    /// Takes a piece whenever somebody reads one.
    struct Pipe(SyncSender<String>);

    impl Write for Pipe {
        fn write(&mut self, data: &[u8]) -> io::Result<usize> {
            self.0.send(String::from_utf8_lossy(data).into_owned()).map_err(|_| io::ErrorKind::BrokenPipe)?;
            Ok(data.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn lines() -> (LogLines, Receiver<String>) {
        let (pipe, reader) = sync_channel(0);
        let lines = LogLines::default();
        let (writing, telling) = (lines.clone(), pipe.clone());
        std::thread::spawn(move || {
            writing.write_all(Pipe(pipe), |left_out| drop(telling.send(format!("{left_out} left out"))))
        });
        (lines, reader)
    }

    #[test]
    fn who_speaks_does_not_wait_for_a_reader_who_is_told_what_was_left_out() {
        let (lines, reader) = lines();
        for number in 0..2000 {
            lines.add(number.to_string().as_bytes());
        }
        let mut read: Vec<String> = Vec::new();
        while !read.last().is_some_and(|line| line.ends_with("left out")) {
            read.push(reader.recv().unwrap());
        }
        // One may have been on its way out when the others came.
        assert!([1025, 1026].contains(&read.len()), "{}", read.len());
        assert_eq!(read.pop().unwrap(), format!("{} left out", 2000 - read.len()));
        assert!(read.iter().enumerate().all(|(place, line)| *line == place.to_string()));
        lines.add(b"on");
        assert_eq!(reader.recv().unwrap(), "on");
    }

    #[test]
    fn the_end_does_not_wait_for_who_does_not_read() {
        let (lines, _reader) = lines();
        lines.flush();
        lines.add(b"unread");
        lines.flush();
        let waiting = lines.waiting();
        assert!(waiting.writing || !waiting.lines.is_empty());
    }
}
