//! What the server counts while it works: one registry, built once at the start, and the names of its metrics.
//!
//! Labels hold what the program knows (route templates, methods, reasons), never what a client sent or who it is.

use std::time::Duration;

use prometheus::core::Collector;
use prometheus::proto::MetricFamily;
use prometheus::{
    Gauge, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts, Registry,
};

/// Why the counters could not be made.
#[derive(Debug, thiserror::Error)]
#[error("the metrics cannot be counted: {0}")]
pub struct MetricsError(#[from] prometheus::Error);

/// Upper bounds in seconds: what is answered from memory, what waits for the disk, what waits for a model.
const BUCKETS: [f64; 12] = [0.001, 0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

/// The same for the first sound of an answer: whoever talks notices tenths of seconds.
const FIRST_SOUND_BUCKETS: [f64; 12] = [0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.5, 5.0, 10.0, 30.0];

/// What a client can ask for too often.
const KINDS: [&str; 3] = ["turn", "read", "health"];

/// Why a request body was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyRefusal {
    /// It was declared larger than `MAX_REQUEST_SIZE`.
    DeclaredTooLarge,
    /// It grew beyond `MAX_REQUEST_SIZE`.
    GrewTooLarge,
    /// There was no room for it in time.
    NoRoom,
    /// It stalled, dripped or took too long.
    TooSlow,
}

impl BodyRefusal {
    const ALL: [Self; 4] = [Self::DeclaredTooLarge, Self::GrewTooLarge, Self::NoRoom, Self::TooSlow];

    const fn label(self) -> &'static str {
        match self {
            Self::DeclaredTooLarge => "declared_too_large",
            Self::GrewTooLarge => "grew_too_large",
            Self::NoRoom => "no_room",
            Self::TooSlow => "too_slow",
        }
    }
}

/// Why a connection was not taken, or not left to its client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectionEnd {
    /// Its client had as many as one may have.
    TooMany,
    /// A header was not whole in time.
    SlowHeader,
    /// A header was too large.
    LargeHeader,
    /// An answer was not read in time.
    UnreadAnswer,
    /// Nothing was under way.
    Idle,
}

impl ConnectionEnd {
    const ALL: [Self; 5] =
        [Self::TooMany, Self::SlowHeader, Self::LargeHeader, Self::UnreadAnswer, Self::Idle];

    const fn label(self) -> &'static str {
        match self {
            Self::TooMany => "too_many",
            Self::SlowHeader => "slow_header",
            Self::LargeHeader => "large_header",
            Self::UnreadAnswer => "unread_answer",
            Self::Idle => "idle",
        }
    }
}

/// A stage of a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Until the recording was understood.
    Heard,
    /// Until the model's first piece.
    FirstToken,
    /// Until the model's last piece.
    Written,
    /// Until the first sound.
    FirstAudio,
    /// Speaking, all sentences together.
    Speaking,
    /// Keeping it.
    Keeping,
    /// All of it.
    Total,
}

impl Stage {
    /// In the order in which they come.
    pub const ALL: [Self; 7] = [
        Self::Heard,
        Self::FirstToken,
        Self::Written,
        Self::FirstAudio,
        Self::Speaking,
        Self::Keeping,
        Self::Total,
    ];

    const fn label(self) -> &'static str {
        match self {
            Self::Heard => "heard",
            Self::FirstToken => "first_token",
            Self::Written => "written",
            Self::FirstAudio => "first_audio",
            Self::Speaking => "speaking",
            Self::Keeping => "keeping",
            Self::Total => "total",
        }
    }
}

/// The counters of the requests that have method, route and status in common.
#[derive(Clone)]
pub struct RequestCounts {
    answered: IntCounter,
    seconds: Histogram,
}

impl RequestCounts {
    /// Counts a request that took so long.
    pub fn count(&self, took: Duration) {
        self.answered.inc();
        self.seconds.observe(took.as_secs_f64());
    }
}

/// Everything the server counts.
pub struct Metrics {
    registry: Registry,
    requests: IntCounterVec,
    request_seconds: HistogramVec,
    refused_bodies: IntCounterVec,
    rate_limited: IntCounterVec,
    open_connections: IntGauge,
    ended_connections: IntCounterVec,
    stage_seconds: HistogramVec,
    first_sound_seconds: Histogram,
    not_modified: IntCounter,
    modified: IntCounter,
}

