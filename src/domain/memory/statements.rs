//! Which statements in the first person are worth keeping, and what each is about: the rules themselves.

mod lists;

pub(super) use lists::ADVERBS;
use lists::{
    ARTICLES, ASIDE, HAD, HELPS, HOW_JOBS_ARE, MANY, MONTHS, NAMING, NO_NAME, NO_PLACES, OF_RELATIVES,
    ONE_NAME, POINTING, REASONS, RELATIVES, YOUNG,
};

const MOST_ABOUT_WORDS: usize = 6;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Only one of these is true at a time.
    One(&'static str),
    /// What one thinks of something, or does with it; one of each thing.
    Of(&'static str),
    /// Any number of these.
    Any,
}

/// How a statement begins, without adverbs and contractions, and what it then is.
const BEGINNINGS: &[(&str, Kind)] = &[
    ("my name is", Kind::One("name")),
    ("i am called", Kind::One("name")),
    ("call me", Kind::One("name")),
    ("i live in", Kind::One("home")),
    ("i live at", Kind::One("home")),
    ("i live near", Kind::Any),
    ("i no longer live", Kind::Any),
    ("i not live in", Kind::Any),
    ("i am living in", Kind::One("home")),
    ("i moved to", Kind::One("home")),
    ("i have moved to", Kind::One("home")),
    ("we live in", Kind::One("home")),
    ("we moved to", Kind::One("home")),
    ("we have moved to", Kind::One("home")),
    ("i live with", Kind::Any),
    ("i live alone", Kind::One("household")),
    ("i am from", Kind::One("origin")),
    ("i come from", Kind::One("origin")),
    ("i was born in", Kind::One("birthplace")),
    ("i was born on", Kind::One("birthday")),
    ("my birthday is", Kind::One("birthday")),
    ("i work as", Kind::One("work")),
    ("i work at", Kind::Any),
    ("i work for", Kind::Any),
    ("i work in", Kind::Any),
    ("i am working as", Kind::One("work")),
    ("my job is", Kind::One("work")),
    ("my new job is", Kind::One("work")),
    ("i am married", Kind::One("family")),
    ("i am divorced", Kind::One("family")),
    ("i am engaged", Kind::One("family")),
    ("i am single", Kind::One("family")),
    ("i got married", Kind::One("family")),
    ("we got married", Kind::One("family")),
    ("i got divorced", Kind::One("family")),
    ("we got divorced", Kind::One("family")),
    ("i no longer work", Kind::Any),
    ("i no longer like", Kind::Of("opinion")),
    ("i no longer eat", Kind::Of("eating")),
    ("i no longer drink", Kind::Of("drinking")),
    ("i like", Kind::Of("opinion")),
    ("i love", Kind::Of("opinion")),
    ("i enjoy", Kind::Of("opinion")),
    ("i adore", Kind::Of("opinion")),
    ("i prefer", Kind::Of("opinion")),
    ("i hate", Kind::Of("opinion")),
    ("i dislike", Kind::Of("opinion")),
    ("i not like", Kind::Of("opinion")),
    ("i cannot stand", Kind::Of("opinion")),
    ("i eat", Kind::Of("eating")),
    ("i not eat", Kind::Of("eating")),
    ("i never eat", Kind::Of("eating")),
    ("i drink", Kind::Of("drinking")),
    ("i not drink", Kind::Of("drinking")),
    ("i never drink", Kind::Of("drinking")),
    ("i am allergic to", Kind::Any),
    ("i am a vegetarian", Kind::One("diet")),
    ("i am vegetarian", Kind::One("diet")),
    ("i am a vegan", Kind::One("diet")),
    ("i am vegan", Kind::One("diet")),
    ("i was diagnosed with", Kind::Any),
    ("i grew up in", Kind::Any),
    ("i study", Kind::Any),
    ("i am studying", Kind::Any),
    ("i am learning", Kind::Any),
    ("i speak", Kind::Any),
    ("i play", Kind::Any),
    ("i collect", Kind::Any),
];

/// Whether a statement is worth keeping, and what it then is about; `words` are those of what was `said`.
#[expect(clippy::option_option, reason = "worth keeping or not; about one thing or not")]
pub(super) fn tells(said: &str, words: &[String]) -> Option<Option<String>> {
    let words = without_adverbs(words);
    match states(said, &words) {
        Some(Some(about)) if about == "name" || about.starts_with("name of ") => of_name(said, about),
        Some(Some(about)) if about.starts_with("home") && is_moved_elsewhere(&words) => Some(None),
        // Of what is not so any number may be true.
        stated => stated.or_else(|| states(said, &affirmed(&words)?).map(|_| None)),
    }
}

/// Whether nothing else that is about this can be true at the same time: a second friend has another name.
pub(super) fn is_single(about: &str) -> bool {
    let Some((what @ ("name" | "home" | "work"), who)) = about.split_once(" of ") else { return true };
    let relative = who.rsplit(' ').next().unwrap_or_default();
    who.starts_with("best ")
        || if what == "name" { ONE_NAME.contains(&relative) } else { !MANY.contains(&relative) }
}

/// What a statement denies, in each of the ways in which it may have been said: "I no longer live in Porto" denies "I live in Porto" and
/// "I moved to Porto".
pub(super) fn denied(words: &[String]) -> Vec<String> {
    let words = without_adverbs(words);
    let Some(said) = affirmed(&words) else { return Vec::new() };
    let mut ways = vec![said.join(" ")];
    if let Some((beginning, kind @ Kind::One(_))) = begun(&said)
        && let rest @ [_, ..] = &said[beginning.split(' ').count()..]
    {
        let others = BEGINNINGS.iter().filter(|(_, other)| other == kind);
        ways.extend(others.map(|(other, _)| format!("{other} {}", rest.join(" "))));
    }
    ways
}

/// The words with no "not", "never", "no longer" and "any more", where there is one behind who does it; without the reasons.
fn affirmed<'a>(words: &[&'a str]) -> Option<Vec<&'a str>> {
    let who = match words.first()? {
        &"i" | &"we" => 1,
        &"my" | &"our" => relative(words)? + 1,
        _ => return None,
    };
    let helps = |at: usize| words.get(at).is_some_and(|word| HELPS.contains(word));
    let denies = words.get(who).is_some_and(|word| matches!(*word, "not" | "never" | "no"));
    // "My sister Ana does not eat meat".
    let who = who + usize::from(who > 1 && !denies && !helps(who));
    let verb = who + usize::from(helps(who));
    let (["no", "longer", rest @ ..] | ["not" | "never", rest @ ..]) = words.get(verb..)? else {
        return None;
    };
    let rest = rest.iter().take_while(|word| !REASONS.contains(word));
    let rest = rest.filter(|word| !matches!(**word, "anymore" | "any" | "more" | "longer" | "no"));
    Some(words[..verb].iter().filter(|word| **word != "does").chain(rest).copied().collect())
}

