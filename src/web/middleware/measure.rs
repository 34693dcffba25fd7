//! Counts every request and how long it took, by method, route template and status; and what browsers need not load again.
//!
//! Bounds: an address that is none counts as `unknown`, a method no address here answers as `other`. Each worker keeps the
//! counters it has used, so that a request takes no lock.

use std::cell::RefCell;
use std::collections::HashMap;
use std::time::Instant;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::IF_NONE_MATCH;
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::{Error, web};

use crate::telemetry::metrics::{Metrics, RequestCounts};

type OfRoute = HashMap<(&'static str, StatusCode), RequestCounts>;

/// The counters that one worker has used. Found in the application's data.
pub struct Meter {
    metrics: web::Data<Metrics>,
    used: RefCell<HashMap<String, OfRoute>>,
}

impl Meter {
    /// One worker's view on what all count.
    #[must_use]
    pub fn new(metrics: web::Data<Metrics>) -> Self {
        Self { metrics, used: RefCell::default() }
    }

    fn count(&self, method: &'static str, route: &str, status: StatusCode, began: Instant) {
        let mut used = self.used.borrow_mut();
        if !used.contains_key(route) {
            used.insert(route.to_owned(), HashMap::new());
        }
        if let Some(of_route) = used.get_mut(route) {
            let looked_up = || self.metrics.requests(method, route, status.as_u16());
            of_route.entry((method, status)).or_insert_with(looked_up).count(began.elapsed());
        }
    }
}

/// Measures every request with [`Meter`].
///
/// # Errors
/// What the inner service says.
pub async fn measure<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, Error> {
    let began = Instant::now();
    let method = label_of(request.method());
    let response = next.call(request).await?;
    let route = response.request().match_pattern();
    let route = route.as_deref().unwrap_or("unknown");
    if let Some(meter) = response.request().app_data::<Meter>() {
        meter.count(method, route, response.status(), began);
        let still_good = response.status() == StatusCode::NOT_MODIFIED;
        let holds_a_copy = || response.request().headers().contains_key(IF_NONE_MATCH);
        if is_static(route) && (still_good || response.status().is_success()) && holds_a_copy() {
            meter.metrics.conditional(still_good);
        }
    }
    Ok(response)
}

fn is_static(route: &str) -> bool {
    route == "/" || route == "/index.html" || route.starts_with("/static/")
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
