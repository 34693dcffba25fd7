//! What is told when a service outside fails: the model, hearing, speaking.

use actix_web::http::StatusCode;

use super::{ErrorReport, NO_ROOM, invalid, no_room};
use crate::domain::chat::ChatError;
use crate::domain::speech::SpeechError;

/// Some services answer to a wrong key, or to a model that they do not know, as to a bad recording.
const NOT_HEARD: &str =
    "cannot be understood: it may be damaged, or hearing does not work now; you can write instead";

pub(super) fn report_model(error: &ChatError) -> (StatusCode, ErrorReport) {
    match error {
        ChatError::Unavailable { .. } | ChatError::NoAnswer(_) => (
            StatusCode::SERVICE_UNAVAILABLE,
            ErrorReport::new(
                "service_unavailable",
                "The companion cannot answer now; please try again in a moment",
            )
            .because(error),
        ),
        ChatError::TimedOut(_) => (
            StatusCode::GATEWAY_TIMEOUT,
            ErrorReport::new("upstream_timeout", "The companion took too long to answer; please try again")
                .because(error),
        ),
    }
}

pub(super) fn report_speech(error: &SpeechError) -> (StatusCode, ErrorReport) {
    match error {
        SpeechError::Unavailable { .. } => (
            StatusCode::SERVICE_UNAVAILABLE,
            ErrorReport::new(
                "service_unavailable",
                "Speech does not work now; you can write instead, or try again in a moment",
            )
            .because(error),
        ),
        SpeechError::TimedOut => (
            StatusCode::GATEWAY_TIMEOUT,
            ErrorReport::new("upstream_timeout", "Speech took too long; please try again").because(error),
        ),
        SpeechError::NoRoom => no_room(NO_ROOM),
        SpeechError::Unreadable(_) => (StatusCode::BAD_REQUEST, invalid("audio", NOT_HEARD)),
    }
}
