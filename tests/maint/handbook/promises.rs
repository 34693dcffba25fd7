//! What the handbook says of reports, codes, flags, alerts and files: all there is, and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::HANDBOOK;
use crate::support::seed::{self, HOUR};
use crate::support::{House, Mounted, agent};

/// A command that other releases may not have.
pub const IMPORT: &str = "import-langgraph";
const EVERY: &str = "every report";
const MANIFEST: &str = "a manifest";

fn help(arguments: &[&str]) -> String {
    let output =
        Command::new(env!("CARGO_BIN_EXE_companion-maint")).args(arguments).arg("--help").output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

/// The commands of `companion-maint --help`.
pub fn commands() -> Vec<String> {
    let text = help(&[]);
    let list = text.split("Commands:\n").nth(1).unwrap().split("\n\n").next().unwrap();
    let names = list.lines().filter_map(|line| line.split_whitespace().next());
    names.filter(|name| *name != "help").map(str::to_owned).collect()
}

/// The text in backticks, in order.
fn quoted(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

/// The first cells of the table rows below a heading, up to the next one.
fn first_cells(heading: &str) -> Vec<&'static str> {
    let after =
        HANDBOOK.split_once(&format!("{heading}\n")).unwrap_or_else(|| panic!("there is no {heading:?}")).1;
    let rows = after.lines().take_while(|line| !line.starts_with('#')).filter(|line| line.starts_with("| "));
    rows.skip(1).map(|row| row.split('|').nth(1).unwrap()).collect()
}

/// The fields that the handbook's tables name, by command.
fn told_fields() -> BTreeMap<String, BTreeSet<String>> {
    let headings = HANDBOOK.lines().filter_map(|line| line.strip_prefix("### Fields of "));
    headings
        .map(|of| {
            let cells = first_cells(&format!("### Fields of {of}"));
            let fields = cells.iter().flat_map(|cell| quoted(cell)).map(str::to_owned).collect();
            (of.trim_matches('`').to_owned(), fields)
        })
        .collect()
}

/// The paths of everything in a document: `a`, `b.c`, `d[].e`.
fn paths(value: &Value, at: &str, found: &mut BTreeSet<String>) {
    let inner: Vec<(String, &Value)> = match value {
        Value::Object(fields) => {
            let name = |field: &String| if at.is_empty() { field.clone() } else { format!("{at}.{field}") };
            fields.iter().map(|(field, value)| (name(field), value)).collect()
        }
        Value::Array(items) => {
            items.iter().filter(|item| item.is_object()).map(|item| (format!("{at}[]"), item)).collect()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    };
    if inner.is_empty() {
        found.insert(at.to_owned());
    }
    inner.iter().for_each(|(at, value)| paths(value, at, found));
}

/// Every field of some reports; what was empty in one and not in another is known by what was in it.
fn fields(reports: &[Value]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    reports.iter().for_each(|report| paths(report, "", &mut found));
    let all = found.clone();
    let is_outer = |path: &String| {
        all.iter()
            .any(|other| other.strip_prefix(path.as_str()).is_some_and(|rest| rest.starts_with(['.', '['])))
    };
    found.retain(|path| !is_outer(path));
    found
}

fn lived_in() -> House {
    let house = House::built();
    seed::sessions(&mut house.db(), 5, 2, seed::now() - HOUR);
    house
}

/// Reports of a command, so many that no list in them is empty in all.
fn reports(command: &str) -> Vec<Value> {
    let house = lived_in();
    let ran = |arguments: &[&str]| house.maint(arguments).report;
    match command {
        "backup-db" => {
            ran(&["backup-db"]);
            vec![ran(&["backup-db", "--keep", "1"]), ran(&["backup-db", "--dry-run"])]
        }
        "restore-db" => {
            ran(&["backup-db"]);
            vec![ran(&["restore-db", "latest", "--yes"]), ran(&["restore-db", "none", "--yes"])]
        }
        "list-backups" => {
            ran(&["backup-db"]);
            vec![ran(&["list-backups"])]
        }
        "verify-backups" => {
            ran(&["backup-db"]);
            vec![ran(&["verify-backups", "--restore-drill"])]
        }
        "doctor" => {
            fs::remove_file(house.dir.join("reserve")).unwrap();
            vec![ran(&["doctor"]), ran(&["doctor", "--repair"])]
        }
        IMPORT => {
            // Its reports with persons and skipped messages are those of tests/maint/import.rs; here it is turned away.
            vec![ran(&[IMPORT, "/no/such.db"])]
        }
        other => vec![ran(&[other])],
    }
}

#[test]
fn every_json_field_is_in_the_tables_and_every_one_in_the_tables_is_real() {
    let told = told_fields();
    let common = &told[EVERY];
    let failed = House::new().maint(&["status"]).report;
    assert!(fields(std::slice::from_ref(&failed)).is_superset(common), "{failed}");
    for command in commands() {
        let own = told.get(&command).unwrap_or_else(|| panic!("the handbook has no fields of {command}"));
        let mut reports = reports(&command);
        assert!(reports.iter().all(Value::is_object), "{command}: {reports:?}");
        reports.push(serde_json::json!({"errors": [{"item": "", "error": ""}]}));
        let mut real = fields(&reports);
        if command == IMPORT {
            real.extend(["person_token", "person_token_use"].map(str::to_owned));
        }
        let all: BTreeSet<_> = common.union(own).cloned().collect();
        assert_eq!(real, all, "{command}: real on the left, told on the right");
    }
    let mut known = commands();
    known.extend([EVERY, MANIFEST, IMPORT].map(str::to_owned));
    assert!(told.keys().all(|of| known.contains(of)), "{:?}", told.keys());
}

#[test]
fn a_manifest_is_as_told() {
    let house = lived_in();
    house.maint(&["backup-db"]).expect(0);
    house.db().execute_batch("DELETE FROM checkpoints; UPDATE totals SET checkpoints = 0").unwrap();
    house.maint(&["backup-db"]).expect(3);
    let manifests = crate::support::names(&house.dir.join("backups"), ".json");
    let manifests: Vec<Value> =
        manifests.iter().map(|path| serde_json::from_slice(&fs::read(path).unwrap()).unwrap()).collect();
    assert_eq!(fields(&manifests), told_fields()[MANIFEST]);
}

#[test]
fn every_command_and_flag_is_told_with_its_command() {
    let table = HANDBOOK.split_once("## Every command and flag\n").unwrap().1.split("\n## ").next().unwrap();
    let common: BTreeSet<&str> = flags(table.split("\n| command |").next().unwrap()).collect();
    for command in commands() {
        let row = table.lines().find(|line| line.starts_with(&format!("| `{command}")));
        let row = row.unwrap_or_else(|| panic!("{command} is not told"));
        let text = help(&[&command]);
        let options = text.split("Options:\n").nth(1).unwrap();
        let real: BTreeSet<&str> = options.lines().filter_map(own_flag).collect();
        let told: BTreeSet<&str> = common.iter().copied().chain(flags(row)).collect();
        let told: BTreeSet<&str> = told.into_iter().filter(|flag| *flag != "--version").collect();
        assert_eq!(real, told, "{command}: real on the left, told on the right");
    }
}

fn own_flag(line: &str) -> Option<&str> {
    let line = line.trim_start();
    let line = line.split_once(", ").filter(|(short, _)| short.len() == 2).map_or(line, |(_, long)| long);
    line.starts_with("--").then(|| line.split([' ', '=']).next().unwrap())
}

fn flags(text: &'static str) -> impl Iterator<Item = &'static str> {
    let words = quoted(text).into_iter().map(|word| word.split(' ').next().unwrap());
    words.filter(|word| word.starts_with("--"))
}

#[test]
fn whoever_restores_is_told_when_the_jobs_go_on() {
    let parts = HANDBOOK.split("\n## ").flat_map(|part| part.split("\n### "));
    let restores = |part: &&str| {
        let mut commands = part.lines().filter(|line| !line.starts_with('|'));
        let restored = commands.any(|line| line.contains("restore-db") && line.contains("--yes"));
        restored || part.contains("apply --kustomize deploy/kubernetes/restore")
    };
    // A drill restores into a directory of its own, in which no job runs.
    let parts: Vec<&str> =
        parts.filter(restores).filter(|part| !part.starts_with("The restore drill")).collect();
    assert!(parts.len() > 10, "the restores were not found");
    for part in parts {
        let title = part.lines().next().unwrap();
        assert!(part.contains("](#nobody-has-talked-for-long)"), "{title}");
    }
}

#[test]
fn every_exit_code_is_told() {
    use companion::maint::Outcome::{Busy, Done, Failed, Partial, Refused, Usage};
    let told: Vec<u8> =
        first_cells("## Every exit code").iter().map(|cell| cell.trim().parse().unwrap()).collect();
    assert_eq!(told, [Done, Failed, Usage, Partial, Refused, Busy].map(companion::maint::Outcome::exit_code));
}

#[test]
fn every_alert_and_every_metric_is_told() {
    let rules = include_str!("../../../deploy/prometheus/companion.rules.yml");
    let real: Vec<&str> = rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    let told: Vec<&str> = first_cells("## What to alert on").iter().flat_map(|cell| quoted(cell)).collect();
    assert_eq!(told, real);
    // A service outside that is not there is told of as well, what waits for vectors, and a disk of the backups' own.
    let house = lived_in().with("LLM_BASE_URL", "http://127.0.0.1:9/v1");
    let house =
        house.with("EMBEDDING_BASE_URL", "http://127.0.0.1:9/v1").with("EMBEDDING_MODEL_NAME", "small");
    let other = Mounted::small_disk("1m");
    let house = house.with("BACKUP_DIR", other.path().to_str().unwrap());
    let place = tempfile::TempDir::new().unwrap();
    let file = place.path().join("status.prom");
    house.maint(&["cleanup-audio"]).expect(0);
    house.maint(&["status", "--metrics-file", file.to_str().unwrap()]).expect(0);
    let mut job = fs::read_to_string(&file).unwrap();
    house.maint(&["cleanup-audio", "--metrics-file", file.to_str().unwrap()]).expect(0);
    job += &fs::read_to_string(&file).unwrap();
    let server = house.start();
    job +=
        &agent().get(format!("{}/metrics", server.url)).call().unwrap().body_mut().read_to_string().unwrap();
    let names = job.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next());
    let real: BTreeSet<&str> = names.filter(|name| name.starts_with("companion_")).collect();
    let told: BTreeSet<&str> = quoted(HANDBOOK)
        .into_iter()
        .filter(|name| name.starts_with("companion_") && name != &"companion_person")
        .collect();
    assert_eq!(told, real);
}

/// What a link to a heading is called.
fn anchor(heading: &str) -> String {
    heading.to_lowercase().replace(' ', "-").chars().filter(|c| c.is_alphanumeric() || *c == '-').collect()
}

#[test]
fn every_link_and_every_file_that_is_named_is_there() {
    let headings = HANDBOOK.lines().filter(|line| line.starts_with('#'));
    let anchors: BTreeSet<String> =
        headings.map(|line| anchor(line.trim_start_matches(['#', ' ']))).collect();
    let links: Vec<&str> =
        HANDBOOK.split("](#").skip(1).map(|rest| rest.split(')').next().unwrap()).collect();
    assert!(links.len() > 30, "the links were not found");
    links.iter().for_each(|link| assert!(anchors.contains(*link), "#{link} leads nowhere"));
    let words = HANDBOOK.split(|c: char| c.is_whitespace() || "`()\"',;:".contains(c));
    let files: BTreeSet<&str> = words
        .map(|word| word.trim_end_matches('.'))
        .filter(|word| word.starts_with("deploy/") || ["crontab.example", ".env.example"].contains(word))
        .collect();
    assert!(files.len() > 8, "{files:?}");
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for file in files.into_iter().filter(|file| !file.contains('*') && *file != "deploy/") {
        assert!(root.join(file).exists(), "{file} is not there");
    }
}
