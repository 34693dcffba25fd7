//! The companion and a real OpenAI-compatible server, by which it thinks, hears and speaks: LiteLLM's proxy, which
//! `tests/run` installs in `target/venv-litellm`.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use companion::config::{EmbeddingConfig, Hearing, LlmConfig, ServerConfig, Speaking, SpeechApi};
use companion::domain::secret::ApiKey;
use serde_json::json;
use tempfile::TempDir;

use crate::learning::texts;
use crate::support::llm::says;
use crate::support::meaning::{service, wait_for_vectors};
use crate::support::outside::{Outside, Part, Seen, chunk, end, events_begin, refusal, sound, whole};
use crate::support::voice::{coded, recording, recordings, spoken};
use crate::support::{TestApp, wait_for};

/// It reads a great deal of Python before it listens.
const STARTS_WITHIN: Duration = Duration::from_secs(240);

struct LiteLlm {
    child: Child,
    url: String,
    /// What it asks to hear and to speak: there is no mock for that.
    behind: Outside,
    dir: TempDir,
}

impl LiteLlm {
    /// Who asks it for vectors is given those of `meanings`.
    fn start(meanings: &str) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let program = root.join("target/venv-litellm/bin/litellm");
        assert!(program.exists(), "{} is missing: run tests/run, which installs it", program.display());
        let behind = Outside::new(Vec::new());
        let dir = TempDir::new().unwrap();
        let said = dir.path().join("said");
        let mut command = Command::new(program);
        command.arg("--config").arg(root.join("tests/api/litellm/config.yaml"));
        command.args(["--host", "127.0.0.1", "--port", "0"]).current_dir(dir.path()).env_clear();
        // It would fetch its prices from the network.
        command
            .env("LITELLM_LOCAL_MODEL_COST_MAP", "True")
            .env("PYTHONUNBUFFERED", "1")
            .env("MEANINGS_URL", meanings)
            .env("BEHIND", &behind.url)
            .env("HOME", dir.path());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(File::create(&said).unwrap());
        let mut child = command.spawn().unwrap();
        let url = listens_at(&mut child, &said);
        Self { child, url, behind, dir }
    }

    /// What it has said on stderr.
    fn said(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(self.dir.path().join("said")).unwrap()).into_owned()
    }

    fn end(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for LiteLlm {
    fn drop(&mut self) {
        self.end();
    }
}

fn listens_at(child: &mut Child, said: &PathBuf) -> String {
    let began = Instant::now();
    loop {
        let text = std::fs::read_to_string(said).unwrap_or_default();
        if let Some((_, rest)) = text.split_once("Uvicorn running on ") {
            let address: String = rest.chars().take_while(|c| !c.is_whitespace()).collect();
            return format!("{address}/v1");
        }
        let ended = child.try_wait().unwrap();
        assert!(ended.is_none() && began.elapsed() < STARTS_WITHIN, "LiteLLM does not start: {text}");
        std::thread::park_timeout(Duration::from_millis(50));
    }
}

/// The model that answers, and the small one.
fn models(url: &str, [model, small_model]: [&str; 2], key: &str) -> LlmConfig {
    LlmConfig {
        base: url.parse().unwrap(),
        key: Some(ApiKey::new(key.to_owned())),
        model: model.to_owned(),
        small_model: small_model.to_owned(),
        silence: Duration::from_secs(30),
    }
}

/// A companion with this model.
fn asking(url: &str, model: &str, key: &str) -> TestApp {
    let llm = models(url, [model, "small"], key);
    TestApp::spawn_with(move |config: &mut ServerConfig| {
        config.outside.llm = Some(llm);
        config.outside.summary.trigger = 4;
        config.outside.summary.keep = 2;
    })
}

const RIGHT: &str = "sk-very-secret";

/// What is learned of what was said is found by its meaning.
fn remembers(url: &str) {
    let llm = models(url, ["large", "learns"], RIGHT);
    let (base, key) = (url.parse().unwrap(), Some(ApiKey::new(RIGHT.to_owned())));
    let app = TestApp::spawn_with(move |config: &mut ServerConfig| {
        config.outside.llm = Some(llm);
        config.embedding = Some(EmbeddingConfig::Api { base, key, model: "meanings".to_owned() });
    });
    let talk = app.start_session();
    app.tell(&talk, "They gave me the keys to my new flat in Porto").expect(200);
    wait_for_vectors(&app, 1);
    // What it does not say in time is looked for by its words, which are others.
    wait_for("it is found by its meaning", || {
        let found = app.get_as(&talk.token, "/api/v1/memories?q=Which+town+is+it").expect(200).json();
        found["memories"][0]["text"] == "I live in Porto"
    });
}

/// It passes on in which shape an answer is to be, and that the model behind it has none.
fn it_passes_the_shape_on(server: &LiteLlm) {
    for has_shapes in [true, false] {
        server.behind.answers(move |seen| match seen.json()["response_format"]["type"].as_str() {
            Some("json_schema") if has_shapes => {
                says(&[r#"{"memories": [{"text": "I like tea", "replaces": []}]}"#])
            }
            Some(_) => refusal(400, &[], "unsupported_parameter"),
            None => says(&[r#"{"memories": [{"text": "I like coffee"}]}"#]),
        });
        let llm = models(&server.url, ["large", "behind"], RIGHT);
        let app = TestApp::spawn_with(move |config: &mut ServerConfig| config.outside.llm = Some(llm));
        let talk = app.start_session();
        app.tell(&talk, "the leaves in hot water").expect(200);
        wait_for("it is learned", || app.count("to_learn") == 0);
        let liked = if has_shapes { "I like tea" } else { "I like coffee" };
        assert_eq!(texts(&app, &talk), [liked]);
    }
}

/// A companion that hears with this model, and speaks.
fn hearing_and_speaking(url: &str, ears: &str, key: &str) -> TestApp {
    let api = |model: &str| SpeechApi {
        base: url.parse().unwrap(),
        key: Some(ApiKey::new(key.to_owned())),
        model: model.to_owned(),
        voice: "alloy".to_owned(),
    };
    TestApp::spawn_with(|config| {
        config.speech.hearing = Some(Hearing::Api(api(ears)));
        config.speech.speaking = Some(Speaking::OpenAi(api("voice")));
    })
}

/// It takes our forms and words apart with code that is not ours, and asks on with OpenAI's own client.
fn it_hears_and_speaks(server: &LiteLlm) {
    let said = coded(&spoken("You said: I feel calm"), &["-b:a", "64k", "-f", "mp3"]);
    let spoken = said.clone();
    server.behind.answers(move |seen| {
        if asks_to_hear(seen) { whole(200, &[], &json!({"text": "I feel calm"})) } else { sound(&spoken) }
    });
    let app = hearing_and_speaking(&server.url, "ears", RIGHT);
    let connected = |service: &str| app.get("/api/v1/health").json()["services"][service] == "connected";
    wait_for("it is seen", || connected("stt") && connected("tts"));
    let talk = app.start_session();
    for (format, bytes) in recordings() {
        let answer = app.speak_to(&talk, &bytes).expect(200).json();
        assert_eq!((&answer["transcription"], &answer["degraded"]), (&json!("I feel calm"), &json!([])));
        let asked = server.behind.requests("/v1/audio/transcriptions").pop().unwrap().body;
        let has = |part: &[u8]| asked.windows(part.len()).any(|there| there == part);
        assert!(has(&bytes) && has(format!("filename=\"recording.{format}\"").as_bytes()), "{format}");
        let asked = server.behind.requests("/v1/audio/speech").pop().unwrap().json();
        assert_eq!((&asked["input"], &asked["voice"]), (&json!("You said: I feel calm"), &json!("alloy")));
        let heard = app.get(answer["audio_url"].as_str().unwrap()).expect(200);
        assert!(heard.header("content-type") == "audio/mpeg" && heard.body == said, "{format}");
    }
    // It answers to a wrong key and to a model that it does not know as others do to a bad recording.
    for (ears, key) in [("no-ears", RIGHT), ("ears", "sk-wrong")] {
        let app = hearing_and_speaking(&server.url, ears, key);
        let refused = app.speak_to(&app.start_session(), &recording("webm")).refused(400, "validation_error");
        assert!(refused.text().contains("hearing does not work now"), "{}", refused.text());
        assert_eq!(app.count("checkpoints"), 0, "{ears} {key}");
    }
}

/// The tokens that were told, and how the turn ended.
fn streamed(app: &TestApp) -> (String, String) {
    let talk = app.start_session();
    let events = app.stream(&json!({"session_id": talk.session, "message": "hello"})).events();
    let tokens = events.iter().filter(|event| event.name == "token");
    let last = events.last().unwrap();
    (tokens.map(|event| event.data["text"].as_str().unwrap()).collect(), last.name.clone())
}

/// It allows one turn a minute; which minute, the clock says.
fn it_tells_when_to_come_again(server: &LiteLlm) {
    let app = asking(&server.url, "seldom", RIGHT);
    let talk = app.start_session();
    let answers = (0..3).map(|_| app.say(&talk, "hello"));
    let refused = answers.into_iter().find(|answer| answer.status != 200).unwrap();
    let refused = refused.refused(503, "service_unavailable");
    assert_eq!(refused.header("retry-after"), "60", "as it says");
}

/// What goes wrong behind it, as it passes that on.
fn what_is_behind_it_fails(server: &LiteLlm) {
    let behind = &server.behind;
    let app = asking(&server.url, "behind", RIGHT);
    behind.usually(says(&["All ", "is well."]));
    assert_eq!(streamed(&app), ("All is well.".to_owned(), "done".to_owned()));
    let cut = says(&["All ", "is w"]).into_iter().take(4).chain([Part::Close]);
    behind.usually(cut.collect());
    let (told, last) = streamed(&app);
    assert!("All is w".starts_with(&told) && last == "error", "as much as it had passed on: {told} {last}");
    for garbage in [
        vec![events_begin(), chunk("data: {\"choices\": [{\n\n"), end()],
        whole(200, &[], &json!("no completion")),
    ] {
        behind.usually(garbage);
        assert_eq!(streamed(&app), (String::new(), "error".to_owned()));
    }
    assert_eq!(app.count("checkpoints"), 1, "nothing is kept of what was not whole");
}

/// How the calls of this companion's services have ended.
fn calls(app: &TestApp) -> String {
    let told = app.get("/metrics").text();
    told.lines()
        .filter(|line| line.starts_with("companion_upstream_calls_total"))
        .collect::<Vec<_>>()
        .join("\n")
}

/// Twenty seconds are within `LLM_TIMEOUT_SECONDS` as it usually is, and beyond it where it is less.
fn it_is_silent_for_twenty_seconds(server: &LiteLlm) {
    let mut silent = says(&["At ", "last."]);
    silent.insert(1, Part::Pause(Duration::from_secs(20)));
    server.behind.usually(silent);
    let mut llm = models(&server.url, ["behind", "small"], RIGHT);
    llm.silence = Duration::from_secs(2);
    let impatient = TestApp::spawn_with(move |config: &mut ServerConfig| config.outside.llm = Some(llm));
    let patient = asking(&server.url, "behind", RIGHT);
    std::thread::scope(|scope| {
        let waits = scope.spawn(|| streamed(&patient));
        let began = Instant::now();
        let refused = impatient.say(&impatient.start_session(), "hello");
        let took = began.elapsed();
        let told = || format!("{} {}\n{}", refused.text(), calls(&impatient), server.said());
        assert_eq!(refused.status, 504, "after {took:?}: {}", told());
        assert!(took < Duration::from_secs(15), "{took:?}");
        refused.refused(504, "upstream_timeout");
        assert_eq!(waits.join().unwrap(), ("At last.".to_owned(), "done".to_owned()));
    });
    assert_eq!((impatient.count("checkpoints"), patient.count("checkpoints")), (0, 1));
}

fn asks_to_hear(seen: &Seen) -> bool {
    seen.head.starts_with("POST /v1/audio/transcriptions ")
}

#[test]
fn a_real_server_is_understood_in_all_it_answers() {
    let meanings = service();
    let mut server = LiteLlm::start(&meanings.url);
    let app = asking(&server.url, "large", RIGHT);
    let llm = |app: &TestApp| app.get("/api/v1/health").expect(200).json()["services"]["llm"].clone();
    wait_for("it is seen", || llm(&app) == "connected");
    let talk = app.start_session();
    let events = app.stream(&json!({"session_id": talk.session, "message": "Guten Morgen"})).events();
    let words: Vec<_> = events.iter().filter(|event| event.name == "token").collect();
    assert!(words.len() > 3, "it streams: {events:?}");
    let text: String = words.iter().map(|event| event.data["text"].as_str().unwrap()).collect();
    assert_eq!(text, "Guten Morgen. How did you sleep?");
    assert_eq!(events.last().unwrap().data["text"], text.as_str());
    for said in ["badly", "again"] {
        assert_eq!(app.say(&talk, said).expect(200).json()["text"], text.as_str());
    }
    let summary = || {
        let sessions = app.export(&talk.token).expect(200).json()["sessions"].clone();
        sessions[0]["summary"].clone()
    };
    wait_for("it is summed up", || summary() == "They sleep badly.");
    remembers(&server.url);
    it_passes_the_shape_on(&server);
    for (model, key) in [
        ("limited", RIGHT),
        ("broken", RIGHT),
        ("too-long", RIGHT),
        ("unknown", RIGHT),
        ("large", "sk-wrong"),
    ] {
        let app = asking(&server.url, model, key);
        let talk = app.start_session();
        app.say(&talk, "hello").refused(503, "service_unavailable");
        assert_eq!(app.count("checkpoints"), 0, "{model} {key}");
    }
    it_hears_and_speaks(&server);
    it_tells_when_to_come_again(&server);
    what_is_behind_it_fails(&server);
    it_is_silent_for_twenty_seconds(&server);
    server.end();
    app.say(&talk, "are you there?").refused(503, "service_unavailable");
    assert_eq!(llm(&app), "disconnected");
}
