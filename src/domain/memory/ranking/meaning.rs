//! How much the meaning of a memory counts beside its words.

use super::bm25::count;

/// What its meaning counts for, against 1 for the words of the memory alone.
pub(crate) const MEANING: f32 = 1.5;
/// A memory that shares no word with the question is found when its meaning is this much like it, from 0, the mean of the person's
/// memories, to 1, the most alike of them; and as a cosine by at least so much: texts that have nothing to do with each other are below.
const ALIKE_ENOUGH: f32 = 0.5;
const ALIKE_AT_ALL: f32 = 0.2;

/// How alike the meanings of a person's memories are to a question's, on the whole.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scale {
    mean: f32,
    most: f32,
}

impl Scale {
    /// Of these cosines; `None` when there is none.
    pub(crate) fn of(known: impl Iterator<Item = f32> + Clone) -> Option<Self> {
        let most = known.clone().reduce(f32::max)?;
        let mean = known.clone().sum::<f32>() / count(known.count());
        Some(Self { mean, most })
    }

    /// How alike a meaning is, from 0, the mean of all, to 1, the most alike one.
    pub(crate) fn share(self, likeness: f32) -> f32 {
        let Self { mean, most } = self;
        // Where all are equally alike, which a single one is, there is nothing to compare with.
        let share = if most > mean { (likeness - mean) / (most - mean) } else { 1.0 };
        if likeness > 0.0 { share.clamp(0.0, 1.0) } else { 0.0 }
    }

    /// True when a memory is found by its meaning alone.
    pub(crate) fn is_alike(self, likeness: f32) -> bool {
        self.share(likeness) >= ALIKE_ENOUGH && likeness >= ALIKE_AT_ALL
    }
}
