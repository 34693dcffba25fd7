//! Everything held about a person, as one JSON document that is never in memory as a whole.
//!
//! Which sessions there are is read once, so that one that moves up the list by being talked in meanwhile is not missed.
//!
//! Bounds: 2 pieces wait for a slow reader; turns of one session are read up to 128 KiB and 100 at a time, memories 20 at a time, each
//! time anew, so that a slow reader holds no old snapshot of the database open. Together that is less than [`READ_AHEAD`].

use std::sync::Arc;

use bytes::Bytes;
use rusqlite::Connection;
use serde_json::json;
use tokio::sync::mpsc;

use crate::adapters::{memory_room, person_store, session_store, summary_store};
use crate::app::sessions::ShownTurn;
use crate::app::{App, AppError, audio};
use crate::domain::memory::Memory;
use crate::domain::person::Person;
use crate::domain::session::{Session, SessionId};

/// What an export holds in memory, in bytes.
pub const READ_AHEAD: u64 = 1 << 20;

const WAITING_PIECES: usize = 2;
const TURNS_AT_ONCE: usize = 100;
/// A hundred turns of the longest there are would be megabytes.
const BYTES_AT_ONCE: usize = 128 << 10;
/// So many are read before it is looked at how long they are.
const STEP: usize = 4;
const MEMORIES_AT_ONCE: usize = 20;

type Pieces = mpsc::Sender<Result<Bytes, AppError>>;

/// The reader went away.
struct Gone;

/// A part of a session.
struct Part {
    session: Session,
    summary: Option<String>,
    turns: Vec<ShownTurn>,
    /// The row of the last of these turns, if there may be more after it.
    more_after: Option<i64>,
}

impl App {
    /// Begins the export; the pieces put together are one JSON document.
    pub fn export(self: &Arc<Self>, person: Person) -> mpsc::Receiver<Result<Bytes, AppError>> {
        let (pieces, receiver) = mpsc::channel(WAITING_PIECES);
        let app = self.clone();
        let work = async move {
            if let Err(error) = app.write_export(person, &pieces).await {
                drop(pieces.send(Err(error)).await);
            }
        };
        self.turns.spawn(work);
        receiver
    }

