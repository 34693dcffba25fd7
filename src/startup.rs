//! The composition root: builds everything once, binds, runs, drains.

use std::net::{TcpListener, ToSocketAddrs};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::{Server, ServerHandle};
use actix_web::middleware::{Condition, from_fn};
use actix_web::{App as Actix, HttpServer, web};
use tokio::sync::oneshot;

use crate::adapters::data_dir::{DataDir, DataDirError, Lock};
use crate::adapters::database::Database;
use crate::adapters::offline::OfflineCompanion;
use crate::adapters::sqlite::DbError;
use crate::adapters::{disk::DiskError, set_aside, speech};
use crate::app::{App, Parts};
use crate::config::ServerConfig;
use crate::domain::chat::ChatModel;
use crate::domain::clock::{Clock, SystemClock};
use crate::telemetry::metrics::{Metrics, MetricsError};
use crate::web::access::AccessControl;
use crate::web::byte_budget::ByteBudget;
use crate::web::earlier_assets::EarlierAssets;
use crate::web::middleware::{
    body_budget::{BodyPace, body_budget},
    cache_headers::cache_headers,
    foreign_origin::AllowedOrigins,
    foreign_origin::foreign_origin,
    last_answer::last_answer,
    measure::{Meter, measure},
    payload_limit::MaxRequestBytes,
    payload_limit::payload_limit,
    rate_limit::RateLimits,
    rate_limit::rate_limit,
    request_id::request_id,
    security_headers::security_headers,
    token_cookies::token_cookies,
    unread_body::unread_body,
};
use crate::web::openapi::ShowDocs;
use crate::web::proxies::TrustedProxies;
use crate::web::routes;
use crate::web::voice_socket::VoiceSockets;

mod cors;
mod storage;

