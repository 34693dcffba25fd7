//! Root at work for a service user: whose rights this thread has on the file system.
//!
//! Whoever owns the data directory can have put anything in it: a link, a pipe, a journal made up for `SQLite` to roll back.
//! So root who works there has that owner's rights and no more: whatever lies there leads nowhere that the owner could not go,
//! and whatever is made there is the owner's from the first moment. Only what the operator names on the command line is read
//! with the operator's own rights.
//!
//! On Linux rights are a thread's own; the threads it starts have the same. The server takes no part in this.

use std::error::Error;
use std::io;
use std::marker::PhantomData;

use rustix::fs::{Gid, Uid};
use rustix::io::Errno;
use rustix::process::{getegid, geteuid, getgroups, getuid};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};

/// This thread with the rights of a data directory's owner, until this is dropped.
#[derive(Debug)]
pub struct Acting {
    /// Group and further groups from before; `None` when nothing was changed.
    before: Option<(Gid, Vec<Gid>)>,
    /// Another thread has rights of its own.
    _on_this_thread: PhantomData<*const ()>,
}

impl Acting {
    /// Takes up the rights of user `uid` and group `gid`, if this is root and they are not. The further groups of that user
    /// are not among them.
    ///
    /// # Errors
    /// When the system does not let this root do so; then nothing was changed.
    pub fn take_up(uid: u32, gid: u32) -> Result<Self, Errno> {
        let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
        let mut acting = Self { before: None, _on_this_thread: PhantomData };
        if !geteuid().is_root() || uid.is_root() {
            return Ok(acting);
        }
        // Dropped on the way out of a failure, it puts back what was changed by then.
        acting.before = Some((getegid(), getgroups()?));
        set_thread_groups(&[gid])?;
        set_thread_res_gid(None, gid, None)?;
        set_thread_res_uid(None, uid, Uid::ROOT)?;
        Ok(acting)
    }
}

impl Drop for Acting {
    fn drop(&mut self) {
        let Some((gid, groups)) = self.before.take() else { return };
        let back = set_thread_res_uid(None, Uid::ROOT, None)
            .and_then(|()| set_thread_res_gid(None, gid, None))
            .and_then(|()| set_thread_groups(&groups));
        if let Err(error) = back {
            tracing::warn!(error = %error, "This thread keeps the rights of the data directory's owner");
        }
    }
}

/// True when this is root with the rights of a data directory's owner.
fn is_acting() -> bool {
    getuid().is_root() && !geteuid().is_root()
}

/// Whose rights a file is opened with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rights {
    /// Those of the data directory's owner, where root acts as that.
    Owners,
    /// Those of whoever runs the program: for what they name themselves.
    Operators,
}

impl Rights {
    /// Does `work` with these rights.
    pub fn lend<T>(self, work: impl FnOnce() -> T) -> T {
        match self {
            Self::Owners => work(),
            Self::Operators => as_operator(work),
        }
    }
}

/// Does `work` with the rights of whoever runs the program, also while root acts as the data directory's owner.
pub fn as_operator<T>(work: impl FnOnce() -> T) -> T {
    let owner = geteuid();
    // Where root's rights are not to be had back, the work fails for want of them.
    if !is_acting() || set_thread_res_uid(None, Uid::ROOT, None).is_err() {
        return work();
    }
    let done = work();
    if set_thread_res_uid(None, owner, None).is_err() {
        // Nothing may go on among the owner's files with root's rights.
        std::process::abort();
    }
    done
}

/// What to do when the owner's rights were not enough for root; `None` for every other failure.
#[must_use]
pub fn hint(error: &(dyn Error + 'static)) -> Option<&'static str> {
    let denied = |error: &(dyn Error + 'static)| {
        let source = error.downcast_ref::<io::Error>();
        source.and_then(Errno::from_io_error) == Some(Errno::ACCESS)
    };
    let mut cause = Some(error);
    while let Some(error) = cause.filter(|error| !denied(*error)) {
        cause = error.source();
    }
    cause.filter(|_| getuid().is_root()).map(|_| {
        "root works with the rights of the data directory's owner, which are not enough here: give that to the owner \
         (chown), or run `companion-maint doctor --repair` if it is in the data directory"
    })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn root_acts_as_the_owner_and_is_root_again_afterwards() {
        if !geteuid().is_root() {
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let private = dir.path().join("private");
        fs::write(&private, "").unwrap();
        fs::set_permissions(&private, fs::Permissions::from_mode(0o600)).unwrap();
        let denied = || fs::read(&private).unwrap_err();
        let (groups, group) = (getgroups().unwrap(), getegid());
        let acting = Acting::take_up(12_345, 12_346).unwrap();
        assert_eq!((geteuid().as_raw(), getegid().as_raw()), (12_345, 12_346));
        assert_eq!(getgroups().unwrap(), [Gid::from_raw(12_346)]);
        assert!(hint(&denied()).is_some());
        // A thread that is started meanwhile has no more rights than this one.
        std::thread::scope(|scope| scope.spawn(|| drop(denied())).join().unwrap());
        assert!(as_operator(|| fs::read(&private)).is_ok());
        assert!(Rights::Owners.lend(|| fs::read(&private)).is_err(), "the owner's again");
        drop(acting);
        assert!(geteuid().is_root() && fs::read(&private).is_ok());
        assert_eq!((getgroups().unwrap(), getegid()), (groups, group));
    }

    #[test]
    fn where_root_owns_the_directory_nothing_changes() {
        let before = geteuid();
        let acting = Acting::take_up(0, 0).unwrap();
        assert_eq!((geteuid(), as_operator(geteuid)), (before, before));
        drop(acting);
        assert_eq!(geteuid(), before);
        let other = io::Error::from(io::ErrorKind::NotFound);
        assert!(hint(&other).is_none());
    }
}
