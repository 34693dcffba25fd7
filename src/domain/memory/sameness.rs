//! Whether two texts say the same: their words in order, so that who does what to whom is part of it ("I work for my brother" is another
//! thing than "My brother works for me").

use crate::domain::memory::learning::{is_denial, plain};
use crate::domain::memory::words::{Term, all_terms, tells_nothing};

/// What may be another word, or none, and the same is said.
const LITTLE: &[&str] = &[
    "a", "an", "the", "at", "in", "on", "by", "of", "and", "do", "does", "so", "such", "that", "then",
    "there",
];
/// What follows these belongs to them, also where other words have moved.
const TIES: &[&str] = &["my", "his", "her", "their", "your", "s", "from", "to", "than", "for", "with"];

/// A word of what is said.
#[derive(Clone, Copy)]
struct Word {
    term: Term,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// It tells what is spoken of.
    Tells,
    /// It tells who does it, or when.
    Role,
    /// The same, together with what follows it.
    Tie,
}

/// A number that two texts share when they say the same: the same words in the same order, with whatever endings, but for what
/// changes little; "tea, I like" is "I like tea".
#[must_use]
pub fn sameness(text: &str) -> i64 {
    let mut words = told(text);
    let i = all_terms("i");
    let begin = words.iter().position(|word| i.contains(&word.term)).unwrap_or_default();
    words.rotate_left(begin);
    let start = 0xcbf2_9ce4_8422_2325_u64 ^ u64::from(is_denial(text));
    let mixed = words
        .into_iter()
        .fold(start, |hash, word| (hash ^ u64::from(word.term)).wrapping_mul(0x0100_0000_01b3));
    mixed.cast_signed()
}

/// Whether two texts say nearly the same: of the same people and with the same numbers, both or neither with a "not", and the words of the
/// one are among those of the other, which are hardly more; at most one of them has another place.
#[must_use]
pub fn is_nearly_the_same(one: &str, other: &str) -> bool {
    let numbers = |text: &str| {
        let digits = text.split(|c: char| !c.is_ascii_digit()).filter(|number| !number.is_empty());
        digits.map(str::to_owned).collect::<Vec<_>>()
    };
    let (these, those) = (told(one), told(other));
    numbers(one) == numbers(other)
        && is_denial(one) == is_denial(other)
        && roles(&these) == roles(&those)
        && hardly_differ(&telling(&these), &telling(&those))
}

/// How many words count when a text is compared.
#[must_use]
pub fn words_told(text: &str) -> usize {
    told(text).len()
}

/// So many of these words count at least, without a look at what each is. Who says nearly the same as a text of `n` words says at most a
/// quarter more.
#[must_use]
pub fn words_told_at_least(words: &[String]) -> usize {
    let helps = |word: &str| matches!(word, "am" | "is" | "are" | "have" | "has");
    let counts = |word: &&String| {
        word.chars().all(char::is_alphanumeric) && !LITTLE.contains(&word.as_str()) && !helps(word)
    };
    words.iter().filter(counts).count()
}

/// The words that count, in order: "we" counts as "I", and "am living" as "live".
fn told(text: &str) -> Vec<Word> {
    let plain = plain(text);
    let parts: Vec<&str> = plain.iter().flat_map(|word| word.split(|c: char| !c.is_alphanumeric())).collect();
    let mut words = Vec::new();
    for (at, part) in parts.iter().enumerate() {
        let next = parts.get(at + 1).copied().unwrap_or_default();
        let only_helps = match *part {
            "am" | "is" | "are" => next.ends_with("ing"),
            "have" | "has" => next.ends_with("ed"),
            _ => false,
        };
        if only_helps || LITTLE.contains(part) {
            continue;
        }
        let part = match *part {
            "we" => "i",
            "us" => "me",
            "our" => "my",
            part => part,
        };
        let kind = match part {
            part if TIES.contains(&part) => Kind::Tie,
            part if tells_nothing(part) => Kind::Role,
            _ => Kind::Tells,
        };
        words.extend(all_terms(part).into_iter().map(|term| Word { term, kind }));
    }
    words
}

fn roles(words: &[Word]) -> Vec<(Term, Option<Term>)> {
    let tied = |at: usize| words.get(at + 1).filter(|_| words[at].kind == Kind::Tie).map(|next| next.term);
    let roles = words.iter().enumerate().filter(|(_, word)| word.kind != Kind::Tells);
    roles.map(|(at, word)| (word.term, tied(at))).collect()
}

fn telling(words: &[Word]) -> Vec<Term> {
    words.iter().filter(|word| word.kind == Kind::Tells).map(|word| word.term).collect()
}

