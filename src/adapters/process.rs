//! This process, as Linux sees it.

use std::fs;

/// Bytes of memory it holds; `None` where Linux does not tell.
#[must_use]
pub fn resident_bytes() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let kibibytes =
        status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?.trim().strip_suffix(" kB")?;
    Some(kibibytes.trim().parse::<u64>().ok()? * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_that_is_used_is_told() {
        let before = resident_bytes().unwrap();
        let held = std::hint::black_box(vec![1_u8; 256 << 20]);
        let now = resident_bytes().unwrap();
        assert!(now >= before + (128 << 20), "{before} {now} {}", held.len());
    }
}
