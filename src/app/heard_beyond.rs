//! Recordings that are heard although their person has had the turns of the day, or the disk is low: only what is said in one tells
//! whether it is refused or care is due to it.
//!
//! Bounds: 10 recordings of one person in a day, but for those that were answered; 4096 people, of whom the one that was not heard
//! for longest begins anew.

use std::sync::{Mutex, MutexGuard, PoisonError};

use hashlink::LruCache;

const MOST_RECORDINGS: u32 = 10;
const MOST_PERSONS: usize = 4096;

/// How many of each person were heard, on their last day.
pub(crate) struct HeardBeyond(Mutex<LruCache<i64, Heard>>);

struct Heard {
    day: i64,
    recordings: u32,
}

impl Default for HeardBeyond {
    fn default() -> Self {
        Self(Mutex::new(LruCache::new(MOST_PERSONS)))
    }
}

impl HeardBeyond {
    /// Counts one more recording of a person on `day`; false when it is not to be heard.
    pub(crate) fn count(&self, person: i64, day: i64) -> bool {
        let mut persons = self.lock();
        let heard = persons.entry(person).or_insert_with(|| Heard { day, recordings: 0 });
        if heard.day != day {
            *heard = Heard { day, recordings: 0 };
        }
        if heard.recordings >= MOST_RECORDINGS {
            return false;
        }
        heard.recordings += 1;
        true
    }

    /// Takes one back: it was not refused.
    pub(crate) fn uncount(&self, person: i64, day: i64) {
        if let Some(heard) = self.lock().get_mut(&person).filter(|heard| heard.day == day) {
            heard.recordings = heard.recordings.saturating_sub(1);
        }
    }

    fn lock(&self) -> MutexGuard<'_, LruCache<i64, Heard>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_people_are_known_and_the_one_not_heard_for_longest_begins_anew() {
        let heard = HeardBeyond::default();
        let one = |person| (0..MOST_RECORDINGS).all(|_| heard.count(person, 1)) && !heard.count(person, 1);
        assert!(one(0), "all of them, and no more");
        (1..MOST_PERSONS).for_each(|person| assert!(heard.count(person.try_into().unwrap(), 1)));
        assert!(!heard.count(0, 1), "it is known");
        (1..=MOST_PERSONS).for_each(|person| assert!(heard.count(person.try_into().unwrap(), 1)));
        assert!(one(0), "it begins anew");
    }
}
