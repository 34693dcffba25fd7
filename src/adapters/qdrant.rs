//! A copy of the index of memories in Qdrant, through its own client over gRPC: one for the process, shared by all who ask.
//!
//! What is asked is always asked of one person's points alone, the rarity of words included. A search takes at most 1 s in all,
//! and none is begun while the circuit is open or half-open: what tries again is [`MemoryCopy::look`], which nobody waits for.
//!
//! Bounds: 16 calls at once, over one connection that they share; while that is lost each may open one of its own. A question's
//! words, and 1000 candidates of each list.

mod collection;
mod failure;
mod points;
mod rest;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use qdrant_client::config::QdrantConfig as ClientConfig;
use qdrant_client::{Qdrant as Client, QdrantError};
use tokio::sync::Semaphore;

use crate::adapters::upstream::{Breaker, BreakerSettings, Counts};
use crate::config::QdrantConfig;
use crate::domain::address::BaseUrl;
use crate::domain::chat::ServiceState;
use crate::domain::memory::MemoryId;
use crate::domain::memory::copy::{
    Asked, Copied, CopyError, Edition, Hit, MemoryCopy, Page, Point, Standing,
};
use crate::domain::upstream::{CallEnd, Circuit, Upstream, UpstreamReport};

const MOST_CALLS: usize = 16;
/// A turn waits for it.
const SEARCH: Duration = Duration::from_secs(1);
const LOOK: Duration = Duration::from_secs(5);
/// Until a change is confirmed.
const CHANGE: Duration = Duration::from_secs(30);
const CONNECT: Duration = Duration::from_secs(3);

/// Qdrant, and what is known of it.
pub struct Qdrant {
    place: Place,
    base: BaseUrl,
    config: ClientConfig,
    /// Another one takes its place when its connection does not answer.
    client: Mutex<Client>,
    calls: Semaphore,
    running: AtomicUsize,
    breaker: Arc<Breaker>,
    counts: Counts,
    answers: AtomicBool,
}

/// Where the copy is.
#[derive(Debug, Clone)]
struct Place {
    url: String,
    collection: String,
}

/// Its client cannot be made.
#[derive(Debug, thiserror::Error)]
#[error("QDRANT_URL cannot be used: {0}")]
pub struct NoClient(String);

/// Who waits for a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Waits {
    /// A person: it is not to be the one that tries whether Qdrant is there again.
    Person,
    /// Nobody.
    Nobody,
}

impl Qdrant {
    /// Nothing is sent yet.
    ///
    /// # Errors
    /// Never for an address that the settings have let pass.
    pub fn new(config: &QdrantConfig, breaker: BreakerSettings) -> Result<Arc<Self>, NoClient> {
        let mut client = ClientConfig::from_url(&config.url())
            .timeout(CHANGE)
            .connect_timeout(CONNECT)
            .api_key(config.key.as_ref().map(|key| key.expose().to_owned()))
            .skip_compatibility_check();
        client.set_pool_size(1);
        let made = Client::new(client.clone()).map_err(|error| NoClient(error.to_string()))?;
        let place = Place { url: config.url(), collection: config.collection.clone() };
        Ok(Arc::new(Self {
            place,
            base: config.base.clone(),
            config: client,
            client: Mutex::new(made),
            calls: Semaphore::new(MOST_CALLS),
            running: AtomicUsize::new(0),
            breaker: Arc::new(Breaker::new(breaker)),
            counts: Counts::default(),
            answers: AtomicBool::new(false),
        }))
    }

    async fn in_time<T>(
        &self,
        patience: Duration,
        work: impl AsyncFnOnce(Client) -> Result<T, QdrantError>,
    ) -> Result<T, CopyError> {
        let began = tokio::time::Instant::now();
        // What has less than half of its time left is not begun: calls that are taken back as soon as they are asked look like
        // an attack to Qdrant, which ends the connection, and our own queue would pass for its slowness.
        let place = tokio::time::timeout(patience / 2, self.calls.acquire()).await;
        let _place = place.map_err(|_| CopyError::Busy)?.map_err(|_| CopyError::Busy)?;
        let _running = Running::new(&self.running);
        match tokio::time::timeout(patience.saturating_sub(began.elapsed()), work(self.client())).await {
            Ok(answer) => answer.map_err(|error| failure::told(&self.place, &error)),
            Err(_) => Err(CopyError::TimedOut(self.place.url.clone())),
        }
    }

    fn client(&self) -> Client {
        self.client.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Lets a connection go that does not answer: it would never be tried again by itself.
    fn connect_anew(&self) {
        if let Ok(client) = Client::new(self.config.clone()) {
            *self.client.lock().unwrap_or_else(PoisonError::into_inner) = client;
        }
    }

    /// One call: bounded, timed, counted.
    async fn call<T>(
        &self,
        (waits, patience): (Waits, Duration),
        work: impl AsyncFnOnce(Client) -> Result<T, QdrantError>,
    ) -> Result<T, CopyError> {
        let circuit = self.breaker.circuit(Instant::now()).0;
        let left_alone = || {
            self.counts.add(CallEnd::CircuitOpen);
            CopyError::LeftAlone
        };
        if waits == Waits::Person && circuit != Circuit::Closed {
            return Err(left_alone());
        }
        let mut call = self.breaker.begin(Instant::now()).map_err(|_| left_alone())?;
        let answered = self.in_time(patience, work).await;
        self.counts.add(answered.as_ref().err().map_or(CallEnd::Answered, failure::end));
        match &answered {
            Ok(_) => {
                // That it answers at all says nothing of how it answers people.
                if waits == Waits::Person || call.is_trial() {
                    call.succeeded(Instant::now());
                }
                self.answers.store(true, Ordering::Relaxed);
            }
            Err(error) if failure::is_its_fault(error) => {
                call.failed(Instant::now(), None);
                self.answers.store(false, Ordering::Relaxed);
                if waits == Waits::Nobody {
                    self.connect_anew();
                }
            }
            Err(_) => {
                if call.is_trial() {
                    call.succeeded(Instant::now());
                }
            }
        }
        answered
    }
}

/// A call that runs.
struct Running<'a>(&'a AtomicUsize);

