//! The server: reads the settings, starts the logs, runs until it is told to stop.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::Parser;
use companion::config::{Flags, LogFormat, ServerConfig};
use companion::startup::{self, Application, Substitutes};
use companion::telemetry::causes::told_once;
use companion::telemetry::logs;
use tokio::signal::unix::{SignalKind, signal};

/// A companion to talk with, on your own machine. Settings come from the environment and a .env file; with none at all
/// it listens on <http://127.0.0.1:8000> and keeps everything in ./data.
#[derive(Parser)]
#[expect(clippy::doc_markdown, reason = "help texts are shown as they stand")]
#[command(name = "companion", version, after_long_help = companion::config::describe())]
struct Arguments {
    /// The .env file [default: ./.env, if there is one]
    #[arg(long, value_name = "FILE")]
    env_file: Option<PathBuf>,
    /// Where everything is kept (DATA_DIR)
    #[arg(long, value_name = "DIR")]
    data_dir: Option<String>,
    /// Listen address (HOST)
    #[arg(long)]
    host: Option<String>,
    /// Listen port (PORT); 0 lets the system choose
    #[arg(long)]
    port: Option<String>,
}

/// For what still writes to the disk when all is said.
const LAST_WAIT: Duration = Duration::from_secs(2);

fn main() -> ExitCode {
    startup::keep_owners_rights();
    let arguments = Arguments::parse();
    let given = [("DATA_DIR", arguments.data_dir), ("HOST", arguments.host), ("PORT", arguments.port)];
    let overrides = given.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
    let config = match ServerConfig::load(Flags { env_file: arguments.env_file, overrides }) {
        Ok(config) => config,
        Err(problems) => return tell(&problems, 2),
    };
    let on_one_thread = startup::is_on_one_thread(&config);
    let format = match config.log.format {
        LogFormat::Console => logs::Format::Console,
        LogFormat::Json => logs::Format::Json,
    };
    let lines = match logs::init_apart(config.log.level, format) {
        Ok(lines) => lines,
        Err(error) => return tell(&format!("cannot start the log: {error}"), 1),
    };
    if !on_one_thread {
        tracing::warn!("EMBEDDING_MODEL_DIR: the model may use more than one thread");
    }
    if !config.ignored.is_empty() {
        tracing::info!(
            names = config.ignored.join(" "),
            "These names in the .env file mean nothing here and are ignored"
        );
    }
    let ran = run(&config);
    if let Err(error) = &ran {
        // After all that was logged, and not waiting for who does not read that.
        lines.add(format!("companion: {}\n", told_once(error.as_ref())).as_bytes());
    }
    lines.flush();
    ran.map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS)
}

/// The one line that says why there is no server; where it cannot be written, the exit code has to do.
fn tell(message: &dyn std::fmt::Display, code: u8) -> ExitCode {
    drop(writeln!(std::io::stderr(), "companion: {message}"));
    ExitCode::from(code)
}

fn run(config: &ServerConfig) -> anyhow::Result<()> {
    // Where files may not grow (LimitFSIZE, ulimit -f) a write fails, as on a full disk; it does not end the server.
    signal_hook::flag::register(signal_hook::consts::SIGXFSZ, Arc::default())
        .context("cannot listen for SIGXFSZ")?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.context("cannot start the runtime")?;
    let ran = runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
        let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for Ctrl-C")?;
        let mut again_terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
        let mut again_interrupt = signal(SignalKind::interrupt()).context("cannot listen for Ctrl-C")?;
        let application = Application::build(config, Substitutes::default())?;
        announce(&format!("Listening on {}", application.url()));
        if let Some(command) = application.import_command() {
            announce(&format!("To bring in the predecessor's conversations: {command}"));
        }
        let stop = async move {
            tokio::select! { _ = terminate.recv() => (), _ = interrupt.recv() => () }
        };
        let cut = async move {
            // These hear the first signal too.
            tokio::select! { _ = again_terminate.recv() => (), _ = again_interrupt.recv() => () }
            tokio::select! { _ = again_terminate.recv() => (), _ = again_interrupt.recv() => () }
        };
        Ok(application.run_until_stopped(stop, cut).await?)
    });
    // The database is closed; a thread that waits for a disk that hangs would never end.
    runtime.shutdown_timeout(LAST_WAIT);
    ran
}

/// A line that nobody can be told is no reason not to serve.
fn announce(line: &str) {
    drop(writeln!(std::io::stdout(), "{line}"));
}
