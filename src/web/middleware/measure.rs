//! Counts every request and how long it took, by method, route template and status; and what browsers need not load again.
//!
//! Bounds: an address that is none counts as `unknown`, a method no address here answers as `other`. Each worker keeps the
//! counters it has used, so that a request takes no lock.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Instant;

use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{IF_NONE_MATCH, UPGRADE};
use actix_web::http::{Method, StatusCode};
use actix_web::{HttpMessage, HttpRequest, web};

use crate::telemetry::metrics::{Metrics, RequestCounts};

/// The template of the address a request is for, `unknown` when it is none. Found in the request's extensions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route(pub Rc<str>);

/// The template of the addresses of static files, which are told by how they begin: that spares matching the pattern.
pub const STATIC_FILES: &str = "/static/{name:.*}";

impl Route {
    /// The route of a request, empty before it is known.
    #[must_use]
    pub fn of(request: &impl HttpMessage) -> Rc<str> {
        request.extensions().get::<Self>().map(|route| route.0.clone()).unwrap_or_default()
    }
}

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

    /// The place of a request's route and its name.
    fn place_of(&self, request: &ServiceRequest) -> (usize, Rc<str>) {
        // As the router will read the address: "/%61pi/" is "/api/".
        let path = request.match_info().as_str();
        // Most addresses have nothing to fill in and are their own template; those need no matching.
        let likely = if path.starts_with("/static/") { STATIC_FILES } else { path };
        self.known(likely).unwrap_or_else(|| {
            let route = request.resource_map().match_pattern(path);
            let route = route.as_deref().unwrap_or("unknown");
            self.known(route).unwrap_or_else(|| self.learn(route))
        })
    }

    fn known(&self, route: &str) -> Option<(usize, Rc<str>)> {
        let routes = self.routes.borrow();
        let at = routes.iter().position(|known| &*known.name == route)?;
        Some((at, routes[at].name.clone()))
    }

    fn learn(&self, route: &str) -> (usize, Rc<str>) {
        let mut routes = self.routes.borrow_mut();
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

/// A request on its way.
pub struct Measured {
    meter: Rc<Meter>,
    began: Instant,
    method: &'static str,
    /// The route's place in the meter.
    at: usize,
    holds_a_copy: bool,
}

/// Begins to measure a request with [`Meter`], and tells those further in its [`Route`].
#[must_use]
pub fn begin(request: &ServiceRequest) -> Option<Measured> {
    let began = Instant::now();
    let meter = request.app_data::<Rc<Meter>>()?.clone();
    let (at, route) = meter.place_of(request);
    let is_static = matches!(&*route, "/" | "/index.html" | STATIC_FILES);
    let holds_a_copy = is_static && request.headers().contains_key(IF_NONE_MATCH);
    request.extensions_mut().insert(Route(route));
    Some(Measured { meter, began, method: label_of(request.method()), at, holds_a_copy })
}

impl Measured {
    /// Counts the request, which has been answered.
    pub fn end<B>(self, response: &ServiceResponse<B>) {
        let status = response.status();
        self.meter.count(self.at, self.method, status, self.began);
        let still_good = status == StatusCode::NOT_MODIFIED;
        if self.holds_a_copy && (still_good || status.is_success()) {
            self.meter.metrics.conditional(still_good);
        }
    }
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
