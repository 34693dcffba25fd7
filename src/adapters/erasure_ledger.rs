//! The erasure ledger: the random ids of people who asked to be forgotten, kept outside the database, so that
//! restoring an older backup can forget them again. One line each: id, space, time.
//!
//! A copy lies beside the backups: who has lost the disk of the data, and not that of the backups, still knows them.

use std::collections::HashSet;
use std::fs::File;
use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use crate::adapters::acting::Rights;
use crate::adapters::data_dir::{DataDir, Owner};
use crate::adapters::disk::{DiskError, Naming};
use crate::adapters::erasure_lines::{self, Lines};
use crate::adapters::installation::{self, Claim};
use crate::adapters::person_store;
use crate::adapters::sqlite::{self, Access, DbError, During};
use crate::domain::clock::Timestamp;
use crate::domain::person::PersonId;

/// The name of the ledger in the data directory, and of its copy beside backups.
pub const NAME: &str = "erasures";

/// Adds people to the ledger and flushes it, and then to the copy beside the backups. When they asked for it, call it before
/// they are erased: from then on nothing brings them back.
///
/// # Errors
/// When the ledger cannot be written; then it is as it was, and nothing may be erased yet.
pub fn append(dir: &DataDir, people: &[PersonId], at: Timestamp) -> Result<(), DiskError> {
    enter(dir, people, at)?;
    enter_beside_backups(dir, people, at);
    Ok(())
}

/// The same without the copy.
///
/// # Errors
/// As of [`append`].
pub fn enter(dir: &DataDir, people: &[PersonId], at: Timestamp) -> Result<(), DiskError> {
    erasure_lines::append(&dir.erasures(), &lines(people, at), dir.owner())
}

/// Adds people to the copy beside the backups, if it can be written; otherwise that is told, and the next backup completes it.
pub fn enter_beside_backups(dir: &DataDir, people: &[PersonId], at: Timestamp) {
    let backups = dir.backups();
    let copied = match installation::claim(dir, backups) {
        Ok(Claim::Ours) => erasure_lines::append(&backups.join(NAME), &lines(people, at), dir.owner()),
        Ok(_) => Ok(()),
        Err(error) => Err(error),
    };
    if let Err(error) = copied {
        tell_waiting(&error);
    }
}

/// Tells that the copy beside the backups is not complete.
pub fn tell_waiting(why: &dyn std::fmt::Display) {
    tracing::warn!(error = %why, "The list of erased people beside the backups waits for the next backup");
}

fn lines(people: &[PersonId], at: Timestamp) -> String {
    people.iter().map(|person| format!("{person} {at}\n")).collect()
}

/// Completes the copy beside the backups in `place`.
///
/// # Errors
/// When either list cannot be read or the copy cannot be written.
pub fn copy_to(dir: &DataDir, place: &Path) -> Result<(), DiskError> {
    merge(Lines::open(&dir.erasures())?, &place.join(NAME), dir.owner())
}

/// Adds to the ledger whom the list in `place`, if there is one, names: a backup lies there that is being restored, and read
/// with these rights.
///
/// # Errors
/// When either list cannot be read or is damaged, or the ledger cannot be written.
pub fn take_along(dir: &DataDir, place: &Path, rights: Rights) -> Result<(), DiskError> {
    merge(rights.lend(|| Lines::open(&place.join(NAME)))?, &dir.erasures(), dir.owner())
}

/// How many people of the ledger the copy in `place` does not have.
///
/// # Errors
/// When either list cannot be read or is damaged.
pub fn missing_in(dir: &DataDir, place: &Path) -> Result<usize, DiskError> {
    missing(Lines::open(&dir.erasures())?, &place.join(NAME)).map(|lines| lines.lines().count())
}

fn merge(from: Option<Lines>, to: &Path, owner: Owner) -> Result<(), DiskError> {
    erasure_lines::append(to, &missing(from, to)?, owner)
}

/// The lines of `from` whose person is not in `to`.
fn missing(from: Option<Lines>, to: &Path) -> Result<String, DiskError> {
    let Some(lines) = from else { return Ok(String::new()) };
    let mut known = HashSet::new();
    for line in Lines::open(to)?.into_iter().flatten() {
        known.insert(line?.person);
    }
    let mut missing = String::new();
    for line in lines {
        let line = line?;
        if known.insert(line.person) {
            missing += &line.text;
        }
    }
    Ok(missing)
}

