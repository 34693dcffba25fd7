//! What somebody wanted forgotten while turns still waited to be learned from: what these tell is held against it.

use crate::domain::memory::learning::{is_denial, sameness};
use crate::domain::memory::words::terms;

/// What is not to be learned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unwanted {
    /// What says the same as a memory that was forgotten or corrected by hand.
    SameAs(i64),
    /// What was named in the conversation.
    Named(String),
}

/// No wish begins so.
const SAME: char = '=';

impl Unwanted {
    /// What says the same as `text`, of which nothing is kept with it.
    #[must_use]
    pub fn same_as(text: &str) -> Self {
        Self::SameAs(sameness(text))
    }

    /// As it is written down, on one line.
    #[must_use]
    pub fn line(&self) -> String {
        match self {
            Self::SameAs(number) => format!("{SAME}{number}"),
            Self::Named(text) => text.replace('\n', " "),
        }
    }

    /// Reads what [`Self::line`] wrote.
    #[must_use]
    pub fn of_line(line: &str) -> Self {
        let number = line.strip_prefix(SAME).and_then(|number| number.parse().ok());
        number.map_or_else(|| Self::Named(line.to_owned()), Self::SameAs)
    }

    /// Whether this text tells it.
    #[must_use]
    pub fn is_told_by(&self, text: &str) -> bool {
        match self {
            Self::SameAs(number) => sameness(text) == *number,
            Self::Named(wanted) => is_meant(wanted, text),
        }
    }
}

/// Whether a memory is meant by what was named: it has all the words of that, and a "not" where that has one.
#[must_use]
pub fn is_meant(wanted: &str, text: &str) -> bool {
    let (wished, says) = (terms(wanted), terms(text));
    !wished.is_empty()
        && wished.iter().all(|word| says.contains(word))
        && is_denial(wanted) == is_denial(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_read_as_it_was_written() {
        for unwanted in [Unwanted::same_as("I live in Porto"), Unwanted::Named("i live in porto".to_owned())]
        {
            assert_eq!(Unwanted::of_line(&unwanted.line()), unwanted);
            assert!(unwanted.is_told_by("I live in PORTO!") && !unwanted.is_told_by("I live in Lisbon"));
        }
        for strange in ["", "=", "=x", "=-", "=99999999999999999999999"] {
            assert!(!Unwanted::of_line(strange).is_told_by("I live in Porto"), "{strange}");
        }
    }
}
