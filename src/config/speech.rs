//! Who hears and who speaks.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use crate::config::outside::LlmConfig;
use crate::config::raw;
use crate::config::read::Reader;
use crate::domain::address::BaseUrl;
use crate::domain::secret::ApiKey;

const GROQ: &str = "https://api.groq.com/openai/v1";
const OPENAI: &str = "https://api.openai.com/v1";
const ELEVENLABS: &str = "https://api.elevenlabs.io";

/// What programs that the server starts are not to find in their environment.
pub const SECRETS: [&str; 10] = [
    "ACCESS_TOKEN",
    "ADMIN_TOKEN",
    "METRICS_TOKEN",
    "LLM_API_KEY",
    "GROQ_API_KEY",
    "STT_API_KEY",
    "TTS_API_KEY",
    "ELEVENLABS_API_KEY",
    "EMBEDDING_API_KEY",
    "QDRANT_API_KEY",
];

/// A service that speaks or hears, behind HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpeechApi {
    /// Where it is.
    pub base: BaseUrl,
    /// What is paid with.
    pub key: Option<ApiKey>,
    /// Which of its models.
    pub model: String,
    /// Which of its voices; empty for one that hears.
    pub voice: String,
}

/// A program and its arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandLine {
    /// Its name or path.
    pub program: String,
    /// The arguments before those that we add.
    pub arguments: Vec<String>,
}

impl CommandLine {
    /// Whether there is such a program now, where the system looks for it.
    #[must_use]
    pub fn is_there(&self) -> bool {
        if self.program.contains('/') {
            return is_program(Path::new(&self.program));
        }
        let places = raw::variable("PATH").unwrap_or_default();
        std::env::split_paths(&places).any(|place| is_program(&place.join(&self.program)))
    }
}

fn is_program(path: &Path) -> bool {
    path.metadata().is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

/// Who hears.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hearing {
    /// A program that is given a file and writes text.
    Command(CommandLine),
    /// An OpenAI-compatible API.
    Api(SpeechApi),
}

/// Who speaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Speaking {
    /// A program that reads text and writes sound.
    Command(CommandLine),
    /// An OpenAI-compatible API.
    OpenAi(SpeechApi),
    /// ElevenLabs.
    ElevenLabs(SpeechApi),
}

