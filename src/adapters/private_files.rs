//! Whether what is private is private: owner and permissions of one path, looked at and mended without following a link,
//! also in its middle. Root's own rights are used for nothing but to give to the owner what lies among their files.
//!
//! The path is opened with `O_PATH`: closing a database file that was opened in any other way would drop the locks that
//! `SQLite` holds on it in this process.

use std::fs::Permissions;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path};

use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, Stat, Uid, chownat, openat};
use rustix::io::Errno;

use crate::adapters::acting::as_operator;
use crate::adapters::data_dir::Owner;
use crate::adapters::disk::{DiskError, Naming};

/// What group and others may do.
const FOREIGN_BITS: u32 = 0o077;

/// What is wrong with a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exposed {
    /// Its permissions, when group or others have some.
    pub mode: Option<u32>,
    /// The user it belongs to, when that is another one than the data directory's.
    pub owner: Option<u32>,
    /// What its permissions should be.
    pub right_mode: u32,
}

/// Looks at a file or directory below `base`, or at that itself. `None` when it is as it should be, is gone, or is a link or
/// something else. Only what leads to `base` may be links.
///
/// # Errors
/// When it cannot be looked at.
pub fn look(base: &Path, path: &Path, owner: Owner) -> Result<Option<Exposed>, DiskError> {
    Ok(open(base, path)?.and_then(|(_, stat)| exposed(&stat, owner)))
}

/// Gives it to the data directory's owner and takes away what group and others may do.
///
/// # Errors
/// When that is refused: only root can give files away.
pub fn mend(base: &Path, path: &Path, owner: Owner) -> Result<(), DiskError> {
    let Some((file, stat)) = open(base, path)? else { return Ok(()) };
    let Some(exposed) = exposed(&stat, owner) else { return Ok(()) };
    if exposed.owner.is_some() {
        let (uid, gid) = owner.ids();
        // A second name may be that of somebody else's file.
        let given = if stat.st_nlink > 1 && is(&stat, FileType::RegularFile) {
            Err(Errno::MLINK)
        } else {
            let (uid, gid) = (Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)));
            as_operator(|| chownat(&file, "", uid, gid, AtFlags::EMPTY_PATH))
        };
        given.naming("change the owner of", path)?;
    }
    if exposed.mode.is_some() {
        // There is no other way to change the file behind such a handle on older kernels.
        let handle = format!("/proc/self/fd/{}", file.as_raw_fd());
        std::fs::set_permissions(handle, Permissions::from_mode(exposed.right_mode))
            .naming("set permissions of", path)?;
    }
    Ok(())
}

/// Opens it name by name from `base` on. `None` when one of the names is gone, or on the way to it is no directory.
fn open(base: &Path, path: &Path) -> Result<Option<(OwnedFd, Stat)>, DiskError> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let absent = |error: Errno| matches!(error, Errno::NOENT | Errno::NOTDIR | Errno::LOOP);
    let mut file = match rustix::fs::open(base, flags, Mode::empty()) {
        Ok(file) => file,
        Err(error) if absent(error) => return Ok(None),
        Err(error) => return Err(error).naming("look at", base),
    };
    for name in path.strip_prefix(base).unwrap_or(Path::new("")).components() {
        let Component::Normal(name) = name else { return Ok(None) };
        file = match openat(&file, name, flags | OFlags::NOFOLLOW, Mode::empty()) {
            Ok(file) => file,
            Err(error) if absent(error) => return Ok(None),
            Err(error) => return Err(error).naming("look at", path),
        };
    }
    let stat = rustix::fs::fstat(&file).naming("look at", path)?;
    Ok(Some((file, stat)))
}

fn exposed(stat: &Stat, owner: Owner) -> Option<Exposed> {
    if !is(stat, FileType::RegularFile) && !is(stat, FileType::Directory) {
        return None;
    }
    let mode = stat.st_mode & 0o7777;
    let exposed = Exposed {
        mode: (mode & FOREIGN_BITS != 0).then_some(mode),
        owner: (stat.st_uid != owner.ids().0).then_some(stat.st_uid),
        right_mode: mode & !FOREIGN_BITS,
    };
    (exposed.mode.is_some() || exposed.owner.is_some()).then_some(exposed)
}

fn is(stat: &Stat, kind: FileType) -> bool {
    FileType::from_raw_mode(stat.st_mode) == kind
}
