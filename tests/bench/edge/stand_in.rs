//! The servers this program itself becomes when it is started as `bench serve ...`: the production server with more files
//! than the page has, and bare actix-web.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::{App, HttpResponse, HttpServer, web};
use anyhow::{Context, Result, bail};
use companion::config::ServerConfig;
use companion::startup::{Application, Substitutes};
use companion::telemetry::logs;
use companion::web::assets::{ASSETS, Asset, Assets, Variant};
use serde_json::Value;
use tokio::signal::unix::{SignalKind, signal};

/// Sizes of the files there are beside the page's, in bytes as they are sent.
pub const SIZES: [usize; 3] = [1 << 10, 10 << 10, 100 << 10];

/// The name of the file of this size.
pub fn name_of(size: usize) -> String {
    format!("bench-{size:016x}.js")
}

/// What is sent of it: nothing that could be compressed further.
pub fn content_of(size: usize) -> Vec<u8> {
    let mut state = 0x5EED_u32;
    let mut byte = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    (0..size).map(|_| byte()).collect()
}

/// Becomes the server that the arguments name, until SIGTERM.
pub fn run(mut arguments: impl Iterator<Item = String>) -> Result<()> {
    let mut next = || arguments.next().context("an argument is missing");
    match next()?.as_str() {
        "production" => production(&PathBuf::from(next()?)),
        "bare" => bare(&next()?),
        other => bail!("{other} is no server"),
    }
}

fn announce(url: &str) -> Result<()> {
    writeln!(std::io::stdout(), "Listening on {url}").context("nobody listens")
}

/// As in the server's own main.
fn runtime() -> Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?)
}

fn production(data_dir: &Path) -> Result<()> {
    let mut config = ServerConfig::for_testing(data_dir).map_err(|told| anyhow::anyhow!("{told}"))?;
    // Everybody's requests are counted, and nobody's are too many.
    config.limits.turns_per_minute = std::num::NonZeroU32::new(1_000_000);
    logs::init(config.log.level, logs::Format::Json);
    runtime()?.block_on(async {
        let mut terminate = signal(SignalKind::terminate())?;
        let substitutes = Substitutes { assets: Assets(assets().leak()), ..Substitutes::default() };
        let application = Application::build(&config, substitutes)?;
        announce(application.url())?;
        let stop = async move {
            terminate.recv().await;
        };
        Ok(application.run_until_stopped(stop, std::future::pending()).await?)
    })
}

/// The page's files and ours, by name.
fn assets() -> Vec<Asset> {
    let mut assets: Vec<_> = ASSETS.to_vec();
    assets.extend(SIZES.map(|size| Asset {
        name: name_of(size).leak(),
        mime: "text/javascript; charset=utf-8",
        identity: Variant { bytes: content_of(2 * size).leak(), etag: tag(2 * size) },
        br: None,
        gzip: Some(Variant { bytes: content_of(size).leak(), etag: tag(size) }),
    }));
    assets.sort_by(|a, b| a.name.cmp(b.name));
    assets
}

/// As long as those of the page's files.
fn tag(size: usize) -> &'static str {
    format!("\"{size:032x}\"").leak()
}

/// Answers one address with these headers and this body, told by [`Answer::for_bare`], and does nothing else.
///
/// [`Answer::for_bare`]: crate::edge::answer::Answer::for_bare
fn bare(answer: &str) -> Result<()> {
    let answer: Value = serde_json::from_str(answer)?;
    let path = answer["path"].as_str().context("no path")?.to_owned();
    let body = match (answer["body"].as_str(), answer["bytes"].as_u64()) {
        (Some(text), _) => text.to_owned().into_bytes(),
        (None, bytes) => content_of(usize::try_from(bytes.context("no body")?)?),
    };
    let body: &'static [u8] = body.leak();
    let mut headers = Vec::new();
    for (name, value) in answer["headers"].as_object().context("no headers")? {
        let value: &'static str = value.as_str().context("no text")?.to_owned().leak();
        headers.push((name.parse::<HeaderName>()?, HeaderValue::from_static(value)));
    }
    let headers: &'static [_] = headers.leak();
    runtime()?.block_on(async move {
        let told = move || async move {
            let mut response = HttpResponse::Ok();
            for header in headers {
                response.insert_header(header.clone());
            }
            response.body(body)
        };
        let server = HttpServer::new(move || App::new().route(&path, web::get().to(told)));
        let server = server.workers(1).tcp_nodelay(true).bind("127.0.0.1:0")?;
        announce(&format!("http://{}", server.addrs()[0]))?;
        Ok(server.run().await?)
    })
}
