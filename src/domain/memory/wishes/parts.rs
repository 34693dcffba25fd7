//! Where a message with wishes in it is cut, and what its parts tell.

use super::Wish;
use super::heard::{BEFORE, Heard, POINTING, THIS, heard, is_bare};
use super::names::is_of_oneself;
use crate::domain::memory::learning::{learned, plain};

/// Whether something is told that "that" may be meant of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Told {
    /// No: it is a question, a greeting, or about what was said.
    #[default]
    Nothing,
    /// It cannot be known: it points at something itself.
    Perhaps,
    /// Yes.
    Something,
}

/// So many signs within a sentence are looked at.
const MOST_SIGNS: usize = 100;
/// What begins so tells nothing.
const ASIDES: &[&str] = &["hi", "hello", "good", "thank", "thanks", "you", "let", "never"];
/// What is said so is about what was said before.
const OF_SAYING: &[&str] = &[
    "sorry",
    "said",
    "say",
    "saying",
    "told",
    "tell",
    "talk",
    "shared",
    "mean",
    "meant",
    "mistake",
    "wrong",
    "lied",
    "joke",
    "joking",
    "kidding",
    "mentioned",
    "changed",
    "private",
    "regret",
];
/// Whoever does so may say in others' words what follows.
const SAYS: &[&str] = &["said", "say", "says", "told", "asked", "wrote", "sings", "sang"];
/// Whoever is talked to so is somebody else.
const OTHERS: &[&str] = &["him", "her", "them", "everybody", "everyone", "people", "someone", "somebody"];
/// And who belongs to one of these.
const WHOSE: &[&str] = &["my", "our", "his", "her", "their"];

/// What a part of a message that is no wish tells.
pub(super) fn told(part: &str) -> Told {
    let words = plain(part);
    let begin = words.iter().take_while(|word| BEFORE.contains(&word.as_str())).count();
    let words: Vec<&str> = words[begin..].iter().map(String::as_str).collect();
    let any_of = |others: &[&str]| words.iter().any(|word| others.contains(word));
    let is_learned = !learned(part).is_empty();
    let Some(first) = words.first().and_then(|first| first.split('\'').next()) else { return Told::Nothing };
    let is_aside = POINTING.contains(&first) || ASIDES.contains(&first) || part.ends_with('?');
    match words.len() {
        _ if is_learned && any_of(OF_SAYING) => Told::Perhaps,
        _ if is_learned => Told::Something,
        _ if is_aside || any_of(OF_SAYING) => Told::Nothing,
        2 if matches!(first, "i" | "we" | "my") => Told::Perhaps,
        ..3 => Told::Nothing,
        _ if any_of(THIS) => Told::Perhaps,
        _ => Told::Something,
    }
}

/// Cut at a sign within a sentence where a wish begins or ends there.
pub(super) fn parts(sentence: &str) -> Vec<&str> {
    let pieces = pieces(sentence);
    let (mut parts, mut begin, mut end) = (Vec::new(), 0, 0);
    for pair in pieces.windows(2) {
        end += pair[0].len();
        if is_seam(pair[0], pair[1]) {
            parts.push(&sentence[begin..end]);
            begin = end;
        }
    }
    parts.push(&sentence[begin..]);
    parts
}

/// "Forget that, I live in Lisbon now", "My boss is called Tom, please forget that", "I was joking, forget that I live in Porto", "Forget that
/// I live in Porto, I live in Lisbon now".
fn is_seam(piece: &str, next: &str) -> bool {
    let (wished, wished_next) = (heard(piece), heard(next));
    let is_whole = || is_bare(&wished_next) || wished_next == [Heard::Sure(Wish::NotThis)];
    let begins = || is_whole() || !wished_next.is_empty() && told(piece) == Told::Nothing;
    let ends = || is_bare(&wished) || !wished.is_empty() && !goes_on(next) && !learned(next).is_empty();
    begins() && !is_told(piece) || ends() && !is_speaker(next)
}

/// "She told me, forget that", "I said to my sister, forget that"; who says "I told you, forget that" has the wish themselves.
fn is_told(piece: &str) -> bool {
    let words = plain(piece);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let Some(at) = words.iter().rposition(|word| SAYS.contains(word)) else { return false };
    let behind = &words[at + 1..];
    let is_named =
        || piece.split_whitespace().next_back().is_some_and(|last| last.starts_with(char::is_uppercase));
    let to = behind.strip_prefix(&["to"]);
    let has_listener = || to.is_some() || matches!(words[at], "told" | "asked");
    let is_to_others = match to.unwrap_or(behind) {
        [other] => OTHERS.contains(other) || *other != "i" && has_listener() && is_named(),
        [whose, _] => WHOSE.contains(whose),
        _ => false,
    };
    is_to_others || behind.len() < 2 && !words.contains(&"i")
}

/// "He said", "my sister told him", behind what they said.
fn is_speaker(piece: &str) -> bool {
    let words = plain(piece);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let (who, told) = words.split_at(words.iter().position(|word| SAYS.contains(word)).unwrap_or_default());
    let is_other =
        matches!(who, ["he" | "she" | "they"]) || matches!(who, [whose, _] if WHOSE.contains(whose));
    let Some((_, to)) = told.split_first() else { return false };
    is_other
        && match to.strip_prefix(&["to"]).unwrap_or(to) {
            [] | ["me" | "us"] => true,
            [other] => OTHERS.contains(other),
            [whose, _] => WHOSE.contains(whose),
            _ => false,
        }
}

/// Whether somebody else says it: "you should forget my name, he said to her".
pub(super) fn is_quoted(part: &str) -> bool {
    pieces(part).iter().skip(1).any(|piece| is_speaker(piece))
}

fn goes_on(piece: &str) -> bool {
    plain(piece).first().is_some_and(|first| matches!(first.as_str(), "and" | "or" | "but"))
}

/// "Forget that I live in Porto, it is private" names no more than Porto.
pub(super) fn without_asides(part: &str) -> &str {
    let pieces = pieces(part);
    // "Forget that I live in Porto, that I like tea" names both.
    let names = |piece: &str| matches!(plain(piece).as_slice(), [that, who, ..] if that == "that" && is_of_oneself(who));
    let is_aside = |piece: &&&str| told(piece) == Told::Nothing && heard(piece).is_empty() && !names(piece);
    let asides: usize = pieces[1..].iter().rev().take_while(is_aside).map(|piece| piece.len()).sum();
    &part[..part.len() - asides]
}

/// Cut behind each sign within a sentence; at least one.
fn pieces(sentence: &str) -> Vec<&str> {
    let is_sign = |(at, c): &(usize, char)| match c {
        ',' | ':' | '(' | ')' | '\u{2013}' | '\u{2014}' => true,
        '-' => sentence[..*at].ends_with(' '),
        _ => false,
    };
    let ends = sentence.char_indices().filter(is_sign).map(|(at, c)| at + c.len_utf8());
    let mut begin = 0;
    let piece = |end: usize| &sentence[std::mem::replace(&mut begin, end)..end];
    ends.take(MOST_SIGNS).chain([sentence.len()]).map(piece).collect()
}
