//! Who the companion is, as its file tells it, and what it does at which time of the day.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::domain::clock::Timestamp;

/// Who the companion is. Read from the built-in persona file or the one `PERSONA_FILE` names.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Persona {
    /// The name it goes by.
    pub name: String,
    /// What it is like, in a few sentences, as told to a model.
    pub character: String,
    /// What it says when a session starts; one is chosen. Never empty.
    pub greetings: Vec<String>,
    /// What it says when asked what it is, and no model is behind it: the honest truth.
    pub honesty: String,
    /// The same with a model behind it, as told to the model.
    #[serde(default = "honesty_with_model")]
    pub honesty_with_model: String,
    /// What it says when nothing was heard; one is chosen. Never empty.
    #[serde(default)]
    pub silence: Vec<String>,
    /// What it says when words of self-harm were heard.
    pub crisis: Crisis,
    /// The same to words in these languages, by their codes: `de`.
    #[serde(default)]
    pub crisis_in: BTreeMap<String, Crisis>,
    /// How it speaks, where that can be set.
    pub voice: Option<VoiceSettings>,
    /// What it does when.
    #[serde(default)]
    pub schedule: Schedule,
}

/// How a voice of ElevenLabs' speaks; what is left out is as the voice is set there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct VoiceSettings {
    /// From lively (0) to even (1).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stability: Option<Share>,
    /// How closely it keeps to the voice it was made from, 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub similarity_boost: Option<Share>,
    /// How much it exaggerates, 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub style: Option<Share>,
    /// Still closer to the voice it was made from, and slower.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub use_speaker_boost: Option<bool>,
    /// How fast it speaks, 0.7 to 1.2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub speed: Option<Speed>,
}

/// A number from 0 to 1, in thousandths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Share(u16);

/// A number from 0.7 to 1.2, in thousandths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Speed(u16);

impl TryFrom<f64> for Share {
    type Error = &'static str;

    fn try_from(number: f64) -> Result<Self, Self::Error> {
        thousandths(number, 0, 1000).map(Self).ok_or("must be from 0 to 1")
    }
}

impl TryFrom<f64> for Speed {
    type Error = &'static str;

    fn try_from(number: f64) -> Result<Self, Self::Error> {
        thousandths(number, 700, 1200).map(Self).ok_or("must be from 0.7 to 1.2")
    }
}

impl From<Share> for f64 {
    fn from(share: Share) -> Self {
        Self::from(share.0) / 1000.0
    }
}

impl From<Speed> for f64 {
    fn from(speed: Speed) -> Self {
        Self::from(speed.0) / 1000.0
    }
}

fn thousandths(number: f64, least: u16, most: u16) -> Option<u16> {
    (least..=most).find(|known| (f64::from(*known) - number * 1000.0).abs() <= 0.5)
}

impl Persona {
    /// What it says again and again, word for word.
    pub fn phrases(&self) -> impl Iterator<Item = &str> {
        let texts = [&self.greetings, &self.silence].into_iter().flatten().chain([&self.honesty]);
        texts.chain(self.crises().flat_map(Crisis::texts)).map(String::as_str)
    }

    /// Its answers to words of self-harm, in every language.
    pub fn crises(&self) -> impl Iterator<Item = &Crisis> {
        [&self.crisis].into_iter().chain(self.crisis_in.values())
    }
}

impl Crisis {
    fn texts(&self) -> impl Iterator<Item = &String> {
        self.answers.iter().chain(&self.again).chain([&self.help])
    }
}

/// For persona files that do not say.
fn honesty_with_model() -> String {
    "I am a computer program. A language model writes my words; I am not a person, and I can be wrong."
        .to_owned()
}

/// The answer to words of self-harm, whatever a model would say.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Crisis {
    /// Caring words; one is chosen. Never empty.
    pub answers: Vec<String>,
    /// What may go before them when all of them have been said.
    pub again: Option<String>,
    /// Where people are who help; told after the caring words.
    pub help: String,
}

