//! Whether the copy of the index of memories in Qdrant holds what it is to hold: held against the truth, one by one.
//!
//! What changes meanwhile is no finding: what differs is looked at again, and passed over while a change of it waits.

use rusqlite::Connection;

use crate::adapters::sqlite::During;
use crate::adapters::{copy_store, outbox_store};
use crate::domain::memory::MemoryId;
use crate::domain::memory::copy::{Copied, CopyError, Standing};
use crate::maint::carrying::{Anew, Carrying};
use crate::maint::compact;
use crate::maint::doctor::Visit;
use crate::maint::{MaintError, Run};

/// Memories looked at in one read.
const PAGE: u32 = 500;
/// Of what seems to differ at most so many are looked at again; of more a new copy is the better cure.
const MOST_DIFFERENCES: usize = 10_000;
/// Changes that wait longer are not being carried.
const WAITS_TOO_LONG_MS: u64 = 60 * 60 * 1000;
const TRIES: u32 = 3;
const BETWEEN_TRIES: std::time::Duration = std::time::Duration::from_millis(300);

const REBUILD: &str = "run `companion-maint reindex-memories`";

/// How a memory differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Difference {
    Missing,
    Otherwise,
    Ghost,
}

pub fn check(visit: &mut Visit<'_>, db: &Connection) -> Result<(), MaintError> {
    waits_too_long(visit, db)?;
    let Some(carrying) = Carrying::new(visit.run)? else { return Ok(()) };
    let state = copy_store::state(db).during("read how the copy stands")?;
    if state.place.is_none() && !visit.server_running {
        // Set up, and not begun: the server does that when it starts.
        return Ok(());
    }
    let known = copy_store::edition(db).during("read which copy there is")?;
    match carrying.look(state.owner, known) {
        Ok(Standing::Ours(there)) if state.generation == Some(there) && state.is_whole() => {}
        Ok(_) => return unfinished(visit, db, &carrying),
        Err(error) => {
            visit.finding("Qdrant", error.to_string(), cure(&error));
            return Ok(());
        }
    }
    let found = differences(visit.run, db, &carrying)?;
    if visit.mending && !found.is_empty() {
        for (id, _) in &found {
            outbox_store::note(db, *id).during("have a memory carried again")?;
        }
        carrying.carry(visit.run, (&visit.dir, db), Anew::No)?;
    }
    for (id, difference) in found {
        let told = match difference {
            Difference::Missing => "is not in Qdrant",
            Difference::Otherwise => "is in Qdrant otherwise than here",
            Difference::Ghost => "is in Qdrant and is not to be found here",
        };
        let name = format!("memory {}…", id.short());
        visit.mendable(name, told.to_owned(), "carry it again", |_| Ok(()));
    }
    Ok(())
}

fn cure(error: &CopyError) -> &'static str {
    match error {
        CopyError::Shape { .. } => REBUILD,
        CopyError::Unreachable { .. } | CopyError::TimedOut(_) | CopyError::LeftAlone | CopyError::Busy => {
            "start Qdrant, or look whether QDRANT_URL is right; until it answers, the embedded index finds memories"
        }
        CopyError::NotGrpc(_)
        | CopyError::WrongKey(_)
        | CopyError::TooOld { .. }
        | CopyError::Anothers(_)
        | CopyError::Refused(_)
        | CopyError::Garbage(_) => "do what it says; until then the embedded index finds memories",
    }
}

fn waits_too_long(visit: &mut Visit<'_>, db: &Connection) -> Result<(), MaintError> {
    let waiting = outbox_store::waiting(db).during("look into the outbox")?;
    if waiting.oldest_ms > WAITS_TOO_LONG_MS {
        let found = format!(
            "{} changes wait for Qdrant, the first for {} minutes",
            waiting.changes,
            waiting.oldest_ms / 60_000
        );
        let repair =
            "look whether the server runs and reaches Qdrant: GET /api/v1/admin/memory/status says why not";
        visit.finding("outbox", found, repair);
    }
    Ok(())
}

