//! What is fuzzed: each function takes any bytes, hands them to parsers of ours as a client or an operator could, and
//! asserts what has to hold whatever they are. Bytes are lines: one for each header, address or value.

use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::test::TestRequest;

mod accept_encoding;
mod authorization;
mod conditions;
mod cookies;
mod file;
mod form;
mod forwarded;
mod ids;
mod origin;
mod persona;
mod range;
mod settings;

/// Hands any bytes to the parsers it is for.
pub type Target = fn(&[u8]);

/// Every target, by the name of its directory in `corpus`.
pub const TARGETS: [(&str, Target); 11] = [
    ("accept_encoding", accept_encoding::target),
    ("authorization", authorization::target),
    ("conditions", conditions::target),
    ("cookies", cookies::target),
    ("form", form::target),
    ("forwarded", forwarded::target),
    ("ids", ids::target),
    ("origin", origin::target),
    ("persona", persona::target),
    ("range", range::target),
    ("settings", settings::target),
];

/// A line as a header, if it can be one; an empty line is none.
fn header<'a>(lines: &mut impl Iterator<Item = &'a [u8]>) -> Option<HeaderValue> {
    lines.next().filter(|line| !line.is_empty()).and_then(|line| HeaderValue::from_bytes(line).ok())
}

fn lines(data: &[u8]) -> impl Iterator<Item = &[u8]> {
    data.split(|byte| *byte == b'\n')
}

fn with(request: TestRequest, name: HeaderName, value: Option<&HeaderValue>) -> TestRequest {
    match value {
        Some(value) => request.append_header((name, value.clone())),
        None => request,
    }
}
