//! What is not to be remembered from the beginning.

use super::Wish;
use super::heard::{BEFORE, Heard, THIS, forgotten};

/// Who begins so and goes on with "remember" has a wish not to.
const NO_NEED: &[&[&str]] = &[
    &["no", "need", "to"],
    &["there", "is", "no", "need", "to"],
    &["there's", "no", "need", "to"],
    &["you", "not", "need", "to"],
    &["you", "not", "have", "to"],
];
/// Who does not remember something has no wish.
const SUBJECTS: &[&str] = &["i", "we", "you", "they", "he", "she", "it", "who", "people"];
const REMEMBERED: &[&str] = &["remembered", "saved", "stored", "noted", "recorded", "memorized", "memorised"];
const REMEMBER: &[&str] = &["remember", "save", "keep", "store", "note", "record", "memorize", "memorise"];
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

/// What of mine may be noted, and is not a dog or a voice.
const NOTED: &[&str] = &[
    "name",
    "names",
    "address",
    "birthday",
    "birthplace",
    "age",
    "number",
    "numbers",
    "phone",
    "email",
    "mail",
    "job",
    "work",
    "details",
    "data",
    "health",
    "illness",
    "password",
];

/// What there is no need to remember.
pub(super) fn not_needed<'a, 'b>(words: &'b [&'a str], is_of_notes: bool) -> Option<&'b [&'a str]> {
    let begin =
        words.iter().take_while(|word| BEFORE.contains(word) && !matches!(**word, "no" | "you")).count();
    let [verb, what @ ..] = NO_NEED.iter().find_map(|lead| words[begin..].strip_prefix(*lead))? else {
        return None;
    };
    (REMEMBER.contains(verb) && (is_of_notes || may_be_noted(verb, what))).then_some(what)
}

/// "Do not keep my dog" and "do not record my voice" are about no note.
fn may_be_noted(verb: &str, what: &[&str]) -> bool {
    !matches!(verb, "keep" | "save" | "record")
        || !matches!(what, ["my" | "our", ..])
        || what.iter().any(|word| NOTED.contains(word))
}

/// What is not to be remembered: "this", "any of that", "anything I say now", "my name".
pub(super) fn left_alone(what: &[&str]) -> Vec<Heard> {
    match what {
        [only] | ["any" | "anything", "of", only] if THIS.contains(only) => vec![Heard::This],
        ["what" | "anything" | "everything" | "whatever", "i" | "i'll", ahead @ ..] if is_ahead(ahead) => {
            vec![Heard::Ahead]
        }
        ["that", _, ..] | ["what" | "where" | "who" | "when" | "how" | "my" | "our", ..] => forgotten(what),
        _ => Vec::new(),
    }
}

/// "Am about to say", "say now".
fn is_ahead(words: &[&str]) -> bool {
    let (["am", "about" | "going", "to", words @ ..] | ["will", words @ ..] | words) = words;
    let [verb, rest @ ..] = words else { return false };
    let is_now = |word: &&str| matches!(*word, "you" | "now" | "next" | "here");
    matches!(*verb, "say" | "tell" | "write" | "share") && rest.iter().all(is_now)
}

/// "My parents", "and the shops", "does".
fn is_subject(before: &[&str]) -> bool {
    let begins = |before: &[&str]| {
        before.last().is_none_or(|word| matches!(*word, "and" | "but" | "or" | "so" | "because" | "that"))
    };
    matches!(before, [.., "does"])
        || matches!(before, [before @ .., "my" | "our" | "the", _] if begins(before))
}

/// "It hurts my mother", and not "I'd like the app".
fn is_theirs(before: &[&str]) -> bool {
    match before {
        [.., verb, "my" | "our" | "the", _] => !matches!(*verb, "like" | "want" | "need"),
        _ => false,
    }
}

/// "Don't remember this", wherever it stands, unless somebody says that they do not.
pub(super) fn not_remembered(words: &[&str], is_asked: bool, is_of_notes: bool) -> Vec<Heard> {
    let denies = |at: usize, word: &str| word == "not" || word == "never" && at == 0;
    for (at, _) in words.iter().enumerate().filter(|(at, word)| denies(*at, word)) {
        let (before, behind) = (&words[..at], &words[at + 1..]);
        if let ["want" | "need", what @ .., done] = behind
            && before.last() == Some(&"i")
            && REMEMBERED.contains(done)
        {
            let heard = left_alone(what.strip_suffix(&["to", "be"]).unwrap_or(what));
            let is_within = before != ["i"] && heard == [Heard::This];
            return if is_within { vec![Heard::Sure(Wish::NotThis)] } else { heard };
        }
        let wanted = WANTED.iter().find(|wanted| behind.starts_with(wanted));
        let [verb, what @ ..] = &behind[wanted.map_or(0, |wanted| wanted.len())..] else { continue };
        let states = match wanted {
            None => before.last().is_some_and(|who| SUBJECTS.contains(who)) || is_subject(before),
            Some(lead) => lead.len() == 1 && is_theirs(before),
        };
        if states || !REMEMBER.contains(verb) || !is_of_notes && !may_be_noted(verb, what) {
            continue;
        }
        let begins = WANTING.contains(&before) && (wanted.is_some() || matches!(before, [] | [.., "did"]));
        // "Can you not remember my name?" is no wish.
        let heard = left_alone(what);
        let is_sure = begins || before.last() == Some(&"please") && heard != [Heard::This];
        if !heard.is_empty() && is_sure && (!is_asked || heard == [Heard::This]) {
            return heard;
        }
        // "Do not remember this my sister is ill", as a recording is written down; "my boss is Tom but do not keep this on record".
        let is_led =
            before.last().is_some_and(|word| matches!(*word, "please" | "and" | "but" | "so" | "just"));
        let is_order = is_led || WANTING.contains(&before);
        if heard == [Heard::This] || is_order && what.first().is_some_and(|first| THIS.contains(first)) {
            return vec![Heard::Sure(Wish::NotThis)];
        }
    }
    Vec::new()
}
