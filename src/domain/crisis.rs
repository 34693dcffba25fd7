//! Hears words of self-harm, however they are spelled, and answers them with care and where to find people who help,
//! whatever a model would say and whether or not there is one. Too careful is better than deaf, but everyday figures of speech
//! ("this heat is killing me") must not set it off.
//!
//! The words are brought into a plain form, figures of speech are taken out, and in what is left the rules look for:
//! violence against oneself, a wish to be dead, not wanting to live, a way in which it would be done. Other languages
//! have a short list of their own.

use std::sync::LazyLock;

use crate::domain::chat::{Exchange, Prompt};
use crate::domain::patterns::Patterns;
use crate::domain::plain;

mod elsewhere;
mod english;

static HEARD: LazyLock<Patterns> = LazyLock::new(|| Patterns::new(english::HEARD, english::SETS));
static FIGURES: LazyLock<Patterns> = LazyLock::new(|| Patterns::new(english::FIGURES, english::SETS));
static FIGURES_ELSEWHERE: LazyLock<Patterns> =
    LazyLock::new(|| Patterns::new(elsewhere::FIGURES, elsewhere::SETS));
static ELSEWHERE: LazyLock<Patterns> = LazyLock::new(|| Patterns::new(elsewhere::HEARD, elsewhere::SETS));

/// True when the text speaks of wanting to die or of hurting oneself.
#[must_use]
pub fn is_heard(text: &str) -> bool {
    is_in_unparted(text)
        || is_among(&plain::plain_words(text))
        || plain::plain_words_spelled_out(text).is_some_and(|words| is_among(&words))
}

fn is_among(words: &[String]) -> bool {
    HEARD.stand_in(&FIGURES.taken_from(words)) || ELSEWHERE.stand_in(&FIGURES_ELSEWHERE.taken_from(words))
}

fn is_in_unparted(text: &str) -> bool {
    if text.is_ascii() {
        return false;
    }
    let figures = elsewhere::UNPARTED_FIGURES.iter();
    let serious = figures.fold(text.to_owned(), |left, figure| left.replace(figure, " "));
    elsewhere::UNPARTED.iter().any(|said| serious.contains(said))
}

