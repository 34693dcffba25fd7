//! Programs that hear and speak, recordings in every format, and forms to send them in.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, LazyLock};

use companion::config::{CommandLine, Hearing, ServerConfig, Speaking};
use tempfile::TempDir;

use super::wire::{Answer, Wire};
use super::{Talk, TestApp};

pub const PROCESS: &str = "/api/v1/voice/process";
pub const ALOUD: &str = "/api/v1/voice/stream-tts";
/// What the recordings say.
pub const SAID: &str = "I had a strange dream last night";

/// Each format's ending, and how ffmpeg makes it.
const FORMATS: [(&str, &[&str]); 6] = [
    ("wav", &["-f", "wav"]),
    ("mp3", &["-f", "mp3"]),
    ("ogg", &["-c:a", "libopus", "-f", "ogg"]),
    ("webm", &["-c:a", "libopus", "-f", "webm"]),
    ("m4a", &["-c:a", "aac", "-movflags", "+faststart", "-f", "mp4"]),
    ("flac", &["-f", "flac"]),
];

/// The same words in every format, spoken by espeak-ng and coded by ffmpeg.
pub fn recordings() -> Vec<(&'static str, Vec<u8>)> {
    static MADE: LazyLock<Vec<(&'static str, Vec<u8>)>> = LazyLock::new(|| {
        let speech = spoken(SAID);
        FORMATS.map(|(ending, how)| (ending, coded(&speech, how))).into()
    });
    MADE.clone()
}

/// The words in this format.
pub fn recording(format: &str) -> Vec<u8> {
    recordings().into_iter().find(|(ending, _)| *ending == format).unwrap().1
}

/// A WAV file in which espeak-ng says `text`.
pub fn spoken(text: &str) -> Vec<u8> {
    let said = Command::new("espeak-ng").args(["-s", "140", "--stdout", text]).output().unwrap();
    assert!(said.status.success(), "espeak-ng: {said:?}");
    said.stdout
}

/// What ffmpeg makes of a file, written to its output as `how` says.
pub fn coded(input: &[u8], how: &[&str]) -> Vec<u8> {
    let dir = TempDir::new().unwrap();
    let (from, to) = (dir.path().join("in"), dir.path().join("out"));
    std::fs::write(&from, input).unwrap();
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg.args(["-nostdin", "-loglevel", "error", "-y", "-i"]).arg(&from).args(how).arg(&to);
    assert!(ffmpeg.stdin(Stdio::null()).status().unwrap().success(), "ffmpeg {how:?}");
    std::fs::read(to).unwrap()
}

/// How many seconds ffmpeg finds in a file that it decodes from its first to its last byte.
pub fn seconds(sound: &[u8]) -> f64 {
    let raw = coded(sound, &["-xerror", "-ac", "1", "-ar", "8000", "-f", "s16le"]);
    raw.len() as f64 / 16_000.0
}

/// Programs of the test's own.
pub struct Programs {
    dir: Arc<TempDir>,
}

impl Programs {
    pub fn new() -> Self {
        Self { dir: Arc::new(TempDir::new().unwrap()) }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// What a program has written to a file of this name.
    pub fn noted(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    /// A program that is this shell script; `$HERE` is a directory for its notes.
    pub fn script(&self, name: &str, script: &str) -> CommandLine {
        let path = self.path(name);
        let text = format!("#!/bin/sh\nHERE='{}'\n{script}\n", self.dir.path().display());
        // Not written by this process: what another test starts at that moment would have it open, too, and the kernel runs no
        // file that somebody can write.
        let mut install = Command::new("install");
        let mut install =
            install.args(["-m", "700", "/dev/stdin"]).arg(&path).stdin(Stdio::piped()).spawn().unwrap();
        install.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        assert!(install.wait().unwrap().success());
        program(&path)
    }

    /// A server that hears and speaks through these scripts.
    pub fn server(&self, hears: &str, speaks: &str) -> TestApp {
        self.server_with(hears, speaks, |_| {})
    }

    pub fn server_with(&self, hears: &str, speaks: &str, change: impl FnOnce(&mut ServerConfig)) -> TestApp {
        let (hears, speaks) = (self.script("hears", hears), self.script("speaks", speaks));
        let mut app = TestApp::spawn_with(|config| {
            config.speech.hearing = Some(Hearing::Command(hears));
            config.speech.speaking = Some(Speaking::Command(speaks));
            change(config);
        });
        app.also = Some(self.dir.clone());
        app
    }
}

/// Speaks with a real voice.
pub const ESPEAK: &str = "exec espeak-ng --stdout";

pub fn program(path: &Path) -> CommandLine {
    CommandLine { program: path.display().to_string(), arguments: Vec::new() }
}

const BOUNDARY: &str = "a-boundary";
/// The type of a [`form`].
pub const FORM: &str = "multipart/form-data; boundary=a-boundary";

/// A form with these fields; a field with a file name is a file.
pub fn form(fields: &[(&str, Option<&str>, &[u8])]) -> Vec<u8> {
    let mut body = Vec::new();
    for (name, file, content) in fields {
        let file = file.map(|file| format!("; filename=\"{file}\"")).unwrap_or_default();
        body.extend(
            format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"{file}\r\n\r\n").bytes(),
        );
        body.extend_from_slice(content);
        body.extend_from_slice(b"\r\n");
    }
    body.extend(format!("--{BOUNDARY}--\r\n").bytes());
    body
}

impl TestApp {
    pub fn send_form(&self, path: &str, fields: &[(&str, Option<&str>, &[u8])]) -> Answer {
        self.send_raw_form(path, &form(fields))
    }

    /// The same, sent by the person who holds this token.
    pub fn send_form_as(&self, token: &str, path: &str, fields: &[(&str, Option<&str>, &[u8])]) -> Answer {
        let headers = [("content-type", FORM), ("x-companion-person", token)];
        self.ask("POST", path, &headers, &form(fields))
    }

    /// Asks for a text, spoken; the answer is still to be read.
    pub fn begin_aloud(&self, talk: &Talk, text: &str) -> Wire {
        let (mut wire, body) = (self.wire(), format!("session_id={}&text={text}", talk.session));
        let kind = "application/x-www-form-urlencoded";
        let head = format!("Host: x\r\nContent-Type: {kind}\r\nContent-Length: {}", body.len());
        wire.send(format!("POST {ALOUD} HTTP/1.1\r\n{head}\r\n\r\n{body}"));
        wire
    }

    pub fn send_raw_form(&self, path: &str, body: &[u8]) -> Answer {
        self.ask("POST", path, &[("content-type", FORM)], body)
    }

    /// Says something by a recording.
    pub fn speak_to(&self, talk: &Talk, recording: &[u8]) -> Answer {
        let fields = [("audio", Some("blob"), recording), ("session_id", None, talk.session.as_bytes())];
        self.send_form(PROCESS, &fields)
    }

    /// The same, from this address; the test's own has to be that of a trusted proxy.
    pub fn speak_from(&self, address: &str, talk: &Talk, recording: &[u8]) -> Answer {
        let fields = [("audio", Some("blob"), recording), ("session_id", None, talk.session.as_bytes())];
        self.ask("POST", PROCESS, &[("content-type", FORM), ("x-forwarded-for", address)], &form(&fields))
    }

    /// The files of the audio directory.
    pub fn audio_files(&self) -> Vec<PathBuf> {
        super::files_below(&self.data_dir().join("audio"))
    }
}
