//! Pages of other sites may not change anything here in the name of whoever looks at them.
//!
//! A browser tells with every such request which page sent it (`Origin`); programs that are no browsers tell nothing and pass.

use std::sync::LazyLock;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{HOST, HeaderName, ORIGIN, UPGRADE};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, ResponseError, web};

use crate::telemetry::sparing::Sparing;
use crate::web::error::ApiError;
use crate::web::middleware::measure::Route;

/// The origins named by `ALLOWED_ORIGINS`, beside our own. Found in the application's data.
#[derive(Debug, Default)]
pub struct AllowedOrigins(pub Vec<String>);

/// Why a request is refused already. Found in its extensions.
struct Refused(ApiError);

/// True for what a browser says a page sent, where pages of other sites are let in.
#[must_use]
pub fn may_be_let_in(request: &ServiceRequest) -> bool {
    let allowed = request.app_data::<web::Data<AllowedOrigins>>();
    allowed.is_some_and(|allowed| !allowed.0.is_empty()) && request.headers().contains_key(ORIGIN)
}

/// Lets the request end here with this error, and no handler see it.
pub fn refuse(request: &ServiceRequest, why: ApiError) {
    request.extensions_mut().insert(Refused(why));
}

/// Refuses what is refused already, and what would change something or open a socket and comes from a page of another site.
///
/// # Errors
/// What the inner service says.
pub async fn foreign_origin(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let refused = request.extensions_mut().remove::<Refused>();
    if let Some(Refused(why)) = refused {
        return Ok(request.into_response(why.error_response()));
    }
    // Browsers let any page open a socket anywhere, with cookies.
    let opens_socket = request.headers().contains_key(UPGRADE);
    if (opens_socket || !request.method().is_safe()) && is_foreign(&request) {
        log(&request);
        return Ok(request.into_response(ApiError::ForeignOrigin.error_response()));
    }
    next.call(request).await.map(ServiceResponse::map_into_boxed_body)
}

fn log(request: &ServiceRequest) {
    static LINES: LazyLock<Sparing> = LazyLock::new(Sparing::default);
    if let Some(left_out) = LINES.one_more() {
        tracing::warn!(
            event = "foreign_origin",
            method = %request.method(),
            route = &*Route::of(request),
            left_out,
            "A page of another site was refused; ALLOWED_ORIGINS lets it in"
        );
    }
}

/// True when a browser says that a page of another site sent the request.
#[must_use]
pub fn is_foreign(request: &ServiceRequest) -> bool {
    if !request.headers().contains_key(ORIGIN) {
        return false;
    }
    // What cannot be read is nobody's origin.
    let Some(origin) = text(request, &ORIGIN) else { return true };
    let allowed = request.app_data::<web::Data<AllowedOrigins>>();
    if allowed.is_some_and(|allowed| allowed.0.iter().any(|one| one.eq_ignore_ascii_case(origin))) {
        return false;
    }
    // Behind a TLS proxy the scheme is another one; the site is told by its host and port.
    let site = origin.split_once("://").map(|(_, site)| site);
    !site.is_some_and(|site| text(request, &HOST).is_some_and(|host| host.eq_ignore_ascii_case(site)))
}

fn text<'a>(request: &'a ServiceRequest, name: &HeaderName) -> Option<&'a str> {
    request.headers().get(name)?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn foreign(host: &str, origin: &str) -> bool {
        let allowed = web::Data::new(AllowedOrigins(vec!["https://app.example.org".to_owned()]));
        let request = TestRequest::post().app_data(allowed).insert_header((HOST, host));
        is_foreign(&request.insert_header((ORIGIN, origin)).to_srv_request())
    }

    #[test]
    fn our_own_pages_and_those_allowed_are_not_foreign() {
        assert!(!foreign("companion.example.org", "https://companion.example.org"));
        assert!(!foreign("127.0.0.1:8000", "http://127.0.0.1:8000"));
        assert!(!foreign("Companion.example.org", "https://companion.EXAMPLE.org"));
        assert!(!foreign("companion.example.org", "https://app.example.org"));
        assert!(!is_foreign(&TestRequest::post().insert_header((HOST, "x")).to_srv_request()));
    }

    #[test]
    fn all_others_are() {
        for origin in [
            "https://evil.example",
            "null",
            "",
            "https://companion.example.org.evil.example",
            "https://companion.example.org:8443",
            "http://app.example.org",
            "companion.example.org",
        ] {
            assert!(foreign("companion.example.org", origin), "{origin}");
        }
    }
}