impl Speaking {
    /// Which voice it is, so that what another one has said is not taken for its own.
    #[must_use]
    pub fn voice(&self) -> String {
        match self {
            Self::Command(line) => format!("command {} {}", line.program, line.arguments.join(" ")),
            Self::OpenAi(api) => format!("openai {} {} {}", api.base, api.model, api.voice),
            Self::ElevenLabs(api) => format!("elevenlabs {} {} {}", api.base, api.model, api.voice),
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

impl SpeechConfig {
    /// What is used at the operator's cost, by what it is paid with.
    #[must_use]
    pub fn paid(&self) -> Vec<&'static str> {
        let hears = matches!(&self.hearing, Some(Hearing::Api(api)) if api.key.is_some());
        let speaks = match &self.speaking {
            Some(Speaking::ElevenLabs(_)) => Some("ELEVENLABS_API_KEY"),
            Some(Speaking::OpenAi(api)) if api.key.is_some() => Some("TTS_API_KEY"),
            Some(Speaking::OpenAi(_) | Speaking::Command(_)) | None => None,
        };
        hears.then_some("STT_API_KEY").into_iter().chain(speaks).collect()
    }
}

pub(super) fn speech(reader: &mut Reader, llm: Option<&LlmConfig>) -> SpeechConfig {
    SpeechConfig {
        hearing: hearing(reader, llm),
        hearing_timeout: reader.seconds("STT_TIMEOUT", 60),
        speaking: speaking(reader),
        speaking_timeout: reader.seconds("TTS_TIMEOUT_SECONDS", 30),
        max_sockets: reader.count("MAX_VOICE_SOCKETS", 256, 100_000),
    }
}

/// A program, if one is named; else the service that is, else where the model is.
fn hearing(reader: &mut Reader, llm: Option<&LlmConfig>) -> Option<Hearing> {
    let command = reader.command("STT_COMMAND");
    let base = reader.base_url("STT_BASE_URL");
    let key = reader.api_key("STT_API_KEY", "STT_API_KEY_FILE");
    let model = reader.plain_name("STT_MODEL_NAME", "whisper-large-v3");
    if let Some(command) = command {
        return Some(Hearing::Command(command));
    }
    let of = |base, key| Some(Hearing::Api(SpeechApi { base, key, model, voice: String::new() }));
    match (base, llm) {
        // The model's key is only for where the model is.
        (Some(base), Some(llm)) if base == llm.base => of(base, key.or_else(|| llm.key.clone())),
        (Some(base), _) => of(base, key),
        (None, Some(llm)) => of(llm.base.clone(), key.or_else(|| llm.key.clone())),
        (None, None) => key.and_then(|key| of(GROQ.parse().ok()?, Some(key))),
    }
}

/// What is read of who speaks, before it is known who does.
struct Given {
    elevenlabs_key: Option<ApiKey>,
    elevenlabs_voice: String,
    base: Option<BaseUrl>,
    key: Option<ApiKey>,
    model: String,
    voice: String,
    command: Option<CommandLine>,
}

fn speaking(reader: &mut Reader) -> Option<Speaking> {
    let given = Given {
        elevenlabs_key: reader.api_key("ELEVENLABS_API_KEY", "ELEVENLABS_API_KEY_FILE"),
        elevenlabs_voice: reader.voice_id("ELEVENLABS_VOICE_ID"),
        base: reader.base_url("TTS_BASE_URL"),
        key: reader.api_key("TTS_API_KEY", "TTS_API_KEY_FILE"),
        model: reader.plain_name("TTS_MODEL_NAME", ""),
        voice: reader.plain_name("TTS_VOICE", "alloy"),
        command: reader.command("TTS_COMMAND"),
    };
    let chosen = reader.text("TTS_PROVIDER", "");
    match chosen.as_str() {
        "elevenlabs" => given.elevenlabs(reader, true),
        "openai" => given.openai(reader),
        "command" => given.command(reader),
        "none" => None,
        "" if given.elevenlabs_key.is_some() => given.elevenlabs(reader, false),
        "" if given.base.is_some() => given.openai(reader),
        "" => given.command.map(Speaking::Command),
        other => {
            let told = format!("TTS_PROVIDER={other:?}: must be elevenlabs, openai, command or none");
            reader.problems.add(told);
            None
        }
    }
}

impl Given {
    /// Another address than ElevenLabs' own counts only where they are named: their key is for nobody else.
    fn elevenlabs(self, reader: &mut Reader, named: bool) -> Option<Speaking> {
        if self.elevenlabs_key.is_none() {
            reader.problems.add("TTS_PROVIDER=elevenlabs needs ELEVENLABS_API_KEY".to_owned());
        }
        if self.elevenlabs_voice.is_empty() {
            reader.problems.add("ELEVENLABS_API_KEY needs ELEVENLABS_VOICE_ID, too".to_owned());
        }
        let base = self.base.filter(|_| named).or_else(|| ELEVENLABS.parse().ok())?;
        let model = if self.model.is_empty() { "eleven_flash_v2_5".to_owned() } else { self.model };
        let (key, voice) = (self.elevenlabs_key, self.elevenlabs_voice);
        Some(Speaking::ElevenLabs(SpeechApi { base, key, model, voice }))
    }

    fn openai(self, reader: &mut Reader) -> Option<Speaking> {
        if self.base.is_none() && self.key.is_none() {
            reader.problems.add("TTS_PROVIDER=openai needs TTS_BASE_URL or TTS_API_KEY".to_owned());
        }
        let base = self.base.or_else(|| OPENAI.parse().ok())?;
        let model = if self.model.is_empty() { "tts-1".to_owned() } else { self.model };
        Some(Speaking::OpenAi(SpeechApi { base, key: self.key, model, voice: self.voice }))
    }

    fn command(self, reader: &mut Reader) -> Option<Speaking> {
        if self.command.is_none() {
            reader.problems.add("TTS_PROVIDER=command needs TTS_COMMAND".to_owned());
        }
        self.command.map(Speaking::Command)
    }
}
