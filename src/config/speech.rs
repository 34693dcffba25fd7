//! Who hears and who speaks.

use std::time::Duration;

use crate::config::read::Reader;

/// What programs that the server starts are not to find in their environment.
pub const SECRETS: [&str; 3] = ["ACCESS_TOKEN", "ADMIN_TOKEN", "METRICS_TOKEN"];

/// A program and its arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandLine {
    /// Its name or path.
    pub program: String,
    /// The arguments before those that we add.
    pub arguments: Vec<String>,
}

/// Who hears.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hearing {
    /// A program that is given a file and writes text.
    Command(CommandLine),
}

/// Who speaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Speaking {
    /// A program that reads text and writes sound.
    Command(CommandLine),
}

impl Speaking {
    /// Which voice it is, so that what another one has said is not taken for its own.
    #[must_use]
    pub fn voice(&self) -> String {
        match self {
            Self::Command(line) => format!("command {} {}", line.program, line.arguments.join(" ")),
        }
    }
}

/// Hearing and speaking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpeechConfig {
    /// `None`: recordings are not understood.
    pub hearing: Option<Hearing>,
    /// The longest a recording may take to be understood.
    pub hearing_timeout: Duration,
    /// `None`: replies are text alone.
    pub speaking: Option<Speaking>,
    /// The longest a sentence may take to be spoken.
    pub speaking_timeout: Duration,
    /// Voice sockets open at once.
    pub max_sockets: usize,
}

pub(super) fn speech(reader: &mut Reader) -> SpeechConfig {
    SpeechConfig {
        hearing: reader.command("STT_COMMAND").map(Hearing::Command),
        hearing_timeout: Duration::from_secs(reader.number("STT_TIMEOUT", 60, 1..=3600)),
        speaking: reader.command("TTS_COMMAND").map(Speaking::Command),
        speaking_timeout: Duration::from_secs(reader.number("TTS_TIMEOUT_SECONDS", 30, 1..=3600)),
        max_sockets: reader.count("MAX_VOICE_SOCKETS", 256, 100_000),
    }
}
