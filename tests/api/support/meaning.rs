//! A service that makes vectors, which knows what a few words mean; and a companion that asks it.

use companion::config::{EmbeddingConfig, ServerConfig};
use companion::domain::secret::ApiKey;
use serde_json::{Value, json};

use super::outside::{Outside, Part, Seen, whole};
use super::{TestApp, wait_for};

/// What belongs together, whatever it is called.
const CONCEPTS: [&[&str]; 4] = [
    &["home", "town", "live", "porto", "street"],
    &["tea", "coffee", "drink", "thirsty"],
    &["dog", "cat", "pet", "bruno"],
    &["bakery", "job", "work", "living"],
];

/// A service that answers every question for vectors.
pub fn service() -> Outside {
    let outside = Outside::new(Vec::new());
    outside.answers(vectors);
    outside
}

/// A companion whose memories' vectors are made there.
pub fn meaning(outside: &Outside, change: impl FnOnce(&mut ServerConfig)) -> TestApp {
    let embedding = of_model(outside, "meanings");
    TestApp::spawn_with(move |config| {
        config.embedding = Some(embedding);
        change(config);
    })
}

pub fn of_model(outside: &Outside, model: &str) -> EmbeddingConfig {
    EmbeddingConfig::Api {
        base: outside.url.parse().unwrap(),
        key: Some(ApiKey::new("sk-very-secret".to_owned())),
        model: model.to_owned(),
    }
}

/// How much each concept is in the text, and a little of everything.
pub fn vector_of(text: &str) -> Vec<f32> {
    let text = text.to_lowercase();
    let count = |words: &&[&str]| words.iter().filter(|word| text.contains(**word)).count() as f32;
    CONCEPTS.iter().map(count).chain([0.1]).collect()
}

/// The answer to a question for vectors.
pub fn vectors(seen: &Seen) -> Vec<Part> {
    let texts = texts_of(&seen.json());
    let data: Vec<_> = (0..).zip(&texts).map(|(index, text): (usize, _)| {
        json!({"object": "embedding", "index": index, "embedding": vector_of(text)})
    }).collect();
    whole(
        200,
        &[],
        &json!({"object": "list", "model": "meanings", "data": data, "usage": {"prompt_tokens": 1}}),
    )
}

fn texts_of(asked: &Value) -> Vec<String> {
    asked["input"].as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
}

/// Every text that was ever sent there, in order.
pub fn sent(outside: &Outside) -> Vec<String> {
    outside.requests("/v1/embeddings").iter().flat_map(|seen| texts_of(&seen.json())).collect()
}

/// Waits until so many memories have a vector.
#[track_caller]
pub fn wait_for_vectors(app: &TestApp, count: u64) {
    wait_for("the vectors are made", || app.count("memory_vectors") == count);
}
