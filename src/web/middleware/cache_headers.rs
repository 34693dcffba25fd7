//! `Cache-Control`, from the path and the status alone: what is wrong or private is never cached, what carries a hash
//! of its content always is.

use actix_web::Error;
use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, HeaderValue};
use actix_web::middleware::Next;

const FOREVER: &str = "public, max-age=31536000, immutable";
const SHORT: &str = "public, max-age=300";
const NEVER: &str = "no-store";
const PRIVATE: &str = "no-cache, no-store, must-revalidate";

/// Sets `Cache-Control` on every response.
///
/// # Errors
/// What the inner service says.
pub async fn cache_headers<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, Error> {
    let mut response = next.call(request).await?;
    // As the router has read it: another spelling of an address ("/%61pi/") is the same address.
    let policy = policy(response.request().match_info().as_str(), response.status());
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static(policy));
    Ok(response)
}

/// The table of the contract.
fn policy(path: &str, status: StatusCode) -> &'static str {
    let good = matches!(status, StatusCode::OK | StatusCode::PARTIAL_CONTENT | StatusCode::NOT_MODIFIED);
    if path.starts_with("/api/") && (status.is_success() || good) {
        return PRIVATE;
    }
    if !good {
        return NEVER;
    }
    if path.starts_with("/static/") {
        return FOREVER;
    }
    if path == "/" || path.ends_with(".html") { SHORT } else { NEVER }
}

#[cfg(test)]
mod tests {
    use actix_web::middleware::from_fn;
    use actix_web::test::{TestRequest, call_service, init_service};
    use actix_web::{App, HttpResponse, web};

    use super::*;

    #[actix_web::test]
    async fn a_handler_cannot_make_an_error_or_an_answer_of_the_api_cacheable() {
        async fn eager(status: web::Path<(String, u16)>) -> HttpResponse {
            let status = StatusCode::from_u16(status.1).unwrap_or_default();
            HttpResponse::build(status).insert_header((CACHE_CONTROL, "public, max-age=60")).finish()
        }
        let app = App::new().route("/{area}/{status}", web::get().to(eager)).wrap(from_fn(cache_headers));
        let app = init_service(app).await;
        for (path, expected) in [("/api/200", PRIVATE), ("/static/404", NEVER), ("/static/200", FOREVER)] {
            let response = call_service(&app, TestRequest::with_uri(path).to_request()).await;
            let told: Vec<_> = response.headers().get_all(CACHE_CONTROL).collect();
            assert_eq!(told, [expected], "{path}");
        }
    }

    #[test]
    fn the_table_of_the_contract() {
        let ok = StatusCode::OK;
        for (path, status, expected) in [
            ("/static/app-0123456789abcdef.js", ok, FOREVER),
            ("/static/app-0123456789abcdef.js", StatusCode::PARTIAL_CONTENT, FOREVER),
            ("/static/app-0123456789abcdef.js", StatusCode::NOT_MODIFIED, FOREVER),
            ("/static/app.js", StatusCode::NOT_FOUND, NEVER),
            ("/static/app-0123456789abcdef.js", StatusCode::RANGE_NOT_SATISFIABLE, NEVER),
            ("/static/app-0123456789abcdef.js", StatusCode::INTERNAL_SERVER_ERROR, NEVER),
            ("/", ok, SHORT),
            ("/index.html", ok, SHORT),
            ("/", StatusCode::NOT_MODIFIED, SHORT),
            ("/missing.html", StatusCode::NOT_FOUND, NEVER),
            ("/api/v1/health", ok, PRIVATE),
            ("/api/v1/sessions/x", StatusCode::NO_CONTENT, PRIVATE),
            ("/api/v1/nothing", StatusCode::NOT_FOUND, NEVER),
            ("/api/page.html", ok, PRIVATE),
            ("/livez", ok, NEVER),
            ("/elsewhere", StatusCode::NOT_FOUND, NEVER),
        ] {
            assert_eq!(policy(path, status), expected, "{path} {status}");
        }
    }
}
