//! The baseline: the `sqlite3` shell with its own defaults and no settings file.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

/// Runs commands on a database, one after the other, and tells how long the shell took in all.
pub fn run(database: &Path, commands: &[&str]) -> Result<Duration> {
    let mut shell = Command::new("sqlite3");
    shell.args(["-batch", "-bail", "-init", "/dev/null"]).arg(database).args(commands);
    let began = Instant::now();
    let output = shell.output().context("there is no sqlite3 shell; install it (apt-get install sqlite3)")?;
    let took = began.elapsed();
    ensure!(output.status.success(), "sqlite3: {}", String::from_utf8_lossy(&output.stderr));
    Ok(took)
}
