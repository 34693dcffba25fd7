//! How wishes are worded.

use super::Wish;
use super::said::{is_saying, of_what_was_said, told_before};
use crate::domain::memory::learning::plain;

/// A wish, as it is worded.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// "Forget that": what is said before it.
    That,
    /// "Don't remember this": whatever is said with it.
    This,
    /// It says of itself what is meant.
    Sure(Wish),
}

/// What may stand before and behind a wish without changing it.
pub(super) const BEFORE: &[&str] = &[
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
/// Who does not remember something has no wish.
const SUBJECTS: &[&str] = &["i", "we", "you", "they", "he", "she", "it", "who", "people"];
const REMEMBER: &[&str] = &["remember", "save", "keep", "store", "note", "record", "memorize", "memorise"];
pub(super) const THIS: &[&str] = &["that", "this", "it"];
/// What tells nothing of what is to be forgotten.
pub(super) const POINTING: &[&str] = &[
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
/// "I don't want you to remember this".
const WANTED: &[&[&str]] = &[&["to"], &["want", "you", "to"], &["need", "you", "to"], &["like", "you", "to"]];
/// Where no more than this stands before a "not", that is where the wish begins.
const WANTING: &[&[&str]] = &[
    &[],
    &["i"],
    &["we"],
    &["i", "would"],
    &["i", "want", "you"],
    &["i", "need", "you"],
    &["i", "would", "like", "you"],
    &["i'd", "like", "you"],
    &["i", "would", "rather", "you", "did"],
    &["i'd", "rather", "you", "did"],
];

/// Whether it says nothing of what is meant.
pub(super) fn is_bare(heard: &[Heard]) -> bool {
    matches!(heard, [Heard::That | Heard::This])
}

/// What is wished in a part of a message.
pub(super) fn heard(part: &str) -> Vec<Heard> {
    let words = words_of(part);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let is_asked = part.ends_with('?') && !words.contains(&"please");
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
            let of_notes = |heard: &Heard| !matches!(heard, Heard::Sure(Wish::Forget(_)));
            return forgotten(what).into_iter().filter(of_notes).collect();
        }
        _ => {}
    }
    if words.windows(3).any(|three| three == ["off", "the", "record"]) {
        return vec![Heard::Sure(Wish::NotThis)];
    }
    not_remembered(words, is_asked)
}

/// "Do not" is one word, as "don't" is.
fn words_of(sentence: &str) -> Vec<String> {
    let words = plain(sentence);
    let is_do = |place: usize| words[place] == "do" && words.get(place + 1).is_some_and(|next| next == "not");
    (0..words.len()).filter(|place| !is_do(*place)).map(|place| words[place].clone()).collect()
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
fn forgotten(what: &[&str]) -> Vec<Heard> {
    if let Some(heard) = of_what_was_said(what.strip_prefix(&["about"]).unwrap_or(what)) {
        return heard;
    }
    match what {
        ["that" | "this"] | ["about", "that" | "this"] => vec![Heard::That],
        ["everything" | "all", rest @ ..] => everything(rest),
        ["what", "i", "think", "of" | "about", thing @ ..] => opinion(thing),
        ["what", "i", told @ ..] if is_saying(told) => told_before(told),
        ["what", rest @ .., "is" | "are"] => of_oneself(rest),
        ["what" | "where" | "who" | "when" | "how", ..] => asked_for(&what.join(" ")),
        ["that" | "about", rest @ ..] | rest => of_oneself(rest),
    }
}

/// "I live in Porto", "my name", "I said that I live in Porto".
pub(super) fn of_oneself(what: &[&str]) -> Vec<Heard> {
    let told = match what {
        ["i", told @ ..] if is_saying(told) => told_before(told),
        _ => Vec::new(),
    };
    // "Forget that I wrote my thesis" is not about the thesis alone.
    let is_meant = is_bare(&told) || what.iter().any(|word| matches!(*word, "said" | "told" | "mentioned"));
    match what {
        _ if is_meant && !told.is_empty() => told,
        [first, ..] if is_of_oneself(first) => named(what),
        _ => Vec::new(),
    }
}

/// "Everything", "everything you know about me", "all I told you about my sister".
fn everything(rest: &[&str]) -> Vec<Heard> {
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
        None | Some(["me" | "us", ..]) if is_all => vec![Heard::Sure(Wish::Everything)],
        _ => Vec::new(),
    }
}

/// "What I think of my boss".
fn opinion(thing: &[&str]) -> Vec<Heard> {
    let thing: Vec<_> = thing.iter().copied().filter(|word| !matches!(*word, "a" | "an" | "the")).collect();
    let names = thing.first().is_some_and(|first| !POINTING.contains(first));
    names.then(|| forget(&format!("my opinion of {}", thing.join(" ")))).into_iter().collect()
}

/// What is asked for so is known as this.
fn asked_for(what: &str) -> Vec<Heard> {
    let known_as: &[&str] = match what {
        "what i do" | "what i do for a living" | "what i do for work" | "where i work" => {
            &["my work", "my job", "i work"]
        }
        "where i live" => &["my home", "my address", "i live"],
        "where i am from" | "where i come from" => &["my origin"],
        "where i was born" => &["my birthplace"],
        "when i was born" => &["my birthday"],
        "how old i am" => &["my age"],
        "who i am" | "what i am called" => &["my name"],
        _ => &[],
    };
    known_as.iter().map(|name| forget(name)).collect()
}

/// "I live in Porto and that I like tea", "my sister and my brother": cut where another statement in the first person begins.
pub(super) fn named(what: &[&str]) -> Vec<Heard> {
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
    cut.into_iter().filter(|part| !part.is_empty()).map(|part| forget(&part.join(" "))).collect()
}

fn forget(what: &str) -> Heard {
    Heard::Sure(Wish::Forget(what.to_owned()))
}

pub(super) fn is_of_oneself(word: &str) -> bool {
    matches!(word, "i" | "my" | "we" | "our") || word.starts_with("i'") || word.starts_with("we'")
}

/// "Don't remember this", wherever it stands, unless somebody says that they do not.
fn not_remembered(words: &[&str], is_asked: bool) -> Vec<Heard> {
    let denies = |at: usize, word: &str| word == "not" || word == "never" && at == 0;
    for (at, _) in words.iter().enumerate().filter(|(at, word)| denies(*at, word)) {
        let (before, behind) = (&words[..at], &words[at + 1..]);
        let wanted = WANTED.iter().find_map(|wanted| behind.strip_prefix(*wanted));
        let [verb, what @ ..] = wanted.unwrap_or(behind) else { continue };
        let states = wanted.is_none() && before.last().is_some_and(|who| SUBJECTS.contains(who));
        if states || !REMEMBER.contains(verb) {
            continue;
        }
        let begins = WANTING.contains(&before) && (wanted.is_some() || matches!(before, [] | [.., "did"]));
        match what {
            [only] if begins && THIS.contains(only) => return vec![Heard::This],
            // "Can you not remember my name?" is no wish.
            ["that", _, ..] | ["what" | "where" | "who" | "when" | "how" | "my" | "our", ..]
                if !is_asked && (begins || before.last() == Some(&"please")) =>
            {
                let heard = forgotten(what);
                if !heard.is_empty() {
                    return heard;
                }
            }
            _ => {}
        }
        if what.first().is_some_and(|first| THIS.contains(first)) {
            return vec![Heard::Sure(Wish::NotThis)];
        }
    }
    Vec::new()
}
