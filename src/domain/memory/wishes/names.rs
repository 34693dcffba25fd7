//! By which names it is known what somebody wants forgotten.

use super::Wish;
use super::heard::{Heard, POINTING, forgotten, without_behind};

/// "What I think of my boss".
pub(super) fn opinion(thing: &[&str]) -> Vec<Heard> {
    let thing: Vec<_> = thing.iter().copied().filter(|word| !matches!(*word, "a" | "an" | "the")).collect();
    let names = thing.first().is_some_and(|first| !POINTING.contains(first));
    names.then(|| forget(&format!("my opinion of {}", thing.join(" ")))).into_iter().collect()
}

/// "Where I live", "where I live and my name".
pub(super) fn all_asked_for(what: &[&str]) -> Vec<Heard> {
    let seam = what.iter().position(|word| matches!(*word, "and" | "or")).unwrap_or(what.len());
    let (first, rest) = what.split_at(seam);
    let mut heard = asked_for(&first.join(" "));
    if let (false, [_, rest @ ..]) = (heard.is_empty(), rest) {
        heard.extend(forgotten(rest));
    }
    heard
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
pub(super) fn of_mine(who: &[&str], verb: &str) -> Vec<Heard> {
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

/// "I live in Porto and that I like tea", "my sister and my brother", "my name and where I live": cut where something else in the first
/// person begins.
pub(super) fn named(what: &[&str]) -> Vec<Heard> {
    let (mut found, mut part, mut rest) = (Vec::new(), Vec::new(), what);
    while let [word, after @ ..] = rest {
        let next = after.strip_prefix(&["that"]).unwrap_or(after);
        let is_seam = matches!(*word, "and" | "or" | "but");
        let asked = if is_seam && matches!(next, ["where" | "what" | "who" | "when" | "how", ..]) {
            forgotten(next)
        } else {
            Vec::new()
        };
        if !asked.is_empty() {
            found.extend(by_names(&part));
            found.extend(asked);
            return found;
        }
        let is_seam = is_seam && next.first().is_some_and(|next| is_of_oneself(next));
        if is_seam {
            found.extend(by_names(&part));
            part.clear();
        } else {
            part.push(*word);
        }
        rest = if is_seam { next } else { after };
    }
    found.extend(by_names(&part));
    found
}

/// "My dog's ill" may be noted as "my dog is ill".
fn by_names(part: &[&str]) -> Option<Heard> {
    let part = without_behind(part);
    let written_out = |word: &&str| match word.split_once('\'') {
        Some((word, "s")) => format!("{word} is"),
        Some((word, "re")) => format!("{word} are"),
        Some((word, "ve")) => format!("{word} have"),
        _ => (*word).to_owned(),
    };
    let has_verb = part.iter().any(|word| matches!(*word, "is" | "are" | "was" | "has"));
    let mut names = vec![part.join(" ")];
    if !has_verb {
        names.push(part.iter().map(written_out).collect::<Vec<_>>().join(" "));
        names.dedup();
    }
    (!part.is_empty()).then_some(Heard::Sure(Wish::Forget(names)))
}

fn forget(what: &str) -> Heard {
    Heard::Sure(Wish::Forget(vec![what.to_owned()]))
}

pub(super) fn is_of_oneself(word: &str) -> bool {
    matches!(word, "i" | "my" | "we" | "our") || word.starts_with("i'") || word.starts_with("we'")
}
