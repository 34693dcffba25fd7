//! Reading a JSON body. The size limit is `middleware::payload_limit`'s.

use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use actix_web::{FromRequest, HttpRequest};
use futures_util::StreamExt;
use serde::de::DeserializeOwned;

use crate::web::body_room::BodyRoom;
use crate::web::error::ApiError;
use crate::web::middleware::body_budget::{announced_bytes, done_with_body};

type Reading<T> = Pin<Box<dyn Future<Output = Result<T, ApiError>>>>;

/// A JSON body that has to be there.
pub struct JsonBody<T>(pub T);

/// A JSON body that may be left out.
pub struct OptionalJsonBody<T>(pub T);

impl<T: DeserializeOwned + 'static> FromRequest for JsonBody<T> {
    type Error = ApiError;
    type Future = Reading<Self>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let json = is_json(request);
        let (request, payload) = (request.clone(), payload.take());
        Box::pin(async move {
            if !json {
                return Err(ApiError::UnsupportedMediaType);
            }
            let parsed = parse(&read(&request, payload).await?).map(Self);
            done_with_body(&request);
            parsed
        })
    }
}

impl<T: DeserializeOwned + Default + 'static> FromRequest for OptionalJsonBody<T> {
    type Error = ApiError;
    type Future = Reading<Self>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let json = is_json(request);
        let (request, payload) = (request.clone(), payload.take());
        Box::pin(async move {
            let body = read(&request, payload).await?;
            let parsed = match (body.is_empty(), json) {
                (true, _) => Ok(Self(T::default())),
                (false, true) => parse(&body).map(Self),
                (false, false) => Err(ApiError::UnsupportedMediaType),
            };
            drop(body);
            done_with_body(&request);
            parsed
        })
    }
}

/// True for a body that is compressed. It is refused: a little of it can become more than any limit.
pub(super) fn is_coded(request: &HttpRequest) -> bool {
    let mut codings = request.headers().get_all(CONTENT_ENCODING);
    codings.any(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity"))
}

/// True for JSON as it is.
fn is_json(request: &HttpRequest) -> bool {
    if is_coded(request) {
        return false;
    }
    let kind = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    kind.eq_ignore_ascii_case("application/json")
}

/// Reads it to its end. Its place in the byte budget is all it takes.
pub(super) async fn read(request: &HttpRequest, mut payload: Payload) -> Result<BodyRoom, ApiError> {
    let mut body = BodyRoom::new(usize::try_from(announced_bytes(request)).unwrap_or(usize::MAX));
    while let Some(chunk) = payload.next().await {
        body.put(&chunk.map_err(|_| ApiError::BrokenBody)?)?;
    }
    Ok(body)
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    let wrong = |message| ApiError::Invalid { field: "body", message };
    // An array would be taken for the fields in their order.
    if body.trim_ascii_start().starts_with(b"[") {
        return Err(wrong("must be an object".to_owned()));
    }
    serde_json::from_slice(body).map_err(|error| wrong(explain(&error)))
}

/// Says what is wrong without repeating what was sent.
fn explain(error: &serde_json::Error) -> String {
    let place = format!("line {}, column {}", error.line(), error.column());
    let text = error.to_string();
    let harmless = ["missing field", "is not a UUID", "recursion limit", "duplicate field"];
    if harmless.iter().any(|start| text.starts_with(start)) {
        return text;
    }
    match error.classify() {
        serde_json::error::Category::Data => format!("a value has the wrong type at {place}"),
        serde_json::error::Category::Syntax | serde_json::error::Category::Io => {
            format!("is not valid JSON at {place}")
        }
        serde_json::error::Category::Eof => "ends before the JSON does".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sent_is_not_repeated() {
        #[derive(Debug, serde::Deserialize)]
        struct Wanted {
            #[serde(rename = "flag")]
            _flag: bool,
        }
        let told = |body: &[u8]| parse::<Wanted>(body).unwrap_err().to_string();
        assert_eq!(
            told(br#"{"flag": "secret words"}"#),
            "body: a value has the wrong type at line 1, column 23"
        );
        assert!(told(b"{}").contains("missing field `flag`"));
        assert!(told(b"{\"flag\": secret}").contains("is not valid JSON"));
        assert!(told("[".repeat(10_000).as_bytes()).starts_with("body: "));
        let nested = "{\"flag\":".repeat(10_000);
        assert!(told(nested.as_bytes()).starts_with("body: "));
        assert_eq!(told(b" \r\n\t[true]"), "body: must be an object");
        assert!(told(b"\xff\xfe").contains("is not valid JSON"));
    }
}
