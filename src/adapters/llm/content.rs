//! The content of a message: mostly text, with some models a list of parts, of which the texts are what is said.
//!
//! Shape of a part: `{"type": "text", "text": "..."}`; Mistral's `{"type": "thinking", "thinking": [...]}` has none
//! (<https://docs.mistral.ai/capabilities/reasoning/>).

use std::fmt::{Formatter, Result as FmtResult};

use serde::de::{Error, IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

#[derive(Deserialize)]
#[serde(untagged)]
enum Part {
    Bare(String),
    /// `type` says what it is; some leave it out.
    Typed {
        r#type: Option<String>,
        text: String,
    },
    /// Thoughts, images, and what is not known yet.
    Other(IgnoredAny),
}

impl Part {
    fn words(self) -> Option<String> {
        match self {
            Self::Bare(text) => Some(text),
            Self::Typed { r#type, text } => {
                r#type.is_none_or(|kind| TEXTS.contains(&kind.as_str())).then_some(text)
            }
            Self::Other(_) => None,
        }
    }
}

/// As OpenAI's completions and responses call it
/// (<https://platform.openai.com/docs/api-reference/responses/object>).
const TEXTS: [&str; 2] = ["text", "output_text"];

struct Words;

/// The words in it; none when it is null.
///
/// # Errors
/// It is something else.
pub(super) fn words<'de, D: Deserializer<'de>>(content: D) -> Result<String, D::Error> {
    content.deserialize_any(Words)
}

impl<'de> Visitor<'de> for Words {
    type Value = String;

    fn expecting(&self, formatter: &mut Formatter<'_>) -> FmtResult {
        formatter.write_str("a text or a list of parts")
    }

    fn visit_unit<E: Error>(self) -> Result<String, E> {
        Ok(String::new())
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<String, E> {
        Ok(text.to_owned())
    }

    fn visit_string<E: Error>(self, text: String) -> Result<String, E> {
        Ok(text)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<String, A::Error> {
        let mut words = String::new();
        while let Some(part) = parts.next_element::<Part>()? {
            words.push_str(&part.words().unwrap_or_default());
        }
        Ok(words)
    }
}
