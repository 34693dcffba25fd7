//! A body that was not read to its end closes the connection.
//!
//! Once the reader lets go of a body without a length, actix-http reads it to its end to be able to use the connection again, and
//! whoever never ends it is read for ever. A body that is still held when the answer has been sent is given up instead:
//! the connection lingers for a second, so that the client sees the answer, and is closed.

use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::middleware::Next;
use actix_web::web::Bytes;
use actix_web::{Error, HttpMessage};
use futures_util::{Stream, stream};

use crate::web::connection::Activity;

type Shared = Rc<RefCell<Payload>>;

/// Holds every request body until its answer has been sent.
///
/// # Errors
/// What the inner service says.
pub async fn unread_body(
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let body = request.take_payload();
    if matches!(body, Payload::None) {
        return next.call(request).await.map(ServiceResponse::map_into_boxed_body);
    }
    let activity = request.request().conn_data::<Rc<Activity>>().cloned();
    if let Some(activity) = &activity {
        activity.body_is_unread(true);
    }
    let held: Shared = Rc::new(RefCell::new(body));
    let reader = held.clone();
    let chunks = stream::poll_fn(move |cx| Pin::new(&mut *reader.borrow_mut()).poll_next(cx));
    request.set_payload(Payload::Stream { payload: Box::pin(chunks) });
    let response = next.call(request).await?;
    Ok(response
        .map_body(|_, body| BoxBody::new(Holding { body: body.boxed(), request_body: held, activity })))
}

/// An answer's body that outlives the request's.
struct Holding {
    body: BoxBody,
    request_body: Shared,
    activity: Option<Rc<Activity>>,
}

impl Drop for Holding {
    fn drop(&mut self) {
        let Some(activity) = &self.activity else { return };
        let (mut body, mut cx) = (self.request_body.borrow_mut(), Context::from_waker(Waker::noop()));
        // What has come is all there is to read now: at most what actix-http keeps of a body.
        loop {
            match Pin::new(&mut *body).poll_next(&mut cx) {
                Poll::Ready(Some(Ok(_))) => {}
                Poll::Ready(Some(Err(_))) | Poll::Pending => return,
                Poll::Ready(None) => return activity.body_is_unread(false),
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
