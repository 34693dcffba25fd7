//! Saying what was said from the other side: "I love my dog" becomes "you love your dog".

/// At most this many words of what was said are given back.
const MOST_WORDS: usize = 12;

/// What follows `start` (already found among the words), up to the end of the clause, from the other side. `None` when
/// nothing follows or it is too long to be given back.
pub(super) fn after(text: &str, start: &[&str]) -> Option<String> {
    clauses(text).find_map(|clause| {
        let spoken = spoken_words(clause);
        let lower: Vec<String> = spoken.iter().map(|word| bare(word)).collect();
        let place =
            lower.windows(start.len()).position(|window| window.iter().zip(start).all(|(a, b)| a == b))?;
        turned(&spoken[place + start.len()..])
    })
}

/// The first clause of a text, from the other side.
pub(super) fn whole(text: &str) -> Option<String> {
    let clause = clauses(text).next()?;
    let spoken = spoken_words(clause);
    if spoken.len() < 3 { None } else { turned(&spoken) }
}

fn clauses(text: &str) -> impl Iterator<Item = &str> {
    text.split(['.', '!', '?', ',', ';', ':', '\n', '(', ')']).filter(|clause| !clause.trim().is_empty())
}

/// The words as they were written, trimmed to letters, digits, apostrophes and hyphens.
fn spoken_words(clause: &str) -> Vec<String> {
    let kept = |c: &char| c.is_alphanumeric() || matches!(c, '\'' | '\u{2019}' | '-');
    let trimmed = clause.split_whitespace().map(|word| word.chars().filter(kept).collect::<String>());
    trimmed.filter(|word| word.chars().any(char::is_alphanumeric)).collect()
}

fn bare(word: &str) -> String {
    word.chars().filter(|c| !matches!(c, '\'' | '\u{2019}')).flat_map(char::to_lowercase).collect()
}

fn turned(spoken: &[String]) -> Option<String> {
    let fits =
        (1..=MOST_WORDS).contains(&spoken.len()) && spoken.iter().all(|word| word.chars().count() <= 30);
    if !fits {
        return None;
    }
    let last = spoken.len() - 1;
    let words: Vec<String> =
        spoken.iter().enumerate().map(|(place, word)| turn(word, place == last)).collect();
    Some(words.join(" "))
}

/// One word from the other side. "you" is "me" at the end of a clause and "I" elsewhere: right more often than not.
fn turn(word: &str, at_end: bool) -> String {
    let other = match bare(word).as_str() {
        "i" | "me" => "you",
        "my" => "your",
        "mine" => "yours",
        "myself" => "yourself",
        "am" => "are",
        "im" => "you are",
        "ive" => "you have",
        "id" if word.len() > 2 => "you would",
        "ill" if word.len() > 3 => "you will",
        "was" => "was",
        "you" if at_end => "me",
        "you" => "I",
        "your" => "my",
        "yours" => "mine",
        "yourself" => "myself",
        "youre" => "I am",
        "youve" => "I have",
        _ => return if is_shouted(word) { word.to_lowercase() } else { word.to_owned() },
    };
    other.to_owned()
}

fn is_shouted(word: &str) -> bool {
    word.chars().count() > 3 && word.chars().all(|c| !c.is_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fragment_is_said_from_the_other_side() {
        assert_eq!(
            after("Well, I need my mum to call me.", &["i", "need"]).as_deref(),
            Some("your mum to call you")
        );
        assert_eq!(after("I'm angry with you", &["im"]).as_deref(), Some("angry with me"));
        assert_eq!(after("I need", &["i", "need"]), None);
        assert_eq!(after(&format!("I need {}", "a ".repeat(20)), &["i", "need"]), None);
        assert_eq!(after("I NEED MY COFFEE", &["i", "need"]).as_deref(), Some("your coffee"));
        assert_eq!(whole("I love my dog").as_deref(), Some("you love your dog"));
        assert_eq!(whole("hm"), None);
    }
}
