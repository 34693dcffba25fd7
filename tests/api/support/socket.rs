//! A voice socket as a client has it.

use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tungstenite::client::IntoClientRequest;
use tungstenite::{Message, WebSocket};

use super::{Talk, TestApp};

/// Pings come meanwhile, also where nothing else does.
const PATIENCE: Duration = Duration::from_secs(20);

pub struct Socket {
    pub web: WebSocket<TcpStream>,
}

/// What came: a message, or sound.
#[derive(Debug, Clone, PartialEq)]
pub enum Came {
    Text(Value),
    Sound(Vec<u8>),
}

/// One spoken answer, put together.
#[derive(Debug, Default)]
pub struct Answer {
    pub transcription: Option<String>,
    pub deltas: String,
    pub response: Option<Value>,
    /// Of each sentence its beginning and its sound.
    pub sentences: Vec<(Value, Vec<u8>)>,
    pub interrupted: Option<bool>,
}

impl TestApp {
    pub fn socket(&self, talk: &Talk) -> Socket {
        let mut socket = self.try_socket(&talk.session, &[]).unwrap();
        assert_eq!(socket.text()["type"], "connected");
        socket
    }

    /// A socket, or the status and the error it is refused with.
    pub fn try_socket(
        &self,
        session: &str,
        headers: &[(&'static str, &str)],
    ) -> Result<Socket, (u16, String)> {
        let host = self.url.trim_start_matches("http://");
        let url = format!("ws://{host}/api/v1/voice/ws?session_id={session}");
        let mut request = url.into_client_request().unwrap();
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().unwrap());
        }
        let stream = TcpStream::connect(host).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        match tungstenite::client(request, stream) {
            Ok((web, _)) => Ok(Socket { web }),
            Err(tungstenite::HandshakeError::Failure(tungstenite::Error::Http(answer))) => {
                let body: Value =
                    serde_json::from_slice(answer.body().as_deref().unwrap_or_default()).unwrap_or_default();
                Err((answer.status().as_u16(), body["error"].as_str().unwrap_or_default().to_owned()))
            }
            Err(error) => panic!("{error}"),
        }
    }
}

impl Socket {
    pub fn say(&mut self, message: &Value) {
        self.web.send(Message::text(message.to_string())).unwrap();
    }

    /// Sends a recording in pieces.
    pub fn speak(&mut self, recording: &[u8], turn: Option<&str>) {
        self.say(&turn.map_or(
            json!({"type": "start_listening"}),
            |turn| json!({"type": "start_listening", "turn_id": turn}),
        ));
        for piece in recording.chunks(4000) {
            self.web.send(Message::binary(piece.to_vec())).unwrap();
        }
        self.say(&json!({"type": "stop_listening"}));
    }

    pub fn interrupt(&mut self, played_ms: Option<f64>) {
        self.say(
            &played_ms
                .map_or(json!({"type": "interrupt"}), |ms| json!({"type": "interrupt", "played_ms": ms})),
        );
    }

    /// The next thing that comes.
    pub fn next(&mut self) -> Came {
        let began = Instant::now();
        loop {
            assert!(began.elapsed() < PATIENCE, "waited in vain for a message");
            match self.web.read().unwrap() {
                Message::Text(text) => return Came::Text(serde_json::from_str(&text).unwrap()),
                Message::Binary(sound) => return Came::Sound(sound.to_vec()),
                Message::Ping(_) | Message::Pong(_) => {}
                Message::Close(_) | Message::Frame(_) => panic!("the socket was closed"),
            }
        }
    }

    /// The next message, which is no sound.
    pub fn text(&mut self) -> Value {
        match self.next() {
            Came::Text(text) => text,
            Came::Sound(sound) => panic!("{} bytes of sound", sound.len()),
        }
    }

    /// Everything up to a message of this type.
    pub fn until(&mut self, kind: &str) -> Value {
        loop {
            if let Came::Text(text) = self.next()
                && text["type"] == kind
            {
                return text;
            }
        }
    }

    /// A whole answer, up to the end of its sound.
    pub fn answer(&mut self) -> Answer {
        self.go_on(Answer::default())
    }

    /// The same, when the beginning of its first sentence has been read.
    pub fn answer_after(&mut self, audio_start: Value) -> Answer {
        self.go_on(Answer { sentences: vec![(audio_start, Vec::new())], ..Answer::default() })
    }

    fn go_on(&mut self, mut answer: Answer) -> Answer {
        while answer.interrupted.is_none() {
            match self.next() {
                Came::Sound(sound) => answer.sentences.last_mut().unwrap().1.extend(sound),
                Came::Text(text) => match text["type"].as_str().unwrap() {
                    "transcription" => answer.transcription = text["text"].as_str().map(str::to_owned),
                    "response_delta" => answer.deltas.push_str(text["text"].as_str().unwrap()),
                    "response" => answer.response = Some(text),
                    "audio_start" => answer.sentences.push((text, Vec::new())),
                    "audio_end" => answer.interrupted = text["interrupted"].as_bool(),
                    other => panic!("{other}: {text}"),
                },
            }
        }
        answer
    }

    /// Why the other side closes, when it does.
    pub fn closed(mut self) -> Option<u16> {
        loop {
            match self.web.read() {
                Ok(Message::Close(frame)) => return frame.map(|frame| frame.code.into()),
                Ok(_) => {}
                Err(_) => return None,
            }
        }
    }
}
