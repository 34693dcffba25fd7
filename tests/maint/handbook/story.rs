//! The handbook as something to run: its sections, their commands, and what the reader is told to expect.

/// A command and the exit code that it is said to have.
#[derive(Debug, Clone)]
pub struct Command {
    pub text: String,
    pub exit: i32,
}

/// One fenced block: commands, and the lines that are shown below it.
#[derive(Debug, Clone, Default)]
pub struct Step {
    pub commands: Vec<Command>,
    pub shown: Vec<String>,
}

/// A section with commands in it.
#[derive(Debug, Clone)]
pub struct Section {
    pub title: String,
    pub steps: Vec<Step>,
}

/// Every section that has commands, in order.
pub fn sections(handbook: &str) -> Vec<Section> {
    let mut sections: Vec<Section> = Vec::new();
    let mut lines = handbook.lines();
    while let Some(line) = lines.next() {
        if let Some(title) = line.strip_prefix("## ").or_else(|| line.strip_prefix("### ")) {
            sections.push(Section { title: title.to_owned(), steps: Vec::new() });
            continue;
        }
        let Some(kind) = line.trim_start().strip_prefix("```") else { continue };
        let indent = line.len() - line.trim_start().len();
        let body: Vec<&str> = lines
            .by_ref()
            .take_while(|line| line.trim() != "```")
            .map(|line| unindented(line, indent))
            .collect();
        let steps = &mut sections.last_mut().unwrap().steps;
        match kind {
            "sh" => steps.push(Step { commands: commands(&body), shown: Vec::new() }),
            "text" => {
                let step = steps.last_mut().unwrap();
                assert!(step.shown.is_empty(), "two outputs of one block: {body:?}");
                step.shown = body.iter().map(|line| (*line).to_owned()).collect();
            }
            other => panic!("a block of the kind {other:?} is run by nobody"),
        }
    }
    sections.retain(|section| !section.steps.is_empty());
    sections
}

fn unindented(line: &str, indent: usize) -> &str {
    line.get(indent..).unwrap_or_default()
}

fn commands(lines: &[&str]) -> Vec<Command> {
    let joined = lines.join("\n").replace("\\\n", " ");
    let texts = joined.lines().filter(|line| !line.trim().is_empty());
    texts
        .map(|text| {
            let exit = text.split_once("# exit ").map_or(0, |(_, code)| code.trim().parse().unwrap());
            Command { text: text.to_owned(), exit }
        })
        .collect()
}

/// The first of the shown lines that the output does not have, in order; `…` stands for anything.
pub fn missing<'a>(shown: &'a [String], output: &str) -> Option<&'a str> {
    let mut told = output.lines();
    let lost = shown.iter().find(|pattern| !told.any(|line| fits(pattern.trim(), line.trim())));
    lost.map(String::as_str)
}

fn fits(pattern: &str, line: &str) -> bool {
    let parts: Vec<&str> = pattern.split('…').collect();
    let (first, last) = (parts[0], parts[parts.len() - 1]);
    if parts.len() == 1 {
        return pattern == line;
    }
    let Some(mut rest) = line.strip_prefix(first).and_then(|rest| rest.strip_suffix(last)) else {
        return false;
    };
    parts[1..parts.len() - 1].iter().all(|part| {
        rest.split_once(part).is_some_and(|(_, after)| {
            rest = after;
            true
        })
    })
}

#[test]
fn what_is_shown_has_to_be_there() {
    assert!(fits("active", "active") && !fits("active", "inactive"));
    assert!(fits("… of …", "a of b") && fits("…of…", "of") && !fits("x … of", "x y off"));
    let shown = ["b".to_owned(), "a…".to_owned()];
    assert_eq!(missing(&shown, "b\nab"), None);
    assert_eq!(missing(&shown, "ab\nb"), Some("a…"));
}
