//! The copy of the index of memories in the running server: who carries to it, whether it can be asked, what is told of it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use crate::adapters::copy_store;
use crate::app::App;
use crate::app::outbox::{CARRYING, Carrier, CarryError, Step};
use crate::domain::chat::ServiceState;
use crate::domain::memory::copy::{Asked, CopyError, Hit};
use crate::domain::upstream::{Circuit, UpstreamReport};

/// How often the outbox is looked into without a word from anyone: other programs write to it, too.
const LOOK: Duration = Duration::from_secs(1);
/// So long nobody may have asked it before it is looked at, so that health and metrics tell the truth.
const LOOK_AGAIN: Duration = Duration::from_secs(30);
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// The copy, as the server uses it.
pub struct Copying {
    carrier: Carrier,
    /// True while it is expected to answer.
    ready: AtomicBool,
    /// Why it does not, in one line.
    problem: Mutex<Option<String>>,
    /// The search that failed last: it is asked once more before anybody waits for one. One may hang where all else answers.
    failed_search: Mutex<Option<Asked>>,
    wake: Notify,
}

impl Copying {
    /// Not asked until it was seen to answer.
    #[must_use]
    pub fn new(carrier: Carrier) -> Self {
        Self {
            carrier,
            ready: AtomicBool::new(false),
            problem: Mutex::default(),
            failed_search: Mutex::default(),
            wake: Notify::new(),
        }
    }

    /// True while it is expected to answer.
    pub(crate) fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Acquire)
    }

    /// There may be something to carry.
    pub(crate) fn wake(&self) {
        self.wake.notify_one();
    }

    /// Why it does not answer.
    pub(crate) fn problem(&self) -> Option<String> {
        self.lock_problem().clone()
    }

    /// How it is, as health tells it.
    pub(crate) fn state(&self) -> ServiceState {
        let answers = self.is_ready() && self.report().circuit == Circuit::Closed;
        if answers { ServiceState::Connected } else { ServiceState::Disconnected }
    }

    /// How the calls to it went.
    pub(crate) fn report(&self) -> UpstreamReport {
        self.carrier.copy().report()
    }

    /// The best of a person's memories. When it fails once, nobody asks again until whoever carries has seen it answer.
    pub(crate) async fn search(&self, asked: Asked) -> Result<Vec<Hit>, CopyError> {
        let found = self.carrier.copy().search(asked.clone()).await;
        // Who asks too much is answered by the embedded index; that says nothing of who was asked.
        match &found {
            Ok(_) | Err(CopyError::Busy) => {}
            Err(error) => {
                self.failed(error);
                *self.failed_search.lock().unwrap_or_else(PoisonError::into_inner) = Some(asked);
                self.wake();
            }
        }
        found
    }

    fn answers(&self) {
        self.ready.store(true, Ordering::Release);
        if self.lock_problem().take().is_some() {
            tracing::info!(event = "memory_copy_answers", "Qdrant answers again");
        }
    }

    /// What is left alone has failed before, for a reason that says more.
    fn failed(&self, error: &CopyError) {
        self.ready.store(false, Ordering::Release);
        if *error != CopyError::LeftAlone || self.problem().is_none() {
            self.does_not_answer(error.to_string());
        }
    }

    /// Told in the log when it is news.
    fn does_not_answer(&self, told: String) {
        self.ready.store(false, Ordering::Release);
        let news = self.lock_problem().as_ref() != Some(&told);
        if news {
            tracing::warn!(event = "memory_copy_failed", error = %told, "Memories are found by the embedded index; changes wait in the outbox");
            *self.lock_problem() = Some(told);
        }
    }

    fn lock_problem(&self) -> std::sync::MutexGuard<'_, Option<String>> {
        self.problem.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A look where one is due, and all that there is to carry.
    async fn work(&self, looked: &mut Option<Instant>) -> Result<(), CarryError> {
        let long_ago = looked.is_none_or(|looked| looked.elapsed() > LOOK_AGAIN);
        let left_alone = self.report().circuit != Circuit::Closed;
        if long_ago || left_alone || !self.is_ready() {
            self.carrier.stand(false).await?;
            self.search_again().await?;
            *looked = Some(Instant::now());
            self.answers();
        }
        loop {
            match self.carrier.step().await? {
                Step::Carried => {}
                Step::Nothing => return Ok(()),
                Step::Anew => self.carrier.stand(false).await?,
            }
        }
    }
}

