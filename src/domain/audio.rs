//! Audio: the ids of audio replies, the formats, told by their first bytes, and how long what is recorded lasts.

use crate::domain::session::PublicId;

pub mod flac;
pub mod mp3;
pub mod ogg;
mod sniff;
pub mod wav;

use std::time::Duration;

use bytes::Bytes;

/// Names one audio reply; random, and the only thing needed to hear it.
pub type AudioId = PublicId;

/// Names the sound of one of the persona's phrases, by what is said and by whom; nothing of a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PhraseId([u8; 32]);

impl PhraseId {
    /// The id that is this hash.
    #[must_use]
    pub const fn from_bytes(hash: [u8; 32]) -> Self {
        Self(hash)
    }
}

/// What an audio file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AudioFormat {
    /// MPEG layer 3.
    Mp3,
    /// RIFF WAVE.
    Wav,
    /// Ogg.
    Ogg,
    /// WebM.
    WebM,
    /// MPEG-4 audio.
    M4a,
    /// FLAC.
    Flac,
}

impl AudioFormat {
    /// Every format, for look-ups by extension.
    pub const ALL: [Self; 6] = [Self::Mp3, Self::Wav, Self::Ogg, Self::WebM, Self::M4a, Self::Flac];

    /// The file name's ending, without the dot; also how the database names it.
    #[must_use]
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Mp3 => "mp3",
            Self::Wav => "wav",
            Self::Ogg => "ogg",
            Self::WebM => "webm",
            Self::M4a => "m4a",
            Self::Flac => "flac",
        }
    }

    /// The content type it is served with.
    #[must_use]
    pub const fn mime(self) -> &'static str {
        match self {
            Self::Mp3 => "audio/mpeg",
            Self::Wav => "audio/wav",
            Self::Ogg => "audio/ogg",
            Self::WebM => "audio/webm",
            Self::M4a => "audio/mp4",
            Self::Flac => "audio/flac",
        }
    }

    /// The format of a file that begins with `bytes`, whatever its name says; the first 64 KiB tell it for certain.
    /// `None` when it is none of ours.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Option<Self> {
        sniff::format(bytes)
    }

    /// The format whose ending is `extension`.
    #[must_use]
    pub fn from_extension(extension: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.extension() == extension)
    }
}

/// How long the audio in `bytes` lasts, where its format tells that without decoding it.
#[must_use]
pub fn duration(format: AudioFormat, bytes: &[u8]) -> Option<Duration> {
    match format {
        AudioFormat::Wav => wav::duration(bytes),
        AudioFormat::Mp3 => mp3::duration(bytes),
        AudioFormat::Ogg => ogg::duration(bytes),
        AudioFormat::Flac => flac::duration(bytes),
        AudioFormat::WebM | AudioFormat::M4a => None,
    }
}

/// Several files of one format as one that plays them one after the other; `None` where the format does not allow that
/// without coding it anew. A single one is mended where its head could not know its length.
#[must_use]
pub fn joined(format: AudioFormat, parts: &[Bytes]) -> Option<Bytes> {
    match (format, parts) {
        (AudioFormat::Wav, _) => wav::joined(parts),
        (AudioFormat::Mp3, [_, _, ..]) => Some(mp3::joined(parts)),
        (_, [only]) => Some(only.clone()),
        (
            AudioFormat::Mp3 | AudioFormat::Ogg | AudioFormat::WebM | AudioFormat::M4a | AudioFormat::Flac,
            _,
        ) => None,
    }
}

/// The name of the file that holds `id`.
#[must_use]
pub fn file_name(id: AudioId, format: AudioFormat) -> String {
    format!("{id}.{}", format.extension())
}

/// Reads a name that [`file_name`] made; anything else is not ours.
#[must_use]
pub fn parse_file_name(name: &str) -> Option<(AudioId, AudioFormat)> {
    let (stem, extension) = name.split_once('.')?;
    let id: AudioId = stem.parse().ok().filter(AudioId::is_random)?;
    let format = AudioFormat::from_extension(extension)?;
    (file_name(id, format) == name).then_some((id, format))
}

const PHRASE: &str = "phrase-";

/// The name of the file that holds the phrase.
#[must_use]
pub fn phrase_file_name(id: PhraseId, format: AudioFormat) -> String {
    let hex: String = id.0.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{PHRASE}{hex}.{}", format.extension())
}

/// True for a name that [`phrase_file_name`] made.
#[must_use]
pub fn is_phrase_file_name(name: &str) -> bool {
    let Some((hex, extension)) = name.strip_prefix(PHRASE).and_then(|rest| rest.split_once('.')) else {
        return false;
    };
    let hexadecimal = hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    hex.len() == 64 && hexadecimal && AudioFormat::from_extension(extension).is_some()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_name_leads_back_to_its_id() {
        let id = AudioId::random();
        for format in AudioFormat::ALL {
            assert_eq!(parse_file_name(&file_name(id, format)), Some((id, format)));
        }
    }

    #[test]
    fn a_name_made_by_others_is_not_ours() {
        let others = [
            "6f1c8a52-31d0-1c1e-9d1e-0123456789ab.mp3",
            "6F1C8A52-31D0-4C1E-9D1E-0123456789AB.mp3",
            "6f1c8a5231d04c1e9d1e0123456789ab.mp3",
            "6f1c8a52-31d0-4c1e-9d1e-0123456789ab.aac",
            "6f1c8a52-31d0-4c1e-9d1e-0123456789ab.mp3.part",
        ];
        for name in others {
            assert_eq!(parse_file_name(name), None, "{name}");
        }
    }

    #[test]
    fn a_phrase_is_no_reply_and_no_reply_a_phrase() {
        let phrase = phrase_file_name(PhraseId::from_bytes([0xab; 32]), AudioFormat::Wav);
        assert!(is_phrase_file_name(&phrase) && parse_file_name(&phrase).is_none(), "{phrase}");
        let reply = file_name(AudioId::random(), AudioFormat::Wav);
        for other in [reply.as_str(), "phrase-ab.wav", &phrase.to_uppercase(), &phrase.replace("wav", "exe")]
        {
            assert!(!is_phrase_file_name(other), "{other}");
        }
    }

    proptest! {
        #[test]
        fn no_other_name_is_taken_for_ours(name in "[./a-z0-9-]{0,50}") {
            if let Some((id, format)) = parse_file_name(&name) {
                prop_assert_eq!(file_name(id, format), name);
            }
        }
    }
}
