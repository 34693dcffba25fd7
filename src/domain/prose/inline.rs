//! Marks within a line: emphasis, code, links, what is escaped.

use super::{Line, MOST_HELD, Place, Step, run, within};

/// What may follow a backslash to be meant as it is.
const ESCAPABLE: &str = "\\`*_{}[]()#+-.!|~<>";

/// What marks at the beginning of a text are.
enum Marked {
    /// Marks, with what they mark.
    Is {
        /// Their bytes, with what they mark.
        taken: usize,
        /// What they mark.
        told: String,
    },
    /// Text: so many bytes of it.
    Not(usize),
    /// Their end may still come.
    Open,
}

fn is_mark(c: char) -> bool {
    matches!(c, '\n' | '\\' | '`' | '*' | '_' | '~' | '[' | '!' | '<')
}

/// What comes next in a line. `None` while that cannot be told.
pub(super) fn inline(rest: &str, line: &Line<'_>, before: Option<char>) -> Option<Step> {
    let step = |taken: usize, told: &str, then| Some(Step { taken, told: told.to_owned(), then });
    let text = rest.find(is_mark).unwrap_or(rest.len());
    if text > 0 {
        return step(text, &rest[..text], Place::Line);
    }
    let marked = match rest.as_bytes()[0] {
        b'\n' => return step(1, "\n", Place::LineStart),
        b'\\' => escaped(line),
        b'`' => code(line),
        b'[' | b'!' => link(line),
        b'<' => angle(line),
        mark => emphasis(line, char::from(mark), before),
    };
    match marked {
        Marked::Is { taken, told } => Some(Step { taken, told, then: Place::Line }),
        Marked::Not(taken) => step(taken, &rest[..taken], Place::Line),
        Marked::Open => None,
    }
}

fn escaped(line: &Line<'_>) -> Marked {
    match line.text[1..].chars().next() {
        Some(meant) if ESCAPABLE.contains(meant) => Marked::Is { taken: 2, told: meant.to_string() },
        None if !line.is_whole => Marked::Open,
        _ => Marked::Not(1),
    }
}

/// Looks for the end of what begins with so many of a mark: a run just as long, for which `is_end` is true of what is inside and
/// what follows.
fn closed(
    line: &Line<'_>,
    mark: char,
    is_end: impl Fn(&str, Option<char>) -> bool,
    told: impl Fn(&str) -> String,
) -> Marked {
    let marks = run(line.text, mark);
    let open = &line.text[marks..];
    let mut at = 0;
    while let Some(found) = open[at..].find(mark) {
        at += found;
        if at >= MOST_HELD {
            break;
        }
        let length = run(&open[at..], mark);
        let end = at + length;
        if end == open.len() && !line.is_whole {
            return Marked::Open;
        }
        if length == marks && at > 0 && is_end(&open[..at], open[end..].chars().next()) {
            return Marked::Is { taken: marks + end, told: told(&open[..at]) };
        }
        at = end;
    }
    if line.is_whole || open.len() >= MOST_HELD { Marked::Not(marks) } else { Marked::Open }
}

fn code(line: &Line<'_>) -> Marked {
    closed(line, '`', |_, _| true, |inside| inside.trim().to_owned())
}

fn emphasis(line: &Line<'_>, mark: char, before: Option<char>) -> Marked {
    let marks = run(line.text, mark);
    let Some(next) = line.text[marks..].chars().next() else {
        return if line.is_whole { Marked::Not(marks) } else { Marked::Open };
    };
    // One that stands in the middle of a word or a sum is no mark.
    let parts = move |c: char| match (mark, marks) {
        ('_', _) => !c.is_alphanumeric(),
        ('*', 1) => !c.is_ascii_alphanumeric(),
        _ => !c.is_ascii_digit(),
    };
    let is_known = if mark == '~' { marks == 2 } else { marks <= 3 };
    if !is_known || next.is_whitespace() || !before.is_none_or(parts) {
        return Marked::Not(marks);
    }
    let is_end = |inside: &str, behind: Option<char>| {
        !inside.ends_with(char::is_whitespace) && behind.is_none_or(parts)
    };
    closed(line, mark, is_end, within)
}

/// Where a bracket that is open at the beginning of a text is closed.
fn closing(text: &str, (open, close): (char, char)) -> Option<usize> {
    let mut depth = 0;
    for (at, c) in text.char_indices().take_while(|(at, _)| *at < MOST_HELD) {
        if c == open {
            depth += 1;
        } else if c == close {
            depth -= 1;
        }
        if depth == 0 {
            return Some(at);
        }
    }
    None
}

/// A link or a picture: its text, and where it leads.
fn link(line: &Line<'_>) -> Marked {
    let text = line.text.strip_prefix('!').unwrap_or(line.text);
    let not_yet =
        if line.is_whole || line.text.len() >= 2 * MOST_HELD { Marked::Not(1) } else { Marked::Open };
    if text.is_empty() {
        return not_yet;
    }
    if !text.starts_with('[') {
        return Marked::Not(1);
    }
    let Some(end) = closing(text, ('[', ']')) else {
        return if text.len() >= MOST_HELD { Marked::Not(1) } else { not_yet };
    };
    let address = &text[end + 1..];
    match address.chars().next() {
        None => return not_yet,
        Some('(') => {}
        Some(_) => return Marked::Not(1),
    }
    let Some(last) = closing(address, ('(', ')')) else {
        return if address.len() >= MOST_HELD { Marked::Not(1) } else { not_yet };
    };
    let taken = line.text.len() - address.len() + last + 1;
    Marked::Is { taken, told: with_address(&within(&text[1..end]), &address[1..last]) }
}

fn with_address(text: &str, address: &str) -> String {
    let address = address.split_whitespace().next().unwrap_or_default().trim_matches(['<', '>']);
    let is_address = ["https://", "http://", "mailto:"].iter().any(|begins| address.starts_with(begins));
    match (text.is_empty(), is_address && address != text) {
        (true, _) => address.to_owned(),
        (false, true) => format!("{text} ({address})"),
        (false, false) => text.to_owned(),
    }
}

/// An address between angles, or the end of a line in a table.
fn angle(line: &Line<'_>) -> Marked {
    let known = ["<https://", "<http://", "<br>", "<br/>", "<br />"];
    if let Some(lasts) = known.iter().skip(2).find(|tag| line.text.starts_with(**tag)) {
        return Marked::Is { taken: lasts.len(), told: "\n".to_owned() };
    }
    let begins = |begin: &&&str| line.text.starts_with(**begin);
    if known.iter().take(2).find(begins).is_none() {
        let may_begin = known.iter().any(|tag| tag.starts_with(line.text)) && !line.is_whole;
        return if may_begin { Marked::Open } else { Marked::Not(1) };
    }
    let held = line.text.char_indices().take_while(|(at, _)| *at < MOST_HELD);
    match held.into_iter().find(|(_, c)| *c == '>' || c.is_whitespace()) {
        Some((at, '>')) => Marked::Is { taken: at + 1, told: line.text[1..at].to_owned() },
        None if !line.is_whole && line.text.len() < MOST_HELD => Marked::Open,
        _ => Marked::Not(1),
    }
}
