//! `status`: what is on disk, what is in the database, when each job last ran, what the next cleanup would take.

use std::time::Instant;

use crate::adapters::data_dir::DataDir;
use crate::adapters::inventory::{Inventory, NextCleanup};
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
    let mut report = Report::of(run, "status", (now, began), counts, (outcome, errors));
    // Where there is no data directory there is nothing to tell either.
    report.begun = report.counts.disk.free_bytes > 0;
    report
}

fn look(run: &Run<'_>, now: Timestamp, counts: &mut Inventory) -> Result<(), MaintError> {
    let (dir, _acting) = DataDir::enter(&run.config.storage)?;
    let rows =
        set_aside::refuse_pending(&dir).map_err(MaintError::from).and_then(|()| of_rows(run, &dir, now));
    // Whoever has lost the database wants to know of the backups most.
    let (read, error) = rows.map_or_else(|error| (Inventory::default(), Some(error)), |rows| (rows, None));
    *counts = read;
    counts.add_files(&dir, now, &run.config.retention)?;
    error.map_or(Ok(()), Err)
}

fn of_rows(run: &Run<'_>, dir: &DataDir, now: Timestamp) -> Result<Inventory, MaintError> {
    let db = open_database(dir, Schema::CurrentOrOlder)?;
    let mut inventory = Inventory::of_rows(&db, now).during("take stock")?;
    let next = NextCleanup::of_rows(&db, now, &run.config.retention).during("count what goes next")?;
    inventory.add_next(Some(next));
    Ok(inventory)
}
