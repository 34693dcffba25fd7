//! What somebody tells of themselves for good, by a modest set of rules over statements in the first person. A statement is kept in its own words. Where only one can be true ("I live in Porto"), it also tells what it is about, so
//! that a later one takes its place.
//!
//! Bounds: 5 statements of a message, of 300 characters each.

use crate::domain::memory::statements::{self, tells};
use crate::domain::plain::composed;

const MOST_STATEMENTS: usize = 5;
const MOST_CHARS: usize = 300;
/// So many statements of a message are held against what is not to be learned.
const MOST_STATED: usize = 20;

/// A statement that is worth keeping.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Learned {
    /// In the person's own words.
    pub text: String,
    /// What it is about, where only one statement can be true at a time.
    pub about: Option<String>,
}

/// What may stand in the way of an "I".
const FILLERS: &[&str] = &[
    "well",
    "yes",
    "no",
    "oh",
    "so",
    "and",
    "but",
    "hi",
    "hello",
    "hey",
    "ok",
    "okay",
    "anyway",
    "also",
    "actually",
    "recently",
    "finally",
    "yesterday",
];
/// What was so last time is so since.
const TIMES: &[&str] = &["week", "weekend", "month", "year", "spring", "summer", "autumn", "fall", "winter"];
/// What begins so is only imagined, was so once, or is so now and then.
const IMAGINED: &[&str] = &[
    "if",
    "unless",
    "imagine",
    "suppose",
    "supposing",
    "pretend",
    "assume",
    "when",
    "whenever",
    "while",
    "once",
    "maybe",
    "perhaps",
];
/// Who says what follows is somebody else.
const SAYS: &[&str] =
    &["said", "says", "say", "told", "asked", "wrote", "thinks", "thought", "sings", "sang", "me", "like"];

/// What is learned from a message.
#[must_use]
pub fn learned(said: &str) -> Vec<Learned> {
    let tells = |clause| Some(Learned { about: tells(clause, &plain(clause))?, text: sentence_case(clause) });
    clauses_of(said).filter_map(tells).take(MOST_STATEMENTS).collect()
}

/// What is stated in a message, so much of it, whether the rules learn from it or not.
pub fn stated(said: &str) -> impl Iterator<Item = &str> {
    clauses_of(said).take(MOST_STATED)
}

fn clauses_of(said: &str) -> impl Iterator<Item = &str> {
    let clauses = sentences(said).filter(|sentence| is_stated(sentence)).flat_map(clauses);
    clauses.map(trimmed).filter(|clause| clause.chars().count() <= MOST_CHARS)
}

fn trimmed(clause: &str) -> &str {
    without_fillers(clause.trim().trim_matches(|c: char| matches!(c, ',' | '.' | '!' | ';' | '"' | ' ')))
}

/// Neither asked, nor quoted, nor imagined.
fn is_stated(sentence: &str) -> bool {
    let quoted = sentence.starts_with(['"', '\u{201c}', '\u{201e}', '\u{ab}']);
    let first = without_fillers(sentence).split_whitespace().next().unwrap_or_default();
    let first = first.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase();
    !sentence.ends_with('?') && !quoted && !IMAGINED.contains(&first.as_str())
}

/// What a whole text is about, where it is a single statement of which only one can be true at a time.
#[must_use]
pub fn about(text: &str) -> Option<String> {
    let mut learned = learned(text);
    let only = learned.pop().filter(|_| learned.is_empty())?;
    only.about
}

