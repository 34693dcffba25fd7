//! What somebody wants to be done with what they say: learned from, left alone, forgotten.

use crate::domain::memory::learning::{plain, sentences};

/// All that somebody wants to be done with what they say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wishes {
    /// Each thing once, in the order in which they said so.
    pub all: Vec<Wish>,
    /// Whether the message is learned from all the same.
    pub learn: bool,
}

impl Default for Wishes {
    /// Nothing was said of it: whatever is worth it is learned.
    fn default() -> Self {
        Self { all: Vec::new(), learn: true }
    }
}

/// One thing that somebody wants to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wish {
    /// "Don't remember this": nothing is learned from this message.
    NotThis,
    /// "Forget that": what was learned from the turn before is forgotten.
    ForgetBefore,
    /// "Forget that I live in Porto": that statement is forgotten.
    Forget(String),
    /// "Forget everything": nothing is forgotten at a word, and it is said where it is done.
    Everything,
}

/// The most wishes that are heeded of a message.
const MOST_WISHES: usize = 10;
/// What may stand before and behind a wish without changing it.
const BEFORE: &[&str] = &[
    "please", "just", "can", "could", "would", "will", "you", "ok", "okay", "no", "oh", "hey", "so", "and",
    "but", "actually", "sorry", "now", "wait", "well", "then",
];
/// Who begins so has a wish as well.
const LEADS: &[&[&str]] = &[
    &["i", "want", "you", "to"],
    &["i", "need", "you", "to"],
    &["i'd", "like", "you", "to"],
    &["i", "would", "like", "you", "to"],
    &["you", "must"],
    &["you", "should"],
    &["you", "have", "to"],
    &["you", "need", "to"],
];
/// Without one of these, "you forget that" is no wish.
const ASKS: &[&str] = &["can", "could", "will", "would", "please"];
const ERASE: &[&str] = &["delete", "erase", "remove"];
/// What is known was told.
const KNOWN: &[&str] =
    &["said", "told", "mentioned", "know", "remember", "learned", "noted", "saved", "stored"];
const REMEMBERING: &[&str] = &["remembering", "storing", "saving", "recording"];
const BEHIND: &[&str] = &["please", "thanks", "ok", "okay", "now", "again", "though"];
const GREETINGS: &[&str] = &["hi", "hello", "good", "thank", "thanks"];
/// What is said so is about what was said before.
const OF_SAYING: &[&str] = &[
    "sorry",
    "said",
    "say",
    "saying",
    "told",
    "tell",
    "mean",
    "meant",
    "mistake",
    "wrong",
    "lied",
    "joking",
    "kidding",
    "mentioned",
    "changed",
];
/// Who does not remember something has no wish.
const SUBJECTS: &[&str] = &["i", "we", "you", "they", "he", "she", "it", "who", "people"];
const REMEMBER: &[&str] = &["remember", "save", "keep", "store", "note", "record", "memorize", "memorise"];
const THIS: &[&str] = &["that", "this", "it"];
/// What tells nothing of what is to be forgotten.
const POINTING: &[&str] = &[
    "that",
    "this",
    "it",
    "him",
    "her",
    "them",
    "me",
    "anything",
    "something",
    "everything",
    "just",
    "now",
    "before",
];

/// What somebody wants to be done with what they say.
#[must_use]
pub fn wishes(said: &str) -> Wishes {
    let sentences: Vec<_> = sentences(said).collect();
    let (mut all, mut stated_before, mut stated_since) = (Vec::new(), false, false);
    for sentence in &sentences {
        let found = of_sentence(&words_of(sentence), sentences.len() == 1);
        if found.is_empty() {
            stated_since |= is_statement(sentence);
            continue;
        }
        stated_before |= std::mem::take(&mut stated_since);
        for wish in found {
            // "I like jazz. Forget that." is meant of the jazz.
            let wish = if wish == Wish::ForgetBefore && stated_before { Wish::NotThis } else { wish };
            if all.len() < MOST_WISHES && !all.contains(&wish) {
                all.push(wish);
            }
        }
    }
    // "Forget that. I live in Lisbon now."
    let learn = all.is_empty() || stated_since && !all.contains(&Wish::NotThis);
    Wishes { all, learn }
}

