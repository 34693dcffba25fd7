//! The data directory: its paths, its owner, and the kernel locks under `locks/`.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use age::x25519::Recipient;
use rustix::fs::OFlags;

use crate::adapters::acting::Acting;
pub use crate::adapters::data_dir_error::DataDirError;
use crate::adapters::database_link;
pub use crate::adapters::disk::TEMPORARY_PREFIX;
use crate::adapters::disk::{self, Naming};
use crate::adapters::erasure_ledger;
use crate::adapters::langgraph;
pub use crate::adapters::owner::Owner;
use crate::adapters::sqlite::APPLICATION_ID;
use crate::config::StorageConfig;

/// A data directory that is there, is ours to use, and is on a local disk.
#[derive(Debug, Clone)]
pub struct DataDir {
    config: StorageConfig,
    owner: Owner,
    predecessor: Option<PathBuf>,
}

impl DataDir {
    /// Opens it, making what is missing.
    ///
    /// # Errors
    /// See [`DataDirError`].
    pub fn create_or_open(config: &StorageConfig) -> Result<Self, DataDirError> {
        let dir = Self::create_or_open_without_backups(config)?;
        dir.make_place_of_backups();
        Ok(dir)
    }

    /// The same, not looking at where backups lie: what the server does.
    ///
    /// # Errors
    /// See [`DataDirError`].
    pub fn create_or_open_without_backups(config: &StorageConfig) -> Result<Self, DataDirError> {
        if config.data_dir.exists() && !config.data_dir.is_dir() {
            return Err(DataDirError::NotADirectory(config.data_dir.clone()));
        }
        refuse_network(&config.data_dir)?;
        disk::create_private_dir(&config.data_dir, None)?;
        let dir = Self::open(config)?;
        for path in [&dir.config.audio_dir, &dir.locks()] {
            dir.owner.create_dir(path)?;
        }
        if let Some(parent) = dir.config.database.parent() {
            dir.owner.create_dir(parent)?;
        }
        Ok(dir)
    }

    /// Makes the directory of backups, if there is none. Its disk may not be there: only what wants backups has to wait for
    /// that, so it is told and no more.
    pub fn make_place_of_backups(&self) {
        if let Err(error) = self.owner.create_dir(self.backups()) {
            tracing::warn!(error = %error, "There is no directory for backups, and it cannot be made");
        }
    }

    /// Opens an existing one and goes on with the rights of its owner, who may be another than root: what maintenance does.
    ///
    /// # Errors
    /// See [`DataDirError`].
    pub fn enter(config: &StorageConfig) -> Result<(Self, Acting), DataDirError> {
        let acting = Self::act_as_owner(config)?;
        Ok((Self::open(config)?, acting))
    }

    /// The same, making what is missing but the directory itself: what a restore does.
    ///
    /// # Errors
    /// See [`DataDirError`].
    pub fn create_and_enter(config: &StorageConfig) -> Result<(Self, Acting), DataDirError> {
        let acting = Self::act_as_owner(config)?;
        Ok((Self::create_or_open(config)?, acting))
    }

    /// Goes on with the rights of its owner.
    ///
    /// # Errors
    /// When it is not there, is not ours to use, or its owner's rights cannot be had.
    pub fn act_as_owner(config: &StorageConfig) -> Result<Acting, DataDirError> {
        let Owner { uid, gid } = Self::look_for_owner(config)?;
        Acting::take_up(uid, gid).map_err(|source| DataDirError::NotAsOwner {
            path: config.data_dir.clone(),
            owner: uid,
            source: source.into(),
        })
    }

    /// Opens an existing one.
    ///
    /// # Errors
    /// See [`DataDirError`].
    pub fn open(config: &StorageConfig) -> Result<Self, DataDirError> {
        let owner = Self::look_for_owner(config)?;
        refuse_network(&config.data_dir)?;
        config.database.parent().map_or(Ok(()), refuse_network)?;
        let mut dir = Self { config: config.clone(), owner, predecessor: None };
        dir.step_aside_for_predecessor();
        if let Some(real) = database_link::follow(&dir.config.database, owner, dir.restore_marker().exists())?
        {
            real.parent().map_or(Ok(()), refuse_network)?;
            dir.config.database = real;
        }
        Ok(dir)
    }

