//! File systems of their own: small disks, read-only directories, files that nobody can unlink.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// A file system of its own, mounted for one test. Needs root, which containers and CI have; without it the test says
/// so and fails, because nothing is skipped silently.
pub struct Mounted {
    place: PathBuf,
    _temporary: Option<TempDir>,
}

impl Mounted {
    /// A disk of this size, in memory.
    pub fn small_disk(size: &str) -> Self {
        let temporary = TempDir::new().unwrap();
        let mut mounted = Self::small_disk_at(temporary.path(), size);
        mounted._temporary = Some(temporary);
        mounted
    }

    /// The same in place of a directory.
    pub fn small_disk_at(place: &Path, size: &str) -> Self {
        mount(&["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs", place.to_str().unwrap()]);
        Self { place: place.to_owned(), _temporary: None }
    }

    /// The directory over itself, read-only.
    pub fn read_only(place: &Path) -> Self {
        let name = place.to_str().unwrap();
        mount(&["--bind", name, name]);
        mount(&["-o", "remount,bind,ro", name]);
        Self { place: place.to_owned(), _temporary: None }
    }

    /// A file over itself: nobody can unlink it while it is mounted.
    pub fn pinned(file: &Path) -> Self {
        let name = file.to_str().unwrap();
        mount(&["--bind", name, name]);
        Self { place: file.to_owned(), _temporary: None }
    }

    /// A directory behind FUSE in place of another, which to the kernel is a network file system: no lock of `SQLite`'s is trusted
    /// there, no rename there says that it must not replace, and nothing can be given to somebody else. `None`, and told, where the machine has no FUSE.
    pub fn network_disk(place: &Path) -> Option<Self> {
        if std::fs::File::open("/dev/fuse").is_err() {
            // Past the harness, which keeps what a test prints to itself.
            let mut told = std::io::stderr();
            told.write_all(b"NOT RUN: this machine has no FUSE, so it cannot play a network file system\n")
                .unwrap();
            return None;
        }
        let behind = TempDir::new().unwrap();
        let done = Command::new("bindfs").arg("--chown-deny").arg(behind.path()).arg(place).status().unwrap();
        assert!(done.success(), "this test mounts a file system; run the tests as root");
        Some(Self { place: place.to_owned(), _temporary: Some(behind) })
    }

    pub fn path(&self) -> &Path {
        &self.place
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.place).status();
    }
}

fn mount(arguments: &[&str]) {
    let done = Command::new("mount").args(arguments).status().unwrap();
    assert!(
        done.success(),
        "this test mounts a file system; run the tests as root, or with `unshare -Urm tests/run`"
    );
}
