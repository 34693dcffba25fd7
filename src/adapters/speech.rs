//! Hearing and speaking, by whatever the settings name.

use std::sync::Arc;

use crate::adapters::data_dir::DataDir;
use crate::config::{Hearing, Speaking, SpeechConfig};
use crate::domain::chat::Persona;
use crate::domain::speech::{Synthesizer, Transcriber};

mod local;
mod phrases;
mod program;

pub use phrases::CachedPhrases;

/// Who hears; `None` when nothing was set up. A recording that a program is to hear lies in the data directory meanwhile.
#[must_use]
pub fn transcriber(config: &SpeechConfig, dir: &DataDir) -> Option<Arc<dyn Transcriber>> {
    match config.hearing.as_ref()? {
        Hearing::Command(line) => {
            Some(Arc::new(local::CommandTranscriber::new(line, config.hearing_timeout, dir.root())))
        }
    }
}

/// Who speaks; `None` when nothing was set up. What the persona says often is kept in the audio directory.
#[must_use]
pub fn synthesizer(config: &SpeechConfig, persona: &Persona, dir: &DataDir) -> Option<Arc<dyn Synthesizer>> {
    let speaks: Arc<dyn Synthesizer> = match config.speaking.as_ref()? {
        Speaking::Command(line) => Arc::new(local::CommandSynthesizer::new(line, config.speaking_timeout)),
    };
    let voice = config.speaking.as_ref().map(Speaking::voice).unwrap_or_default();
    Some(Arc::new(CachedPhrases::new(speaks, &voice, persona, dir)))
}
