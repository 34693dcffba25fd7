//! Writing one conversation, in transactions so short that nobody who talks meanwhile notices.

use std::time::{Duration, Instant};

use rusqlite::{Connection, TransactionBehavior};

use super::{Counts, Options};
use crate::adapters::import_store::{self, Known, Needed, ThreadHash, Turn};
use crate::adapters::sqlite::{DbError, During};
use crate::domain::clock::Timestamp;
use crate::domain::session::{PublicId, Session, SessionId, title_of};
use crate::maint::compact::{self, GAP};
use crate::maint::{Job, MaintError};

const MOST_TURNS: usize = 500;
/// How long one transaction may hold up everybody else's.
const SLICE: Duration = Duration::from_millis(3);

/// A thread's conversation, ready to be written.
pub(super) struct Conversation {
    pub thread: ThreadHash,
    /// The id its session is to have.
    pub session: SessionId,
    /// Never empty.
    pub turns: Vec<Turn>,
}

/// What came of it.
pub(super) enum Came {
    /// A new session.
    In,
    /// More turns of a session that was there.
    More,
    /// It was all there.
    Nothing,
    /// Its session was deleted since it was brought in.
    Gone,
    /// Another session has its id.
    NotOurs,
}

/// Where the turns go: a session that is still to be made, for this person, or one that is there.
enum Place {
    New(Session, i64),
    Row(i64),
}

/// What one transaction did.
struct Batch {
    session: i64,
    done: usize,
}

impl Conversation {
    fn first(&self) -> Timestamp {
        self.turns.iter().map(|turn| turn.said_at).min().unwrap_or(Timestamp::from_millis(0))
    }

    pub fn last(&self) -> Timestamp {
        self.turns.iter().map(|turn| turn.answered_at).max().unwrap_or(Timestamp::from_millis(0))
    }

    fn new_session(&self, pinned: bool) -> Session {
        let words = |turn: &Turn| Some(turn.said.as_str()).filter(|said| !said.is_empty()).map(title_of);
        Session {
            id: self.session,
            title: self.turns.iter().find_map(words),
            created_at: self.first(),
            last_active_at: self.last(),
            pinned,
            remembered: true,
            checkpoints: 0,
        }
    }
}

/// The session a thread becomes: clients of the predecessor know it by a random UUID and go on with that. Any other
/// id could be guessed, and a session's id is all it takes to go on with it.
pub(super) fn session_of(thread: &str, namespace: &str) -> SessionId {
    let known = thread.parse::<PublicId>().ok().filter(|id| id.as_bytes()[6] >> 4 == 4);
    // Another spelling of the same id is another thread.
    let known = known.filter(|id| id.to_string() == thread);
    known.filter(|_| namespace.is_empty()).unwrap_or_else(PublicId::random)
}

/// Writes what is not there yet, or counts it in a dry run. `person` says who is to hold a new session.
pub(super) fn bring_in(
    job: &mut Job<'_>,
    conversation: &Conversation,
    options: &Options,
    person: &mut dyn FnMut(&mut Connection) -> Result<i64, MaintError>,
    counts: &mut Counts,
) -> Result<Came, MaintError> {
    let known = import_store::known(&job.db, &conversation.thread).during("look for the thread")?;
    let place = match known {
        Known::Here(session) => Place::Row(session),
        Known::Gone if !job.run.force => return Ok(Came::Gone),
        Known::Never | Known::Gone => {
            if import_store::is_taken(&job.db, conversation.session).during("look for the session")? {
                return Ok(Came::NotOurs);
            }
            Place::New(conversation.new_session(options.pin), 0)
        }
    };
    let is_new = matches!(place, Place::New(..));
    let needed = needed(&job.db, &place, &conversation.turns).during("look for the turns")?;
    counts.turns_already_there += (conversation.turns.len() - needed.len()) as u64;
    if job.run.dry_run {
        needed.iter().for_each(|(_, need)| counts.note(*need));
        note_expiry(job, conversation, &place, options, counts)?;
    } else {
        let place = match place {
            Place::New(session, _) => Place::New(session, person(&mut job.db)?),
            Place::Row(session) => Place::Row(session),
        };
        let Some(session) = write(job, conversation, place, &needed, counts)? else {
            return Ok(Came::Gone);
        };
        let newly = options.pin && import_store::pin(&job.db, session).during("pin the session")?;
        counts.sessions_pinned += u64::from(newly || (options.pin && is_new));
        note_expiry(job, conversation, &Place::Row(session), options, counts)?;
    }
    Ok(match (is_new, needed.is_empty()) {
        (true, _) => Came::In,
        (false, false) => Came::More,
        (false, true) => Came::Nothing,
    })
}

