//! Audio replies: their ids and formats.

use crate::domain::session::PublicId;

/// Names one audio reply; random, and the only thing needed to hear it.
pub type AudioId = PublicId;

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

    /// The format whose ending is `extension`.
    #[must_use]
    pub fn from_extension(extension: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.extension() == extension)
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

    proptest! {
        #[test]
        fn no_other_name_is_taken_for_ours(name in "[./a-z0-9-]{0,50}") {
            if let Some((id, format)) = parse_file_name(&name) {
                prop_assert_eq!(file_name(id, format), name);
            }
        }
    }
}
