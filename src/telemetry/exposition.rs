//! How metrics are told: as Prometheus' text, and as JSON.

use prometheus::proto::{Counter, Gauge, LabelPair, Metric, MetricFamily, MetricType};
use prometheus::{TEXT_FORMAT, TextEncoder};
use serde_json::{Map, Value, json};

/// The content type of [`text`].
pub const TEXT: &str = TEXT_FORMAT;

/// Numbers that are looked up when they are asked for.
#[derive(Default)]
pub struct Gauges(Vec<MetricFamily>);

impl Gauges {
    /// Tells a number; one that is not known is left out.
    #[expect(clippy::cast_precision_loss, reason = "Prometheus' numbers are floating point")]
    pub fn tell(&mut self, name: &str, help: &str, value: Option<u64>) {
        self.tell_each(name, help, value.map(|value| (Vec::new(), value as f64)));
    }

    /// Tells a number for each set of labels.
    pub fn tell_each<'a>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (Vec<(&'a str, &'a str)>, f64)>,
    ) {
        let metrics = values.into_iter().map(|(labels, value)| gauge(&labels, value)).collect();
        self.add(name, help, MetricType::GAUGE, metrics);
    }

    /// The same for numbers that only grow, counted elsewhere.
    pub fn tell_counted<'a>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (Vec<(&'a str, &'a str)>, f64)>,
    ) {
        let metrics = values.into_iter().map(|(labels, value)| {
            let mut counter = Counter::default();
            counter.set_value(value);
            let mut metric = labelled(&labels);
            metric.set_counter(counter);
            metric
        });
        let metrics = metrics.collect();
        self.add(name, help, MetricType::COUNTER, metrics);
    }

    fn add(&mut self, name: &str, help: &str, kind: MetricType, metrics: Vec<Metric>) {
        if metrics.is_empty() {
            return;
        }
        let mut family = MetricFamily::default();
        family.set_name(name.to_owned());
        family.set_help(help.to_owned());
        family.set_field_type(kind);
        family.set_metric(metrics);
        self.0.push(family);
    }

    /// These and what was counted.
    #[must_use]
    pub fn with(self, mut counted: Vec<MetricFamily>) -> Vec<MetricFamily> {
        counted.extend(self.0);
        counted
    }
}

fn labelled(labels: &[(&str, &str)]) -> Metric {
    let pair = |(name, value): &(&str, &str)| {
        let mut pair = LabelPair::default();
        pair.set_name((*name).to_owned());
        pair.set_value((*value).to_owned());
        pair
    };
    Metric::from_label(labels.iter().map(pair).collect())
}

fn gauge(labels: &[(&str, &str)], value: f64) -> Metric {
    let mut gauge = Gauge::default();
    gauge.set_value(value);
    let mut metric = labelled(labels);
    metric.set_gauge(gauge);
    metric
}

/// The text that Prometheus reads. What cannot be told (a name that is none) is left out with what follows.
#[must_use]
pub fn text(families: &[MetricFamily]) -> String {
    let mut text = String::new();
    // Writing to a string fails only for a family without a name or a value, which none of ours is.
    drop(TextEncoder::new().encode_utf8(families, &mut text));
    text
}

/// The same for other programs: every series under the name that Prometheus gives it.
#[must_use]
pub fn json(families: &[MetricFamily], timestamp: &str) -> Value {
    let (mut counters, mut gauges, mut histograms) = (Map::new(), Map::new(), Map::new());
    for family in families {
        for metric in family.get_metric() {
            let series = series(family.name(), metric);
            match family.get_field_type() {
                MetricType::COUNTER => {
                    drop(counters.insert(series, number(metric.get_counter().get_value())))
                }
                MetricType::GAUGE => drop(gauges.insert(series, number(metric.get_gauge().get_value()))),
                MetricType::HISTOGRAM => drop(histograms.insert(series, histogram(metric))),
                // None of ours is of these.
                MetricType::SUMMARY | MetricType::UNTYPED => {}
            }
        }
    }
    json!({"counters": counters, "gauges": gauges, "histograms": histograms, "timestamp": timestamp})
}

fn histogram(metric: &Metric) -> Value {
    let told = metric.get_histogram();
    let buckets = told.get_bucket().iter();
    let buckets: Map<_, _> =
        buckets.map(|bucket| (bucket.upper_bound().to_string(), json!(bucket.cumulative_count()))).collect();
    json!({"count": told.get_sample_count(), "sum": told.get_sample_sum(), "buckets": buckets})
}

/// A whole number stays one.
#[expect(clippy::cast_possible_truncation, reason = "only where nothing is lost")]
fn number(value: f64) -> Value {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if value.fract() == 0.0 && value.abs() < EXACT { json!(value as i64) } else { json!(value) }
}

fn series(name: &str, metric: &Metric) -> String {
    if metric.get_label().is_empty() {
        return name.to_owned();
    }
    let label = |pair: &LabelPair| format!("{}=\"{}\"", pair.name(), pair.value());
    format!("{name}{{{}}}", metric.get_label().iter().map(label).collect::<Vec<_>>().join(","))
}
