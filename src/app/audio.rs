//! Hearing an audio reply again.

use std::path::PathBuf;

use crate::adapters::audio_store;
use crate::app::{App, AppError};
use crate::domain::audio::{AudioFormat, AudioId};

/// Where a client hears an audio reply.
#[must_use]
pub fn url(id: AudioId) -> String {
    format!("/api/v1/voice/audio/{id}")
}

impl App {
    /// Where the audio reply lies and what it is. The file may be gone a moment later: it expires by itself.
    ///
    /// # Errors
    /// [`AppError::AudioNotFound`] when it is unknown.
    pub async fn audio(&self, id: AudioId) -> Result<(PathBuf, AudioFormat), AppError> {
        let format = self.database.read("find audio", move |db| audio_store::format_of(db, id)).await?;
        let format = format.ok_or(AppError::AudioNotFound)?;
        Ok((audio_store::path_of(self.data_dir.audio(), id, format), format))
    }
}
