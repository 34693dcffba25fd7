//! The checkpointer's file: told apart from others, opened without leaving a trace.
//!
//! A file at rest is opened as immutable, so that SQLite makes no `-wal` or `-shm` beside it. One with a write-ahead
//! log or a journal still to be applied is copied with it into the data directory, and the copy is read. Whether the
//! file stayed as it was is checked afterwards: a predecessor that still runs may write while it is read.

use std::ffi::OsString;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rusqlite::{Connection, OpenFlags};

use crate::adapters::acting::Rights;
use crate::adapters::data_dir::DataDir;
use crate::adapters::disk::{self, DiskError, Naming};
use crate::adapters::sqlite::APPLICATION_ID;

const HEADER: usize = 100;
const MAGIC: &[u8] = b"SQLite format 3\0";
const APPLICATION_ID_AT: std::ops::Range<usize> = 68..72;
const COPY_TRIES: u32 = 3;

/// Why there is nothing to read.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// There is no file.
    #[error("there is no file at {path}: give the path of the predecessor's database", path = .0.display())]
    Missing(PathBuf),
    /// The file is something else.
    #[error("{path} {why}", path = path.display())]
    NotOne {
        /// The file.
        path: PathBuf,
        /// What it is instead.
        why: &'static str,
    },
    /// It does not hold still.
    #[error("{path} is being written: stop the predecessor, then run this again", path = .0.display())]
    Busy(PathBuf),
    /// A copy would leave too little room.
    #[error("{path} has a write-ahead log to be applied, and there is no room for the copy this takes ({bytes} bytes)", path = path.display())]
    NoRoom {
        /// The file.
        path: PathBuf,
        /// What a copy takes.
        bytes: u64,
    },
    /// The disk said no.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// `SQLite` said no.
    #[error("cannot {operation} of the predecessor's database: {source}")]
    Sqlite {
        /// What was tried.
        operation: &'static str,
        /// Why it failed.
        source: rusqlite::Error,
    },
}

pub(super) trait Reading<T> {
    fn reading(self, operation: &'static str) -> Result<T, SourceError>;
}

impl<T> Reading<T> for rusqlite::Result<T> {
    fn reading(self, operation: &'static str) -> Result<T, SourceError> {
        self.map_err(|source| SourceError::Sqlite { operation, source })
    }
}

/// An opened predecessor's database.
pub struct Source {
    pub(super) db: Connection,
    path: PathBuf,
    rights: Rights,
    before: State,
    // Dropped after the connection.
    _copy: Option<Copy>,
}

/// What shows that a file was written to.
#[derive(Debug, Clone, PartialEq, Eq)]
struct State([Option<(u64, Option<SystemTime>)>; 3]);

impl State {
    fn of(path: &Path) -> Self {
        let look = |path: PathBuf| fs::metadata(path).ok().map(|meta| (meta.len(), meta.modified().ok()));
        Self([look(path.to_owned()), look(beside(path, "-wal")), look(beside(path, "-journal"))])
    }

    /// True when a log or journal is to be applied before the file can be read.
    fn is_hot(&self) -> bool {
        let [_, log, journal] = &self.0;
        [log, journal].into_iter().flatten().any(|(size, _)| *size > 0)
    }

