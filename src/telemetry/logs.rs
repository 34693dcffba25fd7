//! Logs: JSON lines or console, on stderr.
//!
//! A line is a readable sentence with fields; things worth counting carry `event`. Never in a log: what people say, a
//! token, a whole session id, an audio id or its file name.

use std::io::IsTerminal;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::fmt;

/// How a line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// For a person.
    Console,
    /// One JSON object a line.
    Json,
}

/// Starts logging to stderr. Called once, first thing.
pub fn init(level: LevelFilter, format: Format) {
    let builder = fmt().with_max_level(level).with_writer(std::io::stderr).with_target(false);
    let installed = match format {
        Format::Console => tracing::subscriber::set_global_default(
            builder.with_ansi(std::io::stderr().is_terminal()).finish(),
        ),
        Format::Json => tracing::subscriber::set_global_default(
            builder.json().flatten_event(true).with_current_span(true).with_span_list(false).finish(),
        ),
    };
    if installed.is_err() {
        tracing::debug!("Logging had been started before");
    }
}
