//! A model in the server itself makes vectors: the same as plain arithmetic on its numbers does, and what is no model is refused.

use std::fs;
use std::path::Path;

use companion::config::{EmbeddingConfig, ServerConfig};
use companion::domain::embedding::Vector;
use companion::startup::{Application, Substitutes};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::meaning::wait_for_vectors;
use crate::support::program::Program;
use crate::support::{TestApp, agent, tiny_bert, wait_for};

fn with_model(directory: &Path) -> TestApp {
    let embedding = EmbeddingConfig::Directory(directory.to_owned());
    TestApp::spawn_with(move |config| config.embedding = Some(embedding))
}

/// What each memory says, with its vector.
fn vectors(app: &TestApp) -> Vec<(String, Vector)> {
    let db = app.db();
    let mut statement = db
        .prepare("SELECT m.text, v.vector FROM memory_vectors v JOIN memories m ON m.id = v.memory_id")
        .unwrap();
    let read = statement.query_map([], |row| Ok((row.get(0)?, row.get::<_, Vec<u8>>(1)?))).unwrap();
    read.map(Result::unwrap).map(|(text, bytes)| (text, Vector::unpacked(&bytes).unwrap())).collect()
}

#[test]
fn its_vectors_are_those_of_plain_arithmetic() {
    let dir = TempDir::new().unwrap();
    let model = tiny_bert::write(dir.path());
    let app = with_model(dir.path());
    let talk = app.start_session();
    let long = "tea ".repeat(400);
    for text in ["My dog likes tea", "tea", "?!", &long] {
        let body = json!({"text": text});
        app.post("/api/v1/memories", &[("x-companion-person", &talk.token)], &body).expect(201);
    }
    wait_for_vectors(&app, 4);
    for (text, vector) in vectors(&app) {
        let plainly = model.vector(&text);
        let far =
            plainly.iter().zip(vector.numbers()).map(|(a, b)| (a - f64::from(*b)).abs()).fold(0.0, f64::max);
        assert_eq!(plainly.len(), vector.numbers().len());
        assert!(far < 1e-4, "{text}: {far} in {plainly:?} {vector:?}");
    }
    // What is asked is understood by the same model.
    let found = app.get_as(&talk.token, "/api/v1/memories?q=my+dog+likes+tea").expect(200).json();
    assert_eq!(found["memories"][0]["text"], "My dog likes tea");
    // What has no vector in time is looked for by its words, and is asked anew.
    let reply = || app.tell(&talk, "tea?").expect(200).json();
    wait_for("it has a vector in time", || reply()["degraded"] == json!([]));
}

#[test]
fn its_arithmetic_takes_one_thread_of_the_program_and_no_more() {
    let model = TempDir::new().unwrap();
    tiny_bert::write_wide(model.path());
    let setting = ("EMBEDDING_MODEL_DIR", model.path().to_str().unwrap());
    let program = Program::start_with("json", "info", &[setting]);
    let before = program.threads();
    assert!(before.contains(&"embedder".to_owned()), "{before:?}");
    wait_for("it is ready", || {
        agent().get(format!("{}/readyz", program.url)).call().unwrap().status() == 200
    });
    let (cookie, _) = program.post("/session/start", "one", &json!({}));
    let token = cookie.split(['=', ';']).nth(1).unwrap();
    let text = json!({"text": "my dog likes tea ".repeat(8)});
    let asked = agent().post(format!("{}/api/v1/memories", program.url)).header("x-companion-person", token);
    assert_eq!(asked.send_json(&text).unwrap().status(), 201);
    let db = program.db();
    let made =
        || db.query_row("SELECT count(*) FROM memory_vectors", [], |row| row.get::<_, i64>(0)).unwrap();
    wait_for("a vector is made", || made() == 1);
    let others: Vec<_> = program.threads().into_iter().filter(|name| name.starts_with("candle")).collect();
    assert_eq!(others, [""; 0]);
    assert!(!program.stop().contains("more than one thread"));
}

#[test]
fn another_model_in_the_same_directory_makes_all_vectors_anew() {
    let dir = TempDir::new().unwrap();
    tiny_bert::write(dir.path());
    let app = with_model(dir.path());
    let talk = app.start_session();
    app.post("/api/v1/memories", &[("x-companion-person", &talk.token)], &json!({"text": "tea"})).expect(201);
    wait_for_vectors(&app, 1);
    let before = vectors(&app);
    let embedding = EmbeddingConfig::Directory(dir.path().to_owned());
    let app = app.restart_with(|config| config.embedding = Some(embedding.clone()));
    assert_eq!(app.count("embedding_models"), 1, "it is known by what it is");
    let other = tiny_bert::write_other(dir.path());
    let app = app.restart_with(|config| config.embedding = Some(embedding));
    wait_for("it is made anew", || vectors(&app) != before);
    let far = other.vector("tea")[0] - f64::from(vectors(&app)[0].1.numbers()[0]);
    assert!(far.abs() < 1e-4);
}

#[test]
fn what_is_no_model_of_this_kind_is_refused_in_one_line_that_names_the_file() {
    let refused = |change: &dyn Fn(&Path)| {
        let dir = TempDir::new().unwrap();
        tiny_bert::write(dir.path());
        change(dir.path());
        let mut config = ServerConfig::for_testing(&dir.path().join("data")).unwrap();
        config.embedding = Some(EmbeddingConfig::Directory(dir.path().to_owned()));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let built = runtime.block_on(async { Application::build(&config, Substitutes::default()) });
        built.map(|_| ()).unwrap_err().to_string()
    };
    let config = |key: &'static str, value: Value| {
        move |dir: &Path| {
            let file = dir.join("config.json");
            let mut config: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
            config[key] = value.clone();
            fs::write(&file, config.to_string()).unwrap();
        }
    };
    for (part, told) in [
        ("config.json", refused(&|dir| fs::write(dir.join("config.json"), "{").unwrap())),
        ("it is a gpt2, not a bert", refused(&config("model_type", json!("gpt2")))),
        ("model.safetensors", refused(&config("num_hidden_layers", json!(3)))),
        ("model.safetensors", refused(&config("hidden_size", json!(9)))),
        ("model.safetensors", refused(&config("num_attention_heads", json!(0)))),
        ("model.safetensors", refused(&config("num_attention_heads", json!(3)))),
        ("config.json", refused(&config("hidden_act", json!("magic")))),
        ("tokenizer.json", refused(&|dir| fs::write(dir.join("tokenizer.json"), "[]").unwrap())),
        ("model.safetensors", refused(&|dir| fs::write(dir.join("model.safetensors"), [0xFF; 64]).unwrap())),
        ("model.safetensors", refused(&|dir| fs::remove_file(dir.join("model.safetensors")).unwrap())),
    ] {
        assert!(
            told.contains(part) && told.starts_with("EMBEDDING_MODEL_DIR") && !told.contains('\n'),
            "{part}: {told}"
        );
    }
}
