//! What the persona says again and again (greetings, answers to silence, words for those in need) is spoken once and kept; a
//! reply never is.
//!
//! Bounds: one file for each of the persona's phrases, in the audio directory, where `cleanup-audio` deletes it like an audio
//! reply when it is too old or there is too much.

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use sha2::{Digest, Sha256};

use crate::adapters::audio_store;
use crate::adapters::data_dir::DataDir;
use crate::adapters::disk::DiskError;
use crate::domain::audio::{AudioFormat, PhraseId};
use crate::domain::chat::{Persona, ServiceState};
use crate::domain::speech::{AudioStream, SpeechError, Synthesizer};

/// A longer sound is not kept.
const MOST_BYTES: usize = 4 << 20;

/// Speaks through another one, and keeps the phrases.
pub struct CachedPhrases {
    speaks: Arc<dyn Synthesizer>,
    /// Which voice says it: another one says it anew.
    voice: String,
    phrases: HashSet<String>,
    dir: DataDir,
}

impl CachedPhrases {
    /// Keeps what `persona` says, as `speaks` says it with this voice, in `dir`.
    #[must_use]
    pub fn new(speaks: Arc<dyn Synthesizer>, voice: &str, persona: &Persona, dir: &DataDir) -> Self {
        let phrases = persona.phrases().map(|phrase| phrase.trim().to_owned()).collect();
        Self { speaks, voice: voice.to_owned(), phrases, dir: dir.clone() }
    }

    fn id(&self, text: &str) -> PhraseId {
        let hash = Sha256::new().chain_update(self.voice.len().to_le_bytes()).chain_update(&self.voice);
        PhraseId::from_bytes(hash.chain_update(text).finalize().into())
    }
}

impl Synthesizer for CachedPhrases {
    fn speak(&self, text: String, client: Option<IpAddr>) -> AudioStream {
        let text = text.trim().to_owned();
        if !self.phrases.contains(&text) {
            return self.speaks.speak(text, client);
        }
        let (speaks, dir, id) = (self.speaks.clone(), self.dir.clone(), self.id(&text));
        let kept_or_made = async move {
            let look = dir.audio().to_owned();
            let kept = tokio::task::spawn_blocking(move || audio_store::kept_phrase(&look, id)).await;
            let made = match kept {
                Ok(Ok(Some(sound))) => return Ok(stream::iter([Ok(sound)]).boxed()),
                Ok(Ok(None) | Err(_)) | Err(_) => keeping(speaks.speak(text, client), dir, id),
            };
            Ok::<_, SpeechError>(made)
        };
        stream::once(kept_or_made).try_flatten().boxed()
    }

    fn state(&self) -> ServiceState {
        self.speaks.state()
    }
}

/// The same sound; once it is whole, it is kept.
fn keeping(sound: AudioStream, dir: DataDir, id: PhraseId) -> AudioStream {
    let next = move |(mut sound, mut so_far): (AudioStream, Vec<u8>)| {
        let dir = dir.clone();
        async move {
            let Some(piece) = sound.next().await else {
                keep(dir, id, so_far.into()).await;
                return Ok(None);
            };
            let piece: Bytes = piece?;
            if so_far.len() <= MOST_BYTES {
                so_far.extend_from_slice(&piece);
            }
            Ok::<_, SpeechError>(Some((piece, (sound, so_far))))
        }
    };
    stream::try_unfold((sound, Vec::new()), next).boxed()
}

async fn keep(dir: DataDir, id: PhraseId, sound: Bytes) {
    let Some(format) = AudioFormat::of(&sound).filter(|_| sound.len() <= MOST_BYTES) else { return };
    let keep = move || -> Result<(), DiskError> {
        if audio_store::has_room(&dir) { audio_store::keep_phrase(&dir, id, format, &sound) } else { Ok(()) }
    };
    if let Ok(Err(error)) = tokio::task::spawn_blocking(keep).await {
        tracing::warn!(error = %error, "A spoken phrase could not be kept");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ServerConfig;

    /// Says everything with a sound of so many bytes.
    struct Speaks(usize);

    impl Synthesizer for Speaks {
        fn speak(&self, _: String, _: Option<IpAddr>) -> AudioStream {
            let mut sound = b"RIFF\0\0\0\0WAVE".to_vec();
            sound.resize(self.0, 0);
            stream::iter([Ok(sound.into())]).boxed()
        }

        fn state(&self) -> ServiceState {
            ServiceState::Connected
        }
    }

    #[tokio::test]
    async fn a_phrase_of_4_mib_is_kept_and_a_longer_one_is_not() {
        let root = tempfile::tempdir().unwrap();
        let mut config = ServerConfig::for_testing(&root.path().join("data")).unwrap();
        config.storage.min_free_disk_bytes = 0;
        let dir = DataDir::create_or_open(&config.storage).unwrap();
        for (voice, bytes, kept) in
            [("one", MOST_BYTES, 1), ("two", MOST_BYTES + 1, 1), ("three", MOST_BYTES, 2)]
        {
            let phrases = CachedPhrases::new(Arc::new(Speaks(bytes)), voice, &config.persona, &dir);
            let heard: Vec<_> =
                phrases.speak(config.persona.honesty.clone(), None).try_collect().await.unwrap();
            assert_eq!(heard.concat().len(), bytes, "all of it is heard");
            assert_eq!(std::fs::read_dir(dir.audio()).unwrap().count(), kept, "{bytes} bytes");
        }
    }
}
