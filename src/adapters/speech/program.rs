//! A program of the operator's that hears or speaks: started for each piece of work, fed, read, and killed with all that it
//! has started when it takes too long, writes too much, or nobody waits for it any more.
//!
//! Bounds: 4 at once of one kind, others wait within their time. What it writes to its error output is not looked at: it may
//! repeat what somebody said.

use std::ffi::OsStr;
use std::io::ErrorKind;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdout, Command};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use crate::config::{CommandLine, SECRETS};
use crate::domain::chat::ServiceState;
use crate::domain::speech::SpeechError;

/// So many run at once.
const AT_ONCE: usize = 4;
/// What is read at a time.
const PIECE: usize = 16 * 1024;
/// After so many failures in a row health says so; at once where there is no such program.
const FAILURES: u32 = 5;

/// A program, and how it has fared.
#[derive(Clone)]
pub(super) struct Program {
    line: Arc<CommandLine>,
    longest: Duration,
    places: Arc<Semaphore>,
    failures: Arc<AtomicU32>,
}

/// One run of it.
pub(super) struct Running {
    program: Program,
    child: Child,
    group: Group,
    output: ChildStdout,
    /// Writes what the program is to read; `None` once that is done.
    feeding: Option<BoxFuture<'static, ()>>,
    until: Instant,
    most: usize,
    read: usize,
    _place: OwnedSemaphorePermit,
}

/// The processes of one run; killed together when dropped, unless they have ended.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(leader) = self.0.take() {
            // There may be none left.
            let _ = kill_process_group(leader, Signal::KILL);
        }
    }
}

impl Program {
    /// One that is not there may come yet; until then health says so, and the log.
    pub(super) fn new(line: &CommandLine, longest: Duration) -> Self {
        let failures = if line.is_there() { 0 } else { FAILURES };
        if failures > 0 {
            tracing::warn!(
                event = "program_missing",
                program = line.program,
                "There is no such program to hear or speak"
            );
        }
        let (places, failures) = (Arc::new(Semaphore::new(AT_ONCE)), Arc::new(AtomicU32::new(failures)));
        Self { line: Arc::new(line.clone()), longest, places, failures }
    }

    pub(super) fn state(&self) -> ServiceState {
        let fails = self.failures.load(Ordering::Relaxed) >= FAILURES;
        if fails { ServiceState::Disconnected } else { ServiceState::Connected }
    }

    /// Starts it with one more argument, if there is one, and with `input` to read; it may write `most` bytes.
    pub(super) async fn start(
        &self,
        argument: Option<&OsStr>,
        input: Bytes,
        most: usize,
    ) -> Result<Running, SpeechError> {
        let until = Instant::now() + self.longest;
        let place = tokio::time::timeout_at(until, self.places.clone().acquire_owned()).await;
        let place = place.map_err(|_| SpeechError::TimedOut)?;
        let place = place.map_err(|_| SpeechError::unavailable("it is stopping"))?;
        let mut command = Command::new(&self.line.program);
        command.args(&self.line.arguments).args(argument);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        command.process_group(0).kill_on_drop(true);
        for name in SECRETS {
            command.env_remove(name);
        }
        let mut child = command.spawn().map_err(|error| self.not_started(&error))?;
        let group = Group(child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)));
        let (Some(mut stdin), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(self.failed("it cannot be talked to"));
        };
        let feeding: BoxFuture<'static, ()> = Box::pin(async move {
            // One that does not want to read all of it may still have done its work.
            drop(stdin.write_all(&input).await);
        });
        let (program, feeding) = (self.clone(), Some(feeding));
        Ok(Running { program, child, group, output, feeding, until, most, read: 0, _place: place })
    }

    /// What is gone, or may not be run, does not come back by trying five times.
    fn not_started(&self, error: &std::io::Error) -> SpeechError {
        if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::PermissionDenied) {
            self.failures.fetch_max(FAILURES, Ordering::Relaxed);
        }
        self.failed(&error.to_string())
    }

    fn failed(&self, why: &str) -> SpeechError {
        self.failures.fetch_add(1, Ordering::Relaxed);
        SpeechError::unavailable(format!("{}: {why}", self.line.program))
    }
}

impl Running {
    /// The next piece of what it writes; `None` when it has ended well.
    pub(super) async fn piece(&mut self) -> Result<Option<Bytes>, SpeechError> {
        let Ok(piece) = tokio::time::timeout_at(self.until, self.read()).await else {
            self.program.failures.fetch_add(1, Ordering::Relaxed);
            return Err(SpeechError::TimedOut);
        };
        let piece = piece.map_err(|error| self.program.failed(&error.to_string()))?;
        if piece.is_empty() {
            return self.end().await.map(|()| None);
        }
        self.read += piece.len();
        if self.read > self.most {
            return Err(self.program.failed(&format!("it wrote more than {} bytes", self.most)));
        }
        Ok(Some(piece))
    }

    async fn read(&mut self) -> std::io::Result<Bytes> {
        let mut piece = Vec::with_capacity(PIECE);
        loop {
            let Some(feeding) = &mut self.feeding else {
                self.output.read_buf(&mut piece).await?;
                return Ok(piece.into());
            };
            tokio::select! {
                () = feeding => self.feeding = None,
                read = self.output.read_buf(&mut piece) => {
                    read?;
                    return Ok(piece.into());
                }
            }
        }
    }

    /// Waits for its end, once it writes no more.
    async fn end(&mut self) -> Result<(), SpeechError> {
        self.feeding = None;
        let Ok(ended) = tokio::time::timeout_at(self.until, self.child.wait()).await else {
            return Err(SpeechError::TimedOut);
        };
        // Its number may be another's from now on.
        self.group.0 = None;
        match ended {
            Ok(status) if status.success() => {
                self.program.failures.store(0, Ordering::Relaxed);
                Ok(())
            }
            Ok(status) => Err(self.program.failed(&status.to_string())),
            Err(error) => Err(self.program.failed(&error.to_string())),
        }
    }
}
