//! What a person has heard of a spoken answer that they interrupted: the history keeps that, not what was made.

use std::time::Duration;

/// One sentence that was spoken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spoken {
    /// Its text.
    pub text: String,
    /// How long it plays: exactly once all of its sound is there, else as such a text usually does.
    pub lasts: Duration,
}

/// How long people speak at a character, roughly: 15 in a second.
const A_CHARACTER: Duration = Duration::from_millis(65);

impl Spoken {
    /// A sentence whose sound has just begun.
    #[must_use]
    pub fn begins(text: &str) -> Self {
        let chars = u32::try_from(text.trim().chars().count()).unwrap_or(u32::MAX);
        Self { text: text.to_owned(), lasts: A_CHARACTER.saturating_mul(chars) }
    }
}

/// What somebody tells who interrupts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Interruption {
    /// How much of the answer's sound was played to them, if they know.
    pub played: Option<Duration>,
    /// Of how many sentences sound was sent to them.
    pub sentences_sent: usize,
    /// How many bytes of the text were sent to them, for where nothing is spoken.
    pub text_sent: usize,
}

/// The part of `sentences` that was heard.
#[must_use]
pub fn heard(sentences: &[Spoken], interruption: Interruption) -> String {
    let sent = &sentences[..interruption.sentences_sent.min(sentences.len())];
    let Some(mut left) = interruption.played else { return text_of(sent) };
    let mut text = String::new();
    for sentence in sent {
        if left < sentence.lasts {
            // The space behind it is not spoken.
            text.push_str(words_within(
                sentence.text.trim_end(),
                left.as_secs_f64() / sentence.lasts.as_secs_f64(),
            ));
            break;
        }
        left -= sentence.lasts;
        text.push_str(&sentence.text);
    }
    text.trim_end().to_owned()
}

fn text_of(sentences: &[Spoken]) -> String {
    let text: String = sentences.iter().map(|sentence| sentence.text.as_str()).collect();
    text.trim_end().to_owned()
}

/// The words that fit into so much of the text, from 0 to 1.
fn words_within(text: &str, share: f64) -> &str {
    let chars = text.chars().count();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        clippy::cast_sign_loss,
        reason = "a share of a sentence's length, which is small"
    )]
    let fit = (chars as f64 * share.clamp(0.0, 1.0)) as usize;
    let Some((cut, next)) = text.char_indices().nth(fit) else { return text };
    if next.is_whitespace() {
        return &text[..cut];
    }
    text[..cut].rfind(char::is_whitespace).map_or("", |space| &text[..space])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn spoken(text: &str, seconds: u64) -> Spoken {
        Spoken { text: text.to_owned(), lasts: Duration::from_secs(seconds) }
    }

    fn at(seconds: f64, sent: usize) -> Interruption {
        Interruption { played: Some(Duration::from_secs_f64(seconds)), sentences_sent: sent, text_sent: 0 }
    }

    #[test]
    fn what_was_played_was_heard_to_the_last_whole_word() {
        let answer = [spoken("One two three. ", 2), spoken("Four five six.", 2)];
        for (seconds, expected) in [
            (0.0, ""),
            (0.3, ""),
            (1.1, "One two"),
            (2.0, "One two three."),
            (3.0, "One two three. Four"),
            (9.0, "One two three. Four five six."),
        ] {
            assert_eq!(heard(&answer, at(seconds, 2)), expected, "{seconds}");
        }
        assert_eq!(heard(&answer, at(9.0, 1)), "One two three.", "what was not sent was not played");
    }

    #[test]
    fn the_space_behind_a_sentence_takes_no_time() {
        let answer = [spoken("One two three. ", 2), spoken("Four.", 1)];
        // As the page counts it, which shows what it takes to have been heard.
        assert_eq!(heard(&answer, at(0.41, 2)), "", "0.41 of 2 s are 2.87 of 14 characters");
    }

    #[test]
    fn without_the_time_what_was_sent_was_heard() {
        let answer = [spoken("One. ", 2), spoken("Two. ", 2), spoken("Three.", 2)];
        let sent = |sentences_sent| Interruption { sentences_sent, ..Interruption::default() };
        assert_eq!(heard(&answer, sent(0)), "");
        assert_eq!(heard(&answer, sent(2)), "One. Two.");
        assert_eq!(heard(&answer, at(2.0, 3)), "One.");
        assert_eq!(Spoken::begins("fifteen letters").lasts, Duration::from_millis(975));
    }

    proptest! {
        #[test]
        fn it_is_always_a_beginning_of_the_answer(texts in prop::collection::vec("[a-z\u{e4} .]{0,20}", 0..5), lasts in 0_u64..4, played in prop::option::of(0.0..20.0_f64), sent in 0_usize..7) {
            let answer: Vec<_> = texts.iter().map(|text| spoken(text, lasts)).collect();
            let interruption = Interruption { played: played.map(Duration::from_secs_f64), sentences_sent: sent, text_sent: 0 };
            prop_assert!(texts.concat().starts_with(&heard(&answer, interruption)));
        }
    }
}
