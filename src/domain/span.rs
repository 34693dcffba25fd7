//! A span of time as an operator writes it: `30s`, `5m`, `1h`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A whole number of seconds, minutes or hours; at least a second, at most a year.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span(Duration);

impl Span {
    const LONGEST: u64 = 365 * 24 * 60 * 60;

    /// The same as a duration.
    #[must_use]
    pub fn get(self) -> Duration {
        self.0
    }
}

impl fmt::Display for Span {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        match seconds {
            _ if seconds.is_multiple_of(3600) => write!(out, "{}h", seconds / 3600),
            _ if seconds.is_multiple_of(60) => write!(out, "{}m", seconds / 60),
            _ => write!(out, "{seconds}s"),
        }
    }
}

/// Why a text is not a span.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be a whole number with a unit, like 30s, 5m or 1h, from 1s to 8760h")]
pub struct NotASpan;

impl FromStr for Span {
    type Err = NotASpan;

    fn from_str(text: &str) -> Result<Self, NotASpan> {
        let unit = text.chars().last().ok_or(NotASpan)?;
        let factor = match unit {
            's' => 1,
            'm' => 60,
            'h' => 60 * 60,
            _ => return Err(NotASpan),
        };
        let digits = text.strip_suffix(unit).unwrap_or_default();
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(NotASpan);
        }
        let seconds = digits.parse::<u64>().ok().and_then(|number| number.checked_mul(factor));
        seconds
            .filter(|seconds| (1..=Self::LONGEST).contains(seconds))
            .map(|seconds| Self(Duration::from_secs(seconds)))
            .ok_or(NotASpan)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_and_shown() {
        for (text, seconds, shown) in [
            ("30s", 30, "30s"),
            ("5m", 300, "5m"),
            ("1h", 3600, "1h"),
            ("90s", 90, "90s"),
            ("60m", 3600, "1h"),
        ] {
            let span: Span = text.parse().unwrap();
            assert_eq!((span.get().as_secs(), span.to_string().as_str()), (seconds, shown));
        }
    }

    #[test]
    fn everything_else_is_refused() {
        for bad in [
            "",
            "s",
            "5",
            "0s",
            "-5s",
            "+5s",
            "1.5h",
            "5 m",
            "5min",
            "1d",
            "m5",
            "9999h",
            "5é",
            "٣s",
            "99999999999999999999h",
        ] {
            assert_eq!(bad.parse::<Span>(), Err(NotASpan), "{bad}");
        }
    }
}
