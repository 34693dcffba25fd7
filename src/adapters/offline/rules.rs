//! The rules: which words lead to which questions. `{}` in an answer is what followed the words, from the other side.

use crate::adapters::offline::reflect;

/// A rule fits when one of its `starts` stands in a clause; answers with `{}` are used when something follows it.
struct Rule {
    starts: &'static [&'static str],
    with_fragment: &'static [&'static str],
    plain: &'static [&'static str],
}

/// When nothing else fits.
pub(super) const OPEN: [&str; 8] = [
    "Tell me a little more about that.",
    "How does that feel, when you say it?",
    "What comes to your mind when you think of it?",
    "I am listening. Please go on.",
    "What would you like to happen?",
    "What matters most to you in this?",
    "How long has this been on your mind?",
    "Is there someone you can share this with?",
];

const NO_WORDS: [&str; 4] = [
    "I see you are here, even without words. What is going on in you?",
    "Sometimes there are no words. Take your time.",
    "I cannot read that, but I am curious: what would it say in words?",
    "I am here. Whenever you like, tell me in a few words.",
];

const OTHER_LANGUAGE: [&str; 3] = [
    "I am sorry, I only know simple English phrases. Could you say it in English?",
    "That is a language I do not know: I am a simple offline program with English phrases only. Will you try in English?",
    "I would like to understand, but I only follow simple English. How would you say it there?",
];

const LONG: [&str; 3] = [
    "That is a lot, and thank you for telling me all of it. Which part weighs most?",
    "There is much in what you wrote. Where would you like to begin?",
    "Thank you for taking the time to write this. If you had to say it in one sentence, what would it be?",
];