/// Whether something is said in a sentence that "that" may be meant of: neither a question nor a greeting, nor something about what was said.
fn is_statement(sentence: &str) -> bool {
    let words = plain(sentence);
    let begin = words.iter().take_while(|word| BEFORE.contains(&word.as_str())).count();
    let words = &words[begin..];
    let points = words
        .first()
        .is_some_and(|first| POINTING.contains(&first.as_str()) || GREETINGS.contains(&first.as_str()));
    let of_saying = words.iter().any(|word| OF_SAYING.contains(&word.as_str()));
    words.len() >= 3 && !points && !of_saying && !sentence.ends_with('?')
}

/// "Do not" is one word, as "don't" is.
fn words_of(sentence: &str) -> Vec<String> {
    let words = plain(sentence);
    let is_do = |place: usize| words[place] == "do" && words.get(place + 1).is_some_and(|next| next == "not");
    (0..words.len()).filter(|place| !is_do(*place)).map(|place| words[place].clone()).collect()
}

fn of_sentence(words: &[String], alone: bool) -> Vec<Wish> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let Some(mut words) = wanted(&words) else { return Vec::new() };
    while let [rest @ .., last] = words {
        match (rest, *last) {
            ([rest @ .., "thank"], "you") => words = rest,
            (rest, last) if BEHIND.contains(&last) => words = rest,
            _ => break,
        }
    }
    match words {
        ["forget", what @ ..] => return forgotten(what),
        ["stop", verb, what @ ..] if REMEMBERING.contains(verb) => return forgotten(what),
        // Of other things than notes, like an account, it is not for the companion to say that they are gone.
        [verb, what @ ..] if ERASE.contains(verb) => {
            let of_notes = |wish: &Wish| !matches!(wish, Wish::Forget(_));
            return forgotten(what).into_iter().filter(of_notes).collect();
        }
        _ => {}
    }
    if words.windows(3).any(|three| three == ["off", "the", "record"]) {
        return vec![Wish::NotThis];
    }
    not_remembered(words, alone)
}

/// What is behind the words that lead to a wish; `None` where it is told of whoever is talked to.
fn wanted<'a, 'b>(words: &'b [&'a str]) -> Option<&'b [&'a str]> {
    let begin = words.iter().take_while(|word| BEFORE.contains(word)).count();
    let polite = words.iter().take_while(|word| BEFORE.contains(word) && **word != "you").count();
    if let Some(rest) = LEADS.iter().find_map(|lead| words[polite..].strip_prefix(*lead)) {
        return Some(rest);
    }
    let (before, rest) = words.split_at(begin);
    let is_told = before.last() == Some(&"you") && !before.iter().any(|word| ASKS.contains(word));
    (!is_told).then_some(rest)
}

/// What follows "forget".
fn forgotten(what: &[&str]) -> Vec<Wish> {
    match what {
        ["that" | "this"] | ["about", "that" | "this"] => vec![Wish::ForgetBefore],
        ["everything" | "all", rest @ ..] => everything(rest),
        ["that", "i", "said" | "told" | "mentioned", rest @ ..]
        | ["i", "said" | "told" | "mentioned", rest @ ..]
        | ["what", "i", rest @ ..] => told_before(rest),
        ["that" | "about", rest @ ..] | rest if rest.first().is_some_and(|word| is_of_oneself(word)) => {
            named(rest)
        }
        _ => Vec::new(),
    }
}

