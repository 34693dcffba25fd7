//! The services outside: one that hears, one that writes, one that speaks, behind one address. None takes any time.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::json;
use tokio::io::AsyncWriteExt;

use crate::http::find;
use crate::stub::{Caller, Stub, chunk, end_of_words, streamed, whole, words};

/// The model that is asked for summaries, beside the turns.
pub const SUMS_UP: &str = "sums-up";
/// The first sentence is known to be whole once the next one begins.
const FIRST_SENTENCE: &str = "It is good to hear from you. And";
/// By then its sound has long left.
const BEFORE_THE_REST: Duration = Duration::from_millis(30);
/// Between the pieces of what never ends.
const TICK: Duration = Duration::from_millis(1);

/// How a reply is written and spoken.
#[derive(Clone, Copy)]
pub enum Manner {
    /// All of it at once.
    AtOnce,
    /// The first sentence, and the rest a while later.
    InTwo,
    /// On and on, until nobody listens any more.
    Endless,
}

/// What is seen from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// The first sentence of the reply to recording `number` is about to leave.
    Sentence { number: u8, at: Instant },
    /// Nobody listens any more to what is written or spoken.
    Left { at: Instant },
}

pub struct Outside {
    stub: Stub,
    pub seen: mpsc::Receiver<Seen>,
}

impl Outside {
    pub fn start(manner: Manner) -> Result<Self> {
        let (tell, seen) = mpsc::channel();
        let stub = Stub::start(move |caller| Service { caller, manner, tell: tell.clone() }.serve())?;
        Ok(Self { stub, seen })
    }

    /// Where all three are.
    pub fn base(&self) -> String {
        format!("http://{}/v1", self.stub.address)
    }
}

struct Service {
    caller: Caller,
    manner: Manner,
    tell: mpsc::Sender<Seen>,
}

impl Service {
    async fn serve(mut self) -> Result<()> {
        loop {
            let request = self.caller.request().await?;
            if request.starts_with(b"POST /v1/audio/transcriptions ") {
                let heard = json!({"text": format!("I am number {} today", number_heard(request)?)});
                let answer = whole("application/json", heard.to_string().as_bytes());
                self.caller.stream.write_all(&answer).await?;
            } else if request.starts_with(b"POST /v1/chat/completions ") {
                if find(request, SUMS_UP.as_bytes()).is_some() {
                    self.sum_up().await?;
                } else {
                    let number = number_said(request)?;
                    self.write(number).await?;
                }
            } else {
                self.speak().await?;
            }
        }
    }

    async fn sum_up(&mut self) -> Result<()> {
        let words = [words(Some("They talked.")), end_of_words()].concat();
        let summary = [streamed("text/event-stream").into_bytes(), words].concat();
        Ok(self.caller.stream.write_all(&summary).await?)
    }

    async fn write(&mut self, number: u8) -> Result<()> {
        let head = [streamed("text/event-stream").as_bytes(), &words(Some(FIRST_SENTENCE))].concat();
        let rest = [words(Some(" how are you?")), end_of_words()].concat();
        // Nobody asks where it is of no interest.
        let _ = self.tell.send(Seen::Sentence { number, at: Instant::now() });
        match self.manner {
            Manner::AtOnce => self.caller.stream.write_all(&[head, rest].concat()).await?,
            Manner::InTwo => {
                self.caller.stream.write_all(&head).await?;
                tokio::time::sleep(BEFORE_THE_REST).await;
                self.caller.stream.write_all(&rest).await?;
            }
            Manner::Endless => self.go_on(&head, &words(Some(" on"))).await?,
        }
        Ok(())
    }

    async fn speak(&mut self) -> Result<()> {
        match self.manner {
            Manner::AtOnce | Manner::InTwo => {
                self.caller.stream.write_all(&whole("audio/mpeg", &sound(40))).await?;
            }
            Manner::Endless => {
                let head = [streamed("audio/mpeg").as_bytes(), &chunk(&sound(4))].concat();
                self.go_on(&head, &chunk(&sound(1))).await?;
            }
        }
        Ok(())
    }

    /// Until the connection is closed; fails then, for it is.
    async fn go_on(&mut self, head: &[u8], more: &[u8]) -> Result<()> {
        self.caller.stream.write_all(head).await?;
        let mut ticks = tokio::time::interval(TICK);
        loop {
            let left = tokio::select! {
                biased;
                () = self.caller.left() => true,
                _ = ticks.tick() => false,
            };
            if left || self.caller.stream.write_all(more).await.is_err() {
                let _ = self.tell.send(Seen::Left { at: Instant::now() });
                anyhow::bail!("nobody listens any more");
            }
        }
    }
}

/// So many frames of MP3 (128 kbit/s, 44,100 Hz), 26 ms each.
fn sound(frames: usize) -> Vec<u8> {
    let mut frame = vec![0xFF, 0xFB, 0x90, 0x00];
    frame.resize(417, 0);
    frame.repeat(frames)
}

/// What the samples of the recording hold: see `recording`.
fn number_heard(form: &[u8]) -> Result<u8> {
    let data = form.windows(4).rposition(|four| four == b"data").context("no recording")?;
    form.get(data + 8).copied().context("an empty recording")
}

/// What was last said: `I am number 7 today`.
fn number_said(request: &[u8]) -> Result<u8> {
    const SAID: &[u8] = b"I am number ";
    let said = request.windows(SAID.len()).rposition(|part| part == SAID).context("nothing was said")?;
    let rest = &request[said + SAID.len()..];
    let end = find(rest, b" ").context("no end")?;
    Ok(std::str::from_utf8(&rest[..end])?.parse()?)
}
