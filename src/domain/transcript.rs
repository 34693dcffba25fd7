//! What a transcriber wrote that nobody said: speech recognisers that were trained on subtitles fill silence with what
//! subtitles often say.

/// Credits and calls to subscribe, as they begin in lower case; nobody says these to a companion.
const CREDITS: [&str; 24] = [
    "thanks for watching",
    "thank you for watching",
    "thank you so much for watching",
    "please subscribe",
    "like and subscribe",
    "don't forget to subscribe",
    "subtitles by",
    "subtitled by",
    "subs by",
    "captions by",
    "transcription by",
    "transcribed by",
    "untertitel von",
    "untertitel der",
    "untertitel im auftrag",
    "untertitelung",
    "copyright wdr",
    "sous-titres r\u{e9}alis\u{e9}s",
    "sous-titrage",
    "subt\u{ed}tulos realizados por",
    "legendas pela comunidade",
    "sottotitoli creati dalla",
    "\u{441}\u{443}\u{431}\u{442}\u{438}\u{442}\u{440}\u{44b}",
    "\u{3054}\u{8996}\u{8074}\u{3042}\u{308a}\u{304c}\u{3068}\u{3046}",
];
/// What people do say, and recognisers also write into silence: left out only when there was hardly any speech.
const OFTEN_MADE_UP: [&str; 12] =
    ["thank you", "thanks", "you", "bye", "bye bye", "okay", "oh", "so", "uh", "hmm", "the", "vielen dank"];
/// From this on a recogniser's own word for "no speech here" is believed about what it often makes up.
const PROBABLY_SILENT: f32 = 0.6;

/// What was really said: the transcript, or nothing when it is one of those made of silence. `no_speech` is how probable the
/// transcriber held it that nobody spoke, 0 to 1, if it told.
#[must_use]
pub fn heard(transcript: &str, no_speech: Option<f32>) -> &str {
    let said = transcript.trim();
    let plain = plain(said);
    let silent = no_speech.is_some_and(|probability| probability >= PROBABLY_SILENT);
    let made_up = plain.is_empty()
        || is_sign_of_sound(said)
        || CREDITS
            .iter()
            .any(|credit| plain.starts_with(credit) && plain.chars().count() < credit.chars().count() + 60)
        || silent && OFTEN_MADE_UP.contains(&plain.as_str());
    if made_up { "" } else { said }
}

/// In lower case, without the signs around it.
fn plain(text: &str) -> String {
    text.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase()
}

/// `[BLANK_AUDIO]`, `(soft music)`, `*sighs*`: what subtitles tell of sounds; one in one pair of brackets.
fn is_sign_of_sound(text: &str) -> bool {
    [('[', ']'), ('(', ')'), ('*', '*'), ('\u{266a}', '\u{266a}')].into_iter().any(|(open, close)| {
        let inside = text.strip_prefix(open).and_then(|rest| rest.strip_suffix(close));
        inside.is_some_and(|inside| !inside.contains([open, close]) && inside.chars().count() < 40)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_silence_is_made_into_is_not_heard() {
        for made_up in [
            "",
            " \n",
            ".",
            "...",
            "\u{266a}",
            "\u{266a} la la \u{266a}",
            "[BLANK_AUDIO]",
            "(soft music)",
            "*sighs*",
            "Thanks for watching!",
            "Thank you so much for watching.",
            "Subtitles by the Amara.org community",
            "Untertitel der Amara.org-Community",
            "Sous-titres r\u{e9}alis\u{e9}s par la communaut\u{e9} d'Amara.org",
            "\u{3054}\u{8996}\u{8074}\u{3042}\u{308a}\u{304c}\u{3068}\u{3046}\u{3054}\u{3056}\u{3044}\u{307e}\u{3057}\u{305f}",
        ] {
            assert_eq!(heard(made_up, None), "", "{made_up}");
        }
    }

    #[test]
    fn what_people_say_is_heard() {
        for said in [
            "Thank you.",
            "You",
            "Bye!",
            "(well) I do not know (yet)",
            "I made subtitles by hand yesterday",
            "Thanks for watching over my mother while I was in hospital last week, I do not know how to thank you for it",
        ] {
            assert_eq!(heard(said, None), said);
            assert_eq!(heard(&format!(" {said}\n"), Some(0.1)), said);
        }
        assert_eq!(heard("Thank you.", Some(0.9)), "");
        assert_eq!(heard("I am sad.", Some(0.9)), "I am sad.", "what was said quietly is heard");
    }
}
