//! Programs on this machine that hear (`STT_COMMAND`) and speak (`TTS_COMMAND`).

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt, TryStreamExt, stream};

use super::program::{Program, Running};
use crate::adapters::data_dir::DataDir;
use crate::adapters::disk::{self, DiskError, Naming};
use crate::config::CommandLine;
use crate::domain::chat::ServiceState;
use crate::domain::speech::{AudioStream, Recording, SpeechError, Synthesizer, Transcriber};
use crate::domain::transcript;

/// A transcript of many hours.
const MOST_TRANSCRIPT: usize = 256 * 1024;
/// Sound of one text: many minutes, uncompressed.
const MOST_SOUND: usize = 32 << 20;

/// Hears through a program that is given a file's name and writes what was said.
pub(super) struct CommandTranscriber {
    program: Program,
    dir: PathBuf,
}

impl CommandTranscriber {
    pub(super) fn new(line: &CommandLine, longest: Duration, dir: &Path) -> Self {
        Self { program: Program::new(line, longest), dir: dir.to_owned() }
    }
}

impl Transcriber for CommandTranscriber {
    fn transcribe(&self, recording: Recording) -> BoxFuture<'static, Result<String, SpeechError>> {
        let (program, dir) = (self.program.clone(), self.dir.clone());
        async move {
            let file = tokio::task::spawn_blocking(move || PrivateFile::write(&dir, &recording)).await;
            let unavailable = |why: String| SpeechError::unavailable(why);
            let file = file.map_err(|error| unavailable(error.to_string()))?;
            let file = file.map_err(|error| unavailable(error.to_string()))?;
            let path = Some(file.0.as_os_str());
            let mut running = program.start(path, Bytes::new(), MOST_TRANSCRIPT).await?;
            let mut text = Vec::new();
            while let Some(piece) = running.piece().await? {
                text.extend_from_slice(&piece);
            }
            let text = String::from_utf8(text).map_err(|_| unavailable("it writes no UTF-8".to_owned()))?;
            Ok(transcript::heard(&text, None).to_owned())
        }
        .boxed()
    }

    fn state(&self) -> ServiceState {
        self.program.state()
    }
}

/// A recording as a file that only we may read; gone when dropped. What a killed server leaves is removed by the next start.
struct PrivateFile(PathBuf);

impl PrivateFile {
    fn write(dir: &Path, recording: &Recording) -> Result<Self, DiskError> {
        // Many programs tell the format by the name.
        let path = DataDir::temporary_in(dir).with_extension(recording.format.extension());
        let mut file = disk::create_private(&path)?;
        let made = Self(path);
        file.write_all(&recording.bytes).naming("write", &made.0)?;
        Ok(made)
    }
}

impl Drop for PrivateFile {
    fn drop(&mut self) {
        if let Err(error) = disk::remove_if_there(&self.0) {
            tracing::error!(error = %error, "A recording could not be removed; the next start tries again");
        }
    }
}

/// Speaks through a program that reads a text and writes sound.
pub(super) struct CommandSynthesizer {
    program: Program,
}

impl CommandSynthesizer {
    pub(super) fn new(line: &CommandLine, longest: Duration) -> Self {
        Self { program: Program::new(line, longest) }
    }
}

impl Synthesizer for CommandSynthesizer {
    fn speak(&self, text: String) -> AudioStream {
        let program = self.program.clone();
        stream::once(async move { program.start(None, text.into(), MOST_SOUND).await.map(pieces) })
            .try_flatten()
            .boxed()
    }

    fn state(&self) -> ServiceState {
        self.program.state()
    }
}

fn pieces(running: Running) -> AudioStream {
    let next = |mut running: Running| async move {
        Ok::<_, SpeechError>(running.piece().await?.map(|piece| (piece, running)))
    };
    stream::try_unfold(running, next).boxed()
}