    async fn write_export(&self, person: Person, pieces: &Pieces) -> Result<(), AppError> {
        let ways_in = self.ways_in(person).await?;
        let head = json!({
            "created_at": person.created_at,
            "last_seen_at": person.last_seen_at,
            "devices": ways_in.devices,
            "links": ways_in.links,
            "recovery_code": ways_in.recovery_code,
        });
        let exported_at = self.clock.now();
        let opening = format!(r#"{{"exported_at":"{exported_at}","person":{head},"sessions":["#);
        if send(pieces, opening).await.is_err() {
            return Ok(());
        }
        let list = move |db: &Connection| {
            if !person_store::is_there(db, person)? {
                return Ok(Vec::new());
            }
            session_store::ids_of(db, person.key)
        };
        let mut comma = "";
        for id in self.database.read("export sessions", list).await? {
            // It may have been deleted since.
            let Some(part) = self.exported(id, 0).await? else { continue };
            if self.write_session(part, person, comma, pieces).await?.is_err() {
                return Ok(());
            }
            comma = ",";
        }
        self.write_memories(person, pieces).await
    }

    async fn write_memories(&self, person: Person, pieces: &Pieces) -> Result<(), AppError> {
        let mut text = r#"],"memories":["#.to_owned();
        let (mut comma, mut after) = ("", None);
        loop {
            let (memories, more) = self.memories(person, after, MEMORIES_AT_ONCE).await?;
            for memory in &memories {
                text.push_str(comma);
                text.push_str(&exported_memory(memory).to_string());
                comma = ",";
            }
            after = memories.last().map(|memory| (memory.created_at, memory.id));
            if send(pieces, std::mem::take(&mut text)).await.is_err() {
                return Ok(());
            }
            if !more {
                break;
            }
        }
        let dropped = move |db: &Connection| {
            if person_store::is_there(db, person)? {
                memory_room::dropped(db, person.key)
            } else {
                Ok(Vec::new())
            }
        };
        let dropped = self.database.read("export memories", dropped).await?;
        let told: Vec<_> = dropped.iter().map(|gone| {
            json!({"id": gone.id, "said_at": gone.said_at, "created_at": gone.created_at, "dropped_at": gone.dropped_at})
        }).collect();
        drop(send(pieces, format!(r#"],"memories_dropped":{}}}"#, json!(told))).await);
        Ok(())
    }

    async fn write_session(
        &self,
        Part { session, summary, mut turns, mut more_after }: Part,
        person: Person,
        comma: &str,
        pieces: &Pieces,
    ) -> Result<Result<(), Gone>, AppError> {
        let mut head = json!({
            "id": session.id,
            "title": session.title,
            "created_at": session.created_at,
            "last_active_at": session.last_active_at,
            "expires_at": self.expires_at(&session, person),
            "pinned": session.pinned,
            "remembered": session.remembered,
        });
        if let Some(summary) = summary {
            head["summary"] = json!(summary);
        }
        let head = head.to_string();
        let opened = head.strip_suffix('}').unwrap_or(&head);
        let mut text = format!(r#"{comma}{opened},"messages":["#);
        loop {
            for turn in &turns {
                push_messages(&mut text, turn);
            }
            let Some(after) = more_after else {
                text.push_str("]}");
                return Ok(send(pieces, text).await);
            };
            if send(pieces, std::mem::take(&mut text)).await.is_err() {
                return Ok(Err(Gone));
            }
            let next = self.exported(session.id, after).await?;
            (turns, more_after) =
                next.map_or_else(|| (Vec::new(), None), |part| (part.turns, part.more_after));
        }
    }

    /// A session and its turns after the one in row `after`. By its id each time: its row may be another session's by now.
    async fn exported(&self, id: SessionId, after: i64) -> Result<Option<Part>, AppError> {
        let read = move |db: &Connection| {
            let Some(stored) = session_store::find(db, id)? else { return Ok(None) };
            let (mut turns, mut bytes, mut more_after) = (Vec::new(), 0, Some(after));
            while let Some(after) = more_after
                && turns.len() < TURNS_AT_ONCE
                && bytes < BYTES_AT_ONCE
            {
                let some = session_store::checkpoints_after(db, stored.key, after, STEP)?;
                more_after = some.last().map(|(row, _)| *row).filter(|_| some.len() == STEP);
                let some = some.into_iter().map(|(_, turn)| turn).collect();
                let some = ShownTurn::all(db, stored.person, some)?;
                bytes += some.iter().map(bytes_of).sum::<usize>();
                turns.extend(some);
            }
            let summary = summary_store::find(db, stored.key)?.text;
            Ok(Some(Part { session: stored.session, summary, turns, more_after }))
        };
        Ok(self.database.read("export a session", read).await?)
    }
}

fn bytes_of(turn: &ShownTurn) -> usize {
    let memories = turn.memories.iter().map(|(_, text)| text.len()).sum::<usize>();
    turn.checkpoint.said.len() + turn.checkpoint.answered.len() + memories
}

fn exported_memory(memory: &Memory) -> serde_json::Value {
    let mut told = json!({
        "id": memory.id,
        "text": memory.text,
        "said_at": memory.said_at,
        "source": memory.source,
        "session_id": memory.session,
        "created_at": memory.created_at,
    });
    if let Some(at) = memory.superseded_at {
        told["superseded_at"] = json!(at);
    }
    told
}

fn push_messages(text: &mut String, shown: &ShownTurn) {
    let turn = &shown.checkpoint;
    let said = json!({"role": "user", "text": turn.said, "created_at": turn.said_at});
    let mut answered = json!({"role": "assistant", "text": turn.answered, "created_at": turn.answered_at});
    if let Some(id) = turn.audio {
        answered["audio_url"] = json!(audio::url(id));
    }
    if !shown.memories.is_empty() {
        let told = shown.memories.iter().map(|(id, text)| json!({"id": id, "text": text}));
        answered["memories"] = told.collect();
    }
    // Of an imported turn one side may be missing.
    for message in [said, answered].into_iter().filter(|message| message["text"] != "") {
        if !text.ends_with("\"messages\":[") {
            text.push(',');
        }
        text.push_str(&message.to_string());
    }
}

async fn send(pieces: &Pieces, text: String) -> Result<(), Gone> {
    pieces.send(Ok(Bytes::from(text))).await.map_err(|_| Gone)
}
