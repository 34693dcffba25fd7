//! A form: its content type in the first line, its body behind it. What is read does not depend on how the body was cut on its
//! way, and each field is a part of the body.

use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::http::header::CONTENT_TYPE;
use actix_web::rt::Runtime;
use actix_web::rt::time::timeout;
use actix_web::test::TestRequest;
use actix_web::web::Bytes;
use companion::web::form::Form;
use companion::web::middleware::payload_limit::MaxRequestBytes;

use super::header;

const WANTED: [&str; 2] = ["audio", "session_id"];
/// It waits for nothing outside: whoever waits so long never ends.
const LONGEST: Duration = Duration::from_secs(10);

thread_local! {
    static RUNTIME: Runtime = Runtime::new().unwrap();
}

type Fields = Vec<Option<Bytes>>;

pub fn target(data: &[u8]) {
    let mut parts = data.splitn(2, |byte| *byte == b'\n');
    let kind = header(&mut parts);
    let body = Bytes::copy_from_slice(parts.next().unwrap_or_default());
    let Some(kind) = kind else { return };
    let once = fields(&kind, &body, body.len());
    for piece in [1, 7, 64] {
        assert_eq!(fields(&kind, &body, piece), once, "in pieces of {piece} bytes");
    }
    if kind.as_bytes().to_ascii_lowercase().starts_with(b"multipart/") {
        let within = |field: &Bytes| field.is_empty() || body.windows(field.len()).any(|part| part == field);
        assert!(once.iter().flatten().flatten().all(within), "a field is not in the body");
    }
}

/// What is found in the fields that are wanted; `None` for what is no form.
fn fields(kind: &actix_web::http::header::HeaderValue, body: &Bytes, piece: usize) -> Option<Fields> {
    let cut: Vec<_> = body.chunks(piece.max(1)).map(|part| Ok(body.slice_ref(part))).collect();
    let payload: Payload = Payload::Stream { payload: Box::pin(futures_util::stream::iter(cut)) };
    let request =
        TestRequest::post().app_data(MaxRequestBytes(1 << 20)).insert_header((CONTENT_TYPE, kind.clone()));
    let request = request.to_http_request();
    let read = RUNTIME.with(|runtime| {
        runtime.block_on(async { timeout(LONGEST, Form::read(&request, payload, &WANTED)).await })
    });
    let mut form = read.unwrap().ok()?;
    Some(WANTED.map(|name| form.bytes(name).ok()).into())
}
