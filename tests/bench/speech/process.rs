//! What a turn costs whose recording comes as a form and whose reply is heard as a file.

use std::time::Instant;

use anyhow::{Result, ensure};
use serde_json::Value;

use super::outside::{Manner, Outside};
use super::{recording, serve};
use crate::Bench;
use crate::edge::pinned::processor_seconds;
use crate::http::{self, Client};
use crate::table::{Figure, Reach, Row, median, millis};

const BOUNDARY: &str = "----a-browser-makes-one-like-this";
/// 64 kB of samples.
const SECONDS: f64 = 2.0;

pub fn measure(bench: &Bench) -> Result<Vec<Row>> {
    let outside = Outside::start(Manner::AtOnce)?;
    let server = serve(bench, "speech-process", &outside, &[])?;
    let request = request(&http::start_session(server.address)?);
    let mut client = Client::connect(server.address)?;
    talk(&mut client, &request, bench.size(20, 1))?;
    let turns = bench.size(500, 5);
    let before = processor_seconds(server.id())?;
    let times = talk(&mut client, &request, turns)?;
    let spent = (processor_seconds(server.id())? - before) * 1000.0 / f64::from(turns);
    Ok(vec![
        Row::new(
            "`/voice/process` with a WAV of 64 kB, processor time a turn",
            Figure::millis(spent),
            None,
            Reach::AtMost(Figure::millis(3.0)),
        ),
        Row::new(
            "the same, from request to answer, median",
            Figure::millis(median(&times)),
            None,
            Reach::Told,
        ),
    ])
}

fn talk(client: &mut Client, request: &[u8], turns: u32) -> Result<Vec<f64>> {
    let mut times = Vec::new();
    for _ in 0..turns {
        let began = Instant::now();
        let (status, body) = client.ask(request)?;
        times.push(millis(began.elapsed()));
        let told: Value = serde_json::from_slice(body)?;
        ensure!(status == 200 && told["audio_url"].is_string(), "a turn was answered {status}: {told}");
    }
    Ok(times)
}

/// As a browser sends its form.
fn request(session: &str) -> Vec<u8> {
    let recording = recording(SECONDS, 0);
    let part = |name: &str| format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"");
    let mut body = format!("{}\r\n\r\n{session}\r\n", part("session_id")).into_bytes();
    let file = format!("{}; filename=\"recording.wav\"\r\nContent-Type: audio/wav\r\n\r\n", part("audio"));
    body.extend_from_slice(file.as_bytes());
    body.extend_from_slice(&recording);
    body.extend_from_slice(format!("\r\n--{BOUNDARY}--\r\n").as_bytes());
    let mut request = format!(
        "POST /api/v1/voice/process HTTP/1.1\r\nHost: companion\r\nContent-Length: {}\r\n\
         Content-Type: multipart/form-data; boundary={BOUNDARY}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    request.append(&mut body);
    request
}