/// "I have just moved" is "I have moved".
fn without_adverbs(words: &[String]) -> Vec<&str> {
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    let (subject, rest) = words.split_at(words.len().min(1));
    let rest = behind_adverbs(rest);
    let (help, rest) = rest.split_at(usize::from(rest.first().is_some_and(|word| HELPS.contains(word))));
    [subject, help, behind_adverbs(rest)].concat()
}

fn behind_adverbs<'a, 'b>(words: &'b [&'a str]) -> &'b [&'a str] {
    &words[words.iter().take_while(|word| ADVERBS.contains(word)).count()..]
}

#[expect(clippy::option_option, reason = "as above")]
fn states(said: &str, words: &[&str]) -> Option<Option<String>> {
    of_beginning(words)
        .or_else(|| of_age(words))
        .or_else(|| of_favourite(words))
        .or_else(|| of_relative(said, words))
        .or_else(|| of_having(words))
}

/// The beginning that a statement has, and what it then is.
fn begun(words: &[&str]) -> Option<&'static (&'static str, Kind)> {
    let begins = |beginning: &str| {
        let count = beginning.split(' ').count();
        words.len() >= count && beginning.split(' ').eq(words[..count].iter().copied())
    };
    BEGINNINGS.iter().find(|(beginning, _)| begins(beginning))
}

