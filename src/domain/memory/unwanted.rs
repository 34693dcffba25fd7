//! What somebody wanted forgotten while turns still waited to be learned from: what these tell is held against it.

use crate::domain::memory::learning::{about, is_denial, learned, plain, stated};
use crate::domain::memory::sameness::{is_nearly_the_same, sameness, words_told, words_told_at_least};
use crate::domain::memory::statements::ADVERBS;
use crate::domain::memory::words::{Term, terms};

/// What is not to be learned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unwanted {
    /// What says the same as a memory that was forgotten or corrected by hand.
    SameAs(i64),
    /// What was named in the conversation.
    Named(String),
}

/// No wish begins so.
const SAME: char = '=';

impl Unwanted {
    /// What says the same as `text`, of which nothing is kept with it.
    #[must_use]
    pub fn same_as(text: &str) -> Self {
        Self::SameAs(sameness(text))
    }

    /// As it is written down, on one line.
    #[must_use]
    pub fn line(&self) -> String {
        match self {
            Self::SameAs(number) => format!("{SAME}{number}"),
            Self::Named(text) => text.replace('\n', " "),
        }
    }

    /// Reads what [`Self::line`] wrote.
    #[must_use]
    pub fn of_line(line: &str) -> Self {
        let number = line.strip_prefix(SAME).and_then(|number| number.parse().ok());
        number.map_or_else(|| Self::Named(line.to_owned()), Self::SameAs)
    }
}

/// All that is not to be learned, worked out once for all that is held against it.
struct All {
    same: Vec<i64>,
    named: Vec<Named>,
}

impl All {
    fn of(unwanted: &[Unwanted]) -> Self {
        let mut all = Self { same: Vec::new(), named: Vec::new() };
        for one in unwanted {
            match one {
                Unwanted::SameAs(number) => all.same.push(*number),
                Unwanted::Named(wanted) => all.named.push(Named::of(wanted)),
            }
        }
        all
    }

    /// Whether this text tells some of it.
    fn is_told_by(&self, text: &str) -> bool {
        !self.same.is_empty() && self.same.contains(&sameness(text))
            || !self.named.is_empty() && is_meant_by_any(&self.named, text)
    }
}

/// What is not learned of a turn.
pub struct Withheld {
    unwanted: All,
    /// What the rules learn from it, and all that is stated in it, which a model may learn from.
    told: [Vec<Statement>; 2],
    /// Nothing else was said in it.
    is_all: bool,
}

/// The words of a statement, and whether it tells what is unwanted.
type Statement = (Vec<Term>, bool);

impl Withheld {
    /// What is not learned of what was `said`.
    #[must_use]
    pub fn of(unwanted: &[Unwanted], said: &str) -> Self {
        let unwanted = All::of(unwanted);
        let held = |text: &str| (terms(text), unwanted.is_told_by(text));
        let learned = learned(said).iter().map(|learned| held(&learned.text)).collect();
        let stated: Vec<_> = stated(said).map(held).collect();
        let in_it = |word: &Term| stated.iter().any(|(words, is_told)| *is_told && words.contains(word));
        let is_all = stated.iter().any(|(_, is_told)| *is_told) && terms(said).iter().all(in_it);
        Self { unwanted, told: [learned, stated], is_all }
    }

    /// Whether this lesson is one of it: it says so itself, or is made of a statement that does, in whatever words.
    #[must_use]
    pub fn has(&self, lesson: &str) -> bool {
        let words = terms(lesson);
        self.is_all
            || self.unwanted.is_told_by(lesson)
            || self.told.iter().any(|statements| is_made_of_it(&words, statements))
    }
}

/// Whether of these statements one that shares the most words tells what is unwanted.
fn is_made_of_it(words: &[Term], statements: &[Statement]) -> bool {
    let shared = |stated: &[Term]| stated.iter().filter(|word| words.contains(word)).count();
    let most = statements.iter().map(|(stated, _)| shared(stated)).max().unwrap_or_default();
    most > 0 && statements.iter().any(|(stated, is_told)| *is_told && shared(stated) == most)
}

