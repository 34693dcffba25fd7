//! The server as a process, and people who talk with it.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{House, wait_for};

impl House {
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
        let mut server = self.listen_unread(Stdio::piped())?;
        // Always read: a full pipe leaves lines out.
        let stderr = BufReader::new(server.child.stderr.take().unwrap());
        let kept = server.log.clone();
        server.reading = Some(std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                *kept.lock().unwrap() += &(line + "\n");
            }
        }));
        Ok(server)
    }

    /// The same with a log that goes elsewhere.
    pub fn listen_unread(&self, log: Stdio) -> Result<Server, String> {
        let mut command = self.command(env!("CARGO_BIN_EXE_companion"));
        command.env("PORT", "0").env("RATE_LIMIT_ENABLED", "false").stderr(log);
        let mut child = command.spawn().unwrap();
        let mut first = String::new();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        stdout.read_line(&mut first).unwrap();
        let Some(url) = first.trim().strip_prefix("Listening on ") else {
            let output = child.wait_with_output().unwrap();
            return Err(format!("{:?} {}", output.status.code(), String::from_utf8_lossy(&output.stderr)));
        };
        Ok(Server { child, url: url.to_owned(), log: Arc::default(), reading: None })
    }
}

/// A running server; ended when dropped.
pub struct Server {
    child: Child,
    pub url: String,
    log: Arc<Mutex<String>>,
    reading: Option<JoinHandle<()>>,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
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

    /// From now on its files may hold so many bytes at most.
    pub fn limit_files(&self, most: Option<u64>) {
        let limit = rustix::process::Rlimit { current: most, maximum: None };
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::prlimit(Some(pid), rustix::process::Resource::Fsize, limit).unwrap();
    }

    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// What it has logged so far, as far as that was read; all of it, once it has ended by a signal.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// SIGTERM, and the exit code.
    pub fn terminate(&mut self) -> i32 {
        self.signal(rustix::process::Signal::TERM)
    }

    /// What Ctrl-C sends, and the exit code.
    pub fn interrupt(&mut self) -> i32 {
        self.signal(rustix::process::Signal::INT)
    }

    fn signal(&mut self, signal: rustix::process::Signal) -> i32 {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).unwrap();
        let ended = self.child.wait().unwrap();
        self.reading.take().map_or(Ok(()), JoinHandle::join).unwrap();
        ended.code().unwrap_or(-1)
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

    /// What a new session is answered with.
    pub fn start_session_status(&self) -> u16 {
        self.post("/session/start", &json!({})).0
    }

    pub fn say(&self, talk: &Talk, message: &str) -> (u16, Value) {
        self.post("/chat", &json!({"session_id": talk.session, "message": message}))
    }

    /// Deletes what lies at `path`, as its person.
    pub fn delete(&self, talk: &Talk, path: &str) -> u16 {
        let url = format!("{}/api/v1{path}", self.url);
        agent().delete(url).header("x-companion-person", &talk.token).call().unwrap().status().as_u16()
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
        .timeout_global(Some(Duration::from_secs(120)))
        .build()
        .into()
}

fn read(mut answer: ureq::http::Response<ureq::Body>) -> (u16, Value) {
    let status = answer.status().as_u16();
    (status, answer.body_mut().read_json().unwrap_or(Value::Null))
}
