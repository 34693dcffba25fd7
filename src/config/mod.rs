//! Settings: what was given (`raw`), what it means (`server`, `maint`). Values are validated once, here, and all
//! problems are told together.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use age::x25519::Recipient;
use tracing::level_filters::LevelFilter;

use crate::domain::backup::KeepRules;
use crate::domain::retention::RetentionDays;

mod dollars;
mod embedding;
mod maint;
mod outside;
mod persona;
mod problems;
mod qdrant;
mod raw;
mod read;
mod server;
mod settings;
mod speech;
mod storage;

pub use embedding::{EmbeddingConfig, MODEL_FILES};
pub use maint::MaintConfig;
pub use outside::{BreakerConfig, LlmConfig, OutsideConfig, SummaryConfig};
pub use problems::Problems;
pub use qdrant::QdrantConfig;
pub use raw::Flags;
pub use server::{AccessConfig, LimitsConfig, ServerConfig};
pub use settings::describe;
pub use speech::{CommandLine, Hearing, SECRETS, Speaking, SpeechApi, SpeechConfig};

/// Where things lie on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StorageConfig {
    /// The data directory.
    pub data_dir: PathBuf,
    /// The `SQLite` file.
    pub database: PathBuf,
    /// Where audio replies lie.
    pub audio_dir: PathBuf,
    /// Where backups lie.
    pub backup_dir: PathBuf,
    /// Whom backups are encrypted to; `None` leaves them readable.
    pub backup_recipient: Option<Recipient>,
    /// Below this many free bytes, what grows the store stops.
    pub min_free_disk_bytes: u64,
}

/// How long things are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetentionConfig {
    /// Sessions idle longer are deleted; `None` keeps them.
    pub session_days: Option<RetentionDays>,
    /// People unseen longer are erased; `None` keeps them.
    pub person_days: Option<RetentionDays>,
    /// Memories neither added nor changed for longer are deleted; `None` keeps them.
    pub memory_days: Option<RetentionDays>,
    /// Audio replies older are deleted.
    pub audio_max_age: Duration,
    /// Audio replies beyond this are deleted, the oldest first.
    pub audio_max_total_bytes: u64,
    /// How many of the newest backups are kept.
    pub backup_keep: NonZeroU32,
    /// The newest backup of each of so many days is kept, too.
    pub backup_keep_daily: u32,
    /// The same by weeks.
    pub backup_keep_weekly: u32,
    /// The same by months.
    pub backup_keep_monthly: u32,
}

impl RetentionConfig {
    /// Which backups stay by these settings.
    #[must_use]
    pub const fn keep_rules(&self) -> KeepRules {
        KeepRules {
            newest: self.backup_keep,
            daily: self.backup_keep_daily,
            weekly: self.backup_keep_weekly,
            monthly: self.backup_keep_monthly,
        }
    }
}

/// What is logged, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogConfig {
    /// The least important line that is logged.
    pub level: LevelFilter,
    /// How a line looks.
    pub format: LogFormat,
}

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For a person.
    Console,
    /// One JSON object a line.
    Json,
}
