//! What becomes of a reply's sound: how it went, why it went no further, and the file that has all of it.

use std::path::PathBuf;

use super::events::Timings;
use crate::adapters::audio_store;
use crate::app::AppError;
use crate::app::passing_audio::OfTurn;
use crate::domain::audio::{AudioFormat, AudioId};
use crate::domain::session::SessionId;
use crate::domain::speech::SpeechError;

/// What became of a reply's sound.
#[derive(Default)]
pub(super) struct Sounded {
    /// Some of it, or all, could not be spoken.
    pub(super) failed: bool,
    /// All of it, as one file.
    pub(super) whole: Option<WholeFile>,
    pub(super) first_audio_ms: f64,
    pub(super) tts_ms: f64,
    pub(super) audio_save_ms: f64,
}

impl Sounded {
    /// Adds how long it took, and whether it failed.
    pub(super) fn tell(&self, timings: &mut Timings, degraded: &mut Vec<&'static str>) {
        timings.first_audio_ms = self.first_audio_ms;
        timings.tts_ms = self.tts_ms;
        timings.audio_save_ms = self.audio_save_ms;
        if self.failed {
            degraded.push("speech");
        }
    }
}

/// Why a reply is not spoken on.
#[derive(Debug, thiserror::Error)]
pub(super) enum Mute {
    #[error(transparent)]
    Speech(#[from] SpeechError),
    #[error("nobody was set up to speak")]
    Nobody,
    #[error("the sound is in none of the known formats")]
    Format,
    #[error("the sound is too long")]
    TooLong,
    #[error("there is no room for more sound")]
    NoRoom,
    #[error("the sound could not be kept: {0}")]
    Keeping(#[from] AppError),
}

/// A file that is there and that no turn refers to yet; gone when dropped, unless that has changed.
pub(super) struct WholeFile {
    pub(super) id: AudioId,
    pub(super) format: AudioFormat,
    pub(super) bytes: u64,
    path: Option<PathBuf>,
}

impl WholeFile {
    pub(super) fn new((id, format): (AudioId, AudioFormat), bytes: u64, path: PathBuf) -> Self {
        Self { id, format, bytes, path: Some(path) }
    }

    /// A turn refers to it now.
    pub(super) fn is_kept(&mut self) {
        self.path = None;
    }

    /// It can be heard for a while, and no turn will refer to it.
    pub(super) fn pass(&mut self, files: &mut OfTurn, session: SessionId, person: i64) {
        if let Some(path) = self.path.take() {
            files.add((self.id, self.format), session, person, path);
        }
    }
}

impl Drop for WholeFile {
    fn drop(&mut self) {
        if let Some(Err(error)) = self.path.take().map(|path| audio_store::remove_file(&path)) {
            tracing::warn!(error = %error.source, "An audio reply of a turn that was not kept could not be removed");
        }
    }
}
