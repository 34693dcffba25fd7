//! What is known of the services outside that are asked over the network: whether they are asked at all now, and how
//! the calls went.

use std::sync::Arc;
use std::time::Duration;

use crate::domain::chat::ServiceState;

/// Whether an upstream is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Circuit {
    /// It is.
    Closed,
    /// It has rested, and the next call, or the one that runs, is a trial.
    HalfOpen,
    /// It failed too often and is left alone for a while.
    Open,
}

impl Circuit {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Closed, Self::HalfOpen, Self::Open];

    /// Its name in metrics.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::HalfOpen => "half_open",
            Self::Open => "open",
        }
    }
}

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallEnd {
    /// It was answered whole.
    Answered,
    /// Whoever asked left before the end.
    Left,
    /// Nothing came in time.
    TimedOut,
    /// No connection, or a broken one.
    Unreachable,
    /// A status that is no success.
    Refused,
    /// What came cannot be understood.
    Garbage,
    /// It was not asked: the circuit is open.
    CircuitOpen,
    /// It was not asked: no connection was free in time.
    Busy,
}

impl CallEnd {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Answered,
        Self::Left,
        Self::TimedOut,
        Self::Unreachable,
        Self::Refused,
        Self::Garbage,
        Self::CircuitOpen,
        Self::Busy,
    ];

    /// Its name in metrics.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Left => "left",
            Self::TimedOut => "timed_out",
            Self::Unreachable => "unreachable",
            Self::Refused => "refused",
            Self::Garbage => "garbage",
            Self::CircuitOpen => "circuit_open",
            Self::Busy => "busy",
        }
    }
}

/// How an upstream is, at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamReport {
    /// Which one: `llm`.
    pub name: &'static str,
    /// As health tells it.
    pub state: ServiceState,
    /// Whether it is asked.
    pub circuit: Circuit,
    /// When it will be asked again, if it is not asked now.
    pub retry_after: Option<Duration>,
    /// How many calls ended in which way, in the order of [`CallEnd::ALL`].
    pub calls: [u64; CallEnd::ALL.len()],
    /// Connections open now.
    pub connections: usize,
    /// Connections that may be open.
    pub most_connections: usize,
}

/// An upstream that can be looked at. Never waits.
pub trait Upstream: Send + Sync {
    /// How it is, as far as it is known; begins to find out when that is long ago.
    fn report(self: Arc<Self>) -> UpstreamReport;
}
