//! Which format a file has, by its first bytes alone: names and declared types are only what somebody says.

use super::{AudioFormat, mp3};

/// The brands of ISO base media files that are pictures (ISO/IEC 23008-12, AV1 image format).
const PICTURES: [&[u8; 4]; 8] = [b"heic", b"heix", b"hevc", b"hevx", b"mif1", b"msf1", b"avif", b"avis"];
/// EBML's magic number (RFC 8794) and how far into the file the kind of document is looked for.
const EBML: [u8; 4] = [0x1A, 0x45, 0xDF, 0xA3];
const EBML_HEAD: usize = 64;

pub(super) fn format(bytes: &[u8]) -> Option<AudioFormat> {
    let at = |from: usize, len: usize| bytes.get(from..from + len).unwrap_or_default();
    if at(0, 4) == b"RIFF" && at(8, 4) == b"WAVE" {
        return Some(AudioFormat::Wav);
    }
    if at(0, 4) == b"OggS" && at(4, 1) == [0] {
        return Some(AudioFormat::Ogg);
    }
    if at(0, 4) == b"fLaC" {
        return Some(AudioFormat::Flac);
    }
    if at(0, 4) == EBML && is_webm(bytes) {
        return Some(AudioFormat::WebM);
    }
    if at(4, 4) == b"ftyp" && at(8, 4).len() == 4 && !PICTURES.iter().any(|brand| at(8, 4) == *brand) {
        return Some(AudioFormat::M4a);
    }
    if at(0, 3) == b"ID3" {
        return behind_tag(bytes);
    }
    mp3::begins(bytes).then_some(AudioFormat::Mp3)
}

/// `webm` or `matroska`, of which it is a part, as the document type in the EBML header.
fn is_webm(bytes: &[u8]) -> bool {
    let head = &bytes[..bytes.len().min(EBML_HEAD)];
    let holds = |name: &[u8]| head.windows(name.len()).any(|window| window == name);
    holds(b"webm") || holds(b"matroska")
}

/// What follows an `ID3v2` tag; a tag longer than what is there is one of an MP3 file, as nearly all are.
fn behind_tag(bytes: &[u8]) -> Option<AudioFormat> {
    let rest = mp3::without_tags(bytes);
    if rest.is_empty() {
        return (mp3::tag_bytes(bytes)? > bytes.len()).then_some(AudioFormat::Mp3);
    }
    if rest.starts_with(b"fLaC") {
        return Some(AudioFormat::Flac);
    }
    mp3::begins(rest).then_some(AudioFormat::Mp3)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_format_is_told_by_its_first_bytes() {
        let frame = [0xFF, 0xFB, 0x90, 0x00];
        let mp3 = [&frame[..], &[0; 413], &frame].concat();
        let tagged = [b"ID3\x04\x00\x00\x00\x00\x00\x03abc", &mp3[..]].concat();
        for (bytes, expected) in [
            (&b"RIFF\xff\xff\xff\xffWAVEfmt "[..], AudioFormat::Wav),
            (b"OggS\0\x02", AudioFormat::Ogg),
            (b"fLaC\0\0\0\x22", AudioFormat::Flac),
            (b"\x1a\x45\xdf\xa3\x9f\x42\x86\x81\x01\x42\x82\x84webm", AudioFormat::WebM),
            (b"\0\0\0\x1cftypM4A \0\0", AudioFormat::M4a),
            (b"\0\0\0\x18ftypisom", AudioFormat::M4a),
            (&mp3, AudioFormat::Mp3),
            (&tagged, AudioFormat::Mp3),
            (b"ID3\x04\x00\x00\x00\x00\x7f\x00", AudioFormat::Mp3),
        ] {
            assert_eq!(format(bytes), Some(expected), "{bytes:?}");
        }
    }

    #[test]
    fn what_is_no_audio_is_not_taken_for_some() {
        for bytes in [
            &b""[..],
            b"\0",
            b"RIFF\0\0\0\0AVI ",
            b"RIFF",
            b"\x1a\x45\xdf\xa3\0\0\0\0",
            b"\0\0\0\x18ftypheic",
            b"\0\0\0\x18ftyp",
            b"ID3\x04\x00\x00\x00\x00\x00\x01xtext",
            b"\xff\xd8\xff\xe0JFIF",
            b"\xff\xfe<\0h\0t\0m\0l\0",
            b"\xff\xfb",
            b"%PDF-1.7",
        ] {
            assert_eq!(format(bytes), None, "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn no_text_is_audio_and_nothing_makes_it_stumble(text in "\\PC{0,300}", bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let magic = ["RIFF", "OggS", "fLaC", "ID3"].iter().any(|magic| text.starts_with(magic));
            prop_assert!(magic || text.get(4..8) == Some("ftyp") || format(text.as_bytes()).is_none());
            let _ = format(&bytes);
            if let Some(format) = format(&bytes) {
                let _ = crate::domain::audio::duration(format, &bytes);
            }
        }
    }
}
