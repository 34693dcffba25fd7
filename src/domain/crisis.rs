//! Hears words of self-harm, however they are spelled, and answers them with care and where to find people who help,
//! whatever a model would say and whether or not there is one. Too careful is better than deaf, but everyday figures of speech
//! ("this heat is killing me") must not set it off.
//!
//! The words are brought into a plain form, figures of speech are taken out, and in what is left the rules look for:
//! violence against oneself, a wish to be dead, not wanting to live, a way in which it would be done. Other languages
//! have a short list of their own, and the larger ones an answer in themselves.

use std::sync::LazyLock;

use crate::domain::chat::{Crisis, Exchange, Persona, Prompt};
use crate::domain::patterns::Patterns;
use crate::domain::plain;

mod elsewhere;
mod english;

/// The languages in which words of self-harm can be answered in themselves, by their codes.
pub const ANSWERED_IN: [&str; 10] = ["de", "es", "fr", "it", "ja", "nl", "pl", "pt", "ru", "zh"];

static HEARD: LazyLock<Patterns> = LazyLock::new(|| Patterns::new(english::HEARD, english::SETS));
static FIGURES: LazyLock<Patterns> = LazyLock::new(|| Patterns::new(english::FIGURES, english::SETS));
static FIGURES_ELSEWHERE: LazyLock<Patterns> =
    LazyLock::new(|| Patterns::new(elsewhere::FIGURES, elsewhere::SETS));
static ELSEWHERE: LazyLock<Vec<(&str, Patterns)>> = LazyLock::new(|| {
    elsewhere::HEARD
        .iter()
        .map(|(language, heard)| (*language, Patterns::new(heard, elsewhere::SETS)))
        .collect()
});

/// True when the text speaks of wanting to die or of hurting oneself.
#[must_use]
pub fn is_heard(text: &str) -> bool {
    language(text).is_some()
}

/// In which language the text speaks of it; `None` when it does not.
fn language(text: &str) -> Option<&'static str> {
    language_unparted(text)
        .or_else(|| language_among(&plain::plain_words(text)))
        .or_else(|| language_among(&plain::plain_words_spelled_out(text)?))
}

fn language_among(words: &[String]) -> Option<&'static str> {
    let serious = FIGURES_ELSEWHERE.taken_from(words);
    let elsewhere = ELSEWHERE.iter().find(|(_, heard)| heard.stand_in(&serious));
    elsewhere
        .map(|(language, _)| *language)
        .or_else(|| HEARD.stand_in(&FIGURES.taken_from(words)).then_some(""))
}

fn language_unparted(text: &str) -> Option<&'static str> {
    if text.is_ascii() {
        return None;
    }
    let figures = elsewhere::UNPARTED_FIGURES.iter();
    let serious = figures.fold(text.to_owned(), |left, figure| left.replace(figure, " "));
    let said = |said: &[&str]| said.iter().any(|said| serious.contains(said));
    let (language, _) = elsewhere::UNPARTED.iter().find(|(_, heard)| said(heard))?;
    Some(if *language == "zh" && elsewhere::is_japanese(text) { "ja" } else { language })
}

/// The care that is due to what is said after `history`; `None` when none is. It is due to words of self-harm that were said since
/// the last answer was heard, and once more when that answer was one to such words and was broken off before it told where
/// help is. Not a third time: whoever goes on about something else is not held up for ever.
#[must_use]
pub fn due<'a>(persona: &'a Persona, history: &[Exchange], said: &str) -> Option<&'a Crisis> {
    spoken_of(persona, history, said).or_else(|| {
        let (before, last) = last_answered(history)?;
        spoken_of(persona, before, &last.said).filter(|_| !tells_help(persona, &last.answered))
    })
}

/// True when care was due to what the last answer that was heard is one to.
#[must_use]
pub fn was_met(persona: &Persona, history: &[Exchange]) -> bool {
    last_answered(history).is_some_and(|(before, last)| due(persona, before, &last.said).is_some())
}

/// The answer to words of self-harm; `None` when no care is due. The one after that which was given last, as far as the conversation is known.
#[must_use]
pub fn answer(prompt: &Prompt) -> Option<String> {
    let crisis = due(&prompt.persona, &prompt.history, &prompt.said)?;
    let help = crisis.help.trim();
    let plain = crisis.answers.iter().map(|text| format!("{} {help}", text.trim()));
    let again = crisis.again.iter().flat_map(|again| {
        crisis.answers.iter().map(move |text| format!("{} {} {help}", again.trim(), text.trim()))
    });
    let candidates: Vec<_> = plain.chain(again).collect();
    let place_of = |exchange: &Exchange| candidates.iter().position(|text| begins_with(text, exchange));
    let last = prompt.history.iter().rev().find_map(place_of);
    candidates.get(last.map_or(0, |place| (place + 1) % candidates.len())).cloned()
}

/// True when the text is what was answered there, or what was heard of it its beginning.
fn begins_with(text: &str, exchange: &Exchange) -> bool {
    !exchange.answered.is_empty() && text.starts_with(&exchange.answered)
}