/// Why the server does not start, or did not end well.
#[derive(Debug, thiserror::Error)]
pub enum StartupError {
    /// The data directory cannot be used.
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    /// The database cannot be used.
    #[error(transparent)]
    Database(#[from] DbError),
    /// The disk said no.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The address cannot be listened on.
    #[error("cannot listen on {host}:{port}: {source}{hint}")]
    Bind {
        /// `HOST`.
        host: String,
        /// `PORT`.
        port: u16,
        /// Why.
        source: std::io::Error,
        /// What to do.
        hint: &'static str,
    },
    /// Something that has to run for good has ended.
    #[error("{0} has stopped")]
    Died(&'static str),
    /// Nothing can be counted.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
    /// Serving failed.
    #[error("serving failed: {0}")]
    Serve(#[from] std::io::Error),
}

/// A body may be as slow as it likes for so long.
const BODY_GRACE: Duration = Duration::from_secs(10);

/// What tests put in the place of the real thing.
pub struct Substitutes {
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Who answers.
    pub model: Arc<dyn ChatModel>,
}

impl Default for Substitutes {
    fn default() -> Self {
        Self { clock: Arc::new(SystemClock), model: Arc::new(OfflineCompanion) }
    }
}

/// A server that is bound and ready to run.
pub struct Application {
    app: Arc<App>,
    data_dir: DataDir,
    database: Database,
    server: Server,
    url: String,
    import: Option<String>,
    drain: Duration,
    prepared: oneshot::Receiver<Result<(), DbError>>,
    database_ended: oneshot::Receiver<()>,
    _lock: Lock,
}

impl Application {
    /// Opens the data directory and the database, takes the lock, binds. Must run inside a tokio runtime.
    ///
    /// # Errors
    /// See [`StartupError`]; each is one clear line.
    pub fn build(config: &ServerConfig, substitutes: Substitutes) -> Result<Self, StartupError> {
        let data_dir = DataDir::create_or_open(&config.storage)?;
        let lock = data_dir.lock("server")?;
        set_aside::refuse_pending(&data_dir)?;
        storage::clean_up(&data_dir)?;
        let prepare = storage::open_despite_full_disk(&data_dir, &substitutes.clock)?;
        storage::forget_again(&data_dir)?;
        let import = storage::import_command(&data_dir);
        let listener = bind(&config.host, config.port)?;
        let started = Database::start(data_dir.database().to_owned(), prepare)?;
        let parts = Parts {
            clock: substitutes.clock,
            database: started.database.clone(),
            data_dir: data_dir.clone(),
            model: substitutes.model,
            transcriber: speech::transcriber(&config.speech, &data_dir),
            synthesizer: speech::synthesizer(&config.speech, &config.persona, &data_dir),
            persona: Arc::new(config.persona.clone()),
            retention: config.retention.clone(),
            limits: config.limits,
        };
        let app = Arc::new(App::new(parts, tokio::runtime::Handle::current()));
        let url = format!("http://{}", listener.local_addr()?);
        let server = serve(app.clone(), storage::earlier_assets(&data_dir), listener, config)?;
        Ok(Self {
            app,
            data_dir,
            database: started.database,
            server,
            url,
            import,
            drain: config.drain,
            prepared: started.prepared,
            database_ended: started.ended,
            _lock: lock,
        })
    }

    /// Where the server listens: `http://127.0.0.1:8000`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The command that brings in the predecessor's conversations, where the setting for our database names its.
    #[must_use]
    pub fn import_command(&self) -> Option<&str> {
        self.import.as_deref()
    }

    /// Serves until `shutdown` resolves, then drains: running turns get the drain time, new ones are refused. When
    /// `cut` resolves, draining ends at once.
    ///
    /// # Errors
    /// When something that has to run for good has ended.
    pub async fn run_until_stopped(
        self,
        shutdown: impl Future<Output = ()>,
        cut: impl Future<Output = ()>,
    ) -> Result<(), StartupError> {
        let handle = self.server.handle();
        let mut serving = tokio::spawn(self.server);
        let data_dir = self.data_dir;
        let keeping = tokio::task::spawn_blocking(move || storage::keep_assets(&data_dir));
        let mut served = None;
        let outcome = tokio::select! {
            // In this order: when the preparation fails the database ends with it, and the reason is to be told.
            biased;
            () = shutdown => Ok(()),
            failed = run(&self.app, self.prepared, &self.url) => failed,
            _ = self.database_ended => Err(StartupError::Died("the database")),
            ended = &mut serving => {
                served = Some(ended);
                Err(StartupError::Died("the HTTP server"))
            }
        };
        if outcome.is_ok() {
            tracing::info!(
                event = "server_stopping",
                "Stopping: running turns are finished, new ones refused"
            );
            tokio::select! {
                () = drain(&self.app, &handle, self.drain) => {}
                () = cut => tracing::warn!("Stopping at once"),
            }
        }
        handle.stop(false).await;
        let served = match served {
            Some(ended) => ended,
            None => serving.await,
        };
        let served = served.map_err(|_| StartupError::Died("the HTTP server"))?;
        self.database.close().await;
        // It is soon over, and writes to the data directory.
        drop(keeping.await);
        tracing::info!(event = "server_stopped", clean = outcome.is_ok(), "The server has stopped");
        outcome.and(served.map_err(Into::into))
    }
}

/// Reports the end of the preparation, then watches over maintenance; resolves only when something failed.
async fn run(
    app: &App,
    prepared: oneshot::Receiver<Result<(), DbError>>,
    url: &str,
) -> Result<(), StartupError> {
    match prepared.await {
        Ok(Ok(())) => {
            tracing::info!(
                event = "server_started",
                url,
                version = env!("CARGO_PKG_VERSION"),
                "The server is ready"
            );
            app.watch_upkeep().await;
            Err(StartupError::Died("the watch over maintenance"))
        }
        Ok(Err(error)) => Err(error.into()),
        Err(_) => Err(StartupError::Died("the database")),
    }
}

async fn drain(app: &App, handle: &ServerHandle, longest: Duration) {
    app.stop_turns();
    let ended = async {
        app.drain_turns().await;
        handle.stop(true).await;
        // Deletions that began meanwhile and whose client has left.
        app.drain_turns().await;
    };
    if tokio::time::timeout(longest, ended).await.is_err() {
        tracing::warn!(
            event = "drain_timed_out",
            "Some turns did not end within DRAIN_SECONDS and were cut off"
        );
    }
}

fn bind(host: &str, port: u16) -> Result<TcpListener, StartupError> {
    let failed = |source: std::io::Error| {
        let hint = if source.kind() == std::io::ErrorKind::AddrInUse {
            "; another program uses it: stop that, or set PORT to a free one"
        } else if source.kind() == std::io::ErrorKind::PermissionDenied {
            "; ports below 1024 need privileges: set PORT higher"
        } else {
            "; check HOST and PORT"
        };
        StartupError::Bind { host: host.to_owned(), port, source, hint }
    };
    let addresses: Vec<_> = (host, port).to_socket_addrs().map_err(failed)?.collect();
    TcpListener::bind(addresses.as_slice()).map_err(failed)
}

fn serve(
    app: Arc<App>,
    earlier: EarlierAssets,
    listener: TcpListener,
    config: &ServerConfig,
) -> Result<Server, StartupError> {
    let workers = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
    let metrics = Metrics::new(env!("CARGO_PKG_VERSION"), app.now().as_millis())?;
    let metrics = web::Data::new(metrics);
    let shared = web::Data::from(app);
    let earlier = web::Data::new(earlier);
    let docs = ShowDocs(config.api_docs);
    let proxies = web::Data::new(TrustedProxies::new(config.trusted_proxies.clone()));
    let rates = config.limits.turns_per_minute.map(|most| web::Data::new(RateLimits::new(most)));
    let limits = &config.limits;
    let budget = web::Data::new(ByteBudget::new(limits.max_inflight_body_bytes, limits.max_request_bytes));
    let sockets = web::Data::new(VoiceSockets::new(config.speech.max_sockets));
    let pace = BodyPace { idle: limits.body_idle, total: limits.body_total, grace: BODY_GRACE };
    let allowed = config.allowed_origins.clone();
    let origins = web::Data::new(AllowedOrigins(allowed.clone()));
    let access = web::Data::new(AccessControl::new(config.access.clone()));
    let max_bytes = MaxRequestBytes(config.limits.max_request_bytes);
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
            .app_data(pace)
            .app_data(sockets.clone())
            .app_data(shared.clone())
            .app_data(earlier.clone())
            .app_data(docs)
            .app_data(proxies.clone())
            .app_data(origins.clone())
            .app_data(access.clone())
            .configure(routes)
            .wrap(from_fn(body_budget))
            .wrap(from_fn(payload_limit))
            .wrap(from_fn(foreign_origin))
            .wrap(Condition::new(!allowed.is_empty(), cors::of(&allowed)))
            .wrap(from_fn(rate_limit))
            .wrap(from_fn(token_cookies))
            .wrap(from_fn(cache_headers))
            .wrap(from_fn(security_headers))
            .wrap(from_fn(request_id))
            .wrap(from_fn(unread_body))
            .wrap(from_fn(measure))
            .wrap(from_fn(last_answer))
    };
    let server = HttpServer::new(factory)
        .workers(workers)
        .max_connections(config.limits.max_connections.div_ceil(workers))
        .shutdown_timeout(config.drain.as_secs())
        // Small answers on a kept-alive connection would otherwise wait 40 ms for the other side's acknowledgement.
        .tcp_nodelay(true)
        // A client that goes away is noticed at once, so that its turn can be dropped.
        .h1_allow_half_closed(false)
        .disable_signals()
        .listen(listener)?;
    Ok(server.run())
}