/// Erases everyone in the ledger from the database at `copy`, which nobody else uses, and flushes it. Returns how many
/// it still held. The copy may have any schema up to ours.
///
/// # Errors
/// When the ledger cannot be read or is damaged, or someone cannot be erased; then the copy is worth nothing.
pub fn apply(dir: &DataDir, copy: &Path) -> Result<u64, DbError> {
    let Some(ledger) = Lines::open(&dir.erasures())? else { return Ok(0) };
    let db = sqlite::open_scratch(copy)?;
    db.pragma_update(None, "secure_delete", "ON").during("forget people")?;
    // What refers to them lets go of them.
    db.pragma_update(None, "foreign_keys", "ON").during("forget people")?;
    let erased = erase_all(&db, ledger.map(|line| Ok(line?.person)))?;
    if erased > 0 {
        sqlite::give_back_pages(&db, u32::MAX)?;
    }
    db.close().map_err(|(_, error)| error).during("close the copy")?;
    File::open(copy).and_then(|file| file.sync_all()).naming("flush", copy)?;
    Ok(erased)
}

/// The same in the database where it lies, before anyone uses it: one that was put back by hand may be older than the
/// last erasure. Damaged lines are told and passed over: nobody is served less well for them, and `doctor` names them.
///
/// # Errors
/// When the ledger cannot be read, or someone cannot be erased; nobody was erased then.
pub fn apply_in_place(dir: &DataDir) -> Result<u64, DbError> {
    let Some(ledger) = Lines::open(&dir.erasures())? else { return Ok(0) };
    let people = ledger.filter_map(|line| match line {
        Err(error) if erasure_lines::is_damage(&error) => {
            tracing::error!(error = %error, "A line of the list of erased people cannot be read; see doctor");
            None
        }
        line => Some(line.map(|line| line.person)),
    });
    let (mut db, _) = sqlite::open(dir.database(), Access::ReadWrite)?;
    let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate).during("forget people")?;
    let erased = erase_all(&transaction, people)?;
    transaction.commit().during("forget people")?;
    Ok(erased)
}

/// Which of these people have been erased.
///
/// # Errors
/// When the ledger cannot be read or is damaged.
pub fn erased_among(dir: &DataDir, people: &[PersonId]) -> Result<Vec<PersonId>, DiskError> {
    let mut erased = Vec::new();
    for line in Lines::open(&dir.erasures())?.into_iter().flatten() {
        erased.extend(Some(line?.person).filter(|person| people.contains(person)));
    }
    Ok(erased)
}

/// Looks through the ledger.
///
/// # Errors
/// The first line that is damaged, or when it cannot be read.
pub fn check(dir: &DataDir) -> Result<(), DiskError> {
    Lines::open(&dir.erasures())?.into_iter().flatten().try_for_each(|line| line.map(drop))
}

/// What a person is erased from that the first schema did not have, with the columns that are asked for.
const LATER_TABLES: [(&str, &str); 3] = [
    ("audio", "public_id, session_id, format"),
    ("memories", "id, person_id, session_id"),
    ("memories_dropped", "person_id"),
];

fn erase_all(
    db: &Connection,
    people: impl Iterator<Item = Result<PersonId, DiskError>>,
) -> Result<u64, DbError> {
    for (table, columns) in LATER_TABLES {
        if !has_table(db, table).during("look at the schema")? {
            // From before there was any: the same statements shall find nothing to delete.
            db.execute_batch(&format!("CREATE TEMP TABLE {table} ({columns})")).during("forget people")?;
        }
    }
    let mut erased = 0;
    for person in people {
        if let Some(key) = person_store::key_of(db, person?).during("look for a person")? {
            person_store::erase(db, key).during("forget a person again")?;
            erased += 1;
        }
    }
    Ok(erased)
}

fn has_table(db: &Connection, name: &str) -> rusqlite::Result<bool> {
    db.query_row("SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = ?1)", [name], |row| row.get(0))
}
