//! The services outside: where they are, who pays for them, how long they may take.

use std::time::Duration;

use crate::config::qdrant::{self, QdrantConfig};
use crate::config::read::Reader;
use crate::domain::address::BaseUrl;
use crate::domain::secret::ApiKey;

const GROQ: &str = "https://api.groq.com/openai/v1";
/// Connections to one upstream. A model's reply holds one until its last word.
const MOST_CONNECTIONS: usize = 256;

/// The services outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutsideConfig {
    /// The language model; `None`: the offline companion.
    pub llm: Option<LlmConfig>,
    /// The longest an answer may take in all.
    pub workflow: Duration,
    /// When a service is left alone.
    pub breaker: BreakerConfig,
    /// Connections that may be open to one service.
    pub most_connections: usize,
    /// When a conversation is summed up.
    pub summary: SummaryConfig,
    /// Where a copy of the index of memories is kept; `None`: there is only the embedded one.
    pub qdrant: Option<QdrantConfig>,
}

/// A language model behind an OpenAI-compatible API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LlmConfig {
    /// Where the API is.
    pub base: BaseUrl,
    /// What is paid with.
    pub key: Option<ApiKey>,
    /// The model that answers.
    pub model: String,
    /// The model for small work.
    pub small_model: String,
    /// The longest silence, before the first word and between two.
    pub silence: Duration,
}

/// When a service that fails is left alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BreakerConfig {
    /// So many failures in a row.
    pub threshold: u32,
    /// Until it is tried again.
    pub recovery: Duration,
}

/// When a conversation is summed up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SummaryConfig {
    /// More messages than that, said and answered, that are not summed up.
    pub trigger: usize,
    /// So many are left word for word.
    pub keep: usize,
}

impl OutsideConfig {
    /// What is used at the operator's cost, by what it is paid with.
    #[must_use]
    pub fn paid(&self) -> Vec<&'static str> {
        let llm = self.llm.as_ref().is_some_and(|llm| llm.key.is_some());
        if llm { vec!["LLM_API_KEY (GROQ_API_KEY)"] } else { Vec::new() }
    }
}

pub(super) fn read(reader: &mut Reader) -> OutsideConfig {
    let threshold = reader.number("CIRCUIT_BREAKER_FAILURE_THRESHOLD", 5, 1..=1000);
    let breaker = BreakerConfig {
        threshold: u32::try_from(threshold).unwrap_or(u32::MAX),
        recovery: reader.seconds("CIRCUIT_BREAKER_RECOVERY_TIMEOUT", 30),
    };
    OutsideConfig {
        llm: llm(reader),
        workflow: reader.seconds("WORKFLOW_TIMEOUT_SECONDS", 60),
        breaker,
        most_connections: MOST_CONNECTIONS,
        summary: summary(reader),
        qdrant: qdrant::read(reader),
    }
}

fn llm(reader: &mut Reader) -> Option<LlmConfig> {
    let base = reader.base_url("LLM_BASE_URL");
    let ours = reader.api_key("LLM_API_KEY", "LLM_API_KEY_FILE");
    let theirs = reader.api_key("GROQ_API_KEY", "GROQ_API_KEY_FILE");
    if ours.is_some() && theirs.is_some() && ours != theirs {
        reader.problems.add("LLM_API_KEY and GROQ_API_KEY, its old name, differ; keep one".to_owned());
    }
    let key = ours.or(theirs);
    let model = reader.plain_name("TEXT_MODEL_NAME", "llama-3.3-70b-versatile");
    let small_model = reader.plain_name("SMALL_TEXT_MODEL_NAME", "llama-3.1-8b-instant");
    let silence = reader.seconds("LLM_TIMEOUT_SECONDS", 30);
    let base = base.or_else(|| key.as_ref().and_then(|_| GROQ.parse().ok()))?;
    Some(LlmConfig { base, key, model, small_model, silence })
}

fn summary(reader: &mut Reader) -> SummaryConfig {
    let trigger = reader.count("TOTAL_MESSAGES_SUMMARY_TRIGGER", 30, 1000);
    let keep = reader.count("TOTAL_MESSAGES_AFTER_SUMMARY", 10, 1000);
    if keep >= trigger {
        let told = "TOTAL_MESSAGES_AFTER_SUMMARY: must be less than TOTAL_MESSAGES_SUMMARY_TRIGGER";
        reader.problems.add(format!("{told}, {trigger}"));
    }
    SummaryConfig { trigger, keep }
}
