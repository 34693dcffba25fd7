//! The voice of a turn: sentences are spoken one after the other as they are complete, while the model writes on.
//!
//! Speech that fails leaves the turn as it is, in text.
//!
//! Bounds: all sentences of a reply may wait to be spoken, for the model does not wait for the voice; 16 MiB of sound a reply, beyond which it is
//! not spoken on; nor is it where there is no room for the sound of all (see `app::sound_room`).

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use futures_util::StreamExt;
use tokio::sync::mpsc;

use super::events::TurnEvent;
use super::millis;
use super::reader::Reader;
use super::sounded::{Mute, Sounded, WholeFile};
use super::work::Work;
use crate::app::passing_audio::OfTurn;
use crate::app::sound_room::HeldRoom;
use crate::app::{App, AppError};
use crate::domain::audio::{self, AudioFormat, AudioId};
use crate::domain::heard::Spoken;
use crate::domain::sentences::{Sentences, is_speakable};
use crate::domain::session::SessionId;
use crate::domain::speech::AudioStream;

/// No reply has more: it has 32 KiB and its last event, and a sentence at least one byte.
pub(super) const WAITING_SENTENCES: usize = 96 * 1024;
const MOST_SOUND: usize = 16 << 20;
/// By then every format is told.
const ENOUGH_TO_TELL: usize = 4096;
/// What is sent at a time of a sound that is there already.
const PIECE: usize = 16 * 1024;

/// How a reply is to be heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Voice {
    /// Not at all.
    Silent,
    /// As one file.
    Whole,
    /// Each sentence as a file of its own, and then all of it as one.
    Sentences,
    /// Each sentence as it is made, in pieces that are kept nowhere.
    Live,
}

impl Work {
    pub(super) fn speaker(&self) -> Speaker {
        let of = (self.request.session, self.person, self.request.client);
        let speaker = Speaker::new(&self.app, &self.reader, self.request.voice, of);
        Speaker { began: self.began, spoken: self.spoken.clone(), ..speaker }
    }

    /// Lets the files of a turn be heard for a while.
    pub(super) fn let_rest(&self, files: OfTurn) {
        if !files.is_empty() {
            self.app.turns.leave_running(files.rest());
        }
    }
}

/// Speaks one reply.
pub(super) struct Speaker {
    app: Arc<App>,
    reader: Reader,
    voice: Voice,
    session: SessionId,
    person: i64,
    client: Option<IpAddr>,
    began: Instant,
    /// What was spoken so far, for those who interrupt.
    spoken: Arc<Mutex<Vec<Spoken>>>,
    /// The files of its sentences.
    files: OfTurn,
    sounded: Sounded,
    parts: Vec<Bytes>,
    format: Option<AudioFormat>,
    bytes: usize,
    /// For what is in memory of it.
    room: HeldRoom,
    index: u32,
}

impl Speaker {
    /// Speaks in this way, in this conversation of this person, to this client, and tells that to the `reader`.
    pub(super) fn new(
        app: &Arc<App>,
        reader: &Reader,
        voice: Voice,
        (session, person, client): (SessionId, i64, Option<IpAddr>),
    ) -> Self {
        Self {
            app: app.clone(),
            reader: reader.clone(),
            voice,
            session,
            person,
            client,
            began: Instant::now(),
            spoken: Arc::default(),
            files: app.passing.of_turn(),
            sounded: Sounded::default(),
            parts: Vec::new(),
            format: None,
            bytes: 0,
            room: HeldRoom::default(),
            index: 0,
        }
    }

    /// Speaks each sentence as it comes, until there are no more.
    pub(super) async fn speak_all(mut self, mut sentences: mpsc::Receiver<String>) -> (Sounded, OfTurn) {
        let mut waiting = String::new();
        while let Some(sentence) = sentences.recv().await {
            if !self.speak_next(sentence, &mut waiting).await {
                break;
            }
        }
        self.ends_with(&waiting);
        self.finish().await
    }

