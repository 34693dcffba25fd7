//! File systems of their own: small disks, read-only directories, files that nobody can unlink.

use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions};
use tempfile::TempDir;

use crate::support::wait_for;

/// A file system of its own, mounted for one test. Needs root, which containers and CI have; without it the test says
/// so and fails, because nothing is skipped silently.
pub struct Mounted {
    place: PathBuf,
    _temporary: Option<TempDir>,
    /// Who answers for it, where it lies behind FUSE.
    daemon: Option<Child>,
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
        Self { place: place.to_owned(), _temporary: None, daemon: None }
    }

    /// The directory over itself, read-only.
    pub fn read_only(place: &Path) -> Self {
        let name = place.to_str().unwrap();
        mount(&["--bind", name, name]);
        mount(&["-o", "remount,bind,ro", name]);
        Self { place: place.to_owned(), _temporary: None, daemon: None }
    }

    /// A file over itself: nobody can unlink it while it is mounted.
    pub fn pinned(file: &Path) -> Self {
        let name = file.to_str().unwrap();
        mount(&["--bind", name, name]);
        Self { place: file.to_owned(), _temporary: None, daemon: None }
    }

    /// A directory behind FUSE in place of another, which to the kernel is a network file system: no lock of `SQLite`'s is trusted
    /// there, no rename there says that it must not replace, and nothing can be given to somebody else. `None`, and told, where the machine has no FUSE.
    pub fn network_disk(place: &Path) -> Option<Self> {
        if std::fs::File::open("/dev/fuse").is_err() {
            tell("NOT RUN: this machine has no FUSE, so it cannot play a network file system");
            return None;
        }
        let behind = TempDir::new().unwrap();
        let before = std::fs::metadata(place).unwrap().dev();
        let daemon = Command::new("bindfs")
            .args(["-f", "--chown-deny"])
            .arg(behind.path())
            .arg(place)
            .spawn()
            .unwrap();
        let mut mounted = Self { place: place.to_owned(), _temporary: Some(behind), daemon: Some(daemon) };
        wait_for("the disk is mounted (run the tests as root)", || {
            let ended = mounted.daemon.as_mut().unwrap().try_wait().unwrap();
            assert!(ended.is_none(), "this test mounts a file system; run the tests as root");
            std::fs::metadata(place).is_ok_and(|meta| meta.dev() != before)
        });
        Some(mounted)
    }

    /// A disk of this size that sets no space aside when it is asked to (ext3). `None`, and told, where the machine has no loop
    /// devices.
    pub fn old_disk(size: &str) -> Option<Self> {
        if std::fs::File::open("/dev/loop-control").is_err() {
            tell("NOT RUN: this machine has no loop devices, so it cannot play an older disk");
            return None;
        }
        let temporary = TempDir::new().unwrap();
        let (image, place) = (temporary.path().join("image"), temporary.path().join("disk"));
        std::fs::create_dir(&place).unwrap();
        for (program, arguments) in [("truncate", ["-s", size].as_slice()), ("mkfs.ext3", &["-q"])] {
            assert!(Command::new(program).args(arguments).arg(&image).status().unwrap().success());
        }
        mount(&["-o", "loop", image.to_str().unwrap(), place.to_str().unwrap()]);
        Some(Self { place, _temporary: Some(temporary), daemon: None })
    }

    /// From now on a disk behind FUSE answers nobody: whoever looks there waits.
    pub fn hang(&self) {
        let pid = self.signal(Signal::STOP).unwrap();
        let stopped = WaitIdOptions::STOPPED | WaitIdOptions::NOWAIT;
        rustix::process::waitid(WaitId::Pid(pid), stopped).unwrap();
    }

    /// It answers again, also those who wait.
    pub fn go_on(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) -> Option<Pid> {
        let pid = Pid::from_child(self.daemon.as_ref()?);
        rustix::process::kill_process(pid, signal).unwrap();
        Some(pid)
    }

    pub fn path(&self) -> &Path {
        &self.place
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        self.go_on();
        let _ = Command::new("umount").arg("-l").arg(&self.place).status();
        if let Some(mut daemon) = self.daemon.take() {
            let _ = daemon.kill();
            let _ = daemon.wait();
        }
    }
}

/// Past the harness, which keeps what a test prints to itself.
fn tell(line: &str) {
    std::io::stderr().write_all(format!("{line}\n").as_bytes()).unwrap();
}

fn mount(arguments: &[&str]) {
    let done = Command::new("mount").args(arguments).status().unwrap();
    assert!(
        done.success(),
        "this test mounts a file system; run the tests as root, or with `unshare -Urm tests/run`"
    );
}
