//! A program of the operator's that hears or speaks: started for each piece of work, fed, read, and killed with all that it
//! has started when it takes too long, writes too much, or nobody waits for it any more.
//!
//! An exit status of its own is how a program says that a recording is broken: that is told as such, and is no failure of the
//! program's, unless it says so of everybody's. That it cannot be started is one, and that it is killed, hangs or writes too much
//! over what several clients gave it; too many of those open its circuit: it is not run for a while.
//!
//! Bounds: 4 at once of one kind, for one client 2, others wait within their time. What it writes to its error output
//! is not looked at: it may repeat what somebody said.

use std::ffi::OsStr;
use std::io::ErrorKind;
use std::net::IpAddr;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::Instant;

use super::health::{ProgramHealth, Run};
use super::places::{Place, Places};
use crate::config::{CommandLine, SECRETS};
use crate::domain::chat::ServiceState;
use crate::domain::speech::SpeechError;
use crate::domain::upstream::CallEnd;

/// What is read at a time.
const PIECE: usize = 16 * 1024;

/// A program, and how it has fared.
#[derive(Clone)]
pub(super) struct Program {
    line: Arc<CommandLine>,
    longest: Duration,
    places: Arc<Places>,
    health: Arc<ProgramHealth>,
}

/// Leave to run it once.
pub(super) struct Leave {
    run: Run,
    _place: Place,
    began: Instant,
    until: Instant,
}

/// One run of it.
pub(super) struct Running {
    program: Program,
    leave: Leave,
    child: Child,
    group: Group,
    /// What it was given is a recording, which it may refuse.
    hears: bool,
    output: ChildStdout,
    /// Writes what the program is to read; `None` once that is done.
    feeding: Option<BoxFuture<'static, ()>>,
    most: usize,
    read: usize,
    /// It had to wait for whoever reads what it writes.
    held_up: bool,
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
    pub(super) fn new(line: &CommandLine, longest: Duration, health: Arc<ProgramHealth>) -> Self {
        health.is_there(line.is_there());
        if health.is_missing() {
            tracing::warn!(
                event = "program_missing",
                program = line.program,
                "There is no such program to hear or speak"
            );
        }
        Self { line: Arc::new(line.clone()), longest, places: Arc::new(Places::new()), health }
    }

    pub(super) fn state(&self) -> ServiceState {
        if self.health.is_missing() {
            self.health.is_there(self.line.is_there());
        }
        self.health.state()
    }

    /// Waits for a place; refuses at once while it is left alone. It works for `client`.
    pub(super) async fn leave(&self, client: Option<IpAddr>) -> Result<Leave, SpeechError> {
        self.health.check()?;
        let until = Instant::now() + self.longest;
        let Ok(place) = tokio::time::timeout_at(until, self.places.take(client)).await else {
            self.health.found_no_place();
            return Err(SpeechError::TimedOut);
        };
        let place = place.ok_or_else(|| SpeechError::unavailable("it is stopping"))?;
        Ok(Leave { run: self.health.begin(client)?, _place: place, began: Instant::now(), until })
    }

    /// Starts it with one more argument, the file of a recording, if there is one, and with `input` to read; it may write `most` bytes.
    pub(super) fn start(
        &self,
        mut leave: Leave,
        argument: Option<&OsStr>,
        input: Bytes,
        most: usize,
    ) -> Result<Running, SpeechError> {
        let mut command = Command::new(&self.line.program);
        command.args(&self.line.arguments).args(argument);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        command.process_group(0).kill_on_drop(true);
        for name in SECRETS {
            command.env_remove(name);
        }
        let mut child = command.spawn().map_err(|error| self.not_started(&mut leave, &error))?;
        let group = Group(child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)));
        let (Some(mut stdin), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            leave.run.failed_by_itself(CallEnd::Unreachable);
            return Err(self.unavailable("it cannot be talked to"));
        };
        let feeding: BoxFuture<'static, ()> = Box::pin(async move {
            // One that does not want to read all of it may still have done its work.
            drop(stdin.write_all(&input).await);
        });
        let (program, feeding, hears) = (self.clone(), Some(feeding), argument.is_some());
        Ok(Running { program, leave, child, group, hears, output, feeding, most, read: 0, held_up: false })
    }

    /// What is gone, or may not be run, does not come back by trying five times.
    fn not_started(&self, leave: &mut Leave, error: &std::io::Error) -> SpeechError {
        leave.run.failed_by_itself(CallEnd::Unreachable);
        if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::PermissionDenied) {
            self.health.cannot_be_run();
            self.health.is_there(self.line.is_there());
        }
        self.unavailable(&error.to_string())
    }

    fn unavailable(&self, why: &str) -> SpeechError {
        SpeechError::unavailable(format!("{}: {why}", self.line.program))
    }
}

impl Running {
    /// The next piece of what it writes; `None` when it has ended well.
    pub(super) async fn piece(&mut self) -> Result<Option<Bytes>, SpeechError> {
        let Ok(piece) = tokio::time::timeout_at(self.leave.until, self.read()).await else {
            return Err(self.timed_out());
        };
        let piece = piece.map_err(|error| self.failed(CallEnd::Unreachable, &error.to_string()))?;
        if piece.is_empty() {
            return self.end().await.map(|()| None);
        }
        self.leave.run.wrote();
        self.read += piece.len();
        if self.read > self.most {
            let why = format!("it wrote more than {} bytes", self.most);
            return Err(self.failed(CallEnd::Garbage, &why));
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
        let Ok(ended) = tokio::time::timeout_at(self.leave.until, self.child.wait()).await else {
            return Err(self.timed_out());
        };
        // Its number may be another's from now on.
        self.group.0 = None;
        match ended {
            Ok(status) if status.success() => {
                self.leave.run.succeeded();
                Ok(())
            }
            Ok(status) => Err(self.ended_ill(status)),
            Err(error) => Err(self.failed(CallEnd::Unreachable, &error.to_string())),
        }
    }

    /// With a status of its own, one that hears tells that there is nothing to be heard in this recording.
    fn ended_ill(&mut self, status: ExitStatus) -> SpeechError {
        if self.hears && is_its_own(status) {
            self.leave.run.refused();
            return SpeechError::Unreadable(format!("{}: {status}", self.program.line.program));
        }
        if matches!(status.code(), Some(126 | 127)) {
            self.leave.run.failed_by_itself(CallEnd::Unreachable);
        }
        self.failed(CallEnd::Unreachable, &status.to_string())
    }

    /// What it has written is not taken: the time that it waits is not its own.
    pub(super) const fn is_held_up(&mut self) {
        self.held_up = true;
    }

    /// One that had to wait for its readers, or for its place for most of the time, may have had too little of it.
    fn timed_out(&mut self) -> SpeechError {
        if self.held_up || self.leave.until - self.leave.began < self.program.longest / 2 {
            self.leave.run.had_no_time();
        } else {
            self.leave.run.failed(CallEnd::TimedOut);
        }
        SpeechError::TimedOut
    }

    fn failed(&mut self, how: CallEnd, why: &str) -> SpeechError {
        self.leave.run.failed(how);
        self.program.unavailable(why)
    }
}

/// Not what a shell answers for a program that it cannot run, or that a signal has ended.
fn is_its_own(status: ExitStatus) -> bool {
    status.code().is_some_and(|code| !matches!(code, 126 | 127 | 129..=159))
}
