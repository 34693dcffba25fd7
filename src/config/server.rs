//! The settings of the server.

use std::num::NonZeroU32;
use std::path::Path;
use std::time::Duration;

use ipnet::IpNet;

use crate::config::outside::{self, OutsideConfig};
use crate::config::persona;
use crate::config::problems::Problems;
use crate::config::raw::{Flags, Given};
use crate::config::read::Reader;
use crate::config::{
    EmbeddingConfig, LogConfig, RetentionConfig, SpeechConfig, StorageConfig, embedding, speech, storage,
};
use crate::domain::chat::Persona;
use crate::domain::secret::Secret;

/// No setting: who needs more for a header is not a browser, a proxy or a program that means well.
const HEADER: Duration = Duration::from_secs(5);
/// Longer than nginx keeps connections to the servers behind it (60 s), so that it is not us who closes one in use.
const IDLE: Duration = Duration::from_secs(75);
const UNREAD_ANSWER: Duration = Duration::from_secs(30);

/// The bounds of what clients may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LimitsConfig {
    /// The largest request body.
    pub max_request_bytes: u64,
    /// All bodies in memory together, beside those of up to 64 KiB.
    pub max_inflight_body_bytes: u64,
    /// The longest a body may come without a byte.
    pub body_idle: Duration,
    /// The longest a body may take in all.
    pub body_total: Duration,
    /// The longest message.
    pub max_message_chars: usize,
    /// Connections open at once.
    pub max_connections: usize,
    /// The longest a request's header may take.
    pub header: Duration,
    /// The longest a connection is kept open with nothing under way.
    pub idle: Duration,
    /// The longest an answer waits for a client that does not read it.
    pub unread_answer: Duration,
    /// Turns running at once.
    pub max_turns: usize,
    /// Turns of one person running at once.
    pub max_turns_per_person: usize,
    /// Turns waiting in one session.
    pub session_queue: usize,
    /// Turns one client address may ask for in a minute; `None` without a limit.
    pub turns_per_minute: Option<NonZeroU32>,
    /// Turns one person may take in a day (UTC); `None` without a limit.
    pub daily_turns_per_person: Option<NonZeroU32>,
    /// Memories a reply is given.
    pub memory_top_k: usize,
    /// Memories of one person.
    pub max_memories_per_person: u32,
}

/// What those who come have to know.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AccessConfig {
    /// Lets in; `None` lets everyone in.
    pub access_token: Option<Secret>,
    /// Opens what is the operator's alone; `None` opens it to nobody.
    pub admin_token: Option<Secret>,
    /// What readers of the metrics have to send; `None`: only this machine reads them.
    pub metrics_token: Option<Secret>,
}

/// Everything the server is set to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerConfig {
    /// The listen address.
    pub host: String,
    /// The listen port; 0 lets the system choose.
    pub port: u16,
    /// Where things lie on disk.
    pub storage: StorageConfig,
    /// How long things are kept.
    pub retention: RetentionConfig,
    /// The bounds of what clients may ask for.
    pub limits: LimitsConfig,
    /// The time running turns get when the server stops.
    pub drain: Duration,
    /// Whose `X-Forwarded-*` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Pages of which other sites may talk to the server: `https://app.example.org`.
    pub allowed_origins: Vec<String>,
    /// What those who come have to know.
    pub access: AccessConfig,
    /// Hearing and speaking.
    pub speech: SpeechConfig,
    /// Who makes vectors of memories; `None`: they are found by their words alone.
    pub embedding: Option<EmbeddingConfig>,
    /// The services outside.
    pub outside: OutsideConfig,
    /// Who the companion is.
    pub persona: Persona,
    /// What is logged, and how.
    pub log: LogConfig,
    /// Whether the page that shows the API is served.
    pub api_docs: bool,
    /// Names in the `.env` file that mean nothing here.
    pub ignored: Vec<String>,
}

impl ServerConfig {
    /// Reads the settings.
    ///
    /// # Errors
    /// All problems together.
    pub fn load(flags: Flags) -> Result<Self, Problems> {
        Self::read(Reader::new(flags))
    }

