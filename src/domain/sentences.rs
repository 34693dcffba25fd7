//! Sentences, as soon as they are complete: a reply is spoken while the rest of it is still being written.
//!
//! The pieces put together are the text itself, and do not depend on how the text was cut on its way here.

/// A sentence that goes on for so long is cut where its words allow it.
const LONGEST_CHARS: usize = 300;
/// What ends in a full stop and no sentence, in lower case and without it.
const ABBREVIATIONS: [&str; 30] = [
    "mr", "mrs", "ms", "dr", "prof", "st", "vs", "etc", "e.g", "i.e", "approx", "no", "jr", "sr", "dept",
    "bzw", "ca", "d.h", "z.b", "u.a", "evtl", "usw", "nr", "hr", "fr", "sra", "mme", "cf", "p.s", "ph.d",
];

/// German, in lower case: behind one of these a number with a full stop says which one it is, "am 3. Oktober". (Where months are
/// written small, the small letter tells.) "I am 30." is English.
const BEFORE_AN_ORDINAL: [&str; 14] =
    ["ab", "am", "bis", "das", "dem", "den", "der", "des", "die", "im", "seit", "vom", "zum", "zur"];

/// Cuts a text that comes in pieces into sentences.
#[derive(Debug, Default)]
pub struct Sentences {
    /// What has come and is no whole sentence yet.
    rest: String,
    /// So many of its bytes are known to hold no end.
    seen: usize,
}

impl Sentences {
    /// Takes the next piece; gives what is complete by now, each sentence with the space behind it.
    pub fn push(&mut self, piece: &str) -> Vec<String> {
        self.rest.push_str(piece);
        let mut complete = Vec::new();
        while let Some(end) = self.end() {
            let rest = self.rest.split_off(end);
            complete.push(std::mem::replace(&mut self.rest, rest));
            self.seen = 0;
        }
        complete
    }

    /// What is left at the text's end.
    #[must_use]
    pub fn finish(self) -> Option<String> {
        Some(self.rest).filter(|rest| !rest.is_empty())
    }

    /// Where the first sentence of what is left ends.
    fn end(&mut self) -> Option<usize> {
        let limit = self.rest.char_indices().nth(LONGEST_CHARS).map(|(at, _)| at);
        match (self.full_end(), limit) {
            (Some(end), Some(limit)) if end > limit => Some(too_long(&self.rest[..limit])),
            (None, Some(limit)) => Some(too_long(&self.rest[..limit])),
            (end, _) => end,
        }
    }

    /// Where it ends by its signs. What follows must be there already: behind a space there may be one more closing quote.
    fn full_end(&mut self) -> Option<usize> {
        let signs = self.rest[self.seen..].char_indices().map(|(at, c)| (self.seen + at, c));
        for (at, c) in signs.filter(|(_, c)| ends_sentence(*c)) {
            match behind(&self.rest, at + c.len_utf8(), c) {
                Behind::Unknown => {
                    self.seen = at;
                    return None;
                }
                Behind::Next(start) if c != '.' || is_full_stop(&self.rest[..at], &self.rest[start..]) => {
                    return Some(start);
                }
                Behind::Next(_) | Behind::Word => {}
            }
        }
        self.seen = self.rest.len();
        None
    }
}

/// Where the beginning of a sentence without end is cut: behind its last comma, else behind its last space, else at its end.
fn too_long(head: &str) -> usize {
    let behind_last = |is: fn(char) -> bool| {
        let mut backwards = head.char_indices().rev().take_while(|(at, _)| *at > head.len() / 3);
        backwards.find(|(_, c)| is(*c)).map(|(at, c)| at + c.len_utf8())
    };
    let comma = head.rfind(", ").filter(|at| *at > head.len() / 3).map(|at| at + 2);
    comma
        .or_else(|| behind_last(|c| matches!(c, ';' | ':' | '\u{3001}' | '\u{ff0c}')))
        .or_else(|| behind_last(char::is_whitespace))
        .unwrap_or(head.len())
}

/// What comes behind the sign that may end a sentence.
enum Behind {
    /// That is not known yet.
    Unknown,
    /// Something that belongs to it.
    Word,
    /// The next sentence, from here on.
    Next(usize),
}

