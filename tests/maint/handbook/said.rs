//! Commands that stand within the handbook's sentences.

use super::story::{Command, Section, Step};

const PROGRAMS: [&str; 4] = ["systemctl ", "journalctl ", "docker ", "kubectl "];

/// Those of `program`, each once, in the order in which the handbook names them.
pub fn commands(handbook: &str, program: &str) -> Vec<String> {
    let mut fenced = false;
    let mut found = Vec::new();
    let sentences = handbook.lines().filter(|line| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        !fenced && !fence
    });
    for span in sentences.flat_map(|line| line.split('`').skip(1).step_by(2)) {
        let command = whole(span);
        if span.starts_with(program) && !found.contains(&command) {
            found.push(command);
        }
    }
    found
}

/// What only leads into the container gets something to do there.
fn whole(span: &str) -> String {
    if span.ends_with(" server") || span.ends_with(" --") {
        format!("{span} companion-maint status")
    } else {
        span.to_owned()
    }
}

/// A section that does these, `first` before them.
pub fn section(title: &str, first: &str, commands: Vec<String>) -> Section {
    let commands = std::iter::once(first.to_owned()).chain(commands);
    let commands = commands.map(|text| Command { text, exit: 0 }).collect();
    Section { title: title.to_owned(), steps: vec![Step { commands, shown: Vec::new() }] }
}

#[test]
fn what_is_fenced_is_not_said() {
    let text = "Do `docker a` and `kubectl b`,\n```sh\ndocker c `docker d`\n```\nnot `mydocker e`. `docker exec server`";
    assert_eq!(commands(text, "docker "), ["docker a", "docker exec server companion-maint status"]);
    assert_eq!(commands(text, "kubectl "), ["kubectl b"]);
}

#[test]
fn no_command_is_broken_off_at_the_end_of_a_line() {
    let broken: Vec<_> = super::HANDBOOK
        .lines()
        .filter(|line| !line.trim_start().starts_with("```") && line.matches('`').count() % 2 == 1)
        .filter(|line| {
            line.rsplit('`').next().is_some_and(|rest| PROGRAMS.iter().any(|name| rest.starts_with(name)))
        })
        .collect();
    assert!(broken.is_empty(), "{broken:?}");
}
