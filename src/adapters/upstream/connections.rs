//! The open connections to one upstream: never more than so many, kept while they rest, closed at once when an answer is
//! dropped before its end. HTTP/1.1, one call at a time on each.
//!
//! A connection has no task of its own: whoever waits for something that comes on it drives it meanwhile. A task each would
//! have to be woken for every piece of an answer and wake the waiting one in turn, often on another thread.

use std::io::ErrorKind;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::{self, BoxFuture};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::runtime::{self, Handle};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

use super::error::{Stage, UpstreamError};
use crate::domain::address::BaseUrl;

/// Longer than that, servers have often closed it themselves.
const RESTS_FOR: Duration = Duration::from_secs(30);
/// The head of an answer.
const MOST_HEAD_BYTES: usize = 64 * 1024;

const CLOSED: &str = "it closed the connection";

type Sender = SendRequest<Full<Bytes>>;

/// The connections to one upstream.
pub(super) struct Connections {
    shared: Arc<Shared>,
    base: BaseUrl,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    connect: Duration,
}

struct Shared {
    most: usize,
    /// A permit is an open connection.
    places: Arc<Semaphore>,
    resting: Mutex<Vec<Resting>>,
    /// Told whenever one rests or is gone.
    free: Notify,
}

struct Resting {
    connection: Open,
    since: Instant,
}

/// An open connection; closed when dropped.
struct Open {
    sender: Sender,
    /// Sends and receives while it is polled; `None` once it is closed.
    driver: Option<BoxFuture<'static, ()>>,
    /// The runtime that is told by the kernel when something has come.
    runtime: runtime::Id,
    /// Free when the socket is closed, and not before.
    _place: Place,
}

impl Open {
    /// Looks at what has come while nobody waited for anything.
    fn is_closed(&mut self) -> bool {
        self.advance(&mut Context::from_waker(Waker::noop()));
        self.driver.is_none() || self.sender.is_closed()
    }

    fn advance(&mut self, cx: &mut Context<'_>) {
        if self.driver.as_mut().is_some_and(|driver| driver.poll_unpin(cx).is_ready()) {
            self.driver = None;
        }
    }
}

struct Place {
    shared: Arc<Shared>,
    permit: Option<OwnedSemaphorePermit>,
}

impl Drop for Place {
    fn drop(&mut self) {
        drop(self.permit.take());
        self.shared.free.notify_one();
    }
}

/// A connection in use. Dropping it closes it, unless it was given back.
pub(super) struct Lease {
    open: Option<Open>,
    shared: Arc<Shared>,
}

