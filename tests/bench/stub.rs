//! A service outside that answers as a measurement needs it, on a thread of its own.

use std::net::SocketAddr;

use anyhow::{Result, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::oneshot;

use crate::http::find;

/// As long as it is held.
pub struct Stub {
    pub address: SocketAddr,
    _stop: oneshot::Sender<()>,
}

impl Stub {
    /// Each connection is served by itself.
    pub fn start<F>(serve: impl Fn(Caller) -> F + Send + 'static) -> Result<Self>
    where
        F: Future<Output = Result<()>> + Send + 'static,
    {
        let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let (stop, stopped) = oneshot::channel();
        let runtime = one_thread()?;
        std::thread::spawn(move || {
            runtime.block_on(async move {
                tokio::select! {
                    served = accept(listener, serve) => drop(served),
                    stopped = stopped => drop(stopped),
                }
            });
        });
        Ok(Self { address, _stop: stop })
    }
}

pub fn one_thread() -> Result<Runtime> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
}

async fn accept<F>(listener: std::net::TcpListener, serve: impl Fn(Caller) -> F) -> Result<()>
where
    F: Future<Output = Result<()>> + Send + 'static,
{
    let listener = TcpListener::from_std(listener)?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        // A caller that leaves is no failure.
        tokio::spawn(serve(Caller { stream, received: Vec::new() }));
    }
}

/// Who has connected.
pub struct Caller {
    pub stream: TcpStream,
    received: Vec<u8>,
}

impl Caller {
    /// The next request, whole. Looks at whether it is there are answered on the way.
    pub async fn request(&mut self) -> Result<&[u8]> {
        loop {
            self.received.clear();
            while !is_whole(&self.received) {
                ensure!(self.stream.read_buf(&mut self.received).await? > 0, "the caller has left");
            }
            if !self.received.starts_with(b"GET") {
                return Ok(&self.received);
            }
            self.stream.write_all(&whole("application/json", b"{}")).await?;
        }
    }

    /// Resolves when the other side has closed the connection; it has nothing more to say.
    pub async fn left(&mut self) {
        while self.stream.read(&mut [0; 64]).await.is_ok_and(|count| count > 0) {}
    }
}

fn is_whole(request: &[u8]) -> bool {
    let Some(end) = find(request, b"\r\n\r\n") else { return false };
    let head = String::from_utf8_lossy(&request[..end]).to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
    let length = length.and_then(|length| length.trim().parse::<usize>().ok()).unwrap_or_default();
    request.len() >= end + 4 + length
}

/// An answer that comes at once.
pub fn whole(kind: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

/// The head of an answer that comes in pieces.
pub fn streamed(kind: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nTransfer-Encoding: chunked\r\n\r\n")
}

/// One of the pieces.
pub fn chunk(piece: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat()
}

/// A piece of a language model's reply; the last one says why it ends.
pub fn words(text: Option<&str>) -> Vec<u8> {
    let (delta, finish) = match text {
        Some(text) => (serde_json::json!({"content": text}), None),
        None => (serde_json::json!({}), Some("stop")),
    };
    let event = serde_json::json!({"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]});
    chunk(format!("data: {event}\n\n").as_bytes())
}

/// What comes behind a language model's last words.
pub fn end_of_words() -> Vec<u8> {
    [words(None), chunk(b"data: [DONE]\n\n"), b"0\r\n\r\n".to_vec()].concat()
}
