//! The server as a process, whose memory is read; clients from any address of this machine; and people who talk meanwhile.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{
    Pid, Resource, Rlimit, Signal, getrlimit, kill_process, setpriority_process, setrlimit,
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

pub const MIB: u64 = 1 << 20;
pub const KIB: u64 = 1 << 10;
/// Those who chat are at machines of their own as well (`nice`), where that is allowed.
const AHEAD: i32 = -10;
/// Who chats while others flood: each address has connections of its own.
const CHATTING: &str = "127.0.1.1";
/// Nothing takes longer.
const PATIENCE: Duration = Duration::from_secs(60);
/// Of fewer turns nothing can be told.
const FEWEST: usize = 100;

/// One flood at a time: what is measured is the server, not what the next test does.
static ALONE: Mutex<()> = Mutex::new(());

/// A server of its own, ended when dropped; it has to have survived until then.
pub struct Flooded {
    /// Of those who flood.
    pub runtime: Runtime,
    /// Of those who chat: they do not wait for what the others do on this side.
    chatting: Runtime,
    pub address: SocketAddr,
    child: Child,
    dir: TempDir,
    _alone: MutexGuard<'static, ()>,
}

impl Flooded {
    /// A server with these settings beside the defaults.
    pub fn start(settings: &[(&str, &str)]) -> Self {
        Self::start_under(":", settings)
    }

    /// The same, after the shell's command.
    pub fn start_under(command: &str, settings: &[(&str, &str)]) -> Self {
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        raise_own_limit();
        let dir = TempDir::new().unwrap();
        let log = File::create(dir.path().join("log")).unwrap();
        let mut command = companion(command, dir.path());
        let mut child = command.envs(settings.iter().copied()).stderr(log).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("Listening on http://").unwrap().parse().unwrap();
        let flooded =
            Self { runtime: runtime(2, 10), chatting: runtime(1, AHEAD), address, child, dir, _alone: alone };
        let began = Instant::now();
        while flooded.runtime.block_on(get(address, "/readyz")).0 != 200 {
            assert!(began.elapsed() < PATIENCE, "the server does not become ready");
        }
        flooded
    }

    /// What it has logged, once this is among it.
    pub fn log_with(&self, event: &str) -> String {
        let began = Instant::now();
        loop {
            let log = std::fs::read_to_string(self.dir.path().join("log")).unwrap();
            if log.lines().any(|line| line.contains(event) && line.ends_with('}')) {
                return log;
            }
            assert!(began.elapsed() < PATIENCE, "no {event} in {log}");
            std::thread::park_timeout(Duration::from_millis(10));
        }
    }

    /// The soft limit of its open files.
    pub fn open_files(&self) -> u64 {
        let told = std::fs::read_to_string(format!("/proc/{}/limits", self.child.id())).unwrap();
        let line = told.lines().find_map(|line| line.strip_prefix("Max open files")).unwrap();
        line.split_whitespace().next().unwrap().parse().unwrap()
    }

    /// Bytes of the process that are in memory now.
    pub fn resident(&self) -> u64 {
        self.memory("VmRSS")
    }

    /// The most there ever were.
    pub fn peak(&self) -> u64 {
        self.memory("VmHWM")
    }

    fn memory(&self, name: &str) -> u64 {
        let told = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = told.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * KIB
    }

    /// Twenty people talk, each with pauses, until they are told to stop.
    pub fn chats(&self) -> Chats {
        let (stop, answered) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let talk = |number| talk(self.address, number, stop.clone(), answered.clone());
        let people = (0..20).map(|number| self.chatting.spawn(talk(number))).collect();
        Chats { stop, answered, people }
    }

    /// Twenty people have talked for two seconds: what that needs is there from now on.
    pub fn warm_up(&self) {
        let chats = self.chats();
        std::thread::park_timeout(Duration::from_secs(2));
        chats.end(self);
    }

    /// One number of `/api/v1/metrics`.
    pub async fn gauge(&self, name: &str) -> f64 {
        let (status, told) = get(self.address, "/api/v1/metrics").await;
        assert_eq!(status, 200);
        told["gauges"][name].as_f64().unwrap_or_else(|| panic!("no {name} in {}", told["gauges"]))
    }
}

/// The server in that directory, after the shell's command. It goes before whatever else this machine does, where that is
/// allowed (`chrt`): what is measured is a server on a machine of its own, and not what others leave to it.
pub fn companion(before: &str, dir: &Path) -> Command {
    let mut command = Command::new("/bin/sh");
    command.args([
        "-c",
        &format!("{before} && {{ chrt -r 1 true 2>&- && exec chrt -r 1 \"$0\" || exec \"$0\"; }}"),
        env!("CARGO_BIN_EXE_companion"),
    ]);
    command.env_clear().env("DATA_DIR", dir.join("data")).env("PORT", "0").env("RATE_LIMIT_ENABLED", "false");
    command.env("LOG_LEVEL", "WARNING").current_dir(dir).stdin(Stdio::null()).stdout(Stdio::piped());
    command
}

impl Drop for Flooded {
    fn drop(&mut self) {
        let died = self.child.try_wait().unwrap();
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
        let ended = self.child.wait().unwrap();
        if !std::thread::panicking() {
            assert_eq!(died, None, "it had ended before");
            assert!(ended.success(), "it ended with {ended}");
        }
    }
}

/// Who talks meanwhile.
pub struct Chats {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
    people: Vec<JoinHandle<Vec<Duration>>>,
}

impl Chats {
    /// Waits until something can be told of them.
    #[track_caller]
    pub fn go_on(&self) {
        let began = Instant::now();
        while self.answered.load(Ordering::Relaxed) < FEWEST {
            assert!(began.elapsed() < PATIENCE, "there are too few turns");
            std::thread::park_timeout(Duration::from_millis(10));
        }
    }

