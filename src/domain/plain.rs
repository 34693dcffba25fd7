//! What was said in a plain form, so that rules need to know one spelling only: lower case, no accents, no
//! apostrophes, short forms written out, fillers left out.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use icu_normalizer::ComposingNormalizerBorrowed;
use icu_normalizer::properties::{CanonicalDecompositionBorrowed, Decomposed};

/// Say nothing by themselves and stand anywhere: "I just really want to".
const FILLERS: &str = "just really so actually honestly literally sometimes fucking fuckin freaking bloody damn simply \
    truly always often probably maybe seriously even still kinda sorta basically definitely lowkey only also \
    constantly desperately badly finally soon very quite currently eventually secretly already";

/// Written in one word what is several, in short, or not quite right.
const SHORT_FORMS: &[(&str, &str)] = &[
    ("im", "i am"),
    ("ive", "i have"),
    ("id", "i would"),
    ("youre", "you are"),
    ("2", "to"),
    ("u", "you"),
    ("r", "are"),
    ("ur", "your"),
    ("whats", "what is"),
    ("whos", "who is"),
    ("theres", "there is"),
    ("lifes", "life is"),
    ("wanna", "want to"),
    ("wana", "want to"),
    ("wnat", "want"),
    ("gonna", "going to"),
    ("gunna", "going to"),
    ("gotta", "got to"),
    ("dont", "do not"),
    ("doesnt", "does not"),
    ("didnt", "did not"),
    ("isnt", "is not"),
    ("arent", "are not"),
    ("aint", "is not"),
    ("wasnt", "was not"),
    ("werent", "were not"),
    ("wont", "will not"),
    ("wouldnt", "would not"),
    ("couldnt", "could not"),
    ("shouldnt", "should not"),
    ("hadnt", "had not"),
    ("hasnt", "has not"),
    ("havent", "have not"),
    ("cant", "can not"),
    ("cannot", "can not"),
    ("noone", "nobody"),
    ("kms", "kill myself"),
    ("killmyself", "kill myself"),
    ("wanttodie", "want to die"),
    ("iwanttodie", "i want to die"),
    ("kil", "kill"),
    ("myslef", "myself"),
    ("mysef", "myself"),
    ("miself", "myself"),
    ("meself", "myself"),
    ("sewerslide", "suicide"),
    ("sucide", "suicide"),
    ("suiside", "suicide"),
    ("sucidal", "suicidal"),
    ("suicdal", "suicidal"),
    ("suicde", "suicide"),
    ("suicid", "suicide"),
    ("wan", "want"),
];

/// Two words that are one, unless a third says otherwise ("my self-esteem").
const JOINED: &[(&str, &str, &str)] = &[
    ("my", "self", "myself"),
    ("him", "self", "himself"),
    ("her", "self", "herself"),
    ("any", "more", "anymore"),
    ("no", "one", "nobody"),
    ("un", "alive", "unalive"),
    ("un", "aliving", "unaliving"),
    ("over", "dose", "overdose"),
    ("roof", "top", "rooftop"),
];
const NOT_JOINED: &str = "esteem confidence respect image control worth doubt care discipline employed made taught \
    pity awareness reliance reflection help portrait service harm harming harmed injury injuring";

// Every word of every message is looked up before anybody is asked for an answer.
static FILLED: LazyLock<HashSet<&str>> = LazyLock::new(|| FILLERS.split_whitespace().collect());
static LONG_FORMS: LazyLock<HashMap<&str, &str>> = LazyLock::new(|| SHORT_FORMS.iter().copied().collect());

/// A text with each letter and its marks in one where there is such a letter (NFC): some keyboards and files write the one after the other.
pub(crate) fn composed(text: &str) -> Cow<'_, str> {
    ComposingNormalizerBorrowed::new_nfc().normalize(text)
}

/// The words of a text: lower case, without apostrophes, everything else that is no letter or digit parts them.
pub(crate) fn words(text: &str) -> Vec<String> {
    let plain: String = text.chars().filter(|c| !matches!(c, '\'' | '\u{2019}' | '\u{2018}' | '`')).collect();
    let parts = plain.split(|c: char| !c.is_alphanumeric()).filter(|part| !part.is_empty());
    parts.map(str::to_lowercase).collect()
}

/// The words of a text in their plain form.
pub(crate) fn plain_words(text: &str) -> Vec<String> {
    in_plain_form(visible_words(text))
}

/// The same with what was spelled letter by letter ("d i e") as the word it is; `None` when nothing was.
pub(crate) fn plain_words_spelled_out(text: &str) -> Option<Vec<String>> {
    let words = visible_words(text);
    let alike = |a: &String, b: &String| is_single(a) && is_single(b);
    if !words.chunk_by(alike).any(is_spelled_out) {
        return None;
    }
    let whole = words
        .chunk_by(alike)
        .flat_map(|run| if is_spelled_out(run) { vec![run.concat()] } else { run.to_vec() });
    Some(in_plain_form(whole.collect()))
}

