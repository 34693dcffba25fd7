//! What somebody wants to be done with what they say: learned from, left alone, forgotten.

use crate::domain::memory::learning::{plain, sentences};

/// What somebody wants to be done with what they have said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Wish {
    /// Nothing was said of it: whatever is worth it is learned.
    #[default]
    Learn,
    /// "Don't remember this": nothing is learned from this message.
    NotThis,
    /// "Forget that": what was learned from the turn before is forgotten, and nothing is learned from this one.
    ForgetBefore,
    /// "Forget that I live in Porto": that statement is forgotten.
    Forget(String),
}

/// What may stand before and behind a wish without changing it.
const BEFORE: &[&str] = &[
    "please", "just", "can", "could", "would", "will", "you", "ok", "okay", "no", "oh", "hey", "so", "and",
    "but", "actually", "sorry", "now", "wait", "well", "then",
];
const BEHIND: &[&str] = &["please", "thanks", "ok", "okay", "now", "again", "though"];
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

/// What somebody wants to be done with what they have said.
#[must_use]
pub fn wish(said: &str) -> Wish {
    let all: Vec<_> = sentences(said).map(words_of).collect();
    let wishes = all.iter().map(|words| of_sentence(words, all.len() == 1));
    wishes.into_iter().find(|wish| *wish != Wish::Learn).unwrap_or(Wish::Learn)
}

/// "Do not" is one word, as "don't" is.
fn words_of(sentence: &str) -> Vec<String> {
    let words = plain(sentence);
    let is_do = |place: usize| words[place] == "do" && words.get(place + 1).is_some_and(|next| next == "not");
    (0..words.len()).filter(|place| !is_do(*place)).map(|place| words[place].clone()).collect()
}

fn of_sentence(words: &[String], alone: bool) -> Wish {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let begin = words.iter().take_while(|word| BEFORE.contains(word)).count();
    let mut words = &words[begin..];
    while let [rest @ .., last] = words {
        match (rest, *last) {
            ([rest @ .., "thank"], "you") => words = rest,
            (rest, last) if BEHIND.contains(&last) => words = rest,
            _ => break,
        }
    }
    if let ["forget", what @ ..] = words {
        return forgotten(what);
    }
    if words.windows(3).any(|three| three == ["off", "the", "record"]) {
        return Wish::NotThis;
    }
    not_remembered(words, alone)
}

/// What follows "forget".
fn forgotten(what: &[&str]) -> Wish {
    match what {
        ["that" | "this"] | ["about", "that" | "this"] => Wish::ForgetBefore,
        ["that", "i", "said" | "told" | "mentioned", rest @ ..]
        | ["i", "said" | "told" | "mentioned", rest @ ..]
        | ["what", "i", rest @ ..] => told_before(rest),
        ["that" | "about", rest @ ..] | rest if rest.first().is_some_and(|word| is_of_oneself(word)) => {
            Wish::Forget(rest.join(" "))
        }
        _ => Wish::Learn,
    }
}

/// "What I said", "what I told you about my sister", "that I said I live in Porto".
fn told_before(rest: &[&str]) -> Wish {
    let about = rest.iter().position(|word| *word == "about").map(|at| &rest[at + 1..]);
    let itself = || rest.iter().position(|word| is_of_oneself(word)).map(|at| &rest[at..]);
    match about.or_else(itself).filter(|named| named.iter().any(|word| !POINTING.contains(word))) {
        Some(named) => Wish::Forget(named.join(" ")),
        None => Wish::ForgetBefore,
    }
}

fn is_of_oneself(word: &str) -> bool {
    matches!(word, "i" | "my" | "we" | "our") || word.starts_with("i'") || word.starts_with("we'")
}

/// "Don't remember this", wherever it stands, unless somebody says that they do not.
fn not_remembered(words: &[&str], alone: bool) -> Wish {
    for (at, _) in words.iter().enumerate().filter(|(_, word)| **word == "not") {
        let before = at.checked_sub(1).map(|before| words[before]);
        let (told_to, behind) = match &words[at + 1..] {
            ["to", behind @ ..] => (true, behind),
            behind => (false, behind),
        };
        let [verb, what, rest @ ..] = behind else { continue };
        let states = !told_to && before.is_some_and(|who| SUBJECTS.contains(&who));
        if states || !REMEMBER.contains(verb) || !THIS.contains(what) {
            continue;
        }
        return match rest {
            [first, ..] if *what == "that" && is_of_oneself(first) => Wish::Forget(rest.join(" ")),
            [] if at == 0 && alone => Wish::ForgetBefore,
            _ => Wish::NotThis,
        };
    }
    Wish::Learn
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wish_to_forget_is_heard() {
        for (said, wanted) in [
            ("Forget that.", Wish::ForgetBefore),
            ("please forget what I just said", Wish::ForgetBefore),
            ("Don't remember this", Wish::ForgetBefore),
            ("Don't remember this. My sister is ill.", Wish::NotThis),
            ("Off the record, my sister is ill", Wish::NotThis),
            ("Forget that I live in Porto", Wish::Forget("i live in porto".to_owned())),
            ("Please forget that, thank you", Wish::ForgetBefore),
            ("Would you please forget about that?", Wish::ForgetBefore),
            ("forget that I said that", Wish::ForgetBefore),
            ("Forget I said anything", Wish::ForgetBefore),
            ("Forget what I told you before.", Wish::ForgetBefore),
            ("Forget what I told you about my sister, please", Wish::Forget("my sister".to_owned())),
            ("Forget that I said I live in Porto", Wish::Forget("i live in porto".to_owned())),
            ("Forget that we live in Porto now, thanks", Wish::Forget("we live in porto".to_owned())),
            ("Forget my name", Wish::Forget("my name".to_owned())),
            ("Do not remember this", Wish::ForgetBefore),
            ("Please do not keep that.", Wish::ForgetBefore),
            ("Don't remember that I live in Porto", Wish::Forget("i live in porto".to_owned())),
            ("Don't remember this, but my sister is ill", Wish::NotThis),
            ("My boss is called Tom, please don't remember that", Wish::NotThis),
            ("My boss is called Tom. Do not store this!", Wish::NotThis),
            ("I want you not to remember this: my sister is ill", Wish::NotThis),
            ("dont remember this", Wish::ForgetBefore),
            ("Do you not remember that?", Wish::Learn),
            ("Don't you remember this?", Wish::Learn),
            ("I do not remember that I said so", Wish::Learn),
            ("They don't keep that promise", Wish::Learn),
            ("Forget it, you don't understand", Wish::Learn),
            ("I forget my keys", Wish::Learn),
            ("Don't forget that I live in Porto", Wish::Learn),
            ("I always forget that", Wish::Learn),
            ("I cannot forget what she said", Wish::Learn),
            ("Do you remember that?", Wish::Learn),
            ("I don't remember this place", Wish::Learn),
        ] {
            assert_eq!(wish(said), wanted, "{said}");
        }
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
            "please",
            "do",
            "not to",
            "forget what i about",
        ] {
            drop(wish(strange));
        }
    }
}