/// Ordered by how much they tell: the first that fits is used.
#[rustfmt::skip]
const RULES: [Rule; 30] = [
    Rule { starts: &["goodbye", "bye", "good night", "see you", "farewell"], with_fragment: &[], plain: &[
        "Goodbye. I am glad you came by.", "Take good care of yourself. I will be here.", "Until next time. I hope something good is waiting for you today."] },
    Rule { starts: &["thank you", "thanks", "thank u", "thx"], with_fragment: &[], plain: &[
        "You are welcome. What is it that helped?", "I am glad. Is there more on your mind?", "With pleasure. How are you feeling now?"] },
    Rule { starts: &["i am sorry", "im sorry", "i apologise", "i apologize", "sorry"], with_fragment: &[], plain: &[
        "There is nothing to be sorry for here.", "It is all right. What makes you feel that you have to apologise?", "No harm done. What would you say to the person you are thinking of?"] },
    Rule { starts: &["i dreamed", "i dreamt", "i had a dream", "nightmare", "my dream"], with_fragment: &["What stays with you from dreaming {}?", "When you dreamed {}, how did you feel on waking?"], plain: &[
        "Dreams can hold on for a long time. What was the strongest picture in it?", "How did you feel when you woke up?", "Does something in your days remind you of that dream?"] },
    Rule { starts: &["i remember"], with_fragment: &["What brings {} back to you now?", "Do you often think of {}?", "What feeling comes with remembering {}?"], plain: &[
        "What else comes back with it?", "What makes that memory come up now?"] },
    Rule { starts: &["i cant", "i cannot", "i can not", "i could not", "i couldnt"], with_fragment: &["What would change if you could {}?", "How do you know that you cannot {}?", "What stands between you and being able to {}?"], plain: &[
        "What makes it so hard?", "What would be the smallest step that is possible?"] },
    Rule { starts: &["i need"], with_fragment: &["What would it mean to you to get {}?", "Why do you need {}?", "How would your days be different with {}?"], plain: &[
        "What do you need most right now?", "Who could help you with that?"] },
    Rule { starts: &["i want", "i wish", "i would like", "id like", "i hope"], with_fragment: &["What would it be like to have {}?", "What makes {} important to you?", "Suppose it came true: {}. What then?"], plain: &[
        "What is it that you are hoping for?", "What would change if your wish came true?"] },
    Rule { starts: &["i hate"], with_fragment: &["What is it about {} that hurts so much?", "Has it always been like that with {}?", "What do you do when you cannot avoid {}?"], plain: &[
        "That sounds like a strong feeling. Where does it come from?", "What lies beneath that anger?"] },
    Rule { starts: &["i love", "i like", "i enjoy"], with_fragment: &["What is it about {} that does you good?", "When did you first come to care for {}?", "How does {} make you feel?"], plain: &[
        "It is good to have that. What does it give you?", "Tell me more about what you like."] },
    Rule { starts: &["i feel", "im feeling", "i am feeling", "i felt"], with_fragment: &["When did you begin to feel {}?", "What happens in you when you feel {}?", "Is feeling {} something you know well?"], plain: &[
        "What is that feeling like?", "Where do you notice it most?"] },
    Rule { starts: &["i think", "i believe", "i guess"], with_fragment: &["What makes you think {}?", "Is there a part of you that doubts {}?", "Since when have you thought {}?"], plain: &[
        "How did you come to that?", "How sure are you of that?"] },
    Rule { starts: &["i was", "ive been", "i have been"], with_fragment: &["What was it like for you, being {}?", "What comes up in you when you think of being {}?"], plain: &[
        "What has that been like for you?", "How do you look at it now?"] },
    Rule { starts: &["i am", "im"], with_fragment: &["How long have you been {}?", "How do you feel about being {}?", "What would change if you were not {}?"], plain: &[
        "Tell me more about how it is to be you just now.", "What is it like for you?"] },
    Rule { starts: &["because"], with_fragment: &["Is it only because {}?", "If it were not because {}, would all be different?", "Because {}: how certain is that?"], plain: &[
        "Are there other reasons, too?", "Is that the whole reason?"] },
    Rule { starts: &["my mother", "my mum", "my mom", "my father", "my dad", "my parents", "my sister", "my brother", "my son", "my daughter", "my family", "my grandmother", "my grandfather"], with_fragment: &[], plain: &[
        "Family can go very deep. How are the two of you with each other?", "What would you like your family to understand?", "How was that when you were younger?", "What do you wish they would say to you?"] },
    Rule { starts: &["my wife", "my husband", "my partner", "my girlfriend", "my boyfriend", "my friend", "my friends"], with_fragment: &[], plain: &[
        "How is it between you at the moment?", "What do you value most in that person?", "Have you been able to tell them?", "What would you like them to know?"] },
    Rule { starts: &["my boss", "my job", "my work", "at work", "my colleague", "my colleagues", "school", "university", "exam"], with_fragment: &[], plain: &[
        "Work takes up so much of a life. What weighs most there?", "What would a good day there look like?", "How do you come down from it in the evening?"] },
    Rule { starts: &["sad", "depressed", "unhappy", "crying", "cry", "grief", "miss him", "miss her"], with_fragment: &[], plain: &[
        "I am sorry that you are so sad. Do you want to tell me what happened?", "Sadness often has a story. What is yours?", "What gives you a little comfort when it is like this?"] },
    Rule { starts: &["afraid", "anxious", "scared", "worried", "panic", "fear", "nervous"], with_fragment: &[], plain: &[
        "What is it that frightens you most about it?", "When the fear comes, what helps you through?", "What would you do if you were not afraid?"] },
    Rule { starts: &["angry", "furious", "annoyed", "mad at"], with_fragment: &[], plain: &[
        "What made you so angry?", "What would you like to say to them, if you could?", "What lies underneath the anger, do you think?"] },
    Rule { starts: &["lonely", "alone", "nobody", "no one"], with_fragment: &[], plain: &[
        "Being alone can be hard to bear. When do you feel it most?", "Who was there for you at another time?", "What kind of company would do you good?"] },
    Rule { starts: &["tired", "exhausted", "cannot sleep", "cant sleep", "stressed", "overwhelmed"], with_fragment: &[], plain: &[
        "That sounds draining. What takes most of your strength?", "When did you last really rest?", "What could wait until tomorrow?"] },
    Rule { starts: &["happy", "glad", "great", "wonderful", "excited"], with_fragment: &[], plain: &[
        "That is good to hear. What is behind it?", "How lovely. Who would you like to share that with?", "What made it so good?"] },
    Rule { starts: &["always", "never", "everyone", "everybody"], with_fragment: &[], plain: &[
        "Really every time? Can you think of one time it was otherwise?", "When did that happen last?", "Is there an exception, even a small one?"] },
    Rule { starts: &["do you", "can you", "could you", "will you", "would you"], with_fragment: &["Would it help you if I could {}?", "I am only a simple program, but I wonder: what would it mean to you if I were to {}?"], plain: &[
        "I can mostly listen and ask. What would you wish from me?", "What would you like my answer to be?"] },
    Rule { starts: &["why", "how", "what", "when", "where", "who"], with_fragment: &[], plain: &[
        "What do you think yourself?", "What answer would help you most?", "I do not know, but I would like to hear your own guess.", "What makes you ask that just now?"] },
    Rule { starts: &["hello", "hi", "hey", "good morning", "good evening", "good afternoon"], with_fragment: &[], plain: &[
        "Hello. How are you today?", "Hello, it is good to hear from you. What is on your mind?", "Hi there. What has your day been like?"] },
    Rule { starts: &["yes", "yeah", "yep", "sure", "of course", "ok", "okay"], with_fragment: &[], plain: &[
        "What makes you so sure?", "Can you say a little more about that?", "I see. And what follows from it?"] },
    Rule { starts: &["no", "nope", "not really", "nothing"], with_fragment: &[], plain: &[
        "What speaks against it?", "All right. What would be nearer to the truth?", "Are you saying no because it is easier?"] },
];

