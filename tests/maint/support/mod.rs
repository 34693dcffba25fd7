//! A server and a maintenance tool as processes, and what tests need to look at what they leave on disk.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use serde_json::{Value, json};
use tempfile::TempDir;

pub mod content;
pub mod dice;
pub mod langgraph;
pub mod seed;

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
        Connection::open(self.database()).unwrap()
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

    /// Starts the server and waits until it says where it listens.
    pub fn start(&self) -> Server {
        self.try_start().unwrap_or_else(|told| panic!("the server did not start: {told}"))
    }

    /// The same, or what it said on stderr before it ended, with its exit code.
    pub fn try_start(&self) -> Result<Server, String> {
        let server = self.listen()?;
        server.wait_until_ready();
        Ok(server)
    }

    /// A server that listens, ready or not.
    pub fn listen(&self) -> Result<Server, String> {
        let mut command = self.command(env!("CARGO_BIN_EXE_companion"));
        command.env("PORT", "0");
        let mut child = command.spawn().unwrap();
        let mut first = String::new();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        stdout.read_line(&mut first).unwrap();
        let Some(url) = first.trim().strip_prefix("Listening on ") else {
            let output = child.wait_with_output().unwrap();
            return Err(format!("{:?} {}", output.status.code(), String::from_utf8_lossy(&output.stderr)));
        };
        // Nobody reads the log here; a full pipe must not stop the server.
        let mut stderr = child.stderr.take().unwrap();
        std::thread::spawn(move || std::io::copy(&mut stderr, &mut std::io::sink()));
        Ok(Server { child, url: url.to_owned() })
    }

    /// Every file of the house, the locks and the reserve left out.
    pub fn files(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut places = vec![self.dir.clone()];
        while let Some(place) = places.pop() {
            for entry in std::fs::read_dir(place).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() { places.push(path) } else { found.push(path) }
            }
        }
        found.retain(|path| !path.ends_with("reserve") && path.extension().is_none_or(|end| end != "lock"));
        found
    }

    pub fn assert_no_temporary_files(&self) {
        let left: Vec<_> =
            self.files().into_iter().filter(|path| path.to_string_lossy().contains("-tmp-")).collect();
        assert!(left.is_empty(), "left behind: {left:?}");
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

/// A running server; ended when dropped.
pub struct Server {
    child: Child,
    pub url: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM, and the exit code.
    pub fn terminate(&mut self) -> i32 {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        self.child.wait().unwrap().code().unwrap_or(-1)
    }

    pub fn stop(mut self) {
        assert_eq!(self.terminate(), 0);
    }

    pub fn wait_until_ready(&self) {
        wait_for("the server is ready", || self.get("/readyz").0 == 200);
    }

    pub fn get(&self, path: &str) -> (u16, Value) {
        agent().get(format!("{}{path}", self.url)).call().map_or((0, Value::Null), read)
    }

    pub fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        let sent = agent().post(format!("{}/api/v1{path}", self.url)).send_json(body);
        sent.map_or((0, Value::Null), read)
    }

    /// A new session and its person's token.
    pub fn start_session(&self) -> Talk {
        let mut started = agent().post(format!("{}/api/v1/session/start", self.url)).send_empty().unwrap();
        let cookie = started.headers()["set-cookie"].to_str().unwrap().to_owned();
        let token = cookie.split(['=', ';']).nth(1).unwrap().to_owned();
        let body: Value = started.body_mut().read_json().unwrap();
        Talk { session: body["session_id"].as_str().unwrap().to_owned(), token }
    }

    pub fn say(&self, talk: &Talk, message: &str) -> (u16, Value) {
        self.post("/chat", &json!({"session_id": talk.session, "message": message}))
    }

    /// Everything that was said in a session, oldest first.
    pub fn history(&self, talk: &Talk) -> Vec<String> {
        let mut pages = Vec::new();
        let mut cursor = String::new();
        loop {
            let url = format!("{}/api/v1/sessions/{}?limit=100{cursor}", self.url, talk.session);
            let answer = agent().get(url).header("x-companion-person", &talk.token).call();
            let (status, body) = answer.map_or((0, Value::Null), read);
            assert_eq!(status, 200, "{body}");
            let said =
                body["messages"].as_array().unwrap().iter().filter(|message| message["role"] == "user");
            pages.push(said.map(|message| message["text"].as_str().unwrap().to_owned()).collect::<Vec<_>>());
            // The newest page comes first.
            let Some(earlier) = body["next_cursor"].as_str() else { break };
            cursor = format!("&cursor={earlier}");
        }
        pages.into_iter().rev().flatten().collect()
    }

    /// Streams a turn; true once `done` has come, false when the connection broke first.
    pub fn stream(&self, talk: &Talk, message: &str, turn: &str) -> bool {
        let body = json!({"session_id": talk.session, "message": message, "turn_id": turn});
        let request = agent().post(format!("{}/api/v1/chat", self.url)).header("accept", "text/event-stream");
        let Ok(mut answer) = request.send_json(&body) else { return false };
        let lines = BufReader::new(answer.body_mut().as_reader()).lines();
        lines.map_while(Result::ok).any(|line| line == "event: done")
    }
}

/// Who talks, and where.
#[derive(Clone)]
pub struct Talk {
    pub session: String,
    pub token: String,
}

pub fn agent() -> ureq::Agent {
    ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(Duration::from_secs(30)))
        .build()
        .into()
}

fn read(mut answer: ureq::http::Response<ureq::Body>) -> (u16, Value) {
    let status = answer.status().as_u16();
    (status, answer.body_mut().read_json().unwrap_or(Value::Null))
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

impl Server {
    /// SIGKILL, while others still hold this handle.
    pub fn kill_now(&self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
        // Its port and its locks go with it; the next server may start once the kernel has seen it end. It is left to be
        // waited for by whoever drops it.
        let ended = rustix::process::WaitIdOptions::EXITED | rustix::process::WaitIdOptions::NOWAIT;
        rustix::process::waitid(rustix::process::WaitId::Pid(pid), ended).unwrap();
    }
}

/// The maintenance tool where any user can run it: build directories often lie where only their owner may go.
pub fn reachable_maint(place: &Path) -> PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let copy = place.join("companion-maint");
    std::fs::copy(env!("CARGO_BIN_EXE_companion-maint"), &copy).unwrap();
    std::fs::set_permissions(&copy, std::fs::Permissions::from_mode(0o755)).unwrap();
    copy
}

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
