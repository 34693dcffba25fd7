//! SQL for browsers that have signed in: a hash of each cookie, which door it opens, and when it expires.
//!
//! Bounds: 1000 for each door; one more ends the oldest.

use std::fs::File;
use std::path::Path;

use rusqlite::{Connection, params};

use crate::adapters::disk::Naming;
use crate::adapters::sqlite::{self, DbError, During};
use crate::domain::clock::Timestamp;

const MOST: u32 = 1000;

/// What somebody has signed in to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// The companion, with `ACCESS_TOKEN`.
    Companion,
    /// The admin page, with `ADMIN_TOKEN`.
    Admin,
}

/// Lets the holder of a cookie in until `expires_at`; forgets those that have expired, and the oldest beyond the bound.
///
/// # Errors
/// What `SQLite` says.
pub fn insert(
    connection: &Connection,
    door: Door,
    hash: [u8; 32],
    (now, expires_at): (Timestamp, Timestamp),
) -> rusqlite::Result<()> {
    let admin = door == Door::Admin;
    connection.execute("DELETE FROM sign_ins WHERE expires_at <= ?1", [now.as_millis()])?;
    connection.execute(
        "INSERT INTO sign_ins (cookie_hash, admin, expires_at) VALUES (?1, ?2, ?3)",
        params![hash, admin, expires_at.as_millis()],
    )?;
    connection.execute(
        "DELETE FROM sign_ins WHERE admin = ?1
             AND id NOT IN (SELECT id FROM sign_ins WHERE admin = ?1 ORDER BY id DESC LIMIT ?2)",
        params![admin, MOST],
    )?;
    Ok(())
}

/// True while the holder of the cookie is let in.
///
/// # Errors
/// What `SQLite` says.
pub fn is_valid(
    connection: &Connection,
    door: Door,
    hash: [u8; 32],
    now: Timestamp,
) -> rusqlite::Result<bool> {
    connection
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM sign_ins WHERE cookie_hash = ?1 AND admin = ?2 AND expires_at > ?3)",
        )?
        .query_row(params![hash, door == Door::Admin, now.as_millis()], |row| row.get(0))
}

/// From now on the cookie lets nobody in.
///
/// # Errors
/// What `SQLite` says.
pub fn delete(connection: &Connection, hash: [u8; 32]) -> rusqlite::Result<()> {
    connection.execute("DELETE FROM sign_ins WHERE cookie_hash = ?1", [hash])?;
    Ok(())
}

/// Ends every sign-in in the database at `copy`, which nobody else uses and which may have any schema up to ours: a backup
/// does not know who has signed out since.
///
/// # Errors
/// When they cannot be ended; then the copy is worth nothing.
pub fn end_all(copy: &Path) -> Result<(), DbError> {
    let db = sqlite::open_scratch(copy)?;
    let known = "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = 'sign_ins')";
    if db.query_row(known, [], |row| row.get(0)).during("look at the schema")? {
        db.execute("DELETE FROM sign_ins", []).during("end every sign-in")?;
    }
    db.close().map_err(|(_, error)| error).during("close the copy")?;
    Ok(File::open(copy).and_then(|file| file.sync_all()).naming("flush", copy)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::sqlite::empty_for_testing as empty;

    #[test]
    fn of_each_door_a_thousand_browsers_are_signed_in_and_one_more_ends_the_oldest() {
        let (_root, db) = empty();
        let (now, later) = (Timestamp::from_millis(1), Timestamp::from_millis(2));
        let hash = |number: u32| {
            let mut hash = [0; 32];
            hash[..4].copy_from_slice(&number.to_le_bytes());
            hash
        };
        db.execute_batch("BEGIN").unwrap();
        insert(&db, Door::Admin, hash(u32::MAX), (now, later)).unwrap();
        (0..MOST).for_each(|number| insert(&db, Door::Companion, hash(number), (now, later)).unwrap());
        let is_in = |door, number| is_valid(&db, door, hash(number), now).unwrap();
        assert!(is_in(Door::Companion, 0) && is_in(Door::Companion, MOST - 1));
        insert(&db, Door::Companion, hash(MOST), (now, later)).unwrap();
        assert!(!is_in(Door::Companion, 0) && is_in(Door::Companion, 1) && is_in(Door::Companion, MOST));
        assert!(is_in(Door::Admin, u32::MAX), "the other door has its own");
    }
}