fn tells_help(persona: &Persona, answered: &str) -> bool {
    persona.crises().any(|crisis| answered.contains(crisis.help.trim()))
}

/// The answer to words of self-harm, where they are said after `history`: now, or in what nobody has heard an answer to and
/// goes on now. One who goes on speaking says a thing in two turns.
fn spoken_of<'a>(persona: &'a Persona, history: &[Exchange], said: &str) -> Option<&'a Crisis> {
    let unanswered = history.len() - last_answered(history).map_or(0, |(before, _)| before.len() + 1);
    let since = history.iter().rev().take(unanswered).rev().map(|exchange| exchange.said.as_str());
    let since: Vec<_> = since.chain([said]).collect();
    let language = language(said).or_else(|| language(&since.join(" ")))?;
    Some(persona.crisis_in.get(language).unwrap_or(&persona.crisis))
}

/// The last turn of whose answer something was heard, and those before it.
fn last_answered(history: &[Exchange]) -> Option<(&[Exchange], &Exchange)> {
    let place = history.iter().rposition(|exchange| !exchange.answered.is_empty())?;
    Some((&history[..place], &history[place]))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::domain::chat::Pace;
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
            done: Vec::new(),
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
    fn they_are_answered_in_their_language() {
        for (said, language) in [
            ("Ich will sterben", "de"),
            ("je veux mourir", "fr"),
            ("je pense au suicide", "fr"),
            ("quiero morir", "es"),
            ("voglio morire", "it"),
            ("quero morrer", "pt"),
            ("vou me suicidar", "pt"),
            ("ik wil dood", "nl"),
            ("chcę umrzeć", "pl"),
            ("я хочу умереть", "ru"),
            ("我想死", "zh"),
            ("死にたい", "ja"),
            ("自殺したい", "ja"),
        ] {
            let mut history = Vec::new();
            let helps = prompt("", 3, &[]).persona.crisis_in[language].help.trim().to_owned();
            for _ in 0..3 {
                let answered = answer(&prompt(said, 3, &history)).unwrap();
                assert!(answered.ends_with(&helps), "{said}: {answered}");
                assert!(history.last().is_none_or(|last: &Exchange| last.answered != answered), "{said}");
                history.push(Exchange { said: said.to_owned(), answered });
            }
            assert_eq!(answer(&prompt("ok", 3, &history)), None, "{said}: its help was told");
        }
        for said in ["I want to die", "haluan kuolla", "อยากตาย"] {
            assert!(answer(&prompt(said, 3, &[])).unwrap().contains("findahelpline.com lists"), "{said}");
        }
    }

    #[test]
    fn a_persona_that_knows_one_language_answers_in_it() {
        let mut prompt = prompt("je veux mourir", 3, &[]);
        let mut persona = Persona::clone(&prompt.persona);
        persona.crisis_in.clear();
        prompt.persona = Arc::new(persona);
        assert!(answer(&prompt).unwrap().ends_with(prompt.persona.crisis.help.trim()));
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

    #[test]
    fn where_to_find_help_is_told_again_when_it_was_not_heard() {
        let exchange = |said: &str, answered: &str| Exchange { said: said.into(), answered: answered.into() };
        let cut = "I am really sorry that you";
        for begun in
            [vec![exchange("I want to die", cut)], vec![exchange("I want", ""), exchange("to die", cut)]]
        {
            let persona = prompt("", 3, &[]).persona;
            let mut history = begun;
            let whole = answer(&prompt("what did you say", 3, &history)).unwrap();
            assert!(whole.ends_with(persona.crisis.help.trim()) && !whole.starts_with(cut), "{whole}");
            history.push(exchange("what did you say", &whole));
            assert_eq!(answer(&prompt("yes", 3, &history)), None, "it was heard");
            assert!(was_met(&persona, &history));
            history.pop();
            history.push(exchange("tell me a joke", "What you are"));
            assert_eq!(
                answer(&prompt("a joke, please", 3, &history)),
                None,
                "they go on about something else"
            );
            assert!(was_met(&persona, &history));
        }
    }

    #[test]
    fn what_follows_an_answer_of_which_nothing_was_heard_follows_words_of_self_harm() {
        let history = [Exchange { said: "I want to die".into(), answered: String::new() }];
        let answered = answer(&prompt("hello", 3, &history)).unwrap();
        let mut history = history.to_vec();
        history.push(Exchange { said: "hello".into(), answered });
        assert!(was_met(&prompt("", 3, &[]).persona, &history));
        assert_eq!(answer(&prompt("yes", 3, &history)), None);
    }

    use crate::domain::patterns;

    #[test]
    fn the_lists_hold_patterns_only() {
        for list in [english::HEARD, english::FIGURES] {
            assert_eq!(patterns::faults(list, english::SETS), [""; 0]);
        }
        for list in elsewhere::HEARD.iter().map(|(_, heard)| *heard).chain([elsewhere::FIGURES]) {
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
