//! The erasure ledger: the random ids of people who asked to be forgotten, kept outside the database, so that
//! restoring an older backup can forget them again. One line each: id, space, time.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use crate::adapters::data_dir::DataDir;
use crate::adapters::disk::{self, DiskError, Naming};
use crate::adapters::person_store;
use crate::adapters::sqlite::{self, Access, DbError, During};
use crate::domain::clock::Timestamp;
use crate::domain::person::PersonId;

/// Adds people to the ledger and flushes it. When they asked for it, call it before they are erased: from then on nothing
/// brings them back.
///
/// # Errors
/// When the ledger cannot be written; then nothing may be erased yet.
pub fn append(dir: &DataDir, people: &[PersonId], at: Timestamp) -> Result<(), DiskError> {
    if people.is_empty() {
        return Ok(());
    }
    let path = dir.erasures();
    let lines: String = people.iter().map(|person| format!("{person} {at}\n")).collect();
    let mut options = OpenOptions::new();
    let mut file = options.create(true).append(true).mode(0o600).open(&path).naming("open", &path)?;
    dir.owner().adopt(&path)?;
    file.write_all(lines.as_bytes()).and_then(|()| file.sync_all()).naming("write", &path)?;
    disk::flush_dir(dir.root())
}

/// Erases everyone in the ledger from the database at `copy`, which nobody else uses, and flushes it. Returns how many
/// it still held. The copy may have any schema up to ours.
///
/// # Errors
/// When the ledger cannot be read, or someone cannot be erased; then the copy is worth nothing.
pub fn apply(dir: &DataDir, copy: &Path) -> Result<u64, DbError> {
    let Some(ledger) = open(dir)? else { return Ok(0) };
    let db = sqlite::open_scratch(copy)?;
    db.pragma_update(None, "secure_delete", "ON").during("forget people")?;
    // What refers to them lets go of them.
    db.pragma_update(None, "foreign_keys", "ON").during("forget people")?;
    let erased = erase_all(&db, ledger, &dir.erasures())?;
    if erased > 0 {
        sqlite::give_back_pages(&db, u32::MAX)?;
    }
    db.close().map_err(|(_, error)| error).during("close the copy")?;
    File::open(copy).and_then(|file| file.sync_all()).naming("flush", copy)?;
    Ok(erased)
}

/// The same in the database where it lies, before anyone uses it: one that was put back by hand may be older than the
/// last erasure.
///
/// # Errors
/// As for [`apply`]; nobody was erased then.
pub fn apply_in_place(dir: &DataDir) -> Result<u64, DbError> {
    let Some(ledger) = open(dir)? else { return Ok(0) };
    let (mut db, _) = sqlite::open(dir.database(), Access::ReadWrite)?;
    let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate).during("forget people")?;
    let erased = erase_all(&transaction, ledger, &dir.erasures())?;
    transaction.commit().during("forget people")?;
    Ok(erased)
}

/// Which of these people have been erased.
///
/// # Errors
/// When the ledger cannot be read.
pub fn erased_among(dir: &DataDir, people: &[PersonId]) -> Result<Vec<PersonId>, DiskError> {
    let Some(ledger) = open(dir)? else { return Ok(Vec::new()) };
    let mut erased = Vec::new();
    for line in ledger.lines() {
        let person = person_in(&line.naming("read", &dir.erasures())?);
        erased.extend(person.filter(|person| people.contains(person)));
    }
    Ok(erased)
}

fn person_in(line: &str) -> Option<PersonId> {
    line.split(' ').next().and_then(|id| id.parse().ok())
}

fn open(dir: &DataDir) -> Result<Option<BufReader<File>>, DiskError> {
    let path = dir.erasures();
    match File::open(&path) {
        Ok(file) => Ok(Some(BufReader::new(file))),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).naming("open", &path),
    }
}

fn erase_all(db: &Connection, ledger: BufReader<File>, path: &Path) -> Result<u64, DbError> {
    if !has_table(db, "audio").during("look at the schema")? {
        // From before there was audio: the same statements shall find nothing to delete.
        db.execute_batch("CREATE TEMP TABLE audio (public_id, session_id, format)")
            .during("forget people")?;
    }
    let mut erased = 0;
    for line in ledger.lines() {
        let line = line.naming("read", path)?;
        let Some(person) = person_in(&line) else { continue };
        if let Some(key) = person_store::key_of(db, person).during("look for a person")? {
            person_store::erase(db, key).during("forget a person again")?;
            erased += 1;
        }
    }
    Ok(erased)
}

fn has_table(db: &Connection, name: &str) -> rusqlite::Result<bool> {
    db.query_row("SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = ?1)", [name], |row| row.get(0))
}