/// The answer to words of self-harm; `None` when none were said since the last answer was heard. The one after that which was given last, as far as the conversation is known.
#[must_use]
pub fn answer(prompt: &Prompt) -> Option<String> {
    if !is_heard(&prompt.said) && !is_heard(&prompt.said_since()) {
        return None;
    }
    let crisis = &prompt.persona.crisis;
    let help = crisis.help.trim();
    let plain = crisis.answers.iter().map(|text| format!("{} {help}", text.trim()));
    let again = crisis.again.iter().flat_map(|again| {
        crisis.answers.iter().map(move |text| format!("{} {} {help}", again.trim(), text.trim()))
    });
    let candidates: Vec<_> = plain.chain(again).collect();
    let place_of = |exchange: &Exchange| candidates.iter().position(|text| *text == exchange.answered);
    let last = prompt.history.iter().rev().find_map(place_of);
    candidates.get(last.map_or(0, |place| (place + 1) % candidates.len())).cloned()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::domain::chat::{Crisis, Pace, Persona};
    use crate::domain::clock::Timestamp;

    fn prompt(said: &str, texts: usize, history: &[Exchange]) -> Prompt {
        let mut persona: Persona = toml::from_str(include_str!("../config/persona.toml")).unwrap();
        persona.crisis.answers.truncate(texts);
        Prompt {
            persona: Arc::new(persona),
            memories: Vec::new(),
            summary: None,
            history: Arc::new(history.to_vec()),
            said: said.to_owned(),
            said_at: Timestamp::from_millis(0),
            wishes: Vec::new(),
            pace: Pace::Whole,
        }
    }

    #[test]
    fn they_always_get_care_and_where_to_find_help_and_never_the_same_twice() {
        for texts in [1, 3] {
            let mut history = Vec::new();
            for said in
                ["I want to die", "are you a bot? i wanna kill my self", "I want to die", "I want to die"]
            {
                let prompt = prompt(said, texts, &history);
                let answered = answer(&prompt).unwrap();
                assert!(answered.ends_with(prompt.persona.crisis.help.trim()), "{said}: {answered}");
                assert!(history.last().is_none_or(|last: &Exchange| last.answered != answered));
                history.push(Exchange { said: said.to_owned(), answered });
            }
            assert_eq!(answer(&prompt("I am hungry", texts, &history)), None);
        }
    }

    #[test]
    fn every_answer_is_given_before_one_comes_again_however_long_the_conversation_is() {
        let mut answers: Vec<String> = Vec::new();
        for _ in 0..40 {
            let known = answers.iter().skip(answers.len().saturating_sub(20)).cloned();
            let history: Vec<_> =
                known.map(|answered| Exchange { said: "I want to die".to_owned(), answered }).collect();
            answers.push(answer(&prompt("I want to die", 3, &history)).unwrap());
        }
        for some in answers.windows(6) {
            assert_eq!(some.iter().collect::<std::collections::HashSet<_>>().len(), 6, "{some:?}");
        }
    }

    #[test]
    fn every_word_of_it_is_the_personas() {
        let mut history = Vec::new();
        for turn in 0..4 {
            let mut prompt = prompt("I want to die", 1, &history);
            let mut persona = Persona::clone(&prompt.persona);
            persona.crisis = Crisis {
                answers: vec!["Es tut mir leid.".to_owned()],
                again: None,
                help: "Ruf an.".to_owned(),
            };
            prompt.persona = Arc::new(persona);
            assert_eq!(answer(&prompt).as_deref(), Some("Es tut mir leid. Ruf an."), "{turn}");
            history.push(Exchange { said: prompt.said, answered: "Es tut mir leid. Ruf an.".to_owned() });
        }
    }

    #[test]
    fn they_are_heard_in_what_was_said_before_and_not_answered() {
        let unanswered = |said: &str| Exchange { said: said.to_owned(), answered: String::new() };
        let begun = [unanswered("I want to")];
        assert!(answer(&prompt("die", 1, &begun)).is_some(), "said in two turns");
        let not_heard = [unanswered("I want to die"), unanswered("and")];
        assert!(answer(&prompt("do you hear me", 1, &not_heard)).is_some(), "nothing of the help was heard");
        let heard = [unanswered("I want to"), Exchange { said: "sleep".into(), answered: "Well.".into() }];
        assert_eq!(answer(&prompt("die", 1, &heard)), None);
    }

    use crate::domain::patterns;

    #[test]
    fn the_lists_hold_patterns_only() {
        for list in [english::HEARD, english::FIGURES] {
            assert_eq!(patterns::faults(list, english::SETS), [""; 0]);
        }
        for list in [elsewhere::HEARD, elsewhere::FIGURES] {
            assert_eq!(patterns::faults(list, elsewhere::SETS), [""; 0]);
        }
    }

    fn heard(list: &str) -> (Vec<&str>, Vec<&str>) {
        list.lines().map(str::trim).filter(|line| !line.is_empty()).partition(|said| is_heard(said))
    }

    #[test]
    fn words_of_self_harm_are_heard_however_they_are_spelled() {
        let (_, missed) = heard(include_str!("crisis/said.txt"));
        assert_eq!(missed, [""; 0]);
        for said in ["i WANT   to\ndie!!", "I don\u{2019}t want to live", "I want to k\u{200b}ill myself"] {
            assert!(is_heard(said), "{said}");
        }
    }

    #[test]
    fn they_are_heard_in_other_languages() {
        let (_, missed) = heard(include_str!("crisis/said_elsewhere.txt"));
        assert_eq!(missed, [""; 0]);
    }

    #[test]
    fn everyday_figures_of_speech_are_not() {
        let (mistaken, _) = heard(include_str!("crisis/everyday.txt"));
        assert_eq!(mistaken, [""; 0]);
        assert!(!is_heard(""));
    }

    #[test]
    fn a_figure_of_speech_hides_nothing_beside_it() {
        for said in [
            "I cut myself shaving, and honestly I want to die",
            "this heat is killing me and I am going to kill myself",
            "we watched suicide squad. I have been thinking about suicide",
        ] {
            assert!(is_heard(said), "{said}");
        }
    }
}
