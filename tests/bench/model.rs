//! What the server adds to a language model's own time, over the network: a model server of a fixed delay, called directly
//! and through the companion, by 16 and by 256 at once.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use companion::config::{LlmConfig, ServerConfig};
use companion::startup::{Application, Substitutes};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Barrier, oneshot};

use crate::Bench;
use crate::http::{self, find};
use crate::load::rest;
use crate::stub::{Caller, Stub, end_of_words, one_thread, streamed, words};
use crate::table::{Figure, Reach, Row, median, millis, quantile};
use crate::turns::turn;

/// From the last byte of the request to the first token.
const DELAY: Duration = Duration::from_millis(20);
const TOKENS: usize = 32;
/// Rounds that are not counted: connections are made, what is read is in memory.
const WARM_UP: usize = 3;

pub fn measure(bench: &Bench) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for (at_once, rounds, reaches) in
        [(16, bench.size(200, 3), (Some(1.0), 5.0)), (256, bench.size(20, 2), (None, 25.0))]
    {
        let stub = Stub::start(answer)?;
        let direct = one_thread()?.block_on(all(at_once, rounds, Asker::direct(stub.address)))?;
        let served = serve(bench, stub.address, at_once, rounds)?;
        let base = median(&direct);
        let row = |what: &str, value: f64, most: Option<f64>| {
            let what = format!("added before a model's first token, {what}, {at_once} streams at once");
            let reach = most.map_or(Reach::Told, |most| Reach::AtMost(Figure::millis(most)));
            Row::new(what, Figure::millis(value - base), None, reach)
        };
        rows.push(row("median", median(&served), reaches.0));
        rows.push(row("p99", quantile(&served, 0.99), Some(reaches.1)));
        rows.push(row("p99, called directly", quantile(&direct, 0.99), None));
    }
    Ok(rows)
}

fn serve(bench: &Bench, model: SocketAddr, at_once: usize, rounds: usize) -> Result<Vec<f64>> {
    let config = ServerConfig::for_testing(&bench.path(&format!("model-{at_once}")));
    let mut config = config.map_err(|told| anyhow::anyhow!("{told}"))?;
    config.limits.turns_per_minute = None;
    config.outside.llm = Some(LlmConfig {
        base: format!("http://{model}/v1").parse()?,
        key: None,
        model: "large".to_owned(),
        small_model: "small".to_owned(),
        silence: Duration::from_secs(30),
    });
    // As in the server's own main.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let application = runtime.block_on(async { Application::build(&config, Substitutes::default()) })?;
    let address = application.url().trim_start_matches("http://").parse()?;
    let (stop, stopped) = oneshot::channel::<()>();
    let stopped = async { drop(stopped.await) };
    let serving = runtime.spawn(application.run_until_stopped(stopped, std::future::pending()));
    let times = one_thread()?.block_on(all(at_once, rounds, Asker { address, served: true }));
    drop(stop);
    runtime.block_on(serving)??;
    times
}

/// Who asks, and whom.
#[derive(Clone, Copy)]
struct Asker {
    address: SocketAddr,
    served: bool,
}

impl Asker {
    const fn direct(address: SocketAddr) -> Self {
        Self { address, served: false }
    }

    /// Milliseconds to the first token, round by round.
    async fn call(self, rounds: usize, together: Arc<Barrier>) -> Result<Vec<f64>> {
        let address = self.address;
        let session = if self.served {
            tokio::task::spawn_blocking(move || http::start_session(address)).await??
        } else {
            String::new()
        };
        let mut stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (mut times, mut received) = (Vec::new(), Vec::new());
        for round in 0..WARM_UP + rounds {
            if together.wait().await.is_leader() {
                rest(phase(round));
            }
            together.wait().await;
            let first = if self.served {
                let request = http::streamed_turn(&session, "I went for a walk along the river");
                turn(&mut stream, &request, &mut received).await?.0
            } else {
                completion(&mut stream, &mut received).await?
            };
            if round >= WARM_UP {
                times.push(first);
            }
        }
        Ok(times)
    }
}

async fn all(at_once: usize, rounds: usize, asker: Asker) -> Result<Vec<f64>> {
    let together = Arc::new(Barrier::new(at_once));
    let askers: Vec<_> = (0..at_once).map(|_| tokio::spawn(asker.call(rounds, together.clone()))).collect();
    let mut times = Vec::new();
    for asker in askers {
        times.extend(asker.await??);
    }
    Ok(times)
}

/// The stub's clock ticks once a millisecond, and its delay ends with a tick: rounds begin everywhere between two ticks, so
/// that none of those who are compared comes just in time more often than the other.
const fn phase(round: usize) -> Duration {
    Duration::from_micros((round as u64 * 618) % 1000)
}

/// What the companion asks of the model, in size and form.
async fn completion(stream: &mut TcpStream, received: &mut Vec<u8>) -> Result<f64> {
    let messages =
        json!([{"role": "system", "content": "x".repeat(3000)}, {"role": "user", "content": "hello"}]);
    let body = json!({"model": "large", "messages": messages, "stream": true}).to_string();
    let head = "POST /v1/chat/completions HTTP/1.1\r\nHost: stub\r\nContent-Type: application/json";
    let request = format!("{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    received.clear();
    let began = Instant::now();
    stream.write_all(request.as_bytes()).await?;
    let mut first = None;
    while !received.ends_with(b"0\r\n\r\n") {
        ensure!(stream.read_buf(received).await? > 0, "the model closed the connection");
        if first.is_none() && find(received, b"token ").is_some() {
            first = Some(millis(began.elapsed()));
        }
    }
    first.context("a reply without a token")
}

async fn answer(mut caller: Caller) -> Result<()> {
    let (first, rest) = reply();
    loop {
        caller.request().await?;
        tokio::time::sleep(DELAY).await;
        caller.stream.write_all(&first).await?;
        caller.stream.write_all(&rest).await?;
    }
}

/// Head and first token, and what comes after it.
fn reply() -> (Vec<u8>, Vec<u8>) {
    let token = words(Some("token "));
    let first = [streamed("text/event-stream").as_bytes(), &token].concat();
    (first, [token.repeat(TOKENS - 1), end_of_words()].concat())
}