    /// The defaults, in `data_dir`, on a port of the system's choice.
    ///
    /// # Errors
    /// Never for a program that passes its tests: the built-in persona would have to be broken.
    pub fn for_testing(data_dir: &Path) -> Result<Self, Problems> {
        let mut problems = Problems::default();
        let overrides = vec![("DATA_DIR", data_dir.display().to_string()), ("PORT", "0".to_owned())];
        let flags = Flags { env_file: None, overrides };
        let given = Given::collect_from(flags, std::collections::BTreeMap::new(), &mut problems);
        Self::read(Reader::of(given, problems))
    }

    fn read(mut reader: Reader) -> Result<Self, Problems> {
        let storage = storage::read(&mut reader);
        let retention = reader.retention();
        let limits = limits(&mut reader);
        let access = AccessConfig {
            access_token: reader.secret("ACCESS_TOKEN", "ACCESS_TOKEN_FILE"),
            admin_token: reader.secret("ADMIN_TOKEN", "ADMIN_TOKEN_FILE"),
            metrics_token: reader.secret("METRICS_TOKEN", "METRICS_TOKEN_FILE"),
        };
        let host = reader.host("HOST", "127.0.0.1");
        let port = u16::try_from(reader.number("PORT", 8000, 0..=65535)).unwrap_or(0);
        let drain = Duration::from_secs(reader.number("DRAIN_SECONDS", 20, 0..=3600));
        let trusted_proxies = reader.networks("TRUSTED_PROXIES");
        let allowed_origins = reader.origins("ALLOWED_ORIGINS");
        let outside = outside::read(&mut reader);
        let speech = speech::speech(&mut reader, outside.llm.as_ref());
        let embedding = embedding::read(&mut reader, outside.llm.as_ref());
        let embeds = embedding.as_ref().and_then(EmbeddingConfig::paid);
        let paid: Vec<_> = outside.paid().into_iter().chain(speech.paid()).chain(embeds).collect();
        refuse_to_pay_for_everyone(&mut reader, &host, &paid);
        let log = reader.log();
        let api_docs = reader.yes_or_no("ENABLE_API_DOCS", false);
        let ignored = reader.ignored();
        let persona = persona::load(reader.path_if_given("PERSONA_FILE").as_deref());
        let persona = persona.map_err(|error| reader.problems.add(format!("PERSONA_FILE: {error}")));
        match persona {
            Ok(persona) if reader.problems.is_empty() => Ok(Self {
                host,
                port,
                storage,
                retention,
                limits,
                drain,
                trusted_proxies,
                allowed_origins,
                access,
                speech,
                embedding,
                outside,
                persona,
                log,
                api_docs,
                ignored,
            }),
            _ => Err(reader.problems),
        }
    }
}

/// Whoever reaches the server could spend its operator's money.
fn refuse_to_pay_for_everyone(reader: &mut Reader, host: &str, paid: &[&str]) {
    let anonymous = reader.yes_or_no("ALLOW_ANONYMOUS", false);
    let closed = ["ACCESS_TOKEN", "ACCESS_TOKEN_FILE"].iter().any(|name| reader.is_given(name));
    if anonymous || closed || paid.is_empty() || is_loopback(host) {
        return;
    }
    let paid = paid.join(" and ");
    reader.problems.add(format!(
        "HOST={host:?} lets other machines in, who would use {paid} at your cost: set ACCESS_TOKEN, or \
         ALLOW_ANONYMOUS=true if everyone may"
    ));
}

fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn limits(reader: &mut Reader) -> LimitsConfig {
    let max_request_bytes = reader.number("MAX_REQUEST_SIZE", 10 * 1024 * 1024, 1024..=1 << 40);
    LimitsConfig {
        max_request_bytes,
        max_inflight_body_bytes: reader.inflight_body_bytes(max_request_bytes),
        body_idle: Duration::from_secs(reader.number("BODY_IDLE_TIMEOUT_SECONDS", 15, 1..=3600)),
        body_total: Duration::from_secs(reader.number("BODY_TIMEOUT_SECONDS", 120, 1..=86_400)),
        max_message_chars: reader.count("MAX_MESSAGE_CHARS", 8000, 1_000_000),
        max_connections: reader.count("MAX_CONNECTIONS", 8192, 1_000_000),
        header: HEADER,
        idle: IDLE,
        unread_answer: UNREAD_ANSWER,
        max_turns: reader.count("MAX_TURNS", 1024, 100_000),
        max_turns_per_person: reader.count("MAX_TURNS_PER_PERSON", 8, 100_000),
        session_queue: usize::try_from(reader.number("SESSION_QUEUE", 8, 0..=1000)).unwrap_or(8),
        turns_per_minute: reader.rate_limit(),
        daily_turns_per_person: reader.turns_a_day(),
        memory_top_k: reader.count("MEMORY_TOP_K", 5, 20),
        max_memories_per_person: reader.memories_per_person(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn load(
        file: Option<&str>,
        environment: &[(&str, &str)],
        flags: &[(&'static str, &str)],
    ) -> Result<ServerConfig, String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("settings.env");
        let env_file = file.map(|text| {
            std::fs::write(&path, text).unwrap();
            path.clone()
        });
        let overrides = flags.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        let environment: BTreeMap<_, _> =
            environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let mut problems = Problems::default();
        let given = Given::collect_from(Flags { env_file, overrides }, environment, &mut problems);
        ServerConfig::read(Reader::of(given, problems)).map_err(|problems| problems.to_string())
    }

    #[test]
    fn flags_win_over_the_environment_over_the_file_over_defaults() {
        let file = Some("PORT=1\nHOST=file\nMAX_TURNS=5\n");
        let config = load(file, &[("PORT", "2"), ("HOST", "environment")], &[("PORT", "3")]).unwrap();
        assert_eq!((config.port, config.host.as_str(), config.limits.max_turns), (3, "environment", 5));
        assert_eq!(config.limits.max_message_chars, 8000);
    }

    #[test]
    fn a_file_has_1_mib_and_no_more() {
        let sized = |bytes: usize| format!("PORT=1\n{}", "#".repeat(bytes - "PORT=1\n".len()));
        assert_eq!(load(Some(&sized(1 << 20)), &[], &[]).unwrap().port, 1);
        let told = load(Some(&sized((1 << 20) + 1)), &[], &[]).unwrap_err();
        assert!(told.contains("larger than 1 MiB"), "{told}");
    }

    #[test]
    fn every_problem_is_told_at_once_with_what_would_be_right() {
        let told = load(
            Some("SESION_RETENTION_DAYS=7\n"),
            &[
                ("PORT", "http"),
                ("MAX_REQUEST_SIZE", "1e9"),
                ("SESSION_RETENTION_DAYS", "0"),
                ("BACKUP_KEEP", "0"),
                ("TRUSTED_PROXIES", "10.0.0.0/99"),
                ("LOG_FORMAT", "xml"),
                ("LOG_LEVEL", "loud"),
                ("MIN_FREE_DISK_BYTES", "-1"),
                ("PERSONA_FILE", "/no/such/file"),
                ("METRICS_TOKEN", "very-secret\ttoken"),
                ("ACCESS_TOKEN", "very-secret with a space"),
                ("DAILY_TURNS_PER_PERSON", "0"),
            ],
            &[],
        )
        .unwrap_err();
        for part in [
            "PORT=\"http\"",
            "0 to 65535",
            "MAX_REQUEST_SIZE=\"1e9\"",
            "1 to 36500, or off",
            "BACKUP_KEEP=\"0\"",
            "10.0.0.0/99",
            "console or json",
            "loud",
            "MIN_FREE_DISK_BYTES=\"-1\"",
            "/no/such/file",
            "was SESSION_RETENTION_DAYS meant",
            "METRICS_TOKEN=\"(not shown)\"",
            "ACCESS_TOKEN=\"(not shown)\"",
            "DAILY_TURNS_PER_PERSON=\"0\"",
        ] {
            assert!(told.contains(part), "{part} is not in: {told}");
        }
        assert!(!told.contains("very-secret"));
    }

    #[test]
    fn who_hears_and_who_speaks_follows_from_what_is_given() {
        let speech = |given: &[(&str, &str)]| load(None, given, &[]).map(|config| config.speech);
        let hears = |given: &[(&str, &str)]| format!("{:?}", speech(given).unwrap().hearing);
        let speaks = |given: &[(&str, &str)]| format!("{:?}", speech(given).unwrap().speaking);
        assert_eq!((hears(&[]), speaks(&[])), ("None".to_owned(), "None".to_owned()));
        let groq = ("GROQ_API_KEY", "groq-secret");
        assert!(hears(&[groq]).contains("api.groq.com") && !hears(&[groq]).contains("secret"));
        let own = hears(&[groq, ("STT_BASE_URL", "http://ears:9000/v1")]);
        assert!(own.contains("ears") && own.contains("key: None"), "a key is only for its own place: {own}");
        assert!(
            hears(&[groq, ("STT_COMMAND", "hear --fast 'two words'")])
                .contains("[\"--fast\", \"two words\"]")
        );
        let elevenlabs = [("ELEVENLABS_API_KEY", "secret"), ("ELEVENLABS_VOICE_ID", "abc")];
        let other = [("TTS_BASE_URL", "http://voice:9000/v1"), ("TTS_COMMAND", "espeak-ng --stdout")];
        let both = [&elevenlabs[..], &other].concat();
        assert!(speaks(&both).contains("api.elevenlabs.io"), "its key goes nowhere else");
        assert!(speaks(&other).starts_with("Some(OpenAi"));
        assert!(speaks(&other[1..]).starts_with("Some(Command"));
        assert!(speaks(&[&both[..], &[("TTS_PROVIDER", "command")]].concat()).starts_with("Some(Command"));
        assert_eq!(speaks(&[&both[..], &[("TTS_PROVIDER", "none")]].concat()), "None");
        for (wrong, part) in [
            (("TTS_PROVIDER", "parrot"), "elevenlabs, openai, command or none"),
            (("TTS_PROVIDER", "command"), "needs TTS_COMMAND"),
            (("TTS_PROVIDER", "openai"), "needs TTS_BASE_URL"),
            (("TTS_PROVIDER", "elevenlabs"), "needs ELEVENLABS_API_KEY"),
            (("ELEVENLABS_API_KEY", "secret"), "needs ELEVENLABS_VOICE_ID"),
            (("ELEVENLABS_VOICE_ID", "../x"), "id of a voice"),
            (("STT_COMMAND", "hear 'this"), "quoted as for a shell"),
        ] {
            let told = speech(&[wrong]).unwrap_err();
            assert!(told.contains(part) && !told.contains("secret"), "{told}");
        }
        let open = load(None, &[&elevenlabs[..], &[("HOST", "0.0.0.0")]].concat(), &[]).unwrap_err();
        assert!(open.contains("ELEVENLABS_API_KEY at your cost"), "{open}");
    }

    #[test]
    fn who_makes_vectors_follows_from_what_is_given() {
        let embeds = |given: &[(&str, &str)]| load(None, given, &[]).map(|config| config.embedding);
        assert_eq!(embeds(&[]), Ok(None));
        let there = ("EMBEDDING_BASE_URL", "http://127.0.0.1:11434/v1");
        let named = ("EMBEDDING_MODEL_NAME", "all-minilm");
        let told = format!("{:?}", embeds(&[there, named, ("EMBEDDING_API_KEY", "secret")]).unwrap());
        assert!(told.contains("11434") && told.contains("all-minilm") && !told.contains("secret"), "{told}");
        let model = [("LLM_BASE_URL", there.1), ("LLM_API_KEY", "secret"), named];
        let shared = embeds(&[&model[..], &[there]].concat()).unwrap();
        assert!(matches!(shared, Some(EmbeddingConfig::Api { key: Some(_), .. })), "the same place");
        let other = ("EMBEDDING_BASE_URL", "http://other:11434/v1");
        let other = embeds(&[&model[..], &[other]].concat()).unwrap();
        assert!(
            matches!(other, Some(EmbeddingConfig::Api { key: None, .. })),
            "a key is only for its own place"
        );
        let dir = tempfile::tempdir().unwrap();
        let directory = ("EMBEDDING_MODEL_DIR", dir.path().to_str().unwrap());
        for (wrong, part) in [
            (vec![there], "needs EMBEDDING_MODEL_NAME"),
            (vec![named], "need EMBEDDING_BASE_URL"),
            (vec![("EMBEDDING_API_KEY", "secret")], "need EMBEDDING_BASE_URL"),
            (vec![there, named, directory], "keep one"),
            (vec![directory], "there is no file config.json"),
            (
                vec![there, named, ("EMBEDDING_API_KEY", "secret"), ("HOST", "0.0.0.0")],
                "EMBEDDING_API_KEY at your cost",
            ),
        ] {
            let told = embeds(&wrong).unwrap_err();
            assert!(told.contains(part) && !told.contains("secret"), "{told}");
        }
        for name in crate::config::MODEL_FILES {
            std::fs::write(dir.path().join(name), "x").unwrap();
        }
        assert!(matches!(embeds(&[directory]), Ok(Some(EmbeddingConfig::Directory(_)))));
    }

    #[test]
    fn off_is_a_word_and_empty_is_unset() {
        let config = load(None, &[("SESSION_RETENTION_DAYS", "off"), ("PORT", "")], &[]).unwrap();
        assert_eq!((config.retention.session_days, config.port), (None, 8000));
    }

    #[test]
    fn what_the_predecessors_file_says_in_its_own_way_is_understood() {
        let file = "TTI_MODEL_NAME=a\nITT_MODEL_NAME=b\nTTS_TIMEOUT=9\nLLM_TIMEOUT_SECONDS=31.0\nALLOWED_ORIGINS=*\n";
        let config = load(Some(file), &[("LLM_BASE_URL", "http://127.0.0.1:1/v1")], &[]).unwrap();
        assert_eq!(config.ignored, ["ITT_MODEL_NAME", "TTI_MODEL_NAME", "TTS_TIMEOUT", "ALLOWED_ORIGINS=*"]);
        assert_eq!(config.outside.llm.unwrap().silence, std::time::Duration::from_secs(31));
        assert!(config.allowed_origins.is_empty());
        assert!(load(None, &[("LLM_TIMEOUT_SECONDS", "31.5")], &[]).is_err());
    }

    #[test]
    fn the_predecessors_file_works_and_its_other_names_are_listed() {
        let file = Some(
            "GROQ_API_KEY=abc\nQDRANT_URL=http://x\nROUTER_MESSAGES_TO_ANALYZE=3\nAUDIO_CLEANUP_MAX_AGE_HOURS=48\nLOG_LEVEL=WARNING\n",
        );
        let config = load(file, &[], &[]).unwrap();
        assert_eq!(config.ignored, ["ROUTER_MESSAGES_TO_ANALYZE"]);
        let qdrant = config.outside.qdrant.unwrap();
        assert_eq!(
            (qdrant.url().as_str(), qdrant.collection.as_str()),
            ("http://x:6334", "companion_memories")
        );
        assert_eq!(config.outside.llm.unwrap().base.to_string(), "https://api.groq.com/openai/v1");
        assert_eq!(config.retention.audio_max_age, Duration::from_secs(48 * 3600));
        assert!(
            load(None, &[("AUDIO_MAX_AGE_HOURS", "1"), ("AUDIO_CLEANUP_MAX_AGE_HOURS", "2")], &[]).is_err()
        );
    }

    #[test]
    fn a_secret_is_given_itself_or_in_a_file() {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = dir.path().join(name);
            std::fs::write(&path, text).unwrap();
            path.display().to_string()
        };
        let secret = Some(Secret::new("open-sesame"));
        let access = load(None, &[("ACCESS_TOKEN", "open-sesame")], &[]).unwrap().access;
        assert_eq!((access.access_token, access.admin_token), (secret.clone(), None));
        for text in ["open-sesame", "open-sesame\n", "open-sesame\r\n"] {
            let path = file("good", text);
            assert_eq!(load(None, &[("ADMIN_TOKEN_FILE", &path)], &[]).unwrap().access.admin_token, secret);
        }
        let long = "long-secret".repeat(60);
        for text in ["", "\n", "open-sesame with more", "open-s\u{e9}same", &long] {
            let told = load(None, &[("ACCESS_TOKEN_FILE", &file("bad", text))], &[]).unwrap_err();
            assert!(told.contains("ACCESS_TOKEN_FILE=\"(not shown)\"") && !told.contains("open-s"), "{told}");
        }
        let (good, missing) = (file("good", "open-sesame"), dir.path().join("missing").display().to_string());
        let both = [("ACCESS_TOKEN", "open-sesame"), ("ACCESS_TOKEN_FILE", good.as_str())];
        assert!(load(None, &both, &[]).unwrap_err().contains("keep one"));
        assert!(load(None, &[("ADMIN_TOKEN_FILE", &missing)], &[]).unwrap_err().contains("cannot be read"));
    }

    #[test]
    fn a_model_is_an_address_or_a_key_or_both() {
        let llm =
            |environment: &[(&str, &str)]| load(None, environment, &[]).map(|config| config.outside.llm);
        assert_eq!(llm(&[]), Ok(None));
        let local = llm(&[("LLM_BASE_URL", "http://localhost:11434/v1"), ("TEXT_MODEL_NAME", "qwen3:8b")]);
        let local = local.unwrap().unwrap();
        assert_eq!((local.base.port(), local.key, local.model.as_str()), (11434, None, "qwen3:8b"));
        let groq = llm(&[("LLM_API_KEY", "gsk_secret"), ("GROQ_API_KEY", "gsk_secret")]).unwrap().unwrap();
        assert_eq!((groq.base.host(), groq.key.unwrap().expose()), ("api.groq.com", "gsk_secret"));
        for wrong in [
            vec![("LLM_API_KEY", "gsk_secret"), ("GROQ_API_KEY", "gsk_other")],
            vec![("LLM_BASE_URL", "https://user:gsk_secret@x")],
            vec![("LLM_API_KEY", "gsk secret")],
            vec![("LLM_API_KEY", "gsk_x"), ("TEXT_MODEL_NAME", "a model")],
            vec![("TOTAL_MESSAGES_SUMMARY_TRIGGER", "10"), ("TOTAL_MESSAGES_AFTER_SUMMARY", "10")],
            vec![("LLM_TIMEOUT_SECONDS", "0")],
            vec![("CIRCUIT_BREAKER_FAILURE_THRESHOLD", "0")],
        ] {
            let told = llm(&wrong).unwrap_err();
            assert!(!told.contains("gsk_") && !told.contains("gsk s"), "{told}");
            assert_eq!(told.lines().count(), 2, "{told}");
        }
    }

    #[test]
    fn what_is_paid_for_is_not_given_to_everyone() {
        let paid = [("LLM_API_KEY", "gsk_secret")];
        let with = |more: &[(&str, &str)]| load(None, &[&paid, more].concat(), &[]);
        for open in ["0.0.0.0", "::", "192.168.0.2", "example.org"] {
            let told = with(&[("HOST", open), ("PORT", "x")]).unwrap_err();
            assert!(
                told.contains(open) && told.contains("ALLOW_ANONYMOUS") && told.contains("PORT"),
                "{told}"
            );
            assert!(with(&[("HOST", open), ("ALLOW_ANONYMOUS", "true")]).is_ok());
            assert!(with(&[("HOST", open), ("ACCESS_TOKEN", "open-sesame")]).is_ok());
            assert!(load(None, &[("HOST", open)], &[]).is_ok(), "nothing is paid for");
            let local = [("HOST", open), ("LLM_BASE_URL", "http://localhost:11434/v1")];
            assert!(load(None, &local, &[]).is_ok(), "nobody is paid");
        }
        for closed in ["127.0.0.1", "localhost", "::1"] {
            assert!(with(&[("HOST", closed)]).is_ok());
        }
    }

    #[test]
    fn a_broken_file_is_not_quoted() {
        let told = load(Some("PORT=1\nthis is my \"secret\n"), &[], &[]).unwrap_err();
        assert!(told.contains("settings.env") && !told.contains("secret"), "{told}");
        let missing = Flags { env_file: Some("/no/such.env".into()), overrides: Vec::new() };
        let mut problems = Problems::default();
        Given::collect_from(missing, BTreeMap::new(), &mut problems);
        assert!(problems.to_string().contains("/no/such.env"));
    }

    #[test]
    fn the_examples_defaults_are_the_defaults() {
        let example = include_str!("../../.env.example").replace("\n#", "\n");
        let uncommented: String = example
            .lines()
            .filter(|line| line.contains('=') && !line.starts_with(' '))
            .map(|line| format!("{line}\n"))
            .collect();
        let (ours, plain) = (load(Some(&uncommented), &[], &[]).unwrap(), load(None, &[], &[]).unwrap());
        let same = |path: &Path| path.strip_prefix("./").unwrap_or(path).to_owned();
        assert_eq!(same(&ours.storage.database), plain.storage.database);
        assert_eq!(ServerConfig { storage: plain.storage.clone(), ..ours }, plain);
    }

    #[test]
    fn a_token_has_no_more_characters_than_anybody_needs() {
        for name in ["ACCESS_TOKEN", "ADMIN_TOKEN", "METRICS_TOKEN"] {
            load(None, &[(name, "x".repeat(512).as_str())], &[]).unwrap();
            let told = load(None, &[(name, "x".repeat(513).as_str())], &[]).unwrap_err();
            assert!(told.contains(name) && told.contains("1 to 512 letters"), "{told}");
        }
    }
}
