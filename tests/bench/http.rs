//! A client that costs almost nothing: one kept-alive connection, requests written by hand.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use anyhow::{Context, Result, ensure};
use companion::domain::session::TurnId;
use serde_json::{Value, json};

pub struct Client {
    stream: TcpStream,
    received: Vec<u8>,
}

impl Client {
    pub fn connect(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, received: Vec::new() })
    }

    /// Sends a request and waits for the whole answer: its status and body.
    pub fn ask(&mut self, request: &[u8]) -> Result<(u16, &[u8])> {
        let (status, body) = self.exchange(request)?;
        Ok((status, &self.received[body..]))
    }

    /// The same: its head and body.
    pub fn ask_whole(mut self, request: &[u8]) -> Result<(String, Vec<u8>)> {
        let (_, body) = self.exchange(request)?;
        let head = String::from_utf8(self.received[..body].to_vec())?;
        Ok((head, self.received.split_off(body)))
    }

    /// The answer's status, and where its body begins in what was received.
    fn exchange(&mut self, request: &[u8]) -> Result<(u16, usize)> {
        self.stream.write_all(request)?;
        self.received.clear();
        loop {
            let mut chunk = [0; 4096];
            let count = self.stream.read(&mut chunk)?;
            ensure!(count > 0, "the server closed the connection");
            self.received.extend_from_slice(&chunk[..count]);
            if let Some(found) = whole(&self.received)? {
                return Ok(found);
            }
        }
    }
}

/// The status of a complete answer, and where its body begins.
fn whole(answer: &[u8]) -> Result<Option<(u16, usize)>> {
    let Some(end) = find(answer, b"\r\n\r\n") else { return Ok(None) };
    let head = std::str::from_utf8(&answer[..end])?.to_ascii_lowercase();
    let status = head.split(' ').nth(1).context("no status")?.parse()?;
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
    let length: usize = match length {
        // It has no body, whatever length is told.
        _ if status == 304 => 0,
        length => length.context("an answer without a length")?.trim().parse()?,
    };
    Ok((answer.len() >= end + 4 + length).then_some((status, end + 4)))
}

pub fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}

pub fn get(path: &str) -> Vec<u8> {
    get_with(path, "")
}

/// A GET with more header lines, each with its end of line.
pub fn get_with(path: &str, lines: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: companion\r\n{lines}\r\n").into_bytes()
}

/// A turn whose reply comes whole.
pub fn turn(session: &str, message: &str) -> Vec<u8> {
    let body = json!({"session_id": session, "message": message}).to_string();
    post("/api/v1/chat", "application/json", &body)
}

/// A turn as the page sends it: with an id of its own, its reply streamed.
pub fn streamed_turn(session: &str, message: &str) -> Vec<u8> {
    let body = json!({"session_id": session, "message": message, "turn_id": TurnId::random()}).to_string();
    post("/api/v1/chat", "text/event-stream", &body)
}

fn post(path: &str, accept: &str, body: &str) -> Vec<u8> {
    post_with(path, &format!("Accept: {accept}\r\n"), body)
}

/// A POST of JSON with more header lines, each with its end of line.
pub fn post_with(path: &str, lines: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nHost: companion\r\n{lines}Content-Type: application/json\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

/// A new session's id.
pub fn start_session(address: SocketAddr) -> Result<String> {
    let mut client = Client::connect(address)?;
    let (status, body) = client.ask(&post("/api/v1/session/start", "application/json", "{}"))?;
    ensure!(status == 200, "no session: {status}");
    let told: Value = serde_json::from_slice(body)?;
    Ok(told["session_id"].as_str().context("no session id")?.to_owned())
}

/// A new person's token.
pub fn new_person(address: SocketAddr) -> Result<String> {
    let mut client = Client::connect(address)?;
    client.ask(&post("/api/v1/session/start", "application/json", "{}"))?;
    let head = String::from_utf8_lossy(&client.received).to_ascii_lowercase();
    let cookie = head.split("companion_person=").nth(1).context("no cookie")?;
    Ok(cookie.split(';').next().unwrap_or_default().to_owned())
}

/// Something for a person to be remembered.
pub fn remember(token: &str, body: &Value) -> Vec<u8> {
    let (body, length) = (body.to_string(), body.to_string().len());
    format!(
        "POST /api/v1/memories HTTP/1.1\r\nHost: companion\r\nX-Companion-Person: {token}\r\n\
         Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

/// What a person's memories say about something.
pub fn recall(token: &str, asked: &str, limit: usize) -> Vec<u8> {
    let asked: String = asked.bytes().map(|byte| format!("%{byte:02x}")).collect();
    format!(
        "GET /api/v1/memories?limit={limit}&q={asked} HTTP/1.1\r\nHost: companion\r\nX-Companion-Person: {token}\r\n\r\n"
    )
    .into_bytes()
}
