//! Hearing and speaking, by whatever the settings name.

use std::sync::Arc;

use crate::adapters::data_dir::DataDir;
use crate::adapters::upstream::Upstream;
use crate::config::{Hearing, Speaking, SpeechConfig};
use crate::domain::persona::Persona;
use crate::domain::speech::{Synthesizer, Transcriber};

mod health;
mod joining;
mod local;
mod outside;
mod phrases;
mod places;
mod program;
mod transcription;

pub use health::ProgramHealth;
pub use phrases::CachedPhrases;
use program::Program;

/// The services that hear and speak; where programs do that, how these fare.
#[derive(Clone, Default)]
pub struct SpeechUpstreams {
    /// Hears.
    pub stt: Option<Arc<Upstream>>,
    /// Speaks.
    pub tts: Option<Arc<Upstream>>,
    /// How the program that hears fares.
    pub hears: Option<Arc<ProgramHealth>>,
    /// How the one that speaks does.
    pub speaks: Option<Arc<ProgramHealth>>,
}

/// Who hears; `None` when nothing was set up. A recording that a program is to hear lies in the data directory meanwhile.
#[must_use]
pub fn transcriber(
    config: &SpeechConfig,
    upstreams: &SpeechUpstreams,
    dir: &DataDir,
) -> Option<Arc<dyn Transcriber>> {
    match config.hearing.as_ref()? {
        Hearing::Command(line) => {
            let program = Program::new(line, config.hearing_timeout, upstreams.hears.clone()?);
            Some(Arc::new(local::CommandTranscriber::new(program, dir.root())))
        }
        Hearing::Api(api) => {
            let upstream = upstreams.stt.clone()?;
            Some(Arc::new(transcription::Transcription { upstream, model: api.model.clone() }))
        }
    }
}

/// Who speaks; `None` when nothing was set up. What the persona says often is kept in the audio directory.
#[must_use]
pub fn synthesizer(
    config: &SpeechConfig,
    upstreams: &SpeechUpstreams,
    persona: &Persona,
    dir: &DataDir,
) -> Option<Arc<dyn Synthesizer>> {
    let speaking = config.speaking.as_ref()?;
    let speaks: Arc<dyn Synthesizer> = match speaking {
        Speaking::Command(line) => {
            let program = Program::new(line, config.speaking_timeout, upstreams.speaks.clone()?);
            Arc::new(local::CommandSynthesizer::new(program))
        }
        Speaking::OpenAi(api) => {
            let (voice, model) = (api.voice.clone(), api.model.clone());
            Arc::new(outside::OpenAiSpeech { upstream: upstreams.tts.clone()?, voice, model })
        }
        Speaking::ElevenLabs(api) => Arc::new(outside::ElevenLabs {
            upstream: upstreams.tts.clone()?,
            voice: api.voice.clone(),
            model: api.model.clone(),
            settings: persona.voice.clone(),
        }),
    };
    let voice = format!("{} {:?}", speaking.voice(), persona.voice);
    Some(Arc::new(CachedPhrases::new(speaks, &voice, persona, dir)))
}