impl Lease {
    /// Sends a request and waits for the head of the answer.
    ///
    /// # Errors
    /// With the request, when it was certainly not sent.
    async fn send(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, (UpstreamError, Option<Request<Full<Bytes>>>)> {
        let broken = || UpstreamError::Unreachable(CLOSED.to_owned());
        let Some(open) = &mut self.open else { return Err((broken(), Some(request))) };
        if future::poll_fn(|cx| {
            open.advance(cx);
            open.sender.poll_ready(cx)
        })
        .await
        .is_err()
        {
            return Err((broken(), Some(request)));
        }
        let sending = open.sender.try_send_request(request);
        self.drive(sending).await.map_err(|mut failed| {
            let request = failed.take_message();
            (described(failed.error()), request)
        })
    }

    /// Waits for something that comes on the connection, which it drives meanwhile.
    pub(super) async fn drive<T>(&mut self, awaited: impl Future<Output = T>) -> T {
        let mut awaited = pin!(awaited);
        future::poll_fn(|cx| {
            if let Poll::Ready(there) = awaited.as_mut().poll(cx) {
                return Poll::Ready(there);
            }
            if let Some(open) = &mut self.open {
                open.advance(cx);
            }
            awaited.as_mut().poll(cx)
        })
        .await
    }

    /// The answer was read to its end: another call may use the connection.
    pub(super) fn give_back(&mut self) {
        let Some(mut connection) = self.open.take() else { return };
        if connection.is_closed() {
            return;
        }
        self.shared.lock().push(Resting { connection, since: Instant::now() });
        self.shared.free.notify_one();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Vec<Resting>> {
        self.resting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The connection that rests for the shortest time, if there is one of those that were made on this runtime; those that
    /// have rested too long are closed.
    fn rested(&self) -> Option<Open> {
        let here = Handle::current().id();
        let mut resting = self.lock();
        let too_long = resting.iter().take_while(|one| one.since.elapsed() >= RESTS_FOR).count();
        drop(resting.drain(..too_long));
        while let Some(last) = resting.len().checked_sub(1) {
            let of_here = resting.iter().rposition(|one| one.connection.runtime == here);
            let mut connection = resting.remove(of_here.unwrap_or(last)).connection;
            if !connection.is_closed() {
                return Some(connection);
            }
        }
        None
    }
}

impl Connections {
    pub(super) fn new(base: BaseUrl, tls: &TlsConnector, most: usize, connect: Duration) -> Self {
        let name = base.is_tls().then(|| ServerName::try_from(base.host().to_owned()).ok()).flatten();
        let shared = Shared {
            most,
            places: Arc::new(Semaphore::new(most)),
            resting: Mutex::default(),
            free: Notify::new(),
        };
        Self { shared: Arc::new(shared), base, tls: name.map(|name| (tls.clone(), name)), connect }
    }

    /// How many are open.
    pub(super) fn open(&self) -> usize {
        self.shared.most.saturating_sub(self.shared.places.available_permits())
    }

    /// Sends a request on a connection that rests or a new one, waiting for a free one at most as long as is told first, and waits
    /// for the head of the answer, on each as long as is told second. A connection that the upstream has closed while it rested is no failure: the request goes out on
    /// the next one, if it was certainly not sent, or `may_repeat`.
    pub(super) async fn send(
        &self,
        mut request: Request<Full<Bytes>>,
        (place, first_byte): (Duration, Duration),
        may_repeat: bool,
    ) -> Result<(Response<Incoming>, Lease), UpstreamError> {
        loop {
            let taken = tokio::time::timeout(place, self.take()).await;
            let (mut lease, is_new) = taken.unwrap_or(Err(UpstreamError::Busy))?;
            let spare = (may_repeat && !is_new).then(|| request.clone());
            let answered = tokio::time::timeout(first_byte, lease.send(request)).await;
            match answered.map_err(|_| UpstreamError::TimedOut(Stage::FirstByte))? {
                Ok(response) => return Ok((response, lease)),
                Err((error, unsent)) => match unsent.or(spare).filter(|_| !is_new && error.is_closed()) {
                    Some(again) => request = again,
                    None => return Err(error),
                },
            }
        }
    }

    /// A connection, and whether it is a new one.
    async fn take(&self) -> Result<(Lease, bool), UpstreamError> {
        let lease = |open| Lease { open: Some(open), shared: self.shared.clone() };
        loop {
            if let Some(open) = self.shared.rested() {
                return Ok((lease(open), false));
            }
            if let Ok(permit) = self.shared.places.clone().try_acquire_owned() {
                let place = Place { shared: self.shared.clone(), permit: Some(permit) };
                let connected = tokio::time::timeout(self.connect, self.connect(place)).await;
                return Ok((lease(connected.map_err(|_| UpstreamError::TimedOut(Stage::Connect))??), true));
            }
            self.shared.free.notified().await;
        }
    }

    async fn connect(&self, place: Place) -> Result<Open, UpstreamError> {
        let stream = TcpStream::connect((self.base.host(), self.base.port())).await.map_err(unreachable)?;
        stream.set_nodelay(true).map_err(unreachable)?;
        match &self.tls {
            None => speak(stream, place).await,
            Some((tls, name)) => {
                speak(tls.connect(name.clone(), stream).await.map_err(unreachable)?, place).await
            }
        }
    }
}

async fn speak<S>(stream: S, place: Place) -> Result<Open, UpstreamError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut builder = http1::Builder::new();
    builder.max_buf_size(MOST_HEAD_BYTES);
    let handshake = builder.handshake::<_, Full<Bytes>>(TokioIo::new(stream));
    let (sender, connection) = handshake.await.map_err(|error| described(&error))?;
    // Whoever uses it is told of its failure by their call.
    let driver = connection.map(drop).boxed();
    Ok(Open { sender, driver: Some(driver), runtime: Handle::current().id(), _place: place })
}

impl UpstreamError {
    /// True when the connection was closed, and nothing had come on it.
    fn is_closed(&self) -> bool {
        matches!(self, Self::Unreachable(why) if why == CLOSED)
    }
}

#[expect(clippy::needless_pass_by_value, reason = "as map_err gives it")]
fn unreachable(error: std::io::Error) -> UpstreamError {
    UpstreamError::Unreachable(error.to_string())
}

/// What broke, without anything that was sent or received.
pub(super) fn described(error: &hyper::Error) -> UpstreamError {
    if error.is_parse() {
        return UpstreamError::Garbage("it is not HTTP");
    }
    let kind = std::error::Error::source(error)
        .and_then(|cause| cause.downcast_ref::<std::io::Error>())
        .map(std::io::Error::kind);
    let reset = [ErrorKind::ConnectionReset, ErrorKind::ConnectionAborted, ErrorKind::BrokenPipe].map(Some);
    let closed =
        error.is_incomplete_message() || error.is_canceled() || error.is_closed() || reset.contains(&kind);
    let what = if closed { CLOSED } else { "the connection broke" };
    UpstreamError::Unreachable(what.to_owned())
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;
    use crate::adapters::upstream::Outbound;

    #[tokio::test]
    async fn a_connection_that_has_rested_too_long_is_closed_and_another_is_made() {
        let there = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", there.local_addr().unwrap()).parse().unwrap();
        let tls = Outbound::new().unwrap().tls;
        let connections = Connections::new(base, &tls, 4, Duration::from_secs(10));
        let used = async || {
            let (mut lease, is_new) = connections.take().await.unwrap();
            lease.give_back();
            is_new
        };
        assert!(used().await && !used().await);
        connections.shared.lock()[0].since = Instant::now().checked_sub(RESTS_FOR).unwrap();
        assert!(used().await);
        assert_eq!((connections.open(), connections.shared.lock().len()), (1, 1), "the other one is closed");
        assert!(!used().await);
    }
}
