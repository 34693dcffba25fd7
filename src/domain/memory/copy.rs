//! A copy of the index of memories that is kept by a service outside: what it holds of a memory, and what can be asked of it.
//! Words and texts never go there: only ids, hashes of words, times and, where meanings are known, their vectors.

use futures_util::future::BoxFuture;

use crate::domain::clock::Timestamp;
use crate::domain::memory::MemoryId;
use crate::domain::memory::ranking::held_back;
use crate::domain::memory::words::Term;
use crate::domain::person::PersonId;
use crate::domain::upstream::UpstreamReport;

/// Words a memory has on average, and one with its neighbours. In a vector that is written once the person's own averages,
/// which change with every memory, cannot take part; on the open conversations of `LoCoMo`, whose turns have 21 and 100, less than half a
/// point is lost by that.
const USUAL_LENGTH: f32 = 12.0;
const USUAL_LENGTH_AROUND: f32 = 60.0;
/// A longer text is held back like one of so many times the usual length: next to it, that of its person may be as long.
const LONGEST: f32 = 2.0;

/// Words, and how much each counts before its rarity is known.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sparse {
    /// Each once, the lowest first.
    pub terms: Vec<Term>,
    /// One for each of the terms.
    pub weights: Vec<f32>,
}

impl Sparse {
    /// The part of BM25 that a text alone decides.
    #[must_use]
    fn of(words: &mut [Term], usual_length: f32) -> Self {
        let held_back = held_back(words.len(), usual_length, LONGEST);
        words.sort_unstable();
        let mut sparse = Self::default();
        for same in words.chunk_by(|a, b| a == b) {
            let times = same.iter().fold(0.0, |times, _| times + 1.0);
            sparse.terms.extend(same.first());
            sparse.weights.push(times / (times + held_back));
        }
        sparse
    }

    /// A question: each of its words counts once.
    #[must_use]
    pub fn question(terms: &[Term]) -> Self {
        Self { terms: terms.to_vec(), weights: vec![1.0; terms.len()] }
    }
}

/// What the copy holds of a memory.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// Its id.
    pub id: MemoryId,
    /// Whose it is.
    pub person: PersonId,
    /// When it was said.
    pub said_at: Timestamp,
    /// Its words.
    pub alone: Sparse,
    /// Its words and those of its neighbours.
    pub around: Sparse,
    /// What it means, where that is known.
    pub dense: Option<Vec<f32>>,
    /// A number that changes when any of the above does.
    pub print: i64,
}

impl Point {
    /// Of a memory with these words, among those of its neighbours.
    #[must_use]
    pub fn new(
        (id, person, said_at): (MemoryId, PersonId, Timestamp),
        words: &[Term],
        neighbours: &[Term],
        dense: Option<Vec<f32>>,
    ) -> Self {
        let mut own = words.to_vec();
        let mut all = [words, neighbours].concat();
        let alone = Sparse::of(&mut own, USUAL_LENGTH);
        let around = Sparse::of(&mut all, USUAL_LENGTH_AROUND);
        let mut print = Print::new();
        print.add(person.as_bytes());
        print.add(&said_at.as_millis().to_le_bytes());
        // Sorted by now: in the same order whoever the neighbours are.
        for words in [&own, &all] {
            print.add(&words.len().to_le_bytes());
            words.iter().for_each(|word| print.add(&word.to_le_bytes()));
        }
        dense.iter().flatten().for_each(|part| print.add(&part.to_bits().to_le_bytes()));
        Self { id, person, said_at, alone, around, dense, print: print.0.cast_signed() }
    }

    /// What the copy tells of it.
    #[must_use]
    pub const fn copied(&self) -> Copied {
        Copied { id: self.id, print: self.print }
    }
}

/// FNV-1a.
struct Print(u64);

impl Print {
    const fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

/// What the copy tells of a memory it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Copied {
    /// Its id.
    pub id: MemoryId,
    /// As [`Point::print`].
    pub print: i64,
}

/// What is looked for.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Whose memories.
    pub person: PersonId,
    /// By which words.
    pub terms: Vec<Term>,
    /// By which meaning, where that is known.
    pub dense: Option<Vec<f32>>,
    /// The most that are wanted.
    pub limit: usize,
    /// When.
    pub now: Timestamp,
}

/// A memory that answers, and how well: above 0, at most 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Hit {
    /// Its id.
    pub id: MemoryId,
    /// How well.
    pub score: f32,
}

/// One copy of several that there have been: which it is, and its shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Edition {
    /// Tells it from the one before.
    pub generation: [u8; 16],
    /// How many numbers its vectors of meanings have; `None`: it has none.
    pub dimensions: Option<u32>,
}

/// What is at the place of the copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Nothing.
    Nothing,
    /// A copy of this store: the one with this mark.
    Ours([u8; 16]),
}

/// A page of what the copy holds, and where the next one begins; `None` after the last.
pub type Page = (Vec<Copied>, Option<MemoryId>);

