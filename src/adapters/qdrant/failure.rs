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
/// Said by the server of a limit of its own; and by the connection that it has ended because too much was taken back.
const RESOURCE_EXHAUSTED: i32 = 8;
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
        RESOURCE_EXHAUSTED if status.source().is_some() => {
            CopyError::Unreachable { place: place.url.clone(), why: line(&reason(status, why)) }
        }
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
    deepest.map_or_else(|| written_out(why), ToString::to_string)
}

/// The same where the client has already made a text of it, as programmers see it: the deepest cause is what is quoted last.
fn written_out(why: &str) -> String {
    if why.contains("InvalidMessage(") {
        return "it does not speak TLS: should QDRANT_URL begin with http://?".to_owned();
    }
    if why.contains("InvalidCertificate(") {
        return "its certificate is not trusted".to_owned();
    }
    let quoted = why.rsplit_once('"').map(|(before, _)| before);
    quoted
        .and_then(|before| before.rsplit('"').next())
        .filter(|cause| !cause.is_empty())
        .unwrap_or(why)
        .to_owned()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_what_the_client_writes_out_the_cause_is_told() {
        let of = |cause: &str| {
            written_out(&format!(
                "Failed to connect to http://q:6334/: tonic::transport::Error(Transport, {cause})"
            ))
        };
        let refused = r#"ConnectError(ConnectError("tcp connect error", 127.0.0.1:1, Os { code: 111, message: "Connection refused" }))"#;
        assert_eq!(of(refused), "Connection refused");
        let unknown = r#"ConnectError(ConnectError("dns error", Custom { kind: Uncategorized, error: "Name or service not known" }))"#;
        assert_eq!(of(unknown), "Name or service not known");
        let plain = "ConnectError(Custom { kind: InvalidData, error: InvalidMessage(InvalidContentType) })";
        assert!(of(plain).contains("does not speak TLS"));
        assert!(
            of("ConnectError(Custom { error: InvalidCertificate(UnknownIssuer) })").contains("certificate")
        );
        assert_eq!(written_out("connection reset"), "connection reset");
        assert_eq!(written_out("\""), "\"");
        assert_eq!(written_out(""), "");
    }
}
