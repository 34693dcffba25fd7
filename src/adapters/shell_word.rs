//! Paths in commands that people are told to run.

use std::borrow::Cow;
use std::path::Path;

/// The path as one word of a shell command, whatever characters it has.
#[must_use]
pub fn shell_word(path: &Path) -> String {
    let text = path.to_string_lossy();
    // What no shell can be given, a NUL, is in no path.
    shlex::try_quote(&text).map_or_else(|_| text.to_string(), Cow::into_owned)
}