impl Metrics {
    /// Counters at zero, of a release that started so many milliseconds after 1970.
    ///
    /// # Errors
    /// Never for a program that passes its tests: two metrics would have to have one name.
    #[expect(clippy::cast_precision_loss, reason = "milliseconds of our time are exact")]
    pub fn new(version: &str, started_at: i64) -> Result<Self, MetricsError> {
        let registry = Registry::new();
        let requests = counters(
            &registry,
            ("companion_http_requests_total", "Requests answered."),
            &["method", "route", "status"],
        )?;
        let help = "From a request's head to the head of its answer, in seconds; a streamed answer goes on after that.";
        let options = HistogramOpts::new("companion_http_request_duration_seconds", help);
        let request_seconds = HistogramVec::new(options.buckets(BUCKETS.to_vec()), &["method", "route"])?;
        let request_seconds = registered(&registry, request_seconds)?;
        let refused_bodies = counters(
            &registry,
            ("companion_refused_bodies_total", "Request bodies that were not taken."),
            &["reason"],
        )?;
        // What has not happened yet is told as zero, so that its first time is seen as a change.
        BodyRefusal::ALL.iter().for_each(|why| drop(refused_bodies.with_label_values(&[why.label()])));
        let rate_limited = counters(
            &registry,
            ("companion_rate_limited_requests_total", "Requests of clients that asked too often."),
            &["kind"],
        )?;
        KINDS.iter().for_each(|kind| drop(rate_limited.with_label_values(&[kind])));
        let (open_connections, ended_connections) = of_connections(&registry)?;
        let conditional = counters(
            &registry,
            (
                "companion_static_conditional_requests_total",
                "Requests for a page or a static file by clients that hold a copy: it was still good, or not.",
            ),
            &["result"],
        )?;
        let help = "How long the stages of a turn took, in seconds; those named for an end count from the turn's beginning.";
        let options = HistogramOpts::new("companion_turn_stage_seconds", help).buckets(BUCKETS.to_vec());
        let stage_seconds = registered(&registry, HistogramVec::new(options, &["stage"])?)?;
        // All of them are there from the beginning, as the counters are.
        for stage in Stage::ALL {
            stage_seconds.with_label_values(&[stage.label()]);
        }
        let help = "From the end of what a person said to the first sound of the answer in their browser, in seconds, as the page measured it; the silence that shows the end is not counted.";
        let options = HistogramOpts::new("companion_first_sound_seconds", help);
        let first_sound_seconds = Histogram::with_opts(options.buckets(FIRST_SOUND_BUCKETS.to_vec()))?;
        let first_sound_seconds = registered(&registry, first_sound_seconds)?;
        let started = Gauge::new("process_start_time_seconds", "When the server started, since 1970.")?;
        registered(&registry, started)?.set(started_at as f64 / 1000.0);
        let build = Opts::new("companion_build_info", "Which release runs.").const_label("version", version);
        registered(&registry, Gauge::with_opts(build)?)?.set(1.0);
        Ok(Self {
            registry,
            requests,
            request_seconds,
            refused_bodies,
            rate_limited,
            open_connections,
            ended_connections,
            stage_seconds,
            first_sound_seconds,
            not_modified: conditional.with_label_values(&["not_modified"]),
            modified: conditional.with_label_values(&["sent"]),
        })
    }

    /// The counters of a kind of request. Looking them up takes a lock that all threads share: keep them.
    #[must_use]
    pub fn requests(&self, method: &'static str, route: &str, status: u16) -> RequestCounts {
        RequestCounts {
            answered: self.requests.with_label_values(&[method, route, status.to_string().as_str()]),
            seconds: self.request_seconds.with_label_values(&[method, route]),
        }
    }

    /// Counts a body that was not taken.
    pub fn refused_body(&self, why: BodyRefusal) {
        self.refused_bodies.with_label_values(&[why.label()]).inc();
    }

    /// Counts a request of a client that asked too often for something of this kind.
    pub fn rate_limited(&self, kind: &'static str) {
        self.rate_limited.with_label_values(&[kind]).inc();
    }

    /// Counts a connection that was opened, or, with `false`, closed.
    pub fn connection(&self, opened: bool) {
        if opened { self.open_connections.inc() } else { self.open_connections.dec() }
    }

    /// Counts a connection that was ended, or not even taken.
    pub fn ended_connection(&self, why: ConnectionEnd) {
        self.ended_connections.with_label_values(&[why.label()]).inc();
    }

    /// Counts how long a stage of a turn took.
    pub fn stage(&self, stage: Stage, took: Duration) {
        self.stage_seconds.with_label_values(&[stage.label()]).observe(took.as_secs_f64());
    }

    /// Counts how long after the end of their words a person heard the first sound of the answer, as their browser says.
    pub fn first_sound(&self, after: Duration) {
        self.first_sound_seconds.observe(after.as_secs_f64());
    }

    /// Counts a request for a static file by a client that holds a copy.
    pub fn conditional(&self, still_good: bool) {
        if still_good { self.not_modified.inc() } else { self.modified.inc() }
    }

    /// What has been counted so far.
    #[must_use]
    pub fn counted(&self) -> Vec<MetricFamily> {
        self.registry.gather()
    }
}

fn of_connections(registry: &Registry) -> Result<(IntGauge, IntCounterVec), MetricsError> {
    let open = registered(registry, IntGauge::new("companion_open_connections", "Connections open now.")?)?;
    let help = "Connections that were not taken, or ended by the server and not with an answer.";
    let ended = counters(registry, ("companion_ended_connections_total", help), &["reason"])?;
    ConnectionEnd::ALL.iter().for_each(|why| drop(ended.with_label_values(&[why.label()])));
    Ok((open, ended))
}

fn counters(
    registry: &Registry,
    (name, help): (&str, &str),
    labels: &[&str],
) -> Result<IntCounterVec, MetricsError> {
    registered(registry, IntCounterVec::new(Opts::new(name, help), labels)?)
}

fn registered<T: Collector + Clone + 'static>(registry: &Registry, metric: T) -> Result<T, MetricsError> {
    registry.register(Box::new(metric.clone()))?;
    Ok(metric)
}
