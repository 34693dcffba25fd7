//! Qdrant, where memories are also found: where it is, how it is paid for, under which name.

use crate::config::read::Reader;
use crate::domain::address::BaseUrl;
use crate::domain::secret::ApiKey;

/// What Qdrant usually listens on for gRPC, and for REST.
const GRPC_PORT: u16 = 6334;
const REST_PORT: u16 = 6333;

/// Qdrant, where a copy of the index of memories is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QdrantConfig {
    /// Where it is.
    pub base: BaseUrl,
    /// The key that may write to the collection.
    pub key: Option<ApiKey>,
    /// The collection.
    pub collection: String,
}

impl QdrantConfig {
    /// Its address: `http://127.0.0.1:6334`.
    #[must_use]
    pub fn url(&self) -> String {
        self.base.to_string()
    }
}

pub(super) fn read(reader: &mut Reader) -> Option<QdrantConfig> {
    let base = reader.base_url_with_port("QDRANT_URL", GRPC_PORT);
    let key = reader.api_key("QDRANT_API_KEY", "QDRANT_API_KEY_FILE");
    let collection = reader.collection("QDRANT_COLLECTION", "companion_memories");
    let base = base?;
    if base.port() == REST_PORT {
        reader.problems.add(format!(
            "QDRANT_URL: port {REST_PORT} is Qdrant's REST port; what is spoken here is gRPC, which it usually listens for on {GRPC_PORT}"
        ));
    }
    if !base.path_of("").trim_matches('/').is_empty() {
        reader.problems.add("QDRANT_URL: must end with the port; gRPC knows no path".to_owned());
    }
    Some(QdrantConfig { base, key, collection })
}
