//! How many turns of each person run at once.
//!
//! Bounds: `MAX_TURNS_PER_PERSON` for each; only who has a turn running is remembered, so at most `MAX_TURNS` people.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::app::AppError;

type Running = Arc<Mutex<HashMap<i64, usize>>>;

/// Counts the running turns of each person, told by the row.
pub(crate) struct PersonTurns {
    most: usize,
    running: Running,
}

/// One running turn of a person; ends when dropped.
pub(crate) struct PersonTurn {
    person: i64,
    running: Running,
}

impl PersonTurns {
    pub(crate) fn new(most: usize) -> Self {
        Self { most, running: Running::default() }
    }

    /// One more turn of the person.
    pub(crate) fn begin(&self, person: i64) -> Result<PersonTurn, AppError> {
        let mut running = lock(&self.running);
        let turns = running.entry(person).or_default();
        if *turns >= self.most {
            return Err(AppError::TooManyTurns);
        }
        *turns += 1;
        Ok(PersonTurn { person, running: self.running.clone() })
    }
}

impl Drop for PersonTurn {
    fn drop(&mut self) {
        let mut running = lock(&self.running);
        if let Some(turns) = running.get_mut(&self.person) {
            *turns -= 1;
            if *turns == 0 {
                running.remove(&self.person);
            }
        }
    }
}

fn lock(running: &Running) -> MutexGuard<'_, HashMap<i64, usize>> {
    running.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_person_has_so_many_and_who_has_none_is_forgotten() {
        let turns = PersonTurns::new(2);
        let two = [turns.begin(1).unwrap(), turns.begin(1).unwrap()];
        assert!(matches!(turns.begin(1), Err(AppError::TooManyTurns)));
        let other = turns.begin(2).unwrap();
        drop(two);
        assert_eq!(lock(&turns.running).len(), 1);
        drop([turns.begin(1).unwrap(), turns.begin(1).unwrap()]);
        drop(other);
        assert!(lock(&turns.running).is_empty());
    }
}
