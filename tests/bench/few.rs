//! A few sessions expire among very many: the cost must follow what is deleted, not what is kept.

use anyhow::{Result, ensure};

use crate::Bench;
use crate::house::House;
use crate::seed::{self, DAY, HOUR, Shape};
use crate::table::{Figure, Reach, Row, median, millis};

/// Every round takes the sessions of its own day: round 0 those older than this many days, round 1 those a day younger.
const OLDEST_DAYS: u32 = 100;

pub fn measure(bench: &Bench) -> Result<Vec<Row>> {
    let rounds = bench.size(5, 2);
    let expired = bench.size(1000, 20);
    let few = built(bench, "few", bench.size(100_000, 200), expired)?;
    let many = built(bench, "many", bench.size(1_000_000, 2000), expired)?;
    let (mut of_few, mut of_many) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        for (house, times) in [(&few, &mut of_few), (&many, &mut of_many)] {
            let days = (OLDEST_DAYS - round).to_string();
            let ran = house.maint(&["cleanup-sessions", "--retention-days", &days])?;
            let deleted = ran.count("sessions_deleted");
            ensure!(deleted == u64::from(expired), "{deleted} sessions were deleted");
            times.push(millis(ran.took()));
        }
    }
    few.remove()?;
    many.remove()?;
    let what = format!("cleanup of {expired} sessions of {}", bench.size(1_000_000, 2000));
    let what = format!("{what}, against of {}, median of {rounds}", bench.size(100_000, 200));
    let (many, few) = (Figure::millis(median(&of_many)), Figure::millis(median(&of_few)));
    Ok(vec![Row::new(what, many, Some(few), Reach::Times(1.3))])
}

/// `expired` sessions in each of the first days, the others young.
fn built(bench: &Bench, name: &str, sessions: u32, expired: u32) -> Result<House> {
    let house = House::built(bench.path(name))?;
    let age = move |number: u32| match OLDEST_DAYS.checked_sub(number / expired) {
        Some(days) if number < 5 * expired => i64::from(days) * DAY + HOUR,
        _ => 29 * DAY - i64::from(number) % (28 * DAY),
    };
    seed::fill(&house, &Shape { sessions, turns: 1, said: 40..310, answered: 120..440, age: &age })?;
    Ok(house)
}
