//! What texts mean, as numbers: vectors, how alike two of them are, and whoever makes them.
//!
//! Bounds: a vector has at most 4096 numbers; a text is told up to its 2000th character.

use std::sync::Arc;

use futures_util::future::BoxFuture;

/// The most numbers of a vector.
pub const MOST_NUMBERS: usize = 4096;
/// What of a text is told to whoever makes its vector, in characters; the longest memory fits.
pub const MOST_TOLD_CHARS: usize = 2000;

/// The direction of a text's meaning: numbers of the length 1.
#[derive(Debug, Clone, PartialEq)]
pub struct Vector(Box<[f32]>);

impl Vector {
    /// The direction of these numbers; `None` where they have none, or are too many.
    #[must_use]
    pub fn of(mut numbers: Vec<f32>) -> Option<Self> {
        let length = numbers.iter().map(|number| f64::from(*number) * f64::from(*number)).sum::<f64>().sqrt();
        if numbers.len() > MOST_NUMBERS || !length.is_finite() || length <= f64::from(f32::MIN_POSITIVE) {
            return None;
        }
        numbers.iter_mut().for_each(|number| *number = narrowed(f64::from(*number) / length));
        Some(Self(numbers.into()))
    }

    /// The numbers.
    #[must_use]
    pub fn numbers(&self) -> &[f32] {
        &self.0
    }

    /// As it is kept: four bytes for each number, the lowest first.
    #[must_use]
    pub fn packed(&self) -> Vec<u8> {
        self.0.iter().flat_map(|number| number.to_le_bytes()).collect()
    }

    /// What [`Self::packed`] wrote; `None` when it is something else.
    #[must_use]
    pub fn unpacked(bytes: &[u8]) -> Option<Self> {
        let (numbers, rest) = bytes.as_chunks();
        let numbers: Vec<_> = numbers.iter().map(|number| f32::from_le_bytes(*number)).collect();
        Self::of(numbers).filter(|_| rest.is_empty())
    }

    /// How alike the meaning is to one as it is kept: the cosine, from -1 to 1. `None` when that has not as many numbers.
    #[must_use]
    pub fn likeness(&self, packed: &[u8]) -> Option<f32> {
        let (numbers, rest) = packed.as_chunks::<4>();
        if numbers.len() != self.0.len() || !rest.is_empty() {
            return None;
        }
        // Sixteen sums beside each other: the processor adds them at once.
        let mut sums = [0.0_f32; LANES];
        let (ours, theirs) = (self.0.as_chunks::<LANES>(), numbers.as_chunks::<LANES>());
        for (ours, theirs) in ours.0.iter().zip(theirs.0) {
            for lane in 0..LANES {
                sums[lane] += ours[lane] * f32::from_le_bytes(theirs[lane]);
            }
        }
        let rest = ours.1.iter().zip(theirs.1).map(|(ours, theirs)| ours * f32::from_le_bytes(*theirs));
        Some(sums.iter().sum::<f32>() + rest.sum::<f32>())
    }
}

const LANES: usize = 16;

#[expect(clippy::cast_possible_truncation, reason = "a number between -1 and 1")]
fn narrowed(number: f64) -> f32 {
    number as f32
}

/// What somebody asks for, as one model understands it.
#[derive(Debug, Clone)]
pub struct Meaning {
    /// Whose vector it is: only vectors of the same model can be compared.
    pub model: Arc<str>,
    /// The vector.
    pub vector: Vector,
}

/// Who waits for a vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Haste {
    /// Somebody who asks: what is not there at once is of no use.
    Asked,
    /// Nobody.
    Aside,
}

/// Why there is no vector. Nothing that was said is in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EmbedError {
    /// Whoever makes vectors is down, or has too much to do.
    #[error("vectors cannot be made now: {0}")]
    Unavailable(String),
    /// It did not answer in time.
    #[error("a vector was not made in time: {0}")]
    TimedOut(String),
    /// One of the texts is what it does not take.
    #[error("a text is refused: {0}")]
    Refused(String),
}

/// Whoever makes vectors of texts: a service outside, or a model in this process.
pub trait Embedder: Send + Sync {
    /// Names the model for good: where the name is another, so are the vectors.
    fn model(&self) -> Arc<str>;

    /// As many texts it takes at a time.
    fn most_at_once(&self) -> usize;

    /// The vectors of the texts, in their order. Dropping the future stops the work.
    fn embed(&self, texts: Vec<String>, haste: Haste) -> BoxFuture<'static, Result<Vec<Vector>, EmbedError>>;
}

/// A text as far as it is told.
#[must_use]
pub fn told(text: &str) -> String {
    text.chars().take(MOST_TOLD_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_vector_has_the_length_one_or_is_none() {
        let vector = Vector::of(vec![3.0, 4.0]).unwrap();
        assert_eq!(vector.numbers(), [0.6, 0.8]);
        for none in
            [vec![], vec![0.0; 8], vec![f32::NAN, 1.0], vec![f32::INFINITY, 1.0], vec![1.0; MOST_NUMBERS + 1]]
        {
            assert_eq!(Vector::of(none), None);
        }
        assert!(Vector::of(vec![f32::MAX; 4]).is_some(), "what is large has a direction, too");
    }

    #[test]
    fn what_was_kept_is_read_again_and_nothing_else() {
        let vector = Vector::of(vec![1.0, -2.0, 3.0]).unwrap();
        let again = Vector::unpacked(&vector.packed()).unwrap();
        assert!(vector.numbers().iter().zip(again.numbers()).all(|(a, b)| (a - b).abs() < 1e-6));
        assert_eq!(Vector::unpacked(&[1, 2, 3]), None);
        assert_eq!(vector.likeness(&[0; 16]), None, "of another model");
        assert_eq!(vector.likeness(&[0; 13]), None);
    }

    proptest! {
        #[test]
        fn likeness_is_the_cosine(pairs in proptest::collection::vec((-1.0_f32..1.0, -1.0_f32..1.0), 1..100)) {
            let (one, other): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
            let (Some(one), Some(other)) = (Vector::of(one), Vector::of(other)) else { return Ok(()) };
            let plainly: f64 =
                one.numbers().iter().zip(other.numbers()).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
            let likeness = one.likeness(&other.packed()).unwrap();
            prop_assert!((f64::from(likeness) - plainly).abs() < 1e-5);
        }
    }
}
