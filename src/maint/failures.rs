//! What failed while the rest went on: as much of it as somebody reads, and how much more there was. The record of runs holds
//! it as well, a thousand times: a directory that may not be written must not fill the database with what is in it.
//!
//! Bounds: 100 are listed, the rest is counted.

use crate::maint::{ItemError, Job, item};

const LISTED: usize = 100;

/// What failed in one run.
#[derive(Debug, Clone, Default)]
pub(crate) struct Failures {
    listed: Vec<ItemError>,
    more: u64,
}

impl Failures {
    /// One more.
    pub fn push(&mut self, failure: ItemError) {
        if self.listed.len() < LISTED { self.listed.push(failure) } else { self.more += 1 }
    }

    pub fn contains(&self, failure: &ItemError) -> bool {
        self.listed.contains(failure)
    }

    /// Forgets those of the list that `stay` does not want.
    pub fn retain(&mut self, stay: impl FnMut(&ItemError) -> bool) {
        self.listed.retain(stay);
    }

    /// The list, and in its last place how many more there were.
    pub fn into_list(self) -> Vec<ItemError> {
        let Self { mut listed, more } = self;
        if more > 0 {
            listed.push(ItemError { item: format!("{more} more"), error: "like those before".to_owned() });
        }
        listed
    }
}

impl Job<'_> {
    /// Remembers that something failed while the rest goes on.
    pub fn failed(&mut self, what: String, error: &(dyn std::error::Error + 'static)) {
        self.errors.push(item(what, error));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_are_listed_and_the_rest_is_counted() {
        let listed = |failures: usize| {
            let mut all = Failures::default();
            (0..failures)
                .for_each(|number| all.push(ItemError { item: number.to_string(), error: "no".to_owned() }));
            all.into_list()
        };
        assert_eq!(listed(LISTED).len(), LISTED);
        let more = listed(LISTED + 7);
        assert_eq!((more.len(), more.last().unwrap().item.as_str()), (LISTED + 1, "7 more"));
    }
}
