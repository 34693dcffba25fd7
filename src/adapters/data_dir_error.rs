//! Why the data directory cannot be used, and what to do then.

use std::path::PathBuf;

use crate::adapters::disk::DiskError;
use crate::adapters::shell_word::shell_word;

/// Why the data directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataDirError {
    /// There is none.
    #[error("there is no data directory at {path}: if there was one, bring it back with `companion-maint restore-db` and a backup before anything else; if it lies elsewhere, set DATA_DIR; if this is new, start the server once", path = .0.display())]
    Missing(PathBuf),
    /// Something else has its name.
    #[error("{path} is not a directory; set DATA_DIR to the data directory", path = .0.display())]
    NotADirectory(PathBuf),
    /// It belongs to someone else.
    #[error("{path} belongs to user {owner}, not to you: run this as that user (sudo -u '#{owner}' ...) or as root", path = path.display())]
    WrongUser {
        /// The directory.
        path: PathBuf,
        /// The user it belongs to.
        owner: u32,
    },
    /// Root cannot take up its owner's rights.
    #[error("{path} belongs to user {owner}, and this root may not act as that user ({source}): run this as that user", path = path.display())]
    NotAsOwner {
        /// The directory.
        path: PathBuf,
        /// The user it belongs to.
        owner: u32,
        /// Why not.
        source: std::io::Error,
    },
    /// `SQLite`'s locks do not hold there.
    #[error("{path} is on a network file system ({kind}), where SQLite's locks do not hold; use a local disk", path = path.display())]
    Network {
        /// What lies there.
        path: PathBuf,
        /// What the file system is called.
        kind: &'static str,
    },
    /// Someone else holds the lock.
    #[error("{what} is already running on {place}")]
    Locked {
        /// Who holds it.
        what: String,
        /// The data directory, or where the database lies that another data directory has as well, which is told.
        place: String,
    },
    /// The database is being replaced, or was when that was interrupted.
    #[error("a restore is under way on {path}, or was interrupted: wait for it, or run `companion-maint restore-db` again, or `companion-maint doctor --repair` to go back to the database from before it", path = .0.display())]
    RestorePending(PathBuf),
    /// The same, and what had been set aside is not known any more.
    #[error("{path} tells how to undo an interrupted restore and is damaged: move it away (mv {word} {word}.damaged) and run `companion-maint restore-db` again; the database from before is still in its place, or in the newest directory of {aside}", path = path.display(), word = shell_word(path), aside = aside.display())]
    RestoreUnknown {
        /// The file `restore.pending`.
        path: PathBuf,
        /// Where databases that were set aside lie.
        aside: PathBuf,
    },
    /// The database's name is that of a link that nobody may follow.
    #[error("the database {link} is a link to {target}, {why}", link = link.display(), target = target.display())]
    Link {
        /// The link.
        link: PathBuf,
        /// Where it leads.
        target: PathBuf,
        /// What is wrong with that, and what to do.
        why: String,
    },
    /// The disk said no.
    #[error(transparent)]
    Disk(#[from] DiskError),
}