/// Chinese and Japanese need no space behind their full stop; a line's end is one as well.
fn behind(text: &str, after: usize, sign: char) -> Behind {
    let mut spaces = needs_no_space(sign);
    // `?!`, `...`, `.")`: signs that follow at once belong to the end.
    let mut at_once = sign != '\n';
    for (at, c) in text[after..].char_indices() {
        if c.is_whitespace() {
            (spaces, at_once) = (true, false);
        } else if at_once && (ends_sentence(c) || closes(c)) {
            spaces |= needs_no_space(c);
        } else {
            return if spaces { Behind::Next(after + at) } else { Behind::Word };
        }
    }
    Behind::Unknown
}

const fn ends_sentence(c: char) -> bool {
    matches!(
        c,
        '.' | '!' | '?' | '\n' | '\u{2026}' | '\u{3002}' | '\u{ff01}' | '\u{ff1f}' | '\u{0964}' | '\u{061f}'
    )
}

const fn needs_no_space(c: char) -> bool {
    matches!(c, '\n' | '\u{3002}' | '\u{ff01}' | '\u{ff1f}')
}

const fn closes(c: char) -> bool {
    matches!(
        c,
        '"' | '\''
            | ')'
            | ']'
            | '*'
            | '_'
            | '\u{201d}'
            | '\u{2019}'
            | '\u{201c}'
            | '\u{bb}'
            | '\u{203a}'
            | '\u{300d}'
            | '\u{300f}'
            | '\u{3011}'
            | '\u{ff09}'
    )
}

/// Not the end of an abbreviation, of an initial, or of a number in a list or of a day, and not in front of a small letter.
fn is_full_stop(before: &str, next: &str) -> bool {
    let mut words = before.rsplit(char::is_whitespace);
    let word = words.next().unwrap_or_default();
    let (behind, further) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let ordinal = further != "I" && is_ordinal(word, behind);
    let word = word.trim_start_matches(|c: char| !c.is_alphanumeric());
    let bare = word.to_lowercase();
    let initial = word.chars().count() == 1 && word.chars().all(char::is_uppercase) && word != "I";
    let numbered =
        before.lines().next_back().unwrap_or_default().trim() == word && word.chars().all(char::is_numeric);
    let goes_on = next.chars().next().is_some_and(char::is_lowercase);
    !(initial || numbered || ordinal || goes_on || word.is_empty() || ABBREVIATIONS.contains(&bare.as_str()))
}

/// Whether a number, behind this word and in front of a full stop, says which one.
fn is_ordinal(number: &str, behind: &str) -> bool {
    let short = (1..=2).contains(&number.len()) && number.bytes().all(|digit| digit.is_ascii_digit());
    short && BEFORE_AN_ORDINAL.contains(&behind.to_lowercase().as_str())
}

/// A whole text in passages of at most so many characters, each of as many sentences as fit.
#[must_use]
pub fn passages(text: &str, most_chars: usize) -> Vec<String> {
    let mut sentences = Sentences::default();
    let mut complete = sentences.push(text);
    complete.extend(sentences.finish());
    let (mut passages, mut chars) = (Vec::<String>::new(), 0);
    for sentence in complete {
        let more = sentence.chars().count();
        match passages.last_mut().filter(|_| chars + more <= most_chars) {
            Some(passage) => {
                passage.push_str(&sentence);
                chars += more;
            }
            None => {
                passages.push(sentence);
                chars = more;
            }
        }
    }
    passages
}

