//! Vectors of texts, by whatever the settings name.

mod outside;

#[cfg(feature = "local-embeddings")]
mod arithmetic;
#[cfg(feature = "local-embeddings")]
mod bert;
#[cfg(feature = "local-embeddings")]
mod gelu;
#[cfg(feature = "local-embeddings")]
mod local;
#[cfg(feature = "local-embeddings")]
mod weights;

#[cfg(feature = "local-embeddings")]
pub use arithmetic::keep_to_one_thread;
#[cfg(feature = "local-embeddings")]
pub use local::{LocalModel, ModelDirError};
pub use outside::EmbeddingService;
