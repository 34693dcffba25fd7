//! The services outside, as the settings name them: one client for all, an upstream for each.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hyper::header::{AUTHORIZATION, HeaderName, HeaderValue};

use crate::adapters::embedding::EmbeddingService;
#[cfg(feature = "local-embeddings")]
use crate::adapters::embedding::{LocalModel, keep_to_one_thread};
use crate::adapters::llm::LanguageModel;
use crate::adapters::offline::OfflineCompanion;
use crate::adapters::qdrant::Qdrant;
use crate::adapters::speech::{ProgramHealth, SpeechUpstreams};
use crate::adapters::upstream::{BreakerSettings, Outbound, Patience, Setup, Upstream};
use crate::config::{
    EmbeddingConfig, Hearing, LlmConfig, OutsideConfig, ServerConfig, Speaking, SpeechConfig,
};
use crate::domain::address::BaseUrl;
use crate::domain::chat::{ChatModel, SmallModel};
use crate::domain::clock::{Clock, SystemClock};
use crate::domain::embedding::Embedder;
use crate::domain::memory::copy::MemoryCopy;
use crate::domain::secret::ApiKey;
use crate::domain::upstream;
use crate::startup::StartupError;
use crate::web::assets::{ASSETS, Assets};

/// To wait for a free connection; longer, and people had better be told.
const PLACE: Duration = Duration::from_secs(5);
const CONNECT: Duration = Duration::from_secs(5);
/// For the vectors of memories, for which nobody waits.
const EMBEDDING: Duration = Duration::from_secs(30);

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
    pub(super) speech: SpeechUpstreams,
    pub(super) small_model: Option<Arc<dyn SmallModel>>,
    pub(super) embedder: Option<Arc<dyn Embedder>>,
    /// Where a copy of the index of memories is kept.
    pub(super) copy: Option<Arc<dyn MemoryCopy>>,
    /// All of them, to be looked at.
    pub(super) upstreams: Vec<Arc<dyn upstream::Upstream>>,
}

pub(super) fn build(config: &ServerConfig) -> Result<Outside, StartupError> {
    let outbound = Outbound::new()?;
    let mut upstreams: Vec<Arc<dyn upstream::Upstream>> = Vec::new();
    let mut up = |setup: Setup| {
        let upstream = Upstream::new(&outbound, setup);
        upstream.look();
        upstreams.push(upstream.clone());
        upstream
    };
    let (settings, speech) = (&config.outside, &config.speech);
    let llm = settings.llm.as_ref().map(|llm| (up(setup_of(llm, settings)), llm));
    let stt = hears(settings, speech).map(&mut up);
    let tts = speaks(settings, speech).map(&mut up);
    let (hears, speaks) = programs(settings, speech);
    let speech = SpeechUpstreams { stt, tts, hears, speaks };
    let embedder =
        config.embedding.as_ref().map(|embedding| embedder(embedding, settings, &mut up)).transpose()?;
    let copy = copy(settings, &mut upstreams)?;
    for health in [&speech.hears, &speech.speaks].into_iter().flatten() {
        upstreams.push(health.clone());
    }
    let Some((upstream, llm)) = llm else {
        return Ok(Outside {
            model: Arc::new(OfflineCompanion),
            speech,
            small_model: None,
            embedder,
            copy,
            upstreams,
        });
    };
    let model = Arc::new(LanguageModel::new(upstream.clone(), llm.model.clone()));
    let small_model = LanguageModel::new(upstream, llm.small_model.clone());
    Ok(Outside { model, speech, small_model: Some(Arc::new(small_model)), embedder, copy, upstreams })
}

fn copy(
    config: &OutsideConfig,
    upstreams: &mut Vec<Arc<dyn upstream::Upstream>>,
) -> Result<Option<Arc<dyn MemoryCopy>>, StartupError> {
    let Some(qdrant) = &config.qdrant else { return Ok(None) };
    let qdrant = Qdrant::new(qdrant, breaker(config))?;
    upstreams.push(qdrant.clone());
    Ok(Some(qdrant))
}

fn breaker(config: &OutsideConfig) -> BreakerSettings {
    BreakerSettings { threshold: config.breaker.threshold, recovery: config.breaker.recovery }
}

