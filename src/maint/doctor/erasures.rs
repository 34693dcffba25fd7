//! The list of erased people: whether it can be read, and whether its copy beside the backups is complete.

use crate::adapters::{erasure_ledger, erasure_lines};
use crate::maint::MaintError;
use crate::maint::doctor::{Visit, backups};

pub fn check(visit: &mut Visit<'_>) -> Result<(), MaintError> {
    if let Err(error) = erasure_ledger::check(&visit.dir) {
        if !erasure_lines::is_damage(&error) {
            return Err(error.into());
        }
        let repair =
            "bring the file back from a copy, or remove that line; until then nothing can be restored";
        visit.finding(erasure_ledger::NAME, error.source.to_string(), repair);
        return Ok(());
    }
    let place = visit.dir.backups().to_owned();
    if !place.is_dir() || !backups::are_marked_ours(visit) {
        return Ok(());
    }
    let item = place.join(erasure_ledger::NAME).display().to_string();
    match erasure_ledger::missing_in(&visit.dir, &place) {
        Ok(0) => {}
        Ok(missing) => {
            let found = format!("does not have {missing} of the people who were erased");
            visit.mendable(item, found, "add them", |visit| {
                erasure_ledger::copy_to(&visit.dir, &place).map_err(Into::into)
            });
        }
        Err(error) if erasure_lines::is_damage(&error) => {
            let repair = "remove that line, or the file: the next backup-db makes it anew";
            visit.finding(&item, error.source.to_string(), repair);
        }
        Err(error) => return Err(error.into()),
    }
    Ok(())
}
