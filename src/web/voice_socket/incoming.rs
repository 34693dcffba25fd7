//! What comes over a socket until it is a message, in the budget of request bodies. The library refuses a frame that is too large
//! only once all of it is there, and keeps every fragment of a message by itself: so more than a message may have is not handed
//! to it, and fragments are put together here.
//!
//! Bounds: a message of `most` bytes, in a place that grows with it; 16 KiB are looked at at a time.

use std::cell::{Cell, RefCell};
use std::net::IpAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use actix_web::dev::Payload;
use actix_web::error::PayloadError;
use actix_web::{FromRequest, HttpRequest, web};
use actix_ws::{AggregatedMessage, CloseCode, Item, Message, MessageStream};
use bytes::Bytes;
use futures_util::Stream;

use crate::web::byte_budget::{ByteBudget, Reservation};

/// The heads of frames, and what is read ahead of the next message: the connection holds no more than 128 KiB for us.
const BESIDE: usize = 256 << 10;
/// The smallest frame has 6 bytes, and what is made of it ten times as much.
const AT_ONCE: usize = 16 << 10;
/// The first place; it is one of the reserve for small bodies.
const FIRST: usize = 16 << 10;
const STEP: usize = 256 << 10;

/// What has come since the last message.
struct Coming {
    bytes: Cell<usize>,
    most: usize,
    places: RefCell<Vec<Reservation>>,
    held: Cell<usize>,
    budget: web::Data<ByteBudget>,
    client: IpAddr,
    refused: Cell<Option<CloseCode>>,
}

impl Coming {
    /// False when it is more than a message may have, or there is no room for it.
    fn add(&self, bytes: usize) -> bool {
        self.bytes.set(self.bytes.get().saturating_add(bytes));
        let refused = if self.bytes.get() > self.most {
            Some(CloseCode::Size)
        } else {
            (!self.has_room()).then_some(CloseCode::Again)
        };
        self.refused.set(refused);
        refused.is_none()
    }

    fn has_room(&self) -> bool {
        while self.held.get() < self.bytes.get() {
            let step = if self.held.get() == 0 { FIRST } else { STEP };
            let Ok(place) = self.budget.reserve_at_once(self.client, step as u64) else { return false };
            self.places.borrow_mut().push(place);
            self.held.set(self.held.get() + step);
        }
        true
    }

    fn is_whole(&self) {
        self.bytes.set(0);
        self.held.set(0);
        self.places.borrow_mut().clear();
    }
}

struct Counted {
    payload: Payload,
    /// What has come and is not looked at yet.
    rest: Bytes,
    /// The library asks until there is no more, and looks at all of it then.
    pauses: bool,
    coming: Rc<Coming>,
}

impl Stream for Counted {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if std::mem::take(&mut self.pauses) {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        if self.rest.is_empty() {
            let Some(piece) = ready!(Pin::new(&mut self.payload).poll_next(context)) else {
                return Poll::Ready(None);
            };
            self.rest = piece?;
        }
        let length = self.rest.len().min(AT_ONCE);
        let piece = self.rest.split_to(length);
        self.pauses = true;
        let piece = if self.coming.add(length) { Ok(piece) } else { Err(PayloadError::Overflow) };
        Poll::Ready(Some(piece))
    }
}

/// A message whose first fragments have come.
struct Begun {
    is_text: bool,
    content: Vec<u8>,
}

/// The messages of a socket.
pub(super) struct Messages {
    frames: MessageStream,
    begun: Option<Begun>,
    coming: Rc<Coming>,
    most: usize,
}

/// A payload that counts against the budget of this client.
pub(super) struct Budgeted {
    coming: Rc<Coming>,
    most: usize,
}

/// The same payload, of messages of at most `most` bytes.
///
/// # Errors
/// None so far: the extractor takes what it is given.
pub(super) async fn budgeted(
    request: &HttpRequest,
    payload: web::Payload,
    most: usize,
    (budget, client): (web::Data<ByteBudget>, IpAddr),
) -> Result<(web::Payload, Budgeted), actix_web::Error> {
    let coming = Rc::new(Coming {
        bytes: Cell::new(0),
        most: most.saturating_add(BESIDE),
        places: RefCell::default(),
        held: Cell::new(0),
        budget,
        client,
        refused: Cell::new(None),
    });
    let counted =
        Counted { payload: payload.into_inner(), rest: Bytes::new(), pauses: false, coming: coming.clone() };
    let payload: Pin<Box<dyn Stream<Item = Result<Bytes, PayloadError>>>> = Box::pin(counted);
    let mut counted = Payload::Stream { payload };
    let payload = web::Payload::from_request(request, &mut counted).await?;
    Ok((payload, Budgeted { coming, most }))
}

impl Budgeted {
    /// The messages that come as these frames.
    pub(super) fn messages(self, frames: MessageStream) -> Messages {
        Messages {
            frames: frames.max_frame_size(self.most),
            begun: None,
            coming: self.coming,
            most: self.most,
        }
    }
}

impl Messages {
    /// The next one, or why the socket is to be closed; `None` when it was. Nothing is lost when it is not waited for.
    pub(super) async fn next(&mut self) -> Option<Result<AggregatedMessage, CloseCode>> {
        loop {
            let taken = match self.frames.recv().await? {
                Ok(frame) => self.take(frame),
                Err(actix_ws::ProtocolError::Overflow) => Err(CloseCode::Size),
                Err(_) => Err(self.coming.refused.get().unwrap_or(CloseCode::Protocol)),
            };
            if self.begun.is_none() {
                self.coming.is_whole();
            }
            if let Some(message) = taken.transpose() {
                return Some(message);
            }
        }
    }

    /// `None`: more is to come.
    fn take(&mut self, frame: Message) -> Result<Option<AggregatedMessage>, CloseCode> {
        Ok(Some(match frame {
            Message::Text(_) | Message::Binary(_) if self.begun.is_some() => return Err(CloseCode::Protocol),
            Message::Text(text) => AggregatedMessage::Text(text),
            Message::Binary(content) => AggregatedMessage::Binary(content),
            Message::Ping(content) => AggregatedMessage::Ping(content),
            Message::Pong(content) => AggregatedMessage::Pong(content),
            Message::Close(reason) => AggregatedMessage::Close(reason),
            Message::Continuation(item) => return self.put_together(item),
            Message::Nop => return Ok(None),
        }))
    }

    fn put_together(&mut self, item: Item) -> Result<Option<AggregatedMessage>, CloseCode> {
        let begin = |is_text| Some(Begun { is_text, content: Vec::new() });
        let is_last = matches!(item, Item::Last(_));
        let piece = match item {
            Item::FirstText(piece) => {
                self.begun = begin(true);
                piece
            }
            Item::FirstBinary(piece) => {
                self.begun = begin(false);
                piece
            }
            Item::Continue(piece) | Item::Last(piece) => piece,
        };
        let begun = self.begun.as_mut().ok_or(CloseCode::Protocol)?;
        if begun.content.len() + piece.len() > self.most {
            return Err(CloseCode::Size);
        }
        begun.content.extend_from_slice(&piece);
        if !is_last {
            return Ok(None);
        }
        let Some(Begun { is_text, content }) = self.begun.take() else { return Ok(None) };
        let content = Bytes::from(content);
        if !is_text {
            return Ok(Some(AggregatedMessage::Binary(content)));
        }
        content.try_into().map(|text| Some(AggregatedMessage::Text(text))).map_err(|_| CloseCode::Invalid)
    }
}