impl Copying {
    /// Carries what there is, again and again; what was not confirmed after a pause that doubles.
    async fn carry_on(&self) {
        let (mut pause, mut looked) = (FIRST_PAUSE, None);
        loop {
            match self.work(&mut looked).await {
                Ok(()) => {
                    pause = FIRST_PAUSE;
                    drop(tokio::time::timeout(LOOK, self.wake.notified()).await);
                }
                Err(error) => {
                    match &error {
                        CarryError::Copy(error) => self.failed(error),
                        CarryError::Database(error) => self.does_not_answer(error.to_string()),
                    }
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
    }

    async fn search_again(&self) -> Result<(), CarryError> {
        let asked = self.failed_search.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(asked) = asked {
            self.carrier.copy().search(asked).await.map_err(CarryError::Copy)?;
            *self.failed_search.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
        Ok(())
    }
}

impl App {
    /// Carries changes of memories to their copy. Goes on until it is dropped; without a copy, it does nothing.
    pub async fn carry(&self) {
        let Some(copying) = &self.copying else {
            self.want_no_copy().await;
            return std::future::pending().await;
        };
        let _lock = loop {
            // Another process carries; it will have an end.
            match self.data_dir.lock(CARRYING) {
                Ok(lock) => break lock,
                Err(error) => copying.does_not_answer(error.to_string()),
            }
            tokio::time::sleep(FIRST_PAUSE).await;
        };
        copying.carry_on().await;
    }

    /// What was kept for a copy is kept no longer, so that the outbox does not grow for nothing.
    async fn want_no_copy(&self) {
        match self.database.write("want no copy of memories", copy_store::want_none).await {
            Ok(true) => tracing::warn!(
                event = "memory_copy_left",
                "QDRANT_URL is not set any more: memories are found by the embedded index; the collection in Qdrant is left as it is"
            ),
            Ok(false) => {}
            Err(error) => tracing::warn!(error = %error, "The outbox could not be closed"),
        }
    }

    /// A memory was changed: its meaning is to be known, and its copy to be carried.
    pub(crate) fn memories_changed(&self) {
        self.meanings.wake();
        self.index_changed();
    }

    /// What memories are found by was changed.
    pub(crate) fn index_changed(&self) {
        if let Some(copying) = &self.copying {
            copying.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeSet, VecDeque};
    use std::sync::Arc;
    use std::sync::atomic::AtomicUsize;

    use futures_util::future::BoxFuture;
    use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

    use super::*;
    use crate::adapters::database::Database;
    use crate::adapters::{outbox_store, sqlite};
    use crate::domain::memory::MemoryId;
    use crate::domain::memory::copy::{Copied, Edition, MemoryCopy, Page, Point, Standing};
    use crate::domain::session::PublicId;
    use crate::domain::upstream::CallEnd;

    /// When it was asked for a change, and of which memories.
    type Change = (tokio::time::Instant, BTreeSet<MemoryId>);

    /// A copy that refuses when it is told to, and tells what it was asked for.
    struct Stub {
        begun: Mutex<Option<[u8; 16]>>,
        refuses: Mutex<VecDeque<bool>>,
        reports: AtomicUsize,
        asked: UnboundedSender<Change>,
    }

    impl MemoryCopy for Stub {
        fn place(&self) -> String {
            "here".to_owned()
        }

        fn look(&self, _: [u8; 16], _: Option<Edition>) -> BoxFuture<'_, Result<Standing, CopyError>> {
            let begun = *self.begun.lock().unwrap();
            Box::pin(async move { Ok(begun.map_or(Standing::Nothing, Standing::Ours)) })
        }

        fn begin(&self, _: [u8; 16], new: Edition, _: bool) -> BoxFuture<'_, Result<(), CopyError>> {
            *self.begun.lock().unwrap() = Some(new.generation);
            Box::pin(async { Ok(()) })
        }

        fn change(&self, put: Vec<Point>, gone: Vec<MemoryId>) -> BoxFuture<'_, Result<(), CopyError>> {
            let of = put.iter().map(|point| point.id).chain(gone).collect();
            self.asked.send((tokio::time::Instant::now(), of)).unwrap();
            let refuses = self.refuses.lock().unwrap().pop_front().unwrap_or(false);
            Box::pin(async move { if refuses { Err(CopyError::LeftAlone) } else { Ok(()) } })
        }

        fn search(&self, _: Asked) -> BoxFuture<'_, Result<Vec<Hit>, CopyError>> {
            Box::pin(async { Ok(Vec::new()) })
        }

        fn page(&self, _: Option<MemoryId>, _: u32) -> BoxFuture<'_, Result<Page, CopyError>> {
            Box::pin(async { Ok((Vec::new(), None)) })
        }

        fn find(&self, _: Vec<MemoryId>) -> BoxFuture<'_, Result<Vec<Copied>, CopyError>> {
            Box::pin(async { Ok(Vec::new()) })
        }

