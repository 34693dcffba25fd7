//! A pipe whose reader may not read for long: whoever writes into it hears all the while whether to go on.

use std::fs::File;
use std::io::{self, ErrorKind, Write};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use crate::maint::stop::Stop;

/// As much as is taken without waiting once there is room at all (`PIPE_BUF`).
const AT_ONCE: usize = 4096;
/// Between two looks at whether to go on.
const NEXT_LOOK: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };

pub(super) struct PatientPipe {
    to: File,
    stop: Stop,
}

impl PatientPipe {
    pub(super) fn new(to: File, stop: Stop) -> Self {
        Self { to, stop }
    }

    /// Whether it takes something now, if only an error.
    fn is_ready(&self) -> io::Result<bool> {
        match poll(&mut [PollFd::new(&self.to, PollFlags::OUT)], Some(&NEXT_LOOK)) {
            Err(Errno::INTR) => Ok(false),
            other => Ok(other? > 0),
        }
    }
}

impl Write for PatientPipe {
    /// Fails with [`ErrorKind::TimedOut`] when the work has to stop while nobody reads.
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        while !self.is_ready()? {
            if self.stop.reason().is_some() {
                return Err(ErrorKind::TimedOut.into());
            }
        }
        self.to.write(&data[..data.len().min(AT_ONCE)])
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
