//! Which of a person's memories answer a question: asked of the copy of their index that a service outside keeps, where there is
//! one that has all of this person's; else of the embedded index, in the transaction that the caller reads in.
//!
//! Texts are always read from the database, after the search: what is forgotten there is found nowhere.

use rusqlite::Connection;

use crate::adapters::copy_store::{self, Meant};
use crate::adapters::sqlite::DbError;
use crate::adapters::{memory_store, outbox_store, person_store, vector_store};
use crate::app::App;
use crate::domain::clock::Timestamp;
use crate::domain::memory::Found;
use crate::domain::memory::copy::Asked;
use crate::domain::memory::ranking::Question;
use crate::domain::person::Person;

/// A question that is to be answered by one person's memories.
#[derive(Clone)]
pub(crate) struct Search {
    /// Its words, and what it means.
    pub(crate) question: std::sync::Arc<Question>,
    /// The most that are wanted.
    pub(crate) limit: usize,
    /// When it is asked.
    pub(crate) now: Timestamp,
    /// True when the copy can be asked.
    copy_is_ready: bool,
}

/// How far a search has come.
pub(crate) enum Searched {
    /// To its end.
    Found(Vec<Found>),
    /// The copy has all of this person's and is to be asked, by this meaning, too.
    AskCopy(Person, Option<Vec<f32>>),
}

impl Search {
    /// Looks among the memories of `person`, unless the copy is to be asked.
    ///
    /// # Errors
    /// What `SQLite` says.
    pub(crate) fn begin(&self, db: &Connection, person: Person) -> rusqlite::Result<Searched> {
        if self.copy_is_ready && !self.question.is_empty() {
            let copy = copy_store::state(db)?;
            let dense = self.dense(db, copy.meant)?;
            let can_ask = dense.is_some() || !self.question.terms().is_empty();
            if can_ask && copy.is_whole() && outbox_store::is_empty_for(db, person.key)? {
                return Ok(Searched::AskCopy(person, dense));
            }
        }
        self.embedded(db, person).map(Searched::Found)
    }

    /// What the question means, if it can be compared with what is in the copy.
    fn dense(&self, db: &Connection, meant: Option<Meant>) -> rusqlite::Result<Option<Vec<f32>>> {
        let (Some(meaning), Some(meant)) = (self.question.meaning(), meant) else { return Ok(None) };
        let numbers = meaning.vector.numbers();
        let alike = vector_store::current(db, &meaning.model)? == Some(meant.model)
            && u32::try_from(numbers.len()) == Ok(meant.dimensions);
        Ok(alike.then(|| numbers.to_vec()))
    }

    fn embedded(&self, db: &Connection, person: Person) -> rusqlite::Result<Vec<Found>> {
        memory_store::search(db, person.key, &self.question, self.limit, self.now)
    }
}

impl App {
    /// A search for the words of a question, and for what it means.
    pub(crate) fn search_for(&self, question: Question, limit: usize) -> Search {
        let copy_is_ready = self.copying.as_ref().is_some_and(|copying| copying.is_ready());
        Search { question: std::sync::Arc::new(question), limit, now: self.clock.now(), copy_is_ready }
    }

    /// Brings a search to its end; the second is true when the copy did not take part though it should have.
    ///
    /// # Errors
    /// What the database says.
    pub(crate) async fn finish_search(
        &self,
        search: Search,
        searched: Searched,
    ) -> Result<(Vec<Found>, bool), DbError> {
        let without = self.copying.is_some() && !search.copy_is_ready;
        let (person, dense, copying) = match (searched, &self.copying) {
            (Searched::AskCopy(person, dense), Some(copying)) => (person, dense, copying),
            (Searched::Found(found), _) => return Ok((found, without)),
            (Searched::AskCopy(..), None) => return Ok((Vec::new(), true)),
        };
        let asked = Asked {
            person: person.id,
            terms: search.question.terms().to_vec(),
            dense,
            limit: search.limit,
            now: search.now,
        };
        let hits = copying.search(asked).await;
        let degraded = hits.is_err();
        let read = move |db: &Connection| {
            if !person_store::is_there(db, person)? {
                return Ok(Vec::new());
            }
            match hits {
                Ok(hits) => memory_store::with_texts(db, person.key, &hits),
                Err(_) => search.embedded(db, person),
            }
        };
        Ok((self.database.read("read memories", read).await?, degraded))
    }
}
