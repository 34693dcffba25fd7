//! How long the stages of a turn took, as the header `Server-Timing` (W3C) tells it to the developer's tools of a browser.

use actix_web::http::header::HeaderName;

const NAME: HeaderName = HeaderName::from_static("server-timing");

/// The header for these stages, each with its milliseconds.
pub(crate) fn header(stages: &[(&str, f64)]) -> (HeaderName, String) {
    let told: Vec<_> = stages.iter().map(|(stage, ms)| format!("{stage};dur={ms}")).collect();
    (NAME, told.join(", "))
}
