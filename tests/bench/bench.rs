//! The benchmark: the figures that were promised, measured in one run on one machine.
//!
//! - `cargo bench --locked` measures all of them (about ten minutes) and prints a table to paste into the README.
//! - `cargo bench --locked -- cleanup turns` measures the parts named: `start`, `turns`, `edge`, `model`, `speech`,
//!   `cleanup`, `few`, `snapshot`, `restore`, `memories`, `meanings` (which needs `MINILM_DIR`), `recall` (which needs
//!   `LOCOMO_JSON`, and finds by meaning, too, where there is `MINILM_DIR`; and in Qdrant: a server where `QDRANT_TEST_URL` names
//!   one, else Qdrant Edge, which `tests/run` installs).
//! - `-- --quick` runs at a small size: that shows that the benchmark works, its figures mean nothing.
//!
//! It fails when something cannot be run, never because of a figure: it measures, it does not judge a build.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use crate::table::Row;

mod cleanup;
mod edge;
mod few;
mod flushes;
mod house;
mod http;
mod load;
mod locomo;
mod machine;
mod meanings;
mod memories;
mod model;
mod qdrant;
mod recall;
mod restore;
mod seed;
mod shell;
mod snapshot;
mod speech;
mod start;
mod stub;
mod table;
mod turns;

type Measure = fn(&Bench) -> Result<Vec<Row>>;

const PARTS: [(&str, Measure); 12] = [
    ("start", start::measure),
    ("turns", turns::measure),
    ("edge", edge::measure),
    ("model", model::measure),
    ("speech", speech::measure),
    ("cleanup", cleanup::measure),
    ("few", few::measure),
    ("snapshot", snapshot::measure),
    ("restore", restore::measure),
    ("memories", memories::measure),
    ("meanings", meanings::measure),
    ("recall", recall::measure),
];

/// What every part is given: the size, and a place on a real disk that is gone afterwards.
pub struct Bench {
    quick: bool,
    place: TempDir,
}

impl Bench {
    /// The full size, or the quick one.
    pub fn size<T>(&self, full: T, quick: T) -> T {
        if self.quick { quick } else { full }
    }

    /// A path in the benchmark's place.
    pub fn path(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }
}

fn main() -> ExitCode {
    // As in the server's own main.
    if !companion::adapters::embedding::keep_to_one_thread() {
        say("a model in the server is measured with more than one thread");
    }
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("the benchmark could not be run: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let mut arguments = std::env::args().skip(1).peekable();
    if arguments.next_if(|first| first == "serve").is_some() {
        return edge::stand_in::run(arguments);
    }
    let (quick, parts) = read_arguments(arguments)?;
    let place = tempfile::Builder::new().prefix("bench-").tempdir_in(Path::new(env!("CARGO_TARGET_TMPDIR")));
    let bench = Bench { quick, place: place.context("no place to work in")? };
    let mut rows = Vec::new();
    let all = parts.into_iter().try_for_each(|(name, measure)| {
        say(&format!("measuring {name} ..."));
        rows.extend(measure(&bench).with_context(|| format!("{name} cannot be measured"))?);
        Ok(())
    });
    // What was measured is told also when a later part fails: it took minutes.
    show(&format!("{}\n\n{}", machine::describe(quick), table::render(&rows)));
    all
}

/// `--bench` is what cargo adds.
fn read_arguments(arguments: impl Iterator<Item = String>) -> Result<(bool, Vec<(&'static str, Measure)>)> {
    let mut quick = false;
    let mut named = Vec::new();
    for argument in arguments {
        match argument.as_str() {
            "--bench" => {}
            "--quick" => quick = true,
            name => match PARTS.iter().find(|(part, _)| *part == name) {
                Some(part) => named.push(*part),
                None => bail!("{name} is no part; there are {}", PARTS.map(|(part, _)| part).join(", ")),
            },
        }
    }
    Ok((quick, if named.is_empty() { PARTS.to_vec() } else { named }))
}

/// How far the work is, for whoever waits.
#[expect(clippy::print_stderr, reason = "stdout belongs to the table")]
pub fn say(line: &str) {
    eprintln!("{line}");
}

#[expect(clippy::print_stdout, reason = "the table is what this program is for")]
fn show(text: &str) {
    println!("{text}");
}
