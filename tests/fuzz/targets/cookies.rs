//! `Cookie`, a line for each header: a token is only ever taken from a cookie that holds just that.

use actix_web::http::header::{COOKIE, HeaderValue};
use actix_web::test::TestRequest;
use companion::web::middleware::token_cookies::{PERSON, SIGN_IN};

use super::lines;

pub fn target(data: &[u8]) {
    let values: Vec<_> = lines(data).take(8).filter_map(|line| HeaderValue::from_bytes(line).ok()).collect();
    let request = values
        .iter()
        .fold(TestRequest::get(), |request, value| request.append_header((COOKIE, value.clone())));
    let request = request.to_http_request();
    let sent: String =
        values.iter().map(|value| decoded(value.as_bytes()).to_ascii_lowercase() + "\n").collect();
    for (cookie, name) in [(&PERSON, "companion_person"), (&SIGN_IN, "companion_access")] {
        let token = cookie.of(&request);
        if let Some(token) = &token {
            assert!(sent.contains(&token.reveal()) && sent.contains(name), "a token that was not sent");
        }
        if let [value] = values.as_slice() {
            let alone = value.to_str().ok().and_then(|text| text.strip_prefix(name)?.strip_prefix('='));
            if let Some(text) = alone.filter(|text| text.bytes().all(|byte| byte.is_ascii_alphanumeric())) {
                let is_token = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
                assert_eq!(token.map(|token| token.reveal()), is_token.then(|| text.to_ascii_lowercase()));
            }
        }
    }
}

/// Cookies may be percent-encoded.
fn decoded(text: &[u8]) -> String {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        let digits =
            after.get(..2).filter(|_| *first == b'%').and_then(|digits| std::str::from_utf8(digits).ok());
        let digits = digits.filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
