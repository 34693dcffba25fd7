//! What has become of people's tokens, further browsers and recovery codes since a backup was made: a restore takes it over
//! from the database that is there, so that a token or code that was replaced, because somebody else had it, is not good
//! again, and its person not locked out. No link comes back at all: the backup does not know which were used.
//!
//! Where there is no database, or one that cannot be read, everything is as it was when the backup was made.

use std::path::Path;

use rusqlite::{Connection, Row, params};

use crate::adapters::data_dir::DataDir;
use crate::adapters::sqlite::{self, Access, DbError, During};

/// Whose it is, a hash, and two moments, of which the second may be missing.
type Way = ([u8; 16], [u8; 32], i64, Option<i64>);

/// Where they are kept, with the columns of a [`Way`] that follow the person's id.
const WAYS: [(&str, &str); 2] =
    [("devices", "token_hash, added_at, seen_at"), ("recovery_codes", "code_hash, made_at, used_at")];

/// Makes it so in the database at `copy`, which nobody else uses and which may have any schema up to ours. The caller
/// flushes it.
///
/// # Errors
/// When the copy cannot be changed; then it is worth nothing.
pub fn keep(dir: &DataDir, copy: &Path) -> Result<(), DbError> {
    let copy = sqlite::open_scratch(copy)?;
    let known = has_ways_in(&copy).during("look at the schema")?;
    if known {
        copy.execute("DELETE FROM links", []).during("end every link")?;
    }
    if dir.database().exists() {
        // A database is restored because something is wrong with the one that is there.
        match Present::read_through(dir.database()) {
            Ok(present) => present.take_over(&copy, known).during("keep people's tokens")?,
            Err(error) => {
                tracing::warn!(error = %error, "Tokens that were replaced since the backup was made are good again");
            }
        }
    }
    copy.close().map_err(|(_, error)| error).during("close the copy")
}

fn has_ways_in(db: &Connection) -> rusqlite::Result<bool> {
    db.query_row("SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = 'devices')", [], |row| row.get(0))
}

fn way(row: &Row<'_>) -> rusqlite::Result<Way> {
    Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
}

/// The database that is there.
struct Present {
    db: Connection,
    has_ways_in: bool,
}

impl Present {
    /// Opens it and reads all of what counts once, so that what is damaged is found before anything is changed by it.
    fn read_through(database: &Path) -> Result<Self, DbError> {
        let (db, _) = sqlite::open(database, Access::ReadOnly)?;
        let present = Self { has_ways_in: has_ways_in(&db).during("look at the schema")?, db };
        let reading = "read people's tokens";
        present.each_person(|_, _| Ok(())).during(reading)?;
        for (table, columns) in WAYS {
            present.each_way(table, columns, |_| Ok(())).during(reading)?;
        }
        Ok(present)
    }

    fn each_person(
        &self,
        mut work: impl FnMut([u8; 16], [u8; 32]) -> rusqlite::Result<()>,
    ) -> rusqlite::Result<()> {
        let mut people = self.db.prepare("SELECT public_id, token_hash FROM persons")?;
        let mut rows = people.query([])?;
        while let Some(row) = rows.next()? {
            work(row.get(0)?, row.get(1)?)?;
        }
        Ok(())
    }

    fn each_way(
        &self,
        table: &str,
        columns: &str,
        mut work: impl FnMut(Way) -> rusqlite::Result<()>,
    ) -> rusqlite::Result<()> {
        if !self.has_ways_in {
            return Ok(());
        }
        let people = "(SELECT id AS person, public_id FROM persons) ON person = person_id";
        let sql = format!("SELECT public_id, {columns} FROM {table} JOIN {people}");
        let mut ways = self.db.prepare(&sql)?;
        ways.query_map([], way)?.try_for_each(|way| work(way?))
    }

    /// People who are in one of the two databases only stay as they are.
    fn take_over(&self, copy: &Connection, known: bool) -> rusqlite::Result<()> {
        let both_know = known && self.has_ways_in;
        self.each_person(|id, token| {
            copy.prepare_cached(
                "UPDATE persons SET token_hash = ?2 WHERE public_id = ?1 AND token_hash <> ?2",
            )?
            .execute(params![id, token])?;
            for (table, _) in WAYS.into_iter().filter(|_| both_know) {
                let person = "(SELECT id FROM persons WHERE public_id = ?1)";
                copy.prepare_cached(&format!("DELETE FROM {table} WHERE person_id = {person}"))?
                    .execute([id])?;
            }
            Ok(())
        })?;
        for (table, columns) in WAYS.into_iter().filter(|_| both_know) {
            let into = format!(
                "INSERT INTO {table} (person_id, {columns}) SELECT id, ?2, ?3, ?4 FROM persons WHERE public_id = ?1"
            );
            self.each_way(table, columns, |(person, hash, first, second)| {
                copy.prepare_cached(&into)?.execute(params![person, hash, first, second]).map(drop)
            })?;
        }
        Ok(())
    }
}
