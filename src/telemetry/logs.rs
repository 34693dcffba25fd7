//! Logs: JSON lines or console, on stderr.
//!
//! A line is a readable sentence with fields; things worth counting carry `event`. Never in a log: what people say, a
//! token, a whole session id, an audio id or its file name.

use std::io::IsTerminal;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt;
use tracing_subscriber::layer::{Layer, SubscriberExt};

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

/// Starts logging to stderr. Called once, first thing. Libraries are heard from `WARN` on, but for the silent ones.
pub fn init(level: LevelFilter, format: Format) {
    let ours = Targets::new()
        .with_default(level.min(LevelFilter::WARN))
        .with_target("companion", level)
        .with_targets(SILENT.map(|library| (library, LevelFilter::OFF)));
    let lines = fmt::layer().with_writer(std::io::stderr).with_target(false);
    let registry = tracing_subscriber::registry();
    let installed = match format {
        Format::Console => {
            let lines = lines.with_ansi(std::io::stderr().is_terminal());
            tracing::subscriber::set_global_default(registry.with(lines.with_filter(ours)))
        }
        Format::Json => {
            let lines = lines.json().flatten_event(true).with_current_span(true).with_span_list(false);
            tracing::subscriber::set_global_default(registry.with(lines.with_filter(ours)))
        }
    };
    if installed.is_err() {
        tracing::debug!("Logging had been started before");
    }
}
