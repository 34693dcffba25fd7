//! HTTP as bytes on a connection, for what a client library would hide or refuse to send.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream};
use std::time::Duration;

use rustix::net::{AddressFamily, SocketType};
use serde_json::Value;

/// On every response, exactly once.
pub const SECURITY: [(&str, &str); 6] = [
    (
        "content-security-policy",
        "default-src 'self'; script-src 'self'; object-src 'none'; base-uri 'none'; frame-ancestors 'none'; \
         form-action 'self'; media-src 'self' blob:",
    ),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("permissions-policy", "microphone=(self), camera=(), geolocation=()"),
    ("referrer-policy", "no-referrer"),
    ("x-content-type-options", "nosniff"),
];

/// What the server answered.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    /// In the order they came, names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    /// The header's value; empty when there is none.
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    pub fn all(&self, name: &str) -> Vec<&str> {
        self.headers.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_str()).collect()
    }

    pub fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&self.body)))
    }

    /// The `error` of an error's body.
    pub fn code(&self) -> String {
        self.json()["error"].as_str().unwrap_or_default().to_owned()
    }

    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{:?} {}", self.headers, String::from_utf8_lossy(&self.body));
        self
    }

    #[track_caller]
    pub fn assert_on_every_response(&self) {
        for (name, value) in SECURITY {
            assert_eq!(self.all(name), [value], "{name} of a {}", self.status);
        }
        assert_eq!(self.all("x-request-id").len(), 1);
    }

    /// An error with this status and code, whose body tells the request id that the header tells.
    #[track_caller]
    pub fn refused(self, status: u16, code: &str) -> Self {
        let answer = self.expect(status);
        let body = answer.json();
        assert_eq!(body["error"], code, "{body}");
        assert_eq!(body["request_id"], answer.header("x-request-id"));
        assert_eq!(answer.header("content-type"), "application/json");
        assert_eq!(answer.header("cache-control"), "no-store", "an error is never kept");
        answer.assert_on_every_response();
        answer
    }
}

/// A connection.
pub struct Wire {
    stream: BufReader<TcpStream>,
}

impl Wire {
    pub fn connect(url: &str) -> Self {
        Self::over(TcpStream::connect(url.trim_start_matches("http://")).unwrap())
    }

    /// From another address of this machine.
    pub fn connect_from(address: Ipv4Addr, url: &str) -> Self {
        let server: SocketAddr = url.trim_start_matches("http://").parse().unwrap();
        let socket = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
        rustix::net::bind(&socket, &SocketAddrV4::new(address, 0)).unwrap();
        rustix::net::connect(&socket, &server).unwrap();
        Self::over(socket.into())
    }

    fn over(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream.set_write_timeout(Some(Duration::from_secs(20))).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream: BufReader::new(stream) }
    }

    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.get_mut().write_all(bytes.as_ref()).unwrap();
    }

    /// The same, when the server may have stopped listening.
    pub fn try_send(&mut self, bytes: &[u8]) -> bool {
        self.stream.get_mut().write_all(bytes).is_ok()
    }

    /// Sends as much of it as is taken, until nothing is for so long; how much that was.
    pub fn send_while_taken(&mut self, bytes: &[u8], patience: Duration) -> usize {
        let stream = self.stream.get_mut();
        stream.set_write_timeout(Some(patience)).unwrap();
        let mut taken = 0;
        while let Ok(some @ 1..) = stream.write(&bytes[taken..]) {
            taken += some;
        }
        stream.set_write_timeout(Some(Duration::from_secs(20))).unwrap();
        taken
    }

    /// The status and the headers.
    pub fn head(&mut self) -> Answer {
        let first = self.line();
        let status = first.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.unwrap_or_else(|| panic!("not a status line: {first:?}"));
        let mut headers = Vec::new();
        loop {
            let line = self.line();
            let Some((name, value)) = line.split_once(':') else { break };
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        Answer { status, headers, body: Vec::new() }
    }

    /// A whole answer.
    pub fn answer(&mut self) -> Answer {
        let mut answer = self.head();
        if answer.header("transfer-encoding") == "chunked" {
            while let Some(chunk) = self.chunk() {
                answer.body.extend(chunk);
            }
        } else if let Ok(length) = answer.header("content-length").parse() {
            answer.body = vec![0; length];
            self.stream.read_exact(&mut answer.body).unwrap();
        }
        answer
    }

    /// The next chunk of a chunked body, `None` at its end.
    pub fn chunk(&mut self) -> Option<Vec<u8>> {
        let length = usize::from_str_radix(self.line().trim(), 16).unwrap();
        let mut chunk = vec![0; length + 2];
        self.stream.read_exact(&mut chunk).unwrap();
        chunk.truncate(length);
        (length > 0).then_some(chunk)
    }

    /// What still comes until the server closes the connection.
    pub fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        self.stream.read_to_end(&mut rest).unwrap();
        rest
    }

    /// The status of the next answer, read with its body; `None` when the connection has ended.
    pub fn broken_or_status(&mut self) -> Option<u16> {
        let is_there = self.stream.fill_buf().is_ok_and(|some| !some.is_empty());
        is_there.then(|| self.answer().status)
    }

    /// True when nothing comes for so long.
    pub fn is_silent_for(&mut self, span: Duration) -> bool {
        self.stream.get_ref().set_read_timeout(Some(span)).unwrap();
        let silent = self.stream.fill_buf().is_err_and(|error| error.kind() == ErrorKind::WouldBlock);
        self.stream.get_ref().set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        silent
    }

    /// What still comes before the connection breaks.
    pub fn broken(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        // A reset is as good an end as any.
        let _ = self.stream.read_to_end(&mut rest);
        rest
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.stream.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }
}

/// One server-sent event.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    pub name: String,
    pub data: Value,
}

/// A turn that streams. Dropping it is how a client goes away.
pub struct Streamed {
    pub head: Answer,
    wire: Wire,
    waiting: String,
}

impl Streamed {
    pub fn new(mut wire: Wire) -> Self {
        Self { head: wire.head(), wire, waiting: String::new() }
    }

    /// The next event, `None` at the end. Holds the frames to their exact form.
    pub fn event(&mut self) -> Option<Event> {
        while !self.waiting.contains("\n\n") {
            let Some(chunk) = self.wire.chunk() else {
                assert_eq!(self.waiting, "", "the stream ended within a frame");
                return None;
            };
            self.waiting.push_str(str::from_utf8(&chunk).unwrap());
        }
        let (frame, rest) = self.waiting.split_once("\n\n").unwrap();
        let (name, data) = frame.split_once('\n').unwrap();
        let name = name.strip_prefix("event: ").unwrap().to_owned();
        let data = serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
        self.waiting = rest.to_owned();
        Some(Event { name, data })
    }

    /// What is sent in one piece: some events.
    pub fn packet(&mut self) -> String {
        String::from_utf8(self.wire.chunk().unwrap()).unwrap()
    }

    /// What still comes before the connection breaks.
    pub fn broken(mut self) -> String {
        String::from_utf8(self.wire.broken()).unwrap()
    }

    /// Everything that still comes.
    pub fn events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.event()).collect()
    }
}
