//! Audio replies: kept within their budget, and heard again.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;

use crate::adapters::audio_store::{self, AudioFile, Evicted};
use crate::app::{App, AppError};
use crate::domain::audio::{AudioFormat, AudioId};

/// Where a client hears an audio reply.
#[must_use]
pub fn url(id: AudioId) -> String {
    format!("/api/v1/voice/audio/{id}")
}

/// How many bytes of audio there are, as far as is known: what other processes delete is noticed when it matters.
#[derive(Clone)]
pub(crate) struct AudioBytes(Arc<AtomicU64>);

impl Default for AudioBytes {
    /// Unknown, so that the first one who adds to it counts.
    fn default() -> Self {
        Self(Arc::new(AtomicU64::new(u64::MAX)))
    }
}

impl AudioBytes {
    /// Adds a file; true when there may be more than `budget` now.
    fn add(&self, bytes: u64, budget: u64) -> bool {
        let add = |known: u64| Some(known.saturating_add(bytes));
        let before = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add).unwrap_or(u64::MAX);
        before.saturating_add(bytes) > budget
    }

    fn counted(&self, bytes: u64) {
        self.0.store(bytes, Ordering::Relaxed);
    }
}

impl App {
    /// Where the audio reply lies and what it is. The file may be gone a moment later: it expires by itself.
    ///
    /// # Errors
    /// [`AppError::AudioNotFound`] when it is unknown.
    pub async fn audio(&self, id: AudioId) -> Result<(PathBuf, AudioFormat), AppError> {
        let format = match self.passing.format_of(id) {
            Some(format) => Some(format),
            None => self.database.read("find audio", move |db| audio_store::format_of(db, id)).await?,
        };
        let format = format.ok_or(AppError::AudioNotFound)?;
        Ok((audio_store::path_of(self.data_dir.audio(), id, format), format))
    }

    /// Writes an audio file and returns its path. When there is more than `AUDIO_MAX_TOTAL_BYTES` after it, the oldest go.
    ///
    /// # Errors
    /// [`AppError::DiskFull`] when there is no room for it, also because others cannot be removed.
    pub(crate) async fn save_audio(
        &self,
        id: AudioId,
        format: AudioFormat,
        sound: Bytes,
    ) -> Result<PathBuf, AppError> {
        let (dir, bytes) = (self.data_dir.clone(), self.audio_bytes.clone());
        let budget = self.retention.audio_max_total_bytes;
        let save = move || {
            if !audio_store::has_room(&dir) || sound.len() as u64 > budget {
                return Err(AppError::DiskFull);
            }
            audio_store::save(&dir, id, format, &sound)?;
            let path = audio_store::path_of(dir.audio(), id, format);
            if !bytes.add(sound.len() as u64, budget) {
                return Ok((path, Evicted::default()));
            }
            let evicted = audio_store::evict(dir.audio(), budget, &path)
                .inspect_err(|_| drop(audio_store::remove_file(&path)))?;
            bytes.counted(evicted.left);
            Ok((path, evicted))
        };
        let (path, Evicted { gone, stuck, .. }) = self.blocking(save).await??;
        if let Some(error) = stuck.first() {
            // Not where it lies: whoever knows an audio reply's name can hear it.
            tracing::warn!(
                event = "audio_not_evicted",
                files = stuck.len(),
                cause = %error.source,
                "Old audio could not be deleted to make room"
            );
        }
        let kept = gone.iter().all(|file| file.path != path);
        self.forget_evicted(gone).await;
        if kept { Ok(path) } else { Err(AppError::DiskFull) }
    }

    /// Removes the rows of files that are gone.
    async fn forget_evicted(&self, gone: Vec<AudioFile>) {
        let ids: Vec<_> = gone.into_iter().filter_map(|file| file.id).collect();
        if ids.is_empty() {
            return;
        }
        tracing::info!(
            event = "audio_evicted",
            files = ids.len(),
            "The oldest audio was deleted to make room"
        );
        let delete =
            move |db: &rusqlite::Connection| ids.iter().try_for_each(|id| audio_store::delete_row(db, *id));
        // Without its file a row only leads to a "not found"; `cleanup-audio` removes it once it is past its age.
        if let Err(error) = self.database.write("forget audio", delete).await {
            tracing::warn!(error = %error, "The rows of deleted audio could not be removed");
        }
    }
}
