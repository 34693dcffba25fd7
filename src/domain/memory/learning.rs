//! What somebody tells of themselves for good, by a modest set of rules over statements in the first person. A statement is kept in its own words. Where only one can be true ("I live in Porto"), it also tells what it is about, so
//! that a later one takes its place.
//!
//! Bounds: 5 statements of a message, of 300 characters each.

use crate::domain::memory::words::{Term, terms};

const MOST_STATEMENTS: usize = 5;
const MOST_CHARS: usize = 300;
const MOST_ABOUT_WORDS: usize = 6;

/// A statement that is worth keeping.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Learned {
    /// In the person's own words.
    pub text: String,
    /// What it is about, where only one statement can be true at a time.
    pub about: Option<String>,
}

/// What is in the way of an "I", and where a statement that has an opinion in it says nothing: "I like that".
const FILLERS: &[&str] =
    &["well", "yes", "no", "oh", "so", "and", "but", "hi", "hello", "hey", "ok", "okay", "anyway", "also"];
const ADVERBS: &[&str] =
    &["really", "also", "just", "still", "always", "now", "actually", "absolutely", "currently", "do"];
const POINTING: &[&str] = &[
    "it", "that", "this", "these", "those", "you", "your", "him", "her", "them", "what", "how", "when",
    "where", "talking",
];
const ASIDE: &[&str] = &[
    "anymore", "any", "more", "much", "very", "a", "an", "the", "lot", "so", "too", "at", "all", "now",
    "really",
];
const RELATIVES: &[&str] = &[
    "sister",
    "brother",
    "mother",
    "mom",
    "mum",
    "father",
    "dad",
    "parents",
    "son",
    "daughter",
    "children",
    "kids",
    "wife",
    "husband",
    "partner",
    "girlfriend",
    "boyfriend",
    "fiance",
    "fiancee",
    "friend",
    "grandmother",
    "grandfather",
    "grandma",
    "grandpa",
    "aunt",
    "uncle",
    "cousin",
    "niece",
    "nephew",
    "roommate",
    "neighbour",
    "neighbor",
    "boss",
    "teacher",
    "doctor",
    "therapist",
    "dog",
    "cat",
    "twin",
    "twins",
    "baby",
];
const OF_RELATIVES: &[&str] = &[
    "is", "was", "are", "were", "lives", "live", "works", "work", "has", "have", "likes", "loves", "hates",
    "moved", "died", "studies", "plays", "turned", "got", "had", "speaks", "called", "named", "name",
];
const HAD: &[&str] = &[
    "sister",
    "sisters",
    "brother",
    "brothers",
    "son",
    "sons",
    "daughter",
    "daughters",
    "child",
    "children",
    "kid",
    "kids",
    "dog",
    "dogs",
    "cat",
    "cats",
    "wife",
    "husband",
    "partner",
    "girlfriend",
    "boyfriend",
    "twin",
    "twins",
    "diabetes",
    "asthma",
    "allergy",
    "garden",
    "degree",
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Only one of these is true at a time.
    One(&'static str),
    /// What one thinks of something; one opinion of each thing.
    Opinion,
    /// Any number of these.
    Any,
}

/// How a statement begins, without adverbs and contractions, and what it then is.
const BEGINNINGS: &[(&str, Kind)] = &[
    ("my name is", Kind::One("name")),
    ("i am called", Kind::One("name")),
    ("call me", Kind::One("name")),
    ("i live in", Kind::One("home")),
    ("i live at", Kind::One("home")),
    ("i live near", Kind::One("home")),
    ("i am living in", Kind::One("home")),
    ("i moved to", Kind::One("home")),
    ("i have moved to", Kind::One("home")),
    ("i live with", Kind::One("household")),
    ("i live alone", Kind::One("household")),
    ("i am from", Kind::One("origin")),
    ("i come from", Kind::One("origin")),
    ("i was born in", Kind::One("birthplace")),
    ("i was born on", Kind::One("birthday")),
    ("my birthday is", Kind::One("birthday")),
    ("i work as", Kind::One("work")),
    ("i work at", Kind::One("work")),
    ("i work for", Kind::One("work")),
    ("i work in", Kind::One("work")),
    ("i am working as", Kind::One("work")),
    ("my job is", Kind::One("work")),
    ("my new job is", Kind::One("work")),
    ("i am married", Kind::One("family")),
    ("i am divorced", Kind::One("family")),
    ("i am engaged", Kind::One("family")),
    ("i am single", Kind::One("family")),
    ("i got married", Kind::One("family")),
    ("i like", Kind::Opinion),
    ("i love", Kind::Opinion),
    ("i enjoy", Kind::Opinion),
    ("i adore", Kind::Opinion),
    ("i prefer", Kind::Opinion),
    ("i hate", Kind::Opinion),
    ("i dislike", Kind::Opinion),
    ("i not like", Kind::Opinion),
    ("i cannot stand", Kind::Opinion),
    ("i eat", Kind::Opinion),
    ("i not eat", Kind::Opinion),
    ("i never eat", Kind::Opinion),
    ("i drink", Kind::Opinion),
    ("i not drink", Kind::Opinion),
    ("i never drink", Kind::Opinion),
    ("i am allergic to", Kind::Any),
    ("i am a vegetarian", Kind::One("diet")),
    ("i am vegetarian", Kind::One("diet")),
    ("i am a vegan", Kind::One("diet")),
    ("i am vegan", Kind::One("diet")),
    ("i was diagnosed with", Kind::Any),
    ("i grew up in", Kind::Any),
    ("i study", Kind::Any),
    ("i am studying", Kind::Any),
    ("i am learning", Kind::Any),
    ("i speak", Kind::Any),
    ("i play", Kind::Any),
    ("i collect", Kind::Any),
];

/// What is learned from a message.
#[must_use]
pub fn learned(said: &str) -> Vec<Learned> {
    let statements = sentences(said).filter(|sentence| !sentence.ends_with('?')).flat_map(clauses);
    let mut found: Vec<Learned> = Vec::new();
    for clause in statements {
        let clause = clause.trim().trim_matches(|c: char| matches!(c, ',' | '.' | '!' | ';' | '"' | ' '));
        let clause = without_fillers(clause);
        let words = plain(clause);
        if clause.chars().count() > MOST_CHARS || found.len() >= MOST_STATEMENTS {
            continue;
        }
        if let Some(about) = tells(&words) {
            found.push(Learned { text: sentence_case(clause), about });
        }
    }
    found
}

/// What a whole text is about, where it is a single statement of which only one can be true at a time.
#[must_use]
pub fn about(text: &str) -> Option<String> {
    let mut learned = learned(text);
    let only = learned.pop().filter(|_| learned.is_empty())?;
    only.about
}

/// A number that two texts share when they say the same: the same words that count, in whatever order and with whatever endings, and
/// both or neither with a "not".
#[must_use]
pub fn sameness(text: &str) -> i64 {
    let mut words: Vec<Term> = terms(text);
    words.sort_unstable();
    words.dedup();
    let start = 0xcbf2_9ce4_8422_2325_u64 ^ u64::from(is_denial(text));
    let mixed =
        words.into_iter().fold(start, |hash, word| (hash ^ u64::from(word)).wrapping_mul(0x0100_0000_01b3));
    mixed.cast_signed()
}

/// Whether there is a "not" in it.
#[must_use]
pub fn is_denial(text: &str) -> bool {
    plain(text).iter().any(|word| matches!(word.as_str(), "not" | "no" | "never" | "cannot"))
}

/// Cut where a sentence ends; the sign that ends it stays.
pub(super) fn sentences(said: &str) -> impl Iterator<Item = &str> {
    let mut rest = said;
    std::iter::from_fn(move || {
        rest = rest.trim_start();
        if rest.is_empty() {
            return None;
        }
        let ends = |(at, c): (usize, char)| {
            let after = rest[at + c.len_utf8()..].chars().next();
            let ends =
                c == '\n' || matches!(c, '.' | '!' | '?' | ';') && after.is_none_or(char::is_whitespace);
            ends.then_some(at + c.len_utf8())
        };
        let end = rest.char_indices().find_map(ends).unwrap_or(rest.len());
        let (sentence, left) = rest.split_at(end);
        rest = left;
        Some(sentence.trim_end())
    })
}

/// Cut where another statement in the first person begins.
fn clauses(sentence: &str) -> Vec<&str> {
    const SEAMS: [&str; 8] =
        [" and i ", " and i'", " but i ", " but i'", " and my ", " but my ", ", i ", ", my "];
    let lowered = sentence.to_ascii_lowercase();
    let mut starts: Vec<(usize, usize)> = Vec::new();
    for seam in SEAMS {
        let begin = seam.len()
            - seam.trim_start_matches([' ', ',']).trim_start_matches("and ").trim_start_matches("but ").len();
        starts.extend(lowered.match_indices(seam).map(|(at, _)| (at, at + begin)));
    }
    starts.sort_unstable();
    let mut cut = Vec::new();
    let mut from = 0;
    for (end, next) in starts {
        if end >= from {
            cut.push(&sentence[from..end]);
            from = next;
        }
    }
    cut.push(&sentence[from..]);
    cut
}

/// The words in lower case, without signs, contractions written out.
pub(super) fn plain(text: &str) -> Vec<String> {
    let text = text.to_lowercase().replace('\u{2019}', "'");
    let mut words = Vec::new();
    for word in text.split_whitespace() {
        let word = word.trim_matches(|c: char| !c.is_alphanumeric());
        match word {
            "" => {}
            "i'm" => words.extend(["i", "am"].map(str::to_owned)),
            "i've" => words.extend(["i", "have"].map(str::to_owned)),
            "don't" | "doesn't" | "do not" => words.push("not".to_owned()),
            "can't" => words.push("cannot".to_owned()),
            word => match word.strip_suffix("n't") {
                Some(verb) => words.extend([verb, "not"].map(str::to_owned)),
                None => words.push(word.to_owned()),
            },
        }
    }
    words
}

/// Whether a statement is worth keeping, and what it then is about.
#[expect(clippy::option_option, reason = "worth keeping or not; about one thing or not")]
fn tells(words: &[String]) -> Option<Option<String>> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let subject = words.first().copied()?;
    let rest: Vec<&str> = words[1..].iter().copied().skip_while(|word| ADVERBS.contains(word)).collect();
    let words: Vec<&str> = std::iter::once(subject).chain(rest).collect();
    of_beginning(&words)
        .or_else(|| of_age(&words))
        .or_else(|| of_favourite(&words))
        .or_else(|| of_relative(&words))
        .or_else(|| of_having(&words))
}

