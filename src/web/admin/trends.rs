//! How the server's numbers went, as it is told: an array for each number, and what was counted in the last 24 hours.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::app::samples::Trends;
use crate::domain::clock::Timestamp;
use crate::domain::samples::{Number, Sample, Trend};

/// How the numbers went over the span that was asked for.
#[derive(Serialize)]
pub(super) struct TrendsBody {
    /// `24h` or `30d`.
    span: &'static str,
    /// When the first point begins.
    from: Timestamp,
    step_seconds: u64,
    /// Of each number its points; `null` where nothing was noted.
    series: BTreeMap<&'static str, Vec<Option<u64>>>,
}

impl TrendsBody {
    pub(super) fn of(trend: &Trend) -> Self {
        let points =
            |number: Number| trend.points.iter().map(move |point| point.and_then(|point| point.get(number)));
        Self {
            span: trend.span.name(),
            from: trend.from,
            step_seconds: trend.span.step().as_secs(),
            series: Number::ALL.map(|number| (number.name(), points(number).collect())).into(),
        }
    }
}

/// What was counted in the last 24 hours.
#[derive(Serialize)]
pub(super) struct LastDayBody {
    turns: u64,
    requests: u64,
    failed_requests: u64,
    /// By their reason.
    rejections: Map<String, Value>,
    /// Requests for files by clients that hold a copy: it was still good, or not.
    cache: CacheBody,
}

#[derive(Serialize)]
struct CacheBody {
    not_modified: u64,
    sent: u64,
}

const REFUSED: &str = "refused_";

impl LastDayBody {
    pub(super) fn of(trends: &Trends) -> Self {
        let sample: &Sample = &trends.last_day;
        let counted = |number| sample.get(number).unwrap_or(0);
        let refused = |number: Number| Some((number.name().strip_prefix(REFUSED)?, counted(number)));
        let rejections = Number::ALL.into_iter().filter_map(refused);
        Self {
            turns: counted(Number::Turns),
            requests: counted(Number::Requests),
            failed_requests: counted(Number::FailedRequests),
            rejections: rejections.map(|(reason, times)| (reason.to_owned(), json!(times))).collect(),
            cache: CacheBody {
                not_modified: counted(Number::StaticNotModified),
                sent: counted(Number::StaticSent),
            },
        }
    }
}
