//! `If-None-Match`, and `If-Match` in the second line: who holds the file is told so, and nobody else.

use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderValue, IF_MATCH, IF_NONE_MATCH};
use actix_web::test::TestRequest;

use super::file::{FILE, ask};
use super::{header, lines, with};

const TAG: &str = "\"whole\"";

pub fn target(data: &[u8]) {
    let mut lines = lines(data);
    let (held, wanted) = (header(&mut lines), header(&mut lines));
    let got = ask(with(with(TestRequest::get(), IF_NONE_MATCH, held.as_ref()), IF_MATCH, wanted.as_ref()));
    match got.status {
        StatusCode::OK => assert_eq!(got.body, FILE.identity.bytes),
        StatusCode::NOT_MODIFIED => {
            assert!(held.as_ref().is_some_and(may_hold), "{held:?}");
            assert_eq!((got.body.len(), got.header("etag")), (0, TAG));
        }
        StatusCode::PRECONDITION_FAILED => {
            assert!(
                wanted.as_ref().is_some_and(|wanted| wanted.as_bytes() != b"*" && wanted != TAG),
                "{wanted:?}"
            );
        }
        other => panic!("{other}"),
    }
    let is = |value: &Option<HeaderValue>, one: &str| value.as_ref().is_some_and(|value| value == one);
    let fails = got.status == StatusCode::PRECONDITION_FAILED;
    if is(&held, TAG) || is(&held, "W/\"whole\"") || is(&held, "*") {
        assert!(fails || got.status == StatusCode::NOT_MODIFIED, "{held:?}");
    }
    if is(&wanted, "W/\"whole\"") || is(&wanted, "\"other\"") {
        assert!(fails, "weak tags and others never match strongly: {wanted:?}");
    }
}

/// Whether the file's tag, or any, stands in the list at all.
fn may_hold(list: &HeaderValue) -> bool {
    let text = String::from_utf8_lossy(list.as_bytes()).into_owned();
    text.contains(TAG) || text.trim() == "*"
}
