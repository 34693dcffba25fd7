//! Vectors from any OpenAI-compatible API: `POST embeddings`.
//!
//! Bounds: 16 texts at a time; an answer of 4 MiB; for somebody who asks, half a second in all.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use hyper::header::HeaderValue;
use serde::{Deserialize, Serialize};

use crate::adapters::upstream::{Ask, Repeat, Upstream, UpstreamError};
use crate::domain::embedding::{EmbedError, Embedder, Haste, Vector};

const MOST_TEXTS: usize = 16;
const MOST_ANSWER: usize = 4 << 20;
const ASKED_FOR: Duration = Duration::from_millis(500);

/// Whoever makes vectors there.
pub struct EmbeddingService {
    upstream: Arc<Upstream>,
    model: Arc<str>,
}

#[derive(Serialize)]
struct Wanted<'a> {
    model: &'a str,
    input: &'a [String],
    encoding_format: &'static str,
}

/// What is answered, as far as it is of use.
#[derive(Deserialize)]
struct Answer {
    data: Vec<Embedding>,
}

#[derive(Deserialize)]
struct Embedding {
    index: usize,
    embedding: Vec<f32>,
}

impl EmbeddingService {
    /// The model of this name at this upstream.
    #[must_use]
    pub fn new(upstream: Arc<Upstream>, model: &str) -> Self {
        Self { upstream, model: model.into() }
    }
}

impl Embedder for EmbeddingService {
    fn model(&self) -> Arc<str> {
        self.model.clone()
    }

    fn most_at_once(&self) -> usize {
        MOST_TEXTS
    }

    fn embed(&self, texts: Vec<String>, haste: Haste) -> BoxFuture<'static, Result<Vec<Vector>, EmbedError>> {
        let wanted = Wanted { model: &self.model, input: &texts, encoding_format: "float" };
        let (upstream, body) = (self.upstream.clone(), serde_json::to_vec(&wanted));
        async move {
            let body = body.map_err(|_| EmbedError::Refused("the request cannot be written".to_owned()))?;
            let ask = Ask::post("embeddings", HeaderValue::from_static("application/json"), body);
            let ask = match haste {
                Haste::Asked => ask.within(ASKED_FOR),
                Haste::Aside => ask,
            };
            // The same texts have the same vectors, however often they are asked for.
            let mut reply = upstream.send(&ask, Repeat::Safe).await.map_err(|error| of_upstream(&error))?;
            let answer = reply.whole(MOST_ANSWER).await.map_err(|error| of_upstream(&error))?;
            read(&answer, texts.len())
                .ok_or_else(|| of_upstream(&reply.garbage("it has not one vector for each text")))
        }
        .boxed()
    }
}

/// One vector for each text, in the order of the texts, whatever that of the answer.
fn read(answer: &Bytes, texts: usize) -> Option<Vec<Vector>> {
    let answer: Answer = serde_json::from_slice(answer).ok()?;
    let mut vectors: Vec<Option<Vector>> = vec![None; texts];
    for Embedding { index, embedding } in answer.data {
        *vectors.get_mut(index)? = Some(Vector::of(embedding)?);
    }
    vectors.into_iter().collect()
}

/// A status that says that the text is at fault is not the service's failure.
fn of_upstream(error: &UpstreamError) -> EmbedError {
    match error {
        UpstreamError::TimedOut(_) => EmbedError::TimedOut(error.to_string()),
        UpstreamError::Refused { status: 400 | 413 | 422, .. } => EmbedError::Refused(error.to_string()),
        UpstreamError::Unreachable(_)
        | UpstreamError::Refused { .. }
        | UpstreamError::Garbage(_)
        | UpstreamError::Nothing(_)
        | UpstreamError::CircuitOpen { .. }
        | UpstreamError::Busy => EmbedError::Unavailable(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_vector_for_each_text_is_an_answer() {
        let told = |data: &str, texts| {
            let vectors = read(&Bytes::from(format!(r#"{{"data": {data}, "usage": {{}}}}"#)), texts)?;
            Some(vectors.iter().map(|vector| vector.numbers()[0]).collect::<Vec<_>>())
        };
        let two = r#"[{"index": 1, "embedding": [-1.0, 0]}, {"index": 0, "embedding": [2, 0]}]"#;
        assert_eq!(told(two, 2), Some(vec![1.0, -1.0]));
        assert_eq!((told(two, 1), told(two, 3)), (None, None));
        for wrong in [
            "[]",
            r#"[{"index": 0}]"#,
            r#"[{"index": 0, "embedding": []}]"#,
            r#"[{"index": 0, "embedding": [0, 0]}]"#,
        ] {
            assert_eq!(told(wrong, 1), None, "{wrong}");
        }
    }
}
