//! Patterns of words: which sentences a rule means, in a form that can be read.
//!
//! | in a pattern | fits |
//! |---|---|
//! | `cut\|cutting` | one of these words; `out_of` is two of them in a row |
//! | `HARM` | one of the words of the set with this name |
//! | `the\|a?` | the same, or nothing |
//! | `..2` | up to two words, whichever |
//! | `!this\|that` | one word that is none of these |
//! | `$` | the end of what was said |
//!
//! A pattern begins with words, so that only the few whose first word was said have to be looked at.

use std::collections::HashMap;

/// The words a name in capitals stands for.
pub(crate) type Sets = &'static [(&'static str, &'static str)];

type Words = Vec<&'static str>;

#[derive(Debug)]
enum Slot {
    One(Vec<Words>),
    Maybe(Vec<Words>),
    Gap(usize),
    Not(Vec<Words>),
    End,
}

/// Patterns by the first word of what they fit.
#[derive(Debug)]
pub(crate) struct Patterns {
    by_first_word: HashMap<&'static str, Vec<usize>>,
    patterns: Vec<Vec<Slot>>,
}

impl Patterns {
    /// Reads patterns. What is not one fits nothing; tests see to it that there is none.
    pub(crate) fn new(texts: &[&'static str], sets: Sets) -> Self {
        let patterns: Vec<Vec<Slot>> = texts.iter().map(|text| read(text, sets)).collect();
        let mut by_first_word: HashMap<_, Vec<usize>> = HashMap::new();
        for (number, pattern) in patterns.iter().enumerate() {
            let Some(Slot::One(begins)) = pattern.first() else { continue };
            for first in begins.iter().filter_map(|words| words.first()) {
                let numbers = by_first_word.entry(*first).or_default();
                if numbers.last() != Some(&number) {
                    numbers.push(number);
                }
            }
        }
        Self { by_first_word, patterns }
    }

    /// True when one of the patterns stands somewhere among the words.
    pub(crate) fn stand_in(&self, words: &[String]) -> bool {
        (0..words.len()).any(|place| self.length_at(words, place).is_some())
    }

    /// The words without those that the patterns fit; a gap that no pattern crosses stays in their place.
    pub(crate) fn taken_from(&self, words: &[String]) -> Vec<String> {
        let mut left = Vec::with_capacity(words.len());
        let mut place = 0;
        while place < words.len() {
            let length = self.length_at(words, place).unwrap_or_default();
            left.push(if length > 0 { String::new() } else { words[place].clone() });
            place += length.max(1);
        }
        left
    }

    /// How many words from `place` on the first fitting pattern takes.
    fn length_at(&self, words: &[String], place: usize) -> Option<usize> {
        let numbers = self.by_first_word.get(words[place].as_str())?;
        numbers.iter().find_map(|number| fits(&self.patterns[*number], &words[place..]))
    }
}

fn fits(slots: &[Slot], words: &[String]) -> Option<usize> {
    let Some((slot, rest)) = slots.split_first() else { return Some(0) };
    let after = |taken: usize| fits(rest, &words[taken..]).map(|more| taken + more);
    let one_of = |choices: &[Words]| {
        choices.iter().filter(|choice| begins_with(words, choice)).find_map(|choice| after(choice.len()))
    };
    match slot {
        Slot::One(choices) => one_of(choices),
        Slot::Maybe(choices) => one_of(choices).or_else(|| after(0)),
        Slot::Gap(most) => {
            let spoken = words.iter().take(*most).take_while(|word| !word.is_empty()).count();
            (0..=spoken).find_map(after)
        }
        Slot::Not(choices) => {
            let other = !words.is_empty() && !choices.iter().any(|choice| begins_with(words, choice));
            if other { after(1) } else { None }
        }
        Slot::End => words.is_empty().then_some(0),
    }
}

fn begins_with(words: &[String], choice: &[&str]) -> bool {
    words.len() >= choice.len() && words.iter().zip(choice).all(|(word, wanted)| word == wanted)
}

fn read(text: &'static str, sets: Sets) -> Vec<Slot> {
    let slot = |part: &'static str| {
        if part == "$" {
            Slot::End
        } else if let Some(most) = part.strip_prefix("..") {
            Slot::Gap(most.parse().unwrap_or_default())
        } else if let Some(words) = part.strip_prefix('!') {
            Slot::Not(choices(words, sets))
        } else if let Some(words) = part.strip_suffix('?') {
            Slot::Maybe(choices(words, sets))
        } else {
            Slot::One(choices(part, sets))
        }
    };
    text.split(' ').map(slot).collect()
}