fn embedder(
    config: &EmbeddingConfig,
    outside: &OutsideConfig,
    up: &mut impl FnMut(Setup) -> Arc<Upstream>,
) -> Result<Arc<dyn Embedder>, StartupError> {
    match config {
        EmbeddingConfig::Api { base, key, model } => {
            let api = (base, key.as_ref().and_then(bearer));
            Ok(Arc::new(EmbeddingService::new(
                up(service_setup(("embedding", Some("models")), api, (EMBEDDING, outside))),
                model,
            )))
        }
        EmbeddingConfig::Directory(directory) => local(directory),
    }
}

#[cfg(feature = "local-embeddings")]
fn local(directory: &Path) -> Result<Arc<dyn Embedder>, StartupError> {
    Ok(Arc::new(LocalModel::load(directory)?))
}

#[cfg(not(feature = "local-embeddings"))]
fn local(_: &Path) -> Result<Arc<dyn Embedder>, StartupError> {
    Err(StartupError::NoLocalModels)
}

/// To be asked before there is a second thread: whether the arithmetic of a model in this process, if there is to be one, will
/// stay on one thread.
#[must_use]
#[cfg(feature = "local-embeddings")]
pub fn is_on_one_thread(config: &ServerConfig) -> bool {
    !matches!(config.embedding, Some(EmbeddingConfig::Directory(_))) || keep_to_one_thread()
}

/// There is no model in a process of this build.
#[must_use]
#[cfg(not(feature = "local-embeddings"))]
pub const fn is_on_one_thread(_: &ServerConfig) -> bool {
    true
}

fn hears(config: &OutsideConfig, speech: &SpeechConfig) -> Option<Setup> {
    match speech.hearing.as_ref()? {
        Hearing::Command(_) => None,
        Hearing::Api(api) => {
            let key = api.key.as_ref().and_then(bearer);
            let patience = (speech.hearing_timeout, config);
            Some(service_setup(("stt", Some("models")), (&api.base, key), patience))
        }
    }
}

type Fares = Option<Arc<ProgramHealth>>;

/// How the programs that hear and speak will fare, under the names of the services in whose place they are.
fn programs(config: &OutsideConfig, speech: &SpeechConfig) -> (Fares, Fares) {
    let hears = matches!(speech.hearing, Some(Hearing::Command(_)));
    let speaks = matches!(speech.speaking, Some(Speaking::Command(_)));
    let of = |name| ProgramHealth::new(name, breaker(config));
    (hears.then(|| of("stt")), speaks.then(|| of("tts")))
}

fn speaks(config: &OutsideConfig, speech: &SpeechConfig) -> Option<Setup> {
    let patience = (speech.speaking_timeout, config);
    match speech.speaking.as_ref()? {
        Speaking::Command(_) => None,
        Speaking::OpenAi(api) => {
            let key = api.key.as_ref().and_then(bearer);
            Some(service_setup(("tts", Some("models")), (&api.base, key), patience))
        }
        Speaking::ElevenLabs(api) => {
            let key = api.key.as_ref().and_then(|key| {
                let mut value = HeaderValue::from_str(key.expose()).ok()?;
                value.set_sensitive(true);
                Some((HeaderName::from_static("xi-api-key"), value))
            });
            Some(service_setup(("tts", Some("v1/models")), (&api.base, key), patience))
        }
    }
}

fn service_setup(
    (name, probe): (&'static str, Option<&'static str>),
    (base, key): (&BaseUrl, Option<(HeaderName, HeaderValue)>),
    (total, config): (Duration, &OutsideConfig),
) -> Setup {
    Setup {
        name,
        base: base.clone(),
        key,
        probe,
        one_purpose: true,
        most_connections: config.most_connections,
        patience: Patience { place: PLACE, connect: CONNECT, first_byte: total, silence: total, total },
        breaker: breaker(config),
    }
}

fn setup_of(llm: &LlmConfig, config: &OutsideConfig) -> Setup {
    Setup {
        name: "llm",
        base: llm.base.clone(),
        key: llm.key.as_ref().and_then(bearer),
        probe: Some("models"),
        // Two models are asked there, and one that is not known is a 404 as well.
        one_purpose: false,
        most_connections: config.most_connections,
        patience: Patience {
            place: PLACE,
            connect: CONNECT,
            first_byte: llm.silence,
            silence: llm.silence,
            total: config.workflow,
        },
        breaker: breaker(config),
    }
}

/// The key as a header that is never shown.
fn bearer(key: &ApiKey) -> Option<(HeaderName, HeaderValue)> {
    let mut value = HeaderValue::from_str(&format!("Bearer {}", key.expose())).ok()?;
    value.set_sensitive(true);
    Some((AUTHORIZATION, value))
}
