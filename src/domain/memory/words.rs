//! Which words of a text count when memories are searched, and how each is written down.
//!
//! A text is lower-cased, its letters are put together with their marks, and it is cut at everything that is neither letter nor digit; words that tell nothing are left out, and
//! of the others, where they are plain Latin letters, the ending is cut off (Snowball's English stemmer: "moving" finds
//! "moved"). Scripts that put no spaces between words are cut into characters and pairs of them, also in the midst of other letters;
//! what is asked in them is cut into pairs alone, where it has any.

use rust_stemmers::{Algorithm, Stemmer};

use crate::domain::plain::composed;

/// A word as the index keeps it: a hash of it. Two words of one person that share one are taken for the same, which among
/// 100,000 words happens about once.
pub type Term = u32;

/// Words that are in every text, and those that questions are made of.
const TELL_NOTHING: &[&str] = &[
    "a", "about", "an", "and", "are", "as", "at", "be", "been", "but", "by", "can", "could", "did", "do",
    "does", "for", "from", "had", "has", "have", "he", "her", "him", "his", "how", "i", "if", "in", "into",
    "is", "it", "its", "may", "me", "might", "my", "no", "not", "of", "on", "or", "our", "she", "should",
    "so", "such", "than", "that", "the", "their", "them", "then", "there", "these", "they", "this", "to",
    "us", "was", "we", "were", "what", "when", "where", "which", "who", "whom", "whose", "why", "will",
    "with", "would", "you", "your", "am", "being", "doing", "having", "hers", "just", "let", "mine",
    "myself", "ours", "s", "t", "theirs", "yours", "yourself",
];

/// The words of `text` that count, in order, as often as they are there.
#[must_use]
pub fn terms(text: &str) -> Vec<Term> {
    cut(text, true, false)
}

/// Every word of `text`, in order: also those that tell nothing, and what was ("lived") apart from what is ("lives").
#[must_use]
pub fn all_terms(text: &str) -> Vec<Term> {
    cut(text, true, true)
}

/// The words of a question that count. Of a script that is cut into pairs a single character is in nearly every text: it is only asked
/// for when there is no other beside it.
#[must_use]
pub fn asked(question: &str) -> Vec<Term> {
    cut(question, false, false)
}

fn cut(text: &str, each_character: bool, each_word: bool) -> Vec<Term> {
    let stemmer = Stemmer::create(Algorithm::English);
    let mut found = Vec::new();
    let lowered = text.to_lowercase().replace("'s ", " ").replace("\u{2019}s ", " ");
    let composed = composed(&lowered);
    let runs = composed.split(|c: char| !c.is_alphanumeric());
    for (word, in_pairs) in runs.flat_map(of_one_kind) {
        if in_pairs {
            add_pairs(word, each_character, &mut found);
        } else if each_word || !tells_nothing(word) {
            let plain = word.bytes().all(|byte| byte.is_ascii_lowercase());
            let plain = plain && !(each_word && word.ends_with("ed"));
            found.push(if plain { hash(&stemmer.stem(word)) } else { hash(word) });
        }
    }
    found
}

/// Whether a word is in every text.
#[must_use]
pub fn tells_nothing(word: &str) -> bool {
    TELL_NOTHING.contains(&word)
}

/// Its parts, each of letters that are cut into pairs, or of others.
fn of_one_kind(run: &str) -> impl Iterator<Item = (&str, bool)> {
    let mut rest = run;
    std::iter::from_fn(move || {
        let in_pairs = is_cut_into_pairs(rest.chars().next()?);
        let end = rest.find(|c| is_cut_into_pairs(c) != in_pairs).unwrap_or(rest.len());
        let (part, after) = rest.split_at(end);
        rest = after;
        Some((part, in_pairs))
    })
}

/// Thai, Lao, Burmese, Khmer, Hiragana, Katakana, Han.
const fn is_cut_into_pairs(c: char) -> bool {
    matches!(c, '\u{0e00}'..='\u{0eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}' | '\u{3005}'..='\u{3007}'
        | '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}'
        | '\u{f900}'..='\u{faff}' | '\u{ff66}'..='\u{ff9f}' | '\u{20000}'..='\u{323af}')
}

fn add_pairs(word: &str, each_character: bool, found: &mut Vec<Term>) {
    let letters: Vec<char> = word.chars().collect();
    if each_character || letters.len() == 1 {
        found.extend(letters.iter().map(|letter| hash(letter.encode_utf8(&mut [0; 4]))));
    }
    found.extend(letters.windows(2).map(|pair| hash(&pair.iter().collect::<String>())));
}

/// FNV-1a with 32 bits.
fn hash(word: &str) -> Term {
    word.bytes().fold(0x811c_9dc5, |hash: u32, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endings_case_and_signs_make_no_difference() {
        assert_eq!(terms("Moving, to Porto!"), terms("moved PORTO"));
        assert_eq!(terms("my sister's garden"), terms("sister gardens"));
        assert_ne!(terms("Porto"), terms("Lisbon"));
    }

    #[test]
    fn words_that_tell_nothing_are_left_out() {
        assert!(terms("What did I do, and why?").is_empty());
        assert!(terms("... ?! \u{1f600}").is_empty());
        assert_eq!(terms("tea tea").len(), 2, "how often a word is there counts");
    }

    #[test]
    fn other_scripts_are_found_too() {
        assert_eq!(terms("Ольга"), terms("ольга"));
        let (text, asked) = (terms("我住在北京市"), terms("北京"));
        assert!(asked.iter().all(|term| text.contains(term)), "{asked:?} {text:?}");
        assert_eq!(terms("猫").len(), 1);
    }

    #[test]
    fn a_letter_with_marks_is_the_same_however_it_is_written() {
        for (composed, apart) in [
            ("My daughter is called Zo\u{eb}", "My daughter is called Zoe\u{308}"),
            ("M\u{fc}ller", "MU\u{308}LLER"),
            ("\u{1ebf}", "e\u{302}\u{301}"),
            ("\u{30ac}\u{30e9}\u{30b9}", "\u{30ab}\u{3099}\u{30e9}\u{30b9}"),
            ("\u{ac00}", "\u{1100}\u{1161}"),
        ] {
            assert_eq!(terms(composed), terms(apart), "{composed}");
            assert_eq!(asked(composed), asked(apart), "{composed}");
        }
        assert_ne!(terms("Zo\u{eb}"), terms("Zoe"), "a mark makes another letter");
    }

    #[test]
    fn scripts_without_spaces_are_found_by_a_character_and_beside_other_letters() {
        for (text, question) in [
            ("我养了一只猫", "猫"),
            ("我在Google工作", "google"),
            ("我在Google工作", "工作"),
            ("私はiPhoneが好きです", "iPhone"),
            ("私は2匹の猫がいます", "猫"),
            ("ฉันอยู่เชียงใหม่", "เชียงใหม่"),
            ("人々", "々"),
        ] {
            let (text_terms, asked_terms) = (terms(text), asked(question));
            assert!(!asked_terms.is_empty(), "{question}");
            assert!(asked_terms.iter().all(|term| text_terms.contains(term)), "{question} in {text}");
        }
        assert_eq!(asked("北京").len(), 1, "more than one character is asked for as it stands");
        assert!(!terms("东北").contains(&asked("北京")[0]));
        assert_eq!(terms("Porto"), asked("Porto"));
    }

    #[test]
    fn no_text_is_too_strange() {
        for text in ["", "'", "'s ", "\u{0}\u{0}", &"x".repeat(100_000), "ıİſK\u{301}", "９９ ⅷ"] {
            drop(terms(text));
        }
    }
}
