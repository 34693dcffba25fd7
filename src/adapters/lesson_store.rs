//! SQL for what becomes of what a turn tells: it is new, or known and said again, and others are no longer true.

use rusqlite::Connection;

use crate::adapters::learning_store::ToLearn;
use crate::adapters::memory_index::Place;
use crate::adapters::memory_store::{self, NewMemory, StoredMemory, Traits};
use crate::domain::clock::Timestamp;
use crate::domain::memory::denials::contradict;
use crate::domain::memory::learning::is_single;
use crate::domain::memory::ranking::Question;
use crate::domain::memory::sameness::is_nearly_the_same;
use crate::domain::memory::words::asked;
use crate::domain::memory::{Memory, MemoryId};
use crate::domain::session::PublicId;

/// As many are looked at for one that says nearly the same, or the contrary.
const LIKELY: usize = 20;
/// So many that are about the same are taken for no longer true in one transaction.
const ABOUT_AT_ONCE: usize = 200;

/// What is to be kept of a turn.
#[derive(Clone)]
pub struct Lesson {
    /// In the words it is kept in.
    pub text: String,
    /// What is no longer true because of it, where the small model decides; where the rules do, whatever is about the same.
    pub replaces: Option<Vec<Memory>>,
}

/// What became of a lesson.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// It was known, and was said again.
    SaidAgain,
    /// It is new, and so many others are no longer true.
    Added(u64),
}

/// Keeps a lesson: one that is known is only said again, one that contradicts or denies another takes its place. What is `told` by the same message
/// does not contradict it; this one is added there.
///
/// # Errors
/// What `SQLite` says.
pub fn keep(
    connection: &Connection,
    turn: &ToLearn,
    lesson: &Lesson,
    told: &mut Vec<MemoryId>,
    (most, now): (u32, Timestamp),
) -> rusqlite::Result<Kept> {
    let traits = Traits::of(&lesson.text);
    let Like { known, about, likely } = like(connection, turn.person, &lesson.text, &traits, now)?;
    let key = known.as_ref().map(|known| known.place.key);
    let others = match &lesson.replaces {
        Some(replaced) => still_true(connection, turn.person, replaced)?,
        None => {
            let about = about.into_iter().filter(|_| traits.about().is_some_and(is_single));
            let contrary = likely.into_iter().filter(|other| contradict(&other.memory.text, &lesson.text));
            let before = about.chain(contrary).filter(|other| !told.contains(&other.memory.id));
            before.map(|other| other.place).collect()
        }
    };
    let mut superseded: Vec<i64> = Vec::new();
    for other in others {
        if Some(other.key) != key && !superseded.contains(&other.key) {
            memory_store::supersede(connection, other, now)?;
            superseded.push(other.key);
        }
    }
    let Some(known) = known else {
        let new = NewMemory {
            memory: learned_now(turn, &lesson.text, now),
            session_key: Some(turn.session_key),
            traits,
        };
        told.push(new.memory.id);
        memory_store::add(connection, turn.person, &new, most)?;
        return Ok(Kept::Added(superseded.len() as u64));
    };
    let again = Memory {
        text: lesson.text.clone(),
        said_at: turn.said_at,
        // It stays with the conversation it was said in first, or without one.
        ..known.memory.clone()
    };
    told.push(again.id);
    memory_store::correct(connection, known.place, &again, &traits, now)?;
    Ok(Kept::SaidAgain)
}

fn learned_now(turn: &ToLearn, text: &str, now: Timestamp) -> Memory {
    Memory {
        id: PublicId::random(),
        text: text.to_owned(),
        said_at: turn.said_at,
        source: None,
        session: Some(turn.session),
        created_at: now,
        superseded_at: None,
    }
}

/// What of a person's memories has to do with a lesson.
struct Like {
    /// What says it already.
    known: Option<StoredMemory>,
    /// A portion of what is about the same.
    about: Vec<StoredMemory>,
    /// What may say nearly the same in other words, or the contrary.
    likely: Vec<StoredMemory>,
}

fn like(
    connection: &Connection,
    person: i64,
    text: &str,
    traits: &Traits,
    now: Timestamp,
) -> rusqlite::Result<Like> {
    let (same, about) = memory_store::like(connection, person, traits, ABOUT_AT_ONCE)?;
    let found = memory_store::search(connection, person, &Question::new(&asked(text)), LIKELY, now)?;
    let stored = found.iter().map(|found| memory_store::find(connection, person, found.memory.id));
    let likely: Vec<StoredMemory> = stored.filter_map(Result::transpose).collect::<rusqlite::Result<_>>()?;
    let near = || likely.iter().find(|other| is_nearly_the_same(&other.memory.text, text)).cloned();
    Ok(Like { known: same.or_else(near), about, likely })
}

/// Where more is about what is told than goes in one transaction, a portion of it is taken for no longer true before any of it is kept;
/// returns how much that was, 0 when [`keep`] does the rest.
///
/// # Errors
/// What `SQLite` says.
pub fn make_way(
    connection: &Connection,
    turn: &ToLearn,
    lessons: &[&Lesson],
    now: Timestamp,
) -> rusqlite::Result<u64> {
    let (mut known, mut before) = (Vec::new(), Vec::new());
    for lesson in lessons.iter().filter(|lesson| lesson.replaces.is_none()) {
        let traits = Traits::of(&lesson.text);
        let like = like(connection, turn.person, &lesson.text, &traits, now)?;
        known.extend(like.known.map(|known| known.place));
        let is_crowded = like.about.len() == ABOUT_AT_ONCE && traits.about().is_some_and(is_single);
        if before.is_empty() && is_crowded {
            before.extend(like.about.into_iter().map(|other| other.place));
        }
    }
    before.retain(|place| !known.contains(place));
    before.iter().try_for_each(|place| memory_store::supersede(connection, *place, now))?;
    Ok(before.len() as u64)
}

/// Where those of the memories stand that are there as they were, and count.
fn still_true(connection: &Connection, person: i64, memories: &[Memory]) -> rusqlite::Result<Vec<Place>> {
    let mut places = Vec::new();
    for memory in memories {
        let there = memory_store::find(connection, person, memory.id)?;
        places.extend(there.filter(|there| there.memory == *memory).map(|there| there.place));
    }
    Ok(places)
}
