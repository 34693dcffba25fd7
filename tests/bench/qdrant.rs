//! Qdrant beside the server that is measured: a real one where `QDRANT_TEST_URL` names it; else, behind gRPC (`tests/qdrant/bridge.py`),
//! Qdrant Edge, the server's engine as a library.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rusqlite::{Connection, OpenFlags};
use serde_json::Value;

use crate::house::House;
use crate::http::{self, Client};
use crate::load::rest;

const OPERATOR: &str = "the-operator";

/// A Qdrant; ended when dropped.
pub struct Qdrant {
    pub name: &'static str,
    engine: Option<Child>,
    url: String,
}

impl Qdrant {
    /// The one there is; none where there is neither a server nor the Python that has the engine.
    pub fn all() -> Result<Vec<Self>> {
        #[expect(clippy::disallowed_methods, reason = "a real server is named from outside")]
        if let Ok(url) = std::env::var("QDRANT_TEST_URL") {
            return Ok(vec![Self { name: "a Qdrant server", engine: None, url }]);
        }
        let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/venv-qdrant/bin/python");
        if !python.exists() {
            return Ok(Vec::new());
        }
        // What the Python client does without a server takes longer than the second in which a question is answered.
        Ok(vec![Self::start("Qdrant Edge", &python, &["--edge"])?])
    }

    fn start(name: &'static str, python: &Path, options: &[&str]) -> Result<Self> {
        let bridge = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/qdrant/bridge.py");
        let mut command = Command::new(python);
        command.arg(bridge).args(options).env_clear().stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut engine = command.spawn()?;
        let mut line = String::new();
        BufReader::new(engine.stdout.take().context("no output")?).read_line(&mut line)?;
        let port: u16 = line.trim().parse().context("the engine did not start")?;
        Ok(Self { name, engine: Some(engine), url: format!("http://127.0.0.1:{port}") })
    }

    /// A house whose memories are found there, in a collection of its own.
    pub fn finds_for(&self, house: House) -> House {
        let collection = format!("bench-{}", uuid::Uuid::new_v4());
        let house = house.with("QDRANT_URL", &self.url).with("QDRANT_COLLECTION", &collection);
        // One that does not answer in time is asked again soon.
        house.with("CIRCUIT_BREAKER_RECOVERY_TIMEOUT", "1").with("ADMIN_TOKEN", OPERATOR)
    }
}

impl Drop for Qdrant {
    fn drop(&mut self) {
        if let Some(engine) = &mut self.engine {
            drop(engine.kill());
            drop(engine.wait());
        }
    }
}

/// Waits until it holds all that is remembered.
pub fn wait_until_carried(house: &House) -> Result<()> {
    #[expect(clippy::disallowed_methods, reason = "the benchmark looks at what is there")]
    let db = Connection::open_with_flags(house.database(), OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let sql = "SELECT generation IS NULL OR copied_until IS NOT NULL, (SELECT count(*) FROM memory_outbox) FROM memory_copy";
    let began = Instant::now();
    loop {
        let (unfinished, waits): (bool, u64) = db.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
        if !unfinished && waits == 0 {
            return Ok(());
        }
        ensure!(began.elapsed() < Duration::from_secs(1800), "{waits} changes still wait for Qdrant");
        rest(Duration::from_millis(200));
    }
}

/// How the calls to it have ended so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Calls {
    /// Those that were not answered, however that was.
    failed: u64,
    /// True while it is asked at all.
    connected: bool,
}

/// Looks how it is.
pub fn calls(address: SocketAddr) -> Result<Calls> {
    let request = format!("Authorization: Bearer {OPERATOR}\r\n");
    let mut client = Client::connect(address)?;
    let (status, body) = client.ask(&http::get_with("/api/v1/admin/memory/status", &request))?;
    ensure!(status == 200, "the status of the memory was answered {status}");
    let told: Value = serde_json::from_slice(body)?;
    let calls = told["qdrant"]["calls"].as_object().context("no calls")?;
    let failed = calls.iter().filter(|(how, _)| *how != "answered");
    Ok(Calls {
        failed: failed.filter_map(|(_, count)| count.as_u64()).sum(),
        connected: told["qdrant"]["state"] == "connected",
    })
}

/// Asks again until it was Qdrant that has answered, and not the embedded index in its place.
pub fn answered_by_it<T>(address: SocketAddr, mut ask: impl FnMut() -> Result<T>) -> Result<T> {
    let began = Instant::now();
    loop {
        let before = calls(address)?;
        let answer = ask()?;
        if before.connected && calls(address)? == before {
            return Ok(answer);
        }
        ensure!(
            began.elapsed() < Duration::from_secs(120),
            "Qdrant does not answer a question within a second"
        );
        rest(Duration::from_millis(100));
    }
}
