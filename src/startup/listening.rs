//! Listens, and serves HTTP/1.1 over connections that are watched: what actix-web's `HttpServer` does, with
//! [`Connection`] in the place of the bare stream.

use std::fmt;
use std::io;
use std::net::{TcpListener, ToSocketAddrs};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_http::error::DispatchError;
use actix_http::{HttpService, KeepAlive, Request, Response};
use actix_service::{
    IntoServiceFactory, Service, ServiceFactory, ServiceFactoryExt, apply_fn_factory, fn_service, map_config,
};
use actix_web::body::MessageBody;
use actix_web::dev::{AppConfig, Server};
use actix_web::{Error, HttpResponse};
use futures_util::FutureExt;
use futures_util::future::Either;
use tokio::net::TcpStream;

use crate::startup::{StartupError, TELLING, expecting};
use crate::web::connection::{Activity, Answer, Connection, ConnectionPace};
use crate::web::connections::Connections;

/// How many may wait in the kernel to be taken.
const BACKLOG: i32 = 1024;
/// What a client still sends after an answer that did not need it is thrown away for so long, so that it reads the answer.
const LINGER: Duration = Duration::from_secs(1);

/// How connections are served.
pub(super) struct Serving {
    pub workers: usize,
    pub max_connections: usize,
    pub pace: ConnectionPace,
    pub connections: Arc<Connections>,
    pub drain: Duration,
}

pub(super) fn bind(host: &str, port: u16) -> Result<TcpListener, StartupError> {
    let failed = |source: io::Error| {
        let hint = if source.kind() == io::ErrorKind::AddrInUse {
            "; another program uses it: stop that, or set PORT to a free one"
        } else if source.kind() == io::ErrorKind::PermissionDenied {
            "; ports below 1024 need privileges: set PORT higher"
        } else {
            "; check HOST and PORT"
        };
        StartupError::Bind { host: host.to_owned(), port, source, hint }
    };
    let addresses: Vec<_> = (host, port).to_socket_addrs().map_err(failed)?.collect();
    let listener = TcpListener::bind(addresses.as_slice()).map_err(failed)?;
    // The standard library has asked for a queue of 128.
    rustix::net::listen(&listener, BACKLOG).map_err(|error| failed(error.into()))?;
    Ok(listener)
}

/// A server that serves each connection with an application of `factory`, one for each worker.
pub(super) fn serve<F, I, S, B>(factory: F, listener: TcpListener, serving: Serving) -> io::Result<Server>
where
    F: Fn() -> I + Send + Clone + 'static,
    I: IntoServiceFactory<S, Request>,
    S: ServiceFactory<Request, Config = AppConfig> + 'static,
    S::Error: Into<Error> + 'static,
    S::InitError: fmt::Debug,
    S::Response: Into<Response<B>> + 'static,
    <S::Service as Service<Request>>::Future: 'static,
    S::Service: 'static,
    B: MessageBody + Unpin + 'static,
{
    let Serving { workers, max_connections, pace, connections, drain } = serving;
    let builder = Server::build()
        .workers(workers)
        .max_concurrent_connections(max_connections.div_ceil(workers))
        .shutdown_timeout(drain.max(TELLING).as_secs())
        .disable_signals();
    let stopping = builder.graceful_shutdown_signal();
    let name = format!("companion-{}", listener.local_addr()?);
    let builder = builder.listen(name, listener, move || {
        let application = || factory().into_factory().map_err(|error| error.into().error_response());
        let watched =
            apply_fn_factory(application(), |request: Request, service: &_| {
                match expecting::begun::<Answer<B>>(&request) {
                    Some(answering) => Either::Left(answering),
                    None => Either::Right(answer::<_, B>(request, service)),
                }
            });
        let asked = apply_fn_factory(application(), |request: Request, service: &_| {
            let (request, wanted) = expecting::watched(request);
            let head = request.head().clone();
            expecting::until_wanted(head, answer::<_, B>(request, service).boxed_local(), wanted)
        });
        let stopping = stopping.clone();
        let http = HttpService::build()
            .graceful_shutdown_signal(move || {
                let signal = stopping.clone();
                async move { signal.notified().await }
            })
            // `Connection` measures these itself, on every request.
            .keep_alive(KeepAlive::Os)
            .client_request_timeout(Duration::ZERO)
            .client_disconnect_timeout(LINGER)
            // A client that goes away is noticed at once, so that its turn can be dropped.
            .h1_allow_half_closed(false)
            .on_connect_ext(|connection: &Connection, data| drop(data.insert(connection.activity())))
            .expect(map_config(asked, |()| AppConfig::default()))
            .h1(map_config(watched, |()| AppConfig::default()));
        let connections = connections.clone();
        fn_service(move |stream: TcpStream| {
            let taken = take(stream, pace, &connections);
            async move { taken }
        })
        .and_then(http)
    })?;
    Ok(builder.run())
}

/// Has a request answered, of which its connection knows until the answer's end.
fn answer<S, B>(
    request: Request,
    service: &S,
) -> impl Future<Output = Result<Response<Answer<B>>, HttpResponse>> + use<S, B>
where
    S: Service<Request, Error = HttpResponse>,
    S::Response: Into<Response<B>>,
{
    let served = request.conn_data::<Rc<Activity>>().map(|activity| activity.clone().serve());
    let answered = service.call(request);
    async move {
        let response: Response<B> = answered.await?.into();
        Ok(response.map_body(|_, body| Answer::new(body, served)))
    }
}

/// The connection with its peer, unless its client has as many as one may have.
fn take(
    stream: TcpStream,
    pace: ConnectionPace,
    connections: &Arc<Connections>,
) -> Result<(Connection, Option<std::net::SocketAddr>), DispatchError> {
    let peer = stream.peer_addr().map_err(DispatchError::Io)?;
    let Some(place) = connections.place(peer.ip()) else {
        return Err(DispatchError::Io(io::ErrorKind::ConnectionRefused.into()));
    };
    // Small answers on a kept-alive connection would otherwise wait 40 ms for the other side's acknowledgement.
    stream.set_nodelay(true).map_err(DispatchError::Io)?;
    Ok((Connection::new(stream, pace, place), Some(peer)))
}