/// A copy that is being made needs no more than somebody who makes it.
fn unfinished(visit: &mut Visit<'_>, db: &Connection, carrying: &Carrying) -> Result<(), MaintError> {
    if visit.server_running && !visit.mending {
        return Ok(());
    }
    let found = "the copy of the index of memories is not whole".to_owned();
    visit.mendable("Qdrant".to_owned(), found, "go on with it, or begin it anew", |visit| {
        carrying.carry(visit.run, (&visit.dir, db), Anew::No).map(drop)
    });
    Ok(())
}

fn differences(
    run: &Run<'_>,
    db: &Connection,
    carrying: &Carrying,
) -> Result<Vec<(MemoryId, Difference)>, MaintError> {
    let mut suspects = missing(run, db, carrying)?;
    suspects.extend(ghosts(run, db, carrying)?);
    let mut found = Vec::new();
    for id in suspects.into_iter().take(MOST_DIFFERENCES) {
        run.check_stop()?;
        found.extend(settled(db, carrying, id)?.map(|difference| (id, difference)));
    }
    Ok(found)
}

/// What seems not to be there, or to be otherwise.
fn missing(run: &Run<'_>, db: &Connection, carrying: &Carrying) -> Result<Vec<MemoryId>, MaintError> {
    let (mut suspects, mut last) = (Vec::new(), 0);
    loop {
        run.check_stop()?;
        let keys = copy_store::keys_after(db, last, PAGE).during("read memories")?;
        let Some(end) = keys.last() else { return Ok(suspects) };
        last = *end;
        let mut expected: Vec<Copied> = Vec::with_capacity(keys.len());
        for key in keys {
            let point = copy_store::point(db, key).during("read a memory")?;
            expected.extend(point.map(|point| point.copied()));
        }
        let there = carrying.find(expected.iter().map(|copied| copied.id).collect())?;
        suspects.extend(expected.iter().filter(|copied| !there.contains(copied)).map(|copied| copied.id));
    }
}

/// What is there and not to be found here.
fn ghosts(run: &Run<'_>, db: &Connection, carrying: &Carrying) -> Result<Vec<MemoryId>, MaintError> {
    let (mut suspects, mut from) = (Vec::new(), None);
    loop {
        run.check_stop()?;
        let (page, next) = carrying.page(from, PAGE)?;
        for Copied { id, .. } in page {
            if copy_store::key_of(db, id).during("look for a memory")?.is_none() {
                suspects.push(id);
            }
        }
        if next.is_none() {
            return Ok(suspects);
        }
        from = next;
    }
}

/// How it differs, once nothing of it waits any more; `None` when it does not, or goes on changing.
fn settled(db: &Connection, carrying: &Carrying, id: MemoryId) -> Result<Option<Difference>, MaintError> {
    for _ in 0..TRIES {
        let before = expected(db, id)?;
        let there = carrying.find(vec![id])?.first().copied();
        let (after, waits) = (expected(db, id)?, waits(db, id)?);
        if before == after && !waits {
            return Ok(match (after, there) {
                (Some(expected), Some(there)) if expected == there => None,
                (None, None) => None,
                (Some(_), Some(_)) => Some(Difference::Otherwise),
                (Some(_), None) => Some(Difference::Missing),
                (None, Some(_)) => Some(Difference::Ghost),
            });
        }
        compact::pause(BETWEEN_TRIES);
    }
    Ok(None)
}

fn expected(db: &Connection, id: MemoryId) -> Result<Option<Copied>, MaintError> {
    let key = copy_store::key_of(db, id).during("look for a memory")?;
    let point = key.map(|key| copy_store::point(db, key).during("read a memory")).transpose()?;
    Ok(point.flatten().map(|point| point.copied()))
}

fn waits(db: &Connection, id: MemoryId) -> Result<bool, MaintError> {
    outbox_store::holds(db, id).during("look into the outbox").map_err(Into::into)
}
