//! What somebody wants to be done with what they say: learned from, left alone, forgotten.

mod done;
mod heard;
mod names;
mod parts;
mod refused;
mod said;

use crate::domain::memory::learning::{learned, plain, sentences};
use crate::domain::memory::unwanted::is_meant;
pub use done::{Done, done};
use heard::{Heard, heard};
use parts::{Told, is_quoted, parts, told, without_asides};

/// All that somebody wants to be done with what they say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wishes {
    /// Each thing once, in the order in which they said so.
    pub all: Vec<Wish>,
    /// Whether the message is learned from all the same.
    pub learn: bool,
}

impl Default for Wishes {
    /// Nothing was said of it: whatever is worth it is learned.
    fn default() -> Self {
        Self { all: Vec::new(), learn: true }
    }
}

/// One thing that somebody wants to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wish {
    /// "Don't remember this": nothing is learned from this message.
    NotThis,
    /// "Forget that": what was learned from the turn before is forgotten.
    ForgetBefore,
    /// "Forget that I live in Porto": that statement is forgotten, by each name that it may be known by.
    Forget(Vec<String>),
    /// "Don't save what I'm about to say", with nothing else: what comes is not known yet, and it is said how it is done.
    NotNext,
    /// "Forget everything": nothing is forgotten at a word, and it is said where it is done.
    Everything,
}

impl Wish {
    /// What it names, by one name or several.
    #[must_use]
    pub fn named(&self) -> &[String] {
        match self {
            Self::Forget(names) => names,
            Self::NotThis | Self::NotNext | Self::ForgetBefore | Self::Everything => &[],
        }
    }
}

/// The most wishes that are heeded of a message; one that goes by several names counts as so many.
const MOST_WISHES: usize = 10;
/// Where more stands before a wish than this it is not looked at, and nothing of it is learned.
const MOST_BEFORE: usize = 50;
/// So many statements of a message are looked for among what is known.
const MOST_STATED: usize = 5;

/// A part of what was said.
struct Part<'a> {
    text: &'a str,
    /// What is wished in it.
    heard: Vec<Heard>,
    /// What else it is.
    told: Told,
    /// The statements in it.
    stated: Vec<String>,
}

impl<'a> Part<'a> {
    fn of(text: &'a str) -> Self {
        let heard = if is_quoted(text) { Vec::new() } else { heard(without_asides(text)) };
        if !heard.is_empty() {
            return Self { text, heard, told: Told::Nothing, stated: Vec::new() };
        }
        let stated = learned(text).into_iter().map(|learned| plain(&learned.text).join(" ")).collect();
        Self { text, heard, told: told(text), stated }
    }
}

/// What somebody wants to be done with what they say.
#[must_use]
pub fn wishes(said: &str) -> Wishes {
    let parts: Vec<_> = sentences(said).flat_map(parts).map(Part::of).collect();
    let (mut all, mut learn) = (Vec::new(), false);
    for (at, part) in parts.iter().enumerate() {
        learn |= part.told > Told::Nothing;
        for wish in part.heard.iter().flat_map(|heard| meant(heard, &parts, at)) {
            let names: usize = all.iter().map(|wish: &Wish| wish.named().len().max(1)).sum();
            if names + wish.named().len().max(1) <= MOST_WISHES && !all.contains(&wish) {
                learn &= leaves(&wish, &parts[..at]);
                all.push(wish);
            }
        }
    }
    let learn = all.is_empty() || learn && !all.contains(&Wish::NotThis);
    Wishes { all, learn }
}

