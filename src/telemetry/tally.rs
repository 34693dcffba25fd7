//! What has been counted so far, in the few numbers that are noted over time.

use prometheus::proto::{Metric, MetricFamily};

use crate::telemetry::metrics::Metrics;

/// Since the server started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Turns that were answered.
    pub turns: u64,
    /// Requests that were answered.
    pub requests: u64,
    /// Of these with 500, 502 or 504.
    pub failed: u64,
    /// Of these with 413.
    pub too_large: u64,
    /// Of these with 408.
    pub too_slow: u64,
    /// Of these with 429.
    pub too_often: u64,
    /// Of these with 401 or 403.
    pub not_let_in: u64,
    /// Of these with 503.
    pub busy: u64,
    /// Of these with 507.
    pub disk_full: u64,
    /// Connections that were not taken, or ended before a request was whole.
    pub connections: u64,
    /// Requests for files of which the client's copy was still good.
    pub not_modified: u64,
    /// Requests for files of which it was not.
    pub sent: u64,
    /// Connections open now.
    pub open_connections: u64,
}

impl Tally {
    /// What these metrics have counted.
    #[must_use]
    pub fn of(metrics: &Metrics) -> Self {
        let mut tally = Self::default();
        for family in metrics.counted() {
            tally.read(&family);
        }
        tally
    }

    fn read(&mut self, family: &MetricFamily) {
        for metric in family.get_metric() {
            match family.name() {
                "companion_http_requests_total" => self.answered(label(metric, "status"), counted(metric)),
                "companion_turn_stage_seconds" if label(metric, "stage") == "total" => {
                    self.turns += metric.get_histogram().get_sample_count();
                }
                "companion_ended_connections_total" => match label(metric, "reason") {
                    "too_many" | "slow_header" | "large_header" => self.connections += counted(metric),
                    _ => {}
                },
                "companion_static_conditional_requests_total" => match label(metric, "result") {
                    "not_modified" => self.not_modified += counted(metric),
                    _ => self.sent += counted(metric),
                },
                "companion_open_connections" => self.open_connections = whole(metric.get_gauge().get_value()),
                _ => {}
            }
        }
    }

    fn answered(&mut self, status: &str, times: u64) {
        self.requests += times;
        match status {
            "413" => self.too_large += times,
            "408" => self.too_slow += times,
            "429" => self.too_often += times,
            "401" | "403" => self.not_let_in += times,
            "503" => self.busy += times,
            "507" => self.disk_full += times,
            "500" | "502" | "504" => self.failed += times,
            _ => {}
        }
    }
}

fn label<'a>(metric: &'a Metric, name: &str) -> &'a str {
    metric.get_label().iter().find(|pair| pair.name() == name).map_or("", |pair| pair.value())
}

fn counted(metric: &Metric) -> u64 {
    whole(metric.get_counter().get_value())
}

/// Prometheus' numbers are floating point; ours are whole and not negative.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count, far below 2^53")]
fn whole(value: f64) -> u64 {
    value.max(0.0) as u64
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::telemetry::metrics::{ConnectionEnd, Stage};

    #[test]
    fn everything_is_counted_once_and_under_its_name() {
        let metrics = Metrics::new("1", 0).unwrap();
        assert_eq!(Tally::of(&metrics), Tally::default());
        for status in [200, 200, 304, 401, 403, 408, 413, 429, 500, 502, 503, 504, 507] {
            metrics.requests("GET", "/", status).count(Duration::ZERO);
        }
        metrics.stage(Stage::Total, Duration::ZERO);
        metrics.stage(Stage::Heard, Duration::ZERO);
        metrics.conditional(true);
        metrics.conditional(false);
        metrics.conditional(false);
        for end in [ConnectionEnd::TooMany, ConnectionEnd::SlowHeader, ConnectionEnd::LargeHeader] {
            metrics.ended_connection(end);
        }
        metrics.ended_connection(ConnectionEnd::Idle);
        metrics.connection(true);
        let expected = Tally {
            turns: 1,
            requests: 13,
            failed: 3,
            too_large: 1,
            too_slow: 1,
            too_often: 1,
            not_let_in: 2,
            busy: 1,
            disk_full: 1,
            connections: 3,
            not_modified: 1,
            sent: 2,
            open_connections: 1,
        };
        assert_eq!(Tally::of(&metrics), expected);
    }
}
