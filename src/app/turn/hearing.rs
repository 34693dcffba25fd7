//! The ears of a turn: a recording becomes the message.

use std::sync::Arc;
use std::time::Duration;

use super::events::{SilenceReply, Timings, TurnEvent};
use super::millis;
use super::speaking::Voice;
use super::work::Work;
use crate::app::{App, AppError};
use crate::domain::audio;
use crate::domain::speech::{Recording, SpeechError, Transcriber};

/// In less than this nobody says anything, and services refuse it.
const SHORTEST: Duration = Duration::from_millis(100);

impl App {
    /// Refuses a recording at once when nobody could hear it.
    pub(super) fn check_hearing(&self) -> Result<(), AppError> {
        self.ears().map(drop)
    }

    fn ears(&self) -> Result<&Arc<dyn Transcriber>, AppError> {
        let nobody = || SpeechError::unavailable("nobody was set up to hear");
        Ok(self.transcriber.as_ref().ok_or_else(nobody)?)
    }
}

/// One recording that is refused is its sender's affair. All of them are the operator's: a service that does not know the
/// model answers the same, and a program that cannot work ends the same.
fn note(error: &SpeechError) {
    if let SpeechError::Unreadable(why) = error {
        tracing::warn!(event = "recording_refused", cause = %why, "Who hears could make nothing of a recording");
    }
}

impl Work {
    /// Makes what is said in the recording the message; false when nothing is said.
    pub(super) async fn hear(
        &mut self,
        recording: Recording,
        timings: &mut Timings,
    ) -> Result<bool, AppError> {
        if recording.bytes.is_empty() {
            return Err(AppError::Invalid { field: "audio", message: "must not be empty".to_owned() });
        }
        let app = Arc::clone(&self.app);
        let lasts = audio::duration(recording.format, &recording.bytes);
        let said = if lasts.is_some_and(|lasts| lasts < SHORTEST) {
            String::new()
        } else {
            app.ears()?
                .transcribe(recording, self.request.client)
                .await
                .inspect_err(note)
                .map_err(|error| self.not_heard(error))?
        };
        timings.stt_ms = millis(self.began);
        if said.is_empty() {
            return Ok(false);
        }
        app.silences.ended(self.request.session);
        app.check_message(&said)?;
        self.reader.tell(TurnEvent::Heard(said.clone())).await;
        self.request.message = said;
        Ok(true)
    }

    /// What cannot be written down for who hears is refused as what cannot be kept. Nobody knows whether it was words of self-harm.
    fn not_heard(&self, error: SpeechError) -> AppError {
        if matches!(error, SpeechError::NoRoom) {
            return AppError::NoRoomForCare { help: self.app.persona.crisis.help.clone() };
        }
        error.into()
    }

    /// The answer to silence, spoken as the reply would be.
    pub(super) async fn answer_silence(&self, mut timings: Timings) -> SilenceReply {
        let session = self.request.session;
        let text = self.app.silences.answer(session, &self.app.persona.silence).to_owned();
        self.reader.tell(TurnEvent::Heard(String::new())).await;
        let (mut audio, mut degraded) = (None, Vec::new());
        if self.request.voice != Voice::Silent && !text.is_empty() {
            let (mut sounded, mut files) = self.speaker().speak_whole(text.clone()).await;
            sounded.tell(&mut timings, &mut degraded);
            if let Some(whole) = &mut sounded.whole {
                audio = Some(whole.id);
                whole.pass(&mut files, session, self.person);
            }
            self.let_rest(files);
        }
        timings.total_ms = millis(self.began);
        SilenceReply { text, audio, degraded, timings }
    }
}
