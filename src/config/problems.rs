//! What is wrong with the settings: everything at once, each with its name, its value and what would be right.

use std::fmt;

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    File(String),
    Environment,
    Flag,
}

impl fmt::Display for Origin {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(name) => write!(out, "in {name}"),
            Self::Environment => out.write_str("in the environment"),
            Self::Flag => out.write_str("given as a flag"),
        }
    }
}

/// Everything that is wrong with the settings; one line each. Never empty.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Problems(Vec<String>);

impl Problems {
    /// Each of them.
    #[must_use]
    pub fn list(&self) -> &[String] {
        &self.0
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Something that is not about one value.
    pub(crate) fn add(&mut self, problem: String) {
        self.0.push(problem);
    }

    /// A value that is not what it must be.
    pub(crate) fn add_value(&mut self, name: &str, value: &str, origin: &Origin, must: &str) {
        let shown: String = value.chars().take(60).collect();
        self.0.push(format!("{name}={shown:?} ({origin}): {must}"));
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "the settings are wrong; nothing was touched")?;
        self.0.iter().try_for_each(|problem| write!(out, "\n  {problem}"))
    }
}

impl std::error::Error for Problems {}
