//! The built-in offline companion: no network, no model. It turns what was said into gentle questions, as Joseph
//! Weizenbaum's ELIZA did (Communications of the ACM 9:1, 1966).
//!
//! In this order: questions about itself get the honest truth, in other languages a line of it; what follows words of self-harm is met gently, without the rules;
//! a wish to have something forgotten is told to be done; a rule that fits asks about what was said; else it comes back to something said earlier, or asks openly. The answer is chosen by what was said and where in the conversation,
//! among those it has not given for the longest time: it is never the one it gave last.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use futures_util::{StreamExt, stream};

use crate::domain::chat::{ChatModel, Exchange, Pace, Prompt, ReplyStream, ServiceState};
use crate::domain::memory::wishes::Done;
use crate::domain::{crisis, plain};

mod honesty;
mod reflect;
mod rules;

/// Between two words that someone watches: about as fast as people read aloud in their heads.
const WORD_PAUSE: Duration = Duration::from_millis(25);

/// Follows the honest answer, so that it goes on being a conversation.
const AFTER_HONESTY: [&str; 4] = [
    "What made you wonder?",
    "Does that change how it is to talk with me?",
    "And you, what would you like me to know about you?",
    "Shall we go on with what was on your mind?",
];

/// Follows words of self-harm: the rules' questions ("What makes you so sure?" to a "yes") would be cruel there.
const STILL_HERE: [&str; 4] = [
    "I am here and I am listening. Is there someone near you whom you could call or go to now?",
    "Thank you for going on talking. Please do not stay alone with this: who could be with you today?",
    "You matter, and so does what you are going through. Have you been able to reach someone who can help?",
    "I am glad you are still here. Whatever you feel now, a person who listens can help you carry it.",
];

/// What is told of a wish to forget what was said before: no more than is done, and nothing is repeated of what it was.
const FORGOTTEN_BEFORE: [&str; 3] = [
    "What I had noted of your last message is deleted. The conversation itself stays until you delete it.",
    "Done: I have no note of what you said just before. What else is on your mind?",
    "All right, whatever I had noted of that last message is gone. What would you like to talk about instead?",
];

/// The same for what is named.
const FORGOTTEN: [&str; 3] = [
    "Notes in which I had that in these words are deleted. If you find it in others under “What I remember”, you can delete it there.",
    "Done: no note of mine says that in these words any more. “What I remember” shows what there still is.",
    "All right, I have deleted the notes that say so. The conversation itself stays until you delete it.",
];

/// The same where there is no such note.
const NOT_FOUND: [&str; 3] = [
    "I find no note that says that in these words, so there was nothing to delete. If you see it in others under “What I remember”, you can delete it there.",
    "None of my notes says that in these words: nothing is deleted. “What I remember” shows what there is.",
    "I looked, and I have not noted that in these words. What I have noted, and can be deleted, is under “What I remember”.",
];

/// The same where there are notes of some of what is named, and of other things none.
const SOME_FORGOTTEN: [&str; 3] = [
    "Of some of that I had notes, which are deleted; of the rest I find none in these words. “What I remember” shows what there still is.",
    "What I had noted of it in these words is deleted, and the rest I had not noted so. “What I remember” shows what there still is.",
    "I have deleted the notes that say some of that; there is no note that says the rest in these words. If you see it in others under “What I remember”, you can delete it there.",
];

/// The same for what is not to be remembered from the beginning.
const NOT_REMEMBERED: [&str; 3] = [
    "I make no note of this message. The conversation itself stays until you delete it.",
    "I note nothing of what you just said. Go on, if you like.",
    "All right, I make no note of it.",
];

/// Where what comes is not to be remembered, and nobody knows yet what that is.
const HOW_NEXT: [&str; 3] = [
    "I leave out a message only when it says so itself: put “Don't remember this” into what you are about to say.",
    "Please say “Don't remember this” in that same message, or begin a conversation that is not remembered: else I may note it.",
    "I can do that where the message itself has “Don't remember this” in it. In a conversation that is not remembered nothing is noted at all.",
];

