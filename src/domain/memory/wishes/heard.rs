//! How wishes are worded.

use super::Wish;
use super::refused::{left_alone, not_needed, not_remembered};
use super::said::{SAID, is_saying, of_what_was_said, told_before};
use crate::domain::memory::learning::plain;

/// A wish, as it is worded.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// "Forget that": what is said before it.
    That,
    /// "Don't remember this": whatever is said with it.
    This,
    /// "Don't save what I'm about to say": whatever is said behind it, and no message before it.
    Ahead,
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
/// Without one of these, "you forget my name" and "you would forget my name" are no wishes.
const ASKS: &[&str] = &["can", "could", "please"];
/// Who begins so and goes on with "forgot" has a wish as well.
const RATHER: &[&[&str]] = &[
    &["i'd", "rather", "you"],
    &["i", "would", "rather", "you"],
    &["i'd", "prefer", "it", "if", "you"],
    &["i", "would", "prefer", "it", "if", "you"],
];
const ERASE: &[&str] = &["delete", "erase", "remove"];
/// What is known was told.
const KNOWN: &[&str] =
    &["said", "told", "mentioned", "know", "remember", "learned", "noted", "saved", "stored"];
const REMEMBERING: &[&str] = &["remembering", "storing", "saving", "recording"];
const BEHIND: &[&str] = &["please", "thanks", "ok", "okay", "now", "again", "though"];
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

/// Whether it says nothing of what is meant.
pub(super) fn is_bare(heard: &[Heard]) -> bool {
    matches!(heard, [Heard::That | Heard::This | Heard::Ahead])
}

/// What is wished in a part of a message.
pub(super) fn heard(part: &str) -> Vec<Heard> {
    let words = words_of(part);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let heard = worded(&words, part.ends_with('?') && !words.contains(&"please"));
    if part.ends_with('?') && only_asks(&words, &heard) { Vec::new() } else { heard }
}

/// "Forget my name?" and "will you forget my birthday?" want to know something; "will you forget that?" has a wish.
fn only_asks(words: &[&str], heard: &[Heard]) -> bool {
    let mut polite = words.iter().take_while(|word| BEFORE.contains(word));
    let may_be_one = |word: &&str| ASKS.contains(word) || matches!(*word, "will" | "would") && is_bare(heard);
    !words.contains(&"please") && !polite.any(may_be_one)
}

fn worded(words: &[&str], is_asked: bool) -> Vec<Heard> {
    let (words, is_of_notes) = without_notes(without_behind(words));
    if let Some(what) = not_needed(words, is_of_notes) {
        return if is_asked { Vec::new() } else { left_alone(what) };
    }
    let Some(words) = wanted(words) else { return Vec::new() };
    if let Some(["forgot", what @ ..]) = RATHER.iter().find_map(|lead| words.strip_prefix(*lead)) {
        return forgotten(what);
    }
    match words {
        ["forget", what @ ..] => return forgotten(what),
        ["stop", verb, what @ ..] if REMEMBERING.contains(verb) => return forgotten(what),
        // Of other things than notes, like an account, it is not for the companion to say that they are gone.
        [verb, what @ ..] if ERASE.contains(verb) => {
            let of_notes = |heard: &Heard| is_of_notes || !matches!(heard, Heard::Sure(Wish::Forget(_)));
            return forgotten(what).into_iter().filter(of_notes).collect();
        }
        _ => {}
    }
    if words.windows(3).any(|three| three == ["off", "the", "record"]) {
        return vec![Heard::Sure(Wish::NotThis)];
    }
    not_remembered(words, is_asked, is_of_notes)
}

/// Without "from your memory", "to your notes", and whether that was there.
fn without_notes<'a, 'b>(words: &'b [&'a str]) -> (&'b [&'a str], bool) {
    let ([rest @ .., "your", "memory" | "memories" | "notes"] | [rest @ .., "memory"]) = words else {
        return (words, false);
    };
    match rest {
        [rest @ .., "from" | "to" | "in" | "into"] => (without_behind(rest), true),
        _ => (words, false),
    }
}

/// Without what may stand behind a wish.
fn without_behind<'a, 'b>(mut words: &'b [&'a str]) -> &'b [&'a str] {
    while let [rest @ .., last] = words {
        words = match (rest, *last) {
            ([rest @ .., "thank"], "you") => rest,
            // "Forget that for me", and not "forget that my brother works for me".
            ([rest @ .., "for"], "me") if rest.last().is_some_and(|word| THIS.contains(word)) => rest,
            (rest, last) if BEHIND.contains(&last) => rest,
            _ => break,
        }
    }
    words
}

/// "Do not" is one word, as "don't" is; "doesn't" is two, for nobody is told so to leave something alone.
fn words_of(sentence: &str) -> Vec<String> {
    let sentence = sentence.to_lowercase().replace('\u{2019}', "'");
    let words = plain(&sentence.replace("doesn't", "does not").replace("doesnt", "does not"));
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
    let you = before.iter().position(|word| *word == "you");
    let asks = before.iter().enumerate().any(|(at, word)| {
        ASKS.contains(word) || matches!(*word, "will" | "would") && you.is_some_and(|you| at < you)
    });
    (you.is_none() || asks).then_some(rest)
}

/// What follows "forget".
pub(super) fn forgotten(what: &[&str]) -> Vec<Heard> {
    if let Some(heard) = of_what_was_said(what.strip_prefix(&["about"]).unwrap_or(what)) {
        return heard;
    }
    match what {
        ["that" | "this"] | ["about", "that" | "this"] => vec![Heard::That],
        ["everything" | "all", rest @ ..] => everything(rest),
        ["what", "you", verb, ..] if KNOWN.contains(verb) && !SAID.contains(verb) => everything(&what[1..]),
        ["my" | "your", "memory" | "memories" | "notes"]
        | ["my" | "your", "memories" | "notes", "of" | "about", "me"] => {
            vec![Heard::Sure(Wish::Everything)]
        }
        ["where" | "what", "my", who @ .., verb] if !of_mine(who, verb).is_empty() => of_mine(who, verb),
        ["what", "i", "think", "of" | "about", thing @ ..] => opinion(thing),
        ["what", "i", told @ ..] if is_saying(told) => told_before(told),
        ["what", rest @ .., "is" | "are"] => of_oneself(rest),
        ["what" | "where" | "who" | "when" | "how", ..] => asked_for(&what.join(" ")),
        // "Forget about dinner" is only not to be thought of any more.
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
    let names: Vec<_> = known_as.iter().map(|name| (*name).to_owned()).collect();
    (!names.is_empty()).then_some(Heard::Sure(Wish::Forget(names))).into_iter().collect()
}

/// "Where my sister lives" is known as this.
fn of_mine(who: &[&str], verb: &str) -> Vec<Heard> {
    let (thing, whose) = match (verb, who) {
        ("lives" | "live", whose) => ("home", whose),
        ("works" | "work", whose) => ("work", whose),
        ("called", [whose @ .., "is" | "are"]) => ("name", whose),
        _ => return Vec::new(),
    };
    if whose.is_empty() {
        return Vec::new();
    }
    let names = vec![format!("my {}'s {thing}", whose.join(" ")), format!("my {} {verb}", who.join(" "))];
    vec![Heard::Sure(Wish::Forget(names))]
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
    Heard::Sure(Wish::Forget(vec![what.to_owned()]))
}

pub(super) fn is_of_oneself(word: &str) -> bool {
    matches!(word, "i" | "my" | "we" | "our") || word.starts_with("i'") || word.starts_with("we'")
}
