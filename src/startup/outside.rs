//! The services outside, as the settings name them: one client for all, an upstream for each.

use std::sync::Arc;
use std::time::Duration;

use hyper::header::{AUTHORIZATION, HeaderName, HeaderValue};

use crate::adapters::llm::LanguageModel;
use crate::adapters::offline::OfflineCompanion;
use crate::adapters::upstream::{BreakerSettings, NoTls, Outbound, Patience, Setup, Upstream};
use crate::config::{LlmConfig, OutsideConfig};
use crate::domain::chat::{ChatModel, SmallModel};
use crate::domain::clock::{Clock, SystemClock};
use crate::domain::secret::ApiKey;
use crate::domain::upstream;
use crate::web::assets::{ASSETS, Assets};

/// To wait for a free connection; longer, and people had better be told.
const PLACE: Duration = Duration::from_secs(5);
const CONNECT: Duration = Duration::from_secs(5);

/// What tests put in the place of the real thing.
pub struct Substitutes {
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Who answers; `None`: whom the settings name.
    pub model: Option<Arc<dyn ChatModel>>,
    /// The files served under `/static/`, by name.
    pub assets: Assets,
}

impl Default for Substitutes {
    fn default() -> Self {
        Self { clock: Arc::new(SystemClock), model: None, assets: Assets(ASSETS) }
    }
}

/// Whom the server asks.
pub(super) struct Outside {
    pub(super) model: Arc<dyn ChatModel>,
    pub(super) small_model: Option<Arc<dyn SmallModel>>,
    /// All of them, to be looked at.
    pub(super) upstreams: Vec<Arc<dyn upstream::Upstream>>,
}

pub(super) fn build(config: &OutsideConfig) -> Result<Outside, NoTls> {
    let Some(llm) = &config.llm else {
        return Ok(Outside { model: Arc::new(OfflineCompanion), small_model: None, upstreams: Vec::new() });
    };
    let outbound = Outbound::new()?;
    let upstream = Upstream::new(&outbound, setup_of(llm, config));
    upstream.look();
    let model = LanguageModel::new(upstream.clone(), llm.model.clone());
    let small_model = LanguageModel::new(upstream.clone(), llm.small_model.clone());
    Ok(Outside {
        model: Arc::new(model),
        small_model: Some(Arc::new(small_model)),
        upstreams: vec![upstream],
    })
}

fn setup_of(llm: &LlmConfig, config: &OutsideConfig) -> Setup {
    Setup {
        name: "llm",
        base: llm.base.clone(),
        key: llm.key.as_ref().and_then(bearer),
        probe: Some("models"),
        most_connections: config.most_connections,
        patience: Patience {
            place: PLACE,
            connect: CONNECT,
            first_byte: llm.silence,
            silence: llm.silence,
            total: config.workflow,
        },
        breaker: BreakerSettings { threshold: config.breaker.threshold, recovery: config.breaker.recovery },
    }
}

/// The key as a header that is never shown.
fn bearer(key: &ApiKey) -> Option<(HeaderName, HeaderValue)> {
    let mut value = HeaderValue::from_str(&format!("Bearer {}", key.expose())).ok()?;
    value.set_sensitive(true);
    Some((AUTHORIZATION, value))
}