/// Whose statement it is that begins so, and not the person's own.
const OTHERS: &[&str] = &["he", "she", "they", "you", "it", "his", "her", "their", "your", "its"];
/// What a statement goes on with and says what it said all the same.
const GOES_ON: &[&str] = &[
    "with",
    "without",
    "by",
    "near",
    "in",
    "into",
    "at",
    "on",
    "and",
    "but",
    "or",
    "since",
    "for",
    "because",
    "as",
    "from",
    "so",
    "when",
    "while",
    "where",
    "who",
    "whose",
    "which",
    "that",
    "until",
    "again",
    "too",
    "to",
    "called",
    "named",
    "every",
    "each",
    "all",
    "after",
    "before",
    "during",
    "about",
    "around",
    "between",
    "if",
    "than",
    "like",
    "once",
    "twice",
    "often",
    "usually",
    "sometimes",
    "daily",
    "together",
    "very",
    "much",
    "lot",
    "more",
    "most",
    "best",
    "well",
    "only",
    "today",
    "these",
    "this",
];
const DENIES: &[&str] = &["not", "no", "never", "cannot", "wo"];

/// What was named, worked out once for all the memories it is compared with.
#[derive(Debug, Clone)]
pub struct Named {
    words: Vec<String>,
    /// Of each word what counts of it.
    marks: Vec<Vec<Term>>,
    terms: Vec<Term>,
    about: Option<String>,
    denies: bool,
    /// How many words count where it is said again.
    told: usize,
}

impl Named {
    /// Works it out.
    #[must_use]
    pub fn of(wanted: &str) -> Self {
        let words = words_of(wanted);
        Self {
            marks: words.iter().map(|word| terms(word)).collect(),
            terms: terms(wanted),
            about: about_of(wanted),
            denies: is_denial(wanted),
            told: words_told(&words.join(" ")),
            words,
        }
    }

    /// Whether a memory is meant by it.
    fn means(&self, text: &str, says: &Said) -> bool {
        if self.marks.iter().all(Vec::is_empty) {
            return false;
        }
        match self.words[0].as_str() {
            "i" | "we" => {
                let beginning = text.split([',', ';', '(']).next().unwrap_or_default();
                self.is_stated(says) || beginning.len() < text.len() && self.is_stated(&Said::of(beginning))
            }
            "my" | "our" => {
                let is_about =
                    || self.about.as_ref().is_some_and(|thing| about(text).as_ref() == Some(thing));
                self.stands_in(&says.words) || is_mine(&says.words) && self.is_the_same(says) || is_about()
            }
            _ => {
                let has = terms(text);
                self.terms.iter().all(|word| has.contains(word)) && self.denies == is_denial(text)
            }
        }
    }

    /// Whether it is stated of the person themselves.
    fn is_stated(&self, says: &Said) -> bool {
        let Some((first, rest)) = says.words.split_first() else { return false };
        let first = first.as_str();
        if !matches!(first, "i" | "we") {
            if OTHERS.contains(&first) || self.is_outdone_by(says) {
                return false;
            }
            // "Living in Porto" is said of oneself, too.
            let is_whole = says.words.iter().any(|word| matches!(word.as_str(), "i" | "we"));
            let says = says.words.join(" ");
            let says = if is_whole { says } else { format!("i {says}") };
            return sameness(&self.words.join(" ")) == sameness(&says);
        }
        let goes_on = rest.strip_prefix(&self.words[1..]).and_then(<[_]>::first);
        self.is_the_same(says) || goes_on.is_some_and(|next| GOES_ON.contains(&next.as_str()))
    }

    fn is_the_same(&self, says: &Said) -> bool {
        if self.is_outdone_by(says) {
            return false;
        }
        let (one, other) = (self.words.join(" "), says.words.join(" "));
        sameness(&one) == sameness(&other) || is_nearly_the_same(&one, &other)
    }

    /// Whether there are too many words to say nearly the same, whatever they are.
    const fn is_outdone_by(&self, says: &Said) -> bool {
        says.at_least * 4 > self.told * 5
    }

    /// Whether the words stand side by side, whatever their endings.
    fn stands_in(&self, says: &[String]) -> bool {
        let alike = |(one, (word, marks)): (&String, (&String, &Vec<Term>))| {
            one == word || !marks.is_empty() && terms(one) == *marks
        };
        let wished = || self.words.iter().zip(&self.marks);
        says.windows(self.words.len()).any(|some| some.iter().zip(wished()).all(alike))
    }
}