/// Whether nothing else that is about this can be true at the same time.
#[must_use]
pub fn is_single(about: &str) -> bool {
    statements::is_single(about)
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
    const SEAMS: [&str; 9] =
        [" and i ", " and i'", " but i ", " but i'", " and my ", " but my ", ", i ", ", i'", ", my "];
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
        // "She said, I live in Rome" is one statement, of hers.
        let mut words = sentence[..end].split_whitespace().rev().filter_map(|word| plain(word).pop());
        let is_told = words.next().is_some_and(|last| SAYS.contains(&last.as_str()));
        if end >= from && !is_told {
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
    for word in composed(&text).split_whitespace() {
        let word = word.trim_matches(|c: char| !c.is_alphanumeric());
        match word {
            "" => {}
            "i'm" | "im" => words.extend(["i", "am"].map(str::to_owned)),
            "i've" | "ive" => words.extend(["i", "have"].map(str::to_owned)),
            "don't" | "doesn't" | "dont" | "doesnt" => words.push("not".to_owned()),
            "can't" | "cant" => words.push("cannot".to_owned()),
            word => match word.strip_suffix("n't") {
                Some(verb) => words.extend([verb, "not"].map(str::to_owned)),
                None => words.push(word.to_owned()),
            },
        }
    }
    words
}

/// "Well, so I live in Porto" and "last week I moved to Porto" say that somebody lives in Porto.
fn without_fillers(clause: &str) -> &str {
    let mut rest = clause.trim_start();
    while let Some((first, after)) = rest.split_once(' ') {
        let word = first.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase();
        if word == "last"
            && let Some((time, after)) = after.trim_start().split_once(' ')
            && TIMES.contains(&time.trim_end_matches(',').to_lowercase().as_str())
        {
            rest = after.trim_start();
            continue;
        }
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
            ("I work at night", "I work at night", ""),
            ("I work in Porto", "I work in Porto", ""),
            ("I was born in Porto", "I was born in Porto", "birthplace"),
            ("I was born in 1980", "I was born in 1980", ""),
            ("I was born in May", "I was born in May", ""),
            ("I love coffee", "I love coffee", "opinion of coffee"),
            ("I drink coffee", "I drink coffee", "drinking of coffee"),
            ("I don't drink coffee anymore", "I don't drink coffee anymore", "drinking of coffee"),
            ("I never eat meat", "I never eat meat", "eating of meat"),
            ("I live with two cats", "I live with two cats", ""),
            ("I live alone", "I live alone", "household"),
            ("I'm vegetarian", "I'm vegetarian", "diet"),
            ("im vegan", "Im vegan", "diet"),
            ("I live in a small flat", "I live in a small flat", ""),
            ("I live near the beach", "I live near the beach", ""),
            ("I no longer live in Porto", "I no longer live in Porto", ""),
            ("My job is stressful", "My job is stressful", ""),
            ("My job is exhausting", "My job is exhausting", ""),
            ("My job is teaching children", "My job is teaching children", "work"),
            ("My birthday is on the 3rd of May", "My birthday is on the 3rd of May", "birthday"),
            ("Call me Alex", "Call me Alex", "name"),
            ("My father died", "My father died", ""),
            ("I've got a brother", "I've got a brother", ""),
            ("We moved to Lisbon", "We moved to Lisbon", "home"),
            ("I got divorced", "I got divorced", "family"),
            ("I'm not vegetarian any more", "I'm not vegetarian any more", ""),
            ("I am not allergic to peanuts", "I am not allergic to peanuts", ""),
            ("I don't play the violin any more", "I don't play the violin any more", ""),
            ("I don't work as a nurse any more", "I don't work as a nurse any more", ""),
            ("My sister no longer lives in Braga", "My sister no longer lives in Braga", ""),
        ] {
            assert_eq!(told(said), [(text.to_owned(), about.to_owned())], "{said}");
        }
    }

    #[test]
    fn only_what_there_is_one_of_excludes_another() {
        for about in
            ["home", "opinion of name of friend", "name of mother", "name of best friend", "home of sister"]
        {
            assert!(is_single(about), "{about}");
        }
        for about in
            ["name of friend", "name of old friend", "name of sister", "name of dog", "home of friend"]
        {
            assert!(!is_single(about), "{about}");
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
    fn a_statement_has_300_characters_and_no_more() {
        let long = |chars: usize| format!("{:x<chars$}", "I like ");
        for (chars, statements) in [(MOST_CHARS, 1), (MOST_CHARS + 1, 0), (MOST_CHARS, 1)] {
            assert_eq!(told(&long(chars)).len(), statements, "{chars} characters");
        }
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
            "Call me later",
            "I am not tired",
            "I don't know",
            "I do not work",
            "My day was not long",
            "My name is not Hanna",
            "My name is hard to spell",
            "I live in fear of him",
            "I live in it",
            "My birthday is coming up",
            "I speak to my mother every day",
            "I prefer not to say",
            "Imagine I'm a pirate and my name is Jack",
            "If I win, I moved to Rome for nothing and I work at a bank",
            "When I was ten, I moved to Rome",
            "She said, I live in Rome",
            "\"I live in Rome,\" he said",
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
}
