//! The places where programs of one kind run.
//!
//! Bounds: 4 at once, of the recordings of one person 2; who finds none waits for it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// So many run at once.
pub(super) const AT_ONCE: usize = 4;
/// So many of one person's: whatever hangs on their recordings leaves the others a place.
const OF_A_PERSON: usize = 2;

/// Who waits for a place, and who has one.
pub(super) struct Places {
    all: Arc<Semaphore>,
    /// Of those who wait or have one; nobody else's is kept.
    persons: Mutex<HashMap<i64, Weak<Semaphore>>>,
}

/// A place, until it is dropped.
pub(super) struct Place {
    _of_all: OwnedSemaphorePermit,
    _of_person: Option<OwnedSemaphorePermit>,
}

impl Places {
    pub(super) fn new() -> Self {
        Self { all: Arc::new(Semaphore::new(AT_ONCE)), persons: Mutex::default() }
    }

    /// Waits for a place; `person` has said what is to be heard there. `None`: there will be none any more.
    pub(super) async fn take(&self, person: Option<i64>) -> Option<Place> {
        let of_person = match person {
            // First: while they wait for their own, others may have what is free.
            Some(person) => Some(self.of(person).acquire_owned().await.ok()?),
            None => None,
        };
        let of_all = self.all.clone().acquire_owned().await.ok()?;
        Some(Place { _of_all: of_all, _of_person: of_person })
    }

    fn of(&self, person: i64) -> Arc<Semaphore> {
        let mut persons = self.persons.lock().unwrap_or_else(PoisonError::into_inner);
        persons.retain(|_, places| places.strong_count() > 0);
        if let Some(places) = persons.get(&person).and_then(Weak::upgrade) {
            return places;
        }
        let places = Arc::new(Semaphore::new(OF_A_PERSON));
        persons.insert(person, Arc::downgrade(&places));
        places
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn one_person_has_two_places_and_nothing_is_kept_of_who_has_none() {
        let places = Places::new();
        let take = |person| places.take(person).now_or_never().flatten();
        let first = [take(Some(1)).unwrap(), take(Some(1)).unwrap()];
        assert!(take(Some(1)).is_none(), "a third");
        let others = [take(Some(2)).unwrap(), take(None).unwrap()];
        assert!(take(Some(3)).is_none(), "a fifth");
        drop(others);
        assert!(take(Some(1)).is_none(), "still a third");
        drop(first);
        assert!(take(Some(4)).is_some());
        assert_eq!(places.persons.lock().unwrap().len(), 1);
    }
}
