//! What can go wrong with a database, and what was being done.

use std::path::PathBuf;

use rusqlite::ErrorCode;

use crate::adapters::disk::DiskError;

/// What went wrong with a database.
#[derive(Debug, thiserror::Error)]
pub enum DbError {
    /// There is no file.
    #[error("there is no database at {path}: if there was one, bring it back with `companion-maint restore-db latest` before anything else; if it lies elsewhere, set DATA_DIR or SHORT_TERM_MEMORY_DB_PATH; if this is new, start the server once", path = .0.display())]
    Missing(PathBuf),
    /// The file is there and is not a database of ours.
    #[error("{path} {why}; it was not touched", path = path.display())]
    NotOurs {
        /// The file.
        path: PathBuf,
        /// What it is instead.
        why: String,
    },
    /// The file was written by a newer release.
    #[error("{path} has schema {found}, this program knows up to {known}: use the release that wrote it, or restore the backup taken before that upgrade", path = path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its schema version.
        found: i64,
        /// Ours.
        known: i64,
    },
    /// The file has a schema that only the server may bring up to date.
    #[error("{path} has schema {found}, this program needs {known}: start the server once, it upgrades the database after a backup", path = path.display())]
    Older {
        /// The file.
        path: PathBuf,
        /// Its schema version.
        found: i64,
        /// Ours.
        known: i64,
    },
    /// It can only be read.
    #[error("{path} cannot be written: check its owner and permissions, and that its file system is not read-only", path = .0.display())]
    ReadOnly(PathBuf),
    /// The disk is full.
    #[error("no space left on the disk: {0}")]
    Full(&'static str),
    /// The schema is being brought up to date.
    #[error("the database is being upgraded")]
    Migrating,
    /// Too much is waiting for the database.
    #[error("too many requests are waiting for the database")]
    Overloaded,
    /// What failed in another write has undone the transaction this was part of; that one tells why.
    #[error("the transaction was undone")]
    RolledBack,
    /// The transaction this was part of could not be committed.
    #[error("cannot commit: {0}")]
    NotCommitted(String),
    /// The database's thread has ended.
    #[error("the database is closed")]
    Closed,
    /// `SQLite` said no.
    #[error("cannot {operation}: {source}")]
    Sqlite {
        /// What was tried.
        operation: &'static str,
        /// Why it failed.
        source: rusqlite::Error,
    },
    /// A migration failed; the database is as it was.
    #[error("the upgrade of the database failed: {0}")]
    Migration(#[source] rusqlite_migration::Error),
    /// There is no backup, so the upgrade was not begun.
    #[error("the database was not upgraded, because it could not be backed up first: {source}")]
    BackupFirst {
        /// Why there is no backup.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The disk said no.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

impl DbError {
    /// `source`, with a full disk told apart.
    #[must_use]
    pub fn from_sqlite(operation: &'static str, source: rusqlite::Error) -> Self {
        match source.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full(operation),
            _ => Self::Sqlite { operation, source },
        }
    }

    /// True when the disk is full.
    #[must_use]
    pub fn is_full(&self) -> bool {
        match self {
            Self::Full(_) => true,
            Self::Disk(error) => error.is_full(),
            Self::Missing(_)
            | Self::NotOurs { .. }
            | Self::Newer { .. }
            | Self::Older { .. }
            | Self::ReadOnly(_)
            | Self::Migrating
            | Self::Overloaded
            | Self::Closed
            | Self::RolledBack
            | Self::NotCommitted(_)
            | Self::Sqlite { .. }
            | Self::BackupFirst { .. }
            | Self::Migration(_) => false,
        }
    }
}

/// Names the operation of a failed `SQLite` call.
pub(crate) trait During<T> {
    /// `self`, with its error telling what was tried.
    fn during(self, operation: &'static str) -> Result<T, DbError>;
}

impl<T> During<T> for rusqlite::Result<T> {
    fn during(self, operation: &'static str) -> Result<T, DbError> {
        self.map_err(|source| DbError::from_sqlite(operation, source))
    }
}
