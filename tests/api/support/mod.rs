//! The production server on port 0, with a clock and a model of the test's own; its methods are the API's verbs.

use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use companion::config::ServerConfig;
use companion::domain::clock::{ManualClock, Timestamp};
use companion::startup::{Application, Substitutes};
use companion::web::assets::RELEASE;
use rusqlite::Connection;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::oneshot;

pub mod llm;
pub mod meaning;
pub mod model;
pub mod outside;
pub mod program;
pub mod scrape;
pub mod seed;
pub mod socket;
pub mod tiny_bert;
pub mod tricks;
pub mod voice;
pub mod wire;

use model::StubModel;
use wire::{Answer, Streamed, Wire};

/// When the clock of every test starts: 2026-11-24T13:54:09.123Z.
pub const BEGINNING: i64 = 1_795_528_449_123;

/// A server of its own. Ending it asserts that nothing was left behind.
pub struct TestApp {
    pub url: String,
    pub clock: Arc<ManualClock>,
    pub model: Arc<StubModel>,
    dir: Arc<TempDir>,
    /// What has to be there as long as the server.
    pub also: Option<Arc<TempDir>>,
    agent: ureq::Agent,
    server: Option<Server>,
}

struct Server {
    stop: Option<oneshot::Sender<()>>,
    cut: Option<oneshot::Sender<()>>,
    thread: JoinHandle<Result<(), String>>,
}

/// Who talks, and where.
#[derive(Debug, Clone)]
pub struct Talk {
    pub session: String,
    pub token: String,
}

impl TestApp {
    pub fn spawn() -> Self {
        Self::spawn_with(|_| {})
    }

    /// A server with other settings.
    pub fn spawn_with(change: impl FnOnce(&mut ServerConfig)) -> Self {
        Self::spawn_in(Arc::new(TempDir::new().unwrap()), change)
    }

    /// Stops the server and starts one with other settings on the same data.
    pub fn restart_with(mut self, change: impl FnOnce(&mut ServerConfig)) -> Self {
        self.end();
        Self::spawn_in(self.dir.clone(), change)
    }

