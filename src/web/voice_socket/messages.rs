//! The messages of the voice socket, as JSON.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::domain::session::{SessionId, TurnId};
use crate::web::chat::UsedMemory;

/// What a client says, beside its sound.
#[derive(Debug, Deserialize, PartialEq)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Said {
    /// A recording begins; what came of another one is forgotten.
    StartListening {
        /// Names the turn it is for.
        turn_id: Option<TurnId>,
    },
    /// The recording is whole.
    StopListening,
    /// Enough of this reply.
    Interrupt {
        /// How much of its sound was played.
        played_ms: Option<f64>,
    },
    /// The reply begins to be heard.
    FirstSound {
        /// How long after the end of what the person said.
        after_ms: f64,
    },
}

/// A day.
const LONGEST_MS: f64 = 86_400_000.0;

impl Said {
    /// Reads a message; what is wrong with it otherwise.
    pub(super) fn read(text: &str) -> Result<Self, &'static str> {
        let said: Self = serde_json::from_str(text).map_err(|_| {
            "must be JSON with a type of start_listening, stop_listening, interrupt or first_sound, and what belongs to it"
        })?;
        let (ms, wrong) = match said {
            Self::Interrupt { played_ms: Some(ms) } => (ms, "played_ms must be milliseconds"),
            Self::FirstSound { after_ms } => (after_ms, "after_ms must be milliseconds"),
            Self::StartListening { .. } | Self::StopListening | Self::Interrupt { played_ms: None } => {
                return Ok(said);
            }
        };
        if (0.0..=LONGEST_MS).contains(&ms) { Ok(said) } else { Err(wrong) }
    }
}

/// Milliseconds as a time; they have been found to be some.
pub(super) fn millis(ms: f64) -> Duration {
    Duration::try_from_secs_f64(ms / 1000.0).unwrap_or_default()
}

/// What a client is told, beside the sound.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Told {
    Connected {
        session_id: SessionId,
    },
    Transcription {
        text: String,
        #[serde(rename = "final")]
        is_final: bool,
    },
    ResponseDelta {
        text: String,
    },
    Response {
        text: String,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        memories: Vec<UsedMemory>,
        degraded: Vec<&'static str>,
    },
    AudioStart {
        mime: &'static str,
        index: u32,
        text: String,
    },
    AudioEnd {
        interrupted: bool,
    },
    Error {
        message: String,
        code: &'static str,
    },
}

impl Told {
    pub(super) fn json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_clients_say_is_read_and_nonsense_refused() {
        assert_eq!(Said::read(r#"{"type":"start_listening"}"#), Ok(Said::StartListening { turn_id: None }));
        assert_eq!(Said::read(r#"{"type":"stop_listening","more":1}"#), Ok(Said::StopListening));
        let heard = Said::FirstSound { after_ms: 412.5 };
        assert_eq!(Said::read(r#"{"type":"first_sound","after_ms":412.5}"#), Ok(heard));
        let played = Said::Interrupt { played_ms: Some(1500.5) };
        assert_eq!(Said::read(r#"{"type":"interrupt","played_ms":1500.5}"#), Ok(played));
        for wrong in [
            "",
            "{}",
            "[]",
            "null",
            r#"{"type":"sing"}"#,
            r#"{"type":"start_listening","turn_id":"x"}"#,
            r#"{"type":"interrupt","played_ms":-1}"#,
            r#"{"type":"interrupt","played_ms":1e300}"#,
            r#"{"type":"interrupt","played_ms":"1"}"#,
            r#"{"type":"first_sound"}"#,
            r#"{"type":"first_sound","after_ms":-0.5}"#,
            r#"{"type":"first_sound","after_ms":86400001}"#,
        ] {
            assert!(Said::read(wrong).is_err(), "{wrong}");
        }
    }
}
