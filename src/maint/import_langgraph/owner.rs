//! Whose the imported sessions are.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use super::ImportError;
use crate::adapters::sqlite::During;
use crate::adapters::{import_store, person_store};
use crate::domain::clock::Timestamp;
use crate::domain::person::PersonToken;
use crate::maint::MaintError;

/// The person who holds the token in the file.
pub(super) fn given(db: &Connection, path: &Path) -> Result<i64, MaintError> {
    let wrong = |why: String| ImportError::Token { path: path.to_owned(), why };
    let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
    let token: PersonToken = text.trim().parse().map_err(|_| {
        wrong("holds no person's token: 64 hexadecimal digits, as in the cookie companion_person".to_owned())
    })?;
    let person = person_store::find(db, &token).during("look for the person")?;
    Ok(person.ok_or_else(|| wrong("holds a token that is nobody's".to_owned()))?.key)
}

/// The person who was made for imported sessions, made now if there is none. A new token goes to `told`; so does
/// another one when the last run made a person and ended before it could tell the token.
pub(super) fn of_imports(
    db: &mut Connection,
    now: Timestamp,
    told: &mut Option<PersonToken>,
) -> Result<i64, MaintError> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(ImportError::from)?;
    let fresh = PersonToken::from_bytes(bytes);
    let mut find_or_make = || {
        let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let (person, is_told) = match import_store::owner(&transaction)? {
            Some((person, is_told)) => (person, is_told),
            None => (import_store::make_owner(&transaction, &fresh, now)?, false),
        };
        if !is_told {
            person_store::replace_token(&transaction, person, &fresh)?;
        }
        person_store::touch(&transaction, person, now)?;
        transaction.commit()?;
        Ok((person, is_told))
    };
    let (person, is_told) = find_or_make().during("make the person of the imported sessions")?;
    if !is_told {
        *told = Some(fresh);
    }
    Ok(person)
}
