//! Ogg: how long it lasts, by the position that its last page tells (RFC 3533).

use std::time::Duration;

/// Opus always counts in these (RFC 7845).
const OPUS_RATE: u32 = 48_000;

/// How long it plays, for Opus and Vorbis.
#[must_use]
pub fn duration(bytes: &[u8]) -> Option<Duration> {
    let (rate, skipped) = codec(bytes)?;
    let at = bytes.windows(4).rposition(|window| window == b"OggS")?;
    let position: [u8; 8] = bytes.get(at + 6..at + 14)?.try_into().ok()?;
    let samples = u64::from_le_bytes(position).saturating_sub(skipped);
    // Beyond this it is no position of a recording; -1 is that of a page on which nothing ends.
    let samples = u32::try_from(samples).ok()?;
    Duration::try_from_secs_f64(f64::from(samples) / f64::from(rate)).ok()
}

/// Samples a second, and how many of the first are not played.
fn codec(bytes: &[u8]) -> Option<(u32, u64)> {
    let head = &bytes[..bytes.len().min(128)];
    let after = |name: &[u8]| {
        let at = head.windows(name.len()).position(|window| window == name)?;
        head.get(at + name.len()..)
    };
    if let Some(opus) = after(b"OpusHead") {
        let skipped: [u8; 2] = opus.get(2..4)?.try_into().ok()?;
        return Some((OPUS_RATE, u64::from(u16::from_le_bytes(skipped))));
    }
    let rate: [u8; 4] = after(b"\x01vorbis")?.get(5..9)?.try_into().ok()?;
    Some((u32::from_le_bytes(rate), 0)).filter(|(rate, _)| *rate > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(position: u64, content: &[u8]) -> Vec<u8> {
        [&b"OggS\0\0"[..], &position.to_le_bytes(), &[0; 12], &[1], &[0], content].concat()
    }

    #[test]
    fn the_last_page_tells_it() {
        let opus =
            [page(0, b"OpusHead\x01\x01\x38\x01\x80\xbb\0\0"), page(1, b"x"), page(48_312, b"y")].concat();
        assert_eq!(duration(&opus), Some(Duration::from_secs(1)));
        let vorbis = [page(0, b"\x01vorbis\0\0\0\0\x01\x40\x1f\0\0"), page(4000, b"x")].concat();
        assert_eq!(duration(&vorbis), Some(Duration::from_millis(500)));
        assert_eq!(duration(&page(0, b"other")), None);
        assert_eq!(duration(&[page(0, b"OpusHead\x01\x01\x38\x01"), page(u64::MAX, b"x")].concat()), None);
    }
}
