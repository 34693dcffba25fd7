//! What somebody wants to be done with what they say: learned from, left alone, forgotten.

use crate::domain::memory::learning::{plain, sentences};

/// What somebody wants to be done with what they have said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wish {
    /// Nothing was said of it: whatever is worth it is learned.
    Learn,
    /// "Don't remember this": nothing is learned from this message.
    NotThis,
    /// "Forget that": what was learned from the turn before is forgotten, and nothing is learned from this one.
    ForgetBefore,
    /// "Forget that I live in Porto": that statement is forgotten.
    Forget(String),
}

/// What somebody wants to be done with what they have said.
#[must_use]
pub fn wish(said: &str) -> Wish {
    let all: Vec<_> = sentences(said).collect();
    for sentence in &all {
        let words = plain(sentence);
        let polite = ["please", "just", "can", "could", "you", "ok", "okay", "no"];
        let words: Vec<_> =
            words.iter().map(String::as_str).skip_while(|word| polite.contains(word)).collect();
        match words.as_slice() {
            ["forget", "that" | "about", rest @ ..] if !rest.is_empty() && matches!(rest[0], "i" | "my") => {
                return Wish::Forget(rest.join(" "));
            }
            ["forget", "that" | "this"] | ["forget", "what", "i", ..] => return Wish::ForgetBefore,
            ["not", "remember" | "save" | "keep" | "store" | "note", "that" | "this" | "it", ..] => {
                return if all.len() == 1 { Wish::ForgetBefore } else { Wish::NotThis };
            }
            words if words.windows(3).any(|three| three == ["off", "the", "record"]) => return Wish::NotThis,
            _ => {}
        }
    }
    Wish::Learn
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wish_to_forget_is_heard() {
        for (said, wanted) in [
            ("Forget that.", Wish::ForgetBefore),
            ("please forget what I just said", Wish::ForgetBefore),
            ("Don't remember this", Wish::ForgetBefore),
            ("Don't remember this. My sister is ill.", Wish::NotThis),
            ("Off the record, my sister is ill", Wish::NotThis),
            ("Forget that I live in Porto", Wish::Forget("i live in porto".to_owned())),
            ("I always forget that", Wish::Learn),
            ("I cannot forget what she said", Wish::Learn),
            ("Do you remember that?", Wish::Learn),
            ("I don't remember this place", Wish::Learn),
        ] {
            assert_eq!(wish(said), wanted, "{said}");
        }
    }

    #[test]
    fn nothing_is_too_strange() {
        for strange in ["", "\u{1f600}", "forget", "forget that i", "not remember", "off the", "' ' '"] {
            drop(wish(strange));
        }
    }
}
