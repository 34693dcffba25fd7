//! What is learned from turns: beside the replies, one turn after the other, in the order in which they were kept.
//!
//! That a turn is still to be learned from is kept with the turn, and struck off in the transaction that keeps what it tells: a
//! crash loses nothing and repeats nothing. What cannot be kept now, because the disk is low or the database busy, is tried again.
//!
//! Bounds: one turn at a time; 5 statements of a message.

use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::Notify;

use crate::adapters::learning_store::{self, Kept};
use crate::app::{App, AppError};
use crate::domain::clock::Timestamp;
use crate::domain::memory::learning::learned;
use crate::domain::memory::wishes::Wish;
use crate::domain::session::SessionId;

const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Wakes whoever learns.
#[derive(Default)]
pub(crate) struct Learner {
    turns: Notify,
}

impl Learner {
    /// A turn was kept that is to be learned from.
    pub(crate) fn wake(&self) {
        self.turns.notify_one();
    }
}

/// How often what became of the statements of one turn.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Learned {
    added: u64,
    said_again: u64,
    superseded: u64,
}

impl App {
    /// Learns from the turns that are still to be learned from, and from each that comes. Goes on until it is dropped.
    pub async fn learn(&self) {
        let mut pause = FIRST_PAUSE;
        loop {
            match self.learn_from_one().await {
                Ok(true) => pause = FIRST_PAUSE,
                Ok(false) => self.learner.turns.notified().await,
                Err(error) => {
                    tracing::warn!(event = "learning_failed", error = %error, "What was told could not be learned; it is tried again");
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
    }

    /// False when there is nothing to be learned from.
    async fn learn_from_one(&self) -> Result<bool, AppError> {
        let waits =
            self.database.read("look for a turn to learn from", |db| Ok(learning_store::next(db)?.is_some()));
        if !waits.await? {
            return Ok(false);
        }
        self.room_to_grow()?;
        let (most, now) = (self.limits.max_memories_per_person, self.clock.now());
        let learned = self.database.write("learn from a turn", move |db| learn_next(db, most, now)).await?;
        self.memories_changed();
        if let Some(Learned { added, said_again, superseded }) =
            learned.filter(|learned| *learned != Learned::default())
        {
            tracing::info!(
                event = "learned",
                added,
                said_again,
                superseded,
                "Something was learned from a turn"
            );
        }
        Ok(learned.is_some())
    }
}

fn learn_next(db: &Connection, most: u32, now: Timestamp) -> rusqlite::Result<Option<Learned>> {
    let Some(turn) = learning_store::next(db)? else { return Ok(None) };
    let mut counts = Learned::default();
    for statement in learned(&turn.said) {
        match learning_store::keep(db, &turn, &statement.text, most, now)? {
            Kept::Added => counts.added += 1,
            Kept::SaidAgain => counts.said_again += 1,
            Kept::InPlaceOf(others) => {
                counts.added += 1;
                counts.superseded += others;
            }
        }
    }
    learning_store::strike_off(db, &turn)?;
    Ok(Some(counts))
}

/// Learns from all turns that are still to be learned from, in the caller's transaction: they are few.
pub(crate) fn learn_all(db: &Connection, most: u32, now: Timestamp) -> rusqlite::Result<()> {
    while learn_next(db, most, now)?.is_some() {}
    Ok(())
}

/// What a person who is remembered wants to be done with a turn that was just kept.
pub(crate) struct Heard {
    /// Their row.
    pub(crate) person: i64,
    /// What they want.
    pub(crate) wish: Wish,
    /// Nothing in it is worth keeping.
    pub(crate) tells_nothing: bool,
    /// As many memories a person may have.
    pub(crate) most: u32,
    /// When.
    pub(crate) now: Timestamp,
}

/// Does what is wished, in the transaction that keeps the turn; returns how many memories were forgotten.
pub(crate) fn heed(db: &Connection, session: SessionId, heard: &Heard) -> rusqlite::Result<u64> {
    match &heard.wish {
        // The rules find nothing in most messages, and tell so at once.
        Wish::Learn if heard.tells_nothing => Ok(0),
        Wish::Learn => learning_store::note(db, session).map(|()| 0),
        Wish::NotThis => Ok(0),
        Wish::ForgetBefore => learning_store::forget_before(db, session),
        Wish::Forget(text) => {
            // What is still to be learned may tell it again.
            learn_all(db, heard.most, heard.now)?;
            learning_store::forget_like(db, heard.person, text, heard.now)
        }
    }
}
