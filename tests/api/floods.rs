//! Many clients that send far too much at once, against the real program: its memory stays bounded and people are answered.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::agent;

const MIB: usize = 1 << 20;
const CLIENTS: usize = 300;
const EACH_SENDS: usize = 200 * MIB;
const TALKERS: usize = 20;
const BUDGET: usize = 64 * MIB;

struct Program {
    child: Child,
    address: String,
    _dir: TempDir,
}

impl Program {
    fn start() -> Self {
        let dir = TempDir::new().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_companion"));
        command.env_clear().env("DATA_DIR", dir.path().join("data")).env("PORT", "0");
        command.env("MIN_FREE_DISK_BYTES", "0").env("RATE_LIMIT_ENABLED", "false");
        command.env("MAX_INFLIGHT_BODY_BYTES", BUDGET.to_string()).env("TRUSTED_PROXIES", "127.0.0.0/8");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).current_dir(dir.path());
        let mut child = command.spawn().unwrap();
        let mut first = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
        let address = first.trim().strip_prefix("Listening on http://").unwrap().to_owned();
        Self { child, address, _dir: dir }
    }

    /// The most memory that was ever resident, or what is now, in bytes.
    fn memory(&self, field: &str) -> usize {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with(field)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 1024
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends its 200 MiB for as long as the server takes any, and returns the status it was told, if it could still read it.
fn flood(address: &str, number: usize) -> Option<u16> {
    let declared = number.is_multiple_of(2);
    let length =
        if declared { format!("Content-Length: {EACH_SENDS}") } else { "Transfer-Encoding: chunked".into() };
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_write_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let head = format!(
        "POST /api/v1/chat HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 192.0.2.{}\r\n\
         Content-Type: application/json\r\n{length}\r\n\r\n",
        number % 200
    );
    stream.write_all(head.as_bytes()).ok()?;
    let piece = vec![b' '; 64 * 1024];
    let framed = [format!("{:x}\r\n", piece.len()).as_bytes(), &piece, b"\r\n"].concat();
    let piece = if declared { piece } else { framed };
    for _ in 0..EACH_SENDS / (64 * 1024) {
        if stream.write_all(&piece).is_err() {
            break;
        }
    }
    let mut told = [0; 12];
    stream.read_exact(&mut told).ok()?;
    String::from_utf8_lossy(&told).split(' ').nth(1)?.parse().ok()
}

/// Talks until it is told to stop; how long every turn took.
fn talk(address: &str, stop: &AtomicBool) -> Vec<Duration> {
    let agent = agent();
    let ask = |path: &str, body: &Value| {
        let mut answer = agent.post(format!("http://{address}/api/v1{path}")).send_json(body).unwrap();
        assert_eq!(answer.status(), 200);
        answer.body_mut().read_json::<Value>().unwrap()
    };
    let session = ask("/session/start", &json!({}))["session_id"].clone();
    let mut times = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let began = Instant::now();
        ask("/chat", &json!({"session_id": session, "message": "how are you today?"}));
        times.push(began.elapsed());
        std::thread::park_timeout(Duration::from_millis(50));
    }
    times
}

#[test]
fn three_hundred_clients_who_send_too_much_neither_fill_the_memory_nor_silence_the_others() {
    let program = Program::start();
    let stop = Arc::new(AtomicBool::new(false));
    let talkers: Vec<_> = (0..TALKERS)
        .map(|_| {
            let (address, stop) = (program.address.clone(), stop.clone());
            std::thread::spawn(move || talk(&address, &stop))
        })
        .collect();
    let before = program.memory("VmRSS");
    let flooders: Vec<_> = (0..CLIENTS)
        .map(|number| {
            let address = program.address.clone();
            std::thread::spawn(move || flood(&address, number))
        })
        .collect();
    let told: Vec<_> = flooders.into_iter().map(|flooder| flooder.join().unwrap()).collect();
    stop.store(true, Ordering::Relaxed);
    let times: Vec<_> = talkers.into_iter().flat_map(|talker| talker.join().unwrap()).collect();
    let grown = program.memory("VmHWM").saturating_sub(before);
    assert!(grown <= BUDGET + 64 * MIB, "grew by {} MiB", grown / MIB);
    assert!(told.iter().flatten().all(|status| matches!(status, 413 | 503)), "{told:?}");
    assert!(told.iter().flatten().any(|status| *status == 413));
    let slowest = times.iter().max().unwrap();
    assert!(*slowest < Duration::from_secs(20), "{slowest:?}");
    assert!(times.len() > TALKERS, "people were answered all the while");
}