#[expect(clippy::option_option, reason = "as above")]
fn of_beginning(words: &[&str]) -> Option<Option<String>> {
    let (beginning, kind) = begun(words)?;
    let rest = &words[beginning.split(' ').count()..];
    let is_whole = *beginning == "i live alone" || matches!(kind, Kind::One("family" | "diet"));
    let Some(first) = rest.first() else {
        return match kind {
            Kind::One(about) if is_whole => Some(Some((*about).to_owned())),
            Kind::One(_) | Kind::Of(_) | Kind::Any => None,
        };
    };
    if POINTING.contains(first) || says_something_else(beginning, first) {
        return None;
    }
    match kind {
        Kind::One(about) => of_one(about, beginning, rest),
        Kind::Of(what) => of_thing(what, rest).map(Some),
        Kind::Any => Some(None),
    }
}

/// "Call me hopeless" says nothing against a name, which begins with a capital where its script has any, and "call me old-fashioned" is none.
#[expect(clippy::option_option, reason = "as above")]
fn of_name(said: &str, about: String) -> Option<Option<String>> {
    let words = said.split_whitespace().map(|word| word.trim_matches(|c: char| !c.is_alphanumeric()));
    let is_of = |word: &str, list: &[&str]| list.contains(&word.to_lowercase().as_str());
    let mut behind = words.skip_while(|word| !is_of(word, NAMING));
    let leads = |word: &str| word.is_empty() || is_of(word, NAMING) || is_of(word, ADVERBS);
    let name = behind.find(|word| !leads(word)).unwrap_or_default();
    if !name.starts_with(char::is_lowercase) {
        return Some(Some(about));
    }
    let first = name.split('-').next().unwrap_or_default();
    (!NO_NAME.contains(&first)).then_some(None)
}

/// "I moved to decaf". Many write places small as well.
fn is_moved_elsewhere(words: &[&str]) -> bool {
    words.windows(3).any(|at| at[..2] == ["moved", "to"] && NO_PLACES.contains(&at[2]))
}

/// "Call me later", "I live in fear", "I speak with her": what begins so and is none of it.
fn says_something_else(beginning: &str, first: &str) -> bool {
    let others: &[&str] = match beginning {
        "my name is" | "i am called" | "call me" => NO_NAME,
        "i live in" => &["fear", "hope", "peace", "denial", "pain", "constant", "hell"],
        "i am engaged" => &["in", "with"],
        "i come from" => &["work", "school", "home"],
        "i speak" => &["to", "with", "about", "my", "for", "up", "out", "as", "of", "from"],
        "i prefer" | "i like" | "i love" | "i enjoy" => &["not", "nothing", "everything", "myself"],
        _ => &[],
    };
    others.contains(&first)
}

/// Of what only one can be true: "I live in a small flat" says nothing against "I live in Porto", nor "my job is hard" against what it is.
#[expect(clippy::option_option, reason = "as above")]
fn of_one(about: &str, beginning: &str, rest: &[&str]) -> Option<Option<String>> {
    let first = rest.first().copied().unwrap_or_default();
    let is_date = |word: &&str| word.chars().any(|c| c.is_ascii_digit()) || MONTHS.contains(word);
    let excludes_others = match (about, beginning) {
        ("birthplace", _) if is_date(&first) => false,
        ("home" | "origin" | "birthplace", _) => !ARTICLES.contains(&first),
        ("work", "my job is" | "my new job is") => match rest {
            ["as", job @ ..] => is_job(job),
            _ => matches!(first, "a" | "an") || first.ends_with("ing") && !HOW_JOBS_ARE.contains(&first),
        },
        ("work", _) => is_job(rest),
        _ => true,
    };
    if about == "birthday" && !rest.iter().any(is_date) {
        return None;
    }
    Some((excludes_others && !was_once(rest)).then(|| about.to_owned()))
}

