//! The page's files against nginx. The real page has none of these sizes, so the server is started with some more in the same
//! table in memory; what serves them is what serves the page's.

use std::fs;
use std::io::Write as _;

use anyhow::{Context, Result};

use crate::Bench;
use crate::edge::answer::{Answer, ask, request};
use crate::edge::nginx::Nginx;
use crate::edge::stand_in::{SIZES, content_of, name_of};
use crate::edge::wrk::Load;
use crate::edge::{Ours, pinned};
use crate::table::{Figure, Reach, Row, median};

const CONNECTIONS: u32 = 64;
/// As browsers ask.
const ACCEPTED: (&str, &str) = ("Accept-Encoding", "gzip, deflate, br, zstd");
/// What is to be reached for each of [`SIZES`], and for 304.
const REACH: [f64; 3] = [1.1, 1.1, 0.6];
const REACH_UNCHANGED: f64 = 1.0;

/// Requests for each second of processor time, round by round: ours and nginx's.
#[derive(Default)]
struct Pair([Vec<f64>; 2]);

pub fn measure(bench: &Bench) -> Result<Vec<Row>> {
    let dir = bench.path("edge-files");
    fs::create_dir_all(dir.join("files/static"))?;
    for size in SIZES {
        let path = dir.join("files/static").join(name_of(size));
        fs::write(&path, content_of(2 * size))?;
        fs::File::create(path.with_extension("js.gz"))?.write_all(&content_of(size))?;
    }
    let mut program = pinned::on_one(std::env::current_exe()?)?;
    program.args(["serve", "production"]).arg(bench.path("edge-files-data"));
    let ours = Ours::start(&mut program)?;
    let nginx = Nginx::start(&dir, &answer(ours.address, SIZES[0], "")?)?;
    let servers = [(ours.address, ours.id()), (nginx.address, nginx.worker)];
    let mut rows = Vec::new();
    for (size, reach) in SIZES.into_iter().zip(REACH) {
        let mut pair = Pair::default();
        answer(servers[0].0, size, "")?.is_like(&answer(servers[1].0, size, "")?)?;
        rounds(bench, &mut pair, &servers, size, [None, None])?;
        rows.push(pair.row(&format!("static file of {} KiB", size >> 10), reach));
    }
    rows.push(unchanged(bench, &servers)?);
    rows.push(largest(bench, servers[0])?);
    Ok(rows)
}

/// What the largest one costs beside what actix-web itself needs for it.
fn largest(bench: &Bench, ours: (std::net::SocketAddr, u32)) -> Result<Row> {
    let size = SIZES[SIZES.len() - 1];
    let model = answer(ours.0, size, "")?;
    let bare = Ours::start_bare(&model, &format!("/static/{}", name_of(size)))?;
    model.is_like(&answer(bare.address, size, "")?).context("bare")?;
    let mut pair = Pair::default();
    rounds(bench, &mut pair, &[ours, (bare.address, bare.id())], size, [None, None])?;
    let [ours, bare] = [0, 1].map(|which| Figure::per_second(median(&pair.0[which])));
    let what = format!("static file of {} KiB, against bare actix-web, per processor second", size >> 10);
    Ok(Row::new(what, ours, Some(bare), Reach::Told))
}

fn unchanged(bench: &Bench, servers: &[(std::net::SocketAddr, u32); 2]) -> Result<Row> {
    let size = SIZES[1];
    let tag = |address| anyhow::Ok(answer(address, size, "")?.header("etag")?.to_owned());
    let tags = [tag(servers[0].0)?, tag(servers[1].0)?];
    let held = |address, tag: &str| answer(address, size, &format!("If-None-Match: {tag}\r\n"));
    held(servers[0].0, &tags[0])?.is_like(&held(servers[1].0, &tags[1])?).context("304")?;
    let mut pair = Pair::default();
    rounds(bench, &mut pair, servers, size, [Some(&tags[0]), Some(&tags[1])])?;
    Ok(pair.row("`If-None-Match` -> 304", REACH_UNCHANGED))
}

fn answer(address: std::net::SocketAddr, size: usize, more: &str) -> Result<Answer> {
    let (name, value) = ACCEPTED;
    ask(address, &request(&format!("/static/{}", name_of(size)), &format!("{name}: {value}\r\n{more}")))
}

fn rounds(
    bench: &Bench,
    pair: &mut Pair,
    servers: &[(std::net::SocketAddr, u32); 2],
    size: usize,
    held: [Option<&str>; 2],
) -> Result<()> {
    let path = format!("/static/{}", name_of(size));
    for _ in 0..bench.size(5, 1) {
        for (which, (address, pid)) in servers.iter().enumerate() {
            let mut headers = vec![ACCEPTED];
            headers.extend(held[which].map(|tag| ("If-None-Match", tag)));
            let load = Load {
                path: &path,
                headers: &headers,
                connections: CONNECTIONS,
                seconds: bench.size(2, 1),
                ..Load::default()
            };
            pair.0[which].push(load.per_processor_second(*address, *pid)?);
        }
    }
    Ok(())
}

impl Pair {
    fn row(&self, what: &str, reach: f64) -> Row {
        let [ours, theirs] = [0, 1].map(|which| Figure::per_second(median(&self.0[which])));
        Row::new(
            format!("{what}, against nginx, per processor second"),
            ours,
            Some(theirs),
            Reach::TimesAtLeast(reach),
        )
    }
}