/// True when there is something in it to be spoken.
#[must_use]
pub fn is_speakable(sentence: &str) -> bool {
    sentence.chars().any(char::is_alphanumeric)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cut(pieces: &[&str]) -> Vec<String> {
        let mut sentences = Sentences::default();
        let mut all: Vec<_> = pieces.iter().flat_map(|piece| sentences.push(piece)).collect();
        all.extend(sentences.finish());
        all
    }

    #[test]
    fn sentences_end_where_a_reader_ends_them() {
        for (text, expected) in [
            ("Hello. How are you?", &["Hello. ", "How are you?"][..]),
            (
                "Dr. Who met Mr. J. Smith at 3.5 km. He left.",
                &["Dr. Who met Mr. J. Smith at 3.5 km. ", "He left."],
            ),
            ("What?! \"Really?\" Yes...", &["What?! ", "\"Really?\" ", "Yes..."]),
            ("It is e.g. this. And that.", &["It is e.g. this. ", "And that."]),
            ("First:\n1. Breathe.\n2. Wait.\n", &["First:\n", "1. Breathe.\n", "2. Wait.\n"]),
            ("So do I. And you?", &["So do I. ", "And you?"]),
            ("Wait... what was that", &["Wait... what was that"]),
            (
                "\u{4f60}\u{597d}\u{3002}\u{5f88}\u{597d}\u{ff01}",
                &["\u{4f60}\u{597d}\u{3002}", "\u{5f88}\u{597d}\u{ff01}"],
            ),
            ("(Yes.) No.", &["(Yes.) ", "No."]),
            (
                "\u{ff08}\u{597d}\u{3002}\u{ff09}\u{300e}\u{597d}\u{3002}\u{300f}\u{597d}",
                &["\u{ff08}\u{597d}\u{3002}\u{ff09}", "\u{300e}\u{597d}\u{3002}\u{300f}", "\u{597d}"],
            ),
            ("example.org is a site", &["example.org is a site"]),
            ("I am 30. And you?", &["I am 30. ", "And you?"]),
            (
                "Am 3. Oktober. Vom 1. bis 24. Dezember. Es waren 3. Oder 4. Und?",
                &["Am 3. Oktober. ", "Vom 1. bis 24. Dezember. ", "Es waren 3. ", "Oder 4. ", "Und?"],
            ),
            ("", &[]),
        ] {
            assert_eq!(cut(&[text]), expected, "{text}");
        }
    }

    #[test]
    fn a_sentence_is_given_as_soon_as_the_next_one_begins() {
        let mut sentences = Sentences::default();
        assert_eq!(sentences.push("I hear you. "), [""; 0], "a quote may still close it");
        assert_eq!(sentences.push("T"), ["I hear you. "]);
        assert_eq!(sentences.push("ell me more."), [""; 0]);
        assert_eq!(sentences.finish().as_deref(), Some("Tell me more."));
    }

    #[test]
    fn a_sentence_without_end_is_cut_between_its_words() {
        let text = "and then, well, there was more of it ".repeat(30);
        let pieces = cut(&[&text]);
        assert!(pieces.len() > 3 && pieces[..3].iter().all(|piece| piece.ends_with(' ')), "{pieces:?}");
        let one_word = "x".repeat(1000);
        assert_eq!(cut(&[&one_word]).len(), 4);
    }

    #[test]
    fn a_long_text_is_cut_into_passages_of_whole_sentences() {
        assert_eq!(passages("One. Two! Three.", 10), ["One. Two! ", "Three."]);
        assert_eq!(passages("One. Two! Three.", 9), ["One. ", "Two! ", "Three."], "spaces count");
        assert_eq!(passages("One. Two!", 9), ["One. Two!"]);
        assert_eq!(passages("", 9), [""; 0]);
        let endless = "and then, ".repeat(1000);
        let cut = passages(&endless, 4096);
        assert_eq!((cut.len(), cut.concat()), (3, endless), "of sentences that are cut themselves");
    }

    #[test]
    fn signs_alone_are_not_spoken() {
        assert!(is_speakable("No.") && is_speakable("\u{597d}") && !is_speakable("... \u{1f600}\n"));
    }

    fn text() -> impl Strategy<Value = String> {
        prop_oneof![
            "[a-cI .!?\n\"',)]{0,200}",
            "\\PC{0,200}",
            "([A-Za-z]{1,9}[.!?;,]? ){0,120}",
            "[\u{4e00}-\u{4e05}\u{3002}\u{ff01}\u{300d} a.]{0,80}"
        ]
    }

    proptest! {
        #[test]
        fn the_pieces_are_the_text_however_it_came(text in text(), cuts in prop::collection::vec(0_usize..400, 0..8)) {
            let whole = cut(&[&text]);
            prop_assert_eq!(whole.concat(), text.clone());
            prop_assert!(whole.iter().all(|piece| !piece.is_empty() && piece.chars().count() <= LONGEST_CHARS + 1 || piece.trim().chars().count() <= LONGEST_CHARS));
            let mut places: Vec<_> = cuts.into_iter().filter(|at| text.is_char_boundary(*at) && *at <= text.len()).collect();
            places.extend([0, text.len()]);
            places.sort_unstable();
            let pieces: Vec<_> = places.windows(2).map(|pair| &text[pair[0]..pair[1]]).collect();
            prop_assert_eq!(cut(&pieces), whole);
        }
    }
}