/// "A nurse" and "nurse" are jobs; "hard as I can" and "usual" are none.
fn is_job(words: &[&str]) -> bool {
    match words {
        [word] => !matches!(*word, "usual" | "always" | "ever" | "before" | "well" | "needed" | "planned"),
        [first, rest @ ..] => matches!(*first, "a" | "an" | "the") && !rest.contains(&"as"),
        [] => false,
    }
}

/// "When I was five", "as a child", "ten years ago": something else may be so by now.
fn was_once(words: &[&str]) -> bool {
    words.iter().any(|word| matches!(*word, "when" | "ago"))
        || words.windows(3).any(|three| matches!(three, ["as", "a", who] if YOUNG.contains(who)))
}

/// "I love coffee" and "I drink none" may both be true.
fn of_thing(what: &str, thing: &[&str]) -> Option<String> {
    let thing: Vec<_> =
        thing.iter().copied().filter(|word| !ASIDE.contains(word)).take(MOST_ABOUT_WORDS).collect();
    (!thing.is_empty()).then(|| format!("{what} of {}", thing.join(" ")))
}

#[expect(clippy::option_option, reason = "as above")]
fn of_age(words: &[&str]) -> Option<Option<String>> {
    let number = |word: &str| word.parse::<u32>().is_ok_and(|age| (1..=120).contains(&age));
    match words {
        ["i", "am", age] | ["i", "am", age, "years", "old", ..] if number(age) => {
            Some(Some("age".to_owned()))
        }
        _ => None,
    }
}

#[expect(clippy::option_option, reason = "as above")]
fn of_favourite(words: &[&str]) -> Option<Option<String>> {
    let ["my", "favourite" | "favorite", rest @ ..] = words else { return None };
    let is = rest.iter().position(|word| matches!(*word, "is" | "are"))?;
    let named = (1..=4).contains(&is) && rest.len() > is + 1;
    named.then(|| Some(format!("favourite {}", rest[..is].join(" "))))
}

/// Where it is told of whom it is.
fn relative(words: &[&str]) -> Option<usize> {
    let is_one = |word: &&str| {
        let word = word.trim_end_matches("'s");
        RELATIVES.contains(&word.strip_suffix("-in-law").unwrap_or(word))
    };
    words.iter().take(4).position(is_one)
}

/// Whether it is a name, as it is written in what was `said`.
fn is_name(said: &str, word: &str) -> bool {
    let lists = [OF_RELATIVES, ADVERBS, HELPS, &["i", "not", "never", "no"]];
    let is_it = |other: &str| other.starts_with(char::is_uppercase) && other.to_lowercase() == word;
    !lists.iter().any(|list| list.contains(&word)) && said.split(|c: char| !c.is_alphanumeric()).any(is_it)
}

/// "My sister lives in Porto", "my sister Ana just had a baby", "my best friend is called Ana", "my dog's name is Bruno".
#[expect(clippy::option_option, reason = "as above")]
fn of_relative(said: &str, words: &[&str]) -> Option<Option<String>> {
    let at = relative(words)?;
    if words.first() != Some(&"my") || at == 0 {
        return None;
    }
    let at = at + usize::from(words.get(at + 1).is_some_and(|word| is_name(said, word)));
    let rest = behind_adverbs(&words[at + 1..]);
    let complete = rest.len() > 1 || rest == ["died"];
    if !complete || !OF_RELATIVES.contains(rest.first()?) {
        return None;
    }
    let who = words[1..=at].join(" ").replace("'s", "");
    let about = match rest {
        ["is", "called" | "named", ..] | ["name", "is", _, ..] => Some("name"),
        ["lives" | "live", "in", ..] | ["moved", "to", ..] => Some("home"),
        ["works" | "work", "as", job @ ..] if is_job(job) => Some("work"),
        _ => None,
    };
    let about = about.filter(|_| !was_once(rest));
    Some(about.map(|about| format!("{about} of {who}")))
}

/// "I have two sisters", "I have a dog called Bruno".
#[expect(clippy::option_option, reason = "as above")]
fn of_having(words: &[&str]) -> Option<Option<String>> {
    let (["i", "have", "got", rest @ ..] | ["i", "have" | "got", rest @ ..]) = words else { return None };
    let counted = ["a", "an", "one", "two", "three", "four", "five", "six", "no"];
    let first = rest.first()?;
    let counts = counted.contains(first) || first.parse::<u8>().is_ok() || HAD.contains(first);
    (counts && rest.iter().take(4).any(|word| HAD.contains(word))).then_some(None)
}

