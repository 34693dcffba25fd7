//! How a model is asked to answer in a shape, and which servers it is not asked of.
//!
//! `response_format`, as OpenAI has it (<https://platform.openai.com/docs/guides/structured-outputs>): many servers of the kind do not know
//! it, or not with every model, or not for an answer that is streamed, and say 400 or 422. Others pass over it.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::Value;

use crate::adapters::upstream::UpstreamError;
use crate::domain::chat::Shape;

/// By then it may be another server, or another model.
const REMEMBERED_FOR: Duration = Duration::from_secs(60 * 60);

#[derive(Serialize)]
pub(super) struct ResponseFormat<'a> {
    r#type: &'static str,
    json_schema: JsonSchema<'a>,
}

#[derive(Serialize)]
struct JsonSchema<'a> {
    name: &'a str,
    strict: bool,
    schema: &'a Value,
}

impl<'a> ResponseFormat<'a> {
    pub(super) const fn of(shape: &'a Shape) -> Self {
        let json_schema = JsonSchema { name: shape.name, strict: true, schema: &shape.schema };
        Self { r#type: "json_schema", json_schema }
    }
}

/// True when it may have been refused for the shape.
pub(super) const fn may_be_refused(error: &UpstreamError) -> bool {
    matches!(error, UpstreamError::Refused { status: 400 | 422, .. })
}

/// Whether the server has refused to be asked for a shape, and answered without.
#[derive(Default)]
pub(super) struct Shapeless(Mutex<Option<Instant>>);

impl Shapeless {
    /// It has, now.
    pub(super) fn note(&self, now: Instant) {
        *self.lock() = Some(now);
        tracing::info!(
            event = "shape_refused",
            "The model's server refuses response_format: for an hour its answers are asked for in words alone"
        );
    }

    /// It has, not long ago.
    pub(super) fn is_known(&self, now: Instant) -> bool {
        self.lock().is_some_and(|at| now.saturating_duration_since(at) < REMEMBERED_FOR)
    }

    fn lock(&self) -> MutexGuard<'_, Option<Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_remembered_for_an_hour() {
        let (shapeless, now) = (Shapeless::default(), Instant::now());
        assert!(!shapeless.is_known(now));
        shapeless.note(now);
        assert!(shapeless.is_known(now) && shapeless.is_known(now + REMEMBERED_FOR / 2));
        assert!(!shapeless.is_known(now + REMEMBERED_FOR));
    }

    #[test]
    fn only_a_request_that_is_wrong_may_be_refused_for_its_shape() {
        let refused = |status| UpstreamError::Refused { status, retry_after: None, code: None };
        assert!([400, 422].into_iter().all(|status| may_be_refused(&refused(status))));
        assert!([401, 404, 413, 429, 500].into_iter().all(|status| !may_be_refused(&refused(status))));
        assert!(!may_be_refused(&UpstreamError::Busy));
    }
}
