//! Who makes vectors of what is remembered and asked.

use std::path::PathBuf;

use crate::config::outside::LlmConfig;
use crate::config::read::Reader;
use crate::domain::address::BaseUrl;
use crate::domain::secret::ApiKey;

/// What a model's directory has to hold.
pub const MODEL_FILES: [&str; 3] = ["config.json", "tokenizer.json", "model.safetensors"];

/// Who makes vectors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EmbeddingConfig {
    /// An OpenAI-compatible API.
    Api {
        /// Where it is.
        base: BaseUrl,
        /// What is paid with.
        key: Option<ApiKey>,
        /// Which of its models.
        model: String,
    },
    /// A model in this process, from a directory.
    Directory(PathBuf),
}

impl EmbeddingConfig {
    /// What is used at the operator's cost, by what it is paid with.
    #[must_use]
    pub const fn paid(&self) -> Option<&'static str> {
        match self {
            Self::Api { key: Some(_), .. } => Some("EMBEDDING_API_KEY"),
            Self::Api { key: None, .. } | Self::Directory(_) => None,
        }
    }
}

pub(super) fn read(reader: &mut Reader, llm: Option<&LlmConfig>) -> Option<EmbeddingConfig> {
    let base = reader.base_url("EMBEDDING_BASE_URL");
    let key = reader.api_key("EMBEDDING_API_KEY", "EMBEDDING_API_KEY_FILE");
    let model = reader.plain_name("EMBEDDING_MODEL_NAME", "");
    let directory = reader.path_if_given("EMBEDDING_MODEL_DIR");
    let mut wrong = |told: &str| reader.problems.add(told.to_owned());
    match (base, directory) {
        (Some(_), Some(_)) => {
            wrong("EMBEDDING_BASE_URL and EMBEDDING_MODEL_DIR are both given; keep one");
            None
        }
        (Some(_), None) if model.is_empty() => {
            wrong("EMBEDDING_BASE_URL needs EMBEDDING_MODEL_NAME, too");
            None
        }
        (Some(base), None) => {
            // The model's key is only for where the model is.
            let shared = llm.filter(|llm| llm.base == base).and_then(|llm| llm.key.clone());
            Some(EmbeddingConfig::Api { base, key: key.or(shared), model })
        }
        (None, Some(directory)) => {
            if let Some(told) = unusable(&directory) {
                wrong(&told);
            }
            Some(EmbeddingConfig::Directory(directory))
        }
        (None, None) => {
            if key.is_some() || !model.is_empty() {
                wrong("EMBEDDING_API_KEY and EMBEDDING_MODEL_NAME need EMBEDDING_BASE_URL, too");
            }
            None
        }
    }
}

/// What is wrong with a model's directory, as far as that shows without reading the model.
fn unusable(directory: &std::path::Path) -> Option<String> {
    if !cfg!(feature = "local-embeddings") {
        let told = "EMBEDDING_MODEL_DIR: this program was built without the feature local-embeddings, which it needs";
        return Some(told.to_owned());
    }
    let missing = MODEL_FILES.iter().find(|name| !directory.join(name).is_file())?;
    Some(format!("EMBEDDING_MODEL_DIR={directory:?}: there is no file {missing}"))
}
