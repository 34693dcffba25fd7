//! The table of settings: every name this release knows, its default, its meaning. `.env.example` and the README's
//! table are held to it by tests.

/// One setting.
#[derive(Debug)]
pub(crate) struct Setting {
    pub name: &'static str,
    /// Another name for the same thing: the predecessor's, or that of a file which holds the secret.
    pub alias: Option<&'static str>,
    /// As shown in documents; for those that are a plain value, the value itself.
    pub default: &'static str,
    pub meaning: &'static str,
}

const fn setting(name: &'static str, default: &'static str, meaning: &'static str) -> Setting {
    Setting { name, alias: None, default, meaning }
}

pub(crate) const SETTINGS: [Setting; 75] = [
    setting("HOST", "127.0.0.1", "listen address"),
    setting("PORT", "8000", "listen port; 0 lets the system choose"),
    setting(
        "DATA_DIR",
        "./data",
        "holds the database, audio, backups, the reserve and locks; created with mode 0700",
    ),
    setting("SHORT_TERM_MEMORY_DB_PATH", "DATA_DIR/companion.db", "the SQLite file"),
    setting("AUDIO_DIR", "DATA_DIR/audio", "where audio replies lie"),
    setting("BACKUP_DIR", "DATA_DIR/backups", "where backups lie; best on another disk"),
    setting("MAX_REQUEST_SIZE", "10485760", "largest request body, bytes; a larger one is answered 413"),
    setting(
        "MAX_INFLIGHT_BODY_BYTES",
        "67108864",
        "all request bodies in memory together, bytes; one client at most a quarter",
    ),
    setting("BODY_IDLE_TIMEOUT_SECONDS", "15", "a body of which nothing comes for so long is answered 408"),
    setting("BODY_TIMEOUT_SECONDS", "120", "a body that takes longer in all is answered 408"),
    setting("MAX_MESSAGE_CHARS", "8000", "longest message, characters"),
    setting("MAX_CONNECTIONS", "8192", "connections open at once"),
    setting("MAX_TURNS", "1024", "turns running at once"),
    setting("MAX_TURNS_PER_PERSON", "8", "turns of one person running at once"),
    setting("SESSION_QUEUE", "8", "turns waiting in one session, where they run one after the other"),
    setting("MAX_VOICE_SOCKETS", "256", "voice sockets open at once; 8 per client address"),
    setting("RATE_LIMIT_ENABLED", "true", "`false` lets every client ask as often as it likes"),
    setting(
        "RATE_LIMIT_PER_MINUTE",
        "30",
        "turns a client address may ask for in a minute; 20 times as many other requests, 40 times as many of health",
    ),
    setting("DRAIN_SECONDS", "20", "time running turns get when the server stops"),
    setting(
        "SESSION_RETENTION_DAYS",
        "7",
        "sessions idle longer are deleted by `cleanup-sessions`; `off` keeps all",
    ),
    setting(
        "PERSON_RETENTION_DAYS",
        "400",
        "people unseen so long are erased by `cleanup-sessions`, with all their sessions, pinned ones too; `off` keeps all",
    ),
    Setting {
        name: "AUDIO_MAX_AGE_HOURS",
        alias: Some("AUDIO_CLEANUP_MAX_AGE_HOURS"),
        default: "24",
        meaning: "audio replies older are deleted by `cleanup-audio`",
    },
    setting(
        "AUDIO_MAX_TOTAL_BYTES",
        "1073741824",
        "audio replies beyond this are deleted, the oldest first, by whoever saves one and by `cleanup-audio`",
    ),
    setting(
        "BACKUP_KEEP",
        "7",
        "newest backups kept; also the days a database set aside by a restore is kept",
    ),
    setting("BACKUP_KEEP_DAILY", "", "the newest backup of each of so many days that have one is kept, too"),
    setting("BACKUP_KEEP_WEEKLY", "", "the same by weeks"),
    setting("BACKUP_KEEP_MONTHLY", "", "the same by months"),
    setting("BACKUP_AGE_RECIPIENT", "", "whom backups are encrypted to: a public key of age, `age1...`"),
    setting(
        "MIN_FREE_DISK_BYTES",
        "104857600",
        "below it what grows the store is answered 507 and no backup is made; 0 switches this off",
    ),
    setting("DAILY_TURNS_PER_PERSON", "off", "turns a person may take in a day (UTC); `off` counts none"),
    setting("TRUSTED_PROXIES", "", "comma-separated addresses or CIDRs whose `X-Forwarded-*` is believed"),
    setting(
        "ALLOWED_ORIGINS",
        "",
        "comma-separated origins, `https://app.example.org`, whose pages may talk to the server; unset, only its own",
    ),
    Setting {
        name: "ACCESS_TOKEN",
        alias: Some("ACCESS_TOKEN_FILE"),
        default: "",
        meaning: "whoever talks to the server has to know it; `ACCESS_TOKEN_FILE` names a file that holds it",
    },
    Setting {
        name: "ADMIN_TOKEN",
        alias: Some("ADMIN_TOKEN_FILE"),
        default: "",
        meaning: "opens `/admin` and `/api/v1/admin`, and lets in like ACCESS_TOKEN; `ADMIN_TOKEN_FILE` names a file that holds it",
    },
    Setting {
        name: "METRICS_TOKEN",
        alias: Some("METRICS_TOKEN_FILE"),
        default: "",
        meaning: "what readers of `/metrics` have to send as `Authorization: Bearer`, or the file that holds it; unset, only this machine reads them",
    },
    setting(
        "ALLOW_ANONYMOUS",
        "false",
        "`true` starts with a paid provider, reachable from other machines and without ACCESS_TOKEN: whoever comes may spend",
    ),
    setting(
        "LLM_BASE_URL",
        "",
        "an OpenAI-compatible API (Ollama, llama.cpp, vLLM, OpenAI, ...) whose model answers; unset with a key, Groq's; unset without one, the offline companion",
    ),
    Setting {
        name: "LLM_API_KEY",
        alias: Some("LLM_API_KEY_FILE"),
        default: "",
        meaning: "the key that is sent to LLM_BASE_URL, or the file that holds it",
    },
    Setting {
        name: "GROQ_API_KEY",
        alias: Some("GROQ_API_KEY_FILE"),
        default: "",
        meaning: "the predecessor's name for LLM_API_KEY",
    },
    setting("TEXT_MODEL_NAME", "llama-3.3-70b-versatile", "the model that answers"),
    setting(
        "SMALL_TEXT_MODEL_NAME",
        "llama-3.1-8b-instant",
        "the model that sums up what was said long ago and decides what is remembered",
    ),
    setting("WORKFLOW_TIMEOUT_SECONDS", "60", "an answer that takes longer in all is given up"),
    setting(
        "LLM_TIMEOUT_SECONDS",
        "30",
        "a model that does not begin to answer, or says nothing more, for so long is given up",
    ),
    setting(
        "CIRCUIT_BREAKER_FAILURE_THRESHOLD",
        "5",
        "failures in a row after which a service outside is left alone; also when more than half of a minute's calls fail",
    ),
    setting(
        "CIRCUIT_BREAKER_RECOVERY_TIMEOUT",
        "30",
        "seconds it is left alone, before one call tries it again",
    ),
    setting(
        "TOTAL_MESSAGES_SUMMARY_TRIGGER",
        "30",
        "messages, said and answered, after which the older ones of a conversation are summed up",
    ),
    setting(
        "TOTAL_MESSAGES_AFTER_SUMMARY",
        "10",
        "messages that a model goes on seeing word for word after that",
    ),
    setting("MEMORY_TOP_K", "5", "memories a reply is given, 1 to 20"),
    setting(
        "MEMORY_RETENTION_DAYS",
        "off",
        "memories neither added nor changed for so long are deleted by `cleanup-sessions`; `off` keeps all",
    ),
    setting(
        "MAX_MEMORIES_PER_PERSON",
        "10000",
        "memories of one person; for one more the least useful one goes, which the page and the export tell",
    ),
    setting(
        "EMBEDDING_BASE_URL",
        "",
        "an OpenAI-compatible API that makes vectors of what is remembered and asked, so that memories are found by their meaning, too",
    ),
    Setting {
        name: "EMBEDDING_API_KEY",
        alias: Some("EMBEDDING_API_KEY_FILE"),
        default: "",
        meaning: "the key that is sent there, or the file that holds it; unset, the model's where that is the same place",
    },
    setting("EMBEDDING_MODEL_NAME", "", "which of its models; another one makes all vectors anew"),
    setting(
        "EMBEDDING_MODEL_DIR",
        "",
        "in its place a model in this process: a directory with `config.json`, `tokenizer.json` and `model.safetensors` of a BERT",
    ),
    setting(
        "QDRANT_URL",
        "",
        "a Qdrant (1.19 or newer) in which memories are also found, at its gRPC port: `http://127.0.0.1:6334`; unset, only the embedded index finds them",
    ),
    Setting {
        name: "QDRANT_API_KEY",
        alias: Some("QDRANT_API_KEY_FILE"),
        default: "",
        meaning: "the key that is sent there, which may make and write the collection, or the file that holds it",
    },
    setting("QDRANT_COLLECTION", "companion_memories", "the collection there, of this store alone"),
    setting(
        "STT_BASE_URL",
        "",
        "an OpenAI-compatible API that hears; unset, where the model is (LLM_BASE_URL)",
    ),
    Setting {
        name: "STT_API_KEY",
        alias: Some("STT_API_KEY_FILE"),
        default: "",
        meaning: "the key that is sent there, or the file that holds it; unset, the model's where that is the same place",
    },
    setting("STT_MODEL_NAME", "whisper-large-v3", "the model that hears"),
    setting(
        "STT_COMMAND",
        "",
        "a program that hears: its last argument is the name of an audio file, what it writes is what was said; by another exit status than 0 it tells that it can make nothing of the file",
    ),
    setting("STT_TIMEOUT", "60", "seconds a recording may take to be understood"),
    setting(
        "TTS_PROVIDER",
        "",
        "`elevenlabs`, `openai`, `command` or `none`; unset, the first of them that the settings below are for",
    ),
    Setting {
        name: "ELEVENLABS_API_KEY",
        alias: Some("ELEVENLABS_API_KEY_FILE"),
        default: "",
        meaning: "the key of ElevenLabs, or the file that holds it",
    },
    setting("ELEVENLABS_VOICE_ID", "", "which of its voices"),
    setting("TTS_BASE_URL", "", "an OpenAI-compatible API that speaks"),
    Setting {
        name: "TTS_API_KEY",
        alias: Some("TTS_API_KEY_FILE"),
        default: "",
        meaning: "the key that is sent there, or the file that holds it",
    },
    setting("TTS_MODEL_NAME", "", "the model that speaks; unset, `eleven_flash_v2_5` or `tts-1`"),
    setting("TTS_VOICE", "alloy", "the voice of an OpenAI-compatible API"),
    setting(
        "TTS_COMMAND",
        "",
        "a program that speaks: it reads text and writes audio (`espeak-ng --stdout`)",
    ),
    setting("TTS_TIMEOUT_SECONDS", "30", "seconds a sentence may take to be spoken"),
    setting("PERSONA_FILE", "", "who the companion is (TOML); built in when unset"),
    setting("LOG_LEVEL", "INFO", "`TRACE`, `DEBUG`, `INFO`, `WARNING` or `ERROR`"),
    setting("LOG_FORMAT", "", "`console` or `json`; when unset, console on a terminal, else json"),
    setting("ENABLE_API_DOCS", "false", "`true` shows the API at `/api/v1/docs`, to read and to try"),
];

