//! A language model's server as the test wants it, and a companion that asks it.

use companion::config::{LlmConfig, ServerConfig};
use companion::domain::secret::ApiKey;
use serde_json::{Value, json};
use std::time::Duration;

use super::TestApp;
use super::outside::{Outside, Part, chunk, end, events_begin};

/// A companion whose model is at this server.
pub fn asking(outside: &Outside) -> TestApp {
    asking_with(outside, |_| {})
}

/// The same with other settings.
pub fn asking_with(outside: &Outside, change: impl FnOnce(&mut ServerConfig)) -> TestApp {
    let url = outside.url.clone();
    TestApp::spawn_with(move |config| {
        ask_at(config, &url);
        change(config);
    })
}

/// The models are at this address.
pub fn ask_at(config: &mut ServerConfig, url: &str) {
    config.outside.llm = Some(LlmConfig {
        base: url.parse().unwrap(),
        key: Some(ApiKey::new("sk-very-secret".to_owned())),
        model: "large".to_owned(),
        small_model: "small".to_owned(),
        silence: Duration::from_secs(20),
    });
}

/// One event of a streamed completion.
pub fn event(delta: &Value, finish: Option<&str>) -> Part {
    let body = json!({
        "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "large",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
    });
    chunk(&format!("data: {body}\n\n"))
}

pub fn word(text: &str) -> Part {
    event(&json!({"content": text}), None)
}

/// The end that a model gives.
pub fn finished() -> Vec<Part> {
    vec![event(&json!({}), Some("stop")), chunk("data: [DONE]\n\n"), end()]
}

/// A streamed reply of these words.
pub fn says(words: &[&str]) -> Vec<Part> {
    let mut parts = vec![events_begin(), event(&json!({"role": "assistant", "content": ""}), None)];
    parts.extend(words.iter().map(|text| word(text)));
    parts.extend(finished());
    parts
}

/// What was asked of the model, oldest first.
pub fn asked(outside: &Outside) -> Vec<Value> {
    outside.requests("/v1/chat/completions").iter().map(super::outside::Seen::json).collect()
}
