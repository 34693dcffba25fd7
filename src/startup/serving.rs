//! Everything that answers a request, in its order, and how connections are served.

use std::net::TcpListener;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::Server;
use actix_web::middleware::{Condition, from_fn};
use actix_web::{App as Actix, web};

use crate::app::App;
use crate::app::samples::Live;
use crate::config::ServerConfig;
use crate::startup::listening::{self, Serving};
use crate::startup::{StartupError, cors, open_files};
use crate::telemetry::metrics::Metrics;
use crate::telemetry::tally::Tally;
use crate::web::access::AccessControl;
use crate::web::answer_budget::AnswerBudget;
use crate::web::assets::Assets;
use crate::web::byte_budget::ByteBudget;
use crate::web::connection::ConnectionPace;
use crate::web::connections::Connections;
use crate::web::earlier_assets::EarlierAssets;
use crate::web::middleware::{
    body_budget::{BodyPace, body_budget},
    changing::Changing,
    every_request::every_request,
    foreign_origin::AllowedOrigins,
    foreign_origin::foreign_origin,
    measure::Meter,
    payload_limit::MaxRequestBytes,
    payload_limit::payload_limit,
    rate_limit::RateLimits,
};
use crate::web::openapi::ShowDocs;
use crate::web::proxies::TrustedProxies;
use crate::web::routes;
use crate::web::voice_socket::VoiceSockets;

/// Tells what is known of what is served, each time it is asked.
pub(super) type Look = Box<dyn Fn() -> Live + Send + Sync>;

/// A body may be as slow as it likes for so long.
const BODY_GRACE: Duration = Duration::from_secs(10);

/// What is set about connections; `outside` are those to services outside.
fn serving(
    config: &ServerConfig,
    outside: usize,
    proxies: Arc<TrustedProxies>,
    metrics: Arc<Metrics>,
) -> Result<Serving, StartupError> {
    let limits = &config.limits;
    let max_connections = open_files::for_connections(limits.max_connections, outside)?;
    let workers = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
    let pace =
        ConnectionPace { header: limits.header, idle: limits.idle, unread_answer: limits.unread_answer };
    let connections = Arc::new(Connections::new(max_connections, proxies, metrics));
    Ok(Serving { workers, max_connections, pace, connections, drain: config.drain })
}

/// A server for what listens, with everything that answers.
pub(super) fn serve(
    app: Arc<App>,
    (assets, earlier): (Assets, EarlierAssets),
    listener: TcpListener,
    config: &ServerConfig,
) -> Result<(Server, Look), StartupError> {
    let outside = app.upstreams().iter().map(|upstream| upstream.most_connections).sum();
    let metrics = Metrics::new(env!("CARGO_PKG_VERSION"), app.now().as_millis())?;
    let metrics = web::Data::new(metrics);
    let shared = web::Data::from(app);
    let earlier = web::Data::new(earlier);
    let docs = ShowDocs(config.api_docs);
    let proxies = Arc::new(TrustedProxies::new(config.trusted_proxies.clone()));
    let serving = serving(config, outside, proxies.clone(), metrics.clone().into_inner())?;
    let proxies = web::Data::from(proxies);
    let rates = config.limits.turns_per_minute.map(|most| web::Data::new(RateLimits::new(most)));
    let limits = &config.limits;
    let budget = web::Data::new(ByteBudget::new(limits.max_inflight_body_bytes, limits.max_request_bytes));
    let answers = web::Data::new(AnswerBudget::default());
    let sockets = web::Data::new(VoiceSockets::new(config.speech.max_sockets));
    let pace = BodyPace { idle: limits.body_idle, total: limits.body_total, grace: BODY_GRACE };
    let allowed = config.allowed_origins.clone();
    let origins = web::Data::new(AllowedOrigins(allowed.clone()));
    let access = web::Data::new(AccessControl::new(config.access.clone()));
    let max_bytes = MaxRequestBytes(config.limits.max_request_bytes);
    let live = look(metrics.clone().into_inner(), sockets.clone().into_inner());
    let factory = move || {
        let limited = rates.clone();
        Actix::new()
            .configure(move |config| {
                if let Some(rates) = limited {
                    config.app_data(rates);
                }
            })
            .app_data(Rc::new(Meter::new(metrics.clone())))
            .app_data(metrics.clone())
            .app_data(max_bytes)
            .app_data(budget.clone())
            .app_data(answers.clone())
            .app_data(pace)
            .app_data(sockets.clone())
            .app_data(shared.clone())
            .app_data(assets)
            .app_data(earlier.clone())
            .app_data(docs)
            .app_data(proxies.clone())
            .app_data(origins.clone())
            .app_data(access.clone())
            .configure(routes)
            .wrap(Changing(from_fn(body_budget)))
            .wrap(Changing(from_fn(payload_limit)))
            .wrap(Changing(from_fn(foreign_origin)))
            .wrap(Condition::new(!allowed.is_empty(), cors::of(&allowed)))
            .wrap(from_fn(every_request))
    };
    Ok((listening::serve(factory, listener, serving)?, live))
}

fn look(metrics: Arc<Metrics>, sockets: Arc<VoiceSockets>) -> Look {
    Box::new(move || Live { tally: Tally::of(&metrics), voice_sockets: sockets.open() as u64 })
}