fn hardly_differ(one: &[Term], other: &[Term]) -> bool {
    let (short, long) = if one.len() < other.len() { (one, other) } else { (other, one) };
    let common = common_in_order(short, long);
    short.iter().all(|word| long.contains(word)) && common + 1 >= short.len() && common * 5 > long.len() * 4
}

/// How many words the two have in the same order.
fn common_in_order(one: &[Term], other: &[Term]) -> usize {
    let mut before = vec![0; other.len() + 1];
    for word in one {
        let mut now = vec![0; other.len() + 1];
        for (at, same) in other.iter().enumerate() {
            now[at + 1] = if word == same { before[at] + 1 } else { now[at].max(before[at + 1]) };
        }
        before = now;
    }
    before.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_is_told_from_its_contrary() {
        assert_eq!(sameness("I like the teas"), sameness("tea, I like!"));
        assert_ne!(sameness("I like tea"), sameness("I do not like tea"));
        assert_ne!(sameness("I like tea"), sameness("I don't like tea"));
        assert_ne!(sameness("I live in Porto"), sameness("I live in Lisbon"));
        let long = "I work as a nurse at the old hospital by the river in Porto, mostly at night, with Ana";
        assert!(is_nearly_the_same(long, &long.replace("mostly ", "")));
        for other in [
            long.replace("Ana", "Eva").replace("nurse", "cook"),
            long.replace("work", "do not work"),
            format!("{long} 2"),
        ] {
            assert!(!is_nearly_the_same(long, &other), "{other}");
        }
        assert!(!is_nearly_the_same("I have 2 sisters", "I have 3 sisters") && !is_nearly_the_same("", ""));
    }

    #[test]
    fn who_does_what_to_whom_is_part_of_what_is_said() {
        for (one, other) in [
            ("I work for my brother", "My brother works for me"),
            ("I love my mother", "My mother loves me"),
            ("My brother is older than my sister", "My sister is older than my brother"),
            ("I live with my sister", "My sister lives with me"),
            ("I prefer tea to coffee", "I prefer coffee to tea"),
            ("I moved from Porto to Lisbon", "I moved from Lisbon to Porto"),
            ("I moved to Porto", "I moved from Porto"),
            ("Tom loves Ann", "Ann loves Tom"),
            ("I do not like tea but coffee", "I like tea but not coffee"),
            ("My mother was a teacher", "My mother is a teacher"),
            ("My sister has a doctor", "My sister is a doctor"),
            ("I worked as a nurse", "I work as a nurse"),
            ("My boss's wife is called Ann", "My wife's boss is called Ann"),
            (
                "Last summer I moved by train with my two cats from Porto to Lisbon",
                "Last summer I moved by train with my two cats from Lisbon to Porto",
            ),
            (
                "My husband works as a night nurse at the old hospital in Porto",
                "My ex husband works as a night nurse at the old hospital in Porto",
            ),
            (
                "In the old club house by the river Tom beat Ann at chess last long summer night",
                "In the old club house by the river Ann beat Tom at chess last long summer night",
            ),
            (
                "My sister has a big black dog called Rex who loves to swim in the sea",
                "I have a big black dog called Rex who loves to swim in the sea",
            ),
            (
                "I work as a night nurse at the big old hospital by the river in Porto with Ana and Eva",
                "I work as a night nurse at the big old hospital by the river in Braga with Ana and Eva",
            ),
        ] {
            assert_ne!(sameness(one), sameness(other), "{one}: {other}");
            assert!(!is_nearly_the_same(one, other) && !is_nearly_the_same(other, one), "{one}: {other}");
        }
    }

    #[test]
    fn the_same_in_other_words_is_the_same() {
        for (one, other) in [
            ("I live in Porto", "I'm living in PORTO!"),
            ("I have moved to Lisbon", "We moved to Lisbon"),
            ("I work at a hospital", "I work in the hospital"),
            ("My sister lives in Braga", "My sister is living in Braga"),
            ("I do not like tea", "I don\u{2019}t like teas"),
        ] {
            assert_eq!(sameness(one), sameness(other), "{one}: {other}");
        }
        for (one, other) in [
            (
                "I work as a night nurse at the old hospital in Porto",
                "I work as a night nurse at the hospital in old Porto",
            ),
            (
                "I play the cello in the city orchestra every Thursday evening",
                "I play cello in the city orchestra on Thursday evenings",
            ),
        ] {
            assert!(is_nearly_the_same(one, other) && is_nearly_the_same(other, one), "{one}: {other}");
        }
    }
}
