//! Several sounds, one after the other, as one file.
//!
//! Bound: 32 MiB, of what is sent on as it comes and of what is collected.

use bytes::Bytes;
use futures_util::stream::BoxStream;
use futures_util::{StreamExt, TryStreamExt, future, stream};

use crate::domain::audio::{AudioFormat, joined, mp3};
use crate::domain::speech::{AudioStream, SpeechError};

const MOST_BYTES: usize = 32 << 20;
/// By then every format is told, and sound has begun.
const BEGINNING: usize = 4096;

/// Of MP3 the first is sent on as it comes, and each that follows once it is whole, all without what tells of one alone; of
/// another format they are joined once they are there. Each begins when the one before it has ended.
pub(super) fn one_file(sounds: BoxStream<'static, AudioStream>) -> AudioStream {
    stream::once(begun(sounds)).try_flatten().boxed()
}

async fn begun(mut sounds: BoxStream<'static, AudioStream>) -> Result<AudioStream, SpeechError> {
    let Some(mut first) = sounds.next().await else { return Ok(stream::empty().boxed()) };
    let mut head = Vec::new();
    while head.len() < BEGINNING {
        let Some(piece) = first.try_next().await? else { break };
        head.extend_from_slice(&piece);
    }
    let format = AudioFormat::of(&head);
    if format == Some(AudioFormat::Mp3) {
        let head = Bytes::copy_from_slice(mp3::from_first_sound(&head));
        let first = stream::once(future::ready(Ok(head))).chain(first);
        return Ok(at_most(first.chain(sounds.then(following)).boxed(), MOST_BYTES));
    }
    let first = stream::once(future::ready(Ok(Bytes::from(head)))).chain(first).boxed();
    let mut all = stream::once(future::ready(first)).chain(sounds).boxed();
    let (mut parts, mut bytes) = (Vec::new(), 0);
    while let Some(sound) = all.next().await {
        let part = collected(sound, MOST_BYTES - bytes).await?;
        bytes += part.len();
        parts.push(part);
    }
    let whole = format.and_then(|format| joined(format, &parts));
    let whole = whole.ok_or_else(|| SpeechError::unavailable("its sounds cannot be joined"))?;
    Ok(stream::once(future::ready(Ok(whole))).boxed())
}

/// The frames of an MP3 file.
async fn following(sound: AudioStream) -> Result<Bytes, SpeechError> {
    let whole = collected(sound, MOST_BYTES).await?;
    let frames = mp3::joined(&[whole]);
    if frames.is_empty() { Err(SpeechError::unavailable("its sounds cannot be joined")) } else { Ok(frames) }
}

async fn collected(sound: AudioStream, most_bytes: usize) -> Result<Bytes, SpeechError> {
    let whole = at_most(sound, most_bytes).try_fold(Vec::new(), async |mut whole, piece| {
        whole.extend_from_slice(&piece);
        Ok(whole)
    });
    Ok(whole.await?.into())
}

/// The same sound; an error where it goes beyond this.
fn at_most(sound: AudioStream, most_bytes: usize) -> AudioStream {
    let counted = sound.scan(0, move |so_far, piece| {
        let piece = piece.and_then(|piece| {
            *so_far += piece.len();
            if *so_far > most_bytes {
                Err(SpeechError::unavailable("its sound is too long"))
            } else {
                Ok(piece)
            }
        });
        future::ready(Some(piece))
    });
    counted.boxed()
}
