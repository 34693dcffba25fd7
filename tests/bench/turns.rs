//! What the server adds to a model's own time: 16 streamed turns at once on kept-alive connections, round after round,
//! against the same model called directly.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use companion::config::ServerConfig;
use companion::domain::chat::{ChatModel, Pace, Persona, Prompt, ReplyStream, ServiceState};
use companion::domain::clock::Timestamp;
use companion::startup::{Application, Substitutes};
use futures_util::{StreamExt, stream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::sync::{Barrier, oneshot};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::SubscriberExt;

use crate::Bench;
use crate::http::{self, find};
use crate::table::{Figure, Reach, Row, median, millis, quantile};

const AT_ONCE: usize = 16;
const TOKENS: usize = 32;
/// Rounds that are not counted: after them every session has all the history a model is shown.
const WARM_UP: usize = 25;

/// Answers at once, in as many pieces as a short reply has.
struct Stub;

impl ChatModel for Stub {
    fn reply(&self, _: Prompt) -> ReplyStream {
        stream::iter((0..TOKENS).map(|_| Ok("token ".to_owned()))).boxed()
    }

    fn state(&self) -> ServiceState {
        ServiceState::Offline
    }
}

/// Milliseconds of every turn.
#[derive(Default)]
struct Times {
    first: Vec<f64>,
    done: Vec<f64>,
}

pub fn measure(bench: &Bench) -> Result<Vec<Row>> {
    let rounds = bench.size(1000, 5);
    log_to_nowhere()?;
    let config = ServerConfig::for_testing(&bench.path("turns"));
    let mut config = config.map_err(|told| anyhow::anyhow!("{told}"))?;
    config.limits.turns_per_minute = None;
    // As in the server's own main.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let direct = runtime.block_on(call_directly(rounds, config.persona.clone()))?;
    let served = serve(&runtime, &config, rounds)?;
    Ok(rows(&direct, &served))
}

/// Every line is made, as in the server, and thrown away.
fn log_to_nowhere() -> Result<()> {
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::sink).json().flatten_event(true);
    let lines = lines.with_filter(tracing::level_filters::LevelFilter::INFO);
    tracing::subscriber::set_global_default(tracing_subscriber::registry().with(lines))?;
    Ok(())
}

fn rows(direct: &Times, served: &Times) -> Vec<Row> {
    let row = |what: &str, served: f64, direct: f64, most: f64| {
        let what = format!("added before {what}, {AT_ONCE} turns at once");
        Row::new(what, Figure::millis(served - direct), None, Reach::AtMost(Figure::millis(most)))
    };
    let (first, done) = (median(&direct.first), median(&direct.done));
    vec![
        row("the first token, median", median(&served.first), first, 1.0),
        row("the first token, p99", quantile(&served.first, 0.99), first, 5.0),
        row("`done`, p99", quantile(&served.done, 0.99), done, 20.0),
        Row::new("the same, median", Figure::millis(median(&served.done) - done), None, Reach::Told),
    ]
}

async fn call_directly(rounds: usize, persona: Persona) -> Result<Times> {
    let persona = Arc::new(persona);
    let mut times = Times::default();
    for _ in 0..rounds {
        let calls = (0..AT_ONCE).map(|_| tokio::spawn(call(persona.clone()))).collect::<Vec<_>>();
        for call in calls {
            let (first, done) = call.await?;
            times.first.push(first);
            times.done.push(done);
        }
    }
    Ok(times)
}

async fn call(persona: Arc<Persona>) -> (f64, f64) {
    let prompt = Prompt {
        persona,
        memories: Vec::new(),
        summary: None,
        history: Arc::default(),
        said: "hello".to_owned(),
        said_at: Timestamp::from_millis(0),
        done: Vec::new(),
        pace: Pace::Live,
    };
    let began = Instant::now();
    let mut pieces = Stub.reply(prompt);
    drop(pieces.next().await);
    let first = millis(began.elapsed());
    while pieces.next().await.is_some() {}
    (first, millis(began.elapsed()))
}

fn serve(runtime: &Runtime, config: &ServerConfig, rounds: usize) -> Result<Times> {
    let substitutes = Substitutes { model: Some(Arc::new(Stub)), ..Substitutes::default() };
    let application = runtime.block_on(async { Application::build(config, substitutes) })?;
    let address = application.url().trim_start_matches("http://").parse()?;
    let (stop, stopped) = oneshot::channel::<()>();
    let stopped = async { drop(stopped.await) };
    let serving = runtime.spawn(application.run_until_stopped(stopped, std::future::pending()));
    let client = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let times = client.block_on(talk(address, rounds));
    drop(stop);
    runtime.block_on(serving)??;
    times
}

async fn talk(address: SocketAddr, rounds: usize) -> Result<Times> {
    let together = Arc::new(Barrier::new(AT_ONCE));
    let mut talkers = Vec::new();
    for _ in 0..AT_ONCE {
        let session = tokio::task::spawn_blocking(move || http::start_session(address)).await??;
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let together = together.clone();
        talkers.push(tokio::spawn(Talker { stream, session, together }.talk(rounds)));
    }
    let mut times = Times::default();
    for talker in talkers {
        let Times { first, done } = talker.await??;
        times.first.extend(first);
        times.done.extend(done);
    }
    Ok(times)
}

struct Talker {
    stream: TcpStream,
    session: String,
    together: Arc<Barrier>,
}

impl Talker {
    async fn talk(mut self, rounds: usize) -> Result<Times> {
        let mut times = Times::default();
        let mut received = Vec::new();
        for round in 0..WARM_UP + rounds {
            let request = http::streamed_turn(&self.session, "I went for a walk along the river");
            self.together.wait().await;
            let (first, done) = turn(&mut self.stream, &request, &mut received).await?;
            if round >= WARM_UP {
                times.first.push(first);
                times.done.push(done);
            }
        }
        Ok(times)
    }
}

/// Milliseconds to the first token and to `done`.
pub async fn turn(stream: &mut TcpStream, request: &[u8], received: &mut Vec<u8>) -> Result<(f64, f64)> {
    received.clear();
    let began = Instant::now();
    stream.write_all(request).await?;
    let mut first = None;
    loop {
        ensure!(stream.read_buf(received).await? > 0, "the server closed the connection");
        if first.is_none() && find(received, b"event: token").is_some() {
            first = Some(millis(began.elapsed()));
        }
        if received.ends_with(b"0\r\n\r\n") {
            let done = millis(began.elapsed());
            if find(received, b"event: done").is_none() {
                bail!("a turn failed: {}", String::from_utf8_lossy(received));
            }
            return Ok((first.context("a turn without a token")?, done));
        }
    }
}
