//! What an answer says that is no success: when to ask again, and its own word for what is wrong.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::Response;
use hyper::body::Incoming;
use hyper::header::{HeaderMap, HeaderName, RETRY_AFTER};

use super::connections::Lease;
use super::error::UpstreamError;

/// An error's body is read so far and so long, for its code.
const MOST_BYTES: usize = 16 * 1024;
const LONGEST: Duration = Duration::from_secs(1);
/// What is longer is no code.
const MOST_CODE_CHARS: usize = 40;

pub(super) async fn read(response: Response<Incoming>, mut lease: Lease) -> UpstreamError {
    let status = response.status().as_u16();
    let retry_after = retry_after(response.headers());
    let body = lease.drive(Limited::new(response.into_body(), MOST_BYTES).collect());
    let body = tokio::time::timeout(LONGEST, body).await;
    let body = body.ok().and_then(Result::ok).map(http_body_util::Collected::to_bytes);
    if body.is_some() {
        lease.give_back();
    }
    UpstreamError::Refused { status, retry_after, code: body.as_ref().and_then(code) }
}

/// `Retry-After` of the service behind LiteLLM's proxy, as that passes it on.
const LITELLM_RETRY_AFTER: HeaderName = HeaderName::from_static("llm_provider-retry-after");

/// Only in seconds: the form that the services concerned use.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let told = headers.get(RETRY_AFTER).or_else(|| headers.get(LITELLM_RETRY_AFTER));
    let seconds = told?.to_str().ok()?.trim().parse::<f64>().ok()?;
    Duration::try_from_secs_f64(seconds).ok()
}

/// `code` or `type` of the error, if it is a plain name: its message may repeat what a person said, and a number is the
/// status once more.
fn code(body: &Bytes) -> Option<String> {
    let told: serde_json::Value = serde_json::from_slice(body).ok()?;
    let error = told.get("error")?;
    let plain = |text: &&str| {
        let named = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
        let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
        (1..=MOST_CODE_CHARS).contains(&text.len()) && text.bytes().all(named) && !is_number
    };
    let named = ["code", "type"].iter().find_map(|key| error.get(key)?.as_str().filter(plain));
    named.map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_plain_name_is_taken_from_an_errors_body() {
        let code = |text: &str| code(&Bytes::from(text.to_owned()));
        assert_eq!(
            code(r#"{"error":{"message":"you said secret","type":"x","code":"invalid_api_key"}}"#).as_deref(),
            Some("invalid_api_key")
        );
        assert_eq!(code(r#"{"error":{"code":400,"type":"not_found"}}"#).as_deref(), Some("not_found"));
        assert_eq!(
            code(r#"{"error":{"code":"400","type":"no_db_connection"}}"#).as_deref(),
            Some("no_db_connection")
        );
        assert_eq!(code(r#"{"error":{"code":"what a person said"}}"#), None);
        assert_eq!(code(r#"{"error":"secret"}"#), None);
        assert_eq!(code("<html>"), None);
    }

    #[test]
    fn the_wait_is_read_in_seconds() {
        let of = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, text.parse().unwrap());
            retry_after(&headers)
        };
        assert_eq!(of("7"), Some(Duration::from_secs(7)));
        assert_eq!(of("0.5"), Some(Duration::from_millis(500)));
        for odd in ["", "-1", "soon", "1e300", "NaN", "Wed, 21 Oct 2026 07:28:00 GMT"] {
            assert_eq!(of(odd), None, "{odd}");
        }
    }
}
