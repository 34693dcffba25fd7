//! An upstream's answer: its head, and its body as it comes.

use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::Response;
use hyper::body::Incoming;
use hyper::header::CONTENT_TYPE;

use super::Ending;
use super::connections::{Lease, described};
use super::error::{Stage, UpstreamError};

/// What comes after all that is wanted.
const LONGEST_END: Duration = Duration::from_secs(1);

/// An answer with a 2xx status. Dropping it closes the connection, unless its body was read to the end.
pub struct Reply {
    response: Response<Incoming>,
    lease: Lease,
    ending: Ending,
    silence: Duration,
    deadline: Instant,
    ended: bool,
}

impl Reply {
    pub(super) fn new(
        response: Response<Incoming>,
        lease: Lease,
        ending: Ending,
        (silence, deadline): (Duration, Instant),
    ) -> Self {
        Self { response, lease, ending, silence, deadline, ended: false }
    }

    /// The kind of the body, in lower case and without its parameters: `audio/mpeg`.
    #[must_use]
    pub fn content_type(&self) -> Option<String> {
        let told = self.response.headers().get(CONTENT_TYPE)?.to_str().ok()?;
        told.split(';').next().map(|kind| kind.trim().to_ascii_lowercase())
    }

    /// The next piece of the body; `None` at its end.
    ///
    /// # Errors
    /// It fell silent, takes too long, or the connection broke; then nothing more comes.
    pub async fn piece(&mut self) -> Result<Option<Bytes>, UpstreamError> {
        let next = self.next().await;
        next.map_err(|error| self.fails(error))
    }

    /// The next piece of what may come until then behind all that is wanted: whatever keeps it from coming is its end, and no
    /// failure. After that nothing more comes.
    pub async fn piece_behind(&mut self, until: Instant) -> Option<Bytes> {
        let next = tokio::time::timeout_at(until.into(), self.next()).await;
        let piece = next.ok().and_then(Result::ok).flatten();
        if piece.is_none() {
            self.ended = true;
            self.ending.is_whole();
        }
        piece
    }

    async fn next(&mut self) -> Result<Option<Bytes>, UpstreamError> {
        while !self.ended {
            let left = self.deadline.saturating_duration_since(Instant::now());
            let frame = self.lease.drive(self.response.body_mut().frame());
            let frame = tokio::time::timeout(self.silence.min(left), frame);
            match frame.await {
                Ok(Some(Ok(frame))) => {
                    if let Ok(data) = frame.into_data()
                        && !data.is_empty()
                    {
                        self.ending.begins();
                        return Ok(Some(data));
                    }
                }
                Ok(Some(Err(error))) => return Err(described(&error)),
                Ok(None) => {
                    self.ended = true;
                    self.lease.give_back();
                    self.ending.is_whole();
                }
                Err(_) => {
                    let stage = if left <= self.silence { Stage::Total } else { Stage::Silence };
                    return Err(UpstreamError::TimedOut(stage));
                }
            }
        }
        Ok(None)
    }

    /// The whole body, of at most so many bytes; where that makes no sense, [`Self::garbage`] says so.
    ///
    /// # Errors
    /// As [`Self::piece`], and when it is longer.
    pub async fn whole(&mut self, most_bytes: usize) -> Result<Bytes, UpstreamError> {
        let mut whole = BytesMut::new();
        while let Some(piece) = self.piece().await? {
            if whole.len() + piece.len() > most_bytes {
                return Err(self.garbage("it is too long"));
            }
            whole.extend_from_slice(&piece);
        }
        Ok(whole.freeze())
    }

    /// Notes that what came makes no sense, which counts as a failure.
    pub fn garbage(&mut self, what: &'static str) -> UpstreamError {
        self.fails(UpstreamError::Garbage(what))
    }

    /// Notes that an answer came as it should and says nothing, which is no failure of the service's: what it was asked may be why.
    pub fn says_nothing(&mut self, why: &'static str) -> UpstreamError {
        self.fails(UpstreamError::Nothing(why))
    }

    /// Notes that the body has ended before what was asked for did, which counts as a failure.
    pub fn broke_off(&mut self) -> UpstreamError {
        self.fails(UpstreamError::Unreachable("it broke off in the middle of its answer".to_owned()))
    }

    /// All that is wanted has come: the end of the body, which is due, is read in the background, so that the connection can
    /// be used again.
    pub fn is_enough(mut self) {
        self.ending.is_whole();
        tokio::spawn(async move {
            let rest = async { while let Ok(Some(_)) = self.piece().await {} };
            // One that does not end is closed.
            drop(tokio::time::timeout(LONGEST_END, rest).await);
        });
    }

    fn fails(&mut self, error: UpstreamError) -> UpstreamError {
        self.ended = true;
        self.ending.failed(&error);
        error
    }
}
