//! Several sounds, one after the other, as one file.
//!
//! Bounds: 32 MiB, of what is sent on as it comes and of what is collected; 4 are collected at once, the next ones are not asked for yet.

use bytes::Bytes;
use futures_util::stream::BoxStream;
use futures_util::{StreamExt, TryStreamExt, future, stream};
use tokio::sync::Semaphore;

use crate::domain::audio::{AudioFormat, joined, mp3};
use crate::domain::speech::{AudioStream, SpeechError};

const MOST_BYTES: usize = 32 << 20;
/// By then every format is told, and sound has begun.
const BEGINNING: usize = 4096;
/// Of all that is joined, in memory.
static COLLECTED_AT_ONCE: Semaphore = Semaphore::const_new(4);

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
    let _place = COLLECTED_AT_ONCE.acquire().await;
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
    let _place = COLLECTED_AT_ONCE.acquire().await;
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::FutureExt;
    use tokio::sync::watch;

    use super::*;

    #[test]
    fn of_all_sounds_that_follow_four_are_collected_at_once() {
        // MPEG-1, 128 kbit/s, 44.1 kHz, stereo: 417 bytes each.
        let mp3 = Bytes::from([&[0xFF, 0xFB, 0x90, 0x00][..], &[0; 413]].concat().repeat(10));
        let (tell, told) = watch::channel(false);
        let (once, begun) = (mp3.clone(), Arc::new(AtomicUsize::new(0)));
        let sound = |waits: bool| -> AudioStream {
            let (mp3, begun, mut told) = (once.clone(), begun.clone(), told.clone());
            let made = async move {
                if waits {
                    begun.fetch_add(1, Ordering::Relaxed);
                    drop(told.wait_for(|go| *go).await);
                }
                Ok(mp3)
            };
            stream::once(made).boxed()
        };
        let mut joined: Vec<_> =
            (0..6).map(|_| one_file(stream::iter([sound(false), sound(true)]).boxed())).collect();
        for one in &mut joined {
            assert_eq!(one.next().now_or_never().unwrap().unwrap().unwrap(), mp3);
            assert!(one.next().now_or_never().is_none());
        }
        assert_eq!(begun.load(Ordering::Relaxed), 4);
        tell.send_replace(true);
        for one in &mut joined {
            assert_eq!(one.next().now_or_never().unwrap().unwrap().unwrap(), mp3);
        }
        assert_eq!(begun.load(Ordering::Relaxed), 6);
    }

    #[test]
    fn so_much_of_a_sound_is_taken_and_no_more() {
        let sound = || stream::iter([3, 4].map(|bytes| Ok(Bytes::from(vec![0; bytes])))).boxed();
        for (most, taken) in [(7, Some(7)), (6, None), (7, Some(7))] {
            let whole = collected(sound(), most).now_or_never().unwrap();
            assert_eq!(whole.ok().map(|whole| whole.len()), taken);
        }
    }
}