        fn report(&self) -> UpstreamReport {
            self.reports.fetch_add(1, Ordering::Relaxed);
            UpstreamReport {
                name: "stub",
                state: ServiceState::Connected,
                circuit: Circuit::Closed,
                retry_after: None,
                calls: [0; CallEnd::ALL.len()],
                connections: 0,
                most_connections: 1,
            }
        }
    }

    /// What is asked next, so many times.
    async fn next(asked: &mut UnboundedReceiver<Change>, times: usize) -> Vec<Change> {
        let mut changes = Vec::new();
        while changes.len() < times {
            changes.push(asked.recv().await.unwrap());
        }
        changes
    }

    /// In seconds.
    fn pauses(changes: &[Change]) -> Vec<u64> {
        changes.windows(2).map(|two| (two[1].0 - two[0].0).as_secs()).collect()
    }

    async fn note(database: &Database, ids: Vec<MemoryId>) {
        let note = move |db: &rusqlite::Connection| ids.iter().try_for_each(|id| outbox_store::note(db, *id));
        database.write("note", note).await.unwrap();
    }

    async fn waiting(database: &Database) -> u64 {
        database.read("look", outbox_store::waiting).await.unwrap().changes
    }

    #[tokio::test(start_paused = true)]
    async fn changes_are_carried_in_order_each_until_it_is_confirmed_after_longer_and_longer_pauses() {
        let (_root, connection) = sqlite::empty_for_testing();
        let database = Database::start(connection.path().unwrap().into(), None).unwrap().database;
        let (sender, mut asked) = unbounded_channel();
        let stub = Arc::new(Stub {
            begun: Mutex::default(),
            refuses: Mutex::new(VecDeque::from([true; 7])),
            reports: AtomicUsize::new(0),
            asked: sender,
        });
        let copying = Arc::new(Copying::new(Carrier::new(database.clone(), stub.clone())));
        copying.carrier.stand(false).await.unwrap();
        let ids: Vec<MemoryId> = (0..130).map(|_| PublicId::random()).collect();
        note(&database, ids.clone()).await;
        let carrying = tokio::spawn({
            let copying = copying.clone();
            async move { copying.carry_on().await }
        });

        let refused = next(&mut asked, 8).await;
        let of = |ids: &[MemoryId]| ids.iter().copied().collect::<BTreeSet<_>>();
        assert!(refused.iter().all(|(_, tried)| *tried == of(&ids[..64])), "the first stay the first");
        assert_eq!(pauses(&refused), [1, 2, 4, 8, 16, 30, 30]);
        let then: Vec<_> = next(&mut asked, 2).await.into_iter().map(|(_, tried)| tried).collect();
        assert_eq!(then, [of(&ids[64..128]), of(&ids[128..])]);
        while waiting(&database).await > 0 {}
        assert!(copying.is_ready() && copying.problem().is_none());

        // It has looked into the outbox and found nothing by the time it looks again.
        let looked = stub.reports.load(Ordering::Relaxed);
        while stub.reports.load(Ordering::Relaxed) == looked {
            tokio::time::sleep(LOOK).await;
        }
        stub.refuses.lock().unwrap().push_back(true);
        note(&database, vec![ids[0]]).await;
        let again = next(&mut asked, 2).await;
        assert_eq!(pauses(&again), [1], "the pauses begin anew");
        carrying.abort();
        database.close().await;
    }
}
