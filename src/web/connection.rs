//! One client's connection: knows when a header began, when nothing is under way and when an answer is not read, and ends
//! it when one of these takes too long.
//!
//! What is read is handed to actix-http as it comes and nothing is parsed here; that a header has ended is known from the
//! request it made ([`Activity::serve`]), so that every header of a connection is timed, not the first alone.
//!
//! Bounds: 32 KiB of header, the times of [`ConnectionPace`], and 16 MiB of a body that nobody reads. While a request is served actix-http reads up to 128 KiB
//! of what follows it; what is left of that afterwards counts as the beginning of the next header.

use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Sleep;

use crate::telemetry::metrics::ConnectionEnd;
use crate::web::connections::Place;

mod activity;

pub use activity::{Activity, Answer, Served};
use activity::{Body, Phase};

/// The most bytes of one header, the request line included.
pub const MAX_HEADER_BYTES: usize = 32 * 1024;
/// So much is read of a body that waits for room.
const MOST_WAITING: usize = 32 * 1024;
/// So much is thrown away of a body that nobody reads, so that its sender comes to reading the answer.
const MOST_THROWN_AWAY: usize = 16 * 1024 * 1024;
/// After so many bytes of one connection it is the others' turn.
const READ_AT_ONCE: usize = 16 * 1024;
/// Who reads so much of an answer within [`ConnectionPace::unread_answer`] is not too slow.
const ENOUGH_READ: usize = 16 * 1024;
/// The time in use changes with how many are connected; it is looked at again this often.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

const SLOW: &[u8] = b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
const LARGE: &[u8] =
    b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

/// How long the parts of a connection may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectionPace {
    /// A whole header, from its first byte; of the first one from the connection's beginning.
    pub header: Duration,
    /// Nothing under way. While the server is crowded it is `header` instead.
    pub idle: Duration,
    /// 16 KiB of an answer that waits for its reader, or all of it.
    pub unread_answer: Duration,
}

/// Since when an answer waits for its reader, and how much was read of it meanwhile.
struct Unread {
    since: Instant,
    read: usize,
}

/// A connection and the watch over it.
pub struct Connection {
    stream: TcpStream,
    activity: Rc<Activity>,
    pace: ConnectionPace,
    unread: Option<Unread>,
    /// Bytes that were read since the others had their turn.
    at_once: usize,
    /// The parser was given a turn to make a request of what it has.
    parser_had_its_turn: bool,
    /// Never later than what is due next; often earlier, so that a request does not have to set it.
    timer: Pin<Box<Sleep>>,
    place: Place,
}

impl Connection {
    /// A connection that has just been made and was given its place.
    #[must_use]
    pub fn new(stream: TcpStream, pace: ConnectionPace, place: Place) -> Self {
        let (activity, timer) = (Rc::new(Activity::new()), Box::pin(tokio::time::sleep(pace.header)));
        Self { stream, activity, pace, unread: None, at_once: 0, parser_had_its_turn: false, timer, place }
    }

    /// What this connection is busy with.
    #[must_use]
    pub fn activity(&self) -> Rc<Activity> {
        self.activity.clone()
    }

    /// What has to have ended by when.
    fn due(&self) -> Option<(ConnectionEnd, Instant)> {
        if let Some(unread) = &self.unread {
            return Some((ConnectionEnd::UnreadAnswer, unread.since + self.pace.unread_answer));
        }
        let since = self.activity.since.get();
        match self.activity.phase.get() {
            Phase::Idle if self.place.is_crowded() => Some((ConnectionEnd::Idle, since + self.pace.header)),
            Phase::Idle => Some((ConnectionEnd::Idle, since + self.pace.idle)),
            Phase::Header => Some((ConnectionEnd::SlowHeader, since + self.pace.header)),
            Phase::Closing => Some((ConnectionEnd::Idle, since + self.pace.header)),
            Phase::Serving => None,
        }
    }

    /// What has not ended in time; else the task is woken when the next look is due.
    fn overdue(&mut self, cx: &mut Context<'_>) -> Option<ConnectionEnd> {
        let (ending, due) = self.due()?;
        loop {
            if self.timer.deadline().into_std() > due {
                self.timer.as_mut().reset(due.into());
            }
            if self.timer.as_mut().poll(cx).is_pending() {
                return None;
            }
            let now = Instant::now();
            if now >= due {
                return Some(ending);
            }
            self.timer.as_mut().reset(due.min(now + LOOK_AGAIN).into());
        }
    }

    /// Ends what can be read. Whoever is in the middle of a header is told why, as far as that fits in the way.
    fn end(&mut self, ending: ConnectionEnd) -> io::Result<()> {
        self.place.is_ended(ending);
        let told = match ending {
            ConnectionEnd::SlowHeader => SLOW,
            ConnectionEnd::LargeHeader => LARGE,
            ConnectionEnd::Idle | ConnectionEnd::TooMany => return Ok(()),
            ConnectionEnd::UnreadAnswer => return Err(io::ErrorKind::TimedOut.into()),
        };
        self.activity.enter(Phase::Closing);
        drop(self.stream.try_write(told));
        Ok(())
    }
}

