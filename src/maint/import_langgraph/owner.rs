//! Whose the imported sessions are, and that nobody who was erased comes back by importing again.
//!
//! Who ever held imported conversations is noted outside the database, before the first row: a restore of an older backup
//! forgets the import, not the note. As long as nobody of them was erased, the same person is made again: their erasure is to
//! reach every copy of what they held.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use super::ImportError;
use crate::adapters::acting::as_operator;
use crate::adapters::data_dir::DataDir;
use crate::adapters::import_owners::{self, ImportOwner, Origin};
use crate::adapters::sqlite::During;
use crate::adapters::{erasure_ledger, import_store, person_store};
use crate::domain::clock::Timestamp;
use crate::domain::person::{Person, PersonId, PersonToken};
use crate::maint::MaintError;

/// A token, and more blanks around it than anybody writes.
const MOST_BYTES: u64 = 1024;

/// The person who holds the token in the file.
pub(super) fn given(db: &Connection, path: &Path) -> Result<Person, MaintError> {
    let wrong = |why: String| ImportError::Token { path: path.to_owned(), why };
    let mut text = String::new();
    let read =
        as_operator(|| File::open(path)).and_then(|file| file.take(MOST_BYTES).read_to_string(&mut text));
    read.map_err(|error| wrong(error.to_string()))?;
    let token: PersonToken = text.trim().parse().map_err(|_| {
        wrong("holds no person's token: 64 hexadecimal digits, as in the cookie companion_person".to_owned())
    })?;
    let person = person_store::find(db, &token).during("look for the person")?;
    Ok(person.ok_or_else(|| wrong("holds a token that is nobody's".to_owned()))?)
}

/// Who held imported conversations so far, and who is to hold those that come now.
pub(super) struct Owners {
    dir: DataDir,
    /// Those in the file, but for those who were erased.
    known: Vec<ImportOwner>,
    /// The one in the database, unless erased.
    made: Option<import_store::Owner>,
    given: Option<Person>,
    /// The row of the one who holds what comes now, once there is one.
    key: Option<i64>,
}

impl Owners {
    /// Refuses when one of them was erased; with `force` they are left out.
    pub(super) fn look(
        dir: &DataDir,
        db: &Connection,
        given: Option<Person>,
        force: bool,
    ) -> Result<Self, MaintError> {
        let mut known = import_owners::read(dir)?;
        let made = import_store::owner(db).during("look for the person of the imported sessions")?;
        let ids: Vec<_> = known.iter().map(|owner| owner.id).chain(made.map(|owner| owner.id)).collect();
        let erased = erasure_ledger::erased_among(dir, &ids)?;
        if !erased.is_empty() && !force {
            let told = "somebody who held imported conversations has been erased since, and importing again could bring \
                their words back";
            return Err(MaintError::Refused(told.to_owned()));
        }
        known.retain(|owner| !erased.contains(&owner.id));
        let made = made.filter(|owner| !erased.contains(&owner.id));
        Ok(Self { dir: dir.clone(), known, made, given, key: None })
    }

    /// The row of the person who is to hold what comes: noted, and made now if there is none. A new token goes to `told`; so
    /// does another one when the last run made a person and ended before it could tell the token.
    pub(super) fn person(
        &mut self,
        db: &mut Connection,
        now: Timestamp,
        told: &mut Option<PersonToken>,
    ) -> Result<i64, MaintError> {
        if let Some(key) = self.key {
            return Ok(key);
        }
        let key = match self.given {
            Some(given) => {
                self.note(ImportOwner { id: given.id, origin: Origin::Named })?;
                given.key
            }
            None => self.make(db, now, told)?,
        };
        self.key = Some(key);
        Ok(key)
    }

    fn make(
        &mut self,
        db: &mut Connection,
        now: Timestamp,
        told: &mut Option<PersonToken>,
    ) -> Result<i64, MaintError> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).map_err(ImportError::from)?;
        let fresh = PersonToken::from_bytes(bytes);
        let id = self.id();
        self.note(ImportOwner { id, origin: Origin::Made })?;
        let (person, is_told) =
            find_or_make(db, id, &fresh, now).during("make the person of the imported sessions")?;
        if !is_told {
            *told = Some(fresh);
        }
        Ok(person)
    }

    /// That of the one in the database, else of the last one that was made, else a new one.
    fn id(&self) -> PersonId {
        let before = self.known.iter().rev().find(|owner| owner.origin == Origin::Made);
        let before = before.map(|owner| owner.id);
        self.made.map(|owner| owner.id).or(before).unwrap_or_else(PersonId::random)
    }

    /// Written also when nobody is new: those who were erased leave the file with it.
    fn note(&mut self, owner: ImportOwner) -> Result<(), MaintError> {
        if !self.known.contains(&owner) {
            self.known.push(owner);
        }
        import_owners::replace(&self.dir, &self.known).map_err(Into::into)
    }
}

fn find_or_make(
    db: &mut Connection,
    id: PersonId,
    fresh: &PersonToken,
    now: Timestamp,
) -> rusqlite::Result<(i64, bool)> {
    let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let there = import_store::owner(&transaction)?.filter(|owner| owner.id == id);
    let (person, is_told) = match there {
        Some(owner) => (owner.key, owner.told),
        None => (import_store::make_owner(&transaction, id, fresh, now)?, false),
    };
    if !is_told {
        person_store::replace_token(&transaction, person, fresh)?;
    }
    person_store::touch(&transaction, person, now)?;
    transaction.commit()?;
    Ok((person, is_told))
}
