//! Who is learned from now: a few people at once, nobody twice, so that the turns of each stay in order.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// A slow model holds up so many people, and not everybody.
pub(super) const MOST_AT_ONCE: usize = 4;

/// Wakes those who learn, and keeps them apart.
#[derive(Default)]
pub(crate) struct Persons {
    turns: Notify,
    /// Held by whoever looks for somebody.
    looks: tokio::sync::Mutex<()>,
    /// The rows of those who are learned from.
    taken: Mutex<BTreeSet<i64>>,
}

/// Somebody who is learned from; let go when dropped.
pub(super) struct Taken<'a> {
    of: &'a Persons,
    key: i64,
}

impl Persons {
    /// A turn was kept that is to be learned from.
    pub(crate) fn wake(&self) {
        self.turns.notify_one();
    }

    /// Resolves when there may be somebody to learn from.
    pub(super) async fn wakes(&self) {
        self.turns.notified().await;
    }

    /// Takes whom `look` finds beside those who are taken.
    pub(super) async fn take<E, L>(
        &self,
        look: impl FnOnce(BTreeSet<i64>) -> L,
    ) -> Result<Option<Taken<'_>>, E>
    where
        L: Future<Output = Result<Option<i64>, E>>,
    {
        let _looks = self.looks.lock().await;
        // Read before anybody is looked for: of who is let go meanwhile a turn might be found that was just learned from.
        let taken = self.lock().clone();
        let Some(key) = look(taken).await? else { return Ok(None) };
        self.lock().insert(key);
        // Another may wait: one of those who sleep looks for them.
        self.wake();
        Ok(Some(Taken { of: self, key }))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeSet<i64>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Taken<'_> {
    /// Their row.
    pub(super) const fn key(&self) -> i64 {
        self.key
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        self.of.lock().remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first of these people who is not taken.
    async fn first_of<'a>(persons: &'a Persons, waiting: &[i64]) -> Option<Taken<'a>> {
        let look = |taken: BTreeSet<i64>| {
            let found = waiting.iter().copied().find(|person| !taken.contains(person));
            std::future::ready(Ok::<_, ()>(found))
        };
        persons.take(look).await.unwrap()
    }

    #[tokio::test]
    async fn nobody_is_taken_twice_and_who_is_let_go_is_taken_again() {
        let persons = Persons::default();
        let first = first_of(&persons, &[1, 1, 2]).await.unwrap();
        assert_eq!(first.key(), 1);
        let second = first_of(&persons, &[1, 1, 2]).await.unwrap();
        assert_eq!(second.key(), 2);
        assert!(first_of(&persons, &[1, 2]).await.is_none());
        drop(first);
        assert_eq!(first_of(&persons, &[1, 2]).await.unwrap().key(), 1);
        drop(second);
        assert!(persons.lock().is_empty());
    }

    #[tokio::test]
    async fn whoever_finds_somebody_wakes_another_to_look() {
        let persons = Persons::default();
        let _taken = first_of(&persons, &[1]).await;
        persons.wakes().await;
    }
}