    /// Ends them: every turn was answered. Returns how long 99 of 100 took at most.
    #[track_caller]
    pub fn went_on(self, flooded: &Flooded) -> Duration {
        let took = self.end(flooded);
        assert!(took.len() >= FEWEST, "{} turns are too few to tell", took.len());
        let (median, p99) = (took[took.len() / 2], took[took.len() * 99 / 100]);
        println!("{} turns meanwhile: median {median:?}, p99 {p99:?}", took.len());
        p99
    }

    /// Ends them: every turn was answered. How long each took, in order.
    fn end(self, flooded: &Flooded) -> Vec<Duration> {
        self.stop.store(true, Ordering::Relaxed);
        let people = self.people.into_iter();
        let mut took: Vec<_> = people.flat_map(|person| flooded.chatting.block_on(person).unwrap()).collect();
        took.sort();
        took
    }
}

/// Those who flood would sit at other machines: they step back (`nice`) behind the server, whose processor they share here.
fn runtime(threads: usize, nice: i32) -> Runtime {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    runtime.on_thread_start(move || {
        let _ = setpriority_process(None, nice);
    });
    runtime.worker_threads(threads).enable_all().build().unwrap()
}

async fn talk(
    address: SocketAddr,
    number: u64,
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
) -> Vec<Duration> {
    // Not all in one breath.
    tokio::time::sleep(Duration::from_millis(5 * number)).await;
    let mut took = Vec::new();
    let mut wire = Wire::connect(CHATTING, address).await;
    let session = wire.start_session().await;
    let request = turn(&session, "I went for a walk along the river", "application/json");
    while !stop.load(Ordering::Relaxed) {
        let began = Instant::now();
        wire.send(&request).await;
        assert_eq!(wire.answer().await.0, 200);
        took.push(began.elapsed());
        answered.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    took
}

pub fn turn(session: &str, message: &str, accept: &str) -> Vec<u8> {
    let body = json!({"session_id": session, "message": message}).to_string();
    post("/api/v1/chat", accept, &body)
}

fn post(path: &str, accept: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nHost: x\r\nAccept: {accept}\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

async fn get(address: SocketAddr, path: &str) -> (u16, Value) {
    let mut wire = Wire::connect(CHATTING, address).await;
    wire.send(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).await;
    wire.answer().await
}

/// A connection.
pub struct Wire {
    pub stream: TcpStream,
    received: Vec<u8>,
}

impl Wire {
    /// From that address of this machine.
    pub async fn connect(from: &str, to: SocketAddr) -> Self {
        Self::try_connect(from, to).await.unwrap()
    }

    pub async fn try_connect(from: &str, to: SocketAddr) -> std::io::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddr::new(from.parse().unwrap(), 0))?;
        let stream = tokio::time::timeout(PATIENCE, socket.connect(to)).await.unwrap()?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, received: Vec::new() })
    }

    pub async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    /// The same, when the server may have closed the connection.
    pub async fn try_send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        tokio::time::timeout(PATIENCE, self.stream.write_all(bytes)).await.unwrap()
    }

    /// The status and the body of a whole answer with a length.
    pub async fn answer(&mut self) -> (u16, Value) {
        let whole = async {
            loop {
                if let Some(answer) = self.taken() {
                    return answer;
                }
                let mut piece = [0; 4096];
                let count = self.stream.read(&mut piece).await.unwrap();
                assert_ne!(
                    count,
                    0,
                    "closed before the answer: {:?}",
                    String::from_utf8_lossy(&self.received)
                );
                self.received.extend_from_slice(&piece[..count]);
            }
        };
        tokio::time::timeout(PATIENCE, whole).await.unwrap()
    }

    fn taken(&mut self) -> Option<(u16, Value)> {
        let end = self.received.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
        let head = String::from_utf8_lossy(&self.received[..end]).to_ascii_lowercase();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length:")).unwrap();
        let length: usize = length.trim().parse().unwrap();
        (self.received.len() >= end + length).then(|| {
            let body = serde_json::from_slice(&self.received[end..end + length]).unwrap_or(Value::Null);
            self.received.drain(..end + length);
            (status, body)
        })
    }

    pub async fn start_session(&mut self) -> String {
        self.send(&post("/api/v1/session/start", "application/json", "{}")).await;
        let (status, told) = self.answer().await;
        assert_eq!(status, 200);
        told["session_id"].as_str().unwrap().to_owned()
    }

    /// What still comes until the server closes the connection. A reset is as good an end as any.
    pub async fn rest(&mut self) -> Vec<u8> {
        let mut rest = std::mem::take(&mut self.received);
        let ended = tokio::time::timeout(PATIENCE, self.stream.read_to_end(&mut rest)).await;
        drop(ended.unwrap());
        rest
    }
}

/// The addresses that floods come from, so that none has more connections than one client may have.
pub fn address_of(number: usize) -> String {
    format!("127.0.2.{}", number / 1500 + 1)
}

/// A thousand come in a second.
pub async fn come_in_turn(number: usize) {
    tokio::time::sleep(Duration::from_millis(number as u64)).await;
}

/// The clients' files are this process's.
fn raise_own_limit() {
    let limit = getrlimit(Resource::Nofile);
    let most = limit.maximum.map_or(20_000, |hard| hard.min(20_000));
    assert!(most >= 12_000, "this test needs 12,000 open files; the hard limit (ulimit -Hn) is {most}");
    setrlimit(Resource::Nofile, Rlimit { current: Some(most), maximum: limit.maximum }).unwrap();
}
