//! All that is checked, in order.

use rusqlite::Connection;

use crate::maint::MaintError;
use crate::maint::doctor::{Visit, audio, backups, copy, database, erasures, files, memories};

/// What a check is: its name, and what it does.
type Check<Work> = (&'static str, Work);
type FileWork = fn(&mut Visit<'_>) -> Result<(), MaintError>;
type DatabaseWork = fn(&mut Visit<'_>, &Connection) -> Result<(), MaintError>;

pub(super) const FILE_CHECKS: [Check<FileWork>; 8] = [
    ("leftovers", files::leftovers),
    ("set-aside", files::strangers_set_aside),
    ("permissions", files::permissions),
    ("reserve", files::reserve),
    ("free-space", files::free_space),
    ("manifests", backups::lone_manifests),
    ("backups", backups::without_manifest),
    ("erasures", erasures::check),
];

/// Made only in a database that is whole.
pub(super) const DATABASE_CHECKS: [Check<DatabaseWork>; 10] = [
    ("totals", database::totals),
    ("session-counts", database::session_counts),
    ("memories", memories::check),
    ("memory-copy", copy::check),
    ("audio-rows", audio::rows_without_file),
    ("audio-orphans", audio::orphans),
    ("runs", database::killed_runs),
    ("overdue", database::overdue_jobs),
    ("backup-place", backups::vanished),
    ("log-size", database::log_size),
];
