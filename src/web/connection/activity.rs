//! What a connection is busy with, as its requests tell: they share it with the connection they came over.

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use actix_web::body::{BodySize, MessageBody};
use actix_web::web::Bytes;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Nothing is under way.
    Idle,
    /// A header has begun.
    Header,
    /// A request is being answered.
    Serving,
    /// It was answered without reading its body: actix-http throws away what still comes of that, then closes.
    Closing,
}

/// The body of the request that is being served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Body {
    /// There is none, or it was read to its end.
    None,
    /// Nobody has asked for it yet: it waits for room.
    Waits,
    /// It is being read.
    Comes,
}

/// What a connection is busy with. Shared with the requests that come over it.
pub struct Activity {
    pub(super) phase: Cell<Phase>,
    pub(super) since: Cell<Instant>,
    /// Bytes of the header so far; while a request is served, of what follows it; then of what is thrown away.
    pub(super) ahead: Cell<usize>,
    pub(super) body: Cell<Body>,
    /// Who is to go on reading once the body has room.
    pub(super) reader: Cell<Option<Waker>>,
}

impl Activity {
    pub(super) fn new() -> Self {
        let (phase, since) = (Cell::new(Phase::Header), Cell::new(Instant::now()));
        Self { phase, since, ahead: Cell::new(0), body: Cell::new(Body::None), reader: Cell::default() }
    }

    pub(super) fn enter(&self, phase: Phase) {
        self.phase.set(phase);
        self.since.set(Instant::now());
    }

    pub(super) fn received(&self, bytes: usize) {
        match self.phase.get() {
            Phase::Idle => {
                self.enter(Phase::Header);
                self.ahead.set(bytes);
            }
            Phase::Serving if self.body.get() == Body::Comes => {}
            Phase::Header | Phase::Serving | Phase::Closing => {
                self.ahead.set(self.ahead.get().saturating_add(bytes));
            }
        }
    }

    /// A header is whole: its request is served until what is returned is dropped.
    #[must_use]
    pub fn serve(self: Rc<Self>) -> Served {
        self.phase.set(Phase::Serving);
        self.ahead.set(0);
        self.body.set(Body::None);
        Served(self)
    }

    /// The request has a body, which nobody reads yet.
    pub fn body_waits(&self) {
        self.body.set(Body::Waits);
    }

    /// From now on it is read.
    pub fn body_comes(&self) {
        if self.body.replace(Body::Comes) == Body::Waits {
            self.ahead.set(0);
            self.reader.take().into_iter().for_each(Waker::wake);
        }
    }

    /// It was read to its end.
    pub fn body_has_ended(&self) {
        if self.body.replace(Body::None) == Body::Waits {
            self.ahead.set(0);
        }
    }
}

/// A request that is being answered.
pub struct Served(Rc<Activity>);

impl Drop for Served {
    fn drop(&mut self) {
        let begun = self.0.ahead.get() > 0;
        self.0.enter(match (self.0.body.get(), begun) {
            (Body::Waits | Body::Comes, _) => Phase::Closing,
            (Body::None, true) => Phase::Header,
            (Body::None, false) => Phase::Idle,
        });
    }
}

/// An answer's body, until whose end the request is served.
pub struct Answer<B> {
    body: B,
    _served: Option<Served>,
}

impl<B> Answer<B> {
    /// The body of the answer to a served request.
    pub const fn new(body: B, served: Option<Served>) -> Self {
        Self { body, _served: served }
    }
}

impl<B: MessageBody + Unpin> MessageBody for Answer<B> {
    type Error = B::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Pin::new(&mut self.body).poll_next(cx)
    }
}
