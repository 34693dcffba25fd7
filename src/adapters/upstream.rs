//! Services outside that are asked over HTTP: one client for the process, for each upstream a bound on its connections,
//! time limits, repeats where they are safe, and a circuit breaker.
//!
//! A call is an [`Ask`]; what comes back is a [`Reply`] with a 2xx status, whose body is read piece by piece or whole, or
//! one [`UpstreamError`]. Dropping either drops the connection. Redirects are not followed, for a key goes with each
//! request; proxies are not used.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{CONTENT_TYPE, HOST, HeaderName, HeaderValue, USER_AGENT};
use hyper::{Method, Request};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto};

use crate::domain::address::BaseUrl;
use crate::domain::chat::ServiceState;
use crate::domain::upstream::{self, CallEnd, UpstreamReport};

mod breaker;
mod connections;
mod counts;
mod error;
mod events;
mod probe;
mod refusal;
mod repeat;
mod reply;

pub use breaker::BreakerSettings;
pub(in crate::adapters) use breaker::{Breaker, Call};
use connections::Connections;
pub(in crate::adapters) use counts::Counts;
pub use error::{Stage, UpstreamError};
pub use events::{EventReader, TooLong};
use probe::Probe;
pub use reply::Reply;

/// The outbound client: what all upstreams share. There is one in a process.
#[derive(Clone)]
pub struct Outbound {
    tls: TlsConnector,
}

/// The outbound client cannot be made.
#[derive(Debug, thiserror::Error)]
#[error("TLS cannot be set up: {0}")]
pub struct NoTls(#[from] tokio_rustls::rustls::Error);

impl Outbound {
    /// With the authorities that browsers trust (`webpki-roots`).
    ///
    /// # Errors
    /// Never for a program that passes its tests: `ring` would have to lack TLS 1.2 and 1.3.
    pub fn new() -> Result<Self, NoTls> {
        let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        let config = ClientConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self { tls: TlsConnector::from(Arc::new(config)) })
    }
}

/// How long what may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// To wait for a free connection when all are in use.
    pub place: Duration,
    /// To connect, with TLS.
    pub connect: Duration,
    /// From the request to the head of the answer.
    pub first_byte: Duration,
    /// Between two pieces of the answer.
    pub silence: Duration,
    /// The whole call, with its repeats.
    pub total: Duration,
}

/// What makes an upstream.
#[derive(Debug, Clone)]
pub struct Setup {
    /// Its name in logs and metrics: `llm`.
    pub name: &'static str,
    /// Where it is.
    pub base: BaseUrl,
    /// The header that carries its key, marked as sensitive.
    pub key: Option<(HeaderName, HeaderValue)>,
    /// What is asked to see whether it answers: `models`. `None`: only by the calls.
    pub probe: Option<&'static str>,
    /// It is for one thing only: a call whose path is not there shows that it is the wrong one, whatever the look shows.
    pub one_purpose: bool,
    /// Connections that may be open.
    pub most_connections: usize,
    /// How long what may take.
    pub patience: Patience,
    /// When it is left alone.
    pub breaker: BreakerSettings,
}

/// Whether a request that was not answered may be sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeat {
    /// It may not.
    Never,
    /// At most twice, for it changes nothing there.
    Safe,
}

/// One request.
#[derive(Clone)]
pub struct Ask {
    method: Method,
    path: String,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Bytes,
    within: Option<Duration>,
}

impl Ask {
    /// Reads what is at `path` below the base.
    #[must_use]
    pub fn get(path: &str) -> Self {
        let (headers, body) = (Vec::new(), Bytes::new());
        Self { method: Method::GET, path: path.to_owned(), headers, body, within: None }
    }

    /// Sends `body` to `path` below the base.
    #[must_use]
    pub fn post(path: &str, content_type: HeaderValue, body: impl Into<Bytes>) -> Self {
        let headers = vec![(CONTENT_TYPE, content_type)];
        Self { method: Method::POST, path: path.to_owned(), headers, body: body.into(), within: None }
    }

    /// Answered in so long, or of no use: shorter than [`Patience::total`].
    #[must_use]
    pub fn within(self, total: Duration) -> Self {
        Self { within: Some(total), ..self }
    }

    /// With one header more.
    #[must_use]
    pub fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }
}

/// One service outside.
pub struct Upstream {
    setup: Setup,
    connections: Connections,
    breaker: Arc<Breaker>,
    counts: Arc<Counts>,
    probe: Probe,
}

impl Upstream {
    /// Nothing is sent yet.
    #[must_use]
    pub fn new(outbound: &Outbound, setup: Setup) -> Arc<Self> {
        let connections = Connections::new(
            setup.base.clone(),
            &outbound.tls,
            setup.most_connections,
            setup.patience.connect,
        );
        Arc::new(Self {
            connections,
            breaker: Arc::new(Breaker::new(setup.breaker)),
            counts: Arc::default(),
            probe: Probe::new(),
            setup,
        })
    }

