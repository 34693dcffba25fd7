//! Plain prose: what models write as Markdown, without its marks, so that it reads, copies and sounds as it stands.
//!
//! Headings, emphasis, quotes, code marks and rules go; what they mark stays, bullets become dashes, links keep their address in
//! brackets, rows of tables become lists. Marks that mark nothing stay as they are: `2 * 3`, `snake_case`.
//! The pieces put together do not depend on how the text was cut on its way here.
//!
//! Bound: a mark waits 400 bytes for its end, a row of a table 2000; without it, it is text.

use std::future::ready;

use futures_util::{StreamExt, stream};

use crate::domain::chat::ReplyStream;

mod block;
mod inline;

use block::{block, code_line};
use inline::inline;

const MOST_HELD: usize = 400;
const MOST_LINE: usize = 2000;

/// Turns a text that comes in pieces into plain prose.
#[derive(Debug, Default)]
pub struct Prose {
    /// What has come and is not decided.
    rest: String,
    place: Place,
    /// The character before it.
    before: Option<char>,
    /// So many line ends came last.
    ends: usize,
}

/// Where in the text it is.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
enum Place {
    #[default]
    LineStart,
    Line,
    CodeStart,
    Code,
}

/// So many bytes are decided: what is told of them, and where that leads.
struct Step {
    taken: usize,
    told: String,
    then: Place,
}

/// A whole text as plain prose.
#[must_use]
pub fn prose(text: &str) -> String {
    let mut prose = Prose::default();
    let mut plain = prose.push(text);
    plain.push_str(&prose.finish());
    plain
}

/// A reply as plain prose.
#[must_use]
pub fn in_prose(reply: ReplyStream) -> ReplyStream {
    let pieces = reply.map(Some).chain(stream::once(ready(None)));
    let plain = pieces.scan(Prose::default(), |prose, piece| {
        ready(Some(match piece {
            Some(piece) => piece.map(|piece| prose.push(&piece)),
            None => Ok(std::mem::take(prose).finish()),
        }))
    });
    plain.filter(|piece| ready(!piece.as_ref().is_ok_and(String::is_empty))).boxed()
}

/// What marks stand around, itself without marks.
fn within(line: &str) -> String {
    Prose { rest: line.to_owned(), place: Place::Line, ..Prose::default() }.finish()
}

impl Prose {
    /// Takes the next piece; gives what is decided by now.
    pub fn push(&mut self, piece: &str) -> String {
        self.rest.push_str(piece);
        self.decide(false)
    }

    /// What is left at the text's end.
    #[must_use]
    pub fn finish(mut self) -> String {
        self.decide(true)
    }

    fn decide(&mut self, is_whole: bool) -> String {
        let mut plain = String::new();
        let mut from = 0;
        while from < self.rest.len() {
            let rest = &self.rest[from..];
            let line = Line::of(rest, is_whole);
            let step = match self.place {
                Place::LineStart => block(&line),
                Place::Line => inline(rest, &line, self.before),
                Place::CodeStart => code_line(&line),
                Place::Code => Some(to_line_end(rest, Place::CodeStart)),
            };
            let Some(Step { taken, told, then }) = step else { break };
            self.before = rest[..taken].chars().last().or(self.before);
            self.place = then;
            from += taken;
            self.tell(&told, &mut plain);
        }
        self.rest.drain(..from);
        plain
    }

    /// Where marks went there may be nothing left between paragraphs.
    fn tell(&mut self, told: &str, plain: &mut String) {
        for c in told.chars() {
            self.ends = if c == '\n' { self.ends + 1 } else { 0 };
            if self.ends <= 2 {
                plain.push(c);
            }
        }
    }
}

/// What is there of a line.
struct Line<'a> {
    text: &'a str,
    /// No more of it comes.
    is_whole: bool,
    /// Its bytes with its end.
    length: usize,
}

impl<'a> Line<'a> {
    fn of(rest: &'a str, is_whole: bool) -> Self {
        match rest.split_once('\n') {
            Some((text, _)) => Self { text, is_whole: true, length: text.len() + 1 },
            None => Self { text: rest, is_whole, length: rest.len() },
        }
    }

    /// All of it goes.
    fn dropped(&self, then: Place) -> Step {
        Step { taken: self.length, told: String::new(), then }
    }

    /// All of it is there, and it is not too long to have been waited for.
    fn is_settled(&self) -> bool {
        self.is_whole && self.text.len() < MOST_LINE
    }

    /// It is not to be decided before all of it is there.
    fn is_awaited(&self) -> bool {
        !self.is_whole && self.text.len() < MOST_LINE
    }
}

fn as_text() -> Step {
    Step { taken: 0, told: String::new(), then: Place::Line }
}

fn to_line_end(rest: &str, then: Place) -> Step {
    match rest.find('\n') {
        Some(at) => Step { taken: at + 1, told: rest[..=at].to_owned(), then },
        None => Step { taken: rest.len(), told: rest.to_owned(), then: Place::Code },
    }
}

