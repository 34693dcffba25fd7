//! `Accept-Encoding`, a line for each header: what is sent was not refused, and nothing was liked better.

use actix_web::http::StatusCode;
use actix_web::http::header::{ACCEPT_ENCODING, HeaderValue};
use actix_web::test::TestRequest;

use super::file::{Got, ask};
use super::lines;

pub fn target(data: &[u8]) {
    let values: Vec<_> = lines(data).take(8).filter_map(|line| HeaderValue::from_bytes(line).ok()).collect();
    let request = || {
        let values = values.iter().cloned();
        ask(values.fold(TestRequest::get(), |request, value| request.append_header((ACCEPT_ENCODING, value))))
    };
    let (got, again) = (request(), request());
    assert_eq!(coding(&got), coding(&again), "what is remembered is what was read");
    let Some(accepted) = plain(&values) else { return };
    let Some(chosen) = coding(&got) else {
        assert!(
            ["br", "gzip", "identity"].iter().all(|coding| quality(&accepted, coding) == 0),
            "{values:?}"
        );
        return;
    };
    let liked = quality(&accepted, chosen);
    assert!(liked > 0, "{chosen} was refused: {values:?}");
    for (other, _) in
        accepted.iter().filter(|(coding, _)| ["br", "gzip", "identity"].contains(&coding.as_str()))
    {
        assert!(quality(&accepted, other) <= liked, "{other} was liked better than {chosen}: {values:?}");
    }
}

/// `None` when nothing is acceptable.
fn coding(got: &Got) -> Option<&'static str> {
    let (coding, body) = match (got.status, got.header("content-encoding")) {
        (StatusCode::NOT_ACCEPTABLE, "") => return None,
        (StatusCode::OK, "br") => ("br", &b"brotli"[..]),
        (StatusCode::OK, "gzip") => ("gzip", &b"gzip"[..]),
        (StatusCode::OK, "") => ("identity", super::file::FILE.identity.bytes),
        other => panic!("{other:?}"),
    };
    assert_eq!(got.body, body);
    Some(coding)
}

/// What one header accepts, in thousandths, when it is spelled as RFC 9110 has it and names nothing twice.
fn plain(values: &[HeaderValue]) -> Option<Vec<(String, u16)>> {
    let [value] = values else { return None };
    let mut accepted = Vec::new();
    for item in value.to_str().ok()?.split(", ") {
        let (coding, weight) = item.split_once(";q=").unwrap_or((item, "1"));
        let known = ["br", "gzip", "identity", "deflate", "zstd", "*"].contains(&coding);
        if !known || accepted.iter().any(|(other, _)| other == coding) {
            return None;
        }
        accepted.push((coding.to_owned(), thousandths(weight)?));
    }
    Some(accepted)
}

fn thousandths(weight: &str) -> Option<u16> {
    let (whole, part) = weight.split_once('.').unwrap_or((weight, "0"));
    let digits = (1..=3).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
    let part: u16 = format!("{part:0<3}").parse().ok().filter(|_| digits)?;
    match (whole, part) {
        ("0", part) => Some(part),
        ("1", 0) => Some(1000),
        _ => None,
    }
}

/// By its own name, by `*`, and the file as it is unless refused.
fn quality(accepted: &[(String, u16)], coding: &str) -> u16 {
    let of = |name: &str| accepted.iter().find(|(other, _)| other == name).map(|(_, quality)| *quality);
    of(coding).or_else(|| of("*")).unwrap_or(u16::from(coding == "identity"))
}
