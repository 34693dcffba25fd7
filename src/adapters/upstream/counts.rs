//! How the calls to one upstream ended.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::domain::upstream::CallEnd;

/// One number for each of [`CallEnd::ALL`].
#[derive(Default)]
pub(in crate::adapters) struct Counts([AtomicU64; CallEnd::ALL.len()]);

impl Counts {
    pub(in crate::adapters) fn add(&self, end: CallEnd) {
        for (count, kind) in self.0.iter().zip(CallEnd::ALL) {
            if kind == end {
                count.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    pub(in crate::adapters) fn all(&self) -> [u64; CallEnd::ALL.len()] {
        std::array::from_fn(|place| self.0[place].load(Ordering::Relaxed))
    }
}
