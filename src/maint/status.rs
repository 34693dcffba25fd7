//! `status`: what is on disk, what is in the database, when each job last ran, what the next cleanup would take.

use std::time::Instant;

use crate::adapters::data_dir::DataDir;
use crate::adapters::inventory::Inventory;
use crate::adapters::set_aside;
use crate::adapters::sqlite::During;
use crate::domain::clock::Timestamp;
use crate::maint::{MaintError, Outcome, Report, Run, Schema, item, open_database};

/// Looks; changes nothing and takes no lock.
pub fn run(run: &Run<'_>) -> Report<Inventory> {
    let began = Instant::now();
    let now = run.clock.now();
    let mut counts = Inventory::default();
    let (outcome, errors) = match look(run, now, &mut counts) {
        Ok(()) => (Outcome::Done, Vec::new()),
        Err(error) => (error.outcome(), vec![item(run.place(), &error)]),
    };
    Report::of(run, "status", (now, began), counts, (outcome, errors))
}

fn look(run: &Run<'_>, now: Timestamp, counts: &mut Inventory) -> Result<(), MaintError> {
    let (dir, _acting) = DataDir::enter(&run.config.storage)?;
    set_aside::refuse_pending(&dir)?;
    let db = open_database(&dir, Schema::CurrentOrOlder)?;
    *counts = Inventory::of_rows(&db, now, &run.config.retention).during("take stock")?;
    Ok(counts.add_files(&dir, now, &run.config.retention)?)
}