    fn bytes(&self) -> u64 {
        self.0.iter().flatten().map(|(size, _)| size).sum()
    }
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(ending);
    name.into()
}

/// A private copy; gone when dropped.
struct Copy(PathBuf);

impl Drop for Copy {
    fn drop(&mut self) {
        for ending in ["", "-wal", "-shm", "-journal"] {
            drop(disk::remove_if_there(&beside(&self.0, ending)));
        }
    }
}

impl Copy {
    /// Copies the file with its log and journal; `None` when it changed meanwhile.
    fn of(path: &Path, state: &State, (dir, rights): (&DataDir, Rights)) -> Result<Option<Self>, DiskError> {
        let copy = Self(DataDir::temporary_in(dir.root()));
        for ending in ["", "-wal", "-journal"] {
            let (from, to) = (beside(path, ending), beside(&copy.0, ending));
            let mut from_file = match rights.lend(|| disk::open_to_read(&from)) {
                Err(error) if error.is_missing() => continue,
                opened => opened?,
            };
            let mut to_file = disk::create_private(&to)?;
            std::io::copy(&mut from_file, &mut to_file).naming("copy to", &to)?;
        }
        Ok((rights.lend(|| State::of(path)) == *state).then_some(copy))
    }
}

/// True when the file is a database of LangGraph's checkpointer and of nobody else. What cannot be read is not.
#[must_use]
pub fn is_one(path: &Path, dir: &DataDir) -> bool {
    if !matches!(header(path), Ok(Some(0))) {
        return false;
    }
    // What the file itself holds is nearly always enough; a copy with its log applied takes room and time.
    let at_rest = connect_immutable(path).and_then(|db| check_tables(&db, path));
    at_rest.is_ok() || (State::of(path).is_hot() && Source::open(path, dir, Rights::Owners).is_ok())
}

/// The application id in a database's first bytes; `None` when the file is not a database. Not for a database that this
/// process has open: `SQLite` would lose its locks on it.
pub(crate) fn header(path: &Path) -> Result<Option<i64>, DiskError> {
    let mut bytes = Vec::with_capacity(HEADER);
    disk::open_to_read(path)?.take(HEADER as u64).read_to_end(&mut bytes).naming("read", path)?;
    let id = bytes.get(APPLICATION_ID_AT).filter(|_| bytes.starts_with(MAGIC));
    Ok(id.map(|id| id.iter().fold(0, |number, byte| number << 8 | i64::from(*byte))))
}

impl Source {
    /// Opens the file for reading, with the rights of whoever names it.
    ///
    /// # Errors
    /// Each other kind of file is its own sentence.
    pub fn open(path: &Path, dir: &DataDir, rights: Rights) -> Result<Self, SourceError> {
        let path = match rights.lend(|| fs::canonicalize(path)).naming("look at", path) {
            Err(error) if error.is_missing() => return Err(SourceError::Missing(path.to_owned())),
            found => found?,
        };
        rights.lend(|| refuse_other_things(&path))?;
        let before = rights.lend(|| State::of(&path));
        let source = if before.is_hot() {
            let copy = Self::copy(&path, (dir, rights))?;
            let db = connect(&copy.0, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
            Self { db, rights, before, path, _copy: Some(copy) }
        } else {
            let db = rights.lend(|| connect_immutable(&path))?;
            Self { db, rights, before, path, _copy: None }
        };
        check_tables(&source.db, &source.path)?;
        Ok(source)
    }

    fn copy(path: &Path, (dir, rights): (&DataDir, Rights)) -> Result<Copy, SourceError> {
        for _ in 0..COPY_TRIES {
            let state = rights.lend(|| State::of(path));
            let bytes = state.bytes();
            if disk::free_bytes(dir.root())?.saturating_sub(dir.min_free_bytes()) < bytes {
                return Err(SourceError::NoRoom { path: path.to_owned(), bytes });
            }
            if let Some(copy) = Copy::of(path, &state, (dir, rights))? {
                return Ok(copy);
            }
        }
        Err(SourceError::Busy(path.to_owned()))
    }

    /// True when the file is as it was when it was opened.
    #[must_use]
    pub fn is_unchanged(&self) -> bool {
        self.rights.lend(|| State::of(&self.path)) == self.before
    }
}

fn refuse_other_things(path: &Path) -> Result<(), SourceError> {
    let wrong = |why| Err(SourceError::NotOne { path: path.to_owned(), why });
    let meta = fs::metadata(path).naming("look at", path)?;
    if meta.is_dir() {
        return wrong("is a directory: give the path of the predecessor's database in it");
    }
    if !meta.is_file() {
        return wrong("is not a file");
    }
    if meta.len() == 0 {
        return wrong("is empty: nothing to import");
    }
    match header(path)? {
        None => wrong("is not a SQLite database"),
        Some(APPLICATION_ID) => {
            wrong("is a database of this program, not of its predecessor: nothing to import")
        }
        Some(_) => Ok(()),
    }
}

fn check_tables(db: &Connection, path: &Path) -> Result<(), SourceError> {
    let wrong = |why| SourceError::NotOne { path: path.to_owned(), why };
    let has = |table: &str, columns: &[&str]| {
        let columns = columns.join(", ");
        db.prepare(&format!("SELECT {columns} FROM {table}")).map(drop)
    };
    let checkpoints = ["thread_id", "checkpoint_ns", "checkpoint_id", "type", "checkpoint"];
    match has("checkpoints", &checkpoints).and_then(|()| has("writes", &["channel", "type", "value", "idx"]))
    {
        Ok(()) => Ok(()),
        Err(error) => match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::NotADatabase) => Err(wrong("is not a SQLite database")),
            Some(rusqlite::ErrorCode::DatabaseCorrupt) => Err(wrong("is a damaged database")),
            _ => Err(wrong(
                "is a SQLite database without LangGraph's tables (checkpoints and writes): nothing to import",
            )),
        },
    }
}

fn connect_immutable(path: &Path) -> Result<Connection, SourceError> {
    use std::os::unix::ffi::OsStrExt;
    let mut uri = String::from("file:");
    for byte in path.as_os_str().as_bytes() {
        if byte.is_ascii_alphanumeric() || b"/-_.".contains(byte) {
            uri.push(char::from(*byte));
        } else {
            uri.push_str(&format!("%{byte:02X}"));
        }
    }
    uri.push_str("?immutable=1");
    connect(Path::new(&uri), OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI)
}

#[expect(clippy::disallowed_methods, reason = "a database of another program gets none of our pragmas")]
fn connect(path: &Path, flags: OpenFlags) -> Result<Connection, SourceError> {
    let flags = flags | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_PRIVATE_CACHE;
    let db = Connection::open_with_flags(path, flags).reading("open the file")?;
    // A schema from elsewhere must not be able to run anything.
    db.pragma_update(None, "trusted_schema", "OFF").reading("distrust the schema")?;
    Ok(db)
}
