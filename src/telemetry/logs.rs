//! Logs: JSON lines or console, on stderr.
//!
//! A line is a readable sentence with fields; things worth counting carry `event`. Never in a log: what people say, a
//! token, a whole session id, an audio id or its file name.

use std::io::{self, IsTerminal};
use std::thread;

use tracing::Dispatch;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::{self, MakeWriter};
use tracing_subscriber::layer::{Layer, SubscriberExt};

use crate::telemetry::log_lines::LogLines;

/// How a line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// For a person.
    Console,
    /// One JSON object a line.
    Json,
}

/// What the HTTP library says of broken requests and responses carries no request's id. A failure of ours is logged by us,
/// with its id; what a client breaks off or garbles is no failure.
const SILENT: [&str; 3] = ["actix_http", "actix_web", "actix_files"];

/// Starts logging to stderr, where each line is written by who says it. Called once, first thing.
pub fn init(level: LevelFilter, format: Format) {
    install(heard_on(level, format, io::stderr));
}

/// The same with a thread that writes the lines: who says something waits for nobody.
///
/// # Errors
/// When there is no thread to be had.
pub fn init_apart(level: LevelFilter, format: Format) -> io::Result<LogLines> {
    let lines = LogLines::default();
    let writing = lines.clone();
    let write = move || {
        // What it says itself would wait in the queue behind what it tells of.
        tracing::dispatcher::with_default(&heard_on(level, format, io::stderr), || {
            writing.write_all(io::stderr(), |left_out| {
                tracing::warn!(
                    event = "log_lines_left_out",
                    left_out,
                    "Lines of this log were left out: nobody read those before them"
                );
            })
        })
    };
    thread::Builder::new().name("log".to_owned()).spawn(write)?;
    install(heard_on(level, format, lines.clone()));
    Ok(lines)
}

fn install(dispatch: Dispatch) {
    if tracing::dispatcher::set_global_default(dispatch).is_err() {
        tracing::debug!("Logging had been started before");
    }
}

/// Libraries are heard from `WARN` on, but for the silent ones.
fn heard_on<W>(level: LevelFilter, format: Format, out: W) -> Dispatch
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let ours = Targets::new()
        .with_default(level.min(LevelFilter::WARN))
        .with_target("companion", level)
        .with_targets(SILENT.map(|library| (library, LevelFilter::OFF)));
    let lines = fmt::layer().with_writer(out).with_target(false);
    let registry = tracing_subscriber::registry();
    match format {
        Format::Console => {
            let lines = lines.with_ansi(io::stderr().is_terminal());
            registry.with(lines.with_filter(ours)).into()
        }
        Format::Json => {
            let lines = lines.json().flatten_event(true).with_current_span(true).with_span_list(false);
            registry.with(lines.with_filter(ours)).into()
        }
    }
}