#[expect(clippy::option_option, reason = "as above")]
fn of_beginning(words: &[&str]) -> Option<Option<String>> {
    let begins = |beginning: &str| {
        let count = beginning.split(' ').count();
        words.len() >= count && beginning.split(' ').eq(words[..count].iter().copied())
    };
    let (beginning, kind) = BEGINNINGS.iter().find(|(beginning, _)| begins(beginning))?;
    let rest = &words[beginning.split(' ').count()..];
    let whole =
        ["i live alone", "i am married", "i am divorced", "i am engaged", "i am single", "i got married"];
    let complete =
        whole.contains(beginning) || beginning.contains("vega") || beginning.contains("vegetarian");
    match (kind, rest.first()) {
        (Kind::One(about), Some(_)) => Some(Some((*about).to_owned())),
        (Kind::One(about), None) if complete => Some(Some((*about).to_owned())),
        (Kind::Opinion, Some(first)) if !POINTING.contains(first) => opinion_of(rest).map(Some),
        (Kind::Any, Some(_)) => Some(None),
        _ => None,
    }
}

fn opinion_of(thing: &[&str]) -> Option<String> {
    let thing: Vec<_> =
        thing.iter().copied().filter(|word| !ASIDE.contains(word)).take(MOST_ABOUT_WORDS).collect();
    (!thing.is_empty()).then(|| format!("opinion of {}", thing.join(" ")))
}