/// Every setting with its default and meaning, for the long help.
#[must_use]
pub fn describe() -> String {
    let mut text = String::from("Settings (defaults < .env file < environment < flags):\n");
    for setting in &SETTINGS {
        let default = if setting.default.is_empty() { "unset" } else { setting.default };
        let alias = setting.alias.map(|alias| format!(" (also {alias})")).unwrap_or_default();
        text.push_str(&format!("  {}{alias} [{default}]\n      {}\n", setting.name, setting.meaning));
    }
    text
}

/// The setting with this name or alias.
pub(crate) fn find(name: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.name == name || setting.alias == Some(name))
}

/// Names in the predecessor's file that look like a slip and are none.
const PREDECESSORS: [&str; 3] = ["ITT_MODEL_NAME", "TTI_MODEL_NAME", "TTS_TIMEOUT"];

/// The known name that `name` was probably meant to be.
pub(crate) fn meant(name: &str) -> Option<&'static str> {
    if PREDECESSORS.contains(&name) {
        return None;
    }
    let known = SETTINGS.iter().flat_map(|setting| std::iter::once(setting.name).chain(setting.alias));
    known.filter(|known| known.len() > 4).find(|known| (1..=2).contains(&distance(name, known)))
}

/// How many letters have to be changed, added or left out (Levenshtein 1966).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, letter) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, other) in b.iter().enumerate() {
            let changed = diagonal + usize::from(letter != *other);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The README's table.
    fn markdown() -> String {
        let mut table = String::from("| variable | default | meaning |\n|---|---|---|\n");
        for setting in &SETTINGS {
            let alias = setting.alias.map(|alias| format!(" (also {alias})")).unwrap_or_default();
            let default = if setting.default.is_empty() { "unset" } else { setting.default };
            table.push_str(&format!("| {}{alias} | {default} | {} |\n", setting.name, setting.meaning));
        }
        table
    }

    #[test]
    fn the_readme_shows_this_table() {
        let readme = include_str!("../../README.md");
        let (_, rest) = readme.split_once("<!-- settings -->\n").unwrap();
        let (shown, _) = rest.split_once("<!-- /settings -->").unwrap();
        assert_eq!(shown, markdown(), "put this into the README:\n{}", markdown());
    }

    #[test]
    fn the_example_names_every_setting_with_its_default() {
        let example = include_str!("../../.env.example");
        let shown: Vec<_> = example
            .lines()
            .filter_map(|line| line.strip_prefix('#'))
            .filter(|line| !line.starts_with(' '))
            .collect();
        let expected: Vec<_> = SETTINGS
            .iter()
            .map(|setting| format!("{}={}", setting.name, setting.default.replace("DATA_DIR/", "./data/")))
            .collect();
        assert_eq!(shown, expected);
        for setting in &SETTINGS {
            let meaning = setting.meaning.replace('`', "");
            assert!(example.contains(&format!("# {meaning}\n")), "{}: {meaning}", setting.name);
        }
    }

    #[test]
    fn the_crontab_runs_commands_that_exist_at_times_that_exist() {
        let lines: Vec<_> = include_str!("../../crontab.example")
            .lines()
            .filter(|line| line.starts_with(|c: char| c.is_ascii_digit() || c == '*'))
            .collect();
        let jobs: Vec<_> = lines.iter().map(|line| job(line)).collect();
        assert_eq!(jobs, ["cleanup-audio", "backup-db", "cleanup-sessions", "verify-backups"]);
    }

    fn job(line: &str) -> &str {
        let fields: Vec<_> = line.split_whitespace().collect();
        for (field, most) in fields[..5].iter().zip([59, 23, 31, 12, 7]) {
            assert!(*field == "*" || field.parse::<u32>().unwrap() <= most, "{line}");
        }
        assert!(fields[5].ends_with("/companion-maint"), "{line}");
        assert!(line.contains("--env-file /"), "a scheduler's working directory is not ours: {line}");
        assert!(!line.contains("--retention"), "what the page announces is what happens: {line}");
        fields[6]
    }

    #[test]
    fn typos_are_understood() {
        assert_eq!(meant("SESION_RETENTION_DAYS"), Some("SESSION_RETENTION_DAYS"));
        assert_eq!(meant("DATA_DRI"), Some("DATA_DIR"));
        assert_eq!(meant("GROQ_API_KEY"), None);
        assert_eq!(meant("DATA_DIR"), None);
    }
}
