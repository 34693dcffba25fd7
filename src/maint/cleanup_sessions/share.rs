//! `--max-delete-percent`: the share that may go at most, of the sessions, of the people, and of the memories.

use super::Plan;
use crate::adapters::person_store;
use crate::adapters::session_store::Totals;
use crate::adapters::sqlite::During;
use crate::domain::retention::exceeds_percent;
use crate::maint::{Job, MaintError};

/// Refuses a plan that takes more than `percent` of anything there was before.
pub(super) fn check(job: &Job<'_>, percent: u8, plan: &Plan, before: Totals) -> Result<(), MaintError> {
    let persons = person_store::count(&job.db).during("count people")?;
    let kinds = [
        ("sessions", plan.doomed.sessions, before.sessions),
        ("people", plan.doomed.persons, persons),
        ("memories", plan.memories, before.memories),
    ];
    for (kind, doomed, there) in kinds {
        if exceeds_percent(doomed, there, percent) {
            return Err(MaintError::Refused(format!(
                "{doomed} of {there} {kind} would go, more than --max-delete-percent {percent}"
            )));
        }
    }
    Ok(())
}
