//! A body that was not read to its end closes the connection.
//!
//! Once the reader lets go of a body without a length, actix-http reads it to its end to be able to use the connection again, and
//! whoever never ends it is read for ever. A body that is still held when the answer has been sent is given up instead:
//! the connection lingers for a second, so that the client sees the answer, and is closed.

use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use actix_web::HttpMessage;
use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::web::Bytes;
use futures_util::{Stream, stream};

use crate::web::connection::Activity;

/// A request's body, and the connection it comes over.
pub struct Held {
    request_body: Rc<RefCell<Payload>>,
    activity: Option<Rc<Activity>>,
}

/// Takes hold of the request's body, if it has one; it can be read as before.
pub fn hold(request: &mut ServiceRequest) -> Option<Held> {
    let body = request.take_payload();
    if matches!(body, Payload::None) {
        return None;
    }
    let activity = request.request().conn_data::<Rc<Activity>>().cloned();
    if let Some(activity) = &activity {
        activity.body_waits();
    }
    let request_body = Rc::new(RefCell::new(body));
    let reader = request_body.clone();
    let told = activity.clone();
    let chunks = stream::poll_fn(move |cx| {
        told.iter().for_each(|activity| activity.body_comes());
        Pin::new(&mut *reader.borrow_mut()).poll_next(cx)
    });
    request.set_payload(Payload::Stream { payload: Box::pin(chunks) });
    Some(Held { request_body, activity })
}

/// Holds the request's body until the answer has been sent.
pub fn keep(held: Option<Held>, response: ServiceResponse<BoxBody>) -> ServiceResponse<BoxBody> {
    let Some(held) = held else { return response };
    response.map_body(|_, body| BoxBody::new(Holding { body, held }))
}

/// An answer's body that outlives the request's.
struct Holding {
    body: BoxBody,
    held: Held,
}

impl Drop for Holding {
    fn drop(&mut self) {
        let Some(activity) = &self.held.activity else { return };
        let (mut body, mut cx) = (self.held.request_body.borrow_mut(), Context::from_waker(Waker::noop()));
        // What has come is all there is to read now: at most what actix-http keeps of a body.
        loop {
            match Pin::new(&mut *body).poll_next(&mut cx) {
                Poll::Ready(Some(Ok(_))) => {}
                Poll::Ready(Some(Err(_))) | Poll::Pending => return,
                Poll::Ready(None) => return activity.body_has_ended(),
            }
        }
    }
}

impl MessageBody for Holding {
    type Error = <BoxBody as MessageBody>::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Pin::new(&mut self.body).poll_next(cx)
    }
}
