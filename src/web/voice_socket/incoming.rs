//! What comes over a socket before it is a message. The library refuses a frame that is too large only once all of it is there, and
//! keeps it until then, however much was announced: so more than a message may have is not handed to it.

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use actix_web::dev::Payload;
use actix_web::error::PayloadError;
use actix_web::{Error, FromRequest, HttpRequest, web};
use bytes::Bytes;
use futures_util::Stream;

/// The heads of frames, and what is read ahead of the next message: the connection holds no more than 128 KiB for us.
const BESIDE: usize = 256 << 10;

/// How much has come since the last message.
pub(super) struct Coming {
    bytes: Cell<usize>,
    most: usize,
}

impl Coming {
    /// A message was whole.
    pub(super) fn is_whole(&self) {
        self.bytes.set(0);
    }

    /// Whether more has come than a message may have.
    pub(super) fn is_too_much(&self) -> bool {
        self.bytes.get() > self.most
    }
}

struct Counted {
    payload: Payload,
    coming: Rc<Coming>,
}

impl Stream for Counted {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some(piece) = ready!(Pin::new(&mut self.payload).poll_next(context)) else {
            return Poll::Ready(None);
        };
        let piece = piece?;
        self.coming.bytes.set(self.coming.bytes.get().saturating_add(piece.len()));
        let piece = if self.coming.is_too_much() { Err(PayloadError::Overflow) } else { Ok(piece) };
        Poll::Ready(Some(piece))
    }
}

/// The same payload, which ends with an error when more comes than a message of `most` bytes may have.
///
/// # Errors
/// None so far: the extractor takes what it is given.
pub(super) async fn counted(
    request: &HttpRequest,
    payload: web::Payload,
    most: usize,
) -> Result<(web::Payload, Rc<Coming>), Error> {
    let coming = Rc::new(Coming { bytes: Cell::new(0), most: most.saturating_add(BESIDE) });
    let counted = Counted { payload: payload.into_inner(), coming: coming.clone() };
    let payload: Pin<Box<dyn Stream<Item = Result<Bytes, PayloadError>>>> = Box::pin(counted);
    let mut counted = Payload::Stream { payload };
    Ok((web::Payload::from_request(request, &mut counted).await?, coming))
}
