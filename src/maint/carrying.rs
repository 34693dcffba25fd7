//! Carries changes of memories to the copy of their index for a job: itself while no server does, else it watches the server do so.
//! Only one process ever writes to the copy.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tokio::runtime::Runtime;

use crate::adapters::copy_store::{self, CopyState};
use crate::adapters::data_dir::{DataDir, DataDirError};
use crate::adapters::database::Database;
use crate::adapters::outbox_store;
use crate::adapters::qdrant::Qdrant;
use crate::adapters::sqlite::During;
use crate::adapters::upstream::BreakerSettings;
use crate::app::outbox::{CARRYING, Carrier, Step};
use crate::domain::memory::MemoryId;
use crate::domain::memory::copy::{Copied, CopyError, Edition, MemoryCopy, Page, Standing};
use crate::maint::compact;
use crate::maint::{MaintError, Run};

/// A job asks one thing after the other; nobody has to be kept from asking.
const PATIENT: BreakerSettings = BreakerSettings { threshold: u32::MAX, recovery: Duration::from_secs(1) };
/// Between two looks at how far the server is.
const LOOK: Duration = Duration::from_millis(100);
/// A server that carries nothing for so long does not get on.
const NOTHING_HAPPENS: Duration = Duration::from_secs(60);

/// Whether the copy is begun anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Anew {
    /// It goes on, unless it is not the one that is known.
    No,
    /// From nothing.
    Yes,
    /// The same, whatever else is in its place.
    Whatever,
}

/// The copy, for a job.
pub(crate) struct Carrying {
    copy: Arc<Qdrant>,
    runtime: Runtime,
}

impl Carrying {
    /// `None` when there is only the embedded index.
    pub(crate) fn new(run: &Run<'_>) -> Result<Option<Self>, MaintError> {
        let Some(config) = &run.config.qdrant else { return Ok(None) };
        let copy = Qdrant::new(config, PATIENT)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(MaintError::Runtime)?;
        Ok(Some(Self { copy, runtime }))
    }

    /// Where it is.
    pub(crate) fn place(&self) -> String {
        self.copy.place()
    }

    pub(crate) fn look(&self, owner: [u8; 16], known: Option<Edition>) -> Result<Standing, CopyError> {
        self.runtime.block_on(self.copy.look(owner, known))
    }

    pub(crate) fn page(&self, from: Option<MemoryId>, limit: u32) -> Result<Page, CopyError> {
        self.runtime.block_on(self.copy.page(from, limit))
    }

    pub(crate) fn find(&self, ids: Vec<MemoryId>) -> Result<Vec<Copied>, CopyError> {
        self.runtime.block_on(self.copy.find(ids))
    }

    /// Carries all that waits, a copy that is not whole included; tells how far it is. True when the server did it.
    ///
    /// # Errors
    /// What is there can only be given up ([`Anew::Whatever`]) while no server runs that copies to it.
    pub(crate) fn carry(
        &self,
        run: &Run<'_>,
        (dir, db): (&DataDir, &Connection),
        anew: Anew,
    ) -> Result<bool, MaintError> {
        let lock = match dir.lock(CARRYING) {
            Ok(lock) => Some(lock),
            Err(DataDirError::Locked { place, .. }) if anew == Anew::Whatever => {
                return Err(MaintError::ServerRuns(place));
            }
            Err(DataDirError::Locked { .. }) => None,
            Err(error) => return Err(error.into()),
        };
        if anew != Anew::No {
            copy_store::mark_for_rebuilding(db).during("begin the copy anew")?;
        }
        match lock {
            Some(_lock) => self.carry_here(run, dir, anew == Anew::Whatever).map(|()| false),
            None => self.watch(run, db).map(|()| true),
        }
    }

    fn carry_here(&self, run: &Run<'_>, dir: &DataDir, force: bool) -> Result<(), MaintError> {
        self.runtime.block_on(async {
            let started = Database::start(dir.database().to_owned(), None)?;
            let carrier = Carrier::new(started.database.clone(), self.copy.clone());
            let done = carry_all(run, &carrier, &started.database, force).await;
            started.database.close().await;
            done
        })
    }

    fn watch(&self, run: &Run<'_>, db: &Connection) -> Result<(), MaintError> {
        let (mut last, mut moved) = (None, Instant::now());
        loop {
            run.check_stop()?;
            let state = copy_store::state(db).during("look how far the server is")?;
            if state.place.as_ref() != Some(&self.place()) {
                return Err(MaintError::CopiesElsewhere(state.place));
            }
            let waits = outbox_store::waiting(db).during("look how much waits")?.changes;
            if state.is_whole() && waits == 0 {
                return Ok(());
            }
            tell(run, db, &state)?;
            let now = Some((state, waits));
            if now != last {
                (last, moved) = (now, Instant::now());
            } else if moved.elapsed() > NOTHING_HAPPENS {
                return Err(MaintError::ServerDoesNotCarry);
            }
            compact::pause(LOOK);
        }
    }
}

async fn carry_all(
    run: &Run<'_>,
    carrier: &Carrier,
    database: &Database,
    force: bool,
) -> Result<(), MaintError> {
    carrier.stand(force).await?;
    loop {
        run.check_stop()?;
        match carrier.step().await? {
            Step::Carried => {}
            Step::Nothing => return Ok(()),
            Step::Anew => carrier.stand(force).await?,
        }
        let progress = |db: &Connection| {
            let state = copy_store::state(db)?;
            let total = crate::adapters::memory_store::total(db)?;
            let done = state.copied_until.map(|last| copy_store::count_until(db, last)).transpose()?;
            Ok((done, total))
        };
        let (done, total) = database.read("look how far the copy is", progress).await?;
        run.progress.advance("memories copied", done.unwrap_or(total), total);
    }
}

fn tell(run: &Run<'_>, db: &Connection, state: &CopyState) -> Result<(), MaintError> {
    let total = crate::adapters::memory_store::total(db).during("count memories")?;
    let done = match state.copied_until {
        Some(last) => copy_store::count_until(db, last).during("count what is copied")?,
        None => 0,
    };
    run.progress.advance("memories copied", done, total);
    Ok(())
}
