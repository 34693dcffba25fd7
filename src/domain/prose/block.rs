//! Marks at the beginning of a line: headings, bullets, quotes, rules, rows of tables, and code between fences.

use super::{Line, MOST_LINE, Place, Step, as_text, run, within};

/// What a line begins with. `None` while that cannot be told.
pub(super) fn block(line: &Line<'_>) -> Option<Step> {
    let body = line.text.trim_start_matches([' ', '\t']);
    let indent = &line.text[..line.text.len() - body.len()];
    let Some(mark) = body.chars().next() else { return line.is_whole.then(as_text) };
    match mark {
        '`' | '~' => fence(line, body, mark),
        '#' => heading(line, body),
        '>' if body.len() == 1 && !line.is_whole => None,
        '>' => {
            let taken = indent.len() + 1 + usize::from(body[1..].starts_with(' '));
            Some(Step { taken, told: indent.to_owned(), then: Place::LineStart })
        }
        '|' => row(line, body),
        '-' | '*' | '_' | '=' | '+' => rule_or_bullet(line, indent, body, mark),
        _ => Some(as_text()),
    }
}

fn fence(line: &Line<'_>, body: &str, mark: char) -> Option<Step> {
    let marks = run(body, mark);
    if line.is_awaited() && (marks >= 3 || marks == body.len()) {
        return None;
    }
    let is_fence = line.is_settled() && marks >= 3 && !body[marks..].contains(mark);
    Some(if is_fence { line.dropped(Place::CodeStart) } else { as_text() })
}

/// A line of code, or what ends it.
pub(super) fn code_line(line: &Line<'_>) -> Option<Step> {
    let body = line.text.trim();
    let may_end = ['`', '~'].into_iter().any(|mark| run(body, mark) == body.len());
    if may_end && line.is_awaited() {
        return None;
    }
    let ends = may_end && line.is_settled() && body.len() >= 3;
    Some(if ends { line.dropped(Place::LineStart) } else { Step { then: Place::Code, ..as_text() } })
}

fn heading(line: &Line<'_>, body: &str) -> Option<Step> {
    let marks = run(body, '#');
    let text = body[marks..].trim_start_matches(' ');
    // More blanks may come.
    if text.is_empty() && line.is_awaited() {
        return None;
    }
    let taken = line.text.len() - text.len();
    let is_heading = marks <= 6 && text.len() < body.len() - marks && taken < MOST_LINE;
    Some(if is_heading { Step { taken, ..as_text() } } else { as_text() })
}

fn rule_or_bullet(line: &Line<'_>, indent: &str, body: &str, mark: char) -> Option<Step> {
    let is_rule = mark != '+' && body.chars().all(|c| c == mark || c == ' ');
    if line.is_awaited() && (is_rule || body[1..].trim().is_empty()) {
        return None;
    }
    if is_rule && line.is_settled() && body.matches(mark).count() >= 3 {
        return Some(line.dropped(Place::LineStart));
    }
    let text = body[1..].trim_start_matches([' ', '\t']);
    let is_bullet = matches!(mark, '-' | '*' | '+') && text.len() < body.len() - 1 && !text.is_empty();
    let told = format!("{indent}- ");
    let taken = line.text.len() - text.len();
    Some(if is_bullet { Step { taken, told, then: Place::Line } } else { as_text() })
}

/// A row of a table: its cells as a list. The row of dashes below a head goes.
fn row(line: &Line<'_>, body: &str) -> Option<Step> {
    if line.is_awaited() {
        return None;
    }
    let body = body.trim_end();
    if !line.is_settled() || !body.ends_with('|') || body.len() == 1 {
        return Some(as_text());
    }
    if body.contains('-') && body.chars().all(|c| matches!(c, '|' | '-' | ':' | ' ')) {
        return Some(line.dropped(Place::LineStart));
    }
    let cells = body.split('|').map(str::trim).filter(|cell| !cell.is_empty());
    let told = cells.map(within).collect::<Vec<_>>().join(", ");
    Some(Step { taken: line.text.len(), told, then: Place::Line })
}
