//! Answers that are found without the router: those to the most frequent requests, for files of this release, and to the one that
//! has to be quick however busy the server is, for `/livez`.

use actix_web::http::Method;
use actix_web::{HttpRequest, HttpResponse, web};

use crate::web::middleware::foreign_origin::AllowedOrigins;
use crate::web::{health, static_files};

/// The answer to a request without a body. `None` where there is none at hand, or others have a say in it.
#[must_use]
pub fn answer(req: &HttpRequest) -> Option<HttpResponse> {
    let path = req.match_info().as_str();
    let file = path.strip_prefix("/static/");
    let is_read = [Method::GET, Method::HEAD].contains(req.method());
    if !is_read || (file.is_none() && path != "/livez") {
        return None;
    }
    // Where pages of other sites are let in, every answer tells which.
    let origins = req.app_data::<web::Data<AllowedOrigins>>();
    if !origins.is_none_or(|origins| origins.0.is_empty()) {
        return None;
    }
    file.map_or_else(|| Some(health::alive()), |name| static_files::of_this_release(req, name))
}
