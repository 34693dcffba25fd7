//! Any text, spoken for somebody who is in a conversation.

use std::net::IpAddr;

use bytes::Bytes;
use futures_util::stream::BoxStream;
use futures_util::{StreamExt, stream};

use crate::adapters::session_store;
use crate::app::{App, AppError};
use crate::domain::audio::{AudioFormat, wav};
use crate::domain::sentences::is_speakable;
use crate::domain::session::SessionId;
use crate::domain::speech::SpeechError;

/// By then every format is told.
const ENOUGH_TO_TELL: usize = 4096;

/// The bytes of one audio file as they are made.
pub type Sound = BoxStream<'static, Result<Bytes, SpeechError>>;

impl App {
    /// Makes sure that there is such a session.
    ///
    /// # Errors
    /// [`AppError::SessionNotFound`]; [`AppError::Unavailable`] when the server stops.
    pub async fn check_session(&self, session: SessionId) -> Result<(), AppError> {
        self.turns.take_new()?;
        self.person_in(session).await.map(drop)
    }

    /// The row of the person whose session it is.
    async fn person_in(&self, session: SessionId) -> Result<i64, AppError> {
        let find = move |db: &rusqlite::Connection| session_store::find(db, session);
        let found = self.database.read("find a session", find).await?;
        Ok(found.ok_or(AppError::SessionNotFound)?.person)
    }

    /// Begins to speak `text` to this client; what it costs counts among the person's turns while it goes on. Dropping the sound stops it.
    ///
    /// # Errors
    /// An invalid text, an unknown session, too many turns, nobody who speaks.
    pub async fn speak_aloud(
        &self,
        client: Option<IpAddr>,
        session: SessionId,
        text: String,
    ) -> Result<(AudioFormat, Sound), AppError> {
        self.turns.take_new()?;
        self.check_message(&text)?;
        if !is_speakable(&text) {
            let message = "must have something in it that can be spoken".to_owned();
            return Err(AppError::Invalid { field: "text", message });
        }
        let person = self.person_in(session).await?;
        let nobody = || SpeechError::unavailable("nobody was set up to speak");
        let speaks = self.synthesizer.as_ref().ok_or_else(nobody)?;
        let place = self.turns.place(person)?;
        let mut sound = speaks.speak(text.trim().to_owned(), client);
        let mut begin = Vec::new();
        while AudioFormat::of(&begin).is_none() && begin.len() < ENOUGH_TO_TELL {
            let Some(piece) = sound.next().await else { break };
            begin.extend_from_slice(&piece?);
        }
        let unknown = || SpeechError::unavailable("its sound is in none of the known formats");
        let format = AudioFormat::of(&begin).ok_or_else(unknown)?;
        if format == AudioFormat::Wav {
            wav::tell_no_end(&mut begin);
        }
        let rest = stream::iter([Ok(Bytes::from(begin))]).chain(sound);
        // The place is held until the sound has ended.
        Ok((format, rest.inspect(move |_| _ = &place).boxed()))
    }
}
