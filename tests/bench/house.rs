//! A data directory with the two real programs: the server, and a maintenance run that is watched while it works.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::http::{Client, get};
use crate::load::rest;
use crate::machine;

/// Sessions idle for longer are expired, here.
pub const RETENTION_DAYS: &str = "30";

pub struct House {
    pub dir: PathBuf,
    settings: Vec<(&'static str, String)>,
}

impl House {
    /// A place where there is nothing yet.
    pub fn new(dir: PathBuf) -> Self {
        Self { dir, settings: Vec::new() }
    }

    /// A house whose database the server has made, with nobody in it.
    pub fn built(dir: PathBuf) -> Result<Self> {
        let house = Self::new(dir);
        house.start()?.stop()?;
        Ok(house)
    }

    /// With one setting more.
    pub fn with(mut self, name: &'static str, value: &str) -> Self {
        self.settings.push((name, value.to_owned()));
        self
    }

    /// Another house with a copy of this one's database; this one's server must not run.
    pub fn copied(&self, dir: PathBuf) -> Result<Self> {
        let house = Self::new(dir);
        fs::create_dir_all(&house.dir)?;
        copy(&self.database(), &house.database())?;
        Ok(house)
    }

    pub fn database(&self) -> PathBuf {
        self.dir.join("companion.db")
    }

    /// Bytes of the database with its write-ahead log.
    pub fn database_bytes(&self) -> u64 {
        let size = |path: &Path| fs::metadata(path).map_or(0, |meta| meta.len());
        size(&self.database()) + size(&self.dir.join("companion.db-wal"))
    }

    /// Gives a program the settings for this house and no others.
    pub fn move_in(&self, command: &mut Command) {
        command.env_clear().env("DATA_DIR", &self.dir).env("SESSION_RETENTION_DAYS", RETENTION_DAYS);
        command.envs(self.settings.iter().map(|(name, value)| (name, value)));
        command.env("PORT", "0").env("RATE_LIMIT_ENABLED", "false").current_dir(std::env::temp_dir());
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        self.move_in(&mut command);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        command
    }

    /// Starts the server and waits for the first 200 of `/readyz`, asking without a pause.
    pub fn start(&self) -> Result<Server> {
        let began = Instant::now();
        let mut child = self.command(env!("CARGO_BIN_EXE_companion")).spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().context("no output")?).read_line(&mut line)?;
        let address = line.trim().strip_prefix("Listening on http://").context("the server did not start")?;
        let mut server = Server { child, address: address.parse()?, ready_after: Duration::ZERO };
        let mut client = Client::connect(server.address)?;
        while client.ask(&get("/readyz"))?.0 != 200 {
            ensure!(began.elapsed() < Duration::from_secs(20), "the server does not become ready");
        }
        server.ready_after = began.elapsed();
        Ok(server)
    }

    /// Runs `companion-maint --json` to its end.
    pub fn maint(&self, arguments: &[&str]) -> Result<Ran> {
        let mut command = self.command(env!("CARGO_BIN_EXE_companion-maint"));
        let began = Instant::now();
        let child = command.args(arguments).arg("--json").spawn()?;
        let watch = Watch::begin(child.id());
        let output = child.wait_with_output()?;
        let ended = Instant::now();
        let peak_bytes = watch.end();
        let told = String::from_utf8_lossy(&output.stdout);
        ensure!(output.status.success(), "{arguments:?} failed: {told}");
        Ok(Ran { report: serde_json::from_str(&told)?, began, ended, peak_bytes })
    }

    pub fn remove(self) -> Result<()> {
        fs::remove_dir_all(&self.dir).context("the house cannot be removed")?;
        // What the disk still has to do about it is not the next one's.
        rustix::fs::sync();
        rest(Duration::from_secs(1));
        Ok(())
    }
}

/// A running server; ended when dropped.
pub struct Server {
    child: Child,
    pub address: SocketAddr,
    /// From before the process was made to its first 200.
    pub ready_after: Duration,
}

impl Server {
    pub fn resident_bytes(&self) -> u64 {
        memory(self.child.id(), "VmRSS")
    }

    /// The most that was ever resident.
    pub fn peak_bytes(&self) -> u64 {
        memory(self.child.id(), "VmHWM")
    }

    pub fn stop(mut self) -> Result<()> {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
        let status = self.child.wait()?;
        ensure!(status.success(), "the server ended with {status}");
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A finished run of `companion-maint`.
pub struct Ran {
    pub report: Value,
    pub began: Instant,
    pub ended: Instant,
    /// The most memory that was resident, ever.
    pub peak_bytes: u64,
}

impl Ran {
    pub fn took(&self) -> Duration {
        self.ended - self.began
    }

    pub fn count(&self, name: &str) -> u64 {
        self.report[name].as_u64().unwrap_or_default()
    }
}

/// Reads a process's high-water mark until it has ended.
struct Watch {
    stop: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<u64>,
}

impl Watch {
    fn begin(pid: u32) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let told = stop.clone();
        let thread = std::thread::spawn(move || {
            let mut peak = 0;
            while !told.load(Ordering::Relaxed) {
                peak = memory(pid, "VmHWM").max(peak);
                std::thread::park_timeout(Duration::from_millis(5));
            }
            peak
        });
        Self { stop, thread }
    }

    fn end(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap_or_default()
    }
}

/// A figure of `/proc/<pid>/status`, in bytes.
pub fn memory(pid: u32, name: &str) -> u64 {
    let told = machine::field(&format!("/proc/{pid}/status"), name);
    told.split(' ').next().and_then(|kib| kib.parse::<u64>().ok()).unwrap_or_default() * 1024
}

/// Copies a file and flushes it, so that nobody's measurement pays for it later. The copy is in memory afterwards.
pub fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::copy(from, to)?;
    File::open(to)?.sync_all()?;
    Ok(())
}
