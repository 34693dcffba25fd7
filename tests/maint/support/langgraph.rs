//! Databases written by LangGraph itself, and what was said in them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use rusqlite::Connection;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use super::House;

/// Who said what when.
pub type Said = Vec<(String, String, i64)>;

/// A predecessor's database in a directory of its own.
pub struct Predecessor {
    pub file: PathBuf,
    /// What was said in each thread; one without a root namespace is named with its namespace.
    pub said: BTreeMap<String, Said>,
    dir: TempDir,
}

impl Predecessor {
    /// Runs a scenario of `write.py` on a new file.
    pub fn written(scenario: &[&str]) -> Self {
        let dir = TempDir::new().unwrap();
        let file = dir.path().join("memory.db");
        let said = write(&file, scenario);
        Self { file, said, dir }
    }

    /// Threads of every kind. Written once for all tests; each gets a copy.
    pub fn with_everything() -> Self {
        static WRITTEN: OnceLock<Predecessor> = OnceLock::new();
        let written = WRITTEN.get_or_init(|| Self::written(&["everything"]));
        let dir = TempDir::new().unwrap();
        let file = dir.path().join("memory.db");
        std::fs::copy(&written.file, &file).unwrap();
        Self { file, said: written.said.clone(), dir }
    }

    /// Goes on with a scenario; what is said is added to what was.
    pub fn goes_on(&mut self, scenario: &str) {
        for (thread, said) in write(&self.file, &[scenario]) {
            self.said.entry(thread).or_default().extend(said);
        }
    }

    pub fn path(&self) -> &str {
        self.file.to_str().unwrap()
    }

    pub fn db(&self) -> Connection {
        #[expect(clippy::disallowed_methods, reason = "a test damages what the predecessor wrote")]
        Connection::open(&self.file).unwrap()
    }

    /// Every file in the database's directory, with its bytes.
    pub fn bytes(&self) -> BTreeMap<PathBuf, String> {
        let entries = std::fs::read_dir(self.dir.path()).unwrap();
        let files = entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_file());
        files.map(|path| (path.clone(), super::sha256(&std::fs::read(path).unwrap()))).collect()
    }

    pub fn turns(&self) -> usize {
        self.said.values().flatten().filter(|(role, ..)| role == "user").count()
    }

    /// Everything that was said is in the house, in order, with its time, once.
    #[track_caller]
    pub fn assert_all_in(&self, house: &House) {
        for (thread, said) in &self.said {
            assert!(imported(house, thread) == *said, "thread {thread} differs");
        }
    }
}

fn write(file: &Path, scenario: &[&str]) -> BTreeMap<String, Said> {
    #[expect(clippy::disallowed_methods, reason = "tests/run tells where LangGraph is installed")]
    let python = std::env::var("LANGGRAPH_PYTHON").unwrap_or_else(|_| {
        panic!("LANGGRAPH_PYTHON names no Python with LangGraph in it: run tests/run, which installs it")
    });
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/maint/langgraph/write.py");
    let mut command = Command::new(python);
    command.arg(script).arg(scenario[0]).arg(file).args(&scenario[1..]);
    let output = command.output().unwrap();
    assert!(output.status.success(), "write.py: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// What the house holds of a thread; nothing when it was not imported.
pub fn imported(house: &House, thread: &str) -> Said {
    let (thread, namespace) = thread.split_once('/').unwrap_or((thread, ""));
    let mut hasher = Sha256::new();
    hasher.update(thread.len().to_be_bytes());
    hasher.update(thread);
    hasher.update(namespace);
    let hash: [u8; 32] = hasher.finalize().into();
    let db = house.db();
    let mut statement = db
        .prepare(
            "SELECT said, answered, said_at, answered_at FROM checkpoints WHERE session_id =
             (SELECT session_id FROM imported_threads WHERE thread = ?1) ORDER BY id",
        )
        .unwrap();
    let turns = statement.query_map([hash], |row| {
        Ok([
            ("user".to_owned(), row.get(0)?, row.get(2)?),
            ("assistant".to_owned(), row.get(1)?, row.get(3)?),
        ])
    });
    let sides = turns.unwrap().flat_map(Result::unwrap);
    sides.filter(|(_, words, _): &(String, String, i64)| !words.is_empty()).collect()
}