impl AsyncRead for Connection {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let (phase, ahead) = (this.activity.phase.get(), this.activity.ahead.get());
        if phase == Phase::Closing && ahead >= MOST_THROWN_AWAY {
            return Poll::Ready(this.end(ConnectionEnd::Idle));
        }
        if phase == Phase::Closing && !this.place.may_be_emptied() {
            return this.overdue(cx).map_or(Poll::Pending, |ending| Poll::Ready(this.end(ending)));
        }
        let body_waits = phase == Phase::Serving && this.activity.body.get() == Body::Waits;
        if body_waits && ahead >= MOST_WAITING {
            this.activity.reader.set(Some(cx.waker().clone()));
            return Poll::Pending;
        }
        let full = phase == Phase::Header && ahead >= MAX_HEADER_BYTES;
        if full && this.parser_had_its_turn {
            return Poll::Ready(this.end(ConnectionEnd::LargeHeader));
        }
        this.parser_had_its_turn = full;
        if full || this.at_once >= READ_AT_ONCE {
            this.at_once = 0;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let before = into.filled().len();
        let room = MAX_HEADER_BYTES - ahead.min(MAX_HEADER_BYTES);
        let polled = if phase == Phase::Header && room < into.remaining() {
            let mut last = ReadBuf::new(into.initialize_unfilled_to(room));
            let polled = Pin::new(&mut this.stream).poll_read(cx, &mut last);
            let bytes = last.filled().len();
            into.advance(bytes);
            polled
        } else {
            Pin::new(&mut this.stream).poll_read(cx, into)
        };
        if polled.is_pending() {
            this.at_once = 0;
            return this.overdue(cx).map_or(Poll::Pending, |ending| Poll::Ready(this.end(ending)));
        }
        let bytes = into.filled().len() - before;
        this.at_once += bytes;
        this.activity.received(bytes);
        polled
    }
}

impl AsyncWrite for Connection {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.stream).poll_write(cx, bytes);
        match &polled {
            Poll::Ready(Ok(sent)) => {
                if let Some(unread) = &mut this.unread {
                    unread.read += sent;
                    if unread.read >= ENOUGH_READ {
                        *unread = Unread { since: Instant::now(), read: 0 };
                    }
                }
            }
            Poll::Ready(Err(_)) => {}
            Poll::Pending => {
                this.unread.get_or_insert_with(|| Unread { since: Instant::now(), read: 0 });
                if let Some(ending) = this.overdue(cx) {
                    return Poll::Ready(Err(this
                        .end(ending)
                        .err()
                        .unwrap_or(io::ErrorKind::TimedOut.into())));
                }
            }
        }
        polled
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        // It is flushed when all of it was taken.
        if this.unread.take().is_some() {
            this.activity.since.set(Instant::now());
        }
        Pin::new(&mut this.stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use futures_util::FutureExt;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;
    use crate::telemetry::metrics::Metrics;
    use crate::web::connections::Connections;
    use crate::web::proxies::TrustedProxies;

    const LONG: Duration = Duration::from_secs(60);

    /// A connection over which a request with a body of so many bytes has come, and its client, who sends them.
    async fn with_body(bytes: usize) -> (Connection, Served, tokio::task::JoinHandle<TcpStream>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (stream, peer) = listener.accept().await.unwrap();
        let (proxies, metrics) = (TrustedProxies::new(Vec::new()), Metrics::new("test", 0).unwrap());
        let all = Arc::new(Connections::new(64, Arc::new(proxies), Arc::new(metrics)));
        let pace = ConnectionPace { header: LONG, idle: LONG, unread_answer: LONG };
        let connection = Connection::new(stream, pace, all.place(peer.ip()).unwrap());
        let served = connection.activity().serve();
        connection.activity().body_waits();
        let sending = tokio::spawn(async move {
            // The rest is not taken.
            drop(client.write_all(&vec![b' '; bytes]).await);
            client
        });
        (connection, served, sending)
    }

    #[tokio::test]
    async fn of_a_body_that_waits_for_room_some_is_read_and_the_rest_once_it_has_it() {
        let (mut connection, _served, sending) = with_body(1 << 20).await;
        connection.read_exact(&mut vec![0; MOST_WAITING]).await.unwrap();
        assert_eq!(connection.stream.peek(&mut [0]).await.unwrap(), 1, "there is more");
        // More than once: it may have been the others' turn.
        assert!((0..3).all(|_| connection.read_u8().now_or_never().is_none()));
        connection.activity().body_comes();
        connection.read_exact(&mut vec![0; (1 << 20) - MOST_WAITING]).await.unwrap();
        sending.await.unwrap();
    }

    #[tokio::test]
    async fn so_much_is_thrown_away_of_a_body_that_nobody_reads() {
        let (mut connection, served, sending) = with_body(2 * MOST_THROWN_AWAY).await;
        drop(served);
        let (mut thrown_away, mut piece) = (0, vec![0; READ_AT_ONCE]);
        while let read @ 1.. = connection.read(&mut piece).await.unwrap() {
            thrown_away += read;
        }
        assert!((MOST_THROWN_AWAY..MOST_THROWN_AWAY + READ_AT_ONCE).contains(&thrown_away), "{thrown_away}");
        sending.abort();
        let (mut connection, served, sending) = with_body(MOST_THROWN_AWAY - 1).await;
        drop(served);
        connection.read_exact(&mut vec![0; MOST_THROWN_AWAY - 1]).await.unwrap();
        sending.await.unwrap();
    }
}
