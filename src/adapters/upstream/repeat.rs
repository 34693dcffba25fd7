//! Sends again what was not answered, where that is safe and there is time for it.

use std::time::{Duration, Instant};

use hyper::Response;
use hyper::body::Incoming;

use super::Repeat;
use super::connections::Lease;
use super::error::UpstreamError;

/// An answer's head and the connection its body comes on.
pub(super) type Attempt = Result<(Response<Incoming>, Lease), UpstreamError>;

const MOST_REPEATS: u32 = 2;
/// Doubled each time.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// Whoever is told to wait for longer is told so, instead of being kept waiting.
const LONGEST_PAUSE: Duration = Duration::from_secs(3);

/// Attempts until one is answered, the repeats are used up, or the time is.
pub(super) async fn repeated<F>(repeat: Repeat, deadline: Instant, attempt: impl Fn() -> F) -> Attempt
where
    F: Future<Output = Attempt>,
{
    let mut repeats = 0;
    loop {
        let error = match attempt().await {
            Ok(answered) => return Ok(answered),
            Err(error) => error,
        };
        let pause = pause(&error, repeats);
        let may = repeat == Repeat::Safe && repeats < MOST_REPEATS && error.is_worth_repeating();
        if !may || pause > LONGEST_PAUSE || Instant::now() + pause >= deadline {
            return Err(error);
        }
        tokio::time::sleep(pause).await;
        repeats += 1;
    }
}

/// As long as it asks for, or a pause that grows; in both cases a part more by chance, so that not all come at once.
fn pause(error: &UpstreamError, repeats: u32) -> Duration {
    let usual = FIRST_PAUSE * 2_u32.saturating_pow(repeats);
    let asked = error.retry_after().unwrap_or_default();
    let chance = f64::from(getrandom::u32().unwrap_or_default()) / f64::from(u32::MAX);
    asked.saturating_add(usual.mul_f64(0.5 + chance))
}
