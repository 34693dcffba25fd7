//! MPEG audio layer III: its frames (ISO/IEC 11172-3 and 13818-3) and the tags around them.

use std::time::Duration;

use bytes::Bytes;

/// Kilobits a second by the header's index, for MPEG-1 and for MPEG-2 and 2.5.
const RATES: [[u32; 15]; 2] = [
    [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320],
    [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160],
];

/// One frame's header.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Frame {
    /// With the header.
    bytes: usize,
    samples: u32,
    samples_a_second: u32,
    /// Where a frame tells of the whole file instead of sounding, if it does.
    side_info: usize,
}

impl Frame {
    fn read(bytes: &[u8]) -> Option<Self> {
        let &[sync, kind, rates, mode, ..] = bytes else { return None };
        let layer_three = kind & 0b0000_0110 == 0b0000_0010;
        if sync != 0xFF || kind & 0xE0 != 0xE0 || !layer_three {
            return None;
        }
        let (is_one, halvings) = match kind >> 3 & 0b11 {
            0b11 => (true, 0),
            0b10 => (false, 1),
            0b00 => (false, 2),
            _ => return None,
        };
        let kilobits = *RATES[usize::from(!is_one)].get(usize::from(rates >> 4)).filter(|rate| **rate > 0)?;
        let samples_a_second = [44_100, 48_000, 32_000].get(usize::from(rates >> 2 & 0b11))? >> halvings;
        let samples = if is_one { 1152 } else { 576 };
        let padding = u32::from(rates >> 1 & 1);
        let length = samples / 8 * kilobits * 1000 / samples_a_second + padding;
        let mono = mode >> 6 == 0b11;
        let side_info = match (is_one, mono) {
            (true, false) => 32,
            (true, true) | (false, false) => 17,
            (false, true) => 9,
        };
        Some(Self {
            bytes: usize::try_from(length).ok()?,
            samples,
            samples_a_second,
            side_info: 4 + side_info,
        })
    }

    /// True when it holds a table for seeking (Xing, Info, VBRI) and no sound.
    fn is_table(self, bytes: &[u8]) -> bool {
        let named =
            |at: usize, names: &[&[u8]]| names.iter().any(|name| bytes.get(at..at + 4) == Some(*name));
        named(self.side_info, &[b"Xing", b"Info"]) || named(36, &[b"VBRI"])
    }
}

/// True when `bytes` begin with a frame, and with another one after it as far as they reach.
pub(super) fn begins(bytes: &[u8]) -> bool {
    let Some(frame) = Frame::read(bytes) else { return false };
    bytes.get(frame.bytes..).is_none_or(|rest| rest.len() < 4 || Frame::read(rest).is_some())
}

/// The length of the `ID3v2` tag that `bytes` begin with.
pub(super) fn tag_bytes(bytes: &[u8]) -> Option<usize> {
    let head = bytes.get(..10).filter(|head| head.starts_with(b"ID3"))?;
    let size =
        head[6..].iter().try_fold(0, |size, byte| (*byte < 0x80).then(|| size << 7 | usize::from(*byte)))?;
    let footer = if head[5] & 0x10 == 0 { 0 } else { 10 };
    Some(10 + size + footer)
}

/// What is between the tags at the beginning and the one at the end.
pub(super) fn without_tags(mut bytes: &[u8]) -> &[u8] {
    while let Some(tag) = tag_bytes(bytes) {
        bytes = bytes.get(tag..).unwrap_or_default();
    }
    match bytes.len().checked_sub(128) {
        Some(at) if bytes[at..].starts_with(b"TAG") => &bytes[..at],
        _ => bytes,
    }
}

/// The beginning of a file from its first frame of sound on: what stands before tells how long it is, and of whom.
#[must_use]
pub fn from_first_sound(mut head: &[u8]) -> &[u8] {
    while let Some(tag) = tag_bytes(head) {
        head = head.get(tag..).unwrap_or_default();
    }
    match Frame::read(head) {
        Some(frame) if frame.is_table(head) => head.get(frame.bytes..).unwrap_or_default(),
        _ => head,
    }
}

/// Each frame of sound, and where it lies.
fn frames(bytes: &[u8]) -> impl Iterator<Item = (Frame, &[u8])> {
    let mut rest = without_tags(bytes);
    std::iter::from_fn(move || {
        loop {
            let frame = Frame::read(rest)?;
            let (this, after) = rest.split_at(frame.bytes.min(rest.len()));
            rest = after;
            if !frame.is_table(this) {
                return Some((frame, this));
            }
        }
    })
}

/// How long it plays; `None` when there is no frame at all.
#[must_use]
pub fn duration(bytes: &[u8]) -> Option<Duration> {
    let mut seconds = None;
    for (frame, _) in frames(bytes) {
        *seconds.get_or_insert(0.0) += f64::from(frame.samples) / f64::from(frame.samples_a_second);
    }
    seconds.and_then(|seconds: f64| Duration::try_from_secs_f64(seconds).ok())
}

/// The frames of all parts, one after the other, without what tells of a part alone.
#[must_use]
pub fn joined(parts: &[Bytes]) -> Bytes {
    let whole: Vec<u8> =
        parts.iter().flat_map(|part| frames(part)).flat_map(|(_, bytes)| bytes).copied().collect();
    whole.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// MPEG-1, 128 kbit/s, 44.1 kHz, stereo: 417 bytes.
    fn frame(fill: u8) -> Vec<u8> {
        [&[0xFF, 0xFB, 0x90, 0x00][..], &[fill; 413]].concat()
    }

    fn table() -> Vec<u8> {
        let mut frame = frame(0);
        frame[36..40].copy_from_slice(b"Info");
        frame
    }

    #[test]
    fn frames_are_counted_and_tables_and_tags_are_not() {
        let tag = b"ID3\x03\0\0\0\0\0\x02xx";
        let end = [&b"TAG"[..], &[0; 125]].concat();
        let file = [&tag[..], &table(), &frame(1), &frame(2), &end].concat();
        let two = Duration::from_secs_f64(2.0 * 1152.0 / 44_100.0);
        assert_eq!(duration(&file), Some(two));
        let twice = joined(&[file.clone().into(), file.into()]);
        assert_eq!(twice, [frame(1), frame(2), frame(1), frame(2)].concat());
        assert_eq!(duration(b"nothing"), None);
        assert_eq!(from_first_sound(&[&tag[..], &table(), &frame(1)].concat()), frame(1));
        assert_eq!(from_first_sound(&frame(1)[..100]), &frame(1)[..100], "what is sent as it comes");
    }

    #[test]
    fn slow_and_quick_frames_have_their_lengths() {
        for (head, bytes, samples, rate) in [
            ([0xFF, 0xFB, 0x92, 0x00], 418, 1152, 44_100),
            ([0xFF, 0xF3, 0x40, 0xC4], 104, 576, 22_050),
            ([0xFF, 0xE3, 0x18, 0xC4], 72, 576, 8_000),
        ] {
            let frame = Frame::read(&head).unwrap();
            assert_eq!(
                (frame.bytes, frame.samples, frame.samples_a_second),
                (bytes, samples, rate),
                "{head:x?}"
            );
        }
        for head in [
            [0xFF, 0xFD, 0x90, 0],
            [0xFF, 0xFB, 0x00, 0],
            [0xFF, 0xFB, 0xF0, 0],
            [0xFF, 0xFB, 0x9C, 0],
            [0xFF, 0xEB, 0x90, 0],
        ] {
            assert!(Frame::read(&head).is_none(), "{head:x?}");
        }
    }
}
