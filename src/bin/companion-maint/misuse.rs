//! A command line that cannot be understood: what is said of it, and who hears of it nevertheless.
//!
//! A schedule with a typo fails every night before anything begins; whoever watches it has to hear that as of any other
//! failure. So where to tell it is looked for among the words themselves.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::CommandFactory;
use companion::maint::ItemError;
use companion::telemetry::logs;
use tracing::level_filters::LevelFilter;

use super::args::Arguments;
use super::deliver;
use super::telling::{Telling, not_begun};

/// Shows the help that was asked for, or what is wrong with the command line: with `--json` as a document, too, and to
/// whom `--ping-url` and `--metrics-file` name as far as they can be read.
pub fn told(error: &clap::Error) -> ExitCode {
    let words: Vec<OsString> = std::env::args_os().skip(1).collect();
    let code = u8::try_from(error.exit_code()).unwrap_or(2);
    // Where it cannot be written, the exit code has to do.
    if !error.use_stderr() {
        drop(error.print());
        return ExitCode::from(code);
    }
    let said = error.to_string();
    let said = said.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned();
    let has = |flag: &str| words.iter().any(|word| word == flag);
    let errors = vec![ItemError { item: "command line".to_owned(), error: said }];
    let job = job_among(&words);
    let report = not_begun(job.unwrap_or_default(), has("--dry-run"), errors);
    if has("--json") {
        drop(deliver(&serde_json::to_string(&report).unwrap_or_default()));
    }
    drop(error.print());
    logs::init(LevelFilter::WARN, logs::Format::Console);
    let mut telling = Telling::default();
    if job.is_some() {
        telling.metrics =
            value_of("--metrics-file", &words).and_then(|path| PathBuf::from(path).try_into().ok());
    }
    telling.ping = value_of("--ping-url", &words).and_then(|url| url.to_str()?.parse().ok());
    telling.turned_away(&report);
    telling.ended(code);
    ExitCode::from(code)
}

/// The job that is named, if one is: metrics without a job's name would be nobody's.
fn job_among(words: &[OsString]) -> Option<&'static str> {
    let command = Arguments::command();
    let takes_a_value = |word: &OsString| {
        let flag = word.to_str().and_then(|word| word.strip_prefix("--"));
        command.get_arguments().any(|known| known.get_long() == flag && known.get_action().takes_values())
    };
    let name = words.iter().enumerate().find_map(|(at, word)| {
        let before = at.checked_sub(1).and_then(|at| words.get(at));
        let job = command.find_subcommand(word)?;
        (!before.is_some_and(takes_a_value)).then(|| job.get_name().to_owned())
    });
    // The process ends soon after; the name may as well stay.
    name.map(|name| &*name.leak())
}

/// What stands behind `flag`, as its next word or after an equals sign.
fn value_of(flag: &str, words: &[OsString]) -> Option<OsString> {
    words.iter().enumerate().find_map(|(at, word)| {
        if word == flag {
            return words.get(at + 1).filter(|next| !next.as_bytes().starts_with(b"-")).cloned();
        }
        let value = word.as_bytes().strip_prefix(flag.as_bytes())?.strip_prefix(b"=")?;
        Some(OsString::from_vec(value.to_vec())).filter(|value| !value.is_empty())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<OsString> {
        line.split(' ').map(OsString::from).collect()
    }

    #[test]
    fn a_job_is_the_word_that_is_no_flags_value() {
        assert_eq!(job_among(&words("backup-db --kep 3")), Some("backup-db"));
        assert_eq!(job_among(&words("--data-dir status --json backup-db -x")), Some("backup-db"));
        assert_eq!(job_among(&words("--data-dir status bakcup-db")), None);
    }

    #[test]
    fn a_flags_value_is_the_next_word_or_behind_the_equals_sign() {
        for (line, value) in [
            ("x --ping-url http://a/b --kep 3", Some("http://a/b")),
            ("x --kep --ping-url=http://a/b?c=d", Some("http://a/b?c=d")),
            ("x --ping-url --json", None),
            ("x --ping-url=", None),
            ("x --ping-url", None),
            ("x --ping-urls=http://a/b", None),
        ] {
            assert_eq!(value_of("--ping-url", &words(line)), value.map(OsString::from), "{line}");
        }
    }
}