/// Where everything is forgotten: at a word it would be too easily done, and it cannot be undone.
const EVERYTHING: [&str; 3] = [
    "I do not delete everything at a word, since it cannot be undone. You can do it yourself: under “What I remember” there is “Forget everything”.",
    "Everything at once only you can delete, with “Forget everything” under “What I remember”. Until then all of it stays.",
    "So that it does not happen by mistake, nothing is deleted yet. Under “What I remember” there is “Forget everything”, which does it.",
];

/// Answers from rules alone.
#[derive(Debug, Clone, Copy, Default)]
pub struct OfflineCompanion;

impl ChatModel for OfflineCompanion {
    fn reply(&self, prompt: Prompt) -> ReplyStream {
        let pace = prompt.pace;
        let words: Vec<String> = answer(&prompt).split_inclusive(' ').map(str::to_owned).collect();
        let paced = stream::iter(words).enumerate().then(move |(place, word)| async move {
            if pace == Pace::Live && place > 0 {
                tokio::time::sleep(WORD_PAUSE).await;
            }
            Ok(word)
        });
        paced.boxed()
    }

    fn state(&self) -> ServiceState {
        ServiceState::Offline
    }
}

/// The whole answer. Never empty, and never the last answer that was heard.
fn answer(prompt: &Prompt) -> String {
    let (chance, history) = (chance(prompt), prompt.history.as_slice());
    if honesty::is_asked_for(&prompt.said) {
        let honest = prompt.persona.honesty.trim();
        let answers: Vec<_> = AFTER_HONESTY.iter().map(|after| format!("{honest} {after}")).collect();
        return pick(&answers, chance, history);
    }
    if let Some(honest) = honesty::elsewhere::answers(&prompt.said) {
        return pick(&honest.map(str::to_owned), chance, history);
    }
    if crisis::was_met(&prompt.persona, history) {
        return pick(&STILL_HERE.map(str::to_owned), chance, history);
    }
    if !prompt.done.is_empty() {
        return pick(&all_done(&prompt.done), chance, history);
    }
    let words = plain::words(&prompt.said);
    let candidates = rules::answers(&prompt.said, &words).unwrap_or_else(|| open_answers(&prompt.history));
    pick(&candidates, chance, history)
}

/// How it is told what is done about wishes.
fn all_done(done: &[Done]) -> Vec<String> {
    let kinds: Vec<_> = done.iter().map(told_of).collect();
    (0..3).map(|way| kinds.iter().map(|told| told[way]).collect::<Vec<_>>().join(" ")).collect()
}

const fn told_of(done: &Done) -> &'static [&'static str; 3] {
    match done {
        Done::NotNoted => &NOT_REMEMBERED,
        Done::ForgottenBefore => &FORGOTTEN_BEFORE,
        Done::Forgotten => &FORGOTTEN,
        Done::SomeForgotten => &SOME_FORGOTTEN,
        Done::NotFound => &NOT_FOUND,
        Done::HowNext => &HOW_NEXT,
        Done::LeftToThem => &EVERYTHING,
    }
}

/// One number for what was said in this place of the conversation.
fn chance(prompt: &Prompt) -> usize {
    let mut hasher = DefaultHasher::new();
    prompt.said.hash(&mut hasher);
    prompt.history.len().hash(&mut hasher);
    usize::try_from(hasher.finish() % 1_000_003).unwrap_or_default()
}

/// The candidate that was not given for the longest time; of those that were never given, the one that chance falls on.
/// Lists have at least two different texts.
fn pick(candidates: &[String], chance: usize, history: &[Exchange]) -> String {
    let count = candidates.len().max(1);
    let from_chance = (0..count).filter_map(|step| candidates.get((chance + step) % count));
    let given = |candidate: &&String| history.iter().rposition(|exchange| exchange.answered == **candidate);
    from_chance.min_by_key(given).map_or_else(|| "I am listening.".to_owned(), Clone::clone)
}

