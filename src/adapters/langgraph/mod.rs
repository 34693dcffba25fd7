//! What LangGraph's SQLite checkpointer left: found, opened without changing a byte, read message by message.
//!
//! `source` opens the file, `rows` reads its tables, `msgpack` and `json` read the two forms a checkpoint may have, `message` tells what a
//! message in it is.
//!
//! Bounds: a checkpoint of 64 MiB, 100,000 messages in it, 32 levels within a message. What lies between the messages
//! (audio, state of every kind) is stepped over, never built.

use std::borrow::Cow;

use uuid::Uuid;

use crate::domain::clock::Timestamp;

mod json;
mod message;
mod msgpack;
mod rows;
mod source;

pub use message::{Message, Role};
pub use rows::Row;
pub(crate) use source::header;
pub use source::{Source, SourceError, is_one};

/// The largest checkpoint that is read.
pub const MAX_BLOB_BYTES: u64 = 64 * 1024 * 1024;
const MAX_MESSAGES: usize = 100_000;
const MAX_DEPTH: u32 = 32;

/// The channels a conversation is kept in, the most usual first.
const CHANNELS: [&str; 3] = ["messages", "__root__", "chat_history"];

/// Why a checkpoint is not read. Never holds anything of its contents.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// Cut off.
    #[error("it is cut off")]
    CutOff,
    /// Not what a checkpoint looks like.
    #[error("it is damaged or not a checkpoint")]
    Damaged,
    /// More levels than a message has.
    #[error("its messages are nested too deeply")]
    TooDeep,
    /// More messages than a conversation has.
    #[error("it holds more than {MAX_MESSAGES} messages")]
    TooMany,
    /// Larger than [`MAX_BLOB_BYTES`].
    #[error("it is larger than {MAX_BLOB_BYTES} bytes")]
    TooLarge,
    /// A serialiser of somebody's own, pickle, or encryption.
    #[error("its form is neither msgpack nor json")]
    UnknownForm,
}

/// How a checkpoint is written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Since 2024: msgpack with extension types.
    Msgpack,
    /// Before: JSON with `lc` constructors.
    Json,
}

/// The parts of a checkpoint that matter here, still as they were written.
#[derive(Debug, Default)]
pub struct Checkpoint<'a> {
    /// When it was made, as it says itself.
    pub ts: Option<Cow<'a, str>>,
    /// Its messages, each still as it was written; `None` when it holds no channel of messages.
    pub messages: Option<Vec<&'a [u8]>>,
}

impl Form {
    /// The form that the `type` column names; where there is none, what the bytes look like.
    ///
    /// # Errors
    /// [`Unreadable::UnknownForm`].
    pub fn of(named: Option<&str>, bytes: &[u8]) -> Result<Self, Unreadable> {
        match named {
            Some("msgpack") => Ok(Self::Msgpack),
            Some("json") => Ok(Self::Json),
            None if bytes.first() == Some(&b'{') => Ok(Self::Json),
            Some(_) | None => Err(Unreadable::UnknownForm),
        }
    }

    /// Takes a checkpoint apart.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn checkpoint(self, bytes: &[u8]) -> Result<Checkpoint<'_>, Unreadable> {
        match self {
            Self::Msgpack => msgpack::checkpoint(bytes),
            Self::Json => json::checkpoint(bytes),
        }
    }

    /// The messages that a task wrote to a channel, each still as it was written.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn messages(self, bytes: &[u8]) -> Result<Vec<&[u8]>, Unreadable> {
        match self {
            Self::Msgpack => msgpack::messages(bytes),
            Self::Json => json::messages(bytes),
        }
    }

    /// Reads one message; `None` when it is something else.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn message(self, bytes: &[u8]) -> Result<Option<Message>, Unreadable> {
        let node = match self {
            Self::Msgpack => msgpack::node(bytes),
            Self::Json => json::node(bytes),
        };
        Ok(message::read(&node?))
    }
}

/// When a checkpoint was made: what it says itself, or what its id (a version 6 UUID) says, whichever is earlier; a row that was
/// copied or written again may have a new one of either. `None` when neither tells.
#[must_use]
pub fn made_at(ts: Option<&str>, id: &str) -> Option<Timestamp> {
    let ts = ts.and_then(Timestamp::parse);
    let id = Uuid::try_parse(id).ok().filter(|id| id.get_version_num() == 6).map(time_of);
    match (ts, id) {
        (Some(ts), Some(id)) => Some(ts.min(id)),
        (ts, id) => ts.or(id),
    }
}

/// Such a UUID begins with 60 bits of 100 ns since the Gregorian calendar began, the version in between (RFC 9562).
fn time_of(id: Uuid) -> Timestamp {
    const UNIX_EPOCH: i64 = 0x01B2_1DD2_1381_4000;
    let high = i64::try_from(id.as_u128() >> 80).unwrap_or_default();
    let low = i64::try_from(id.as_u128() >> 64 & 0xFFF).unwrap_or_default();
    Timestamp::from_millis(((high << 12 | low) - UNIX_EPOCH).div_euclid(10_000))
}

/// The place of a channel's name among those a conversation is kept in.
fn rank(channel: &str) -> Option<usize> {
    CHANNELS.iter().position(|known| *known == channel)
}

/// What a message is made of, whichever way it was written; only what tells who said what is kept.
#[derive(Debug)]
enum Node<'a> {
    Text(Cow<'a, str>),
    List(Vec<Node<'a>>),
    Map(Vec<(Cow<'a, str>, Node<'a>)>),
    /// An object: the name of its class, and what it was made from.
    Object(Cow<'a, str>, Box<Node<'a>>),
    Other,
}

impl<'a> Node<'a> {
    /// The names under which a message says who said what.
    const KEPT: [&'static str; 8] = ["content", "type", "role", "id", "text", "kwargs", "data", "lc"];

    fn keeps(name: &str) -> bool {
        Self::KEPT.contains(&name)
    }

    fn get(&self, name: &str) -> Option<&Node<'a>> {
        match self {
            Self::Map(entries) => entries.iter().find(|(key, _)| key == name).map(|(_, value)| value),
            Self::Text(_) | Self::List(_) | Self::Object(..) | Self::Other => None,
        }
    }

    /// The text, also of an enumeration's member.
    fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Object(_, made_from) => made_from.text(),
            Self::List(_) | Self::Map(_) | Self::Other => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_tells_when_it_was_made() {
        let id = "1ef4f797-8335-6428-8001-8a1503f9b875";
        let by_id = made_at(None, id).unwrap();
        assert_eq!(by_id.to_string(), "2024-07-31T20:14:19.804Z");
        assert_eq!(made_at(Some("2024-07-31T20:14:20+00:00"), id), Some(by_id));
        assert_eq!(
            made_at(Some("2024-07-31T22:14:19+02:00"), id).unwrap().to_string(),
            "2024-07-31T20:14:19.000Z"
        );
        assert_eq!(made_at(Some("yesterday"), "no id"), None);
    }
}
