//! How wishes are worded.

use super::Wish;
use super::names::{all_asked_for, is_of_oneself, named, of_mine, opinion};
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
    "but", "actually", "sorry", "now", "wait", "well", "then", "also", "yes",
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
    // "Forget that ok?" only wants to be answered.
    let asks = part.ends_with('?') && !matches!(words.last(), Some(&("ok" | "okay" | "alright" | "thanks")));
    let heard = worded(&words, asks && !words.contains(&"please"));
    if asks && only_asks(&words, &heard) { Vec::new() } else { heard }
}

/// "Forget my name?" and "will you forget my birthday?" want to know something; "will you forget that?" has a wish.
fn only_asks(words: &[&str], heard: &[Heard]) -> bool {
    let mut polite = words.iter().take_while(|word| BEFORE.contains(word));
    let may_be_one = |word: &&str| ASKS.contains(word) || matches!(*word, "will" | "would") && is_bare(heard);
    !words.iter().any(|word| matches!(*word, "please" | "mind")) && !polite.any(may_be_one)
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
        ["mind", "forgetting", what @ ..] => return forgotten(what),
        ["i", "want" | "need", what @ .., "forgotten"]
        | ["i'd", "like", what @ .., "forgotten"]
        | ["i", "would", "like", what @ .., "forgotten"] => {
            return forgotten(what.strip_suffix(&["to", "be"]).unwrap_or(what));
        }
        // Of other things than notes, like an account, it is not for the companion to say that they are gone.
        [verb, what @ ..] if ERASE.contains(verb) => {
            let is_of_notes = is_of_notes || is_known(what);
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

/// "Everything you know about my sister", "your notes about my sister".
fn is_known(what: &[&str]) -> bool {
    match what {
        ["your", "notes" | "memories", ..] | ["all", "your", "notes" | "memories", ..] => true,
        [first, ..] => !is_of_oneself(first) && what.iter().any(|word| KNOWN.contains(word)),
        [] => false,
    }
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
pub(super) fn without_behind<'a, 'b>(mut words: &'b [&'a str]) -> &'b [&'a str] {
    while let [rest @ .., last] = words {
        words = match (rest, *last) {
            ([rest @ .., "thank"], "you")
            | ([rest @ .., "right"], "now")
            | ([rest @ .., "from", "now"], "on") => rest,
            // "Forget that for me", and not "forget that my brother works for me".
            ([rest @ .., "for"], "me") if rest.last().is_some_and(|word| THIS.contains(word)) => rest,
            (rest, last) if BEHIND.contains(&last) => rest,
            // "Forget my name completely", and not "forget that I trust you completely".
            (rest, "then" | "completely" | "forever")
                if !rest.iter().any(|word| matches!(*word, "i" | "we")) =>
            {
                rest
            }
            _ => break,
        }
    }
    words
}

/// "Do not" is one word, as "don't" is; "doesn't" is two, for nobody is told so to leave something alone.
fn words_of(sentence: &str) -> Vec<String> {
    let sentence = sentence.to_lowercase().replace('\u{2019}', "'");
    let mut sentence = sentence.replace("doesn't", "does not").replace("doesnt", "does not");
    // "Forget my name, my sister and my dog", and not "forget that my dog, my best friend, is ill".
    let things: &[&str] = if sentence.contains("that ") { &[] } else { &["my", "our"] };
    // "Forget my name, where I live and what I do", and not "forget that my sister lives in Porto, where I live".
    let is_placed =
        sentence.split([' ', ',']).any(|word| matches!(word, "in" | "at" | "to" | "from" | "near"));
    let asked: &[&str] = if is_placed { &[] } else { &["where i", "what i"] };
    for next in ["that i", "that we", "that my"].iter().chain(asked).chain(things) {
        sentence = sentence.replace(&format!(", {next} "), &format!(" and {next} "));
    }
    let words = plain(&sentence);
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
        ["the", "fact", that @ ..] => forgotten(that),
        ["that" | "this"] | ["about", "that" | "this"] => vec![Heard::That],
        ["everything" | "all", rest @ ..] => everything(rest),
        ["anything" | "whatever", "i" | "you", ..] => everything(&what[1..]),
        ["your", "memories" | "notes", "about", who, ..] if is_of_oneself(who) => everything(what),
        ["what", "you", verb, ..] if KNOWN.contains(verb) && !SAID.contains(verb) => everything(&what[1..]),
        ["my" | "your", "memory" | "memories" | "notes"]
        | ["my" | "your", "memories" | "notes", "of" | "about", "me"] => {
            vec![Heard::Sure(Wish::Everything)]
        }
        ["where" | "what", "my", who @ .., verb] if !of_mine(who, verb).is_empty() => of_mine(who, verb),
        ["what", "i", "think", "of" | "about", thing @ ..] => opinion(thing),
        ["what", "i", told @ ..] if is_saying(told) => told_before(told),
        ["what", rest @ .., "is" | "are"] => of_oneself(rest),
        ["what" | "where" | "who" | "when" | "how", ..] => all_asked_for(what),
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
        | ["my" | "your", "memories" | "notes"]
        | ["your", "memories" | "notes", "about", ..] => true,
        ["i" | "you", ..] | ["that", "i" | "you", ..] => rest.iter().any(|word| KNOWN.contains(word)),
        _ => false,
    };
    match about {
        Some([first, ..]) if is_all && is_of_oneself(first) => named(about.unwrap_or_default()),
        None | Some(["me" | "us", ..]) if is_all => vec![Heard::Sure(Wish::Everything)],
        _ => Vec::new(),
    }
}
