//! The maintenance jobs by name, and when one is overdue.

use std::time::Duration;

use crate::domain::clock::Timestamp;

/// Deletes sessions that have expired.
pub const CLEANUP_SESSIONS: &str = "cleanup-sessions";
/// Deletes audio replies that have expired.
pub const CLEANUP_AUDIO: &str = "cleanup-audio";
/// Makes a proven backup.
pub const BACKUP_DB: &str = "backup-db";

/// Looks through every backup.
pub const VERIFY_BACKUPS: &str = "verify-backups";
/// Brings a backup back.
pub const RESTORE_DB: &str = "restore-db";

/// Looks after everything, and mends when told to. No schedule has to run it, so it is never overdue.
pub const DOCTOR: &str = "doctor";

/// Brings in what a predecessor kept.
pub const IMPORT_LANGGRAPH: &str = "import-langgraph";

/// Makes the indexes of memories anew.
pub const REINDEX_MEMORIES: &str = "reindex-memories";

/// Every job that records its runs, and whose lock a restore has to hold.
pub const JOBS: [&str; 8] = [
    CLEANUP_SESSIONS,
    CLEANUP_AUDIO,
    BACKUP_DB,
    VERIFY_BACKUPS,
    RESTORE_DB,
    DOCTOR,
    IMPORT_LANGGRAPH,
    REINDEX_MEMORIES,
];

/// The jobs a scheduler is to run at least daily.
pub const DAILY: [&str; 3] = [CLEANUP_SESSIONS, CLEANUP_AUDIO, BACKUP_DB];

/// A job that has not succeeded for this long is overdue.
pub const OVERDUE_AFTER: Duration = Duration::from_secs(48 * 60 * 60);

/// True when a job is overdue that last succeeded at `last_success`, or never, in a store that holds people since
/// `in_use_since`. Where nobody has ever been, nothing has to be kept in order.
#[must_use]
pub fn is_overdue(now: Timestamp, last_success: Option<Timestamp>, in_use_since: Option<Timestamp>) -> bool {
    in_use_since.is_some_and(|began| now.since(last_success.unwrap_or(began).max(began)) > OVERDUE_AFTER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_is_overdue_after_two_days_without_success() {
        let now = Timestamp::from_millis(1_795_528_449_123);
        let (fresh, stale) = (now.earlier_by(OVERDUE_AFTER), now.earlier_by(OVERDUE_AFTER * 2));
        assert!(!is_overdue(now, None, None));
        assert!(!is_overdue(now, None, Some(fresh)));
        assert!(is_overdue(now, None, Some(stale)));
        assert!(is_overdue(now, Some(stale), Some(stale)));
        assert!(!is_overdue(now, Some(fresh), Some(stale)));
        assert!(!is_overdue(now, Some(stale), Some(fresh)), "nobody was there to be kept in order");
    }
}
