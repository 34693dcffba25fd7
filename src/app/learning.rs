//! What is learned from turns: beside the replies, from a few people at once, of each one turn after the other in the order in which they
//! were kept. The small model decides what is worth it, where there is one; else rules do.
//!
//! That a turn is still to be learned from is kept with the turn, and struck off in the transaction that keeps what it tells: a
//! crash loses nothing and repeats nothing. What cannot be kept now, because the disk is low or the database busy, is tried again.
//!
//! | what happens to the model | what becomes of the turn |
//! |---|---|
//! | it answers with something else than was asked for, with not a word, or that it cannot be asked this (400, 413, 422) | it is asked again, up to three times in all; then the rules decide |
//! | it cannot be reached, is silent, or lets nobody in | the turn waits and it is tried again, until five minutes after the turn; then the rules decide |
//! | meanwhile the turn is deleted, forgotten, or its person erased | its answer is thrown away |
//!
//! Bounds: 4 people at once, one turn of each; 5 memories of a message.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use rusqlite::Connection;

use crate::adapters::learning_store::{self, ToLearn};
use crate::adapters::lesson_store::{self, Kept, Lesson};
use crate::adapters::memory_forgetting;
use crate::app::{App, AppError};
use crate::domain::chat::{ChatError, SmallModel};
use crate::domain::clock::Timestamp;
use crate::domain::memory::extraction;
use crate::domain::memory::learning::{learned, stated};
use crate::domain::memory::sameness::sameness;
use crate::domain::memory::unwanted::{Named, Unwanted, Withheld, is_meant_by_any};
use crate::domain::memory::wishes::{Wish, Wishes};
use crate::domain::memory::words::asked;
use crate::domain::session::SessionId;

mod persons;

pub(crate) use persons::Persons;
use persons::{MOST_AT_ONCE, Taken};

const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// So many turns are learned from in one transaction, each with searches of what is known.
const TURNS_AT_ONCE: usize = 20;
/// So often a model may answer with something else.
const MOST_WRONG: u32 = 3;
/// So long a model that is down is waited for.
const WAITED_FOR: Duration = Duration::from_secs(5 * 60);

/// How often what became of the lessons of one turn.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Learned {
    added: u64,
    said_again: u64,
    superseded: u64,
}

impl Learned {
    const fn add(&mut self, other: Self) {
        self.added += other.added;
        self.said_again += other.said_again;
        self.superseded += other.superseded;
    }
}

/// What was kept of a turn in one transaction.
#[derive(Default)]
struct Portion {
    learned: Learned,
    /// The turn does not wait any more.
    is_last: bool,
}

