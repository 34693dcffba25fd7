//! What browsers let the pages of other sites do.

use actix_cors::Cors;

/// For pages of these origins, and no others.
pub(super) fn of(allowed: &[String]) -> Cors {
    let cors = allowed.iter().fold(Cors::default(), |cors, origin| cors.allowed_origin(origin));
    cors.allowed_methods(["GET", "POST", "PATCH", "DELETE"])
        .allowed_headers(["accept", "authorization", "content-type", "x-companion-person", "x-request-id"])
        .expose_headers(["x-request-id", "retry-after"])
        .supports_credentials()
        // What is refused and why is said by `foreign_origin`.
        .block_on_origin_mismatch(false)
        .max_age(600)
}
