//! Which statements cannot both be true, because one denies the other: "I no longer live in Porto" and "I live in Porto".

use crate::domain::memory::learning::plain;
use crate::domain::memory::statements;
use crate::domain::memory::unwanted::is_meant;

/// Whether one of two statements denies the other.
#[must_use]
pub fn contradict(one: &str, other: &str) -> bool {
    denies(one, other) || denies(other, one)
}

fn denies(denial: &str, text: &str) -> bool {
    statements::denied(&plain(denial)).iter().any(|said| is_meant(said, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_denial_contradicts_what_it_denies() {
        for (stated, denial) in [
            ("I live in Porto", "I no longer live in Porto"),
            ("I live in Porto", "I don't live in Porto any more"),
            ("I live in Porto with my sister", "We don\u{2019}t live in Porto anymore"),
            ("I moved to Porto", "I don't live in Porto any more"),
            ("I live in Porto now", "I do not live in Porto since May"),
            ("I work as a nurse", "I no longer work as a nurse"),
            ("I work as a nurse", "I don't work as a nurse any more"),
            ("I work at the bank", "I don't work at the bank any more because it closed"),
            ("I'm vegetarian", "I'm not vegetarian any more"),
            ("I am a vegetarian", "I am no longer vegetarian"),
            ("I am allergic to peanuts", "I am not allergic to peanuts"),
            ("I play the violin", "I don't play the violin any more"),
            ("I play the violin in the city orchestra", "I don't play violin any more"),
            ("I am married to Tom", "I'm not married any more"),
            ("My sister lives in Braga", "My sister no longer lives in Braga"),
            ("My sister lives in Braga", "My sister doesn't live in Braga any more"),
            ("My best friend is a nurse", "My best friend is not a nurse"),
        ] {
            assert!(contradict(stated, denial) && contradict(denial, stated), "{stated}: {denial}");
        }
    }

    #[test]
    fn what_may_be_true_together_contradicts_nothing() {
        for (one, other) in [
            ("I live in Lisbon", "I no longer live in Porto"),
            ("I live in Porto Alegre", "I no longer live in Porto"),
            ("My sister lives in Porto", "I no longer live in Porto"),
            ("I don't live in Braga any more", "I no longer live in Porto"),
            ("I no longer live in Porto", "I don't live in Porto any more"),
            ("I work for my brother", "My brother doesn't work for me any more"),
            ("I am divorced", "I am not married"),
            ("I am allergic to nuts", "I am not allergic to peanuts"),
            ("I live in Porto", "I moved to Lisbon"),
            ("", ""),
            ("I", "not"),
            ("my", "my not"),
        ] {
            assert!(!contradict(one, other), "{one}: {other}");
        }
    }
}
