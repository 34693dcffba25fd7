//! A voice socket as a client has it.

use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use tungstenite::{Message, WebSocket};

use crate::stub::one_thread;

/// Nothing takes longer.
const PATIENCE: Duration = Duration::from_secs(20);

pub struct Socket(WebSocket<TcpStream>);

impl Socket {
    /// Opens one for the conversation, from that address of this machine.
    pub fn open(from: Ipv4Addr, to: SocketAddr, session: &str) -> Result<Self> {
        let stream = one_thread()?.block_on(async {
            let socket = tokio::net::TcpSocket::new_v4()?;
            socket.bind((from, 0).into())?;
            socket.connect(to).await?.into_std()
        })?;
        stream.set_nonblocking(false)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let url = format!("ws://{to}/api/v1/voice/ws?session_id={session}");
        let opened =
            tungstenite::client(url, stream).map_err(|error| anyhow::anyhow!("no socket: {error}"))?;
        let mut socket = Self(opened.0);
        ensure!(socket.told()?["type"] == "connected", "the socket does not greet");
        Ok(socket)
    }

    /// Says a recording.
    pub fn speak(&mut self, recording: &[u8]) -> Result<()> {
        self.say(&json!({"type": "start_listening"}))?;
        self.0.send(Message::binary(recording.to_vec()))?;
        self.say(&json!({"type": "stop_listening"}))
    }

    pub fn interrupt(&mut self) -> Result<()> {
        self.say(&json!({"type": "interrupt"}))
    }

    /// Reads until the first sound has come; when that was.
    pub fn first_sound(&mut self) -> Result<Instant> {
        loop {
            match self.0.read()? {
                Message::Binary(_) => return Ok(Instant::now()),
                Message::Text(text) => drop(checked(&text)?),
                Message::Ping(_) | Message::Pong(_) | Message::Close(_) | Message::Frame(_) => {}
            }
        }
    }

    /// Reads until the answer has ended; whether it was interrupted.
    pub fn end(&mut self) -> Result<bool> {
        loop {
            let told = self.told()?;
            if told["type"] == "audio_end" {
                return told["interrupted"].as_bool().context("an end that tells nothing");
            }
        }
    }

    fn say(&mut self, message: &Value) -> Result<()> {
        Ok(self.0.send(Message::text(message.to_string()))?)
    }

    fn told(&mut self) -> Result<Value> {
        loop {
            if let Message::Text(text) = self.0.read()? {
                return checked(&text);
            }
        }
    }
}

/// A message that is no failure.
fn checked(text: &str) -> Result<Value> {
    let told: Value = serde_json::from_str(text)?;
    if told["type"] == "error" || told["degraded"].as_array().is_some_and(|all| !all.is_empty()) {
        bail!("a turn failed: {text}");
    }
    Ok(told)
}