    fn spawn_in(dir: Arc<TempDir>, change: impl FnOnce(&mut ServerConfig)) -> Self {
        let mut config = ServerConfig::for_testing(&dir.path().join("data")).unwrap();
        // Every test comes from one address; those about the rate say so.
        config.limits.turns_per_minute = None;
        config.storage.min_free_disk_bytes = 0;
        change(&mut config);
        let assets = config.storage.data_dir.join("assets");
        let keeps_assets = config.storage.min_free_disk_bytes == 0 && !assets.is_file();
        let clock = Arc::new(ManualClock::at(Timestamp::from_millis(BEGINNING)));
        let model = Arc::new(StubModel::new());
        // A test that names a model server means it.
        let real = config.outside.llm.is_some();
        let model_here = (!real).then(|| model.clone() as _);
        let substitutes = Substitutes { clock: clock.clone(), model: model_here, ..Substitutes::default() };
        let (stop, stopped) = oneshot::channel();
        let (cut, cut_off) = oneshot::channel();
        let (tell, told) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
            runtime.unwrap().block_on(async move {
                let application = Application::build(&config, substitutes).map_err(|e| e.to_string())?;
                tell.send(application.url().to_owned()).unwrap();
                let stopped = async { drop(stopped.await) };
                let cut_off = async { drop(cut_off.await) };
                application.run_until_stopped(stopped, cut_off).await.map_err(|e| e.to_string())
            })
        });
        let Ok(url) = told.recv() else { panic!("no server: {:?}", thread.join().unwrap()) };
        let server = Some(Server { stop: Some(stop), cut: Some(cut), thread });
        let app = Self { url, clock, model, dir, also: None, agent: agent(), server };
        wait_for("the server is ready", || app.get("/readyz").status == 200);
        // Else a test could see that directory change its name.
        wait_for("its page's files are kept", || !keeps_assets || assets.join(RELEASE).is_dir());
        app
    }

    /// Tells the server to stop, as SIGTERM does, and returns at once.
    pub fn begin_to_stop(&mut self) {
        self.server.as_mut().unwrap().stop.take().unwrap().send(()).unwrap();
    }

    /// Tells a stopping server to end at once, as a second signal does.
    pub fn cut(&mut self) {
        self.server.as_mut().unwrap().cut.take().unwrap().send(()).unwrap();
    }

    /// Stops the server, as dropping it does.
    pub fn finish(mut self) {
        self.end();
    }

    fn end(&mut self) {
        let Some(Server { stop, cut, thread }) = self.server.take() else { return };
        if std::thread::panicking() {
            drop((stop, cut));
            drop(thread.join());
            return;
        }
        drop(stop);
        assert_eq!(thread.join().unwrap(), Ok(()), "the server ended well");
        drop(cut);
        self.assert_nothing_left_behind();
    }

    fn assert_nothing_left_behind(&self) {
        for file in self.files() {
            let name = file.display().to_string();
            assert!(!name.contains(".companion-tmp-"), "left behind: {name}");
            assert!(
                !name.ends_with("-wal") && !name.ends_with("-shm"),
                "a clean stop leaves one file: {name}"
            );
        }
        let db = self.db();
        let verdict: String = db.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        assert_eq!(verdict, "ok");
        assert_eq!(count(&db, "pragma_foreign_key_check"), 0);
        let counted = "SELECT (SELECT count(*) FROM sessions) = sessions
            AND (SELECT count(*) FROM checkpoints) = checkpoints
            AND (SELECT count(*) FROM memories) = memories
            AND (SELECT count(*) FROM memories WHERE superseded_at IS NULL) = (SELECT count(*) FROM memory_words)
            AND NOT EXISTS (SELECT 1 FROM persons p
                WHERE p.memories <> (SELECT count(*) FROM memories WHERE person_id = p.id)) FROM totals";
        assert!(db.query_row(counted, [], |row| row.get::<_, bool>(0)).unwrap(), "the totals are wrong");
    }

    pub fn data_dir(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// Every file of the data directory.
    pub fn files(&self) -> Vec<PathBuf> {
        files_below(&self.data_dir())
    }

    pub fn db(&self) -> Connection {
        #[expect(clippy::disallowed_methods, reason = "a test looks at what is there")]
        let db = Connection::open(self.data_dir().join("companion.db")).unwrap();
        db.busy_timeout(Duration::from_secs(10)).unwrap();
        db
    }

    /// How many rows the table has.
    pub fn count(&self, table: &str) -> u64 {
        count(&self.db(), table)
    }

    /// Any request.
    pub fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let request = ureq::http::Request::builder().method(method).uri(format!("{}{path}", self.url));
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let answer = if body.is_empty() {
            self.agent.run(request.body(()).unwrap())
        } else {
            self.agent.run(request.body(body).unwrap())
        };
        let mut answer = answer.unwrap();
        let told = |(name, value): (&ureq::http::HeaderName, &ureq::http::HeaderValue)| {
            (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
        };
        Answer {
            status: answer.status().as_u16(),
            headers: answer.headers().iter().map(told).collect(),
            body: answer.body_mut().with_config().limit(1 << 30).read_to_vec().unwrap(),
        }
    }

    pub fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &[], b"")
    }

    pub fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.ask("GET", path, headers, b"")
    }

    pub fn get_as(&self, token: &str, path: &str) -> Answer {
        self.get_with(path, &[("x-companion-person", token)])
    }

    pub fn post(&self, path: &str, headers: &[(&str, &str)], body: &Value) -> Answer {
        let mut headers = headers.to_vec();
        headers.push(("content-type", "application/json"));
        self.ask("POST", path, &headers, body.to_string().as_bytes())
    }

    /// A request as bytes on a connection of its own.
    pub fn raw(&self, request: impl AsRef<[u8]>) -> Answer {
        let mut wire = self.wire();
        wire.send(request);
        wire.answer()
    }

    /// A request line that no client library would send.
    pub fn raw_get(&self, target: &str) -> Answer {
        self.raw(format!("GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"))
    }

    pub fn wire(&self) -> Wire {
        Wire::connect(&self.url)
    }

    /// A new person with a new session.
    pub fn start_session(&self) -> Talk {
        self.start(&[], &json!({}))
    }

    /// A new session of someone known.
    pub fn start_session_of(&self, token: &str) -> Talk {
        let talk = self.start(&[("x-companion-person", token)], &json!({}));
        Talk { token: token.to_owned(), ..talk }
    }

    pub fn start(&self, headers: &[(&str, &str)], body: &Value) -> Talk {
        let started = self.post("/api/v1/session/start", headers, body).expect(200);
        let token = started.header("set-cookie").split(['=', ';']).nth(1).unwrap_or_default().to_owned();
        Talk { session: started.json()["session_id"].as_str().unwrap().to_owned(), token }
    }

    pub fn chat(&self, body: &Value) -> Answer {
        self.post("/api/v1/chat", &[], body)
    }

    pub fn say(&self, talk: &Talk, message: &str) -> Answer {
        self.chat(&json!({"session_id": talk.session, "message": message}))
    }

    /// The same, with the person's own token.
    pub fn tell(&self, talk: &Talk, message: &str) -> Answer {
        let body = json!({"session_id": talk.session, "message": message});
        self.post("/api/v1/chat", &[("x-companion-person", &talk.token)], &body)
    }

    /// Begins a streamed turn; its events can be read one by one.
    pub fn stream(&self, body: &Value) -> Streamed {
        let body = body.to_string();
        let mut wire = self.wire();
        wire.send(format!(
            "POST /api/v1/chat HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\nX-Request-ID: streamed\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        ));
        Streamed::new(wire)
    }

    pub fn sessions(&self, token: &str, query: &str) -> Answer {
        self.get_as(token, &format!("/api/v1/sessions{query}"))
    }

    pub fn session(&self, talk: &Talk, query: &str) -> Answer {
        self.get_as(&talk.token, &format!("/api/v1/sessions/{}{query}", talk.session))
    }

    pub fn patch(&self, talk: &Talk, change: &Value) -> Answer {
        let headers = [("x-companion-person", talk.token.as_str()), ("content-type", "application/json")];
        self.ask(
            "PATCH",
            &format!("/api/v1/sessions/{}", talk.session),
            &headers,
            change.to_string().as_bytes(),
        )
    }

    pub fn delete(&self, talk: &Talk, query: &str) -> Answer {
        let path = format!("/api/v1/sessions/{}{query}", talk.session);
        self.ask("DELETE", &path, &[("x-companion-person", &talk.token)], b"")
    }

    pub fn export(&self, token: &str) -> Answer {
        self.get_as(token, "/api/v1/me/export")
    }

    pub fn erase(&self, token: &str) -> Answer {
        self.ask("DELETE", "/api/v1/me", &[("x-companion-person", token)], b"")
    }

    /// What the person said in a session, oldest first.
    pub fn said(&self, talk: &Talk) -> Vec<String> {
        let body = self.session(talk, "?limit=100").expect(200).json();
        assert_eq!(body["next_cursor"], Value::Null, "the test needs more than one page");
        let messages = body["messages"].as_array().unwrap().clone();
        let said = messages.iter().filter(|message| message["role"] == "user");
        said.map(|message| message["text"].as_str().unwrap().to_owned()).collect()
    }
}

impl Drop for TestApp {
    fn drop(&mut self) {
        self.end();
    }
}

/// Every connection is of its own, so that none is left open when a server is to stop.
pub fn agent() -> ureq::Agent {
    ureq::Agent::config_builder()
        .http_status_as_error(false)
        .max_idle_connections(0)
        .timeout_global(Some(Duration::from_secs(30)))
        .build()
        .into()
}

pub fn files_below(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut places = vec![dir.to_owned()];
    while let Some(place) = places.pop() {
        for entry in std::fs::read_dir(place).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { places.push(path) } else { found.push(path) }
        }
    }
    found
}

fn count(db: &Connection, table: &str) -> u64 {
    db.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
}

/// Asks until it is answered with 200, at most 20 s; that answer.
#[track_caller]
pub fn once_answered(what: &str, ask: impl Fn() -> Answer) -> Answer {
    let mut last = None;
    wait_for(what, || last.insert(ask()).status == 200);
    last.unwrap()
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
