//! A service outside, as the test wants it: an HTTP server of a few lines that answers by script and notes what it sees.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::wait_for;

/// One thing it does while it answers.
#[derive(Clone)]
pub enum Part {
    Send(Vec<u8>),
    /// As slow as the test wants it.
    Pause(Duration),
    /// Until the test says so, at most 20 s.
    Await(Arc<AtomicBool>),
    /// Says nothing more until the other side has closed the connection.
    UntilGone,
    /// Closes the connection.
    Close,
}

/// What it answers to a request.
type Answers = Arc<dyn Fn(&Seen) -> Vec<Part> + Send + Sync>;

#[derive(Default)]
struct State {
    scripts: VecDeque<Vec<Part>>,
    answers: Option<Answers>,
    usual: Vec<Part>,
    requests: Vec<Seen>,
    connections: usize,
    open: usize,
    most_open: usize,
    gone: Vec<Instant>,
}

/// A request as it came.
#[derive(Clone)]
pub struct Seen {
    pub head: String,
    pub body: Vec<u8>,
}

impl Seen {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().skip(1).filter_map(|line| line.split_once(": "));
        lines.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

/// A server outside; it serves until the test ends.
#[derive(Clone)]
pub struct Outside {
    pub url: String,
    state: Arc<Mutex<State>>,
}

impl Outside {
    pub fn new(usual: Vec<Part>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/v1", listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new(State { usual, ..State::default() }));
        let shared = state.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let state = shared.clone();
                std::thread::spawn(move || serve(stream, &state));
            }
        });
        Self { url, state }
    }

    /// What it does at the next request that has no script yet.
    pub fn next(&self, script: Vec<Part>) {
        self.lock().scripts.push_back(script);
    }

    /// What it does from now on without a script.
    pub fn usually(&self, script: Vec<Part>) {
        let mut state = self.lock();
        (state.usual, state.answers) = (script, None);
    }

    /// From now on it answers what has no script by what is asked.
    pub fn answers(&self, answers: impl Fn(&Seen) -> Vec<Part> + Send + Sync + 'static) {
        self.lock().answers = Some(Arc::new(answers));
    }

    /// The requests for this path, oldest first.
    pub fn requests(&self, path: &str) -> Vec<Seen> {
        let asked = |seen: &&Seen| seen.head.split(' ').nth(1) == Some(path);
        self.lock().requests.iter().filter(asked).cloned().collect()
    }

    /// Connections that were ever made, and the most that were open at once.
    pub fn connections(&self) -> (usize, usize) {
        let state = self.lock();
        (state.connections, state.most_open)
    }

    /// Connections open now.
    pub fn open(&self) -> usize {
        self.lock().open
    }

    /// When the other side was seen to go: at a [`Part::UntilGone`], or before, by what could not be sent any more.
    pub fn gone(&self) -> Vec<Instant> {
        self.lock().gone.clone()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

fn serve(mut stream: TcpStream, state: &Mutex<State>) {
    {
        let mut state = state.lock().unwrap();
        state.connections += 1;
        state.open += 1;
        state.most_open = state.most_open.max(state.open);
    }
    let _ = stream.set_nodelay(true);
    while let Some(seen) = read(&mut stream) {
        let looks = seen.head.starts_with("GET ");
        let script = {
            let mut state = state.lock().unwrap();
            state.requests.push(seen.clone());
            // Looks at whether it is there are not what scripts are for.
            if looks { whole(200, &[], &json!({"data": []})) } else { next(&mut state, &seen) }
        };
        if !perform(&mut stream, script, state) {
            break;
        }
    }
    state.lock().unwrap().open -= 1;
}

fn next(state: &mut State, seen: &Seen) -> Vec<Part> {
    if let Some(script) = state.scripts.pop_front() {
        return script;
    }
    state.answers.as_ref().map_or_else(|| state.usual.clone(), |answers| answers(seen))
}

/// False when the connection is over.
fn perform(stream: &mut TcpStream, script: Vec<Part>, state: &Mutex<State>) -> bool {
    for part in script {
        match part {
            Part::Send(bytes) => {
                if stream.write_all(&bytes).is_err() {
                    state.lock().unwrap().gone.push(Instant::now());
                    return false;
                }
            }
            Part::Pause(time) => std::thread::park_timeout(time),
            Part::Await(said) => wait_for("the test says so", || said.load(Ordering::SeqCst)),
            Part::UntilGone => {
                while stream.read(&mut [0; 1024]).is_ok_and(|count| count > 0) {}
                state.lock().unwrap().gone.push(Instant::now());
                return false;
            }
            Part::Close => return false,
        }
    }
    true
}

fn read(stream: &mut TcpStream) -> Option<Seen> {
    let mut received = Vec::new();
    let mut buffer = [0; 16 * 1024];
    loop {
        if let Some(end) = received.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&received[..end]).into_owned();
            let length = Seen { head: head.clone(), body: Vec::new() };
            let length = length.header("content-length").map_or(0, |length| length.parse().unwrap());
            if received.len() >= end + 4 + length {
                return Some(Seen { head, body: received[end + 4..end + 4 + length].to_vec() });
            }
        }
        match stream.read(&mut buffer) {
            Ok(count) if count > 0 => received.extend_from_slice(&buffer[..count]),
            _ => return None,
        }
    }
}

/// A whole JSON answer.
pub fn whole(status: u16, headers: &[(&str, &str)], body: &Value) -> Vec<Part> {
    let body = body.to_string();
    let mut head = format!(
        "HTTP/1.1 {status} Said\r\nContent-Type: application/json\r\nContent-Length: {}\r\n",
        body.len()
    );
    headers.iter().for_each(|(name, value)| head.push_str(&format!("{name}: {value}\r\n")));
    vec![Part::Send(format!("{head}\r\n{body}").into_bytes())]
}

/// A whole answer that is an MP3 file.
pub fn sound(bytes: &[u8]) -> Vec<Part> {
    let head =
        format!("HTTP/1.1 200 OK\r\nContent-Type: audio/mpeg\r\nContent-Length: {}\r\n\r\n", bytes.len());
    vec![Part::Send([head.as_bytes(), bytes].concat())]
}

/// An error as these services tell it.
pub fn refusal(status: u16, headers: &[(&str, &str)], code: &str) -> Vec<Part> {
    whole(
        status,
        headers,
        &json!({"error": {"message": "secret inner cause", "type": "error", "code": code}}),
    )
}

/// The head of an answer that streams events.
pub fn events_begin() -> Part {
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
    Part::Send(head.as_bytes().to_vec())
}

/// One piece of a streamed body.
pub fn chunk(text: &str) -> Part {
    Part::Send(format!("{:x}\r\n{text}\r\n", text.len()).into_bytes())
}

/// The end of a streamed body.
pub fn end() -> Part {
    Part::Send(b"0\r\n\r\n".to_vec())
}
