//! The real program as a process of its own.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;

use rusqlite::Connection;
use serde_json::Value;
use tempfile::TempDir;

use super::agent;

/// The server as a process, with everything it writes to stderr.
pub struct Program {
    child: Child,
    pub url: String,
    log: Option<JoinHandle<String>>,
    pub dir: TempDir,
}

impl Program {
    pub fn start(format: &str, level: &str) -> Self {
        Self::start_with(format, level, &[])
    }

    /// With further settings.
    pub fn start_with(format: &str, level: &str, settings: &[(&str, &str)]) -> Self {
        let dir = TempDir::new().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_companion"));
        command.env_clear().env("DATA_DIR", dir.path().join("data")).env("PORT", "0");
        command
            .env("LOG_FORMAT", format)
            .env("LOG_LEVEL", level)
            .env("MIN_FREE_DISK_BYTES", "0")
            .envs(settings.iter().copied());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).current_dir(dir.path());
        let mut child = command.spawn().unwrap();
        let mut first = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
        let url = first.trim().strip_prefix("Listening on ").unwrap().to_owned();
        let mut stderr = child.stderr.take().unwrap();
        let log = std::thread::spawn(move || {
            let mut text = String::new();
            stderr.read_to_string(&mut text).unwrap();
            text
        });
        Self { child, url, log: Some(log), dir }
    }

    pub fn post(&self, path: &str, request_id: &str, body: &Value) -> (String, Value) {
        let request = agent().post(format!("{}/api/v1{path}", self.url)).header("x-request-id", request_id);
        let mut answer = request.send_json(body).unwrap();
        let cookie =
            answer.headers().get("set-cookie").map_or("", |value| value.to_str().unwrap()).to_owned();
        (cookie, answer.body_mut().read_json().unwrap())
    }

    pub fn db(&self) -> Connection {
        #[expect(clippy::disallowed_methods, reason = "a test looks at what is there")]
        Connection::open(self.dir.path().join("data/companion.db")).unwrap()
    }

    /// The names of its threads.
    pub fn threads(&self) -> Vec<String> {
        let threads = std::fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap();
        let name = |thread: std::fs::DirEntry| std::fs::read_to_string(thread.path().join("comm")).ok();
        threads.flatten().filter_map(name).map(|name| name.trim().to_owned()).collect()
    }

    /// SIGTERM, and all that was written.
    pub fn stop(mut self) -> String {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        assert!(self.child.wait().unwrap().success());
        self.log.take().unwrap().join().unwrap()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
