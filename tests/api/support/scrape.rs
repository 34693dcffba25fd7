//! Prometheus' text, read as Prometheus reads it.

use std::collections::BTreeMap;

use super::{TestApp, wait_for};

/// What one scrape told.
#[derive(Debug)]
pub struct Scrape {
    /// Each series, labels included, and its value.
    pub series: BTreeMap<String, f64>,
    /// Each metric and its help.
    pub help: BTreeMap<String, String>,
}

impl Scrape {
    pub fn of(app: &TestApp) -> Self {
        Self::read(&app.get("/metrics").expect(200).text())
    }

    /// With what is on disk and in the database: the first one who asks may be told before it is looked at.
    #[track_caller]
    pub fn of_house(app: &TestApp) -> Self {
        let mut last = None;
        wait_for("the house is looked at", || {
            last.insert(Self::of(app)).series.contains_key("companion_turns_to_learn")
        });
        last.unwrap()
    }

    #[track_caller]
    pub fn read(text: &str) -> Self {
        let (mut series, mut help) = (BTreeMap::new(), BTreeMap::new());
        for line in text.lines() {
            if let Some(told) = line.strip_prefix("# HELP ") {
                let (name, told) = told.split_once(' ').unwrap();
                help.insert(name.to_owned(), told.to_owned());
            } else if !line.starts_with('#') {
                let (name, value) = line.rsplit_once(' ').unwrap();
                let before = series.insert(name.to_owned(), value.parse().unwrap());
                assert_eq!(before, None, "{name} is told twice");
            }
        }
        Self { series, help }
    }

    /// The value of a series that has to be there.
    #[track_caller]
    pub fn value(&self, series: &str) -> f64 {
        *self.series.get(series).unwrap_or_else(|| panic!("no {series} in {self:#?}"))
    }

    /// The value of a series that begins with its first event.
    pub fn count(&self, series: &str) -> f64 {
        self.series.get(series).copied().unwrap_or_default()
    }

    /// How many requests were answered so.
    pub fn requests(&self, method: &str, route: &str, status: u16) -> f64 {
        self.count(&format!(
            "companion_http_requests_total{{method=\"{method}\",route=\"{route}\",status=\"{status}\"}}"
        ))
    }
}