    /// Whom the data directory belongs to, if whoever runs this may use it.
    fn look_for_owner(config: &StorageConfig) -> Result<Owner, DataDirError> {
        let path = &config.data_dir;
        let meta = match fs::metadata(path).naming("look at", path) {
            Ok(meta) => meta,
            Err(error) if error.is_missing() => {
                disk::refuse_dangling(path)?;
                return Err(DataDirError::Missing(path.clone()));
            }
            Err(error) => return Err(error.into()),
        };
        if !meta.is_dir() {
            return Err(DataDirError::NotADirectory(path.clone()));
        }
        let euid = rustix::process::geteuid();
        if !euid.is_root() && euid.as_raw() != meta.uid() {
            return Err(DataDirError::WrongUser { path: path.clone(), owner: meta.uid() });
        }
        Ok(Owner { uid: meta.uid(), gid: meta.gid() })
    }

    /// Where the setting names the predecessor's database, ours lies beside it; also after the predecessor's has gone.
    fn step_aside_for_predecessor(&mut self) {
        let named = &self.config.database;
        let beside = named.with_file_name("companion.db");
        if *named == beside {
            return;
        }
        if langgraph::is_one(named, self) {
            self.predecessor = Some(std::mem::replace(&mut self.config.database, beside));
        } else if !named.exists() && matches!(langgraph::header(&beside), Ok(Some(APPLICATION_ID))) {
            self.config.database = beside;
        }
    }

    /// The predecessor's database, where the setting for ours names that.
    #[must_use]
    pub fn predecessor(&self) -> Option<&Path> {
        self.predecessor.as_deref()
    }

