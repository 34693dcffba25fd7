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
        let (mut pause, mut looked) = (FIRST_PAUSE, None);
        loop {
            match copying.work(&mut looked).await {
                Ok(()) => {
                    pause = FIRST_PAUSE;
                    drop(tokio::time::timeout(LOOK, copying.wake.notified()).await);
                }
                Err(error) => {
                    match &error {
                        CarryError::Copy(error) => copying.failed(error),
                        CarryError::Database(error) => copying.does_not_answer(error.to_string()),
                    }
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
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