#[expect(clippy::option_option, reason = "as above")]
fn of_age(words: &[&str]) -> Option<Option<String>> {
    let number = |word: &str| word.parse::<u32>().is_ok_and(|age| (1..=120).contains(&age));
    match words {
        ["i", "am", age] | ["i", "am", age, "years", "old", ..] if number(age) => {
            Some(Some("age".to_owned()))
        }
        _ => None,
    }
}

#[expect(clippy::option_option, reason = "as above")]
fn of_favourite(words: &[&str]) -> Option<Option<String>> {
    let ["my", "favourite" | "favorite", rest @ ..] = words else { return None };
    let is = rest.iter().position(|word| matches!(*word, "is" | "are"))?;
    let named = (1..=4).contains(&is) && rest.len() > is + 1;
    named.then(|| Some(format!("favourite {}", rest[..is].join(" "))))
}

/// "My sister lives in Porto", "my best friend is called Ana", "my dog's name is Bruno".
#[expect(clippy::option_option, reason = "as above")]
fn of_relative(words: &[&str]) -> Option<Option<String>> {
    let at = words.iter().take(4).position(|word| RELATIVES.contains(&word.trim_end_matches("'s")))?;
    if words.first() != Some(&"my") || at == 0 {
        return None;
    }
    let rest = &words[at + 1..];
    if rest.len() < 2 || !OF_RELATIVES.contains(rest.first()?) {
        return None;
    }
    let who = words[1..=at].join(" ").replace("'s", "");
    let about = match rest {
        ["is", "called" | "named", ..] | ["name", "is", _, ..] => Some("name"),
        ["lives" | "live", "in", ..] | ["moved", "to", ..] => Some("home"),
        ["works" | "work", ..] => Some("work"),
        _ => None,
    };
    Some(about.map(|about| format!("{about} of {who}")))
}