/// Too many words to single anything out.
const LONG_WORDS: usize = 150;

/// The answers a text leads to; `None` when no rule fits. A list has at least two different ones.
pub(super) fn answers(text: &str, words: &[String]) -> Option<Vec<String>> {
    if words.is_empty() {
        return Some(owned(&NO_WORDS));
    }
    if words.len() > LONG_WORDS {
        return Some(owned(&LONG));
    }
    let spoken = format!(" {} ", words.join(" "));
    let fitting = RULES.iter().find_map(|rule| {
        let start = rule.starts.iter().find(|start| spoken.contains(&format!(" {start} ")))?;
        Some((rule, *start))
    });
    match fitting {
        Some((rule, start)) => Some(filled(rule, start, text)),
        None if is_foreign(words) => Some(owned(&OTHER_LANGUAGE)),
        None => None,
    }
}

fn filled(rule: &Rule, start: &str, text: &str) -> Vec<String> {
    let start: Vec<&str> = start.split(' ').collect();
    match reflect::after(text, &start) {
        Some(fragment) if rule.with_fragment.len() > 1 => {
            rule.with_fragment.iter().map(|answer| answer.replace("{}", &fragment)).collect()
        }
        _ => owned(rule.plain),
    }
}

/// Letters of another script, or words with letters that English does not have.
fn is_foreign(words: &[String]) -> bool {
    let letters = words.iter().flat_map(|word| word.chars()).filter(|c| c.is_alphabetic());
    let (mut all, mut foreign) = (0_usize, 0_usize);
    for letter in letters {
        all += 1;
        foreign += usize::from(!letter.is_ascii());
    }
    foreign * 10 > all
}

fn owned(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::plain;

    #[test]
    fn every_list_has_at_least_two_different_answers() {
        for rule in &RULES {
            for list in [rule.with_fragment, rule.plain] {
                let mut distinct = list.to_vec();
                distinct.sort_unstable();
                distinct.dedup();
                assert!(distinct.len() == list.len() && list.len() != 1, "{:?}", rule.starts);
            }
            assert!(rule.plain.len() > 1);
            assert!(rule.with_fragment.iter().all(|answer| answer.contains("{}")));
        }
    }

    #[test]
    fn a_language_it_does_not_know_is_owned_up_to() {
        let told = |text: &str| answers(text, &plain::words(text)).unwrap_or_default();
        for text in ["これは日本語です", "Привет, как дела", "żółć gęślą jaźń"]
        {
            assert!(told(text)[0].contains("English"), "{text}");
        }
        assert!(told("🙂🙂")[0].contains("words"));
    }
}
