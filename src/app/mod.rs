//! The use cases: the order of steps, what is fatal, what degrades.

use std::sync::Arc;
use std::time::Duration;

use crate::adapters::backup_disk::BackupDisk;
use crate::adapters::data_dir::DataDir;
use crate::adapters::database::Database;
use crate::config::{LimitsConfig, RetentionConfig, SummaryConfig};
use crate::domain::chat::{ChatModel, Persona, SmallModel};
use crate::domain::clock::Clock;
use crate::domain::embedding::Embedder;
use crate::domain::memory::copy::MemoryCopy;
use crate::domain::speech::{Synthesizer, Transcriber};
use crate::domain::upstream::Upstream;

pub mod aloud;
pub mod audio;
pub mod copying;
pub mod error;
pub mod export;
mod first_words;
pub mod health;
mod heard_beyond;
pub mod house;
pub mod inventory;
mod learning;
mod meanings;
pub mod memories;
pub mod memory_status;
pub mod outbox;
mod passing_audio;
mod person_turns;
pub mod persons;
mod recall;
mod recent_turns;
pub mod running_turns;
pub mod samples;
mod session_lines;
pub mod sessions;
pub mod sign_ins;
mod silences;
mod sound_room;
mod summaries;
pub mod turn;
pub mod upkeep;
pub mod ways_in;

pub use error::AppError;

/// Everything the server shares: built once, used by every request.
pub struct App {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) database: Database,
    pub(crate) data_dir: DataDir,
    pub(crate) model: Arc<dyn ChatModel>,
    pub(crate) transcriber: Option<Arc<dyn Transcriber>>,
    pub(crate) synthesizer: Option<Arc<dyn Synthesizer>>,
    pub(crate) small_model: Option<Arc<dyn SmallModel>>,
    pub(crate) summary: SummaryConfig,
    pub(crate) summaries: summaries::Summaries,
    pub(crate) upstreams: Vec<Arc<dyn Upstream>>,
    pub(crate) backup_disk: BackupDisk,
    pub(crate) workflow: Duration,
    pub(crate) persona: Arc<Persona>,
    pub(crate) retention: RetentionConfig,
    pub(crate) limits: LimitsConfig,
    pub(crate) turns: running_turns::Turns,
    pub(crate) first_words: first_words::FirstWords,
    pub(crate) recent: recent_turns::RecentTurns,
    pub(crate) passing: passing_audio::PassingAudio,
    pub(crate) sound_room: sound_room::SoundRoom,
    pub(crate) audio_bytes: audio::AudioBytes,
    pub(crate) heard_beyond: heard_beyond::HeardBeyond,
    pub(crate) silences: silences::Silences,
    pub(crate) probe: health::Probe,
    pub(crate) learns_from: learning::Persons,
    pub(crate) copying: Option<copying::Copying>,
    pub(crate) embedder: Option<Arc<dyn Embedder>>,
    pub(crate) meanings: meanings::Meanings,
    pub(crate) lookout: Arc<house::Lookout>,
    pub(crate) forecast: inventory::Forecast,
}

/// What an [`App`] is made of.
pub struct Parts {
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// The started database.
    pub database: Database,
    /// The data directory.
    pub data_dir: DataDir,
    /// The disk of the backups.
    pub backup_disk: BackupDisk,
    /// Who answers.
    pub model: Arc<dyn ChatModel>,
    /// Who hears; `None`: nobody.
    pub transcriber: Option<Arc<dyn Transcriber>>,
    /// Who speaks; `None`: nobody.
    pub synthesizer: Option<Arc<dyn Synthesizer>>,
    /// Who makes vectors of memories; `None`: they are found by their words alone.
    pub embedder: Option<Arc<dyn Embedder>>,
    /// Who sums up what was said long ago; `None`: nobody does.
    pub small_model: Option<Arc<dyn SmallModel>>,
    /// When that is done.
    pub summary: SummaryConfig,
    /// The services outside, to be looked at.
    pub upstreams: Vec<Arc<dyn Upstream>>,
    /// The longest an answer may take in all.
    pub workflow: Duration,
    /// Who the companion is.
    pub persona: Arc<Persona>,
    /// How long things are kept.
    pub retention: RetentionConfig,
    /// The bounds.
    pub limits: LimitsConfig,
    /// The copy of the index of memories that a service outside keeps; `None`: there is only the embedded one.
    pub copy: Option<Arc<dyn MemoryCopy>>,
}

impl App {
    /// Puts the parts together. What goes on without whoever asked for it runs on `runtime`.
    #[must_use]
    pub fn new(parts: Parts, runtime: tokio::runtime::Handle) -> Self {
        let copying = parts.copy.map(|copy| {
            let carrier = outbox::Carrier::new(parts.database.clone(), copy);
            copying::Copying::new(carrier)
        });
        let turns = running_turns::Turns::new(runtime.clone(), parts.limits);
        Self {
            clock: parts.clock,
            database: parts.database,
            data_dir: parts.data_dir,
            backup_disk: parts.backup_disk,
            model: parts.model,
            transcriber: parts.transcriber,
            synthesizer: parts.synthesizer,
            small_model: parts.small_model,
            summary: parts.summary,
            summaries: summaries::Summaries::default(),
            upstreams: parts.upstreams,
            workflow: parts.workflow,
            persona: parts.persona,
            retention: parts.retention,
            limits: parts.limits,
            turns,
            recent: recent_turns::RecentTurns::default(),
            first_words: first_words::FirstWords::default(),
            passing: passing_audio::PassingAudio::default(),
            sound_room: sound_room::SoundRoom::default(),
            audio_bytes: audio::AudioBytes::default(),
            heard_beyond: heard_beyond::HeardBeyond::default(),
            silences: silences::Silences::default(),
            probe: health::Probe::default(),
            learns_from: learning::Persons::default(),
            copying,
            embedder: parts.embedder,
            meanings: meanings::Meanings::default(),
            lookout: Arc::new(house::Lookout::new(runtime)),
            forecast: inventory::Forecast::default(),
        }
    }

    /// How long things are kept, as the page announces it.
    #[must_use]
    pub fn retention(&self) -> &RetentionConfig {
        &self.retention
    }

    /// The most memories that are kept of a person.
    #[must_use]
    pub fn max_memories_per_person(&self) -> u32 {
        self.limits.max_memories_per_person
    }

    /// Refuses what grows the store while the disk is low.
    fn room_to_grow(&self) -> Result<(), AppError> {
        if self.data_dir.is_low() { Err(AppError::DiskFull) } else { Ok(()) }
    }
}
