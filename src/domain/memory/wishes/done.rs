//! What is done about wishes, as it is told.

use super::Wish;

/// What is done about a wish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Done {
    /// No note is made of the message.
    NotNoted,
    /// What was noted of the message before is deleted.
    ForgottenBefore,
    /// Notes that say what was named are deleted.
    Forgotten,
    /// Of several things that were named some notes are deleted, and of others there are none.
    SomeForgotten,
    /// No note says what was named.
    NotFound,
    /// How it is done with messages that come.
    HowNext,
    /// Nothing is deleted: all of it only they delete themselves.
    LeftToThem,
}

/// What is told of wishes, each thing once. `found` is for each of them that names something whether any note says it.
#[must_use]
pub fn done(wishes: &[Wish], found: &[bool]) -> Vec<Done> {
    let (mut told, mut found) = (Vec::new(), found.iter());
    for wish in wishes {
        let done = match wish {
            Wish::NotThis => Done::NotNoted,
            Wish::NotNext => Done::HowNext,
            Wish::ForgetBefore => Done::ForgottenBefore,
            Wish::Forget(_) if found.next() == Some(&true) => Done::Forgotten,
            // "I like jazz. Forget that.": that nothing of it was known before goes without saying.
            Wish::Forget(_) if told.contains(&Done::NotNoted) => continue,
            Wish::Forget(_) => Done::NotFound,
            Wish::Everything => Done::LeftToThem,
        };
        if !told.contains(&done) {
            told.push(done);
        }
    }
    together(told)
}

/// That notes are deleted and that there are none would contradict each other, one after the other.
fn together(mut told: Vec<Done>) -> Vec<Done> {
    let named = |done: &Done| matches!(done, Done::Forgotten | Done::NotFound);
    if told.iter().filter(|done| named(done)).count() > 1 {
        let first = told.iter().position(named).unwrap_or_default();
        told[first] = Done::SomeForgotten;
        told.retain(|done| !named(done));
    }
    told
}