    /// Sends a request and waits for the head of the answer.
    ///
    /// # Errors
    /// See [`UpstreamError`]; an answer that is no success is one, too.
    pub async fn send(&self, ask: &Ask, repeat: Repeat) -> Result<Reply, UpstreamError> {
        let total = self.setup.patience.total;
        let deadline = Instant::now() + ask.within.map_or(total, |within| within.min(total));
        let call = self.breaker.begin(Instant::now()).map_err(|retry_after| {
            self.counts.add(CallEnd::CircuitOpen);
            UpstreamError::CircuitOpen { retry_after }
        })?;
        // A trial is one call, not three.
        let repeat = if call.is_trial() { Repeat::Never } else { repeat };
        let mut ending = Ending {
            call,
            counts: self.counts.clone(),
            seen: self.probe.clone(),
            one_purpose: self.setup.one_purpose,
            whole: false,
            told: false,
        };
        match repeat::repeated(repeat, deadline, || self.attempt(ask, deadline, repeat)).await {
            Ok((response, lease)) => {
                Ok(Reply::new(response, lease, ending, (self.setup.patience.silence, deadline)))
            }
            Err(error) => {
                ending.failed(&error);
                Err(error)
            }
        }
    }

    async fn attempt(&self, ask: &Ask, deadline: Instant, repeat: Repeat) -> repeat::Attempt {
        let patience = self.setup.patience;
        let left = deadline.saturating_duration_since(Instant::now());
        let patience = (patience.place, patience.first_byte);
        let sending = self.connections.send(self.request(ask)?, patience, repeat == Repeat::Safe);
        let answered = tokio::time::timeout(left, sending).await;
        let (response, lease) = answered.unwrap_or(Err(UpstreamError::TimedOut(Stage::Total)))?;
        if response.status().is_success() {
            return Ok((response, lease));
        }
        Err(refusal::read(response, lease).await)
    }

    fn request(&self, ask: &Ask) -> Result<Request<Full<Bytes>>, UpstreamError> {
        let base = &self.setup.base;
        let mut request = Request::builder()
            .method(ask.method.clone())
            .uri(base.path_of(&ask.path))
            .header(HOST, base.authority())
            .header(USER_AGENT, concat!("companion/", env!("CARGO_PKG_VERSION")));
        for (name, value) in self.setup.key.iter().chain(&ask.headers) {
            request = request.header(name, value);
        }
        let request = request.body(Full::new(ask.body.clone()));
        request.map_err(|_| UpstreamError::Unreachable("its address is none".to_owned()))
    }

    /// How it is, from what was last seen; looks again, in the background, when that is long ago.
    #[must_use]
    pub fn state(self: &Arc<Self>) -> ServiceState {
        self.look();
        self.seen()
    }

    fn seen(&self) -> ServiceState {
        let is_open = self.breaker.circuit(Instant::now()).0 == upstream::Circuit::Open;
        if !is_open && self.probe.answers() { ServiceState::Connected } else { ServiceState::Disconnected }
    }
}

impl upstream::Upstream for Upstream {
    fn report(self: Arc<Self>) -> UpstreamReport {
        self.look();
        let (circuit, retry_after) = self.breaker.circuit(Instant::now());
        UpstreamReport {
            name: self.setup.name,
            state: self.seen(),
            circuit,
            retry_after,
            calls: self.counts.all(),
            connections: self.connections.open(),
            most_connections: self.setup.most_connections,
        }
    }
}

/// Notes how a call ends, once, however it does.
struct Ending {
    call: Call,
    counts: Arc<Counts>,
    seen: Probe,
    one_purpose: bool,
    whole: bool,
    told: bool,
}

impl Ending {
    /// A piece of the answer has come: a trial has succeeded.
    fn begins(&mut self) {
        let now = Instant::now();
        self.call.heard(now);
        if self.call.is_trial() {
            self.call.succeeded(now);
        }
        self.seen.called(true);
    }

    /// All of it has come; whether it makes sense is for whoever reads it to say, until they let it go.
    fn is_whole(&mut self) {
        self.whole = true;
    }

    fn failed(&mut self, error: &UpstreamError) {
        if !self.end(error.end()) {
            return;
        }
        if error.is_its_fault() {
            self.call.failed(Instant::now(), error.retry_after());
        } else if error.end() == CallEnd::Refused && self.call.is_trial() {
            // It is there again, whatever is wrong with what it was asked.
            self.call.succeeded(Instant::now());
        }
        if self.one_purpose && error.shows_it_is_not_there() {
            self.seen.lacks_it();
        } else if error.end() != CallEnd::Busy {
            self.seen.called(error.shows_it_answers());
        }
    }

    /// False when it had ended before.
    fn end(&mut self, how: CallEnd) -> bool {
        let first = !std::mem::replace(&mut self.told, true);
        if first {
            self.counts.add(how);
        }
        first
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        if !self.whole {
            if self.end(CallEnd::Left) {
                self.call.left(Instant::now());
            }
        } else if self.end(CallEnd::Answered) {
            self.call.succeeded(Instant::now());
        }
    }
}
