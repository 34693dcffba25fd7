//! Who else is told how a run went: Prometheus by a textfile, a dead man's switch by a ping.

use anyhow::Context;
use companion::adapters::metrics_file::TextfilePath;
use companion::adapters::ping::{PingUrl, Signal};
use companion::config::MaintConfig;
use companion::domain::clock::{Clock, SystemClock};
use companion::maint::{ItemError, Outcome, Report, metrics};
use serde::Serialize;

use super::args::Common;

/// The counts of a run that did not even begin.
#[derive(Debug, Clone, Serialize)]
pub struct Nothing {}

/// The report of a run of `job` that did not even begin, for wrong usage or settings; a dry one, if that was asked for.
pub fn not_begun(job: &'static str, dry_run: bool, errors: Vec<ItemError>) -> Report<Nothing> {
    Report {
        schema: 1,
        job,
        dry_run,
        started_at: SystemClock.now(),
        duration_ms: 0,
        counts: Nothing {},
        errors,
        exit_code: Outcome::Usage.exit_code(),
        begun: false,
    }
}

/// Who is told.
#[derive(Default)]
pub struct Telling {
    /// The dead man's switch.
    pub ping: Option<PingUrl>,
    /// The textfile.
    pub metrics: Option<TextfilePath>,
}

impl Telling {
    /// Pings the address that was given from now on. Fails when it is none; the message does not repeat it.
    pub fn ping_as_asked(&mut self, common: &Common) -> anyhow::Result<()> {
        self.ping = common.ping_url.as_deref().map(str::parse).transpose().context("--ping-url")?;
        Ok(())
    }

    /// The work begins.
    pub fn started(&self) {
        if let Some(ping) = &self.ping {
            ping.tell(Signal::Started);
        }
    }

    /// Everything is over.
    pub fn ended(&self, exit_code: u8) {
        if let Some(ping) = &self.ping {
            ping.tell(Signal::Ended(exit_code));
        }
    }

    /// Writes the metrics of a run. When they cannot be written the report says so, and what was done well is partial.
    pub fn measured<C: Serialize + Clone>(&self, config: &MaintConfig, report: &Report<C>) -> Report<C> {
        let mut report = report.clone();
        let Some(path) = &self.metrics else { return report };
        if let Err(error) = metrics::write(path.as_ref(), Some(&config.storage), &report) {
            tracing::warn!(error = %error, "The metrics file could not be written");
            report.errors.push(ItemError { item: "--metrics-file".to_owned(), error: error.to_string() });
            if report.exit_code == Outcome::Done.exit_code() {
                report.exit_code = Outcome::Partial.exit_code();
            }
        }
        report
    }

    /// Writes the metrics of a run that did not even begin.
    pub fn turned_away(&self, report: &Report<Nothing>) {
        let Some(path) = &self.metrics else { return };
        if let Err(error) = metrics::write(path.as_ref(), None, report) {
            tracing::warn!(error = %error, "The metrics file could not be written");
        }
    }
}