/// "Everything", "everything you know about me", "all I told you about my sister".
fn everything(rest: &[&str]) -> Vec<Wish> {
    let about = rest.iter().position(|word| *word == "about").map(|at| &rest[at + 1..]);
    let is_all = match rest {
        []
        | ["that"]
        | ["of", "it" | "that" | "this"]
        | ["about", ..]
        | ["my" | "your", "memories" | "notes"] => true,
        ["i" | "you", ..] | ["that", "i" | "you", ..] => rest.iter().any(|word| KNOWN.contains(word)),
        _ => false,
    };
    match about {
        Some([first, ..]) if is_all && is_of_oneself(first) => named(about.unwrap_or_default()),
        None | Some(["me" | "us", ..]) if is_all => vec![Wish::Everything],
        _ => Vec::new(),
    }
}

/// "What I said", "what I told you about my sister", "that I said I live in Porto".
fn told_before(rest: &[&str]) -> Vec<Wish> {
    let about = rest.iter().position(|word| *word == "about").map(|at| &rest[at + 1..]);
    let itself = || rest.iter().position(|word| is_of_oneself(word)).map(|at| &rest[at..]);
    match about.or_else(itself).filter(|what| what.iter().any(|word| !POINTING.contains(word))) {
        Some(what) => named(what),
        None => vec![Wish::ForgetBefore],
    }
}

/// "I live in Porto and that I like tea", "my sister and my brother": cut where another statement in the first person begins.
fn named(what: &[&str]) -> Vec<Wish> {
    let mut cut = vec![Vec::new()];
    let mut rest = what;
    while let [word, after @ ..] = rest {
        let next = after.strip_prefix(&["that"]).unwrap_or(after);
        let is_seam =
            matches!(*word, "and" | "or" | "but") && next.first().is_some_and(|next| is_of_oneself(next));
        if is_seam {
            cut.push(Vec::new());
        } else {
            cut.last_mut().into_iter().for_each(|part: &mut Vec<_>| part.push(*word));
        }
        rest = if is_seam { next } else { after };
    }
    cut.into_iter().filter(|part| !part.is_empty()).map(|part| Wish::Forget(part.join(" "))).collect()
}

fn is_of_oneself(word: &str) -> bool {
    matches!(word, "i" | "my" | "we" | "our") || word.starts_with("i'") || word.starts_with("we'")
}