/// What a memory says, worked out once for all that was named.
struct Said {
    words: Vec<String>,
    /// So many of them count at least.
    at_least: usize,
}

impl Said {
    fn of(text: &str) -> Self {
        let words = words_of(text);
        Self { at_least: words_told_at_least(&words), words }
    }
}

/// Whether a memory is meant by what was named.
///
/// | named | what is meant |
/// |---|---|
/// | "I live in Porto" | the same statement of oneself, also where it goes on: "I live in Porto with my sister" |
/// | "my name" | what is about it, and what has these words side by side |
/// | anything else | what has all its words, and a "not" where it has one |
#[must_use]
pub fn is_meant(wanted: &str, text: &str) -> bool {
    is_meant_by_any(&[Named::of(wanted)], text)
}

/// Whether a memory is meant by one thing of all that was named.
#[must_use]
pub fn is_meant_by_any(named: &[Named], text: &str) -> bool {
    let says = Said::of(text);
    named.iter().any(|named| named.means(text, &says))
}

/// The words that nearly all of are in what is meant, unless that is found by [`about_of`].
#[must_use]
pub fn words_to_look_for(wanted: &str) -> Vec<Term> {
    let words: Vec<_> =
        words_of(wanted).into_iter().filter(|word| !DENIES.contains(&word.as_str())).collect();
    terms(&words.join(" "))
}

/// What a memory is about that is meant by "my name", or "my sister's name".
#[must_use]
pub fn about_of(wanted: &str) -> Option<String> {
    let words = plain(wanted);
    let ["my" | "our", thing @ ..] = &words.iter().map(String::as_str).collect::<Vec<_>>()[..] else {
        return None;
    };
    let owner = thing.iter().position(|word| word.ends_with("'s"));
    Some(match owner {
        Some(at) => format!("{} of {}", thing[at + 1..].join(" "), thing[..=at].join(" ").replace("'s", "")),
        None => thing.join(" "),
    })
}

/// The words, without those that change little.
fn words_of(text: &str) -> Vec<String> {
    let changes_little =
        |word: &str| ADVERBS.contains(&word) || matches!(word, "does" | "anymore" | "a" | "an" | "the");
    let words = plain(text).into_iter().filter(|word| !changes_little(word));
    words.map(|word| word.trim_end_matches("'s").to_owned()).collect()
}

