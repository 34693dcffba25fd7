//! Hears words of self-harm, however they are spelled. Too careful is better than deaf, but everyday figures of speech
//! ("this heat is killing me") must not set it off.
//!
//! The words are brought into a plain form, figures of speech are taken out, and in what is left the rules look for:
//! violence against oneself, a wish to be dead, not wanting to live, a way in which it would be done. Other languages
//! have a short list of their own.

use std::sync::LazyLock;

use crate::adapters::offline::patterns::Patterns;
use crate::adapters::offline::plain;

mod elsewhere;
mod english;

static HEARD: LazyLock<Patterns> = LazyLock::new(|| Patterns::new(english::HEARD, english::SETS));
static FIGURES: LazyLock<Patterns> = LazyLock::new(|| Patterns::new(english::FIGURES, english::SETS));
static ELSEWHERE: LazyLock<Patterns> = LazyLock::new(|| Patterns::new(elsewhere::HEARD, elsewhere::SETS));

/// True when the text speaks of wanting to die or of hurting oneself.
pub(super) fn is_heard(text: &str) -> bool {
    let words = plain::plain_words(text);
    elsewhere::UNPARTED.iter().any(|said| text.contains(said))
        || ELSEWHERE.stand_in(&words)
        || HEARD.stand_in(&FIGURES.taken_from(&words))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::offline::patterns;

    #[test]
    fn the_lists_hold_patterns_only() {
        for list in [english::HEARD, english::FIGURES] {
            assert_eq!(patterns::faults(list, english::SETS), [""; 0]);
        }
        assert_eq!(patterns::faults(elsewhere::HEARD, elsewhere::SETS), [""; 0]);
    }

    fn heard(list: &str) -> (Vec<&str>, Vec<&str>) {
        list.lines().map(str::trim).filter(|line| !line.is_empty()).partition(|said| is_heard(said))
    }

    #[test]
    fn words_of_self_harm_are_heard_however_they_are_spelled() {
        let (_, missed) = heard(include_str!("crisis/said.txt"));
        assert_eq!(missed, [""; 0]);
        for said in ["i WANT   to\ndie!!", "I don\u{2019}t want to live", "I want to k\u{200b}ill myself"] {
            assert!(is_heard(said), "{said}");
        }
    }

    #[test]
    fn they_are_heard_in_other_languages() {
        let (_, missed) = heard(include_str!("crisis/said_elsewhere.txt"));
        assert_eq!(missed, [""; 0]);
    }

    #[test]
    fn everyday_figures_of_speech_are_not() {
        let (mistaken, _) = heard(include_str!("crisis/everyday.txt"));
        assert_eq!(mistaken, [""; 0]);
        assert!(!is_heard(""));
    }

    #[test]
    fn a_figure_of_speech_hides_nothing_beside_it() {
        for said in [
            "I cut myself shaving, and honestly I want to die",
            "this heat is killing me and I am going to kill myself",
            "we watched suicide squad. I have been thinking about suicide",
        ] {
            assert!(is_heard(said), "{said}");
        }
    }
}