/// "I have two sisters", "I have a dog called Bruno".
#[expect(clippy::option_option, reason = "as above")]
fn of_having(words: &[&str]) -> Option<Option<String>> {
    let ["i", "have" | "got", rest @ ..] = words else { return None };
    let counted = ["a", "an", "one", "two", "three", "four", "five", "six", "no"];
    let first = rest.first()?;
    let counts = counted.contains(first) || first.parse::<u8>().is_ok() || HAD.contains(first);
    (counts && rest.iter().take(4).any(|word| HAD.contains(word))).then_some(None)
}

/// "Well, so I live in Porto" says that somebody lives in Porto.
fn without_fillers(clause: &str) -> &str {
    let mut rest = clause.trim_start();
    while let Some((first, after)) = rest.split_once(' ') {
        let word = first.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase();
        if !FILLERS.contains(&word.as_str()) {
            break;
        }
        rest = after.trim_start();
    }
    rest
}

fn sentence_case(clause: &str) -> String {
    let mut letters = clause.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(said: &str) -> Vec<(String, String)> {
        learned(said).into_iter().map(|learned| (learned.text, learned.about.unwrap_or_default())).collect()
    }

    #[test]
    fn statements_about_oneself_are_kept_in_their_own_words() {
        for (said, text, about) in [
            ("Hi, my name is Anna.", "My name is Anna", "name"),
            ("well I live in Porto", "I live in Porto", "home"),
            ("I've moved to Lisbon!", "I've moved to Lisbon", "home"),
            ("By the way, I really like green tea", "I really like green tea", "opinion of green tea"),
            (
                "I don\u{2019}t like green tea anymore",
                "I don\u{2019}t like green tea anymore",
                "opinion of green tea",
            ),
            ("my sister lives in Braga", "My sister lives in Braga", "home of sister"),
            ("My best friend is called Zo\u{eb}", "My best friend is called Zo\u{eb}", "name of best friend"),
            ("My dog's name is Bruno", "My dog's name is Bruno", "name of dog"),
            ("I have two brothers", "I have two brothers", ""),
            ("I'm allergic to peanuts", "I'm allergic to peanuts", ""),
            ("I'm 34 years old", "I'm 34 years old", "age"),
            ("My favourite colour is blue", "My favourite colour is blue", "favourite colour"),
            ("I work as a nurse", "I work as a nurse", "work"),
            ("I'm vegetarian", "I'm vegetarian", "diet"),
        ] {
            assert_eq!(told(said), [(text.to_owned(), about.to_owned())], "{said}");
        }
    }

    #[test]
    fn several_statements_of_a_message_are_told_apart() {
        let texts = |said| told(said).into_iter().map(|(text, _)| text).collect::<Vec<_>>();
        assert_eq!(
            texts("I live in Porto and I work at a bank, but my sister lives in Rome. I like tea."),
            ["I live in Porto", "I work at a bank", "My sister lives in Rome", "I like tea"]
        );
        assert_eq!(texts(&"I like tea. ".repeat(100)).len(), MOST_STATEMENTS);
    }

    #[test]
    fn what_is_no_such_statement_is_not_kept() {
        for said in [
            "",
            "   ",
            "I",
            "my",
            "Do I live in Porto?",
            "Should my name is be changed",
            "I feel sad today",
            "I like it",
            "I love you",
            "I have a headache",
            "I have to go",
            "My day was long",
            "If I live in Porto I pay less",
            "You live in Porto",
            "He said my name is strange?",
            "I'm tired",
            "I am 500",
            "my sister",
            "my sister is",
            "forget that",
            "I moved to",
        ] {
            assert_eq!(told(said), [], "{said}");
        }
        assert!(learned(&format!("I like {}", "tea ".repeat(200))).is_empty(), "too long");
        for strange in
            ["\u{130} and I like tea", "\u{1f600}, my name is \u{1f600}", "\n\n;;..?", "I'm", "' ' '"]
        {
            drop(learned(strange));
        }
    }

    #[test]
    fn the_same_is_told_from_its_contrary() {
        assert_eq!(sameness("I like the teas"), sameness("tea, I like!"));
        assert_ne!(sameness("I like tea"), sameness("I do not like tea"));
        assert_ne!(sameness("I like tea"), sameness("I don't like tea"));
        assert_ne!(sameness("I live in Porto"), sameness("I live in Lisbon"));
    }
}
