//! As many requests as a server answers, from `wrk` (Debian's package of that name).

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::edge::pinned;

/// What is asked for, over how many kept-alive connections, for how many seconds.
#[derive(Default)]
pub struct Load<'a> {
    pub path: &'a str,
    pub headers: &'a [(&'a str, &'a str)],
    /// A file that tells `wrk` in Lua what to send, where that is no GET.
    pub script: Option<&'a Path>,
    pub connections: u32,
    pub seconds: u32,
}

impl Load<'_> {
    /// Requests for each second of processor time that the process `pid` spent on them. All of them have to succeed.
    pub fn per_processor_second(&self, address: SocketAddr, pid: u32) -> Result<f64> {
        let before = pinned::processor_seconds(pid)?;
        let answered = self.run(address, pinned::on_the_others("wrk")?)?;
        Ok(answered / (pinned::processor_seconds(pid)? - before).max(0.01))
    }

    /// Requests for each second, of a server that shares the processors with `wrk`. All of them have to succeed.
    pub fn per_second(&self, address: SocketAddr) -> Result<f64> {
        Ok(self.run(address, Command::new("wrk"))? / f64::from(self.seconds))
    }

    fn run(&self, address: SocketAddr, mut wrk: Command) -> Result<f64> {
        wrk.args(["--threads", "1", "--connections", &self.connections.to_string()]);
        wrk.args(["--duration", &format!("{}s", self.seconds), "--timeout", "10s"]);
        for (name, value) in self.headers {
            wrk.args(["--header", &format!("{name}: {value}")]);
        }
        if let Some(script) = self.script {
            wrk.arg("--script").arg(script);
        }
        let output = wrk.arg(format!("http://{address}{}", self.path)).output();
        let output = output.context("wrk cannot be run; install it (apt-get install wrk util-linux)")?;
        let told = String::from_utf8_lossy(&output.stdout);
        ensure!(output.status.success(), "wrk: {}", String::from_utf8_lossy(&output.stderr));
        ensure!(
            !told.contains("Non-2xx") && !told.contains("Socket errors"),
            "not every request succeeded: {told}"
        );
        let count = told.lines().find_map(|line| line.split_once(" requests in ")?.0.trim().parse().ok());
        count.with_context(|| format!("wrk does not tell how many requests there were: {told}"))
    }
}