/// How often a character stands at the beginning.
fn run(text: &str, mark: char) -> usize {
    text.chars().take_while(|c| *c == mark).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn marks_go_and_what_they_mark_stays() {
        for (written, plain) in [
            ("Plain words, and a full stop.", "Plain words, and a full stop."),
            ("## A *small* heading\nText", "A small heading\nText"),
            ("**Bold**, *slanted*, __both__, ***all***, ~~gone~~.", "Bold, slanted, both, all, gone."),
            ("**a *b* c** and *a **b** c*", "a b c and a b c"),
            ("这是**重点**内容", "这是重点内容"),
            ("* one\n* two\n  + three\n- four", "- one\n- two\n  - three\n- four"),
            ("1. **One**: first\n2. Two", "1. One: first\n2. Two"),
            ("> said\n> > twice", "said\ntwice"),
            ("above\n\n---\n\nbelow\n***\nend", "above\n\nbelow\nend"),
            ("Title\n=====\ntext", "Title\ntext"),
            ("Run `ls -l` or ``a`b``.", "Run ls -l or a`b."),
            (
                "So:\n```rust\nlet a = *b; // **not** bold\n\n# no heading\n```\nDone",
                "So:\nlet a = *b; // **not** bold\n\n# no heading\nDone",
            ),
            (
                "See [the page](https://a.example/x_(y)) and [here](#top).",
                "See the page (https://a.example/x_(y)) and here.",
            ),
            ("![a cat](https://a.example/cat.png \"Cat\")", "a cat (https://a.example/cat.png)"),
            (
                "<https://a.example/b> or [https://a.example](https://a.example)",
                "https://a.example/b or https://a.example",
            ),
            ("| Name | Age |\n|---|:-:|\n| **Ann** | 7 |\n", "Name, Age\nAnn, 7\n"),
            ("one<br>two", "one\ntwo"),
            (r"\*not\* slanted, 1\. no list", "*not* slanted, 1. no list"),
        ] {
            assert_eq!(prose(written), plain);
        }
    }

    #[test]
    fn what_marks_nothing_stays() {
        for text in [
            "2 * 3 * 4, 5*3*2, 2**3**4 and a * b",
            "snake_case_name and _ alone, a_b_c",
            "*unclosed and **unclosed, `unclosed, [unclosed",
            "#hashtag, C# and #1",
            "-5 degrees - cold - and --flag",
            "[1] and [x] and a[0](not)",
            "<img src=x onerror=\"alert(1)\"><b>bold</b>, 1 < 2 > 0",
            "Wow! Really!",
            "a | b, |x|",
            "- ",
            "-",
            "*",
            "",
            "C:\\Users",
            "¯\\(ツ)/¯",
            "~ about 5 ~",
            "Hello *\nworld*",
        ] {
            // Only brackets that are a link lead anywhere.
            let kept = text.replace("a[0](not)", "a0").replace("¯\\(", "¯(");
            assert_eq!(prose(text), kept);
        }
    }

    #[test]
    fn a_mark_does_not_wait_for_ever() {
        let mut prose = Prose::default();
        assert_eq!(prose.push("Yes. *but"), "Yes. ");
        let told = prose.push(&" and".repeat(200));
        assert!(told.starts_with("*but and"), "{told}");
        assert_eq!(prose.push(" on"), " on");
    }

    #[test]
    fn a_row_of_a_table_does_not_wait_for_ever() {
        let cells = |many: usize| " tea |".repeat(many);
        let mut prose = Prose::default();
        assert_eq!(prose.push(&format!("|{}", cells(300))), "");
        assert_eq!(prose.push("\n"), format!("{}\n", ["tea"; 300].join(", ")));
        assert_eq!(prose.push(&format!("|{}", cells(300))), "");
        assert_eq!(prose.push(&cells(100)), format!("|{}", cells(400)), "it is too long, and shown as it is");
        assert_eq!(prose.push("\n| green | black |\n"), "\ngreen, black\n");
    }

    #[test]
    fn words_are_told_as_they_come() {
        let mut prose = Prose::default();
        let told: Vec<_> =
            ["Hel", "lo, ", "**wor", "ld** ", "and so", " on"].map(|piece| prose.push(piece)).into();
        assert_eq!(told, ["Hel", "lo, ", "", "world ", "and so", " on"]);
    }

    #[test]
    fn blanks_after_a_mark_may_come_one_by_one() {
        for (pieces, whole) in [(["# ", " Tea"], "Tea"), (["- ", " tea"], "- tea"), (["\n# ", " "], "\n")] {
            let mut prose = Prose::default();
            let mut told: String = pieces.iter().map(|piece| prose.push(piece)).collect();
            told.push_str(&prose.finish());
            assert_eq!(told, whole);
        }
    }

    proptest! {
        #[test]
        fn it_does_not_matter_how_the_text_was_cut(
            parts in proptest::collection::vec(
                prop_oneof![
                    Just("*"), Just("**"), Just("_"), Just("`"), Just("```"), Just("\n"), Just(" "), Just("a"), Just("é"), Just("7"),
                    Just("# "), Just("- "), Just("> "), Just("|"), Just("---"), Just("["), Just("]("), Just(")"), Just("!"),
                    Just("<br>"), Just("<https://a>"), Just("\\"), Just("~~"), Just("="), Just("+ "),
                    Just("a long stretch of words that goes on and on and on and on and on and on and on and on and on and on and on"),
                ],
                0..40,
            ),
            cuts in proptest::collection::vec(1_usize..4, 0..200),
        ) {
            let text = parts.concat();
            let (mut pieces, mut plain, mut chars) = (Prose::default(), String::new(), text.chars());
            for cut in cuts {
                plain.push_str(&pieces.push(&chars.by_ref().take(cut).collect::<String>()));
            }
            plain.push_str(&pieces.push(chars.as_str()));
            plain.push_str(&pieces.finish());
            prop_assert_eq!(plain, prose(&text));
        }
    }
}
