//! `Range`, and `If-Range` in the second line: what is sent is the part that is named, and the part that was asked for.

use actix_web::http::StatusCode;
use actix_web::http::header::{IF_RANGE, RANGE};
use actix_web::test::TestRequest;

use super::file::{FILE, LENGTH, ask};
use super::{header, lines, with};

pub fn target(data: &[u8]) {
    let mut lines = lines(data);
    let (range, condition) = (header(&mut lines), header(&mut lines));
    let request = with(TestRequest::get(), RANGE, range.as_ref());
    let got = ask(with(request, IF_RANGE, condition.as_ref()));
    let whole = FILE.identity.bytes;
    match got.status {
        StatusCode::OK => assert_eq!((got.body.as_slice(), got.header("content-range")), (whole, "")),
        StatusCode::PARTIAL_CONTENT => {
            let (first, last) = told(got.header("content-range"));
            assert!(first <= last && last < LENGTH, "{first}-{last}");
            assert_eq!(got.body, whole[first..=last]);
        }
        StatusCode::RANGE_NOT_SATISFIABLE => {
            assert_eq!((got.body.len(), got.header("content-range")), (0, "bytes */1000"));
        }
        other => panic!("{other}"),
    }
    let Some(asked) = range.as_ref().and_then(|range| plain(range.to_str().ok()?)) else { return };
    let holds = condition.as_ref().is_none_or(|condition| condition.as_bytes() == b"\"whole\"");
    let expected = match asked {
        _ if condition.is_some() && !holds => return,
        (Some(first), Some(last)) if first > last => return,
        (Some(first), last) if first < LENGTH => Some((first, last.unwrap_or(LENGTH).min(LENGTH - 1))),
        (None, Some(count)) if count > 0 => Some((LENGTH.saturating_sub(count), LENGTH - 1)),
        _ => None,
    };
    match expected {
        Some(part) => assert_eq!(told(got.header("content-range")), part, "{range:?}"),
        None => assert_eq!(got.status, StatusCode::RANGE_NOT_SATISFIABLE, "{range:?}"),
    }
}

fn told(content_range: &str) -> (usize, usize) {
    let part = content_range.strip_prefix("bytes ").and_then(|rest| rest.strip_suffix("/1000")).unwrap();
    let (first, last) = part.split_once('-').unwrap();
    (first.parse().unwrap(), last.parse().unwrap())
}

/// One range in the plainest spelling there is (RFC 9110, 14.1.2): what is asked for is beyond doubt.
fn plain(text: &str) -> Option<(Option<usize>, Option<usize>)> {
    let (first, last) = text.strip_prefix("bytes=")?.split_once('-')?;
    let number = |text: &str| {
        let digits = text.len() < 10 && text.bytes().all(|byte| byte.is_ascii_digit());
        if text.is_empty() { Some(None) } else { text.parse().ok().filter(|_| digits).map(Some) }
    };
    Some((number(first)?, number(last)?)).filter(|range| *range != (None, None))
}