    /// Speaks it, with what waits for words to be spoken with; false when there is no more speaking.
    async fn speak_next(&mut self, sentence: String, waiting: &mut String) -> bool {
        waiting.push_str(&sentence);
        !is_speakable(waiting) || self.speak(std::mem::take(waiting)).await
    }

    /// What is left without words belongs to the last sentence.
    fn ends_with(&self, waiting: &str) {
        if let Some(last) = self.lock().last_mut() {
            last.text.push_str(waiting);
        }
    }

    /// The sentences that it has spoken, as far as it has come.
    pub(super) fn spoken(&self) -> Arc<Mutex<Vec<Spoken>>> {
        self.spoken.clone()
    }

    /// Speaks a reply that is there already, sentence by sentence.
    pub(super) async fn speak_again(mut self, text: &str) -> Sounded {
        let mut sentences = Sentences::default();
        let mut complete = sentences.push(text);
        complete.extend(sentences.finish());
        let mut waiting = String::new();
        for sentence in complete {
            if !self.speak_next(sentence, &mut waiting).await {
                break;
            }
        }
        self.ends_with(&waiting);
        self.sounded
    }

    /// Speaks a whole reply.
    pub(super) async fn speak_whole(mut self, text: String) -> (Sounded, OfTurn) {
        if is_speakable(&text) {
            self.speak(text).await;
        }
        self.finish().await
    }

    /// True when it was spoken, so that the next one can be.
    async fn speak(&mut self, text: String) -> bool {
        if self.reader.is_gone() && self.voice != Voice::Whole {
            // The text may still be kept for who comes back; sound that nobody hears is not made, and a part of it is no whole.
            self.sounded.failed = true;
            return false;
        }
        let began = Instant::now();
        let spoken = match self.voice {
            Voice::Silent => Ok(()),
            Voice::Whole => self.speak_part(text).await,
            Voice::Sentences => self.speak_file(text).await,
            Voice::Live => self.speak_live(text).await,
        };
        self.sounded.tts_ms += millis(began);
        let Err(why) = spoken else { return true };
        tracing::warn!(event = "speech_failed", cause = %why, "A reply was not spoken, or not to its end");
        self.sounded.failed = true;
        false
    }

    fn sound(&self, text: &str) -> Result<AudioStream, Mute> {
        let speaks = self.app.synthesizer.as_ref().ok_or(Mute::Nobody)?;
        Ok(speaks.speak(text.trim().to_owned(), self.client))
    }

    async fn speak_part(&mut self, text: String) -> Result<(), Mute> {
        let (format, sound) = self.collect(self.sound(&text)?, Vec::new()).await?;
        self.note(&text, format, &sound);
        self.add_part(format, sound);
        Ok(())
    }

    async fn speak_file(&mut self, text: String) -> Result<(), Mute> {
        let (format, sound) = self.collect(self.sound(&text)?, Vec::new()).await?;
        self.note(&text, format, &sound);
        let saving = Instant::now();
        if self.app.passing.is_full() {
            return Err(AppError::Busy.into());
        }
        let id = AudioId::random();
        let path = self.app.save_audio(id, format, sound.clone()).await?;
        self.files.add((id, format), self.session, self.person, path);
        self.sounded.audio_save_ms += millis(saving);
        self.add_part(format, sound);
        self.reader.tell(TurnEvent::Audio { id, index: self.index }).await;
        self.index += 1;
        Ok(())
    }

    /// Sends the sound on as it comes; where the head has to tell the length, once it is whole.
    async fn speak_live(&mut self, text: String) -> Result<(), Mute> {
        let mut sound = self.sound(&text)?;
        let mut so_far = Vec::new();
        while AudioFormat::of(&so_far).is_none() && so_far.len() < ENOUGH_TO_TELL {
            let Some(piece) = sound.next().await else { break };
            self.take(&mut so_far, &piece?).await?;
        }
        let format = AudioFormat::of(&so_far).ok_or(Mute::Format)?;
        if format == AudioFormat::Wav {
            let (_, whole) = self.collect(sound, so_far).await?;
            self.begin_live(&text, format).await;
            self.send_pieces(&whole).await;
            self.lasts(format, &whole);
            self.room = HeldRoom::default();
            return Ok(());
        }
        self.begin_live(&text, format).await;
        self.send_pieces(&Bytes::from(so_far.clone())).await;
        while let Some(piece) = sound.next().await {
            let piece = piece?;
            self.take(&mut so_far, &piece).await?;
            self.send_pieces(&piece).await;
        }
        self.bytes += so_far.len();
        self.lasts(format, &so_far);
        self.room = HeldRoom::default();
        Ok(())
    }