/// When no rule fits: back to something said earlier, or an open question.
fn open_answers(history: &[Exchange]) -> Vec<String> {
    let mut candidates: Vec<String> = rules::OPEN.iter().map(|text| (*text).to_owned()).collect();
    let earlier = history
        .iter()
        .rev()
        .skip(1)
        .filter(|exchange| !crisis::is_heard(&exchange.said) && !honesty::is_asked_for(&exchange.said));
    for fragment in earlier.filter_map(|exchange| reflect::whole(&exchange.said)).take(3) {
        candidates.push(format!("Earlier you said that {fragment}. Is that connected with this?"));
        candidates.push(format!("I am thinking of what you said before, that {fragment}. How is that now?"));
    }
    candidates
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::config::ServerConfig;
    use crate::domain::chat::Persona;
    use crate::domain::clock::Timestamp;

    fn persona() -> Arc<Persona> {
        Arc::new(ServerConfig::for_testing(std::path::Path::new("unused")).unwrap().persona)
    }

    fn prompt(said: &str, history: Vec<Exchange>) -> Prompt {
        Prompt {
            persona: persona(),
            memories: Vec::new(),
            summary: None,
            history: Arc::new(history),
            said: said.to_owned(),
            said_at: Timestamp::from_millis(0),
            done: Vec::new(),
            pace: Pace::Whole,
        }
    }

    fn talk(messages: &[&str]) -> Vec<String> {
        let mut history = Vec::new();
        for said in messages {
            let answered = answer(&prompt(said, history.clone()));
            history.push(Exchange { said: (*said).to_owned(), answered });
        }
        history.into_iter().map(|exchange| exchange.answered).collect()
    }

    #[test]
    fn the_same_words_over_and_over_get_another_answer_each_time() {
        for said in ["hello", "I am sad", "yes", "...", "are you human?", "qwertz", "日本語", "why?"] {
            let answers = talk(&[said; 12]);
            for pair in answers.windows(2) {
                assert_ne!(pair[0], pair[1], "{said}");
            }
        }
    }

    /// Of a long conversation only the latest turns are known.
    fn talk_long(said: &str, turns: usize) -> Vec<String> {
        let mut answers: Vec<String> = Vec::new();
        for _ in 0..turns {
            let known = answers.iter().skip(answers.len().saturating_sub(20));
            let history =
                known.map(|answered| Exchange { said: said.to_owned(), answered: answered.clone() });
            answers.push(answer(&prompt(said, history.collect())));
        }
        answers
    }

    #[test]
    fn the_answers_stay_as_varied_however_long_the_conversation_is() {
        for (said, different) in [("yes", 3), ("qwertz", 8), ("hello", 3), ("are you a bot?", 4)] {
            let answers = talk_long(said, 60);
            for (turn, some) in answers.windows(different).enumerate() {
                let distinct: std::collections::HashSet<_> = some.iter().collect();
                assert_eq!(distinct.len(), different, "{said}, turn {turn}: {some:?}");
            }
        }
    }

    #[test]
    fn what_was_said_comes_back_from_the_other_side() {
        let answers =
            talk(&["I am afraid of my exam", "I need my sister to listen to me", "my boss shouts at me"]);
        assert!(answers[0].contains("afraid of your exam"), "{}", answers[0]);
        assert!(answers[1].contains("your sister to listen to you"), "{}", answers[1]);
        assert!(answers.iter().all(|answer| !answer.contains("my ")), "{answers:?}");
    }

    #[test]
    fn it_says_what_it_is() {
        for question in [
            "Are you a bot?",
            "who are you",
            "ARE YOU CHATGPT??",
            "what can you do",
            "are you real",
            "you're an AI, right?",
            "is this a real person",
            "Is there a human on the other side?",
        ] {
            let told = &talk(&[question])[0];
            assert!(told.contains("program"), "{question}: {told}");
        }
        assert!(!talk(&["what are you doing at work, my boss asked"])[0].contains("program"));
    }

    #[test]
    fn it_says_what_it_is_in_the_language_of_the_question() {
        for (question, program) in [
            ("Bist du ein Mensch?", "Programm"),
            ("¿Eres un robot?", "programa"),
            ("Es-tu un robot ?", "programme"),
            ("你是机器人吗？", "程序"),
        ] {
            let told = talk(&[question; 4]);
            assert!(told.iter().all(|told| told.contains(program)), "{question}: {told:?}");
            assert!(told.windows(2).all(|pair| pair[0] != pair[1]), "{question}: {told:?}");
        }
    }

    #[test]
    fn an_answer_of_which_nothing_was_heard_was_not_the_last() {
        for said in ["hello", "qwertz", "I am sad"] {
            let mut history: Vec<_> = Vec::new();
            for _ in 0..12 {
                let answered = answer(&prompt(said, history.clone()));
                assert!(
                    history
                        .iter()
                        .rev()
                        .find(|before: &&Exchange| !before.answered.is_empty())
                        .is_none_or(|last| last.answered != answered),
                    "{said}"
                );
                history.push(Exchange { said: said.to_owned(), answered });
                history.push(Exchange { said: "no".to_owned(), answered: String::new() });
            }
        }
    }

    #[test]
    fn what_follows_words_of_self_harm_is_met_gently() {
        for after in ["yes", "no", "I am serious", "because I am alone"] {
            let answer = &talk(&["I wish I could die", after])[1];
            assert!(STILL_HERE.contains(&answer.as_str()), "{after}: {answer}");
        }
    }

    #[test]
    fn so_is_what_follows_a_caring_answer_that_came_a_turn_later() {
        let help = persona().crisis.help.clone();
        for heard in ["", "I am really sorry that you"] {
            let exchange =
                |said: &str, answered: &str| Exchange { said: said.into(), answered: answered.into() };
            let history = vec![exchange("I want to die", heard), exchange("what did you say", &help)];
            let answer = answer(&prompt("yes", history));
            assert!(STILL_HERE.contains(&answer.as_str()), "{heard}: {answer}");
        }
    }

    #[test]
    fn a_question_about_itself_is_nothing_to_come_back_to() {
        let mut said = vec!["Are you an AI", "what are you"];
        said.extend(["qwertz"; 40]);
        let answers = talk(&said);
        assert!(!answers.iter().any(|answer| answer.contains("Are I an AI")), "{answers:?}");
    }

    #[test]
    fn it_comes_back_to_what_was_said_earlier() {
        let mut history = vec![Exchange { said: "my garden makes me happy".into(), answered: String::new() }];
        history.push(Exchange { said: "well".into(), answered: String::new() });
        let candidates = open_answers(&history);
        assert!(candidates.iter().any(|text| text.contains("your garden makes you happy")), "{candidates:?}");
    }

    #[test]
    fn words_are_streamed_one_by_one_and_are_the_answer() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        let words: Vec<_> =
            runtime.unwrap().block_on(OfflineCompanion.reply(prompt("hello", Vec::new())).collect());
        let words: Vec<String> = words.into_iter().map(Result::unwrap).collect();
        assert!(words.len() > 3);
        assert_eq!(words.concat(), answer(&prompt("hello", Vec::new())));
    }

    proptest! {
        #[test]
        fn whatever_is_said_gets_an_answer_and_never_the_same_twice(said in proptest::collection::vec("\\PC{0,200}", 1..12)) {
            let said: Vec<_> = said.iter().map(String::as_str).collect();
            let answers = talk(&said);
            prop_assert!(answers.iter().all(|answer| !answer.trim().is_empty() && answer.len() < 2000));
            prop_assert!(answers.windows(2).all(|pair| pair[0] != pair[1]));
        }

        #[test]
        fn control_characters_are_never_repeated(said in "(I am |I need |my )[\\x00-\\x7f]{0,80}") {
            prop_assert!(!talk(&[&said])[0].chars().any(|c| c.is_control() && c != '\n'));
        }
    }
}
