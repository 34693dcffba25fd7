//! libFuzzer's program: the target whose name stands in `FUZZ_TARGET`, told what code each input reaches.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;

#[path = "../targets/mod.rs"]
mod targets;

static TARGET: LazyLock<targets::Target> = LazyLock::new(|| {
    let name = std::env::var("FUZZ_TARGET").unwrap_or_default();
    let found = targets::TARGETS.iter().find(|(target, _)| *target == name);
    found.unwrap_or_else(|| panic!("FUZZ_TARGET has to name a target, not {name:?}")).1
});

fuzz_target!(|data: &[u8]| TARGET(data));
