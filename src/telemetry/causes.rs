//! An error with its causes in one line.

use std::error::Error;

/// The error's text, followed by the text of each cause that it does not tell already.
#[must_use]
pub fn told_once(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(deeper) = cause {
        let more = deeper.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = deeper.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    enum Failure {
        #[error("cannot open {0}: {1}")]
        Told(&'static str, #[source] std::io::Error),
        #[error("cannot open {0}")]
        Untold(&'static str, #[source] std::io::Error),
        #[error("no server")]
        Outer(#[source] Box<Failure>),
    }

    #[test]
    fn every_cause_is_told_and_none_twice() {
        let full = || std::io::Error::other("disk full");
        for failure in [Failure::Told("a", full()), Failure::Untold("a", full())] {
            assert_eq!(told_once(&failure), "cannot open a: disk full");
            let outer = Failure::Outer(Box::new(failure));
            assert_eq!(told_once(&outer), "no server: cannot open a: disk full");
        }
    }
}
