//! A house with its maintenance tool as a process, and what tests need to look at what it leaves on disk.

use std::collections::BTreeSet;
use std::io::{PipeReader, PipeWriter, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use serde_json::Value;
use tempfile::TempDir;

pub mod content;
pub mod dice;
pub mod langgraph;
mod mounted;
pub mod seed;
mod server;
mod slow_model;

pub use mounted::Mounted;
pub use server::{Server, Talk, agent};
pub use slow_model::SlowModel;

/// A data directory of its own, and the settings everything in it is run with.
pub struct House {
    pub dir: PathBuf,
    settings: Vec<(String, String)>,
    _temporary: Option<TempDir>,
}

impl House {
    pub fn new() -> Self {
        let temporary = TempDir::new().unwrap();
        let mut house = Self::at(temporary.path().join("data"));
        house._temporary = Some(temporary);
        house
    }

    pub fn at(dir: PathBuf) -> Self {
        Self { dir, settings: Vec::new(), _temporary: None }.with("MIN_FREE_DISK_BYTES", "0")
    }

    /// A house whose database the server has made, with nobody in it.
    pub fn built() -> Self {
        let house = Self::new();
        house.start().stop();
        house
    }

    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.settings.retain(|(known, _)| known != name);
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn database(&self) -> PathBuf {
        self.dir.join("companion.db")
    }

    pub fn db(&self) -> Connection {
        #[expect(clippy::disallowed_methods, reason = "a test looks at what is there")]
        let db = Connection::open(self.database()).unwrap();
        db.busy_timeout(std::time::Duration::from_secs(10)).unwrap();
        db
    }

    pub fn backups(&self) -> Vec<PathBuf> {
        names(&self.dir.join("backups"), ".db.zst")
    }

    /// One of the two programs, with this house's settings and nothing else.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env_clear().env("DATA_DIR", &self.dir).env("LOG_FORMAT", "json").env("LOG_LEVEL", "info");
        command.envs(self.settings.iter().cloned()).current_dir(std::env::temp_dir());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    pub fn maint_command(&self, arguments: &[&str]) -> Command {
        let mut command = self.command(env!("CARGO_BIN_EXE_companion-maint"));
        command.args(arguments);
        command
    }

    /// Runs `companion-maint --json` to its end.
    pub fn maint(&self, arguments: &[&str]) -> Ran {
        let mut with_json = arguments.to_vec();
        with_json.push("--json");
        Ran::from(self.maint_command(&with_json).output().unwrap())
    }

    /// Every file of the house, the locks and the reserve left out.
    pub fn files(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut places = vec![self.dir.clone()];
        while let Some(place) = places.pop() {
            // A running server gives a directory its final name, or takes it away.
            let Ok(entries) = std::fs::read_dir(&place) else {
                assert!(!place.exists(), "cannot be listed: {}", place.display());
                continue;
            };
            for entry in entries {
                let path = entry.unwrap().path();
                if path.is_dir() { places.push(path) } else { found.push(path) }
            }
        }
        found.retain(|path| !path.ends_with("reserve") && path.extension().is_none_or(|end| end != "lock"));
        found
    }

    pub fn assert_no_temporary_files(&self) {
        let left = self.temporary_files();
        assert!(left.is_empty(), "left behind: {left:?}");
    }

    /// The same beside a server that has just started and may be writing the page's files: it has one place for them, and
    /// what those before it had begun is gone.
    pub fn assert_no_temporary_files_but_of_the_running_server(&self) {
        let assets = self.dir.join("assets");
        let (of_the_page, others): (Vec<_>, Vec<_>) =
            self.temporary_files().into_iter().partition(|path| path.starts_with(&assets));
        assert!(others.is_empty(), "left behind: {others:?}");
        let places: BTreeSet<_> = of_the_page.iter().map(|path| path.parent()).collect();
        assert!(places.len() <= 1, "left behind: {places:?}");
    }

    fn temporary_files(&self) -> Vec<PathBuf> {
        self.files().into_iter().filter(|path| path.to_string_lossy().contains("-tmp-")).collect()
    }

    pub fn assert_sound(&self) {
        let db = self.db();
        let verdict: String = db.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        assert_eq!(verdict, "ok");
        let dangling: i64 =
            db.query_row("SELECT count(*) FROM pragma_foreign_key_check", [], |row| row.get(0)).unwrap();
        assert_eq!(dangling, 0);
        let counted = "SELECT (SELECT count(*) FROM sessions) = sessions
            AND (SELECT count(*) FROM checkpoints) = checkpoints FROM totals";
        assert!(db.query_row(counted, [], |row| row.get::<_, bool>(0)).unwrap(), "the totals are wrong");
    }

    /// Every file with a backup's name is a whole database.
    pub fn assert_backups_verify(&self) {
        for backup in self.backups() {
            let manifest = std::fs::read(backup.to_string_lossy().replace(".db.zst", ".json")).unwrap();
            let manifest: Value = serde_json::from_slice(&manifest).unwrap();
            let packed = std::fs::read(&backup).unwrap();
            assert_eq!(sha256(&packed), manifest["sha256"], "{}", backup.display());
            let copy = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(copy.path(), zstd::decode_all(packed.as_slice()).unwrap()).unwrap();
            #[expect(clippy::disallowed_methods, reason = "a test looks at what is there")]
            let db = Connection::open(copy.path()).unwrap();
            let verdict: String = db.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
            assert_eq!(verdict, "ok");
            let held: u64 = db.query_row("SELECT count(*) FROM checkpoints", [], |row| row.get(0)).unwrap();
            assert_eq!(manifest["checkpoints"], held);
        }
    }
}

pub fn sha256(bytes: &[u8]) -> String {
    use sha2::Digest;
    sha2::Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The files of a directory whose name ends with `ending`, sorted.
pub fn names(dir: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found: Vec<_> = std::fs::read_dir(dir)
        .map(|entries| entries.map(|entry| entry.unwrap().path()).collect())
        .unwrap_or_default();
    found.retain(|path: &PathBuf| path.to_string_lossy().ends_with(ending));
    found.sort();
    found
}

/// A finished run of `companion-maint`.
pub struct Ran {
    pub code: i32,
    pub report: Value,
    pub stdout: String,
    pub stderr: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        let stdout = String::from_utf8(output.stdout).unwrap();
        Self {
            code: output.status.code().unwrap_or(-1),
            report: serde_json::from_str(&stdout).unwrap_or(Value::Null),
            stdout,
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl Ran {
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, code, "stdout: {}\nstderr: {}", self.stdout, self.stderr);
        if code != 2 || !self.report.is_null() {
            assert_eq!(self.report["exit_code"], code, "{}", self.stdout);
        }
        self
    }

    /// The text of the first error in the report.
    pub fn error(&self) -> String {
        self.report["errors"][0]["error"].as_str().unwrap_or_default().to_owned()
    }

    #[track_caller]
    pub fn tells(self, part: &str) -> Self {
        assert!(
            self.stdout.contains(part) || self.stderr.contains(part),
            "{part:?} is not in {} {}",
            self.stdout,
            self.stderr
        );
        self
    }
}

/// A pipe that takes no more until somebody reads from it.
pub fn full_pipe() -> (PipeReader, PipeWriter) {
    let (reader, mut writer) = std::io::pipe().unwrap();
    let flags = rustix::fs::fcntl_getfl(&writer).unwrap();
    rustix::fs::fcntl_setfl(&writer, flags | rustix::fs::OFlags::NONBLOCK).unwrap();
    while writer.write(&[b'\n'; 4096]).is_ok() {}
    rustix::fs::fcntl_setfl(&writer, flags).unwrap();
    (reader, writer)
}

/// Waits until `so`, at most 20 s.
#[track_caller]
pub fn wait_for(what: &str, mut so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !so() {
        assert!(began.elapsed() < Duration::from_secs(20), "waited in vain until {what}");
        std::thread::park_timeout(Duration::from_millis(2));
    }
}

/// The maintenance tool where any user can run it: build directories often lie where only their owner may go.
pub fn reachable_maint(place: &Path) -> PathBuf {
    reachable(Path::new(env!("CARGO_BIN_EXE_companion-maint")), place)
}

/// A program where any user can run it.
pub fn reachable(program: &Path, place: &Path) -> PathBuf {
    let copy = place.join(program.file_name().unwrap());
    // Not written by this process: what another test starts at that moment would have it open, too, and the kernel runs no
    // file that somebody can write.
    let copied = Command::new("install").args(["-m", "755"]).arg(program).arg(&copy).status().unwrap();
    assert!(copied.success());
    copy
}
