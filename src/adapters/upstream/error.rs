//! Why a call to an upstream failed.

use std::time::Duration;

use crate::domain::upstream::CallEnd;

/// What took too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// To connect, with TLS.
    Connect,
    /// The head of the answer.
    FirstByte,
    /// The next part of the answer.
    Silence,
    /// The whole call.
    Total,
}

impl std::fmt::Display for Stage {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(match self {
            Self::Connect => "connecting took too long",
            Self::FirstByte => "it did not begin to answer in time",
            Self::Silence => "it fell silent in the middle of its answer",
            Self::Total => "its whole answer took too long",
        })
    }
}

/// Why there is no answer, or no end of it. No text of the upstream's is in it, for that may repeat what a person said.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UpstreamError {
    /// Nothing came in time.
    #[error("{0}")]
    TimedOut(Stage),
    /// No connection, or one that broke.
    #[error("it cannot be reached: {0}")]
    Unreachable(String),
    /// It answered with a status that is no success.
    #[error("it answered {status}{}", code.as_deref().map(|code| format!(" ({code})")).unwrap_or_default())]
    Refused {
        /// The status.
        status: u16,
        /// When it wants to be asked again, if it said so.
        retry_after: Option<Duration>,
        /// Its own word for it, if that is a plain name: `invalid_api_key`.
        code: Option<String>,
    },
    /// What came is not what was asked for.
    #[error("its answer cannot be understood: {0}")]
    Garbage(&'static str),
    /// It answered as it should, without a word of use.
    #[error("there is nothing in its answer: {0}")]
    Nothing(&'static str),
    /// It failed too often and was not asked.
    #[error("it failed too often and is left alone for {} s", retry_after.as_secs_f64().ceil())]
    CircuitOpen {
        /// When it may be asked again.
        retry_after: Duration,
    },
    /// As many connections as may be are open, and none became free in time.
    #[error("all its connections are in use")]
    Busy,
}

impl UpstreamError {
    /// How the call counts.
    #[must_use]
    pub const fn end(&self) -> CallEnd {
        match self {
            Self::TimedOut(_) => CallEnd::TimedOut,
            Self::Unreachable(_) => CallEnd::Unreachable,
            Self::Refused { .. } => CallEnd::Refused,
            Self::Garbage(_) | Self::Nothing(_) => CallEnd::Garbage,
            Self::CircuitOpen { .. } => CallEnd::CircuitOpen,
            Self::Busy => CallEnd::Busy,
        }
    }

    /// When it is worth asking again, if that is known.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused { retry_after, .. } => *retry_after,
            Self::CircuitOpen { retry_after } => Some(*retry_after),
            Self::TimedOut(_) | Self::Unreachable(_) | Self::Garbage(_) | Self::Nothing(_) | Self::Busy => {
                None
            }
        }
    }

    /// True when the upstream, and not what it was asked, is at fault: such failures open its circuit.
    #[must_use]
    pub const fn is_its_fault(&self) -> bool {
        match self {
            Self::TimedOut(_) | Self::Unreachable(_) | Self::Garbage(_) => true,
            Self::Refused { status, .. } => *status >= 500 || matches!(*status, 408 | 429),
            Self::Nothing(_) | Self::CircuitOpen { .. } | Self::Busy => false,
        }
    }

    /// True when it shows that somebody is there who would answer a right request.
    #[must_use]
    pub(super) const fn shows_it_answers(&self) -> bool {
        match self {
            Self::Refused { status, .. } => *status < 500 && !matches!(*status, 401 | 403 | 408 | 429),
            Self::Nothing(_) => true,
            Self::TimedOut(_)
            | Self::Unreachable(_)
            | Self::Garbage(_)
            | Self::CircuitOpen { .. }
            | Self::Busy => false,
        }
    }

    /// True when whoever answered has nothing at the path that was asked.
    #[must_use]
    pub(super) const fn shows_it_is_not_there(&self) -> bool {
        matches!(self, Self::Refused { status: 404 | 405, .. })
    }

    /// True when the same request may be sent again: it was not answered, and another try may go better.
    #[must_use]
    pub(super) const fn is_worth_repeating(&self) -> bool {
        match self {
            Self::Unreachable(_) => true,
            Self::Refused { status, .. } => matches!(*status, 408 | 429 | 500 | 502 | 503 | 504),
            Self::TimedOut(_)
            | Self::Garbage(_)
            | Self::Nothing(_)
            | Self::CircuitOpen { .. }
            | Self::Busy => false,
        }
    }
}
