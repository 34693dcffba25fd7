//! What is told of links and recovery codes that lead nowhere.

use actix_web::http::StatusCode;
use serde_json::json;

use super::ErrorReport;
use crate::app::ways_in::WayInError;

/// Its part of the map.
pub(super) fn report(error: &WayInError) -> (StatusCode, ErrorReport) {
    match error {
        WayInError::LinkNotFound => (
            StatusCode::NOT_FOUND,
            ErrorReport::new(
                "link_not_found",
                "This link is no longer good: a link works once, within ten minutes. Please make a new one",
            ),
        ),
        WayInError::LinkUsed => (
            StatusCode::CONFLICT,
            ErrorReport::new(
                "link_used",
                "This link has been used already. If that was not you, replace your token; else make a new link",
            ),
        ),
        WayInError::CodeNotFound => (
            StatusCode::NOT_FOUND,
            ErrorReport::new(
                "recovery_code_not_found",
                "Nobody here has this recovery code; a newer one, or a new token, ends the one before",
            ),
        ),
        WayInError::AlreadySomeone(left) => (
            StatusCode::CONFLICT,
            ErrorReport::new(
                "already_someone",
                "Whoever you are here so far would be left behind; send \"instead\": true to go on",
            )
            .with("details", json!(left)),
        ),
    }
}
