//! Counts every request and how long it took, by method, route template and status; and what browsers need not load again.
//!
//! Bounds: an address that is none counts as `unknown`, a method no address here answers as `other`. Each worker keeps the
//! counters it has used, so that a request takes no lock.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Instant;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{IF_NONE_MATCH, UPGRADE};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, HttpRequest, web};

use crate::telemetry::metrics::{Metrics, RequestCounts};

/// The template of the address a request is for, `unknown` when it is none. Found in the request's extensions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route(pub Rc<str>);

/// True for a request that wants to become a socket: what it sends afterwards is no body.
#[must_use]
pub fn opens_socket(request: &HttpRequest) -> bool {
    let extensions = request.extensions();
    let route = extensions.get::<Route>();
    route.is_some_and(|route| &*route.0 == "/api/v1/voice/ws") && request.headers().contains_key(UPGRADE)
}

/// The counters that one worker has used. Found in the application's data.
pub struct Meter {
    metrics: web::Data<Metrics>,
    /// A route's place does not change. There are few, so that looking them through is quicker than hashing.
    routes: RefCell<Vec<OfRoute>>,
}

struct OfRoute {
    name: Rc<str>,
    used: Vec<((&'static str, StatusCode), RequestCounts)>,
}

impl Meter {
    /// One worker's view on what all count.
    #[must_use]
    pub fn new(metrics: web::Data<Metrics>) -> Self {
        Self { metrics, routes: RefCell::default() }
    }

    /// The place of a route and its name.
    fn place_of(&self, route: &str) -> (usize, Rc<str>) {
        let mut routes = self.routes.borrow_mut();
        if let Some(at) = routes.iter().position(|known| &*known.name == route) {
            return (at, routes[at].name.clone());
        }
        let name: Rc<str> = route.into();
        routes.push(OfRoute { name: name.clone(), used: Vec::new() });
        (routes.len() - 1, name)
    }

    fn count(&self, at: usize, method: &'static str, response: StatusCode, began: Instant) {
        let mut routes = self.routes.borrow_mut();
        let OfRoute { name, used } = &mut routes[at];
        let kind = (method, response);
        match used.iter().find(|(known, _)| *known == kind) {
            Some((_, counts)) => counts.count(began.elapsed()),
            None => {
                let counts = self.metrics.requests(method, name, response.as_u16());
                counts.count(began.elapsed());
                used.push((kind, counts));
            }
        }
    }
}

/// Measures every request with [`Meter`], and tells those further in its [`Route`].
///
/// # Errors
/// What the inner service says.
pub async fn measure<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, Error> {
    let began = Instant::now();
    let method = label_of(request.method());
    let Some(meter) = request.app_data::<Rc<Meter>>().cloned() else { return next.call(request).await };
    let (at, route) = meter.place_of(route_of(&request).as_deref().unwrap_or("unknown"));
    let is_static = &*route == "/" || &*route == "/index.html" || route.starts_with("/static/");
    let holds_a_copy = is_static && request.headers().contains_key(IF_NONE_MATCH);
    request.extensions_mut().insert(Route(route));
    let response = next.call(request).await?;
    meter.count(at, method, response.status(), began);
    let still_good = response.status() == StatusCode::NOT_MODIFIED;
    if holds_a_copy && (still_good || response.status().is_success()) {
        meter.metrics.conditional(still_good);
    }
    Ok(response)
}

/// As the router will read the address: "/%61pi/" is "/api/".
fn route_of(request: &ServiceRequest) -> Option<String> {
    request.resource_map().match_pattern(request.match_info().as_str())
}

fn label_of(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}
