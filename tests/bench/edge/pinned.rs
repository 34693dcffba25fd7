//! A server on one processor: so it has one worker, and what it costs is told by the kernel.

use std::ffi::OsStr;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::machine;

/// Ticks of `/proc/<pid>/stat` in a second; on Linux the same everywhere (`USER_HZ`).
const TICKS: f64 = 100.0;

/// A process that is ended, and waited for, when dropped.
pub struct Pinned(Child);

impl Pinned {
    /// Starts a program of which only stdout is read.
    pub fn start(command: &mut Command) -> Result<Self> {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        Ok(Self(command.spawn().context("a server cannot be started")?))
    }

    pub fn child(&mut self) -> &mut Child {
        &mut self.0
    }

    pub fn id(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        // nginx's own workers end with it when it is told to; killed, it would leave them.
        let pid = rustix::process::Pid::from_child(&self.0);
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        drop(self.0.wait());
    }
}

/// A command that will run on the first processor there is.
pub fn on_one(program: impl AsRef<OsStr>) -> Result<Command> {
    let first = processors()?.first().copied().context("no processor")?;
    Ok(on(&first.to_string(), program))
}

/// A command that will run on all the others; where there is only one, on that.
pub fn on_the_others(program: impl AsRef<OsStr>) -> Result<Command> {
    let all = processors()?;
    let others = if all.len() > 1 { &all[1..] } else { &all[..] };
    Ok(on(&others.iter().map(u32::to_string).collect::<Vec<_>>().join(","), program))
}

fn on(processors: &str, program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", processors]).arg(program);
    command
}

/// `0-2,5` are 0, 1, 2 and 5.
fn processors() -> Result<Vec<u32>> {
    let allowed = machine::field("/proc/self/status", "Cpus_allowed_list");
    let mut found = Vec::new();
    for part in allowed.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        found.extend(first.parse::<u32>()?..=last.parse()?);
    }
    ensure!(!found.is_empty(), "there is no processor");
    Ok(found)
}

/// Seconds of processor time a process has used so far, in all of its threads.
pub fn processor_seconds(pid: u32) -> Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).context("a server has ended")?;
    // The name, which may hold anything, stands in brackets; 12 and 13 fields after it are user and system time.
    let fields: Vec<_> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |place: usize| fields.get(place).and_then(|field| field.parse::<f64>().ok());
    Ok((ticks(11).context("no user time")? + ticks(12).context("no system time")?) / TICKS)
}
