//! The house rules that no compiler checks: who may import whom, what a file looks like.
#![expect(clippy::unwrap_used, reason = "a failed expectation fails the test, with its place")]

use std::fs;
use std::path::{Path, PathBuf};

/// Module, and what it may import of ours; a path narrows it to one part. Everything else is forbidden.
const MAY_IMPORT: [(&str, &[&str]); 10] = [
    ("bin/companion.rs", &["startup", "config", "telemetry"]),
    ("bin/companion-maint", &["maint", "config", "telemetry", "domain", "adapters"]),
    ("startup", &["startup", "web", "app", "adapters", "config", "telemetry", "domain"]),
    ("web", &["web", "app", "domain", "config", "telemetry"]),
    ("maint", &["maint", "adapters", "domain", "config", "app::outbox"]),
    (
        "app",
        &[
            "app",
            "domain",
            "config",
            "telemetry",
            // Local disk, concrete: the database and what lies beside it.
            "adapters::copy_store",
            "adapters::data_dir",
            "adapters::database",
            "adapters::sqlite",
            "adapters::disk",
            "adapters::session_deleting",
            "adapters::session_store",
            "adapters::outbox_store",
            "adapters::person_store",
            "adapters::audio_store",
            "adapters::backup_disk",
            "adapters::backup_record",
            "adapters::backup_store",
            "adapters::erasure_ledger",
            "adapters::installation",
            "adapters::inventory",
            "adapters::learning_store",
            "adapters::lesson_store",
            "adapters::memory_forgetting",
            "adapters::memory_index",
            "adapters::memory_room",
            "adapters::memory_store",
            "adapters::process",
            "adapters::reserve",
            "adapters::run_store",
            "adapters::sample_store",
            "adapters::set_aside",
            "adapters::sign_in_store",
            "adapters::summary_store",
            "adapters::vector_store",
            "adapters::ways_in_store",
            "adapters::write_ahead_log",
        ],
    ),
    ("adapters", &["adapters", "domain", "config", "telemetry"]),
    ("config", &["config", "domain"]),
    ("telemetry", &["telemetry"]),
    ("domain", &["domain"]),
];

const FORBIDDEN_NAMES: [&str; 5] = ["utils", "helpers", "common", "types", "manager"];
const MOST_LINES: usize = 350;

fn sources() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut places = vec![PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(place) = places.pop() {
        for entry in fs::read_dir(place).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                places.push(path);
            } else if path.extension().is_some_and(|end| end == "rs") {
                found.push(path);
            }
        }
    }
    assert!(found.len() > 30, "the sources were not found");
    found
}

fn name_of(path: &Path) -> String {
    path.strip_prefix(Path::new(env!("CARGO_MANIFEST_DIR")).join("src")).unwrap().display().to_string()
}

/// The file without its tests.
fn product(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    text.split("\n#[cfg(test)]\nmod tests").next().unwrap_or_default().to_owned()
}

/// The paths of ours that a module names, each with its line: `crate::app::turn::Timings` gives `app::turn::Timings`, and so does
/// `super::Timings` in a module of `app::turn`. A group is opened, however many lines it takes.
fn imports(module: &[&str], text: &str) -> Vec<(usize, String)> {
    let lines: Vec<_> = text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect();
    let code = lines.join("\n");
    let mut found = Vec::new();
    for root in ["crate::", "companion::", "super::"] {
        for (at, _) in code.match_indices(root) {
            let before = code[..at].chars().last();
            if before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':') {
                continue;
            }
            let line = code[..at].matches('\n').count() + 1;
            let path = if root == "super::" { &code[at..] } else { &code[at + root.len()..] };
            found.extend(opened(path).into_iter().map(|path| (line, climbed(module, &path))));
        }
    }
    found.sort();
    found
}

/// The path, and those of a group behind it.
fn opened(rest: &str) -> Vec<String> {
    let path: String = rest.chars().take_while(|c| c.is_alphanumeric() || matches!(c, '_' | ':')).collect();
    let Some(group) = rest[path.len()..].strip_prefix('{') else { return vec![path] };
    let parts = parts(group).into_iter().map(str::trim).filter(|part| !part.is_empty());
    parts.flat_map(opened).map(|part| format!("{path}{part}")).collect()
}

/// What stands between the commas of a group up to the brace that closes it.
fn parts(group: &str) -> Vec<&str> {
    let (mut parts, mut begin, mut depth) = (Vec::new(), 0, 0);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' | '}' if depth == 0 => {
                parts.push(&group[begin..at]);
                begin = at + 1;
                if c == '}' {
                    break;
                }
            }
            _ => {}
        }
    }
    parts
}

