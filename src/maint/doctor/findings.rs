//! What doctor found: one thing, and a list of them that stays readable.

use serde::Serialize;

/// Of each check so many findings are listed; the rest is counted.
const LISTED: u64 = 100;

/// One thing that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Which check found it.
    pub check: &'static str,
    /// What it is about.
    pub item: String,
    /// What is wrong.
    pub found: String,
    /// What to do, or what `--repair` would do or did.
    pub repair: String,
    /// True when `--repair` does it.
    pub mendable: bool,
}

/// A list of findings that stays readable.
#[derive(Debug, Clone, Default)]
pub(super) struct Ledger {
    pub list: Vec<Finding>,
    pub count: u64,
    of_this_check: u64,
}

impl Ledger {
    pub fn add(&mut self, finding: Finding) {
        self.count += 1;
        self.of_this_check += 1;
        if self.of_this_check <= LISTED {
            self.list.push(finding);
        }
    }

    pub fn end_check(&mut self, check: &'static str) {
        if let Some(more @ 1..) = self.of_this_check.checked_sub(LISTED) {
            let same = "as those before".to_owned();
            self.list.push(Finding {
                check,
                item: format!("{more} more"),
                found: same.clone(),
                repair: same,
                mendable: false,
            });
        }
        self.of_this_check = 0;
    }
}