    /// The directory itself.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.config.data_dir
    }

    /// The `SQLite` file itself, also where a link has its name: its log lies beside the file.
    #[must_use]
    pub fn database(&self) -> &Path {
        &self.config.database
    }

    /// The directory the database lies in; the data directory, where that is not there.
    #[must_use]
    pub fn database_place(&self) -> &Path {
        self.database().parent().filter(|place| place.is_dir()).unwrap_or(self.root())
    }

    /// Where audio replies lie.
    #[must_use]
    pub fn audio(&self) -> &Path {
        &self.config.audio_dir
    }

    /// Where backups lie.
    #[must_use]
    pub fn backups(&self) -> &Path {
        &self.config.backup_dir
    }

    /// The space kept back so that cleanup works on a full disk, of each disk; the last is the database's.
    #[must_use]
    pub fn reserves(&self) -> Vec<PathBuf> {
        let mut found = vec![self.root().join("reserve")];
        if !disk::same_file_system(self.database_place(), self.root()) {
            found.push(self.database_place().join(".companion-reserve"));
        }
        found
    }

    /// The random ids of erased people.
    #[must_use]
    pub fn erasures(&self) -> PathBuf {
        self.root().join(erasure_ledger::NAME)
    }

    /// What tells that a restore is under way, or was interrupted.
    #[must_use]
    pub fn restore_marker(&self) -> PathBuf {
        self.root().join("restore.pending")
    }

    /// Whom backups are encrypted to; `None` leaves them readable.
    #[must_use]
    pub fn backup_recipient(&self) -> Option<&Recipient> {
        self.config.backup_recipient.as_ref()
    }

    /// Below this many free bytes, what grows the store stops.
    #[must_use]
    pub fn min_free_bytes(&self) -> u64 {
        self.config.min_free_disk_bytes
    }

    /// Whom the files belong to.
    #[must_use]
    pub fn owner(&self) -> Owner {
        self.owner
    }

    /// True when the data directory's disk has less room than `MIN_FREE_DISK_BYTES`. A disk that cannot be asked
    /// counts as one with room: the write itself will tell.
    #[must_use]
    pub fn is_low(&self) -> bool {
        disk::free_bytes(self.database_place()).is_ok_and(|free| free < self.min_free_bytes())
    }

    /// True when the database's disk has so little room that `SQLite` cannot even make its shared memory there, which it
    /// calls an I/O error.
    #[must_use]
    pub fn has_no_room(&self) -> bool {
        disk::free_bytes(self.database_place()).is_ok_and(|free| free < 64 * 1024)
    }

    /// True when files can be made in the data directory and the database is still there.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        let access = rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK;
        rustix::fs::access(self.root(), access).is_ok() && self.database().is_file()
    }

    /// A path for a temporary file in `dir`, unlike any other.
    #[must_use]
    pub fn temporary_in(dir: &Path) -> PathBuf {
        disk::temporary_in(dir)
    }

    /// Takes the kernel lock `locks/<name>.lock` without waiting, and those that keep others from the database. It goes with
    /// the process, however that ends.
    ///
    /// # Errors
    /// [`DataDirError::Locked`] when another process (or thread) holds one of them.
    pub fn lock(&self, name: &str) -> Result<Lock, DataDirError> {
        let dir = self.locks();
        self.owner.create_dir(&dir)?;
        let own = self.lock_file(&dir.join(format!("{name}.lock")), name, || self.place_of_own(name))?;
        let mut files = vec![own];
        let place_of_others = || {
            format!("{}, where this database lies, with another DATA_DIR", self.database_place().display())
        };
        for path in self.locks_of_database(name) {
            files.push(self.lock_file(&path, name, place_of_others)?);
        }
        Ok(Lock { files })
    }

    /// Where whoever holds our own lock runs. It counts for those of other data directories, too, whose database lies in ours.
    fn place_of_own(&self, name: &str) -> String {
        let root = self.root();
        let others =
            if beside(root, name).exists() { ", or with another DATA_DIR on a database in it" } else { "" };
        format!("{}{others}", root.display())
    }

    /// The locks that keep other data directories from the database. A database that lies elsewhere has one beside it; and where
    /// that is somebody's data directory, theirs counts. One that lies in ours may be named by others, who have then left a lock
    /// beside it.
    fn locks_of_database(&self, name: &str) -> Vec<PathBuf> {
        let home = self.database_place();
        let beside = beside(home, name);
        if matches!((fs::canonicalize(home), fs::canonicalize(self.root())), (Ok(a), Ok(b)) if a == b) {
            return if beside.exists() { vec![beside] } else { Vec::new() };
        }
        let of_home = home.join("locks");
        let theirs = of_home.join("server.lock").exists().then(|| of_home.join(format!("{name}.lock")));
        theirs.into_iter().chain([beside]).collect()
    }

    /// Locks one file for a job of this `name`; `place` tells where whoever holds it runs.
    fn lock_file(&self, path: &Path, name: &str, place: impl Fn() -> String) -> Result<File, DataDirError> {
        let mut options = OpenOptions::new();
        let options = options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let file = options.custom_flags(OFlags::NOFOLLOW.bits().cast_signed()).open(path);
        let file = file.naming("open", path)?;
        self.owner.adopt_open(&file).naming("change the owner of", path)?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(TryLockError::WouldBlock) => {
                Err(DataDirError::Locked { what: format!("a {name}"), place: place() })
            }
            Err(TryLockError::Error(error)) => Err(error).naming("lock", path).map_err(Into::into),
        }
    }

    /// Where the locks lie.
    #[must_use]
    pub fn locks(&self) -> PathBuf {
        self.root().join("locks")
    }
}

/// The lock beside a database in `home` that other data directories have as well.
fn beside(home: &Path, name: &str) -> PathBuf {
    home.join(format!(".companion-{name}.lock"))
}

fn refuse_network(path: &Path) -> Result<(), DataDirError> {
    match disk::network_file_system(path)? {
        Some(kind) => Err(DataDirError::Network { path: path.to_owned(), kind }),
        None => Ok(()),
    }
}

/// A held lock; dropping it lets go.
#[derive(Debug)]
pub struct Lock {
    files: Vec<File>,
}

/// Closing the files would not do while a program that was just started has copies of them, which it closes a moment later.
impl Drop for Lock {
    fn drop(&mut self) {
        for file in &self.files {
            drop(file.unlock());
        }
    }
}
