//! A model's arithmetic stays on one thread.
//!
//! candle asks the environment how many threads to use. Where that says nothing it reads `/proc/cpuinfo` for every product of
//! matrices, and keeps a thread for each core that spins between them.

use std::fs;

const ONE_THREAD: &str = "RAYON_NUM_THREADS=1\nCANDLE_NUM_THREADS=1\n";

/// Tells candle to use the thread that asks, and no other. For the beginning of a program: with more threads than one it does
/// nothing, for another one may be reading the environment. True when it was told.
#[must_use]
pub fn keep_to_one_thread() -> bool {
    let alone = fs::read_dir("/proc/self/task").is_ok_and(|threads| threads.count() == 1);
    alone && dotenvy::from_read_override(ONE_THREAD.as_bytes()).is_ok()
}
