//! Hears words of self-harm, however they are spelled. Too careful is better than deaf, but everyday figures of speech
//! ("this heat is killing me") must not set it off.

use crate::adapters::offline::reflect;

/// Sequences of whole words, lower case, without apostrophes.
const PHRASES: [&str; 47] = [
    "kill myself",
    "killing myself",
    "kill my self",
    "killed myself",
    "end my life",
    "ending my life",
    "end my own life",
    "end it all",
    "take my life",
    "take my own life",
    "taking my own life",
    "suicide",
    "suicidal",
    "want to die",
    "wanna die",
    "want to be dead",
    "wanna be dead",
    "wish i was dead",
    "wish i were dead",
    "wish i had never been born",
    "rather be dead",
    "better off dead",
    "better off without me",
    "do not want to live",
    "dont want to live",
    "not want to be alive",
    "dont want to be alive",
    "do not want to be here anymore",
    "dont want to be here anymore",
    "do not want to exist",
    "dont want to exist",
    "dont want to wake up",
    "no reason to live",
    "nothing to live for",
    "no point in living",
    "cannot go on living",
    "cant go on living",
    "tired of living",
    "hurt myself",
    "hurting myself",
    "harm myself",
    "harming myself",
    "cut myself",
    "cutting myself",
    "self harm",
    "overdose",
    "hang myself",
];

/// Looks like one of the phrases and is not.
const FIGURES_OF_SPEECH: [&str; 5] = [
    "cut myself shaving",
    "cut myself cooking",
    "cut myself some slack",
    "hurt myself laughing",
    "suicide squad",
];

/// True when the text speaks of wanting to die or of hurting oneself.
pub(super) fn is_heard(text: &str) -> bool {
    let spoken = format!(" {} ", reflect::words(text).join(" "));
    let spoken =
        FIGURES_OF_SPEECH.iter().fold(spoken, |text, figure| text.replace(&format!(" {figure} "), " "));
    let joined = spoken.replace(" un alive ", " unalive ");
    PHRASES.iter().any(|phrase| joined.contains(&format!(" {phrase} ")))
        || joined.contains(" unalive myself ")
}

#[cfg(test)]
mod tests {
    use super::is_heard;

    #[test]
    fn words_of_self_harm_are_heard_however_they_are_spelled() {
        for said in [
            "I want to die",
            "i WANT   to\ndie!!",
            "I don't want to live anymore",
            "I don\u{2019}t want to live",
            "sometimes I think of suicide.",
            "feeling suicidal again",
            "They would be better off without me",
            "I'm going to kill myself",
            "kill-myself",
            "I keep cutting myself",
            "there is no reason to live",
            "I wish I were dead",
            "I took an overdose",
            "thinking about self-harm",
            "I just want to end it all",
        ] {
            assert!(is_heard(said), "{said}");
        }
    }

    #[test]
    fn everyday_figures_of_speech_are_not() {
        for said in [
            "this heat is killing me",
            "I killed it at work today",
            "I am dead tired",
            "my phone died",
            "I cut myself shaving",
            "I'd kill for a coffee",
            "the plant wants water or it will die",
            "I want to dye my hair",
            "",
        ] {
            assert!(!is_heard(said), "{said}");
        }
    }
}
