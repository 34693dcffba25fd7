//! Who asks whether a body is wanted before sending it (`Expect: 100-continue`): told to go on once that body is to be read, or the
//! refusal alone, so that nothing is sent in vain.
//!
//! The server beneath says `100 Continue` before it has a request answered. So the answer is begun before that, and taken on there.

use std::pin::Pin;

use actix_http::{HttpMessage, Payload, Request, RequestHead, Response};
use actix_web::HttpResponse;
use actix_web::body::MessageBody;
use futures_util::future::{self, Either, LocalBoxFuture};
use futures_util::{Stream, stream};
use tokio::sync::oneshot;

/// A request on its way to its answer.
pub(super) type Answering<B> = LocalBoxFuture<'static, Result<Response<B>, HttpResponse>>;

/// Found in the extensions of the request that takes the place of the one that is being answered, with a head like its.
struct Begun<B>(Answering<B>);

/// The same request, and what tells that somebody wants to read its body.
pub(super) fn watched(mut request: Request) -> (Request, oneshot::Receiver<()>) {
    let (tell, wanted) = oneshot::channel();
    let mut body = request.take_payload();
    if !matches!(body, Payload::None) {
        let mut tell = Some(tell);
        let chunks = stream::poll_fn(move |cx| {
            if let Some(tell) = tell.take() {
                // Who was answered sooner does not listen any more.
                let _ = tell.send(());
            }
            Pin::new(&mut body).poll_next(cx)
        });
        *request.payload() = Payload::Stream { payload: Box::pin(chunks) };
    }
    (request, wanted)
}

/// Waits until the request's body is wanted: what is returned leads to the answer with [`begun`]. An answer that comes sooner is the
/// only one.
///
/// # Errors
/// That answer.
pub(super) async fn until_wanted<B: MessageBody + 'static>(
    head: RequestHead,
    answering: Answering<B>,
    wanted: oneshot::Receiver<()>,
) -> Result<Request, HttpResponse> {
    let answered = match future::select(answering, wanted).await {
        Either::Left((answered, _)) => answered,
        // Nobody will ever want it.
        Either::Right((Err(_), answering)) => answering.await,
        Either::Right((Ok(()), answering)) => {
            let mut request = Request::new();
            *request.head_mut() = head;
            request.extensions_mut().insert(Begun(answering));
            return Ok(request);
        }
    };
    Err(answered.map_or_else(|error| error, |answer| answer.map_into_boxed_body().into()))
}

/// The answer that was begun before, if it was: for a request that expects nothing there is nothing to look for.
pub(super) fn begun<B: 'static>(request: &Request) -> Option<Answering<B>> {
    if !request.head().expect() {
        return None;
    }
    request.extensions_mut().remove::<Begun<B>>().map(|Begun(answering)| answering)
}
