//! Puts a middleware around what may change something, brings a body or opens a socket. All else passes it by, at no cost: it has nothing to
//! do there, and most requests are of that kind.

use std::rc::Rc;
use std::task::{Context, Poll};

use actix_web::Error;
use actix_web::body::BoxBody;
use actix_web::dev::{Payload, Service, ServiceRequest, ServiceResponse, Transform};
use actix_web::http::header::UPGRADE;
use futures_util::future::{Either, LocalBoxFuture};
use futures_util::{FutureExt, TryFutureExt};

/// The middleware `T`, where a request is not safe (RFC 9110, 9.2.1), has a body or opens a socket.
pub struct Changing<T>(pub T);

/// An inner service, with and without the middleware around it.
pub struct MayChange<S, M> {
    inner: Rc<S>,
    guarded: M,
}

impl<S, T> Transform<S, ServiceRequest> for Changing<T>
where
    S: Service<ServiceRequest, Response = ServiceResponse<BoxBody>, Error = Error> + 'static,
    T: Transform<Rc<S>, ServiceRequest, Response = ServiceResponse<BoxBody>, Error = Error, InitError = ()>,
    T::Future: 'static,
    T::Transform: 'static,
{
    type Response = ServiceResponse<BoxBody>;
    type Error = Error;
    type InitError = ();
    type Transform = MayChange<S, T::Transform>;
    type Future = LocalBoxFuture<'static, Result<Self::Transform, ()>>;

    fn new_transform(&self, service: S) -> Self::Future {
        let inner = Rc::new(service);
        self.0.new_transform(inner.clone()).map_ok(|guarded| MayChange { inner, guarded }).boxed_local()
    }
}

impl<S, M> Service<ServiceRequest> for MayChange<S, M>
where
    S: Service<ServiceRequest, Response = ServiceResponse<BoxBody>, Error = Error>,
    M: Service<ServiceRequest, Response = ServiceResponse<BoxBody>, Error = Error>,
    M::Future: 'static,
{
    type Response = ServiceResponse<BoxBody>;
    type Error = Error;
    /// In a box only where it is needed: else every request would carry the room for it along.
    type Future = Either<S::Future, LocalBoxFuture<'static, Result<Self::Response, Error>>>;

    fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.guarded.poll_ready(cx)
    }

    fn call(&self, mut request: ServiceRequest) -> Self::Future {
        let has_body = !matches!(request.parts_mut().1, Payload::None);
        let opens_socket = request.headers().contains_key(UPGRADE);
        if request.method().is_safe() && !has_body && !opens_socket {
            Either::Left(self.inner.call(request))
        } else {
            Either::Right(self.guarded.call(request).boxed_local())
        }
    }
}