/// The path from the root on, where it climbs from this module.
fn climbed(module: &[&str], path: &str) -> String {
    let steps = path.split("::").take_while(|step| *step == "super").count();
    if steps == 0 {
        return path.to_owned();
    }
    let above = &module[..module.len().saturating_sub(steps)];
    let below = path.split("::").skip(steps);
    above.iter().copied().chain(below).collect::<Vec<_>>().join("::")
}

/// Where a file's module stands: `app/turn/work.rs` is `app::turn::work`. The programs begin anew.
fn module_of(name: &str) -> Vec<&str> {
    let name = name.trim_end_matches(".rs").trim_end_matches("/mod").trim_start_matches("bin/");
    name.split('/').collect()
}

fn allowed(path: &str, may: &[&str]) -> bool {
    may.iter().any(|allowed| path == *allowed || path.starts_with(&format!("{allowed}::")))
}

#[test]
fn nobody_imports_what_the_table_does_not_list() {
    let mut offences = Vec::new();
    for path in sources() {
        let name = name_of(&path);
        if name == "lib.rs" {
            continue;
        }
        let (_, may) = MAY_IMPORT
            .iter()
            .find(|(module, _)| {
                name.strip_prefix(module).is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '.']))
            })
            .unwrap_or_else(|| panic!("{name} belongs to no module of the table"));
        let module = module_of(&name);
        for (line, import) in imports(&module, &product(&path)) {
            // What a program has of its own it may use.
            let is_its_own = name.starts_with("bin/") && import.starts_with(&format!("{}::", module[0]));
            if !is_its_own && !allowed(&import, may) {
                offences.push(format!("src/{name}:{line} imports {import}"));
            }
        }
    }
    assert!(offences.is_empty(), "forbidden by the table in tests/architecture.rs:\n{}", offences.join("\n"));
}

#[test]
fn anyhow_stays_in_the_binaries() {
    for path in sources() {
        let name = name_of(&path);
        assert!(name.starts_with("bin/") || !product(&path).contains("anyhow"), "src/{name} uses anyhow");
    }
}

#[test]
fn every_file_tells_its_job_and_is_small() {
    for path in sources() {
        let (name, text) = (name_of(&path), product(&path));
        assert!(text.starts_with("//! "), "src/{name} does not open with its job");
        let lines = text.lines().count();
        assert!(
            lines <= MOST_LINES,
            "src/{name} has {lines} lines without its tests, more than {MOST_LINES}"
        );
        let stem = path.file_stem().unwrap().to_string_lossy().into_owned();
        assert!(!FORBIDDEN_NAMES.contains(&stem.as_str()), "src/{name}: a name that refuses nothing");
    }
}

#[test]
fn the_reader_of_imports_sees_them() {
    let text =
        "use crate::app::turn::Turns;\n// crate::web\nuse crate::{disk, web::x};\nlet y = crate::web::z();\n";
    assert_eq!(seen("app/mod.rs", text), ["1 app::turn::Turns", "3 disk", "3 web::x", "4 web::z"]);
    assert!(!allowed("adapters::offline", &["adapters::disk"]));
    assert!(allowed("adapters::disk::free_bytes", &["adapters::disk"]));
}

#[test]
fn the_reader_of_imports_sees_groups_of_many_lines() {
    let text = "use crate::adapters::offline::{\n    Companion, // crate::web\n    rules::{self, all},\n};\nuse crate::{\n    web,\n};\n";
    let groups = [
        "1 adapters::offline::Companion",
        "1 adapters::offline::rules::all",
        "1 adapters::offline::rules::self",
        "5 web",
    ];
    assert_eq!(seen("app/turn.rs", text), groups);
}

#[test]
fn the_reader_of_imports_sees_who_climbs_out_of_its_module() {
    let text = "use super::Work;\npub(super) fn x() {\n    super::super::super::web::z()\n}\nuse super::super::{\n    samples,\n};\n";
    let climbed = ["1 app::turn::Work", "3 web::z", "5 app::samples"];
    assert_eq!(seen("app/turn/work.rs", text), climbed);
    assert_eq!(seen("app/mod.rs", "use super::web;\n"), ["1 web"]);
}

fn seen(name: &str, text: &str) -> Vec<String> {
    imports(&module_of(name), text).into_iter().map(|(line, path)| format!("{line} {path}")).collect()
}
