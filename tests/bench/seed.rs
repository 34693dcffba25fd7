//! Conversations of the past, put straight into a database that the server has made: fast, and the same in every run.

use std::ops::Range;

use anyhow::Result;
use companion::domain::clock::{Clock, SystemClock};
use rusqlite::{Connection, Statement, Transaction, params};

use crate::house::House;

pub const HOUR: i64 = 3_600_000;
pub const DAY: i64 = 24 * HOUR;

/// Conversations that go on at the same time: their turns lie between each other's, as they do in a real database.
const AT_ONCE: u32 = 50;
const SESSIONS_PER_PERSON: u32 = 10;
const WORDS: &str = "and then we went for a walk along the river, because the house was too quiet and neither of us \
    had slept well; she told me about the garden, how the beans came up late this year, and I thought of what you said \
    the last time, that it is alright not to know yet. what would it be like to leave the question open for a while? ";

/// What to fill a database with.
pub struct Shape<'a> {
    pub sessions: u32,
    /// Turns of a session on average, give or take as many as half.
    pub turns: u32,
    /// Characters of what was said.
    pub said: Range<usize>,
    /// Characters of what was answered.
    pub answered: Range<usize>,
    /// How long ago a session, counted from the oldest, was last active.
    pub age: &'a dyn Fn(u32) -> i64,
}

impl Shape<'_> {
    /// Pairs of sessions make up for each other, so that the sum is exact.
    fn turns_of(&self, session: u32) -> u32 {
        let more = (session / 2) % (self.turns / 2 + 1);
        if session.is_multiple_of(2) { self.turns + more } else { self.turns - more }
    }
}

/// Fills a new house whose server does not run, and flushes it.
pub fn fill(house: &House, shape: &Shape<'_>) -> Result<()> {
    #[expect(
        clippy::disallowed_methods,
        reason = "rows of the past, without the product's own care for each"
    )]
    let mut db = Connection::open(house.database())?;
    db.execute_batch("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -200000;")?;
    let transaction = db.transaction()?;
    insert(&transaction, shape)?;
    transaction.execute(
        "UPDATE totals SET sessions = (SELECT count(*) FROM sessions), checkpoints = (SELECT count(*) FROM checkpoints)",
        [],
    )?;
    transaction.commit()?;
    db.execute_batch("PRAGMA journal_mode = WAL;")?;
    db.close().map_err(|(_, error)| error)?;
    std::fs::File::open(house.database())?.sync_all()?;
    Ok(())
}

fn insert(transaction: &Transaction<'_>, shape: &Shape<'_>) -> Result<()> {
    let mut random = Random(0x5EED);
    let now = SystemClock.now().as_millis();
    persons(transaction, shape.sessions.div_ceil(SESSIONS_PER_PERSON), now, &mut random)?;
    let mut session = transaction.prepare(
        "INSERT INTO sessions (id, public_id, person_id, title, created_at, last_active_at, checkpoints)
         VALUES (?1, ?2, ?3, 'a walk along the river', ?4, ?4, ?5)",
    )?;
    let mut checkpoint = transaction.prepare(
        "INSERT INTO checkpoints (session_id, public_id, turn_id, said, answered, said_at, answered_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6)",
    )?;
    let text = WORDS.repeat(40);
    for first in (0..shape.sessions).step_by(usize::try_from(AT_ONCE)?) {
        let block = first..(first + AT_ONCE).min(shape.sessions);
        for number in block.clone() {
            let at = now - (shape.age)(number);
            let person = 1 + random.below(shape.sessions.div_ceil(SESSIONS_PER_PERSON).into());
            session.execute(params![number + 1, random.id(), person, at, shape.turns_of(number)])?;
        }
        for turn in 0..=shape.turns + shape.turns / 2 {
            for number in block.clone().filter(|number| turn < shape.turns_of(*number)) {
                let at = now - (shape.age)(number);
                let row = Turn { session: number + 1, at, text: &text };
                row.insert(&mut checkpoint, shape, &mut random)?;
            }
        }
    }
    Ok(())
}

struct Turn<'a> {
    session: u32,
    at: i64,
    text: &'a str,
}

impl Turn<'_> {
    fn insert(&self, statement: &mut Statement<'_>, shape: &Shape<'_>, random: &mut Random) -> Result<()> {
        let said = random.part(self.text, &shape.said);
        let answered = random.part(self.text, &shape.answered);
        statement.execute(params![self.session, random.id(), random.id(), said, answered, self.at])?;
        Ok(())
    }
}

/// Everyone was seen just now: nobody is to be erased.
fn persons(transaction: &Transaction<'_>, count: u32, now: i64, random: &mut Random) -> Result<()> {
    let mut person = transaction.prepare(
        "INSERT INTO persons (public_id, token_hash, created_at, last_seen_at) VALUES (?1, ?2, ?3, ?3)",
    )?;
    for _ in 0..count {
        person.execute(params![random.id(), [random.id(), random.id()].concat(), now])?;
    }
    Ok(())
}

/// A small generator (xorshift64*, Vigna 2016): the same rows in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn below(&mut self, bound: u64) -> u64 {
        (self.next() >> 16) % bound
    }

    fn id(&mut self) -> [u8; 16] {
        ((u128::from(self.next()) << 64) | u128::from(self.next())).to_be_bytes()
    }

    fn part<'a>(&mut self, text: &'a str, length: &Range<usize>) -> &'a str {
        let span = u64::try_from(length.len()).unwrap_or(1).max(1);
        let length = length.start + usize::try_from(self.below(span)).unwrap_or_default();
        let first = usize::try_from(self.below((text.len() - length) as u64)).unwrap_or_default();
        &text[first..first + length]
    }
}
