//! What was given: defaults < `.env` file < environment < flags. The only reader of the environment.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::config::dollars::Dollars;
use crate::config::problems::{Origin, Problems};
use crate::config::settings;

/// Settings are a few pages; something larger is another file.
const MOST_BYTES: u64 = 1 << 20;

/// What the command line gives.
#[derive(Debug, Clone, Default)]
pub struct Flags {
    /// The `.env` file; `None`: `./.env`, if there is one.
    pub env_file: Option<PathBuf>,
    /// Settings given as flags: name and value.
    pub overrides: Vec<(&'static str, String)>,
}

/// The values that were given, by name, each from its strongest origin. An empty value counts as none: that is how
/// the predecessor's `.env` leaves things out.
#[derive(Debug, Default)]
pub(crate) struct Given {
    pub values: BTreeMap<String, (String, Origin)>,
    /// Names in the `.env` file that mean nothing here.
    pub ignored: Vec<String>,
}

impl Given {
    /// Collects what was given.
    pub fn collect(flags: Flags, problems: &mut Problems) -> Self {
        let environment = environment(problems);
        Self::collect_from(flags, environment, problems)
    }

    pub fn collect_from(
        flags: Flags,
        environment: BTreeMap<String, String>,
        problems: &mut Problems,
    ) -> Self {
        let mut given = Self::default();
        let default = Path::new(".env");
        match flags.env_file.as_deref() {
            Some(path) => given.read_file(path, problems),
            None if default.is_file() => given.read_file(default, problems),
            None => {}
        }
        for (name, value) in environment {
            given.take(&name, value, Origin::Environment);
        }
        for (name, value) in flags.overrides {
            if value.is_empty() {
                problems.add_value(name, "", &Origin::Flag, "must not be empty");
            }
            given.take(name, value, Origin::Flag);
        }
        given.ignored.sort();
        given.ignored.dedup();
        given
    }

    fn read_file(&mut self, path: &Path, problems: &mut Problems) {
        let shown = path.display().to_string();
        let mut text = String::new();
        // What a file says of its size is not believed: a device says 0 and goes on for ever.
        let read = File::open(path).and_then(|file| file.take(MOST_BYTES + 1).read_to_string(&mut text));
        match read {
            Err(error) => return problems.add(format!("the file {shown} cannot be read: {error}")),
            Ok(bytes) if bytes as u64 > MOST_BYTES => {
                return problems.add(format!("the file {shown} is larger than 1 MiB"));
            }
            Ok(_) => {}
        }
        // Some editors put a mark before the first byte.
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
        let mut dollars = Dollars::of(text);
        for (place, pair) in dotenvy::from_read_iter(text.as_bytes()).enumerate() {
            // The error would quote the line, which may hold a secret.
            let Ok((name, value)) = pair else {
                return problems.add(format!(
                    "the file {shown} is not NAME=value throughout; its entry {} is not",
                    place + 1
                ));
            };
            let loses = dollars.next_loses(&name, &value);
            if settings::find(&name).is_none() {
                match settings::meant(&name) {
                    Some(meant) => {
                        problems.add(format!("{name} (in {shown}) means nothing; was {meant} meant?"))
                    }
                    None => self.ignored.push(name),
                }
            } else if loses {
                problems.add(format!(
                    "{name} (in {shown}) has a $ before what is no variable, and would lose both: put the value in \
                     single quotes to have it as it stands"
                ));
            } else {
                self.take(&name, value, Origin::File(shown.clone()));
            }
        }
    }

    fn take(&mut self, name: &str, value: String, origin: Origin) {
        if value.is_empty() {
            return;
        }
        if settings::find(name).is_some() {
            self.values.insert(name.to_owned(), (value, origin));
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the only reader of the environment")]
fn environment(problems: &mut Problems) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for (name, value) in std::env::vars_os() {
        let Ok(name) = name.into_string() else { continue };
        if settings::find(&name).is_none() {
            continue;
        }
        match value.into_string() {
            Ok(value) => drop(found.insert(name, value)),
            Err(_) => problems.add(format!("{name} (in the environment) is not UTF-8")),
        }
    }
    found
}

/// What is no setting of ours: where programs lie, and what a `.env` file refers to.
#[expect(clippy::disallowed_methods, reason = "the only reader of the environment")]
pub(super) fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name)
}
