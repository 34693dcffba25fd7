//! `Cache-Control`, from the path and the status alone: what is wrong or private is never cached, what carries a hash
//! of its content always is.

use actix_web::dev::ServiceResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, HeaderValue};

const FOREVER: &str = "public, max-age=31536000, immutable";
const SHORT: &str = "public, max-age=300";
const NEVER: &str = "no-store";
const PRIVATE: &str = "no-cache, no-store, must-revalidate";

/// Sets `Cache-Control` on a response.
pub fn set<B>(response: &mut ServiceResponse<B>) {
    // As the router has read it: another spelling of an address ("/%61pi/") is the same address.
    let policy = policy(response.request().match_info().as_str(), response.status());
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static(policy));
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
    use actix_web::HttpResponse;
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn a_handler_cannot_make_an_error_or_an_answer_of_the_api_cacheable() {
        let eager = |status| {
            HttpResponse::build(status).insert_header((CACHE_CONTROL, "public, max-age=60")).finish()
        };
        for (path, status, expected) in [
            ("/api/x", StatusCode::OK, PRIVATE),
            ("/static/x", StatusCode::NOT_FOUND, NEVER),
            ("/static/x", StatusCode::OK, FOREVER),
        ] {
            let mut response = TestRequest::with_uri(path).to_srv_response(eager(status));
            set(&mut response);
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
