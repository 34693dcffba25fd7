//! What can go wrong in a use case, by what the caller could do about it.

use crate::adapters::disk::DiskError;
use crate::adapters::sqlite::DbError;
use crate::app::ways_in::WayInError;
use crate::domain::chat::ChatError;
use crate::domain::speech::SpeechError;

/// Why a use case failed.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// Unknown, expired, or someone else's: all the same from outside.
    #[error("no such session")]
    SessionNotFound,
    /// Unknown or expired.
    #[error("no such audio reply")]
    AudioNotFound,
    /// Unknown, or someone else's: all the same from outside.
    #[error("no such memory")]
    MemoryNotFound,
    /// A link or a recovery code leads nowhere, or not yet.
    #[error(transparent)]
    WayIn(#[from] WayInError),
    /// No person holds the token that was sent.
    #[error("no person holds this token")]
    Unauthorized,
    /// Something in the request is not valid; the text is for its sender.
    #[error("{field}: {message}")]
    Invalid {
        /// Which field.
        field: &'static str,
        /// What is wrong and what would be right.
        message: String,
    },
    /// The disk is low or full; what grows the store has to wait.
    #[error("the disk is full")]
    DiskFull,
    /// The same where words of self-harm were said, or may have been: nobody could hear them.
    #[error("the disk is full")]
    NoRoomForCare {
        /// Where to find help: that has to be told all the same.
        help: String,
    },
    /// A bound was reached; it is worth trying again soon.
    #[error("too busy")]
    Busy,
    /// So many turns wait in this session already that no more may.
    #[error("a turn of this session is in progress and enough are waiting")]
    TurnInProgress,
    /// So many turns of the person run already that no more may.
    #[error("as many turns of this person run as may")]
    TooManyTurns,
    /// The person has had as many turns as they may in a day.
    #[error("all turns of the day are used")]
    DailyTurnsUsed {
        /// In how many seconds the next day begins.
        retry_after: u64,
        /// Where to find help, where nobody has heard what was said.
        help: Option<String>,
    },
    /// The server is starting, stopping or upgrading its database.
    #[error("not available: {0}")]
    Unavailable(&'static str),
    /// The model does not answer; nothing was kept.
    #[error(transparent)]
    Model(#[from] ChatError),
    /// Something cannot be heard or spoken; nothing was kept.
    #[error(transparent)]
    Speech(#[from] SpeechError),
    /// Nobody's fault outside; the cause is for the log.
    #[error("internal error")]
    Internal(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl From<DbError> for AppError {
    fn from(error: DbError) -> Self {
        if error.is_full() {
            return Self::DiskFull;
        }
        match error {
            DbError::Migrating => Self::Unavailable("migrating"),
            DbError::Overloaded => Self::Busy,
            DbError::RolledBack => Self::Unavailable("the transaction was undone"),
            DbError::Missing(_)
            | DbError::NotOurs { .. }
            | DbError::Newer { .. }
            | DbError::Older { .. }
            | DbError::ReadOnly(_)
            | DbError::Full(_)
            | DbError::Closed
            | DbError::NotCommitted(_)
            | DbError::Sqlite { .. }
            | DbError::Migration(_)
            | DbError::BackupFirst { .. }
            | DbError::Disk(_) => Self::Internal(Box::new(error)),
        }
    }
}

impl From<DiskError> for AppError {
    fn from(error: DiskError) -> Self {
        if error.is_full() { Self::DiskFull } else { Self::Internal(Box::new(error)) }
    }
}
