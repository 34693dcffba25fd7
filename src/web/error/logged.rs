//! What the log is told of a request that was not answered with what it asked for, at the boundary and once.
//!
//! What failed is an error, with its cause. A bound that does its work is none: it is a warning, and whoever goes there on
//! purpose must not flood the log.

use std::sync::LazyLock;

use actix_web::http::StatusCode;

use super::ErrorReport;
use crate::telemetry::sparing::Sparing;

/// What the log is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ForTheLog {
    /// Nothing: it is the client's affair, or the answer to a question.
    Nothing,
    /// That a bound of ours was reached.
    Bound(Bound),
    /// Why it failed.
    Failure(String),
}

/// The bounds that are ours to move, not the client's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    /// As much is under way as may be.
    Busy,
    /// The disk is low.
    Disk,
}

impl Bound {
    fn lines(self) -> &'static Sparing {
        static BUSY: LazyLock<Sparing> = LazyLock::new(Sparing::default);
        static DISK: LazyLock<Sparing> = LazyLock::new(Sparing::default);
        match self {
            Self::Busy => &BUSY,
            Self::Disk => &DISK,
        }
    }
}

/// Writes it. `what` was asked for; `request_id` is for where no span tells it.
pub fn log(told: &ErrorReport, status: StatusCode, request_id: Option<&str>, what: &'static str) {
    let (status, code) = (status.as_u16(), told.code);
    match &told.log {
        ForTheLog::Nothing => {}
        ForTheLog::Bound(bound) => {
            if let Some(left_out) = bound.lines().one_more() {
                tracing::warn!(
                    event = "request_refused",
                    status,
                    code,
                    request_id,
                    left_out,
                    "{what} was refused: a bound was reached"
                );
            }
        }
        ForTheLog::Failure(cause) => {
            tracing::error!(event = "request_failed", status, code, request_id, cause, "{what} failed");
        }
    }
}
