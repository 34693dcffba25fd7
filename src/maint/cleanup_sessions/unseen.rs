//! Erasing people who have not been seen for `PERSON_RETENTION_DAYS`, with all that is theirs.

use rusqlite::{Connection, TransactionBehavior};

use super::{Counts, TURNS_AT_ONCE, count_out_of_reach, take_up};
use crate::adapters::expiry_store::Cutoffs;
use crate::adapters::session_deleting::{self, Deleted};
use crate::adapters::sqlite::During;
use crate::adapters::{erasure_ledger, person_store};
use crate::domain::clock::Timestamp;
use crate::domain::person::Person;
use crate::maint::compact::{self, GAP};
use crate::maint::{Job, MaintError};

/// Erases people who have not been seen for `PERSON_RETENTION_DAYS`.
pub(super) fn erase(job: &mut Job<'_>, cutoffs: Cutoffs, counts: &mut Counts) -> Result<(), MaintError> {
    const AT_ONCE: usize = 100;
    let Some(cutoff) = cutoffs.unseen_since else { return Ok(()) };
    loop {
        let unseen = person_store::unseen_since(&job.db, cutoff, AT_ONCE).during("find people unseen")?;
        if unseen.is_empty() {
            return Ok(());
        }
        for person in unseen {
            erase_person(job, person, cutoff, counts)?;
        }
    }
}

/// In portions. Whoever comes back meanwhile stays, with the conversations that are still whole.
fn erase_person(
    job: &mut Job<'_>,
    person: Person,
    cutoff: Timestamp,
    counts: &mut Counts,
) -> Result<(), MaintError> {
    loop {
        job.check_stop()?;
        let portion = erase_if_unseen(&mut job.db, person.key, cutoff).during("erase a person")?;
        let Some((deleted, is_gone)) = portion else { return Ok(()) };
        if is_gone {
            counts.persons_erased += 1;
            // Afterwards, other than with someone who asks for it: whoever is in the ledger is erased at every start of
            // the server, and until now this one could still come back. A backup that has them, restored after a
            // kill between the two, has them as they were: unseen for too long.
            erasure_ledger::append(&job.dir, &[person.id], job.now)?;
        }
        take_up(job, deleted, counts)?;
        compact::pause(GAP);
        if is_gone {
            return Ok(());
        }
    }
}

fn erase_if_unseen(
    db: &mut Connection,
    key: i64,
    cutoff: Timestamp,
) -> rusqlite::Result<Option<(Deleted, bool)>> {
    let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    if !person_store::is_unseen_since(&transaction, key, cutoff)? {
        return Ok(None);
    }
    let begun = session_deleting::count_begun(&transaction)?;
    let mut deleted = Deleted::default();
    let is_gone = person_store::erase_some(&transaction, key, TURNS_AT_ONCE, &mut deleted)?;
    count_out_of_reach(&transaction, begun, &mut deleted)?;
    transaction.commit()?;
    Ok(Some((deleted, is_gone)))
}
