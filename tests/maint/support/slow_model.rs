//! A language model's server that thinks until the test lets it answer.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::support::wait_for;

#[derive(Clone)]
pub struct SlowModel {
    pub url: String,
    asked: Arc<AtomicUsize>,
    answers: Arc<AtomicBool>,
}

impl SlowModel {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/v1", listener.local_addr().unwrap());
        let model = Self { url, asked: Arc::default(), answers: Arc::default() };
        let shared = model.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let model = shared.clone();
                std::thread::spawn(move || model.serve(stream));
            }
        });
        model
    }

    /// How many replies it was asked for.
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    /// From now on it answers.
    pub fn answer(&self) {
        self.answers.store(true, Ordering::SeqCst);
    }

    fn serve(&self, mut stream: TcpStream) {
        let mut requests = BufReader::new(stream.try_clone().unwrap());
        while let Some(is_asked) = next_request(&mut requests) {
            let (kind, body) = if is_asked {
                self.asked.fetch_add(1, Ordering::SeqCst);
                wait_for("the model may answer", || self.answers.load(Ordering::SeqCst));
                let word =
                    r#"{"choices":[{"index":0,"delta":{"content":"Welcome back."},"finish_reason":"stop"}]}"#;
                ("text/event-stream", format!("data: {word}\n\ndata: [DONE]\n\n"))
            } else {
                ("application/json", "{}".to_owned())
            };
            let length = body.len();
            let answer =
                format!("HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n{body}");
            if stream.write_all(answer.as_bytes()).is_err() {
                return;
            }
        }
    }
}

/// Reads one request whole; true when it asks for a reply, `None` when no more come.
fn next_request(requests: &mut BufReader<TcpStream>) -> Option<bool> {
    let (mut line, mut is_asked, mut length) = (String::new(), false, 0);
    loop {
        line.clear();
        if requests.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let told = line.trim_end().to_ascii_lowercase();
        is_asked |= told.starts_with("post ");
        if let Some(told) = told.strip_prefix("content-length:") {
            length = told.trim().parse().ok()?;
        }
        if told.is_empty() {
            break;
        }
    }
    requests.read_exact(&mut vec![0; length]).ok()?;
    Some(is_asked)
}
