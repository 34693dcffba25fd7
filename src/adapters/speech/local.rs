//! Programs on this machine that hear (`STT_COMMAND`) and speak (`TTS_COMMAND`).
//!
//! What one speaks is read as fast as it is made, so that it ends whoever listens, and the next one has its place.
//!
//! Bounds: 256 KiB of a transcript, 32 MiB of sound; 64 MiB of sound wait for their readers, all together, then the programs wait.

use std::io::Write;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt, stream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::program::Program;
use crate::adapters::data_dir::DataDir;
use crate::adapters::disk::{self, DiskError, Naming};
use crate::domain::chat::ServiceState;
use crate::domain::speech::{AudioStream, Recording, SpeechError, Synthesizer, Transcriber};
use crate::domain::transcript;

/// A transcript of many hours.
const MOST_TRANSCRIPT: usize = 256 * 1024;
/// Sound of one text: many minutes, uncompressed.
const MOST_SOUND: usize = 32 << 20;
/// In KiB.
const MOST_UNREAD: usize = 64 << 10;
const UNREAD_PIECES: usize = 2048;

/// Hears through a program that is given a file's name and writes what was said.
pub(super) struct CommandTranscriber {
    program: Program,
    dir: PathBuf,
}

impl CommandTranscriber {
    pub(super) fn new(program: Program, dir: &Path) -> Self {
        Self { program, dir: dir.to_owned() }
    }
}

impl Transcriber for CommandTranscriber {
    fn transcribe(
        &self,
        recording: Recording,
        client: Option<IpAddr>,
    ) -> BoxFuture<'static, Result<String, SpeechError>> {
        let (program, dir) = (self.program.clone(), self.dir.clone());
        async move {
            let leave = program.leave(client).await?;
            let file = tokio::task::spawn_blocking(move || PrivateFile::write(&dir, &recording)).await;
            let unavailable = |why: String| SpeechError::unavailable(why);
            let file =
                file.map_err(|error| unavailable(error.to_string()))?.map_err(|error| not_written(&error))?;
            let path = Some(file.0.as_os_str());
            let mut running = program.start(leave, path, Bytes::new(), MOST_TRANSCRIPT)?;
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

fn not_written(error: &DiskError) -> SpeechError {
    if error.is_full() { SpeechError::NoRoom } else { SpeechError::unavailable(error.to_string()) }
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
    unread: Arc<Semaphore>,
}

/// A piece of sound, with its place until it is read.
type Piece = Result<(Bytes, OwnedSemaphorePermit), SpeechError>;

impl CommandSynthesizer {
    pub(super) fn new(program: Program) -> Self {
        Self { program, unread: Arc::new(Semaphore::new(MOST_UNREAD)) }
    }
}

impl Synthesizer for CommandSynthesizer {
    fn speak(&self, text: String, client: Option<IpAddr>) -> AudioStream {
        let (program, unread) = (self.program.clone(), self.unread.clone());
        let read = async move {
            let (tell, told) = mpsc::channel(UNREAD_PIECES);
            drop(tokio::spawn(read_while_listened_to(program, (text, client), unread, tell)));
            stream::unfold(told, async |mut told| {
                let piece: Piece = told.recv().await?;
                Some((piece.map(|(piece, _)| piece), told))
            })
        };
        stream::once(read).flatten().boxed()
    }

    fn state(&self) -> ServiceState {
        self.program.state()
    }
}

/// The program is killed when nobody listens any more.
async fn read_while_listened_to(
    program: Program,
    text: (String, Option<IpAddr>),
    unread: Arc<Semaphore>,
    tell: mpsc::Sender<Piece>,
) {
    tokio::select! {
        biased;
        () = tell.closed() => {}
        read = read(program, text, unread, &tell) => {
            if let Err(error) = read {
                drop(tell.send(Err(error)).await);
            }
        }
    }
}

async fn read(
    program: Program,
    (text, client): (String, Option<IpAddr>),
    unread: Arc<Semaphore>,
    tell: &mpsc::Sender<Piece>,
) -> Result<(), SpeechError> {
    let leave = program.leave(client).await?;
    let mut running = program.start(leave, None, text.into(), MOST_SOUND)?;
    while let Some(piece) = running.piece().await? {
        let kibibytes = u32::try_from(piece.len().div_ceil(1024)).unwrap_or(u32::MAX);
        if unread.available_permits() < kibibytes as usize || tell.capacity() == 0 {
            running.is_held_up();
        }
        let place = unread.clone().acquire_many_owned(kibibytes).await;
        let place = place.map_err(|_| SpeechError::unavailable("it is stopping"))?;
        drop(tell.send(Ok((piece, place))).await);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::speech::ProgramHealth;
    use crate::adapters::upstream::BreakerSettings;
    use crate::config::CommandLine;
    use crate::domain::upstream::{CallEnd, Upstream};

    #[test]
    fn who_does_not_read_what_is_spoken_counts_not_against_the_program() {
        let longest = std::time::Duration::from_secs(2);
        let health = ProgramHealth::new("tts", BreakerSettings { threshold: 1, recovery: longest });
        let speaks = ["-c", "head -c 65536 /dev/zero; exec sleep 1000"].map(str::to_owned).to_vec();
        let line = CommandLine { program: "sh".to_owned(), arguments: speaks };
        let program = Program::new(&line, longest, health.clone());
        // A piece of it, and not two.
        let speaks = CommandSynthesizer { program, unread: Arc::new(Semaphore::new(20)) };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut sound = speaks.speak("hello".to_owned(), None);
            sound.next().await.unwrap().unwrap();
            tokio::time::sleep(2 * longest).await;
            while sound.next().await.is_some_and(|piece| piece.is_ok()) {}
        });
        let busy = CallEnd::ALL.iter().position(|end| *end == CallEnd::Busy).unwrap();
        assert_eq!((health.clone().report().calls[busy], speaks.state()), (1, ServiceState::Connected));
    }
}
