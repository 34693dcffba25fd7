//! HTTP only: shapes, status codes, headers. Here stands THE list of addresses.

use actix_web::middleware::from_fn;
use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpResponse, Resource, guard};

pub mod access;
pub mod admin;
pub mod answer_budget;
pub mod assets;
mod at_hand;
pub mod audio;
pub mod body;
mod body_room;
pub mod byte_budget;
pub mod chat;
pub mod coding;
pub mod connection;
pub mod connections;
pub mod earlier_assets;
pub mod error;
pub mod failed_tries;
pub mod form;
pub mod health;
pub mod me;
pub mod memories;
pub mod metrics;
pub mod middleware;
pub mod openapi;
pub mod per_client;
pub mod person;
pub mod proxies;
pub mod qr_code;
mod server_timing;
pub mod sessions;
pub mod static_files;
pub mod voice;
pub mod voice_socket;
pub mod ways_in;

use error::ApiError;
use middleware::access as doors;

/// Every address and what answers there. A known address answers a wrong method with 405, an unknown one is 404.
pub fn routes(config: &mut ServiceConfig) {
    // Before the scope that is closed to strangers: whoever matches first answers.
    config
        .service(at("/api/v1/health", READ).route(read().to(health::health)))
        .service(at("/api/v1/metrics", READ).route(read().to(metrics::json)))
        .service(at("/api/v1/sign-in", "POST").route(web::post().to(access::sign_in)))
        .service(at("/api/v1/sign-out", "POST").route(web::post().to(access::sign_out)));
    operators(config);
    let api = web::scope("/api/v1")
        .service(at("/chat", "POST").route(web::post().to(chat::chat)))
        .service(at("/session/start", "POST").route(web::post().to(sessions::start)))
        .service(at("/sessions", "GET").route(web::get().to(sessions::list)))
        .service(
            at("/sessions/{id}", "GET, PATCH, DELETE")
                .route(web::get().to(sessions::one))
                .route(web::patch().to(sessions::change))
                .route(web::delete().to(sessions::delete)),
        )
        .service(at("/voice/process", "POST").route(web::post().to(voice::process)))
        .service(at("/voice/stream-tts", "POST").route(web::post().to(voice::stream_tts)))
        .service(at("/voice/ws", "GET").route(web::get().to(voice_socket::socket)))
        .service(at("/voice/audio/{audio_id}", READ).route(read().to(audio::audio)))
        .service(
            at("/memories", "GET, POST, DELETE")
                .route(web::get().to(memories::list))
                .route(web::post().to(memories::add))
                .route(web::delete().to(memories::forget_all)),
        )
        .service(
            at("/memories/{id}", "PATCH, DELETE")
                .route(web::patch().to(memories::correct))
                .route(web::delete().to(memories::forget)),
        )
        .service(at("/me", "GET, DELETE").route(web::get().to(me::me)).route(web::delete().to(me::erase)))
        .service(at("/me/export", "GET").route(web::get().to(me::export)))
        .service(at("/me/rotate", "POST").route(web::post().to(ways_in::rotate)))
        .service(at("/me/link", "POST").route(web::post().to(ways_in::link)))
        .service(at("/me/link/redeem", "POST").route(web::post().to(ways_in::redeem_link)))
        .service(at("/me/recovery", "POST").route(web::post().to(ways_in::recovery)))
        .service(at("/me/recovery/redeem", "POST").route(web::post().to(ways_in::redeem_code)))
        .service(at("/me/leave", "POST").route(web::post().to(ways_in::leave)))
        .service(at("/openapi.json", READ).route(read().to(openapi::document)))
        .service(at("/docs", READ).route(read().to(openapi::docs)))
        .wrap(from_fn(doors::access));
    config
        .service(api)
        .service(at("/livez", READ).route(read().to(health::livez)))
        .service(at("/readyz", READ).route(read().to(health::readyz)))
        .service(at("/metrics", READ).route(read().to(metrics::text)))
        .service(at("/", READ).route(read().to(static_files::page)))
        .service(at("/index.html", READ).route(read().to(static_files::page)))
        .service(at("/sw.js", READ).route(read().to(static_files::worker)))
        .service(at("/sign-in", READ).route(read().to(access::page)))
        .service(at("/link", READ).route(read().to(ways_in::page)))
        .service(at("/static/{name:.*}", READ).route(read().to(static_files::asset)))
        .default_service(web::to(nothing_here));
}

/// What only whoever runs the server may ask it.
fn operators(config: &mut ServiceConfig) {
    let admin = web::scope("/api/v1/admin")
        .service(at("/sign-in", "POST").route(web::post().to(admin::sign_in::sign_in)))
        .service(at("/sign-out", "POST").route(web::post().to(admin::sign_in::sign_out)))
        .service(at("/status", READ).route(read().to(admin::status)))
        .service(at("/memory/status", READ).route(read().to(admin::memory_status)))
        .wrap(from_fn(doors::admin));
    let admin_page = web::scope("/admin")
        .service(at("", READ).route(read().to(admin::sign_in::page)))
        .service(at("/sign-in", READ).route(read().to(admin::sign_in::sign_in_page)))
        .wrap(from_fn(doors::admin_page));
    config.service(admin).service(admin_page);
}

const READ: &str = "GET, HEAD";

fn read() -> actix_web::Route {
    web::route().guard(guard::Any(guard::Get()).or(guard::Head()))
}

/// An address that answers the `allowed` methods.
fn at(path: &str, allowed: &'static str) -> Resource {
    web::resource(path).default_service(web::to(move || async move {
        Err::<HttpResponse, _>(ApiError::MethodNotAllowed(allowed))
    }))
}

async fn nothing_here() -> Result<HttpResponse, ApiError> {
    Err(ApiError::NotFound)
}
