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

/// How long sessions and people are kept; `None` for good.
#[derive(Debug, Clone, Copy)]
pub struct Kept {
    /// A session that is idle.
    pub session_days: Option<RetentionDays>,
    /// A person who is not seen, and with them all their sessions.
    pub person_days: Option<RetentionDays>,
}

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
    /// A pinned session stays as long as its person.
    pub pinned: bool,
    /// Whether memories may be read and written.
    pub remembered: bool,
    /// How many turns it holds.
    pub checkpoints: u64,
}

impl Session {
    /// When `cleanup-sessions` may take it, if its person, `last_seen_at` so far, does not come again: by itself or with them,
    /// whichever is earlier. `None` when it stays; a pinned one does as long as its person.
    #[must_use]
    pub fn expires_at(&self, kept: Kept, last_seen_at: Timestamp) -> Option<Timestamp> {
        let by_age = kept.session_days.map(RetentionDays::span);
        let idle = if self.remembered {
            by_age
        } else {
            Some(by_age.map_or(UNREMEMBERED_IDLE, |d| d.min(UNREMEMBERED_IDLE)))
        };
        let alone = idle.map(|span| self.last_active_at.later_by(span));
        // Whoever talks in one of their sessions is there, whether or not they were seen.
        let last_there = last_seen_at.max(self.last_active_at);
        let with_person = kept.person_days.map(|days| last_there.later_by(days.span()));
        alone.into_iter().chain(with_person).min().filter(|_| !self.pinned)
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
        let day = Duration::from_secs(86_400);
        let at = Timestamp::from_millis(1_000);
        let kept = |session_days: u32, person_days: u32| Kept {
            session_days: RetentionDays::new(session_days),
            person_days: RetentionDays::new(person_days),
        };
        let (remembered, pinned, unremembered) =
            (session(true, false), session(true, true), session(false, false));
        let later = |session: &Session, kept: Kept, seen: Timestamp| {
            session.expires_at(kept, seen).map(|until| until.since(at).as_secs() / 86_400)
        };
        let off = 0;
        for (days, expected) in [((7, 400), Some(7)), ((7, off), Some(7)), ((off, off), None)] {
            assert_eq!(later(&remembered, kept(days.0, days.1), at), expected, "{days:?}");
        }
        // With their person, who was seen again after two days.
        let seen = at.later_by(day * 2);
        for (days, expected) in [((500, 400), 402), ((off, 400), 402), ((401, 400), 401), ((7, 1), 3)] {
            assert_eq!(later(&remembered, kept(days.0, days.1), seen), Some(expected), "{days:?}");
        }
        let unseen_for_long = at.earlier_by(day * 300);
        assert_eq!(later(&remembered, kept(off, 400), unseen_for_long), Some(400), "it was talked in since");
        for days in [kept(7, 400), kept(off, 400), kept(off, off)] {
            assert_eq!(later(&pinned, days, at), None);
            assert_eq!(later(&unremembered, days, at), Some(1));
        }
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
