//! `/livez` over many connections, against actix-web that answers the same bytes and does nothing else.

use anyhow::{Result, ensure};

use crate::Bench;
use crate::edge::Ours;
use crate::edge::answer::{ask, request};
use crate::edge::wrk::Load;
use crate::house::House;
use crate::table::{Figure, Reach, Row, median};

const CONNECTIONS: u32 = 512;

pub fn measure(bench: &Bench) -> Result<Vec<Row>> {
    let house = House::new(bench.path("edge-livez"));
    let ours = Ours::start_house(&house)?;
    let model = ask(ours.address, &request("/livez", ""))?;
    ensure!(model.status == 200, "/livez was answered {}", model.status);
    let bare = Ours::start_bare(&model, "/livez")?;
    model.is_like(&ask(bare.address, &request("/livez", ""))?)?;
    let load = Load {
        path: "/livez",
        headers: &[],
        connections: CONNECTIONS,
        seconds: bench.size(2, 1),
        ..Load::default()
    };
    let (mut ours_rates, mut bare_rates) = (Vec::new(), Vec::new());
    for _ in 0..bench.size(9, 1) {
        ours_rates.push(load.per_processor_second(ours.address, ours.id())?);
        bare_rates.push(load.per_processor_second(bare.address, bare.id())?);
    }
    let what = format!("`/livez`, {CONNECTIONS} connections, against bare actix-web, per processor second");
    let (ours, bare) = (Figure::per_second(median(&ours_rates)), Figure::per_second(median(&bare_rates)));
    Ok(vec![Row::new(what, ours, Some(bare), Reach::TimesAtLeast(0.85))])
}
