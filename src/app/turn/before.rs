//! What a turn finds in its session: the answer that was kept when it was sent before, or the conversation it goes on with.

use std::net::IpAddr;
use std::sync::{Arc, PoisonError};

use tokio::sync::watch;

use super::interrupted::interrupted;
use super::reader::Reader;
use super::remembered::who;
use super::speaking::{Speaker, Voice};
use super::{Timings, TurnEvent, TurnReply, TurnRequest};
use crate::adapters::session_store::{self, StoredSession};
use crate::adapters::{memory_store, summary_store};
use crate::app::persons::is_first_for_a_while;
use crate::app::recent_turns::{Conversation, MOST_TURN_IDS, Taken};
use crate::app::{App, AppError};
use crate::domain::chat::Pace;
use crate::domain::clock::Timestamp;
use crate::domain::heard::Interruption;
use crate::domain::memory::MemoryId;
use crate::domain::person::PersonToken;
use crate::domain::sentences::is_speakable;
use crate::domain::session::{Checkpoint, SessionId, TurnId};

/// What was kept for a turn that was sent before.
pub(super) struct Before {
    kept: Checkpoint,
    /// The memories its answer was given that are still there, for whoever may read them.
    memories: Vec<(MemoryId, String)>,
    /// The row of the person whose it is.
    person: i64,
}

impl App {
    /// What was kept for this turn, if it was sent before. If not, the conversation is there to be added to.
    pub(super) async fn look_up(
        &self,
        request: &TurnRequest,
        taken: &mut Taken,
    ) -> Result<Option<Before>, AppError> {
        if let Some(conversation) = &taken.conversation {
            return match (request.turn, &conversation.turn_ids) {
                (None, _) => Ok(None),
                (Some(turn), Some(known)) if !known.contains(&turn) => Ok(None),
                (Some(_), _) => self.kept_before(request).await,
            };
        }
        let (id, turn, most) = (request.session, request.turn, self.history_turns());
        let token = request.token.clone();
        let look = move |db: &rusqlite::Connection| {
            let Some(stored) = session_store::find(db, id)? else { return Ok(None) };
            let kept = kept_in(db, &stored, turn, token.as_ref())?;
            Ok(Some((kept, conversation_of(db, &stored, most)?, stored.session.last_active_at)))
        };
        let found = self.database.read("read a conversation", look).await?;
        let (before, conversation, last_active_at) = found.ok_or(AppError::SessionNotFound)?;
        if before.is_none() {
            self.wake(id, last_active_at).await?;
        }
        taken.conversation = Some(conversation);
        Ok(before)
    }

    /// A session that has rested is active from here on: a cleanup that runs before the turn is kept must leave it.
    async fn wake(&self, id: SessionId, last_active_at: Timestamp) -> Result<(), AppError> {
        let now = self.clock.now();
        if !is_first_for_a_while(last_active_at, now) {
            return Ok(());
        }
        let touch = move |db: &rusqlite::Connection| session_store::touch(db, id, now);
        match self.database.write("wake a session", touch).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(AppError::SessionNotFound),
            Err(error) => {
                // On a full disk it stays as it was; that must not turn the person away.
                tracing::warn!(error = %error, "A session in which somebody talks again could not be marked active");
                Ok(())
            }
        }
    }

    /// What was kept for this turn, if it was sent before.
    pub(super) async fn kept_before(&self, request: &TurnRequest) -> Result<Option<Before>, AppError> {
        let (id, turn, token) = (request.session, request.turn, request.token.clone());
        let look = move |db: &rusqlite::Connection| {
            let Some(stored) = session_store::find(db, id)? else { return Ok(None) };
            kept_in(db, &stored, turn, token.as_ref()).map(Some)
        };
        let found = self.database.read("look for a turn", look).await?;
        found.ok_or(AppError::SessionNotFound)
    }
}

fn kept_in(
    db: &rusqlite::Connection,
    stored: &StoredSession,
    turn: Option<TurnId>,
    token: Option<&PersonToken>,
) -> rusqlite::Result<Option<Before>> {
    let kept = turn.map(|turn| session_store::find_turn(db, stored.key, turn)).transpose()?.flatten();
    let Some(kept) = kept else { return Ok(None) };
    let reads = token.map(|token| who(db, token, stored.person, stored.session.id)).transpose()?.flatten();
    let memories = reads.map(|person| memory_store::texts(db, person.key, &kept.memories)).transpose()?;
    Ok(Some(Before { kept, memories: memories.unwrap_or_default(), person: stored.person }))
}

fn conversation_of(
    db: &rusqlite::Connection,
    stored: &StoredSession,
    most_history: usize,
) -> rusqlite::Result<Conversation> {
    let summary = summary_store::find(db, stored.key)?;
    let (not_summed_up, history) = summary_store::recent_exchanges(db, stored.key, &summary, most_history)?;
    let few = stored.session.checkpoints <= MOST_TURN_IDS as u64;
    let turn_ids = few.then(|| session_store::turn_ids(db, stored.key)).transpose()?;
    let (person, turns) = (stored.person, stored.session.checkpoints);
    let (summary, history) = (summary.text.map(Arc::from), Arc::new(history));
    Ok(Conversation { person, turns, not_summed_up, summary, history, turn_ids })
}

/// Tells once more what was kept.
pub(super) async fn replay(app: &Arc<App>, reader: &Reader, request: &TurnRequest, before: Before) {
    let Before { kept: before, memories, person } = before;
    // Three events fit the channel; a client that has gone away needs none.
    if request.recording.is_some() {
        reader.tell(TurnEvent::Heard(before.said.clone())).await;
    }
    if request.pace == Pace::Live {
        reader.tell(TurnEvent::Token(before.answered.clone())).await;
    }
    let reply =
        TurnReply { is_again: true, memories, ..TurnReply::of(request.session, before, Timings::default()) };
    match request.voice {
        Voice::Live => {
            let to = (reader.clone(), person, request.client);
            app.turns.spawn(speak_again(app.clone(), to, reply, request.interrupt.clone()));
        }
        Voice::Whole | Voice::Sentences => reader.tell(TurnEvent::Done(with_its_file(reply))).await,
        Voice::Silent => reader.tell(TurnEvent::Done(reply)).await,
    }
}

/// It may have no sound: it was not wanted the first time, or was sent as it was made, or has expired.
fn with_its_file(mut reply: TurnReply) -> TurnReply {
    if reply.audio.is_none() && is_speakable(&reply.text) {
        reply.degraded.push("speech");
    }
    reply
}

/// Sound that was sent as it was made is kept nowhere: it is made anew, as far as nobody interrupts.
async fn speak_again(
    app: Arc<App>,
    (reader, person, client): (Reader, i64, Option<IpAddr>),
    mut reply: TurnReply,
    interrupt: Option<watch::Receiver<Option<Interruption>>>,
) {
    let speaker = Speaker::new(&app, &reader, Voice::Live, (reply.session, person, client));
    let spoken = speaker.spoken();
    tokio::select! {
        biased;
        _ = interrupted(interrupt) => {}
        sounded = speaker.speak_again(&reply.text) => sounded.tell(&mut reply.timings, &mut reply.degraded),
        () = reader.gone() => return,
    }
    reply.timings = Timings::default();
    reply.spoken = std::mem::take(&mut *spoken.lock().unwrap_or_else(PoisonError::into_inner));
    reader.tell(TurnEvent::Done(reply)).await;
}