/// What is to be done where it is said in this place of a message.
fn meant(heard: &Heard, parts: &[Part<'_>], at: usize) -> Vec<Wish> {
    let before = &parts[..at];
    match heard {
        Heard::Sure(wish) => vec![wish.clone()],
        Heard::This => pointed_at(parts),
        Heard::Ahead if parts[at + 1..].iter().any(|part| part.told > Told::Nothing) => vec![Wish::NotThis],
        Heard::Ahead => vec![Wish::NotNext],
        Heard::That => {
            // "I like jazz. Forget that.": it may be known already.
            let known = before.iter().flat_map(|part| &part.stated).take(MOST_STATED);
            pointed_at(before)
                .into_iter()
                .chain(known.cloned().map(|stated| Wish::Forget(vec![stated])))
                .collect()
        }
    }
}

/// What "that" is meant of: these parts of the message where they tell something, else the message before; where that is not sure, both.
fn pointed_at(parts: &[Part<'_>]) -> Vec<Wish> {
    match parts.iter().map(|part| part.told).max().unwrap_or_default() {
        Told::Nothing => vec![Wish::ForgetBefore],
        Told::Perhaps => vec![Wish::NotThis, Wish::ForgetBefore],
        Told::Something => vec![Wish::NotThis],
    }
}

/// Whether what was said before a wish is learned from all the same: "I live in Lisbon now. Forget that I live in Porto."
fn leaves(wish: &Wish, before: &[Part<'_>]) -> bool {
    match wish {
        Wish::Forget(names) => {
            let is_in = |part: &Part<'_>| names.iter().any(|name| is_meant(name, part.text));
            before.len() <= MOST_BEFORE && !before.iter().any(is_in)
        }
        Wish::NotNext => true,
        Wish::NotThis | Wish::ForgetBefore | Wish::Everything => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forget(name: &str) -> Wish {
        Wish::Forget(vec![name.to_owned()])
    }

    #[test]
    fn a_wish_to_forget_is_heard() {
        for (said, wanted) in [
            ("Forget that.", Some(Wish::ForgetBefore)),
            ("please forget what I just said", Some(Wish::ForgetBefore)),
            ("Don't remember this", Some(Wish::ForgetBefore)),
            ("Don't remember this. My sister is ill.", Some(Wish::NotThis)),
            ("Off the record, my sister is ill", Some(Wish::NotThis)),
            ("Forget that I live in Porto", Some(forget("i live in porto"))),
            ("Please forget that, thank you", Some(Wish::ForgetBefore)),
            ("Would you please forget about that?", Some(Wish::ForgetBefore)),
            ("forget that I said that", Some(Wish::ForgetBefore)),
            ("Forget I said anything", Some(Wish::ForgetBefore)),
            ("Forget what I told you before.", Some(Wish::ForgetBefore)),
            ("Forget what I told you about my sister, please", Some(forget("my sister"))),
            ("Forget that I said I live in Porto", Some(forget("i live in porto"))),
            ("Forget that we live in Porto now, thanks", Some(forget("we live in porto"))),
            ("Forget my name", Some(forget("my name"))),
            ("Do not remember this", Some(Wish::ForgetBefore)),
            ("Please do not keep that.", Some(Wish::ForgetBefore)),
            ("Don't remember that I live in Porto", Some(forget("i live in porto"))),
            ("Don't remember this, but my sister is ill", Some(Wish::NotThis)),
            ("My boss is called Tom, please don't remember that", Some(Wish::NotThis)),
            ("My boss is called Tom. Do not store this!", Some(Wish::NotThis)),
            ("I want you not to remember this: my sister is ill", Some(Wish::NotThis)),
            ("dont remember this", Some(Wish::ForgetBefore)),
            ("Do you not remember that?", None),
            ("Don't you remember this?", None),
            ("I do not remember that I said so", None),
            ("They don't keep that promise", None),
            ("Forget it, you don't understand", None),
            ("I forget my keys", None),
            ("Don't forget that I live in Porto", None),
            ("I always forget that", None),
            ("I cannot forget what she said", None),
            ("Do you remember that?", None),
            ("I don't remember this place", None),
            ("Don't remember my name", Some(forget("my name"))),
            ("Please don't store my address.", Some(forget("my address"))),
            ("I don't want you to remember this", Some(Wish::ForgetBefore)),
            ("I would not like you to remember what I just said", Some(Wish::ForgetBefore)),
            ("I don't need you to remember that I live in Porto", Some(forget("i live in porto"))),
            ("I don't want you to remember this. My sister is ill.", Some(Wish::NotThis)),
            ("My sister is ill and I don't want you to remember this", Some(Wish::NotThis)),
            ("I like tea and please don't remember that I live in Porto", Some(forget("i live in porto"))),
            ("I don't want to remember my name", None),
            ("I would not remember my name", None),
            ("My parents don't remember my birthday", None),
            ("Tom doesn't remember my birthday", None),
            ("We don't keep our promises", None),
            ("Can you not remember my name?", None),
        ] {
            let learn = wanted.is_none();
            assert_eq!(wishes(said), Wishes { all: wanted.into_iter().collect(), learn }, "{said}");
        }
    }

    #[test]
    fn a_wish_is_heard_in_ordinary_words() {
        for (said, wanted) in [
            ("I want you to forget that", Wish::ForgetBefore),
            ("Please, I need you to forget this.", Wish::ForgetBefore),
            ("You must forget that", Wish::ForgetBefore),
            ("You have to forget that, please", Wish::ForgetBefore),
            ("I'd like you to forget that", Wish::ForgetBefore),
            ("I would like you to not remember that", Wish::ForgetBefore),
            ("I'd like you to forget that I live in Porto.", forget("i live in porto")),
            ("You must forget that I live in Porto", forget("i live in porto")),
            ("Please delete that", Wish::ForgetBefore),
            ("Could you erase what I just said?", Wish::ForgetBefore),
            ("Don't remember what I just said", Wish::ForgetBefore),
            ("Please don't remember what I said about my sister", forget("my sister")),
            ("Never remember that", Wish::ForgetBefore),
            ("Please stop remembering that", Wish::ForgetBefore),
            ("Stop remembering that I live in Porto", forget("i live in porto")),
            ("Forget everything", Wish::Everything),
            ("Please forget everything I told you.", Wish::Everything),
            ("Forget everything you know about me", Wish::Everything),
            ("I want you to forget all of that", Wish::Everything),
            ("Can you delete everything you remember?", Wish::Everything),
            ("Forget everything about my sister", forget("my sister")),
            ("Forget all I told you about my sister", forget("my sister")),
        ] {
            assert_eq!(wishes(said), Wishes { all: vec![wanted], learn: false }, "{said}");
        }
    }

    #[test]
    fn what_is_not_to_be_noted_is_heard_in_ordinary_words() {
        for said in [
            "Don't save what I'm about to say. My sister is ill.",
            "Don't remember anything I say now. My sister is ill.",
            "Don't remember what I'm going to tell you: my sister is ill",
            "My sister is ill. No need to remember that.",
            "My sister is ill, no need to remember it.",
            "My sister is ill and I don't want that remembered",
            "Don't remember this my sister is ill",
            "I love my sister don't remember this",
            "My sister is ill, don't remember this at all.",
            "I'm pregnant, don't save that anywhere",
            "My boss is called Tom, but don't keep this on record",
            "My boss is called Tom but don't keep this on record",
            "My sister is ill, so don't store that information",
            "My sister is ill, don't remember this okay?",
            "My sister is ill and I'd like the app not to save this",
        ] {
            assert_eq!(wishes(said), Wishes { all: vec![Wish::NotThis], learn: false }, "{said}");
        }
        assert_eq!(wishes("Don't save what I'm about to say").all, [Wish::NotNext]);
        assert_eq!(wishes("I had a long day. Don't save what I'm about to say.").all, [Wish::NotNext]);
        assert_eq!(wishes("My sister is ill and please don't remember any of that").all, [Wish::NotThis]);
    }

    #[test]
    fn a_wish_is_heard_in_other_ordinary_words() {
        for said in [
            "Forget the last thing I said",
            "Remove that from your memory",
            "Please erase that from your notes.",
            "Please forget that for me",
            "Don't remember any of that",
            "I'd rather you forgot that",
            "I would prefer it if you forgot this, please",
            "I don't want that remembered",
            "I don't want it to be saved.",
            "No need to remember that",
            "You don't have to remember this, thanks",
            "Don't save this to your memory",
            "Please don't save that to memory.",
            "No need to keep it in your notes",
        ] {
            assert_eq!(wishes(said), Wishes { all: vec![Wish::ForgetBefore], learn: false }, "{said}");
        }
        let wanted = forget("my brother works for me");
        assert_eq!(wishes("Forget that my brother works for me").all, [wanted]);
        for said in [
            "Forget what you know about me",
            "Delete my memories",
            "Delete your notes about me",
            "Forget what you know",
        ] {
            assert_eq!(wishes(said).all, [Wish::Everything], "{said}");
        }
        for (said, wanted) in [
            ("Remove my address from your memory", &["my address"][..]),
            ("I don't want my address saved", &["my address"]),
            ("Please don't save my address in your notes", &["my address"]),
            ("Please don't save my address.", &["my address"]),
            ("Don't keep my phone number", &["my phone number"]),
            ("I don't want you to record my birthday", &["my birthday"]),
            ("Forget my name ok?", &["my name"]),
            (
                "Forget that my sister lives in Porto, where I live.",
                &["my sister lives in porto where i live"],
            ),
            ("There's no need to remember that I live in Porto", &["i live in porto"]),
            ("Forget what you know about my sister", &["my sister"]),
            ("Forget where my sister lives", &["my sister's home", "my sister lives"]),
            ("Forget what my dog is called", &["my dog's name", "my dog is called"]),
        ] {
            let wanted = Wish::Forget(wanted.iter().map(|name| (*name).to_owned()).collect());
            assert_eq!(wishes(said), Wishes { all: vec![wanted], learn: false }, "{said}");
        }
    }

    #[test]
    fn a_wish_is_heard_in_the_midst_of_a_sentence() {
        let porto = || forget("i live in porto");
        for (said, wanted, learn) in [
            ("Forget that, I was joking.", Wish::ForgetBefore, false),
            ("Don't remember that, I was joking.", Wish::ForgetBefore, false),
            ("Forget that, it's private.", Wish::ForgetBefore, false),
            ("Forget that, sorry.", Wish::ForgetBefore, false),
            ("Forget that: thank you very much.", Wish::ForgetBefore, false),
            ("Forget this, I shouldn't have said it.", Wish::ForgetBefore, false),
            ("Never mind, forget that.", Wish::ForgetBefore, false),
            ("I'm sorry, forget that.", Wish::ForgetBefore, false),
            ("I was joking \u{2013} please forget what I just said", Wish::ForgetBefore, false),
            ("I was joking - delete that", Wish::ForgetBefore, false),
            ("I was joking (forget that)", Wish::ForgetBefore, false),
            ("She told me a secret, forget that.", Wish::ForgetBefore, false),
            ("Forget that, I live in Lisbon now.", Wish::ForgetBefore, true),
            ("Forget that I live in Porto, it's private.", porto(), false),
            ("I was joking, forget that I live in Porto.", porto(), false),
            ("Anna, don't remember that I live in Porto", porto(), false),
            ("Forget that I live in Porto, I live in Lisbon now.", porto(), true),
        ] {
            assert_eq!(wishes(said), Wishes { all: vec![wanted], learn }, "{said}");
        }
        let told = wishes("My boss is called Tom, please forget that");
        assert_eq!(told.all, [Wish::NotThis, forget("my boss is called tom")]);
        for none in [
            "She told me, forget that.",
            "The letter says: forget my name",
            "I will never forget that, believe me",
            "If you were to forget that, I would cry",
            "Forget it, I was joking",
        ] {
            assert_eq!(wishes(none), Wishes::default(), "{none}");
        }
    }

    #[test]
    fn what_is_named_in_ordinary_words_is_one_thing_or_several() {
        let porto = ["i live in porto"];
        let home = ["my home", "my address", "i live"];
        for (said, wanted) in [
            ("Delete everything you know about my sister", &[&["my sister"][..]][..]),
            ("Delete what you know about my sister", &[&["my sister"]]),
            ("Can you delete what I told you about my sister?", &[&["my sister"]]),
            ("Please erase what I said about my sister", &[&["my sister"]]),
            ("Please delete your notes about my sister", &[&["my sister"]]),
            ("Delete all your notes about my sister", &[&["my sister"]]),
            ("Forget anything I told you about my sister", &[&["my sister"]]),
            ("Also forget that I live in Porto", &[&porto]),
            ("Yes please forget that I live in Porto", &[&porto]),
            ("Forget the fact that I live in Porto", &[&porto]),
            ("I want my name forgotten", &[&["my name"]]),
            ("I'd like my name to be forgotten, please", &[&["my name"]]),
            ("Would you mind forgetting my name?", &[&["my name"]]),
            ("Forget my name, my sister and my dog", &[&["my name"], &["my sister"], &["my dog"]]),
            ("Forget my name, please, and my sister", &[&["my name"], &["my sister"]]),
            ("Forget my name, where I live, and my dog", &[&["my name"], &home, &["my dog"]]),
            ("Forget that I live in Porto, that I like tea", &[&porto, &["i like tea"]]),
            ("Forget my name and where I live", &[&["my name"], &home]),
            ("Forget where I live and my name", &[&home, &["my name"]]),
            ("Forget that my dog's ill", &[&["my dog's ill", "my dog is ill"]]),
            ("Forget that we\u{2019}re vegetarians", &[&["we're vegetarians", "we are vegetarians"]]),
            ("Forget that my sister's home is Braga", &[&["my sister's home is braga"]]),
            ("Forget my name right now", &[&["my name"]]),
            ("Forget my name completely, from now on", &[&["my name"]]),
            ("Forget that I trust you completely", &[&["i trust you completely"]]),
        ] {
            let wanted: Vec<_> = wanted
                .iter()
                .map(|names| Wish::Forget(names.iter().map(|name| (*name).to_owned()).collect()))
                .collect();
            assert_eq!(wishes(said), Wishes { all: wanted, learn: false }, "{said}");
        }
        for said in [
            "I want that forgotten",
            "Would you mind forgetting that?",
            "Forget I ever said that",
            "Forget that, then",
            "Forget this forever, please",
        ] {
            assert_eq!(wishes(said).all, [Wish::ForgetBefore], "{said}");
        }
        for said in [
            "I want to be forgotten",
            "Forget anything else",
            "Delete my sister",
            "Delete my photo and what it says",
        ] {
            assert_eq!(wishes(said).all, [], "{said}");
        }
    }

    #[test]
    fn only_what_was_just_said_is_meant_by_what_i_said() {
        for (said, wanted) in [
            ("Forget what I do for a living", &["my work", "my job", "i work"][..]),
            ("Don't remember what I do", &["my work", "my job", "i work"]),
            ("Forget where I live", &["my home", "my address", "i live"]),
            ("Please forget how old I am.", &["my age"]),
            ("Forget what my name is", &["my name"]),
            ("Forget what I think of my boss", &["my opinion of my boss"]),
            ("Forget what I think about the sea", &["my opinion of sea"]),
            ("Forget that I mentioned Anna", &["anna"]),
            ("Forget that I told my sister a lie", &["i told my sister a lie"]),
            ("Forget what I like", &[]),
            ("Forget what I do at night", &[]),
            ("Forget what I think of him", &[]),
            ("Forget what I told you yesterday", &[]),
            ("Forget what I told my sister", &[]),
        ] {
            let names: Vec<_> = wanted.iter().map(|name| (*name).to_owned()).collect();
            let wanted: &[_] = if names.is_empty() { &[] } else { &[Wish::Forget(names)] };
            assert_eq!(wishes(said).all, wanted, "{said}");
        }
        for said in [
            "Forget what I have just told you",
            "Forget what I wrote in my last message",
            "Forget what I said about him",
            "Forget that I told you so",
            "Forget what I was saying a moment ago",
            "Please forget my last sentence",
            "Forget my last message",
            "Forget about the last thing I said, please",
            "Delete the last message",
            "Forget that I just said that",
            "Forget that I have just told you this",
            "Forget that I wrote that",
        ] {
            assert_eq!(wishes(said).all, [Wish::ForgetBefore], "{said}");
        }
        for (said, wanted) in [
            ("Forget that I just said I live in Porto", "i live in porto"),
            ("Forget the part about my sister", "my sister"),
            ("Forget that thing I told you about my sister", "my sister"),
            ("Forget that I wrote my thesis", "i wrote my thesis"),
            ("Forget that I shared my flat", "i shared my flat"),
            ("Forget my last name", "my last name"),
        ] {
            assert_eq!(wishes(said).all, [forget(wanted)], "{said}");
        }
        for said in [
            "Forget the last thing",
            "Forget the last train",
            "Forget the part about the sea",
            "Delete that message",
        ] {
            assert_eq!(wishes(said).all, [], "{said}");
        }
    }

    #[test]
    fn what_only_sounds_like_a_wish_forgets_nothing() {
        for said in [
            "I will never forget that day",
            "I will never forget that",
            "You must not forget that",
            "You should never forget that I like tea",
            "You forget that I like tea",
            "You don't remember that",
            "You must forget that you ever loved him",
            "I want you to remember that",
            "I want to forget that",
            "I want to forget everything",
            "I never remember that",
            "My parents never remember that",
            "I don't remember what I said",
            "I cannot stop remembering that day",
            "Forget it",
            "Forget it, let's talk of the sea",
            "Forget all my worries",
            "Forget everything else",
            "Forget everything that happened today",
            "Forget everything you heard about jazz",
            "Forget everything I hate",
            "Delete my account",
            "Remove my account",
            "Delete the notes",
            "Delete my memories of that day",
            "I forgot that",
            "Forgot that",
            "I'd rather you remembered that",
            "I want that remembered",
            "They don't want that remembered",
            "I don't want that file saved",
            "There was no need to remember that",
            "You need to remember that",
            "No need to keep that promise",
            "I don't remember any of that",
            "I don't remember what I'm about to say",
            "Don't say what I'm about to say",
            "Forget what you said about me",
            "Forget what you know about jazz",
            "Forget where my keys are",
            "Forget what my sister does",
            "Forget about it",
            "Forget about him",
            "Forget about the exam",
            "Forget about work for now",
            "Forget about tomorrow",
            "Forget about tea",
            "Just forget about dinner",
            "You don't have to save my marriage",
            "No need to keep my dog",
            "You forget about tea",
            "Delete that photo",
            "Never forget that",
        ] {
            assert_eq!(wishes(said), Wishes::default(), "{said}");
        }
    }

    #[test]
    fn what_is_only_asked_or_said_of_others_forgets_nothing() {
        for said in [
            "I like tea but my husband does not remember that day.",
            "I live in Porto and my parents do not keep that promise.",
            "I live in Porto. My grandmother doesn\u{2019}t remember that.",
            "My name is Anna, and it hurts my mother not to remember this.",
            "I like tea. The shops do not keep this brand.",
            "You will forget my birthday again.",
            "You would forget my name",
            "And then you will forget that I live in Porto.",
            "You will forget that",
            "Will you forget my birthday?",
            "Well, would you forget my name?",
            "Okay, so now you just forget my name?",
            "Forget my name!? Never.",
            "Forget that? Never!",
            "Forget that I live in Porto? I would never.",
            "I told my sister, please forget that I love tea",
            "I said to him, forget my name",
            "I told Anna, forget my name",
            "They want me to say: please forget that I live in Porto",
            "You should forget my name, he said to her.",
            "Please forget that, my sister said.",
            "Never keep my dog",
            "Please don't keep my dog",
            "Please don't record my voice",
        ] {
            assert_eq!(wishes(said), Wishes::default(), "{said}");
        }
        for (said, wanted) in [
            ("You can forget that", Wish::ForgetBefore),
            ("Will you forget that?", Wish::ForgetBefore),
            ("I told you, forget that", Wish::ForgetBefore),
            ("I said Porto, forget that.", Wish::ForgetBefore),
            ("Forget my name, they said to keep it private", forget("my name")),
            ("I said something silly, forget that", Wish::ForgetBefore),
            ("Can you forget my name?", forget("my name")),
            ("Would you please forget my name?", forget("my name")),
            ("Would you forget my name, please?", forget("my name")),
        ] {
            assert_eq!(wishes(said).all, [wanted], "{said}");
        }
    }

    #[test]
    fn forget_that_is_meant_of_what_was_said_before_it() {
        let jazz = || forget("i like jazz");
        for (said, wanted, learn) in [
            ("I like jazz. Forget that.", vec![Wish::NotThis, jazz()], false),
            ("Jazz is what I like! Please forget that, thanks.", vec![Wish::NotThis], false),
            ("Oh no. Forget that.", vec![Wish::ForgetBefore], false),
            ("Hello my friend. Forget that.", vec![Wish::ForgetBefore], false),
            ("That was stupid of me. Forget that.", vec![Wish::ForgetBefore], false),
            ("I am sorry I said it. Forget that.", vec![Wish::ForgetBefore], false),
            ("Are you there now? Forget that.", vec![Wish::ForgetBefore], false),
            ("That's too private. Please forget that.", vec![Wish::ForgetBefore], false),
            ("It\u{2019}s a secret. Forget that.", vec![Wish::ForgetBefore], false),
            ("I should not have shared this. Forget that.", vec![Wish::ForgetBefore], false),
            ("I don't want to talk about that. Forget that.", vec![Wish::ForgetBefore], false),
            ("I regret it. Forget that.", vec![Wish::ForgetBefore], false),
            ("Nobody may know of it. Forget that.", vec![Wish::NotThis, Wish::ForgetBefore], false),
            ("I lied, I like jazz. Forget that.", vec![Wish::NotThis, Wish::ForgetBefore, jazz()], false),
            ("Forget that. I live in Lisbon now.", vec![Wish::ForgetBefore], true),
            ("Forget that. Thank you so much.", vec![Wish::ForgetBefore], false),
            ("I like jazz. Forget that. I live in Lisbon now.", vec![Wish::NotThis, jazz()], false),
            ("I like jazz. I want you to forget that.", vec![Wish::NotThis, jazz()], false),
            ("I like jazz. Don't remember what I just said.", vec![Wish::NotThis, jazz()], false),
            (
                "My PIN is 1234 and I live in Porto. Forget everything I told you.",
                vec![Wish::Everything],
                false,
            ),
        ] {
            assert_eq!(wishes(said), Wishes { all: wanted, learn }, "{said}");
        }
    }

    #[test]
    fn what_is_said_beside_a_wish_is_learned_from() {
        assert!(wishes("Forget that I live in Porto. I live in Lisbon now.").learn);
        assert!(wishes("I live in Lisbon now. Forget that I live in Porto.").learn);
        assert!(!wishes("My sister is ill. Forget what I told you about my sister.").learn);
        let much = "I like tea. ".repeat(MOST_BEFORE + 1);
        assert!(!wishes(&format!("{much}Forget that I live in Porto.")).learn);
        assert!(!wishes("Off the record. My sister is ill now.").learn);
    }

    #[test]
    fn every_wish_of_a_message_is_heard() {
        for (said, wanted) in [
            ("Forget that I live in Porto. Forget that I like tea.", ["i live in porto", "i like tea"]),
            ("Forget that I live in Porto and that I like tea.", ["i live in porto", "i like tea"]),
            (
                "Don't remember that I live in Porto, and my name is Anna",
                ["i live in porto", "my name is anna"],
            ),
            ("Forget my mother and my father", ["my mother", "my father"]),
            ("Forget what I told you about my mother or my father", ["my mother", "my father"]),
            ("Forget my cat and dog. Forget my cat and dog! Forget my name.", ["my cat and dog", "my name"]),
        ] {
            let wanted = wanted.map(forget);
            assert_eq!(wishes(said).all, wanted, "{said}");
        }
        let both = [Wish::ForgetBefore, forget("i like tea")];
        assert_eq!(wishes("Forget that. And forget that I like tea.").all, both);
        let many: String = (0..100).map(|number| format!("Forget that I like tea {number}. ")).collect();
        assert_eq!(wishes(&many).all.len(), MOST_WISHES);
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
            "you",
            "you must",
            "i want you to",
            "stop",
            "never",
            "forget all about",
            "not remember what",
            "please",
            "do",
            "not to",
            "forget what i about",
            "forget that i and",
            "forget my and my and that my",
            ",,",
            ", forget that,",
            "forget that i told",
            "forget what i just",
            "not want you to",
            "i not want you to remember",
            "forget what i think of the",
        ] {
            drop(wishes(strange));
        }
        for long in [
            "a,",
            "forget that, I like tea, ",
            "I like tea. Forget that. ",
            "not remember my ",
            "forget where I live and ",
            "forget the fact ",
            "the fact ",
            "and what I said about my sister ",
            "and where I live ",
        ] {
            drop(wishes(&format!("forget {}", long.repeat(7900 / long.len()))));
            drop(wishes(&long.repeat(8000 / long.len())));
        }
    }

    #[test]
    fn so_many_signs_of_a_sentence_are_looked_at() {
        for (signs, heard) in [(100, true), (101, false)] {
            let said = format!("I like tea{} forget that", ", tea".repeat(signs - 1) + ",");
            assert_eq!(wishes(&said).all.first() == Some(&Wish::NotThis), heard, "{signs}");
        }
    }
}
