//! How the server is: from a cached probe, so that asking costs nothing.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::app::App;
use crate::domain::chat::ServiceState;
use crate::domain::upstream::UpstreamReport;

const PROBE_KEPT: Duration = Duration::from_secs(2);

/// The last look at the database and the data directory.
#[derive(Default)]
pub struct Probe {
    last: Mutex<Option<(Instant, bool)>>,
}

/// The state of each service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct Services {
    /// The language model.
    pub llm: ServiceState,
    /// Transcription.
    pub stt: ServiceState,
    /// Speech.
    pub tts: ServiceState,
    /// The outside memory index.
    pub qdrant: ServiceState,
    /// The database.
    pub sqlite: ServiceState,
}

/// Whether the server can take requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Readiness {
    /// Why not; empty when it can.
    pub reasons: Vec<&'static str>,
    /// What works less well.
    pub degraded: Vec<&'static str>,
}

impl App {
    /// The state of each service, as last seen.
    pub async fn services(&self) -> Services {
        let usable = self.database.is_ready() && self.storage_is_usable().await;
        Services {
            llm: self.model.state(),
            stt: self.transcriber.as_ref().map_or(ServiceState::NotConfigured, |hears| hears.state()),
            tts: self.synthesizer.as_ref().map_or(ServiceState::NotConfigured, |speaks| speaks.state()),
            qdrant: self.copying.as_ref().map_or(ServiceState::NotConfigured, |copying| copying.state()),
            sqlite: if usable { ServiceState::Connected } else { ServiceState::Disconnected },
        }
    }

    /// How each service outside is, and how the calls to it went.
    #[must_use]
    pub fn upstreams(&self) -> Vec<UpstreamReport> {
        self.upstreams.iter().map(|upstream| upstream.clone().report()).collect()
    }

    /// Whether requests can be served, and what is degraded.
    pub async fn readiness(&self) -> Readiness {
        let mut reasons = Vec::new();
        if !self.database.is_ready() {
            reasons.push("migrating");
        } else if !self.storage_is_usable().await {
            reasons.push("storage");
        }
        if self.turns.is_draining() {
            reasons.push("stopping");
        }
        let degraded = if self.data_dir.is_low() { vec!["disk"] } else { Vec::new() };
        Readiness { reasons, degraded }
    }

    async fn storage_is_usable(&self) -> bool {
        let cached = *self.probe.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, usable)) = cached
            && at.elapsed() < PROBE_KEPT
        {
            return usable;
        }
        let readable = self.database.read("probe", |db| db.query_row("SELECT 1 FROM totals", [], |_| Ok(())));
        let usable = readable.await.is_ok() && self.data_dir.is_usable();
        *self.probe.last.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), usable));
        usable
    }
}
