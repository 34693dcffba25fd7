//! Everything held about a person, as one JSON document that is never in memory as a whole.
//!
//! Which sessions there are is read once, so that one that moves up the list by being talked in meanwhile is not missed.
//!
//! Bounds: 4 pieces wait for a slow reader; 100 turns of one session are read at a time, each time anew, so that a slow
//! reader holds no old snapshot of the database open.

use std::sync::Arc;

use bytes::Bytes;
use rusqlite::Connection;
use serde_json::json;
use tokio::sync::mpsc;

use crate::adapters::{person_store, session_store, summary_store};
use crate::app::{App, AppError, audio};
use crate::domain::person::Person;
use crate::domain::session::{Checkpoint, Session, SessionId};

const WAITING_PIECES: usize = 4;
const TURNS_AT_ONCE: u64 = 100;

type Pieces = mpsc::Sender<Result<Bytes, AppError>>;

/// The reader went away.
struct Gone;

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
        let head = json!({"created_at": person.created_at, "last_seen_at": person.last_seen_at});
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
            let Some((session, summary, turns)) = self.exported(id, 0).await? else { continue };
            if self.write_session((&session, summary), turns, comma, pieces).await?.is_err() {
                return Ok(());
            }
            comma = ",";
        }
        drop(send(pieces, "]}".to_owned()).await);
        Ok(())
    }

    async fn write_session(
        &self,
        (session, summary): (&Session, Option<String>),
        mut turns: Vec<Checkpoint>,
        comma: &str,
        pieces: &Pieces,
    ) -> Result<Result<(), Gone>, AppError> {
        let mut head = json!({
            "id": session.id,
            "title": session.title,
            "created_at": session.created_at,
            "last_active_at": session.last_active_at,
            "expires_at": session.expires_at(self.retention.session_days),
            "pinned": session.pinned,
            "remembered": session.remembered,
        });
        if let Some(summary) = summary {
            head["summary"] = json!(summary);
        }
        let head = head.to_string();
        let opened = head.strip_suffix('}').unwrap_or(&head);
        let mut text = format!(r#"{comma}{opened},"messages":["#);
        let mut from = 0;
        loop {
            for turn in &turns {
                push_messages(&mut text, turn);
            }
            if (turns.len() as u64) < TURNS_AT_ONCE {
                text.push_str("]}");
                return Ok(send(pieces, text).await);
            }
            if send(pieces, std::mem::take(&mut text)).await.is_err() {
                return Ok(Err(Gone));
            }
            from += TURNS_AT_ONCE;
            turns = self.exported(session.id, from).await?.map_or_else(Vec::new, |(.., turns)| turns);
        }
    }

    /// A session and its turns from the `from`-th on. By its id each time: its row may be another session's by now.
    async fn exported(
        &self,
        id: SessionId,
        from: u64,
    ) -> Result<Option<(Session, Option<String>, Vec<Checkpoint>)>, AppError> {
        let read = move |db: &Connection| {
            let Some(stored) = session_store::find(db, id)? else { return Ok(None) };
            let turns = session_store::checkpoints(db, stored.key, from, TURNS_AT_ONCE)?;
            let summary = summary_store::find(db, stored.key)?.text;
            Ok(Some((stored.session, summary, turns)))
        };
        Ok(self.database.read("export a session", read).await?)
    }
}

fn push_messages(text: &mut String, turn: &Checkpoint) {
    let said = json!({"role": "user", "text": turn.said, "created_at": turn.said_at});
    let mut answered = json!({"role": "assistant", "text": turn.answered, "created_at": turn.answered_at});
    if let Some(id) = turn.audio {
        answered["audio_url"] = json!(audio::url(id));
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
