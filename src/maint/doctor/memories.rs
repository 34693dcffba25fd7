//! Whether memories are found by what they say: the index of them is held against the truth, one by one.

use rusqlite::Connection;

use crate::adapters::memory_inspection;
use crate::adapters::sqlite::During;
use crate::maint::MaintError;
use crate::maint::compact::{self, GAP};
use crate::maint::doctor::Visit;

/// Memories looked at in one read, and the most put right in one transaction.
const PAGE: u32 = 500;

pub fn check(visit: &mut Visit<'_>, db: &Connection) -> Result<(), MaintError> {
    let mut last = Some(0);
    while let Some(after) = last {
        visit.run.check_stop()?;
        let (wrong, next) = memory_inspection::differing(db, after, PAGE)
            .during("hold the index of memories against them")?;
        let places: Vec<_> = wrong.iter().map(|memory| memory.place).collect();
        mend(
            visit,
            || memory_inspection::index_again(db, &places).during("index memories again"),
            places.is_empty(),
        )?;
        for memory in wrong {
            let name = format!("memory {}…", memory.id.short());
            let found = "is not found by what it says".to_owned();
            visit.mendable(name, found, "index it again", |_| Ok(()));
        }
        last = next;
    }
    strays(visit, db)?;
    counts(visit, db)
}

/// In the index without a memory: something may be found that was forgotten.
fn strays(visit: &mut Visit<'_>, db: &Connection) -> Result<(), MaintError> {
    loop {
        visit.run.check_stop()?;
        let strays = memory_inspection::strays(db, PAGE).during("look for what is only in the index")?;
        if strays.is_empty() {
            return Ok(());
        }
        mend(
            visit,
            || memory_inspection::index_again(db, &strays).during("clear the index of memories"),
            false,
        )?;
        let found = format!("{} places hold no memory", strays.len());
        visit.mendable("index of memories".to_owned(), found, "clear them", |_| Ok(()));
        if !visit.mending {
            return Ok(());
        }
    }
}

fn counts(visit: &mut Visit<'_>, db: &Connection) -> Result<(), MaintError> {
    loop {
        visit.run.check_stop()?;
        let persons = memory_inspection::miscounted(db, PAGE).during("count the memories")?;
        if persons.is_empty() {
            return Ok(());
        }
        mend(visit, || memory_inspection::recount(db, &persons).during("count memories again"), false)?;
        let found = format!("wrong for {} people", persons.len());
        visit.mendable("counts of memories".to_owned(), found, "correct the counts", |_| Ok(()));
        if !visit.mending {
            return Ok(());
        }
    }
}

fn mend(
    visit: &Visit<'_>,
    mend: impl FnOnce() -> Result<(), crate::adapters::sqlite::DbError>,
    nothing: bool,
) -> Result<(), MaintError> {
    if visit.mending && !nothing {
        mend()?;
        compact::pause(GAP);
    }
    Ok(())
}
