//! How what was said before is pointed at.

use super::heard::{Heard, POINTING, of_oneself};
use super::names::{is_of_oneself, named};

/// What I have done so was told.
pub(super) const SAID: &[&str] = &["said", "saying", "told", "mentioned", "wrote", "written", "shared"];
/// What was said so was said just now.
const JUST_NOW: &[&str] = &[
    "you", "to", "so", "about", "such", "a", "thing", "moment", "minute", "second", "ago", "in", "my",
    "last", "message", "right", "here", "above",
];
/// What somebody says is one of these, or several.
const MESSAGES: &[&str] = &["message", "sentence", "statement", "remark", "words"];
/// The same, where it is told what was said.
const PARTS: &[&str] = &["thing", "things", "part", "bit", "stuff"];

/// Whether "I said", "I have just told" begins so.
pub(super) fn is_saying(words: &[&str]) -> bool {
    without_help(words).first().is_some_and(|verb| SAID.contains(verb))
}

fn without_help<'a, 'b>(words: &'b [&'a str]) -> &'b [&'a str] {
    let helps =
        words.iter().take_while(|word| matches!(**word, "just" | "ever" | "have" | "had" | "was")).count();
    &words[helps..]
}

/// "Said", "told you about my sister", "said I live in Porto"; nothing where it may have been said at another time, or to others.
pub(super) fn told_before(words: &[&str]) -> Vec<Heard> {
    let [verb, rest @ ..] = without_help(words) else { return Vec::new() };
    let names = |what: &&[&str]| what.iter().any(|word| !POINTING.contains(word));
    let about = rest.iter().position(|word| *word == "about").map(|at| &rest[at + 1..]).filter(names);
    let itself = rest.iter().position(|word| is_of_oneself(word)).map(|at| &rest[at..]);
    let is_to_others = *verb == "told" && rest.first() != Some(&"you");
    match about.or(itself.filter(|_| !is_to_others)) {
        _ if rest.iter().all(|word| POINTING.contains(word) || JUST_NOW.contains(word)) => vec![Heard::That],
        Some(what) => named(what),
        None if *verb == "mentioned" => named(rest),
        None => Vec::new(),
    }
}

/// "My last sentence", "the last thing I said", "the part about my sister"; `None` where it is not pointed at so.
pub(super) fn of_what_was_said(what: &[&str]) -> Option<Vec<Heard>> {
    let ["the" | "my" | "that" | "this", what @ ..] = what else { return None };
    let last = usize::from(matches!(what, ["last" | "previous" | "latest", ..]));
    let (noun, told) = what[last..].split_first()?;
    let is_message = MESSAGES.contains(noun);
    if !is_message && !PARTS.contains(noun) {
        return None;
    }
    match told {
        [] if is_message && last > 0 => Some(vec![Heard::That]),
        ["i", told @ ..] if is_saying(told) => Some(told_before(told)),
        ["about" | "where", told @ ..] => Some(of_oneself(told)).filter(|heard| !heard.is_empty()),
        _ => None,
    }
}
