//! Ids that clients send: requests', sessions' and turns', tokens, cursors, audio names. What is taken for one is one, and
//! is shown as it came.

use actix_web::http::header::HeaderValue;
use companion::app::sessions::parse_cursor;
use companion::domain::audio::{file_name, parse_file_name};
use companion::domain::session::PublicId;
use companion::domain::span::Span;
use companion::domain::token::Token;
use companion::web::middleware::request_id::RequestId;

pub fn target(data: &[u8]) {
    if let Some(id) = HeaderValue::from_bytes(data).ok().and_then(|value| RequestId::from_client(&value)) {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        assert_eq!(id.as_str().as_bytes(), data);
        assert!((1..=64).contains(&data.len()) && data.iter().all(|byte| plain(*byte)));
    }
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(id) = text.parse::<PublicId>() {
        assert_eq!(id.to_string(), text.to_ascii_lowercase());
        assert_eq!(PublicId::from_bytes(*id.as_bytes()), id);
        assert!(!format!("{id:?}").contains(&id.to_string()), "never whole in a log");
        let json = serde_json::to_string(text).unwrap();
        assert_eq!(serde_json::from_str::<PublicId>(&json).unwrap(), id);
    }
    if let Ok(token) = text.parse::<Token>() {
        assert_eq!(token.reveal(), text.to_ascii_lowercase());
        assert!(!format!("{token:?}").contains(&token.reveal()), "never in a log");
    }
    if let Some((at, id)) = parse_cursor(text) {
        let shown = format!("{}_{id}", at.as_millis());
        assert_eq!(parse_cursor(&shown), Some((at, id)), "{text}");
    }
    if let Some((id, format)) = parse_file_name(text) {
        assert_eq!(file_name(id, format), text);
        assert!(!text.contains(['/', '\0']) && id.is_random());
    }
    if let Ok(span) = text.parse::<Span>() {
        assert_eq!(span.to_string().parse(), Ok(span));
        assert!((1..=365 * 24 * 3600).contains(&span.get().as_secs()));
    }
}