/// Why the copy cannot be asked. Nothing that was said is in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CopyError {
    /// No connection, or one that broke.
    #[error("Qdrant cannot be reached at {place}: {why}")]
    Unreachable {
        /// Where.
        place: String,
        /// Why.
        why: String,
    },
    /// Nothing came in time.
    #[error("Qdrant at {0} does not answer in time")]
    TimedOut(String),
    /// Something answers that does not speak gRPC.
    #[error(
        "what answers at {0} is not Qdrant's gRPC port, which is usually 6334: 6333 is its REST port. Change QDRANT_URL"
    )]
    NotGrpc(String),
    /// It wants another key.
    #[error(
        "Qdrant at {0} refuses the key: set QDRANT_API_KEY, or QDRANT_API_KEY_FILE, to one that may write to the collection"
    )]
    WrongKey(String),
    /// It cannot count the words of one person alone.
    #[error("Qdrant {found} is too old: 1.19 or newer is needed")]
    TooOld {
        /// The version it says it is.
        found: String,
    },
    /// The collection holds something else.
    #[error(
        "the collection {0} in Qdrant is not of this store: set QDRANT_COLLECTION to another name, or give it up with `companion-maint reindex-memories --force`"
    )]
    Anothers(String),
    /// The collection is of this store, and cannot hold what is to be copied.
    #[error("the collection {collection} in Qdrant {differs}: run `companion-maint reindex-memories`")]
    Shape {
        /// Which.
        collection: String,
        /// How it differs: `holds vectors of 384 dimensions, those made now have 768`.
        differs: String,
    },
    /// It says no for a reason of its own.
    #[error("Qdrant refuses: {0}")]
    Refused(String),
    /// What it answers makes no sense.
    #[error("Qdrant's answer cannot be understood: {0}")]
    Garbage(&'static str),
    /// It failed too often and is left alone.
    #[error("Qdrant failed too often and is left alone for a while")]
    LeftAlone,
    /// Too many ask it.
    #[error("Qdrant has too many questions to answer")]
    Busy,
}

/// A copy of the index of memories that others keep. Shared by all who ask.
pub trait MemoryCopy: Send + Sync {
    /// Where it is, without any secret: two settings that mean the same place give the same text.
    fn place(&self) -> String;

    /// What is there now; an error where that cannot be used, or is the `known` copy in another shape. Also the call that tries again
    /// what was left alone.
    fn look(&self, owner: [u8; 16], known: Option<Edition>) -> BoxFuture<'_, Result<Standing, CopyError>>;

    /// Begins a new, empty copy in the place of what is there, if that is this store's; by `force` whatever it is.
    fn begin(&self, owner: [u8; 16], new: Edition, force: bool) -> BoxFuture<'_, Result<(), CopyError>>;

    /// Puts these in, whether they are there or not, and takes those out; resolves once the service has confirmed both.
    fn change(&self, put: Vec<Point>, gone: Vec<MemoryId>) -> BoxFuture<'_, Result<(), CopyError>>;

    /// The best of a person's memories, the best first. Never waits long.
    fn search(&self, asked: Asked) -> BoxFuture<'_, Result<Vec<Hit>, CopyError>>;

    /// Up to `limit` of what it holds, in an order of its own, from `from` on.
    fn page(&self, from: Option<MemoryId>, limit: u32) -> BoxFuture<'_, Result<Page, CopyError>>;

    /// Those of `ids` that it holds.
    fn find(&self, ids: Vec<MemoryId>) -> BoxFuture<'_, Result<Vec<Copied>, CopyError>>;

    /// How it is, from what was last seen; never waits.
    fn report(&self) -> UpstreamReport;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::memory::words::terms;
    use crate::domain::session::PublicId;

    fn point(text: &str, neighbours: &str) -> Point {
        let id = PublicId::from_bytes([1; 16]);
        Point::new((id, id, Timestamp::from_millis(5)), &terms(text), &terms(neighbours), None)
    }

    #[test]
    fn each_word_is_there_once_and_counts_less_the_more_there_are() {
        let once = point("tea", "").alone;
        let twice = point("tea tea", "").alone;
        assert_eq!(once.terms, twice.terms);
        assert!(once.weights[0] < twice.weights[0] && twice.weights[0] < 2.0 * once.weights[0]);
        let long = point("tea with milk in a large old cup of blue china from Porto", "").alone;
        assert!(long.weights[0] < once.weights[0]);
        assert!(long.terms.is_sorted());
        assert_eq!(point("...", ""), point("", ""), "nothing that counts");
    }

    #[test]
    fn the_print_changes_with_the_words_and_with_the_neighbours_alone() {
        let print = |text, neighbours| point(text, neighbours).print;
        assert_eq!(print("green tea", "milk"), print("tea, green!", "milk"));
        assert_ne!(print("green tea", "milk"), print("green tea", "cup"));
        assert_ne!(print("green tea", "milk"), print("green", "tea milk"));
        let id = PublicId::from_bytes([1; 16]);
        let with = |dense| Point::new((id, id, Timestamp::from_millis(5)), &[], &[], dense).print;
        assert_ne!(with(None), with(Some(vec![0.5])));
    }
}
