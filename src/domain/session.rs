//! Sessions and their checkpoints: ids, shapes, and when a session is stale.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

use crate::domain::clock::Timestamp;
use crate::domain::retention::{RetentionDays, UNREMEMBERED_IDLE};

/// A public id: 128 bits, 122 of them random, shown as a UUID.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, utoipa::ToSchema)]
#[schema(value_type = String, format = "uuid")]
pub struct PublicId(Uuid);

impl PublicId {
    /// A new random one (UUID version 4).
    #[must_use]
    pub fn random() -> Self {
        Self(Uuid::new_v4())
    }

    /// True when it can be one of [`Self::random`].
    #[must_use]
    pub fn is_random(&self) -> bool {
        self.0.get_version() == Some(uuid::Version::Random)
    }

    /// The 16 bytes as kept in the database.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }

    /// From the 16 bytes kept in the database.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }

    /// The first eight characters: enough to find a line in a log, not enough to use the id.
    #[must_use]
    pub fn short(&self) -> String {
        self.to_string().chars().take(8).collect()
    }
}

impl fmt::Display for PublicId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(out)
    }
}

/// Shortened on purpose: ids are capabilities and must not reach a log whole.
impl fmt::Debug for PublicId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}…", self.short())
    }
}

/// The text is not a UUID in its usual hyphenated form.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not a UUID")]
pub struct NotAnId;

impl FromStr for PublicId {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<Self, NotAnId> {
        if text.len() != 36 {
            return Err(NotAnId);
        }
        Uuid::try_parse(text).map(Self).map_err(|_| NotAnId)
    }
}

impl Serialize for PublicId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PublicId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// The capability for one conversation.
pub type SessionId = PublicId;
/// Names one committed turn.
pub type CheckpointId = PublicId;
/// Names one turn before it is committed; chosen by the client so that it can ask again.
pub type TurnId = PublicId;

/// A session as its person sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Its public id.
    pub id: SessionId,
    /// What the person calls it, or its first words.
    pub title: Option<String>,
    /// When it began.
    pub created_at: Timestamp,
    /// When the last turn was committed.
    pub last_active_at: Timestamp,
    /// A pinned session never expires.
    pub pinned: bool,
    /// Whether memories may be read and written.
    pub remembered: bool,
    /// How many turns it holds.
    pub checkpoints: u64,
}

impl Session {
    /// When `cleanup-sessions` may take it; `None` when it stays.
    #[must_use]
    pub fn expires_at(&self, retention: Option<RetentionDays>) -> Option<Timestamp> {
        let by_age = retention.map(|days| days.span());
        let idle = if self.remembered {
            by_age
        } else {
            Some(by_age.map_or(UNREMEMBERED_IDLE, |d| d.min(UNREMEMBERED_IDLE)))
        };
        idle.filter(|_| !self.pinned).map(|span| self.last_active_at.later_by(span))
    }
}

/// One committed turn.
#[derive(Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Its public id.
    pub id: CheckpointId,
    /// What the person said.
    pub said: String,
    /// What the companion answered.
    pub answered: String,
    /// When the person said it.
    pub said_at: Timestamp,
    /// When the answer was complete.
    pub answered_at: Timestamp,
    /// The spoken answer, while it is kept.
    pub audio: Option<crate::domain::audio::AudioId>,
    /// What of the person's memories the answer was given, best first; some may be forgotten since.
    pub memories: Vec<crate::domain::memory::MemoryId>,
}

/// The longest title made from a message, in characters.
const TITLE_CHARS: usize = 60;

/// The first words of a message, cut at a word's end.
#[must_use]
pub fn title_of(message: &str) -> String {
    let mut title = String::new();
    for word in message.split_whitespace() {
        if !title.is_empty() && title.chars().count() + word.chars().count() >= TITLE_CHARS {
            title.push('…');
            break;
        }
        if !title.is_empty() {
            title.push(' ');
        }
        title.extend(word.chars().filter(|c| !c.is_control()).take(TITLE_CHARS));
    }
    title
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn session(remembered: bool, pinned: bool) -> Session {
        let at = Timestamp::from_millis(1_000);
        Session {
            id: PublicId::random(),
            title: None,
            created_at: at,
            last_active_at: at,
            pinned,
            remembered,
            checkpoints: 0,
        }
    }

    #[test]
    fn a_session_says_when_it_goes() {
        let week = RetentionDays::new(7);
        let day = Duration::from_secs(86_400);
        let at = Timestamp::from_millis(1_000);
        assert_eq!(session(true, false).expires_at(week), Some(at.later_by(day * 7)));
        assert_eq!(session(true, false).expires_at(None), None);
        assert_eq!(session(true, true).expires_at(week), None);
        assert_eq!(session(false, false).expires_at(None), Some(at.later_by(day)));
    }

    #[test]
    fn an_id_is_never_shown_whole_for_debugging() {
        let id = PublicId::random();
        assert!(!format!("{id:?}").contains(&id.to_string()));
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!("../../etc/passwd".parse::<PublicId>(), Err(NotAnId));
    }

    #[test]
    fn a_title_is_short_and_on_one_line() {
        assert_eq!(title_of("  hello\n there "), "hello there");
        assert!(title_of(&"word ".repeat(100)).chars().count() <= TITLE_CHARS + 1);
        assert_eq!(title_of(&"x".repeat(500)).chars().count(), TITLE_CHARS);
    }
}
