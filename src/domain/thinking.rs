//! What a model thinks before it answers is no part of the answer: many write it at the beginning of their reply, between
//! `<think>` and `</think>`.
//!
//! The pieces put together do not depend on how the text was cut on its way here. Nothing that was thought is kept.

const BEGINS: &str = "<think>";
const ENDS: &str = "</think>";

/// Takes the thoughts out of a reply that comes in pieces.
#[derive(Debug, Default)]
pub struct Thinking {
    place: Place,
    /// What has come and is not decided: a part of a mark, or the spaces before it.
    held: String,
}

/// Where in the reply it is.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Place {
    #[default]
    Start,
    Thoughts,
    /// Behind them, before the first word of the answer.
    Behind,
    Answer,
}

impl Thinking {
    /// Takes the next piece; gives what of the answer is there now.
    pub fn push(&mut self, piece: &str) -> String {
        if self.place == Place::Answer {
            return piece.to_owned();
        }
        self.held.push_str(piece);
        if self.place == Place::Start {
            self.begin();
        }
        if self.place == Place::Thoughts {
            self.skip();
        }
        if self.place == Place::Behind {
            self.held = self.held.trim_start().to_owned();
            if !self.held.is_empty() {
                self.place = Place::Answer;
            }
        }
        if self.place == Place::Answer { std::mem::take(&mut self.held) } else { String::new() }
    }

    /// What is left at the reply's end; nothing when it ends in the midst of thought.
    pub fn finish(&mut self) -> String {
        let rest = std::mem::take(&mut self.held);
        if self.place == Place::Start { rest } else { String::new() }
    }

    fn begin(&mut self) {
        let said = self.held.trim_start();
        if let Some(thoughts) = said.strip_prefix(BEGINS) {
            self.held = thoughts.to_owned();
            self.place = Place::Thoughts;
        } else if !BEGINS.starts_with(said) {
            self.place = Place::Answer;
        }
    }

    /// Leaves of the thoughts only what may be the beginning of their end.
    fn skip(&mut self) {
        if let Some((_, behind)) = self.held.split_once(ENDS) {
            self.held = behind.to_owned();
            self.place = Place::Behind;
            return;
        }
        let known = self.held.len().saturating_sub(ENDS.len() - 1);
        self.held.drain(..self.held.floor_char_boundary(known));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn answer(pieces: &[&str]) -> String {
        let mut thinking = Thinking::default();
        let mut said: String = pieces.iter().map(|piece| thinking.push(piece)).collect();
        said.push_str(&thinking.finish());
        said
    }

    #[test]
    fn what_is_thought_before_the_answer_is_left_out() {
        for (text, expected) in [
            ("<think>\nWhat do they want? </thin\u{fc}\n</think>\n\nHello. ", "Hello. "),
            ("\n<think></think>Hello.", "Hello."),
            ("<think>I never end", ""),
            ("<think>", ""),
            ("<thi", "<thi"),
            (" Hello <think>you</think>.", " Hello <think>you</think>."),
            ("<thinking> is a mark of others", "<thinking> is a mark of others"),
            ("  ", "  "),
            ("", ""),
        ] {
            assert_eq!(answer(&[text]), expected, "{text}");
        }
        let mut thinking = Thinking::default();
        assert_eq!(thinking.push("Hel"), "Hel", "an answer is told as it comes");
        assert_eq!(thinking.push("lo"), "lo");
    }

    #[test]
    fn thoughts_are_not_kept() {
        let mut thinking = Thinking::default();
        thinking.push("<think>");
        for _ in 0..1000 {
            assert_eq!(thinking.push("a long thought \u{1f914} "), "");
            assert!(thinking.held.len() < 2 * ENDS.len(), "{}", thinking.held.len());
        }
    }

    proptest! {
        #[test]
        fn however_it_is_cut_it_is_the_same(text in "( |<think>|<think|</think>|\u{e4}|<|[a-c]){0,20}", cuts in prop::collection::vec(0_usize..60, 0..8)) {
            let mut places: Vec<_> = cuts.into_iter().filter(|at| *at <= text.len() && text.is_char_boundary(*at)).collect();
            places.extend([0, text.len()]);
            places.sort_unstable();
            let pieces: Vec<_> = places.windows(2).map(|pair| &text[pair[0]..pair[1]]).collect();
            prop_assert_eq!(answer(&pieces), answer(&[&text]));
        }
    }
}