/// Why nothing was learned from a turn yet.
#[derive(Debug, thiserror::Error)]
enum NotLearned {
    #[error(transparent)]
    App(#[from] AppError),
    #[error(transparent)]
    Model(#[from] ChatError),
    #[error("the model's answer is not what was asked for")]
    Wrong,
}

/// How often the model has answered with something else, or with nothing, for one turn.
#[derive(Default)]
struct Tries {
    turn: Option<i64>,
    wrong: u32,
}

impl Tries {
    /// Counts one; false when it was the last one.
    fn go_on(&mut self, turn: &ToLearn) -> bool {
        if self.turn.replace(turn.key) != Some(turn.key) {
            self.wrong = 0;
        }
        self.wrong += 1;
        self.wrong < MOST_WRONG
    }
}

impl App {
    /// Learns from the turns that are still to be learned from, and from each that comes. Goes on until it is dropped.
    pub async fn learn(&self) {
        join_all((0..MOST_AT_ONCE).map(|_| self.learn_one_after_the_other())).await;
    }

    async fn learn_one_after_the_other(&self) {
        let (mut pause, mut tries, mut person) = (FIRST_PAUSE, Tries::default(), None);
        loop {
            match self.learn_from_one(&mut person, &mut tries).await {
                Ok(true) => (pause, person) = (FIRST_PAUSE, None),
                Ok(false) => self.learns_from.wakes().await,
                Err(error) => {
                    tracing::warn!(event = "learning_failed", error = %error, "What was told could not be learned; it is tried again");
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
    }

    /// False when there is nobody to learn from. After a failure `person` is kept, so that their turns stay in order.
    async fn learn_from_one<'a>(
        &'a self,
        person: &mut Option<Taken<'a>>,
        tries: &mut Tries,
    ) -> Result<bool, NotLearned> {
        if person.is_none() {
            *person = self.learns_from.take(|taken| self.who_waits(taken)).await?;
        }
        let Some(person) = person.as_ref().map(Taken::key) else { return Ok(false) };
        let next = move |db: &Connection| learning_store::waiting_of(db, person, 1);
        let next = self.database.read("read a turn to learn from", next);
        // It may be gone meanwhile.
        let Some(turn) = next.await.map_err(AppError::from)?.pop() else { return Ok(true) };
        self.room_to_grow()?;
        let lessons = match self.small_model.as_deref() {
            Some(model) => self.lessons(model, &turn, tries).await?,
            None => by_rules(&turn),
        };
        let (most, now) = (self.limits.max_memories_per_person, self.clock.now());
        let (mut learned, mut is_last, lessons) = (Learned::default(), false, Arc::new((turn, lessons)));
        while !is_last {
            let lessons = lessons.clone();
            let keep = move |db: &Connection| keep(db, &lessons.0, &lessons.1, most, now);
            let kept = self.database.write("learn from a turn", keep).await.map_err(AppError::from)?;
            is_last = kept.is_last;
            learned.add(kept.learned);
        }
        self.memories_changed();
        if learned != Learned::default() {
            let Learned { added, said_again, superseded } = learned;
            tracing::info!(
                event = "learned",
                added,
                said_again,
                superseded,
                "Something was learned from a turn"
            );
        }
        Ok(true)
    }

    /// Whose turn has waited longest, but for those who are taken.
    async fn who_waits(&self, taken: BTreeSet<i64>) -> Result<Option<i64>, AppError> {
        let next = move |db: &Connection| learning_store::next_person(db, &taken);
        Ok(self.database.read("look for a turn to learn from", next).await?)
    }

    /// What the model, or in its place the rules, make of a turn.
    async fn lessons(
        &self,
        model: &dyn SmallModel,
        turn: &ToLearn,
        tries: &mut Tries,
    ) -> Result<Vec<Lesson>, NotLearned> {
        let (asked, now) = (turn.clone(), self.clock.now());
        let around = move |db: &Connection| learning_store::around(db, &asked, now);
        let around = self.database.read("read what is known", around).await.map_err(AppError::from)?;
        let notes: Vec<_> = around.known.iter().map(|memory| memory.text.clone()).collect();
        let request = extraction::request(&notes, around.before.as_deref(), &turn.said);
        let answered = model.complete(request, Some(extraction::shape())).await;
        let facts = answered
            .map_err(NotLearned::from)
            .and_then(|answer| extraction::read(&answer, notes.len()).ok_or(NotLearned::Wrong));
        let facts = match facts {
            Ok(facts) => facts,
            Err(error) if is_tried_again(&error, turn, tries, now) => return Err(error),
            Err(error) => {
                tracing::warn!(event = "learned_by_rules", error = %error, "The model has not told what is to be kept: the rules decide");
                return Ok(by_rules(turn));
            }
        };
        let lessons = facts.into_iter().map(|fact| Lesson {
            replaces: Some(
                fact.replaces.iter().filter_map(|place| around.known.get(*place).cloned()).collect(),
            ),
            text: fact.text,
        });
        Ok(lessons.filter(|lesson| is_told(&turn.said, &lesson.text, &notes)).collect())
    }
}

/// Whether the model is asked about the turn once more. One that is down answers later; one that has no answer to this may never have one,
/// and meanwhile somebody else could be learned from.
fn is_tried_again(error: &NotLearned, turn: &ToLearn, tries: &mut Tries, now: Timestamp) -> bool {
    match error {
        NotLearned::Wrong | NotLearned::Model(ChatError::NoAnswer(_)) => tries.go_on(turn),
        NotLearned::App(_) | NotLearned::Model(ChatError::Unavailable { .. } | ChatError::TimedOut(_)) => {
            now.since(turn.said_at) < WAITED_FOR
        }
    }
}

/// False for what was known and is only repeated from the notes, with no word of what was said.
fn is_told(said: &str, text: &str, notes: &[String]) -> bool {
    let said = asked(said);
    let known = sameness(text);
    notes.iter().all(|note| sameness(note) != known) || asked(text).iter().any(|word| said.contains(word))
}

/// What the rules make of a turn.
fn by_rules(turn: &ToLearn) -> Vec<Lesson> {
    let told = learned(&turn.said).into_iter();
    told.map(|statement| Lesson { text: statement.text, replaces: None }).collect()
}

/// Keeps what a turn tells, but for what was wanted forgotten since, and strikes it off; nothing when it does not wait any more. Where much
/// is to make way for it, that goes before, a portion in each transaction.
fn keep(
    db: &Connection,
    turn: &ToLearn,
    lessons: &[Lesson],
    most: u32,
    now: Timestamp,
) -> rusqlite::Result<Portion> {
    let mut portion = Portion { is_last: true, ..Portion::default() };
    if !learning_store::still_waits(db, turn)? {
        return Ok(portion);
    }
    let unwanted = learning_store::unwanted(db, turn)?;
    let withheld = Withheld::of(&unwanted, &turn.said);
    let lessons: Vec<_> = lessons.iter().filter(|lesson| !withheld.has(&lesson.text)).collect();
    let counts = &mut portion.learned;
    counts.superseded = lesson_store::make_way(db, turn, &lessons, now)?;
    if counts.superseded > 0 {
        portion.is_last = false;
        return Ok(portion);
    }
    let mut told = Vec::new();
    for lesson in lessons {
        match lesson_store::keep(db, turn, lesson, &mut told, (most, now))? {
            Kept::SaidAgain => counts.said_again += 1,
            Kept::Added(others) => {
                counts.added += 1;
                counts.superseded += others;
            }
        }
    }
    learning_store::strike_off(db, turn)?;
    Ok(portion)
}

/// Learns, by rules, from the first turns that still wait in a session that is about to go, in the caller's transaction; true when these
/// were the last.
pub(crate) fn learn_some_of_session(
    db: &Connection,
    session: i64,
    most: u32,
    now: Timestamp,
) -> rusqlite::Result<bool> {
    let waiting = learning_store::waiting_in(db, session, TURNS_AT_ONCE)?;
    for turn in &waiting {
        if !keep(db, turn, &by_rules(turn), most, now)?.is_last {
            return Ok(false);
        }
    }
    Ok(waiting.len() < TURNS_AT_ONCE)
}

/// Of each of these wishes that names something whether it is known, by any name, or about to be learned; true as well where not all could
/// be looked at in time.
pub(crate) fn which_are_found(db: &Connection, person: i64, wishes: &[Wish]) -> rusqlite::Result<Vec<bool>> {
    let names: Vec<_> = wishes.iter().flat_map(Wish::named).cloned().collect();
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let named: Vec<_> = names.iter().map(|name| Named::of(name)).collect();
    let wishes = wishes.iter().map(|wish| wish.named().len()).filter(|names| *names > 0);
    let waiting = learning_store::waiting_of(db, person, TURNS_AT_ONCE)?;
    let mut left = memory_forgetting::likely(db, person, &names)?;
    let meant = memory_forgetting::meant(db, &mut left, &named)?;
    if waiting.len() == TURNS_AT_ONCE || !left.is_empty() {
        return Ok(wishes.map(|_| true).collect());
    }
    let meant = meant.iter().map(|(_, text)| text.as_str());
    let says: Vec<_> = waiting.iter().flat_map(|turn| stated(&turn.said)).chain(meant).collect();
    let mut named = named.into_iter();
    let is_found = |names: usize| {
        let of_one: Vec<_> = named.by_ref().take(names).collect();
        says.iter().any(|text| is_meant_by_any(&of_one, text))
    };
    Ok(wishes.map(is_found).collect())
}

/// What a person who is remembered wants to be done with a turn that was just kept.
pub(crate) struct Heard {
    /// Their row.
    pub(crate) person: i64,
    /// What they want.
    pub(crate) wishes: Wishes,
    /// Nothing in it is worth keeping.
    pub(crate) tells_nothing: bool,
}

impl Heard {
    /// What of it names what is to be forgotten.
    pub(crate) fn named(&self) -> Vec<String> {
        self.wishes.all.iter().flat_map(Wish::named).cloned().collect()
    }
}

/// Does what is left of what is wished, in the transaction that keeps the turn; returns how many memories were forgotten.
pub(crate) fn heed(db: &Connection, session: SessionId, heard: &Heard) -> rusqlite::Result<u64> {
    // Where the rules decide they find nothing in most messages, and tell so at once. It comes before the wishes: what these name is
    // not to be learned of this turn either.
    if heard.wishes.learn && !heard.tells_nothing {
        learning_store::note(db, session)?;
    }
    let mut forgotten = 0;
    for wish in &heard.wishes.all {
        forgotten += match wish {
            Wish::NotThis | Wish::NotNext | Wish::Everything => 0,
            Wish::ForgetBefore => learning_store::forget_before(db, session)?,
            // What is known of it has gone before; what is still to be learned may tell it again.
            Wish::Forget(_) => 0,
        };
    }
    note_named(db, heard)?;
    Ok(forgotten)
}

/// Has nothing be learned that was named, neither of the turns that wait nor of this one where it is noted already.
pub(crate) fn note_named(db: &Connection, heard: &Heard) -> rusqlite::Result<()> {
    let named = heard.named().into_iter();
    named.map(Unwanted::Named).try_for_each(|name| learning_store::note_unwanted(db, heard.person, &name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::sqlite::with_session_for_testing;

    #[test]
    fn what_waits_in_a_session_that_goes_is_learned_from_in_portions_to_the_last_turn() {
        let (_root, db) = with_session_for_testing();
        let waiting = "
            WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 45)
                INSERT INTO checkpoints (id, session_id, public_id, said, answered, said_at, answered_at)
                SELECT i, 1, randomblob(16), iif(i < 45, 'I like tea', 'I live in Porto'), '', i, i FROM n;
            INSERT INTO to_learn (checkpoint_id) SELECT id FROM checkpoints";
        db.execute_batch(waiting).unwrap();
        let learn = || {
            let is_last = learn_some_of_session(&db, 1, 100, Timestamp::from_millis(100)).unwrap();
            (is_last, learning_store::waiting(&db).unwrap())
        };
        assert_eq!([learn(), learn(), learn()], [(false, 25), (false, 5), (true, 0)]);
        let mut known = db.prepare("SELECT text FROM memories ORDER BY id").unwrap();
        let known: Vec<String> =
            known.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap();
        assert_eq!(known, ["I like tea", "I live in Porto"]);
    }

    #[test]
    fn however_much_is_no_longer_true_makes_way_in_portions_before_what_is_told_is_kept() {
        let (_root, db) = with_session_for_testing();
        let many = "
            WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 450)
                INSERT INTO memories (public_id, person_id, text, said_at, created_at, changed_at, about, sameness)
                SELECT randomblob(16), 1, 'I live in Town' || i, i, i, i, 'home', i FROM n;
            INSERT INTO memory_words (person_id, thread, said_at, memory_id, words)
                SELECT 1, 0, said_at, id, zeroblob(4) FROM memories;
            INSERT INTO checkpoints (id, session_id, public_id, said, answered, said_at, answered_at)
                VALUES (1, 1, randomblob(16), 'I moved to Porto', '', 500, 500);
            INSERT INTO to_learn (checkpoint_id) VALUES (1)";
        db.execute_batch(many).unwrap();
        let learn = || {
            let is_last = learn_some_of_session(&db, 1, 1000, Timestamp::from_millis(1000)).unwrap();
            let sql = "SELECT (SELECT count(*) FROM memories), (SELECT count(*) FROM memory_words)";
            let counts: (u64, u64) = db.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
            (is_last, counts)
        };
        let portions = [learn(), learn(), learn()];
        assert_eq!(portions, [(false, (450, 250)), (false, (450, 50)), (true, (451, 1))]);
    }
}
