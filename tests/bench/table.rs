//! What was measured, as a Markdown table for the README.

use std::fmt::{self, Write};

/// A number with its unit.
#[derive(Debug, Clone, Copy)]
pub struct Figure(f64, &'static str);

impl Figure {
    pub const fn millis(value: f64) -> Self {
        Self(value, "ms")
    }

    pub const fn percent(value: f64) -> Self {
        Self(value, "%")
    }

    pub const fn seconds(value: f64) -> Self {
        Self(value, "s")
    }

    pub const fn per_second(value: f64) -> Self {
        Self(value, "/s")
    }

    #[expect(clippy::cast_precision_loss, reason = "shown with three digits")]
    pub fn kibibytes(bytes: u64) -> Self {
        Self(bytes as f64 / 1024.0, "KiB")
    }

    #[expect(clippy::cast_precision_loss, reason = "sizes of files, shown with three digits")]
    pub fn mebibytes(bytes: u64) -> Self {
        Self(bytes as f64 / 1_048_576.0, "MiB")
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = match self.0 {
            value if value >= 100.0 => 0,
            value if value >= 10.0 => 1,
            value if value >= 1.0 => 2,
            _ => 3,
        };
        write!(out, "{:.digits$} {}", self.0, self.1)
    }
}

/// What a figure is held against.
#[derive(Debug, Clone, Copy)]
pub enum Reach {
    /// The figure itself, at most.
    AtMost(Figure),
    /// The figure itself, at least.
    AtLeast(Figure),
    /// The baseline, at most this many times.
    Times(f64),
    /// The baseline, at least this many times.
    TimesAtLeast(f64),
    /// The baseline and at most so much more.
    Above(Figure),
    /// Nothing: told so that the others can be understood.
    Told,
}

/// One line.
#[derive(Debug, Clone)]
pub struct Row {
    what: String,
    measured: Figure,
    against: Option<Figure>,
    reach: Reach,
}

impl Row {
    pub fn new(what: impl Into<String>, measured: Figure, against: Option<Figure>, reach: Reach) -> Self {
        Self { what: what.into(), measured, against, reach }
    }

    fn ratio(&self) -> Option<f64> {
        self.against.filter(|against| against.0 > 0.0).map(|against| self.measured.0 / against.0)
    }

    fn verdict(&self) -> &'static str {
        let reached = match self.reach {
            Reach::AtMost(most) => Some(self.measured.0 <= most.0),
            Reach::AtLeast(least) => Some(self.measured.0 >= least.0),
            Reach::Times(most) => self.ratio().map(|ratio| ratio <= most),
            Reach::TimesAtLeast(least) => self.ratio().map(|ratio| ratio >= least),
            Reach::Above(more) => self.against.map(|against| self.measured.0 <= against.0 + more.0),
            Reach::Told => None,
        };
        reached.map_or("", |reached| if reached { "reached" } else { "**missed**" })
    }
}

pub fn render(rows: &[Row]) -> String {
    let mut text =
        "| what | measured | against | ratio | reach | verdict |\n|---|---|---|---|---|---|\n".to_owned();
    for row in rows {
        let against = row.against.map_or_else(String::new, |against| against.to_string());
        let ratio = row.ratio().map_or_else(String::new, |ratio| format!("{ratio:.2}"));
        let reach = match row.reach {
            Reach::AtMost(most) => format!("<= {most}"),
            Reach::AtLeast(least) => format!(">= {least}"),
            Reach::Times(most) => format!("<= {most} x"),
            Reach::TimesAtLeast(least) => format!(">= {least} x"),
            Reach::Above(more) => format!("<= {more} more"),
            Reach::Told => String::new(),
        };
        let (what, measured, verdict) = (&row.what, row.measured, row.verdict());
        // Writing to a string cannot fail.
        let _ = writeln!(text, "| {what} | {measured} | {against} | {ratio} | {reach} | {verdict} |");
    }
    text
}

/// The value that a share of `quantile` lies at or below; 0 when there is none.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts of samples"
)]
pub fn quantile(values: &[f64], quantile: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (quantile * sorted.len() as f64).ceil().max(1.0) as usize;
    sorted.get(rank - 1).copied().unwrap_or_default()
}

pub fn median(values: &[f64]) -> f64 {
    quantile(values, 0.5)
}

pub fn millis(span: std::time::Duration) -> f64 {
    span.as_secs_f64() * 1e3
}
