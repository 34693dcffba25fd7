//! Everything held about a person, as one JSON document that is never in memory as a whole.
//!
//! Bounds: 4 pieces wait for a slow reader; 50 sessions or 100 turns are read at a time, each time anew, so that a slow
//! reader holds no old snapshot of the database open.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::adapters::session_store::{self, StoredSession};
use crate::app::{App, AppError};
use crate::domain::person::Person;
use crate::domain::session::Checkpoint;

const WAITING_PIECES: usize = 4;
const SESSIONS_AT_ONCE: usize = 50;
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
        let mut after = None;
        let mut first = true;
        loop {
            let list =
                move |db: &rusqlite::Connection| session_store::list(db, person.key, after, SESSIONS_AT_ONCE);
            let batch = self.database.read("export sessions", list).await?;
            let Some(last) = batch.last() else { break };
            after = Some((last.session.last_active_at, last.session.id));
            for stored in &batch {
                let comma = if std::mem::take(&mut first) { "" } else { "," };
                if self.write_session(stored, comma, pieces).await?.is_err() {
                    return Ok(());
                }
            }
        }
        drop(send(pieces, "]}".to_owned()).await);
        Ok(())
    }

    async fn write_session(
        &self,
        stored: &StoredSession,
        comma: &str,
        pieces: &Pieces,
    ) -> Result<Result<(), Gone>, AppError> {
        let session = &stored.session;
        let head = json!({
            "id": session.id,
            "title": session.title,
            "created_at": session.created_at,
            "last_active_at": session.last_active_at,
            "expires_at": session.expires_at(self.retention.session_days),
            "pinned": session.pinned,
            "remembered": session.remembered,
        });
        let head = head.to_string();
        let opened = head.strip_suffix('}').unwrap_or(&head);
        let mut text = format!(r#"{comma}{opened},"messages":["#);
        let (key, mut from) = (stored.key, 0);
        loop {
            let read =
                move |db: &rusqlite::Connection| session_store::checkpoints(db, key, from, TURNS_AT_ONCE);
            let turns = self.database.read("export a session", read).await?;
            for turn in &turns {
                push_messages(&mut text, turn);
            }
            from += TURNS_AT_ONCE;
            if (turns.len() as u64) < TURNS_AT_ONCE {
                text.push_str("]}");
                return Ok(send(pieces, text).await);
            }
            if send(pieces, std::mem::take(&mut text)).await.is_err() {
                return Ok(Err(Gone));
            }
        }
    }
}

fn push_messages(text: &mut String, turn: &Checkpoint) {
    if !text.ends_with("\"messages\":[") {
        text.push(',');
    }
    text.push_str(&message("user", &turn.said, &json!(turn.said_at)));
    text.push(',');
    text.push_str(&message("assistant", &turn.answered, &json!(turn.answered_at)));
}

fn message(role: &str, said: &str, at: &Value) -> String {
    json!({"role": role, "text": said, "created_at": at}).to_string()
}

async fn send(pieces: &Pieces, text: String) -> Result<(), Gone> {
    pieces.send(Ok(Bytes::from(text))).await.map_err(|_| Gone)
}
