//! Why a run did not do its work, and how it then ends.

use std::path::PathBuf;

use crate::adapters::backup_codec::{IdentityError, UnpackError};
use crate::adapters::backup_writer::BackupError;
use crate::adapters::data_dir::DataDirError;
use crate::adapters::disk::DiskError;
use crate::adapters::qdrant::NoClient;
use crate::adapters::snapshot::SnapshotError;
use crate::adapters::sqlite::DbError;
use crate::app::outbox::CarryError;
use crate::domain::memory::copy::CopyError;
use crate::domain::retention::ClockDoubt;
use crate::domain::span::Span;
use crate::maint::Outcome;
use crate::maint::import_langgraph::ImportError;

/// Why a run did not do its work.
#[derive(Debug, thiserror::Error)]
pub enum MaintError {
    /// The data directory cannot be used.
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    /// The database cannot be used.
    #[error(transparent)]
    Database(#[from] DbError),
    /// The disk said no.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// There is no backup.
    #[error(transparent)]
    Backup(#[from] BackupError),
    /// A backup file cannot be unpacked.
    #[error(transparent)]
    Unpack(#[from] UnpackError),
    /// What was unpacked is no whole database of ours.
    #[error(transparent)]
    Copy(#[from] SnapshotError),
    /// The identity file cannot be used.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// There is no backup at all.
    #[error("there is no backup in {path}: if there are some elsewhere, set BACKUP_DIR to where they lie, or name the file to `restore-db`; `companion-maint backup-db` makes one of what is there now", path = .0.display())]
    NoBackup(PathBuf),
    /// There are backups, and none can be used.
    #[error("no backup in {path} verifies: make one now with `companion-maint backup-db`", path = .0.display())]
    NoneVerifies(PathBuf),
    /// There are backups, and the key opens none of them.
    #[error("no backup in {backups} can be opened with the keys in {identity}: name the file that holds the secret key of BACKUP_AGE_RECIPIENT", backups = backups.display(), identity = identity.display())]
    NoneOpens {
        /// Where they lie.
        backups: PathBuf,
        /// The identity file.
        identity: PathBuf,
    },
    /// The backup that was named is not there.
    #[error("there is no {file}, neither here nor in {dir}; `companion-maint list-backups` shows what there is", file = .0.display(), dir = .1.display())]
    NoSuchBackup(PathBuf, PathBuf),
    /// A restore needs the house to itself.
    #[error("refused: the server is running on {0}: stop it first")]
    ServerRuns(String),
    /// The copy of the index of memories cannot be used.
    #[error(transparent)]
    Qdrant(#[from] CopyError),
    /// Nothing was carried to it.
    #[error(transparent)]
    Carry(#[from] CarryError),
    /// Qdrant cannot be asked.
    #[error(transparent)]
    NoClient(#[from] NoClient),
    /// Nothing can be asked over the network.
    #[error("nothing can be asked over the network: {0}")]
    Runtime(#[source] std::io::Error),
    /// There is no Qdrant.
    #[error("there is no Qdrant: set QDRANT_URL, as the server has it")]
    NoQdrant,
    /// The server copies to another place than this job was told of.
    #[error("the server that runs here copies memories to {}: give this command the same QDRANT_URL and QDRANT_COLLECTION", .0.as_deref().unwrap_or("no Qdrant"))]
    CopiesElsewhere(Option<String>),
    /// The server has carried nothing for a minute.
    #[error(
        "the server that runs here carries nothing to Qdrant: GET /api/v1/admin/memory/status and its log say why"
    )]
    ServerDoesNotCarry,
    /// There is nothing to import.
    #[error(transparent)]
    Import(#[from] ImportError),
    /// A fuse.
    #[error("refused: {0}; if that is right, use --force")]
    Refused(String),
    /// A wrong clock must not empty the store.
    #[error("refused: {0}. Set the clock right; if it is right, use --force")]
    Clock(#[from] ClockDoubt),
    /// There is no directory of audio replies.
    #[error("there is no directory {path}: set AUDIO_DIR to where the audio replies lie, mount their disk, or start the server, which makes the directory", path = .0.display())]
    NoAudioDir(PathBuf),
    /// Cleanup has no room to work in.
    #[error(
        "{0}. The reserve, which cleanup works with on a full disk, is missing: run `companion-maint cleanup-audio`, or \
         remove something of others from that disk (32 MiB are plenty), then run this again"
    )]
    NoReserve(Box<Self>),
    /// Somebody else was in the way.
    #[error("{0} is in use; try again later")]
    InUse(&'static str),
    /// `--max-runtime` has passed.
    #[error(
        "stopped because --max-runtime {0} has passed; what was done so far is in this report, and it is safe to run again"
    )]
    OutOfTime(Span),
    /// The process was told to stop.
    #[error("stopped on request; what was done so far is in this report, and it is safe to run again")]
    Stopped,
}

impl MaintError {
    /// How a run that ends with this ends.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::DataDir(error) | Self::Backup(BackupError::DataDir(error)) => match error {
                DataDirError::WrongUser { .. } | DataDirError::NotAsOwner { .. } => Outcome::Usage,
                DataDirError::Network { .. }
                | DataDirError::RestorePending(_)
                | DataDirError::RestoreUnknown { .. } => Outcome::Refused,
                DataDirError::Locked { .. } => Outcome::Busy,
                DataDirError::Missing(_)
                | DataDirError::NotADirectory(_)
                | DataDirError::Link { .. }
                | DataDirError::Disk(_) => Outcome::Failed,
            },
            Self::Import(error) => error.outcome(),
            Self::NoQdrant | Self::CopiesElsewhere(_) => Outcome::Usage,
            Self::Qdrant(CopyError::Anothers(_)) | Self::Carry(CarryError::Copy(CopyError::Anothers(_))) => {
                Outcome::Refused
            }
            Self::Qdrant(_)
            | Self::Carry(_)
            | Self::NoClient(_)
            | Self::Runtime(_)
            | Self::ServerDoesNotCarry => Outcome::Failed,
            Self::Backup(BackupError::Anothers(_)) => Outcome::Refused,
            Self::Database(DbError::Newer { .. } | DbError::Older { .. }) => Outcome::Refused,
            Self::Unpack(UnpackError::Broken(_) | UnpackError::WrongIdentity)
            | Self::Copy(SnapshotError::Broken(_) | SnapshotError::Database(DbError::NotOurs { .. }))
            | Self::ServerRuns(_)
            | Self::Refused(_)
            | Self::Clock(_) => Outcome::Refused,
            Self::Unpack(UnpackError::NeedsIdentity) | Self::Identity(_) => Outcome::Usage,
            Self::Unpack(_)
            | Self::Copy(_)
            | Self::NoBackup(_)
            | Self::NoneVerifies(_)
            | Self::NoneOpens { .. }
            | Self::NoSuchBackup(..) => Outcome::Failed,
            Self::OutOfTime(_) | Self::InUse(_) | Self::NoReserve(_) | Self::NoAudioDir(_) => Outcome::Failed,
            Self::Database(_) | Self::Disk(_) | Self::Backup(_) | Self::Stopped => Outcome::Failed,
        }
    }

    /// True when the disk is full.
    #[must_use]
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Database(error) if error.is_full())
            || matches!(self, Self::Disk(error) if error.is_full())
    }
}
