//! Dollar signs in a `.env` file. What reads the file puts a variable's value in the place of `$NAME`, and nothing where
//! there is no such variable: of a password `a$bcd` that would leave `a`, without a word.

use std::collections::HashSet;

use crate::config::raw;

/// Stands for a dollar sign in a text that is read a second time, as it is written. Of Unicode's private use, which no
/// settings have.
const MARK: char = '\u{f8ff}';

/// The entries of a file as they are written, beside which the same entries are read.
pub(super) struct Dollars {
    written: Vec<Option<String>>,
    place: usize,
    names: HashSet<String>,
}

impl Dollars {
    /// Of this file.
    pub fn of(text: &str) -> Self {
        // A backslash before a dollar sign belongs to it.
        let marked = text.replace("\\$", "\\\\").replace('$', &MARK.to_string());
        let entries = dotenvy::from_read_iter(marked.as_bytes());
        let written = entries.map(|entry| entry.ok().map(|(_, value)| value)).collect();
        Self { written, place: 0, names: HashSet::new() }
    }

    /// Whether the next entry, which was read as `name` and `value`, has lost something because of a dollar sign.
    pub fn next_loses(&mut self, name: &str, value: &str) -> bool {
        let written = self.written.get(self.place).cloned().flatten().unwrap_or_default();
        self.place += 1;
        let is_as_written = written.replace(MARK, "$") == value;
        let loses =
            !is_as_written && written.split(MARK).skip(1).any(|after| !self.is_known(variable(after)));
        self.names.insert(name.to_owned());
        loses
    }

    fn is_known(&self, variable: &str) -> bool {
        !variable.is_empty() && (self.names.contains(variable) || raw::variable(variable).is_some())
    }
}

/// The name that is taken for a variable's after a dollar sign.
fn variable(after: &str) -> &str {
    if let Some((name, _)) = after.strip_prefix('{').and_then(|inner| inner.split_once('}')) {
        return name;
    }
    let end = after.find(|c: char| !c.is_alphanumeric()).unwrap_or(after.len());
    after.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lost(text: &str) -> Vec<String> {
        let mut dollars = Dollars::of(text);
        let entries = dotenvy::from_read_iter(text.as_bytes()).map(Result::unwrap);
        let losing = |(name, value): (String, String)| dollars.next_loses(&name, &value).then_some(name);
        entries.filter_map(losing).collect()
    }

    #[test]
    fn what_would_be_lost_is_noticed() {
        let text = "A=a$bcd\nB=\"a${nothing}b\"\nC=pa$$word\nD=5$\n# a $comment\nE=$Anew\nF=a$b_c\n";
        assert_eq!(lost(text), ["A", "B", "C", "D", "E", "F"]);
    }

    #[test]
    fn what_is_meant_stays() {
        let text =
            "A=here\nB='a$bcd'\nC=a\\$bcd\nD=\"\\$\"\nE=$A/x\nF=${A}x\nG=\"$PATH:/x\"\nH='$'\nI=plain\n";
        assert_eq!(lost(text), Vec::<String>::new());
    }
}
