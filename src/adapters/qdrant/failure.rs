//! What Qdrant's client reports, in the words of whoever runs the server. No more of what Qdrant says is repeated than fits a line.

use std::error::Error;

use qdrant_client::QdrantError;

use super::Place;
use crate::domain::memory::copy::CopyError;
use crate::domain::upstream::CallEnd;

/// The codes of gRPC.
const CANCELLED: i32 = 1;
const UNKNOWN: i32 = 2;
const INVALID_ARGUMENT: i32 = 3;
const DEADLINE_EXCEEDED: i32 = 4;
const PERMISSION_DENIED: i32 = 7;
const INTERNAL: i32 = 13;
const UNAVAILABLE: i32 = 14;
const UNAUTHENTICATED: i32 = 16;

const MOST_CHARS: usize = 200;

pub(super) fn told(place: &Place, error: &QdrantError) -> CopyError {
    let (QdrantError::ResponseError { status } | QdrantError::ResourceExhaustedError { status, .. }) = error
    else {
        return CopyError::Refused(line(&error.to_string()));
    };
    let why = status.message();
    match i32::from(status.code()) {
        UNAUTHENTICATED | PERMISSION_DENIED => CopyError::WrongKey(place.url.clone()),
        DEADLINE_EXCEEDED => CopyError::TimedOut(place.url.clone()),
        CANCELLED if why.contains("Timeout") => CopyError::TimedOut(place.url.clone()),
        CANCELLED | UNKNOWN | INTERNAL | UNAVAILABLE => match causes(status) {
            causes if speaks_no_grpc(&causes) || speaks_no_grpc(why) => CopyError::NotGrpc(place.url.clone()),
            _ if is_about_the_connection(status, why) => {
                CopyError::Unreachable { place: place.url.clone(), why: line(&reason(status, why)) }
            }
            _ => CopyError::Refused(line(why)),
        },
        INVALID_ARGUMENT => CopyError::Refused(line(why)),
        _ => CopyError::Refused(line(why)),
    }
}

/// A peer that speaks HTTP/1, or something else altogether.
fn speaks_no_grpc(text: &str) -> bool {
    [
        "frame with invalid size",
        "FRAME_SIZE_ERROR",
        "PROTOCOL_ERROR",
        "invalid compression flag",
        "http2 error",
        "grpc-status header missing",
    ]
    .iter()
    .any(|sign| text.contains(sign))
}

fn is_about_the_connection(status: &impl Error, why: &str) -> bool {
    status.source().is_some() || why.starts_with("Failed to connect") || why.contains("connection")
}

/// The deepest cause says most: "Connection refused".
fn reason(status: &impl Error, why: &str) -> String {
    let deepest = std::iter::successors(status.source(), |error| (*error).source()).last();
    deepest.map_or_else(
        // The client has already made a text of it, the deepest cause last.
        || why.rsplit("message: \"").next().and_then(|rest| rest.split('"').next()).unwrap_or(why).to_owned(),
        ToString::to_string,
    )
}

fn causes(error: &impl Error) -> String {
    let causes = std::iter::successors(error.source(), |error| (*error).source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

fn line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MOST_CHARS).collect()
}

/// How a call that failed so counts.
pub(super) const fn end(error: &CopyError) -> CallEnd {
    match error {
        CopyError::Unreachable { .. } => CallEnd::Unreachable,
        CopyError::TimedOut(_) => CallEnd::TimedOut,
        CopyError::NotGrpc(_) | CopyError::Garbage(_) => CallEnd::Garbage,
        CopyError::LeftAlone => CallEnd::CircuitOpen,
        CopyError::Busy => CallEnd::Busy,
        CopyError::WrongKey(_)
        | CopyError::TooOld { .. }
        | CopyError::Anothers(_)
        | CopyError::Shape { .. }
        | CopyError::Refused(_) => CallEnd::Refused,
    }
}

/// True when it, and not what it was asked, is at fault: such failures open the circuit.
pub(super) const fn is_its_fault(error: &CopyError) -> bool {
    matches!(
        error,
        CopyError::Unreachable { .. }
            | CopyError::TimedOut(_)
            | CopyError::NotGrpc(_)
            | CopyError::Garbage(_)
    )
}
