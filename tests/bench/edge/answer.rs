//! One answer as it came, and what two servers have to have in common before they are compared.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use anyhow::{Context, Result, ensure};
use serde_json::json;

use crate::http::Client;

/// An answer; its headers by name, in small letters.
pub struct Answer {
    pub status: u16,
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

/// A GET with more header lines, each with its end of line.
pub fn request(path: &str, lines: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: companion\r\n{lines}\r\n").into_bytes()
}

/// Asks once.
pub fn ask(address: SocketAddr, request: &[u8]) -> Result<Answer> {
    let (head, body) = Client::connect(address)?.ask_whole(request)?;
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).context("no status")?.parse()?;
    let header = |line: &str| {
        line.split_once(':').map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
    };
    Ok(Answer { status, headers: lines.filter_map(header).collect(), body })
}

impl Answer {
    /// What bare actix-web has to be told to answer `path` like this.
    pub fn for_bare(&self, path: &str) -> String {
        let by_itself = |name: &str| matches!(name, "content-length" | "date");
        let headers: BTreeMap<_, _> = self.headers.iter().filter(|(name, _)| !by_itself(name)).collect();
        match std::str::from_utf8(&self.body) {
            Ok(text) => json!({"path": path, "headers": headers, "body": text}),
            Err(_) => json!({"path": path, "headers": headers, "bytes": self.body.len()}),
        }
        .to_string()
    }

    pub fn header(&self, name: &str) -> Result<&str> {
        self.headers.get(name).map(String::as_str).with_context(|| format!("an answer without {name}"))
    }

    /// Fails unless the other has the same status, body and headers. Values that each server makes up itself may differ; nginx
    /// cannot be kept from saying who it is.
    pub fn is_like(&self, other: &Self) -> Result<()> {
        ensure!(self.status == other.status, "status {} and {}", self.status, other.status);
        ensure!(self.body == other.body, "bodies of {} and {} bytes", self.body.len(), other.body.len());
        let told = |answer: &Self| -> BTreeMap<String, String> {
            let own = |name: &str| matches!(name, "date" | "etag" | "last-modified" | "x-request-id");
            let named =
                answer.headers.iter().filter(|(name, _)| !matches!(name.as_str(), "server" | "connection"));
            named
                .map(|(name, value)| {
                    (name.clone(), if own(name) { String::new() } else { value.to_ascii_lowercase() })
                })
                .collect()
        };
        let (ours, theirs) = (told(self), told(other));
        ensure!(ours == theirs, "the headers differ: {ours:#?} and {theirs:#?}");
        Ok(())
    }
}