    async fn begin_live(&mut self, text: &str, format: AudioFormat) {
        self.lock().push(Spoken::begins(text));
        self.first_audio();
        let begins = TurnEvent::SoundBegins { index: self.index, format, text: text.trim().to_owned() };
        self.reader.tell(begins).await;
        self.index += 1;
    }

    async fn send_pieces(&mut self, sound: &Bytes) {
        for from in (0..sound.len()).step_by(PIECE) {
            let piece = sound.slice(from..sound.len().min(from + PIECE));
            // A reader that has gone away is noticed by the turn.
            self.reader.tell(TurnEvent::Sound(piece)).await;
        }
    }

    /// All of a sound, with a right head.
    async fn collect(
        &mut self,
        mut sound: AudioStream,
        mut so_far: Vec<u8>,
    ) -> Result<(AudioFormat, Bytes), Mute> {
        while let Some(piece) = sound.next().await {
            self.take(&mut so_far, &piece?).await?;
        }
        let format = AudioFormat::of(&so_far).ok_or(Mute::Format)?;
        let sound = Bytes::from(so_far);
        let sound = audio::joined(format, std::slice::from_ref(&sound)).ok_or(Mute::Format)?;
        self.bytes += sound.len();
        Ok((format, sound))
    }

    /// Adds a piece, once there is room for it.
    async fn take(&mut self, so_far: &mut Vec<u8>, piece: &[u8]) -> Result<(), Mute> {
        let length = so_far.len() + piece.len();
        if self.bytes + length > MOST_SOUND {
            return Err(Mute::TooLong);
        }
        // What was spoken live is not kept.
        let before = if self.voice == Voice::Live { 0 } else { self.bytes };
        let made = self.app.sound_room.make(&mut self.room, before + length, self.person).await;
        made.ok_or(Mute::NoRoom)?;
        so_far.extend_from_slice(piece);
        Ok(())
    }

    fn add_part(&mut self, format: AudioFormat, sound: Bytes) {
        // Two formats in one reply would be strange, and are not joined.
        if self.format.is_none_or(|before| before == format) {
            self.parts.push(sound);
        }
        self.format = Some(format);
    }

    fn note(&mut self, text: &str, format: AudioFormat, sound: &[u8]) {
        self.lock().push(Spoken::begins(text));
        self.lasts(format, sound);
        self.first_audio();
    }

    fn lasts(&self, format: AudioFormat, sound: &[u8]) {
        if let (Some(last), Some(lasts)) = (self.lock().last_mut(), audio::duration(format, sound)) {
            last.lasts = lasts;
        }
    }

    fn first_audio(&mut self) {
        if self.index == 0 {
            self.sounded.first_audio_ms = millis(self.began);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Spoken>> {
        self.spoken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps the whole as one file, where it has to be and can be one.
    async fn finish(mut self) -> (Sounded, OfTurn) {
        let (parts, format) = (std::mem::take(&mut self.parts), self.format.filter(|_| !self.sounded.failed));
        let whole = format.and_then(|format| Some((format, audio::joined(format, &parts)?)));
        drop(parts);
        if let Some((format, sound)) = whole {
            let (saving, id, bytes) = (Instant::now(), AudioId::random(), sound.len() as u64);
            match self.app.save_audio(id, format, sound).await {
                Ok(path) => {
                    self.sounded.whole = Some(WholeFile::new((id, format), bytes, path));
                }
                Err(error) => {
                    tracing::warn!(event = "speech_failed", cause = %error, "A spoken reply could not be kept");
                    self.sounded.failed = true;
                }
            }
            self.sounded.audio_save_ms += millis(saving);
        }
        (self.sounded, self.files)
    }
}
