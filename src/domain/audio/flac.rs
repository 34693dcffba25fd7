//! FLAC: how long it lasts, by its first block (RFC 9639, section 8.2).

use std::time::Duration;

/// How long it plays; `None` when whoever wrote it did not know.
#[must_use]
pub fn duration(bytes: &[u8]) -> Option<Duration> {
    let info = bytes.strip_prefix(b"fLaC")?.get(4..38)?;
    // 20 bits of rate, 3 of channels, 5 of depth, 36 of samples.
    let packed = u64::from_be_bytes(info[10..18].try_into().ok()?);
    let rate = u32::try_from(packed >> 44).ok().filter(|rate| *rate > 0)?;
    let samples = u32::try_from(packed & 0xF_FFFF_FFFF).ok().filter(|samples| *samples > 0)?;
    Duration::try_from_secs_f64(f64::from(samples) / f64::from(rate)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_block_tells_it() {
        let file = |packed: u64| [&b"fLaC\0\0\0\x22"[..], &[0; 10], &packed.to_be_bytes(), &[0; 16]].concat();
        assert_eq!(duration(&file(16_000 << 44 | 8000)), Some(Duration::from_millis(500)));
        assert_eq!(duration(&file(16_000 << 44)), None);
        assert_eq!(duration(b"fLaC\0\0\0\x22"), None);
    }
}