#[cfg(test)]
mod tests {
    use crate::domain::memory::learning::{about, learned};

    #[test]
    fn what_contradicts_nothing_takes_no_place() {
        for said in [
            "I work as hard as I can",
            "I work as long as it takes",
            "I work as usual",
            "I work as a waiter as well",
            "My job is to look after the children's ward",
            "My job is as hard as ever",
            "I moved to Porto when I was five",
            "Last year I moved to Porto as I did when I was five",
            "I moved to Porto as a child",
            "I've recently moved to decaf",
            "Last week I moved to marketing.",
            "My sister moved to marketing",
            "We moved to Porto ten years ago",
            "We got married ten years ago",
            "My name is mispronounced by everybody",
            "I'm called to the office every day",
            "Call me hopeless",
            "My wife is called away at night",
            "My sister works as hard as she can",
            "My sister works a lot",
            "My sister moved to Rome when she was ten",
        ] {
            assert_eq!(learned(said).len(), 1, "it is kept: {said}");
            assert_eq!(about(said), None, "{said}");
        }
        for said in [
            "Last of all I live in fear",
            "I have just been to Porto",
            "I am just tired",
            "I have now a headache",
        ] {
            assert!(about(said).is_none(), "{said}");
        }
        for said in ["Call me old-fashioned", "Call me long-winded, but it is so"] {
            assert!(learned(said).is_empty(), "{said}");
        }
    }

    #[test]
    fn what_is_told_of_a_relative_may_have_a_name_and_an_adverb() {
        for (said, of) in [
            ("My sister Ana lives in Braga", Some("home of sister ana")),
            ("My sister just had a baby", None),
            ("My sister Ana just had a baby", None),
            ("My sister doesn't eat meat", None),
            ("My sister Ana does not eat meat", None),
            ("My mother-in-law lives in Faro", Some("home of mother-in-law")),
            ("My dog Bruno is ill", None),
            ("MY SISTER LIVES IN BRAGA", Some("home of sister")),
        ] {
            assert_eq!(learned(said).len(), 1, "{said}");
            assert_eq!(about(said).as_deref(), of, "{said}");
        }
        for said in [
            "My sister I think lives in Braga",
            "My sister ana lives in Braga",
            "My sister Ana",
            "My sister Ana told me so",
            "My sister just left",
            "My sister doesn't know",
            "My brother-at-arms lives in Faro",
            "My son-in-law",
        ] {
            assert!(learned(said).is_empty(), "{said}");
        }
    }

    #[test]
    fn what_is_true_of_one_thing_takes_the_place_of_another() {
        for (said, of) in [
            ("I work as a nurse in Porto", "work"),
            ("I'm working as an engineer now", "work"),
            ("I work as caretaker", "work"),
            ("My job is as a nurse", "work"),
            ("My new job is teaching", "work"),
            ("I moved to Porto", "home"),
            ("i've just moved to porto", "home"),
            ("I've just moved to Porto", "home"),
            ("I have now finally moved to Porto", "home"),
            ("I recently moved to Porto", "home"),
            ("Actually I moved to Porto", "home"),
            ("Actually, I moved to Porto", "home"),
            ("Last week I moved to Porto", "home"),
            ("I'm now living in Porto", "home"),
            ("I am still vegetarian", "diet"),
            ("My name is actually Anna", "name"),
            ("Call me In-ho", "name"),
            ("CALL ME \"ANNA\"", "name"),
            ("I\u{2019}m called \u{c9}mile", "name"),
            ("My name is \u{5b89}\u{5a1c}", "name"),
            ("My wife is called Ana", "name of wife"),
            ("My sister works as a nurse", "work of sister"),
            ("My sister moved to Rome", "home of sister"),
        ] {
            assert_eq!(about(said).as_deref(), Some(of), "{said}");
        }
    }
}