impl<'a> Running<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl MemoryCopy for Qdrant {
    fn place(&self) -> String {
        format!("{} {}", self.place.url, self.place.collection)
    }

    fn look(&self, owner: [u8; 16], known: Option<Edition>) -> BoxFuture<'_, Result<Standing, CopyError>> {
        Box::pin(async move {
            let look = async |client| collection::look(&client, &self.place.collection).await;
            let seen = match self.call((Waits::Nobody, LOOK), look).await {
                Err(CopyError::Unreachable { .. } | CopyError::TimedOut(_) | CopyError::Refused(_))
                    if rest::answers(&self.base).await =>
                {
                    return Err(CopyError::NotGrpc(self.place.url.clone()));
                }
                seen => seen?,
            };
            let standing = collection::judge(&self.place, &seen, owner, known)?;
            if standing != Standing::Nothing && !seen.has_index() {
                let index = async |client| collection::index_persons(&client, &self.place.collection).await;
                self.call((Waits::Nobody, CHANGE), index).await?;
            }
            Ok(standing)
        })
    }

    fn begin(&self, owner: [u8; 16], new: Edition, force: bool) -> BoxFuture<'_, Result<(), CopyError>> {
        Box::pin(async move {
            if !force {
                self.look(owner, None).await?;
            }
            let begin = async |client| collection::begin(&client, &self.place, owner, new).await;
            self.call((Waits::Nobody, CHANGE), begin).await
        })
    }

    fn change(&self, put: Vec<Point>, gone: Vec<MemoryId>) -> BoxFuture<'_, Result<(), CopyError>> {
        Box::pin(async move {
            let collection = &self.place.collection;
            for part in points::parts(put) {
                let part = points::put(collection, part);
                let put = async |client: Client| client.upsert_points(part).await;
                points::confirmed(&self.call((Waits::Nobody, CHANGE), put).await?)?;
            }
            for part in gone.chunks(points::AT_ONCE) {
                let part = points::take_out(collection, part);
                let take_out = async |client: Client| client.delete_points(part).await;
                points::confirmed(&self.call((Waits::Nobody, CHANGE), take_out).await?)?;
            }
            Ok(())
        })
    }

    fn search(&self, asked: Asked) -> BoxFuture<'_, Result<Vec<Hit>, CopyError>> {
        Box::pin(async move {
            let questions = points::questions(&self.place.collection, &asked);
            let search = async |client: Client| client.query_batch(questions).await;
            let answer = self.call((Waits::Person, SEARCH), search).await?;
            points::answers(answer, &asked)
        })
    }

    fn page(&self, from: Option<MemoryId>, limit: u32) -> BoxFuture<'_, Result<Page, CopyError>> {
        Box::pin(async move {
            let request = points::page(&self.place.collection, from, limit);
            let page = async |client: Client| client.scroll(request).await;
            points::paged(self.call((Waits::Nobody, CHANGE), page).await?)
        })
    }

    fn find(&self, ids: Vec<MemoryId>) -> BoxFuture<'_, Result<Vec<Copied>, CopyError>> {
        Box::pin(async move {
            let request = points::named(&self.place.collection, &ids);
            let find = async |client: Client| client.get_points(request).await;
            points::copied(&self.call((Waits::Nobody, CHANGE), find).await?.result)
        })
    }

    fn report(&self) -> UpstreamReport {
        let (circuit, retry_after) = self.breaker.circuit(Instant::now());
        let answers = self.answers.load(Ordering::Relaxed) && circuit != Circuit::Open;
        UpstreamReport {
            name: "qdrant",
            state: if answers { ServiceState::Connected } else { ServiceState::Disconnected },
            circuit,
            retry_after,
            calls: self.counts.all(),
            connections: self.running.load(Ordering::Relaxed).max(usize::from(answers)),
            most_connections: MOST_CALLS,
        }
    }
}

impl Upstream for Qdrant {
    fn report(self: Arc<Self>) -> UpstreamReport {
        MemoryCopy::report(self.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nowhere() -> Arc<Qdrant> {
        let config = QdrantConfig {
            base: "http://127.0.0.1:6334".parse().unwrap(),
            key: None,
            collection: "memories".to_owned(),
        };
        Qdrant::new(&config, BreakerSettings { threshold: 5, recovery: SEARCH }).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_has_half_of_its_time_for_itself_or_is_not_begun() {
        let qdrant = nowhere();
        let places = u32::try_from(MOST_CALLS).unwrap();
        let held = qdrant.calls.acquire_many(places).await.unwrap();
        let began = tokio::time::Instant::now();
        let refused =
            qdrant.in_time(SEARCH, async |_| -> Result<(), QdrantError> { panic!("it was begun") }).await;
        assert!(matches!(refused, Err(CopyError::Busy)), "{refused:?}");
        assert_eq!(began.elapsed().as_millis(), SEARCH.as_millis() / 2);

        let releases = async {
            tokio::time::sleep(SEARCH * 4 / 10).await;
            drop(held);
        };
        let searches = qdrant.in_time(SEARCH, async |_| {
            tokio::time::sleep(SEARCH / 2).await;
            Ok(())
        });
        let (answered, ()) = tokio::join!(searches, releases);
        assert!(answered.is_ok(), "{answered:?}");
    }
}
