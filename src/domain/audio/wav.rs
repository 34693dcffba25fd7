//! RIFF WAVE: where its samples are, how long they last, and several files as one.
//!
//! A program that writes to a pipe cannot know the length when it writes the head: when that says more than there is, or
//! nothing, the samples go to the end of what there is.

use std::time::Duration;

use bytes::Bytes;

/// A file's parts.
struct Wave<'a> {
    /// The `fmt ` chunk's content.
    format: &'a [u8],
    samples: &'a [u8],
}

impl<'a> Wave<'a> {
    fn read(bytes: &'a [u8]) -> Option<Self> {
        let mut rest = bytes.strip_prefix(b"RIFF")?.get(4..)?.strip_prefix(b"WAVE")?;
        let mut format = None;
        loop {
            let (head, content) = rest.split_at_checked(8)?;
            let length = usize::try_from(u32::from_le_bytes(head[4..].try_into().ok()?)).ok()?;
            let chunk = &content[..length.min(content.len())];
            match &head[..4] {
                b"fmt " => format = Some(chunk).filter(|chunk| chunk.len() >= 16),
                b"data" => {
                    let is_told = length > 0 || is_chunk(content);
                    return Some(Self { format: format?, samples: if is_told { chunk } else { content } });
                }
                _ => {}
            }
            rest = content.get(length.checked_add(length % 2)?..)?;
        }
    }

    fn bytes_a_second(&self) -> Option<u32> {
        let rate: [u8; 4] = self.format.get(8..12)?.try_into().ok()?;
        Some(u32::from_le_bytes(rate)).filter(|rate| *rate > 0)
    }
}

/// Whether a whole chunk with a plain name begins here: then the one before it has its end in front of it.
fn is_chunk(bytes: &[u8]) -> bool {
    let Some((head, content)) = bytes.split_at_checked(8) else { return false };
    let length = <[u8; 4]>::try_from(&head[4..]).map_or(u32::MAX, u32::from_le_bytes);
    let is_named = head[..4].iter().all(|byte| byte.is_ascii_graphic() || *byte == b' ');
    is_named && usize::try_from(length).is_ok_and(|length| length <= content.len())
}

/// A file that begins with `head` and is sent on as it is made: where that tells a length of nothing, it is told to have no
/// end, so that no player takes the first samples for the last.
pub fn tell_no_end(head: &mut [u8]) {
    if let Some(length) = head.get_mut(4..8).filter(|length| **length == [0; 4]) {
        length.fill(u8::MAX);
    }
}

/// How long it plays.
#[must_use]
pub fn duration(bytes: &[u8]) -> Option<Duration> {
    let wave = Wave::read(bytes)?;
    let samples = u32::try_from(wave.samples.len()).ok()?;
    Duration::try_from_secs_f64(f64::from(samples) / f64::from(wave.bytes_a_second()?)).ok()
}

/// One file with the samples of all parts and a head that is right; `None` when the parts differ in kind or there is none.
#[must_use]
pub fn joined(parts: &[Bytes]) -> Option<Bytes> {
    let waves: Vec<_> = parts.iter().map(|part| Wave::read(part)).collect::<Option<_>>()?;
    let format = waves.first()?.format;
    if waves.iter().any(|wave| wave.format != format) {
        return None;
    }
    let length: usize = waves.iter().map(|wave| wave.samples.len()).sum();
    let padding = length % 2;
    let size = |bytes: usize| u32::try_from(bytes).ok().map(u32::to_le_bytes);
    let mut file = Vec::with_capacity(28 + format.len() + length + padding);
    file.extend_from_slice(b"RIFF");
    file.extend(size(4 + 8 + format.len() + 8 + length + padding)?);
    file.extend_from_slice(b"WAVEfmt ");
    file.extend(size(format.len())?);
    file.extend_from_slice(format);
    file.extend_from_slice(b"data");
    file.extend(size(length)?);
    waves.iter().for_each(|wave| file.extend_from_slice(wave.samples));
    file.resize(file.len() + padding, 0);
    Some(file.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 8000 samples a second, 16 bits, one channel; with the length told.
    fn file(samples: &[u8], told: u32) -> Bytes {
        let mut file = b"RIFF\xff\xff\xff\xffWAVELIST\x03\0\0\0abc\0fmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x80\x3e\0\0\x02\0\x10\0data".to_vec();
        file.extend(told.to_le_bytes());
        file.extend_from_slice(samples);
        file.into()
    }

    #[test]
    fn its_length_is_that_of_the_samples_there_are() {
        let second = [1; 16_000];
        for told in [16_000, 0x7FFF_FFFF, u32::MAX, 0] {
            assert_eq!(duration(&file(&second, told)), Some(Duration::from_secs(1)), "{told}");
        }
        assert_eq!(duration(&file(&second, 8000)), Some(Duration::from_millis(500)));
        assert_eq!(duration(b"RIFF\0\0\0\0WAVE"), None);
        for nothing in [&b""[..], b"LIST\x04\0\0\0abcd"] {
            assert_eq!(duration(&file(nothing, 0)), Some(Duration::ZERO), "it has no samples");
        }
    }

    #[test]
    fn what_is_sent_as_it_is_made_has_no_end_by_its_head() {
        for (told, expected) in [(0, u32::MAX), (36, 36), (u32::MAX, u32::MAX)] {
            let mut head = [b"RIFF".as_slice(), &u32::to_le_bytes(told), b"WAVE"].concat();
            tell_no_end(&mut head);
            assert_eq!(head, [b"RIFF".as_slice(), &u32::to_le_bytes(expected), b"WAVE"].concat());
        }
        tell_no_end(&mut [0; 7]);
    }

    #[test]
    fn a_joined_file_has_all_samples_and_tells_their_length() {
        let whole = joined(&[file(&[1; 300], u32::MAX), file(&[2; 100], 100)]).unwrap();
        assert_eq!(whole.len(), 44 + 400);
        assert_eq!(&whole[4..8], (36 + 400_u32).to_le_bytes());
        assert_eq!(&whole[40..44], 400_u32.to_le_bytes());
        assert_eq!((&whole[44..344], &whole[344..]), (&[1; 300][..], &[2; 100][..]));
        assert_eq!(duration(&whole), Some(Duration::from_millis(25)));
    }

    #[test]
    fn files_of_two_kinds_are_not_joined() {
        let mut other = file(&[1; 10], 10).to_vec();
        let rate = other.windows(4).position(|window| window == b"\x40\x1f\0\0").unwrap();
        other[rate] = 0;
        assert!(joined(&[file(&[1; 10], 10), other.into()]).is_none());
        assert!(joined(&[Bytes::from_static(b"no file")]).is_none() && joined(&[]).is_none());
    }
}