/// The companion's day.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// How far its clock is ahead of UTC.
    #[serde(default)]
    utc_offset: UtcOffset,
    /// Its parts, each from its time to that of the next one.
    #[serde(default)]
    day: Vec<PartOfDay>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct PartOfDay {
    from: TimeOfDay,
    doing: String,
}

const MINUTES_A_DAY: i64 = 24 * 60;

/// Minutes since midnight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
struct TimeOfDay(i64);

impl TryFrom<String> for TimeOfDay {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        minutes(&text)
            .filter(|minutes| *minutes < MINUTES_A_DAY)
            .map(Self)
            .ok_or("a time is written like 06:30")
    }
}

/// Minutes ahead of UTC.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
struct UtcOffset(i64);

impl TryFrom<String> for UtcOffset {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let ahead = text.strip_prefix('+').and_then(minutes);
        let behind = text.strip_prefix('-').and_then(minutes).map(|minutes| -minutes);
        // From -12:00 to +14:00 in use.
        let offset = ahead.or(behind).filter(|minutes| (-12 * 60..=14 * 60).contains(minutes));
        offset.map(Self).ok_or("utc_offset is written like +01:00, from -12:00 to +14:00")
    }
}

/// Of `06:30`.
fn minutes(text: &str) -> Option<i64> {
    let (hours, minutes) = text.split_once(':')?;
    let two = |part: &str| {
        (part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit())).then(|| part.parse().ok())
    };
    let (hours, minutes): (i64, i64) = (two(hours)??, two(minutes)??);
    (minutes < 60).then_some(hours * 60 + minutes)
}

impl Schedule {
    /// The time on the companion's clock, `14:05`, and what it does then; `None` without a schedule.
    #[must_use]
    pub fn at(&self, now: Timestamp) -> Option<(String, &str)> {
        let minute = (now.as_millis().div_euclid(60_000) + self.utc_offset.0).rem_euclid(MINUTES_A_DAY);
        // Before the first part of a day the last one of the day before goes on.
        let begun = self.day.iter().filter(|part| part.from.0 <= minute).max_by_key(|part| part.from);
        let part = begun.or_else(|| self.day.iter().max_by_key(|part| part.from))?;
        Some((format!("{:02}:{:02}", minute / 60, minute % 60), part.doing.trim()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(text: &str) -> Result<Schedule, String> {
        toml::from_str(text).map_err(|error| error.message().to_owned())
    }

    #[test]
    fn the_day_goes_round_on_the_companions_clock() {
        let day = "[[day]]\nfrom = '22:30'\ndoing = 'night'\n[[day]]\nfrom = '06:00'\ndoing = ' morning '\n";
        let at = |offset: &str, hours: i64, minutes: i64| {
            let schedule = schedule(&format!("utc_offset = '{offset}'\n{day}")).unwrap();
            let now = Timestamp::from_millis(
                1_795_528_449_123 / 86_400_000 * 86_400_000 + (hours * 60 + minutes) * 60_000,
            );
            schedule.at(now).map(|(time, doing)| format!("{time} {doing}")).unwrap()
        };
        assert_eq!(at("+00:00", 6, 0), "06:00 morning");
        assert_eq!(at("+00:00", 5, 59), "05:59 night");
        assert_eq!(at("+00:00", 22, 30), "22:30 night");
        assert_eq!(at("+01:30", 23, 0), "00:30 night");
        assert_eq!(at("-08:00", 1, 0), "17:00 morning");
        assert_eq!(schedule("").unwrap().at(Timestamp::from_millis(0)), None);
    }

    #[test]
    fn other_times_are_refused() {
        for time in ["24:00", "6:00", "06:60", "0600", "noon", "-1:00", "+6:00"] {
            let told = schedule(&format!("[[day]]\nfrom = '{time}'\ndoing = 'x'")).unwrap_err();
            assert!(told.contains("like 06:30"), "{told}");
        }
        for offset in ["01:00", "+15:00", "-12:01", "CET", "+1"] {
            assert!(schedule(&format!("utc_offset = '{offset}'")).unwrap_err().contains("+01:00"));
        }
    }
}