/// "Don't remember this", wherever it stands, unless somebody says that they do not.
fn not_remembered(words: &[&str], alone: bool) -> Vec<Wish> {
    let denies = |at: usize, word: &str| word == "not" || word == "never" && at == 0;
    for (at, _) in words.iter().enumerate().filter(|(at, word)| denies(*at, word)) {
        let before = at.checked_sub(1).map(|before| words[before]);
        let (told_to, behind) = match &words[at + 1..] {
            ["to", behind @ ..] => (true, behind),
            behind => (false, behind),
        };
        let [verb, what, rest @ ..] = behind else { continue };
        let states = !told_to && before.is_some_and(|who| SUBJECTS.contains(&who));
        let of_saying = *what == "what" && rest.first() == Some(&"i");
        if states || !REMEMBER.contains(verb) || !of_saying && !THIS.contains(what) {
            continue;
        }
        return match rest {
            ["i", told @ ..] if of_saying && at == 0 => told_before(told),
            [first, ..] if *what == "that" && is_of_oneself(first) => named(rest),
            [] if at == 0 && alone => vec![Wish::ForgetBefore],
            _ => vec![Wish::NotThis],
        };
    }
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wish_to_forget_is_heard() {
        for (said, wanted) in [
            ("Forget that.", Some(Wish::ForgetBefore)),
            ("please forget what I just said", Some(Wish::ForgetBefore)),
            ("Don't remember this", Some(Wish::ForgetBefore)),
            ("Don't remember this. My sister is ill.", Some(Wish::NotThis)),
            ("Off the record, my sister is ill", Some(Wish::NotThis)),
            ("Forget that I live in Porto", Some(Wish::Forget("i live in porto".to_owned()))),
            ("Please forget that, thank you", Some(Wish::ForgetBefore)),
            ("Would you please forget about that?", Some(Wish::ForgetBefore)),
            ("forget that I said that", Some(Wish::ForgetBefore)),
            ("Forget I said anything", Some(Wish::ForgetBefore)),
            ("Forget what I told you before.", Some(Wish::ForgetBefore)),
            ("Forget what I told you about my sister, please", Some(Wish::Forget("my sister".to_owned()))),
            ("Forget that I said I live in Porto", Some(Wish::Forget("i live in porto".to_owned()))),
            ("Forget that we live in Porto now, thanks", Some(Wish::Forget("we live in porto".to_owned()))),
            ("Forget my name", Some(Wish::Forget("my name".to_owned()))),
            ("Do not remember this", Some(Wish::ForgetBefore)),
            ("Please do not keep that.", Some(Wish::ForgetBefore)),
            ("Don't remember that I live in Porto", Some(Wish::Forget("i live in porto".to_owned()))),
            ("Don't remember this, but my sister is ill", Some(Wish::NotThis)),
            ("My boss is called Tom, please don't remember that", Some(Wish::NotThis)),
            ("My boss is called Tom. Do not store this!", Some(Wish::NotThis)),
            ("I want you not to remember this: my sister is ill", Some(Wish::NotThis)),
            ("dont remember this", Some(Wish::ForgetBefore)),
            ("Do you not remember that?", None),
            ("Don't you remember this?", None),
            ("I do not remember that I said so", None),
            ("They don't keep that promise", None),
            ("Forget it, you don't understand", None),
            ("I forget my keys", None),
            ("Don't forget that I live in Porto", None),
            ("I always forget that", None),
            ("I cannot forget what she said", None),
            ("Do you remember that?", None),
            ("I don't remember this place", None),
        ] {
            let learn = wanted.is_none();
            assert_eq!(wishes(said), Wishes { all: wanted.into_iter().collect(), learn }, "{said}");
        }
    }

    #[test]
    fn a_wish_is_heard_in_ordinary_words() {
        for (said, wanted) in [
            ("I want you to forget that", Wish::ForgetBefore),
            ("Please, I need you to forget this.", Wish::ForgetBefore),
            ("You must forget that", Wish::ForgetBefore),
            ("You have to forget that, please", Wish::ForgetBefore),
            ("I'd like you to forget that", Wish::ForgetBefore),
            ("I would like you to not remember that", Wish::ForgetBefore),
            ("I'd like you to forget that I live in Porto.", Wish::Forget("i live in porto".to_owned())),
            ("You must forget that I live in Porto", Wish::Forget("i live in porto".to_owned())),
            ("Please delete that", Wish::ForgetBefore),
            ("Could you erase what I just said?", Wish::ForgetBefore),
            ("Don't remember what I just said", Wish::ForgetBefore),
            ("Please don't remember what I said about my sister", Wish::Forget("my sister".to_owned())),
            ("Never remember that", Wish::ForgetBefore),
            ("Please stop remembering that", Wish::ForgetBefore),
            ("Stop remembering that I live in Porto", Wish::Forget("i live in porto".to_owned())),
            ("Forget everything", Wish::Everything),
            ("Please forget everything I told you.", Wish::Everything),
            ("Forget everything you know about me", Wish::Everything),
            ("I want you to forget all of that", Wish::Everything),
            ("Can you delete everything you remember?", Wish::Everything),
            ("Forget everything about my sister", Wish::Forget("my sister".to_owned())),
            ("Forget all I told you about my sister", Wish::Forget("my sister".to_owned())),
        ] {
            assert_eq!(wishes(said), Wishes { all: vec![wanted], learn: false }, "{said}");
        }
    }

    #[test]
    fn what_only_sounds_like_a_wish_forgets_nothing() {
        for said in [
            "I will never forget that day",
            "I will never forget that",
            "You must not forget that",
            "You should never forget that I like tea",
            "You forget that I like tea",
            "You don't remember that",
            "You must forget that you ever loved him",
            "I want you to remember that",
            "I want to forget that",
            "I want to forget everything",
            "I never remember that",
            "My parents never remember that",
            "I don't remember what I said",
            "I cannot stop remembering that day",
            "Forget it",
            "Forget it, let's talk of the sea",
            "Forget all my worries",
            "Forget everything else",
            "Forget everything that happened today",
            "Forget everything you heard about jazz",
            "Forget everything I hate",
            "Delete my account",
            "Delete that photo",
            "Never forget that",
        ] {
            assert_eq!(wishes(said), Wishes::default(), "{said}");
        }
    }

    #[test]
    fn forget_that_is_meant_of_what_was_said_before_it() {
        for (said, wanted, learn) in [
            ("I like jazz. Forget that.", Wish::NotThis, false),
            ("Jazz is what I like! Please forget that, thanks.", Wish::NotThis, false),
            ("Oh no. Forget that.", Wish::ForgetBefore, false),
            ("Hello my friend. Forget that.", Wish::ForgetBefore, false),
            ("That was stupid of me. Forget that.", Wish::ForgetBefore, false),
            ("I am sorry I said it. Forget that.", Wish::ForgetBefore, false),
            ("Are you there now? Forget that.", Wish::ForgetBefore, false),
            ("Forget that. I live in Lisbon now.", Wish::ForgetBefore, true),
            ("Forget that. Thank you so much.", Wish::ForgetBefore, false),
            ("I like jazz. Forget that. I live in Lisbon now.", Wish::NotThis, false),
            ("I like jazz. I want you to forget that.", Wish::NotThis, false),
            ("I like jazz. Don't remember what I just said.", Wish::NotThis, false),
            ("My PIN is 1234 and I live in Porto. Forget everything I told you.", Wish::Everything, false),
        ] {
            assert_eq!(wishes(said), Wishes { all: vec![wanted], learn }, "{said}");
        }
    }

    #[test]
    fn what_follows_a_wish_is_learned_from() {
        assert!(wishes("Forget that I live in Porto. I live in Lisbon now.").learn);
        assert!(!wishes("I live in Lisbon now. Forget that I live in Porto.").learn);
        assert!(!wishes("Off the record. My sister is ill now.").learn);
    }

    #[test]
    fn every_wish_of_a_message_is_heard() {
        for (said, wanted) in [
            ("Forget that I live in Porto. Forget that I like tea.", ["i live in porto", "i like tea"]),
            ("Forget that I live in Porto and that I like tea.", ["i live in porto", "i like tea"]),
            (
                "Don't remember that I live in Porto, and my name is Anna",
                ["i live in porto", "my name is anna"],
            ),
            ("Forget my mother and my father", ["my mother", "my father"]),
            ("Forget what I told you about my mother or my father", ["my mother", "my father"]),
            ("Forget my cat and dog. Forget my cat and dog! Forget my name.", ["my cat and dog", "my name"]),
        ] {
            let wanted = wanted.map(|text| Wish::Forget(text.to_owned()));
            assert_eq!(wishes(said).all, wanted, "{said}");
        }
        let both = [Wish::ForgetBefore, Wish::Forget("i like tea".to_owned())];
        assert_eq!(wishes("Forget that. And forget that I like tea.").all, both);
        let many: String = (0..100).map(|number| format!("Forget that I like tea {number}. ")).collect();
        assert_eq!(wishes(&many).all.len(), MOST_WISHES);
    }

    #[test]
    fn nothing_is_too_strange() {
        for strange in [
            "",
            "\u{1f600}",
            "forget",
            "forget that i",
            "not remember",
            "off the",
            "' ' '",
            "thank you",
            "you",
            "you must",
            "i want you to",
            "stop",
            "never",
            "forget all about",
            "not remember what",
            "please",
            "do",
            "not to",
            "forget what i about",
            "forget that i and",
            "forget my and my and that my",
        ] {
            drop(wishes(strange));
        }
    }
}