/// Two letters in a row are words as often as not ("u r").
fn is_spelled_out(run: &[String]) -> bool {
    run.len() > 2 && run.iter().any(|letter| letter.chars().all(char::is_alphabetic))
}

fn is_single(word: &str) -> bool {
    word.chars().count() == 1
}

fn visible_words(text: &str) -> Vec<String> {
    let visible: String = text.chars().filter(|c| !is_invisible(*c)).collect();
    words(&visible)
}

fn in_plain_form(words: Vec<String>) -> Vec<String> {
    let words = words.into_iter().map(|word| respelled(&word));
    let words: Vec<String> = words.filter(|word| !FILLED.contains(word.as_str())).collect();
    let mut plain = Vec::with_capacity(words.len());
    let mut place = 0;
    while let Some(word) = words.get(place) {
        let next = words.get(place + 1).map_or("", String::as_str);
        let third = words.get(place + 2).map_or("", String::as_str);
        let joined = JOINED.iter().find(|(first, second, _)| word == first && next == *second);
        if let Some((.., whole)) =
            joined.filter(|_| !NOT_JOINED.split_whitespace().any(|other| other == third))
        {
            plain.push((*whole).to_owned());
            place += 2;
            continue;
        }
        match LONG_FORMS.get(word.as_str()) {
            Some(long) => plain.extend(long.split(' ').map(str::to_owned)),
            None => plain.push(word.clone()),
        }
        place += 1;
    }
    plain
}

/// Soft hyphens, joiners and marks that part a word for a program but not for a reader.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}' | '\u{300}'..='\u{36f}')
}

/// Without accents, drawn-out letters ("dieee") and digits in the place of letters ("k1ll").
fn respelled(word: &str) -> String {
    if !word.chars().any(char::is_alphabetic) {
        return word.to_owned();
    }
    let mut spelled = String::with_capacity(word.len());
    let mut run = 0;
    let mut before = None;
    // In lower case "İ" is a letter and a mark.
    for c in word.chars().filter(|c| !is_invisible(*c)).map(without_marks) {
        run = if before == Some(c) { run + 1 } else { 1 };
        before = Some(c);
        // The third of a kind shows that the second was drawn out, too; only "kill" needs two.
        match (run, c) {
            (3, 'l') => {}
            (3, _) => drop(spelled.pop()),
            (4.., _) => {}
            _ => match plain_letter(c) {
                "" => spelled.push(c),
                plain => spelled.push_str(plain),
            },
        }
    }
    spelled
}

/// The Latin letter beneath its marks ("ř", "ế"). Elsewhere a letter with a mark is one of its own ("й").
fn without_marks(c: char) -> char {
    let mut letter = c;
    while let Decomposed::Expansion(beneath, _) = CanonicalDecompositionBorrowed::new().decompose(letter) {
        letter = beneath;
    }
    if letter.is_ascii() { letter } else { c }
}

/// What stands for the letter in plain spelling; empty when it stands for itself.
fn plain_letter(c: char) -> &'static str {
    match c {
        'æ' => "ae",
        'đ' => "d",
        '3' => "e",
        'ё' => "е",
        'ı' | '1' => "i",
        'ł' => "l",
        'ø' | '0' => "o",
        'œ' => "oe",
        'ß' => "ss",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_one_spelling_of_everything() {
        for (said, plain) in [
            ("I\u{2019}m gonna, like, DIEEEE!!", "i am going to like die"),
            ("my self, any more", "myself anymore"),
            ("my self-esteem", "my self esteem"),
            ("k1lll my-self", "kill myself"),
            ("I wa\u{200b}nna", "i want to"),
            ("Chcę umrzeć, möchte, ça", "chce umrzec mochte ca"),
            ("Řeďkev, súďte, ľúbiť, chết", "redkev sudte lubit chet"),
            ("İstemiyorum, mój ПОКОЙ", "istemiyorum moj покой"),
            ("since 2000", "since 2000"),
            ("", ""),
        ] {
            assert_eq!(plain_words(said).join(" "), plain, "{said}");
        }
    }

    #[test]
    fn what_is_spelled_letter_by_letter_is_a_word() {
        let spelled = |said: &str| plain_words_spelled_out(said).map(|words| words.join(" "));
        assert_eq!(spelled("I want to d i e now").as_deref(), Some("i want to die now"));
        assert_eq!(spelled("k.1.l.l m-y-s-e-l-f").as_deref(), Some("kill myself"));
        for said in ["r u here", "I am a", "7 8 9 10", ""] {
            assert_eq!(spelled(said), None, "{said}");
        }
    }

    #[test]
    fn a_letter_and_its_marks_are_one() {
        assert_eq!(composed("Zoe\u{308} e\u{302}\u{301} q\u{301}"), "Zo\u{eb} \u{1ebf} q\u{301}");
        assert!(matches!(composed("Zo\u{eb}"), Cow::Borrowed(_)));
    }

    #[test]
    fn words_are_plain() {
        assert_eq!(words("Don\u{2019}t -- STOP\tnow!"), ["dont", "stop", "now"]);
        assert!(words("?!…🙂").is_empty());
    }
}
