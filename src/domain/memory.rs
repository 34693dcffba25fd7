//! What is remembered of a person: shapes, bounds, and how one is found.

use crate::domain::clock::Timestamp;
use crate::domain::session::{PublicId, SessionId};

pub mod copy;
pub mod denials;
pub mod extraction;
pub mod learning;
pub mod mixing;
pub mod ranking;
pub mod sameness;
mod statements;
pub mod unwanted;
pub mod wishes;
pub mod words;

/// Names a memory.
pub type MemoryId = PublicId;

/// The longest text of a memory, in characters.
pub const MAX_TEXT_CHARS: usize = 2000;
/// The longest question for memories, in characters: it is part of an address, where a character takes up to twelve bytes, and a header
/// has 32 KiB.
pub const MAX_QUESTION_CHARS: usize = 1000;
/// The longest name of where a memory is from, in characters.
pub const MAX_SOURCE_CHARS: usize = 200;

/// Something that is remembered of a person.
#[derive(Clone, PartialEq, Eq)]
pub struct Memory {
    /// Its public id.
    pub id: MemoryId,
    /// What is remembered.
    pub text: String,
    /// When it was said.
    pub said_at: Timestamp,
    /// Where it is from, in the words of whoever added it.
    pub source: Option<String>,
    /// The conversation it was said in, while that is kept; none once it was corrected by hand.
    pub session: Option<SessionId>,
    /// When it was first remembered.
    pub created_at: Timestamp,
    /// Since when something else is true instead; such a memory is kept, but no longer found.
    pub superseded_at: Option<Timestamp>,
}

/// A memory that was found, and how well it fits: above 0, at most 1.
#[derive(Clone, PartialEq)]
pub struct Found {
    /// The memory.
    pub memory: Memory,
    /// How well it fits.
    pub score: f32,
}

/// Memories that were said together are neighbours, which help each other to be found: those of one source, else those of
/// one conversation. The number names such a thread, and is never 0; `None` stands alone. It outlives the conversation.
#[must_use]
pub fn thread_of(source: Option<&str>, session: Option<SessionId>) -> Option<i64> {
    let bytes = |bytes: &[u8]| {
        // FNV-1a: two threads of one person that share a number would only be neighbours by mistake.
        bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
        })
    };
    let number = source.map(|source| bytes(source.as_bytes()));
    number
        .or_else(|| session.map(|session| bytes(session.as_bytes())))
        .map(|number| number.max(1).cast_signed())
}
