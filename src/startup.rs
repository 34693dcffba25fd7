//! The composition root: builds everything once, binds, runs, drains.

use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::{Server, ServerHandle};
use tokio::sync::oneshot;
use tokio::task::{JoinError, JoinHandle};

use crate::adapters::backup_disk::BackupDisk;
use crate::adapters::data_dir::{DataDir, DataDirError, Lock};
use crate::adapters::database::Database;
#[cfg(feature = "local-embeddings")]
use crate::adapters::embedding::ModelDirError;
use crate::adapters::qdrant::NoClient;
use crate::adapters::sqlite::DbError;
use crate::adapters::upstream::NoTls;
use crate::adapters::{disk::DiskError, set_aside, speech};
use crate::app::{App, Parts};
use crate::config::ServerConfig;
use crate::telemetry::metrics::MetricsError;

mod cors;
mod expecting;
mod listening;
mod open_files;
mod outside;
mod serving;
mod storage;

pub use crate::adapters::disk::keep_owners_rights;
pub use outside::{Substitutes, is_on_one_thread};

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
    /// The process may not even open the files that a server without connections needs.
    #[error(
        "{most} open files are allowed (ulimit -Hn), too few for any connection; MAX_CONNECTIONS needs {needed}"
    )]
    OpenFiles {
        /// The hard limit.
        most: u64,
        /// What `MAX_CONNECTIONS` needs.
        needed: u64,
    },
    /// Something that has to run for good has ended.
    #[error("{0} has stopped")]
    Died(&'static str),
    /// Nothing outside can be asked.
    #[error(transparent)]
    Outside(#[from] NoTls),
    /// Qdrant cannot be asked.
    #[error(transparent)]
    Qdrant(#[from] NoClient),
    /// The model that is to make vectors cannot be used.
    #[cfg(feature = "local-embeddings")]
    #[error(transparent)]
    Model(#[from] ModelDirError),
    /// A model is set that this program cannot run; the settings say so before.
    #[error("EMBEDDING_MODEL_DIR: this program was built without the feature local-embeddings")]
    NoLocalModels,
    /// Nothing can be counted.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
    /// Serving failed.
    #[error("serving failed: {0}")]
    Serve(#[from] std::io::Error),
}

/// A server that is bound and ready to run.
pub struct Application {
    app: Arc<App>,
    live: serving::Look,
    data_dir: DataDir,
    keeps_assets: bool,
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
        let data_dir = DataDir::create_or_open_without_backups(&config.storage)?;
        let lock = data_dir.lock("server")?;
        set_aside::refuse_pending(&data_dir)?;
        storage::clean_up(&data_dir)?;
        let backup_disk = BackupDisk::default();
        storage::clean_up_backups(&data_dir, &backup_disk);
        let prepare = storage::open_despite_full_disk(&data_dir, &substitutes.clock)?;
        storage::forget_again(&data_dir)?;
        let import = storage::import_command(&data_dir);
        let listener = listening::bind(&config.host, config.port)?;
        let started = Database::start(data_dir.database().to_owned(), prepare)?;
        let outside = outside::build(config)?;
        let parts = Parts {
            clock: substitutes.clock,
            database: started.database.clone(),
            data_dir: data_dir.clone(),
            backup_disk,
            model: substitutes.model.unwrap_or(outside.model),
            embedder: outside.embedder,
            small_model: outside.small_model,
            summary: config.outside.summary,
            upstreams: outside.upstreams,
            workflow: config.outside.workflow,
            transcriber: speech::transcriber(&config.speech, &outside.speech, &data_dir),
            synthesizer: speech::synthesizer(&config.speech, &outside.speech, &config.persona, &data_dir),
            persona: Arc::new(config.persona.clone()),
            retention: config.retention.clone(),
            limits: config.limits,
            copy: outside.copy,
        };
        let app = Arc::new(App::new(parts, tokio::runtime::Handle::current()));
        let url = format!("http://{}", listener.local_addr()?);
        let earlier = storage::earlier_assets(&data_dir);
        let keeps_assets = earlier.is_some();
        let files = (substitutes.assets, earlier.unwrap_or_default());
        let (server, live) = serving::serve(app.clone(), files, listener, config)?;
        Ok(Self {
            app,
            live,
            data_dir,
            keeps_assets,
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
        let (data_dir, keeps_assets) = (self.data_dir, self.keeps_assets);
        let keeping = tokio::task::spawn_blocking(move || {
            if keeps_assets {
                storage::keep_assets(&data_dir);
            }
        });
        let mut served = None;
        let outcome = tokio::select! {
            // In this order: when the preparation fails the database ends with it, and the reason is to be told.
            biased;
            () = shutdown => Ok(()),
            failed = run(&self.app, &self.live, self.prepared, &self.url) => failed,
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
        let served = match served {
            Some(ended) => ended,
            None => end(&handle, serving).await,
        };
        let served = served.map_err(|_| StartupError::Died("the HTTP server"))?;
        self.database.close().await;
        // It is soon over, and writes to the data directory.
        drop(keeping.await);
        tracing::info!(event = "server_stopped", clean = outcome.is_ok(), "The server has stopped");
        outcome.and(served.map_err(Into::into))
    }
}

/// Reports the end of the preparation, goes on with deletions that were interrupted, then watches over maintenance; resolves only when something failed.
async fn run(
    app: &App,
    live: &serving::Look,
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
            if let Err(error) = app.finish_deletions().await {
                tracing::warn!(event = "deletions_unfinished", error = %error, "Conversations that were being deleted could not be; the next start goes on");
            }
            tokio::select! {
                () = app.watch_upkeep() => Err(StartupError::Died("the watch over maintenance")),
                () = app.carry() => Err(StartupError::Died("what carries memories to Qdrant")),
                () = app.learn() => Err(StartupError::Died("what learns from turns")),
                () = app.note_samples(live) => Err(StartupError::Died("what notes the server's numbers")),
                () = app.embed_memories() => Err(StartupError::Died("what makes vectors of memories")),
            }
        }
        Ok(Err(error)) => Err(error.into()),
        Err(_) => Err(StartupError::Died("the database")),
    }
}

/// What serves ends at once when it is told to, unless it waits for somebody.
const ENDING: Duration = Duration::from_secs(1);
/// To tell those whose turns are cut off.
const TELLING: Duration = Duration::from_secs(5);

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
        app.cut_turns_off();
        let told = async {
            app.drain_turns().await;
            handle.stop(true).await;
        };
        // Who does not read it is not waited for.
        drop(tokio::time::timeout(TELLING, told).await);
    }
}

/// Ends what serves, also while it still waits for who does not read: it is deaf to a second word then, and left to the end of the
/// process.
async fn end(
    handle: &ServerHandle,
    mut serving: JoinHandle<std::io::Result<()>>,
) -> Result<std::io::Result<()>, JoinError> {
    let _told = handle.stop(false);
    let ended = tokio::time::timeout(ENDING, &mut serving).await;
    ended.unwrap_or_else(|_| {
        serving.abort();
        Ok(Ok(()))
    })
}
