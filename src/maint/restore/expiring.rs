//! How many of the sessions that come back the schedule deletes soon: a late restore must not be wiped the next night
//! without a word.

use std::path::Path;
use std::time::Duration;

use crate::adapters::expiry_store::{self, Cutoffs};
use crate::adapters::sqlite::{self, Access, DbError, During};
use crate::config::RetentionConfig;
use crate::domain::clock::Timestamp;

/// The next `cleanup-sessions` comes within this time.
const NEXT_CLEANUP: Duration = Duration::from_secs(24 * 60 * 60);

/// The sessions in the database at `copy`, of whatever schema, that the next `cleanup-sessions` would delete.
///
/// # Errors
/// When it cannot be read.
pub(super) fn count(retention: &RetentionConfig, copy: &Path, now: Timestamp) -> Result<u64, DbError> {
    let (db, _) = sqlite::open(copy, Access::ReadOnly)?;
    let then = now.later_by(NEXT_CLEANUP);
    let cutoffs = Cutoffs::at(then, retention.session_days, retention.person_days);
    let doomed = expiry_store::count_doomed(&db, cutoffs).during("count what expires")?;
    Ok(doomed.sessions)
}
