//! A Qdrant for tests: its own local engine behind gRPC (`bridge.py`), and a line to it that can hang and break.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

/// Of what is sent over a line so much is remembered.
const MOST_REMEMBERED: usize = 4 << 20;

/// Qdrant's own engine as a server; it ends with the test.
pub struct Bridge {
    child: Child,
    port: u16,
}

impl Bridge {
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// With `--key` or `--version`.
    pub fn start_with(options: &[&str]) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let python = root.join("target/venv-qdrant/bin/python");
        assert!(python.exists(), "{} is missing: run tests/run, which installs it", python.display());
        let mut command = Command::new(python);
        command.arg(root.join("tests/qdrant/bridge.py")).args(options).env_clear();
        // It ends when its standard input does, also when this process is killed.
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let Ok(port) = line.trim().parse() else { panic!("the bridge did not start") };
        Self { child, port }
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// A line of its own to it.
    pub fn line(&self) -> Line {
        Line::to(SocketAddr::from(([127, 0, 0, 1], self.port)))
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It carries.
    Up,
    /// It takes what comes and says nothing.
    Hung,
    /// Every connection is broken.
    Down,
}

struct Lines {
    state: State,
    ends: Vec<(usize, TcpStream)>,
    next: usize,
    open: usize,
    most_open: usize,
    taken: usize,
    sent: Vec<u8>,
}

/// A line that the test can let hang, and break.
#[derive(Clone)]
pub struct Line {
    address: SocketAddr,
    shared: Arc<(Mutex<Lines>, Condvar)>,
}

impl Line {
    fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let lines = Lines {
            state: State::Up,
            ends: Vec::new(),
            next: 0,
            open: 0,
            most_open: 0,
            taken: 0,
            sent: Vec::new(),
        };
        let line = Self { address, shared: Arc::new((Mutex::new(lines), Condvar::new())) };
        let taking = line.clone();
        std::thread::spawn(move || {
            for near in listener.incoming().map_while(Result::ok) {
                let line = taking.clone();
                std::thread::spawn(move || line.carry(near, server));
            }
        });
        line
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn set(&self, state: State) {
        let mut lines = self.lock();
        lines.state = state;
        if state == State::Down {
            lines.ends.drain(..).for_each(|(_, end)| drop(end.shutdown(Shutdown::Both)));
        }
        drop(lines);
        self.shared.1.notify_all();
    }

    /// The most connections that were open at once, since this was last asked.
    pub fn most_open(&self) -> usize {
        let mut lines = self.lock();
        let open = lines.open;
        std::mem::replace(&mut lines.most_open, open)
    }

    /// True when these bytes went to it.
    pub fn was_sent(&self, bytes: &[u8]) -> bool {
        self.lock().sent.windows(bytes.len()).any(|window| window == bytes)
    }

    /// Connections that were ever taken.
    pub fn taken(&self) -> usize {
        self.lock().taken
    }

    fn lock(&self) -> MutexGuard<'_, Lines> {
        self.shared.0.lock().unwrap()
    }

    /// Waits while the line hangs; false when it is broken.
    fn may_pass(&self) -> bool {
        let hangs = |lines: &mut Lines| lines.state == State::Hung;
        let lines = self.shared.1.wait_while(self.lock(), hangs).unwrap();
        lines.state == State::Up
    }

    fn carry(&self, near: TcpStream, server: SocketAddr) {
        let number = {
            let mut lines = self.lock();
            if lines.state == State::Down {
                return;
            }
            lines.next += 1;
            lines.taken += 1;
            lines.open += 1;
            lines.most_open = lines.most_open.max(lines.open);
            let number = lines.next;
            lines.ends.push((number, near.try_clone().unwrap()));
            number
        };
        if self.may_pass()
            && let Ok(far) = TcpStream::connect(server)
        {
            self.lock().ends.push((number, far.try_clone().unwrap()));
            let (back, from) = (near.try_clone().unwrap(), far.try_clone().unwrap());
            let line = self.clone();
            let returning = std::thread::spawn(move || line.copy(from, back, |_| {}));
            self.copy(near, far, |bytes| {
                let mut lines = self.lock();
                if lines.sent.len() < MOST_REMEMBERED {
                    lines.sent.extend_from_slice(bytes);
                }
            });
            returning.join().unwrap();
        }
        let mut lines = self.lock();
        lines.open -= 1;
        lines.ends.retain(|(of, _)| *of != number);
    }

    fn copy(&self, mut from: TcpStream, mut to: TcpStream, saw: impl Fn(&[u8])) {
        let mut buffer = [0; 16 * 1024];
        while let Ok(read @ 1..) = from.read(&mut buffer) {
            saw(&buffer[..read]);
            if !self.may_pass() || to.write_all(&buffer[..read]).is_err() {
                break;
            }
        }
        let _ = from.shutdown(Shutdown::Both);
        let _ = to.shutdown(Shutdown::Both);
    }
}