fn needed<'a>(
    db: &Connection,
    place: &Place,
    turns: &'a [Turn],
) -> rusqlite::Result<Vec<(&'a Turn, Needed)>> {
    let mut found = Vec::new();
    for turn in turns {
        let need = match place {
            Place::New(..) => Needed::Insert,
            Place::Row(session) => import_store::needed(db, *session, turn)?,
        };
        if need != Needed::Nothing {
            found.push((turn, need));
        }
    }
    Ok(found)
}

/// Counts a session that the next cleanup would take.
fn note_expiry(
    job: &Job<'_>,
    conversation: &Conversation,
    place: &Place,
    options: &Options,
    counts: &mut Counts,
) -> Result<(), DbError> {
    let kept = match place {
        Place::New(..) => None,
        Place::Row(session) => import_store::activity(&job.db, *session).during("look at the session")?,
    };
    let (last, pinned) = kept.unwrap_or((conversation.last(), false));
    let retention = job.run.config.retention.session_days;
    if !pinned && !options.pin && retention.is_some_and(|days| last < days.cutoff(job.now)) {
        counts.would_expire += 1;
    }
    Ok(())
}

/// Writes batch after batch; the row of the session, or `None` when it was deleted meanwhile.
fn write(
    job: &mut Job<'_>,
    conversation: &Conversation,
    mut place: Place,
    needed: &[(&Turn, Needed)],
    counts: &mut Counts,
) -> Result<Option<i64>, MaintError> {
    let mut left = needed;
    loop {
        if let (Place::Row(session), true) = (&place, left.is_empty()) {
            return Ok(Some(*session));
        }
        job.check_stop()?;
        let batch = commit(&mut job.db, conversation, &place, left).during("keep a conversation")?;
        let Some(Batch { session, done }) = batch else { return Ok(None) };
        let (kept, rest) = left.split_at(done);
        kept.iter().for_each(|(_, need)| counts.note(*need));
        left = rest;
        place = Place::Row(session);
        compact::pause(GAP);
    }
}

/// One transaction: makes the session if it is not there yet, and keeps as many turns as fit into a slice of time.
fn commit(
    db: &mut Connection,
    conversation: &Conversation,
    place: &Place,
    needed: &[(&Turn, Needed)],
) -> rusqlite::Result<Option<Batch>> {
    let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let began = Instant::now();
    let session = match place {
        Place::New(session, person) => {
            import_store::begin(&transaction, &conversation.thread, *person, session)?
        }
        // It may have been deleted since, and its row may be another session's by now.
        Place::Row(session) => match import_store::known(&transaction, &conversation.thread)? {
            Known::Here(now) if now == *session => now,
            Known::Here(_) | Known::Gone | Known::Never => return Ok(None),
        },
    };
    let (mut done, mut inserted) = (0, 0);
    for (turn, need) in needed.iter().take(MOST_TURNS) {
        match need {
            Needed::Insert => {
                import_store::insert(&transaction, session, turn)?;
                inserted += 1;
            }
            Needed::Complete => import_store::complete(&transaction, session, turn)?,
            Needed::Nothing => {}
        }
        done += 1;
        if began.elapsed() > SLICE {
            break;
        }
    }
    import_store::count(&transaction, session, inserted, conversation.last())?;
    transaction.commit()?;
    Ok(Some(Batch { session, done }))
}