fn is_mine(says: &[String]) -> bool {
    says.first().is_some_and(|first| matches!(first.as_str(), "my" | "our"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_read_as_it_was_written() {
        for unwanted in [Unwanted::same_as("I live in Porto"), Unwanted::Named("i live in porto".to_owned())]
        {
            assert_eq!(Unwanted::of_line(&unwanted.line()), unwanted);
            let unwanted = All::of(&[unwanted]);
            assert!(unwanted.is_told_by("I live in PORTO!") && !unwanted.is_told_by("I live in Lisbon"));
        }
        for strange in ["", "=", "=x", "=-", "=99999999999999999999999"] {
            assert!(!All::of(&[Unwanted::of_line(strange)]).is_told_by("I live in Porto"), "{strange}");
        }
    }

    #[test]
    fn a_lesson_in_other_words_is_withheld_where_the_statement_it_is_made_of_is_meant() {
        let porto = [Unwanted::Named("i live in porto".to_owned())];
        for (said, withheld, learned) in [
            ("I live in Porto, near the bridge", vec!["My home is in Porto", "I reside in Oporto"], vec![]),
            (
                "I live in Porto. I like tea, and the cat is ill",
                vec!["My home is in Porto", "I live in Porto"],
                vec!["I am fond of tea", "My cat is ill"],
            ),
            (
                "I live in Porto, my sister lives in Porto",
                vec!["My home is in Porto"],
                vec!["My sister's home is in Porto"],
            ),
            ("My sister lives in Porto", vec![], vec!["My sister's home is in Porto"]),
            ("I live in Porto. I found a flat there.", vec!["My home is in Porto"], vec!["I rent a flat"]),
            ("Porto it is", vec!["I live in Porto"], vec!["My home is in Porto"]),
        ] {
            let of_it = Withheld::of(&porto, said);
            assert!(withheld.iter().all(|lesson| of_it.has(lesson)), "{said}");
            assert!(!learned.iter().any(|lesson| of_it.has(lesson)), "{said}");
            assert!(!Withheld::of(&[], said).has("My home is in Porto"), "{said}");
        }
        // No rule learns from it; a model does.
        let nurse = [Unwanted::Named("i am a nurse".to_owned())];
        let of_it = Withheld::of(&nurse, "I'm a nurse, and I sing in a choir.");
        assert!(of_it.has("I work as a nurse") && !of_it.has("I sing in a choir"));
        assert!(Withheld::of(&nurse, "I'm a nurse.").has("My work is in a hospital"));
    }

    /// What is named, what is meant by it, and what is not.
    const MEANT: &[(&str, &[&str], &[&str])] = &[
        (
            "i live in porto",
            &[
                "I live in Porto",
                "I really live in PORTO now",
                "I'm living in Porto",
                "We live in Porto",
                "I live in Porto with my sister",
                "I live in Porto, Rua do Almada 7, second floor",
                "Living in Porto",
            ],
            &[
                "My sister lives in Porto",
                "She lives in Porto",
                "I don't live in Porto",
                "I have a sister who lives in Porto",
                "I live with my sister, who works in Porto",
                "I live in Porto Alegre",
            ],
        ),
        ("i not like tea", &["I don't like tea", "I do not like tea anymore, never"], &["I like tea"]),
        (
            "i play violin",
            &[
                "I play the violin",
                "I play the violin in an orchestra",
                "I play the violin every Sunday",
                "I play the violin after work",
            ],
            &["My sister plays the violin", "I play violin concertos"],
        ),
        (
            "i have a dog",
            &["I have a dog called Bruno", "I have a dog that bites", "I have a dog whose name is Bruno"],
            &["I have a dog allergy", "My sister has a dog called Bruno"],
        ),
        (
            "my opinion of my boss",
            &["I hate my boss", "I don't like my boss"],
            &["My boss is called Tom", "I like tea"],
        ),
        (
            "my work",
            &["I work as a nurse", "My job is teaching children"],
            &["My sister works as a nurse", "I work in the garden"],
        ),
        ("i work", &["I work at a bank", "I work for my brother"], &["My brother works for me"]),
        ("my home", &["I moved to Porto", "I live in Porto"], &["My sister lives in Porto", "I like Porto"]),
        ("i live", &["I live near the beach", "I live in a small flat"], &["My sister lives in Porto"]),
        ("my age", &["I am 34 years old"], &["My sister is 34 years old"]),
        ("i cannot stand tea", &["I can't stand tea"], &["I can stand tea"]),
        (
            "i have moved to lisbon",
            &["I've moved to Lisbon", "I moved to Lisbon"],
            &["My sister moved to Lisbon"],
        ),
        (
            "my name",
            &["My name is Anna", "Call me Anna", "I'm called Anna", "I don't like my name"],
            &[
                "My dog's name is Bruno",
                "My sister's name is Eva",
                "The name of my doctor is Silva, phone 123",
            ],
        ),
        (
            "my dog's name",
            &["My dog's name is Bruno", "My dog is called Bruno"],
            &["My dog is ill", "My name is Anna"],
        ),
        (
            "my sister",
            &[
                "My sister lives in Porto",
                "My sister's name is Eva",
                "I love my sister",
                "My sisters like tea",
            ],
            &["I have no sister", "Anna's sister is ill", "My twin sister is ill"],
        ),
        (
            "my sister lives in porto",
            &["My sister is living in Porto"],
            &["My sister is ill", "I live in Porto"],
        ),
        ("my name is zo\u{eb}", &["My name is Zoe\u{308}", "My name is Zo\u{eb}"], &["My name is Anna"]),
        ("i live with zoe\u{308}", &["I live with Zo\u{eb}"], &["I live with Anna"]),
        ("the party", &["I was at a party"], &["I was not at the party"]),
    ];

    #[test]
    fn what_is_named_is_meant_and_nothing_that_only_shares_its_words() {
        for (wanted, meant, others) in MEANT {
            for text in *meant {
                assert!(is_meant(wanted, text), "{wanted}: {text}");
            }
            for text in *others {
                assert!(!is_meant(wanted, text), "{wanted}: {text}");
            }
        }
        for strange in ["", "i", "i am", "my", "'s", "my 's"] {
            assert!(!is_meant(strange, "I am my own"), "{strange}");
        }
    }
}