fn choices(part: &'static str, sets: Sets) -> Vec<Words> {
    let named = |choice: &'static str| sets.iter().find(|(name, _)| *name == choice);
    let each =
        part.split('|').flat_map(|choice| named(choice).map_or(choice, |(_, words)| words).split(['|', ' ']));
    each.map(|choice| choice.split('_').collect()).collect()
}

/// For tests of lists of patterns: what is wrong with them.
#[cfg(test)]
pub(crate) fn faults(texts: &[&'static str], sets: Sets) -> Vec<String> {
    let wrong = |text: &&&'static str| {
        let pattern = read(text, sets);
        let choices = pattern.iter().flat_map(|slot| match slot {
            Slot::One(choices) | Slot::Maybe(choices) | Slot::Not(choices) => choices.clone(),
            Slot::Gap(_) | Slot::End => Vec::new(),
        });
        let plain =
            |word: &&str| !word.is_empty() && word.chars().all(|c| c.is_lowercase() || c.is_numeric());
        !matches!(pattern.first(), Some(Slot::One(_)))
            || pattern.iter().any(|slot| matches!(slot, Slot::Gap(0)))
            || !choices.flatten().all(|word| plain(&word))
    };
    texts.iter().filter(wrong).map(|text| (*text).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETS: Sets = &[("FRUIT", "apple pear sour_cherry")];

    fn fits(pattern: &'static str, said: &str) -> bool {
        let words: Vec<String> = said.split_whitespace().map(str::to_owned).collect();
        Patterns::new(&[pattern], SETS).stand_in(&words)
    }

    #[test]
    fn each_form_fits_what_it_says() {
        for (pattern, said, fitting) in [
            ("eat FRUIT", "i eat sour cherry pie", true),
            ("eat FRUIT", "i eat sour grapes", false),
            ("eat a|an? FRUIT", "eat an apple", true),
            ("eat a|an? FRUIT", "eat apple", true),
            ("eat ..2 FRUIT", "eat a large pear", true),
            ("eat ..2 FRUIT", "eat a very large pear", false),
            ("eat !FRUIT", "eat bread", true),
            ("eat !FRUIT", "eat pear", false),
            ("eat !FRUIT", "eat", false),
            ("eat $", "what to eat", true),
            ("eat $", "eat this", false),
        ] {
            assert_eq!(fits(pattern, said), fitting, "{pattern:?} in {said:?}");
        }
    }

    #[test]
    fn what_is_taken_away_is_a_gap_that_nothing_crosses() {
        let words: Vec<String> = "eat a nut and an apple".split(' ').map(str::to_owned).collect();
        let left = Patterns::new(&["nut and"], SETS).taken_from(&words);
        assert_eq!(left, ["eat", "a", "", "an", "apple"]);
        assert!(!Patterns::new(&["eat ..9 apple"], SETS).stand_in(&left));
    }

    #[test]
    fn what_is_no_pattern_is_told() {
        assert_eq!(faults(&["eat FRUIT"], SETS), [""; 0]);
        for wrong in ["", "..2 eat", "eat ..", "eat NUTS", "eat  twice", "$"] {
            assert_eq!(faults(&[wrong], SETS).len(), 1, "{wrong:?}");
        }
    }
}
