//! `status`: what is on disk, what is in the database, when each job last ran, what the next cleanup would take.

use std::time::Instant;

use crate::adapters::data_dir::DataDir;
use crate::adapters::inventory::{Inventory, NextCleanup};
use crate::adapters::set_aside;
use crate::adapters::sqlite::During;
use crate::domain::clock::Timestamp;
use crate::maint::{ItemError, MaintError, Outcome, Report, Run, Schema, item, open_on_full_disk};

/// Looks; changes nothing and takes no lock. (On a full disk without a server nobody else gets at the database meanwhile.)
pub fn run(run: &Run<'_>) -> Report<Inventory> {
    let began = Instant::now();
    let now = run.clock.now();
    let mut counts = Inventory::default();
    let entered = DataDir::enter(&run.config.storage);
    // Where there is no data directory there is nothing to tell either.
    let begun = entered.is_ok();
    let ended = match entered.map_err(MaintError::from) {
        Ok((dir, _acting)) => look(run, &dir, now, &mut counts),
        Err(error) => (error.outcome(), vec![item(run.place(), &error)]),
    };
    Report { begun, ..Report::of(run, "status", (now, began), counts, ended) }
}

/// What cannot be looked at hides nothing else: whoever has lost the database wants to know of the backups most.
fn look(run: &Run<'_>, dir: &DataDir, now: Timestamp, counts: &mut Inventory) -> (Outcome, Vec<ItemError>) {
    let rows = set_aside::refuse_pending(dir).map_err(MaintError::from).and_then(|()| of_rows(run, dir, now));
    let (mut outcome, mut errors) = (Outcome::Done, Vec::new());
    *counts = rows.unwrap_or_else(|error| {
        outcome = error.outcome();
        errors.push(item(run.place(), &error));
        Inventory::default()
    });
    for error in counts.add_files(dir, now, &run.config.retention) {
        outcome = outcome.max(Outcome::Partial);
        errors.push(item(error.path.display().to_string(), &error));
    }
    (outcome, errors)
}

fn of_rows(run: &Run<'_>, dir: &DataDir, now: Timestamp) -> Result<Inventory, MaintError> {
    let db = open_on_full_disk(dir, Schema::CurrentOrOlder)?;
    let mut inventory = Inventory::of_rows(&db, now).during("take stock")?;
    let next = NextCleanup::of_rows(&db, now, &run.config.retention).during("count what goes next")?;
    inventory.add_next(Some(next));
    Ok(inventory)
}
