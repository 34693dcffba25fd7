//! The settings of `companion-maint`: storage, retention, the copy of the index of memories, logs. It needs nothing else, so nothing else can stop
//! it.

use crate::config::problems::Problems;
use crate::config::qdrant::{self, QdrantConfig};
use crate::config::raw::Flags;
use crate::config::read::Reader;
use crate::config::{LogConfig, RetentionConfig, StorageConfig, storage};

/// Everything `companion-maint` is set to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MaintConfig {
    /// Where things lie on disk.
    pub storage: StorageConfig,
    /// How long things are kept.
    pub retention: RetentionConfig,
    /// Where a copy of the index of memories is kept; `None`: there is only the embedded one.
    pub qdrant: Option<QdrantConfig>,
    /// What is logged, and how.
    pub log: LogConfig,
}

impl MaintConfig {
    /// Reads the settings.
    ///
    /// # Errors
    /// All problems together.
    pub fn load(flags: Flags) -> Result<Self, Problems> {
        let mut reader = Reader::new(flags);
        let config = Self {
            storage: storage::read(&mut reader),
            retention: reader.retention(),
            qdrant: qdrant::read(&mut reader),
            log: reader.log(),
        };
        if reader.problems.is_empty() { Ok(config) } else { Err(reader.problems) }
    }
}
