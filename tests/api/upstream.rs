//! What is asked over the network: connections, time limits, repeats and the circuit breaker, against a server that misbehaves.

use std::sync::Arc;
use std::time::{Duration, Instant};

use companion::adapters::upstream::{
    Ask, BreakerSettings, Outbound, Patience, Repeat, Setup, Stage, Upstream, UpstreamError,
};
use companion::domain::chat::ServiceState;
use companion::domain::upstream::{CallEnd, Circuit, Upstream as _};
use serde_json::json;
use tokio::runtime::Runtime;

use crate::refusing::Refusing;
use crate::support::outside::{Outside, Part, chunk, end, events_begin, refusal, whole};
use crate::support::wait_for;

const LONG: Duration = Duration::from_secs(20);
const SHORT: Duration = Duration::from_millis(60);

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

fn fine() -> Vec<Part> {
    whole(200, &[], &json!({"fine": true}))
}

fn setup(url: &str) -> Setup {
    Setup {
        name: "llm",
        base: url.parse().unwrap(),
        key: None,
        probe: None,
        one_purpose: false,
        most_connections: 8,
        patience: Patience { place: LONG, connect: LONG, first_byte: LONG, silence: LONG, total: LONG },
        breaker: BreakerSettings { threshold: 3, recovery: LONG },
    }
}

fn upstream(url: &str, change: impl FnOnce(&mut Setup)) -> Arc<Upstream> {
    let mut setup = setup(url);
    change(&mut setup);
    Upstream::new(&Outbound::new().unwrap(), setup)
}

fn ask() -> Ask {
    Ask::post("thing", "application/json".parse().unwrap(), "{}")
}

async fn answer(upstream: &Upstream, repeat: Repeat) -> Result<Vec<u8>, UpstreamError> {
    Ok(upstream.send(&ask(), repeat).await?.whole(1 << 20).await?.to_vec())
}

fn ended(upstream: &Arc<Upstream>, how: CallEnd) -> u64 {
    let place = CallEnd::ALL.iter().position(|end| *end == how).unwrap();
    upstream.clone().report().calls[place]
}

#[test]
fn calls_share_a_few_connections_however_many_there_are() {
    let delay = Duration::from_millis(20);
    let outside = Outside::new([vec![Part::Pause(delay)], fine()].concat());
    let upstream = upstream(&outside.url, |_| {});
    runtime().block_on(async {
        let calls: Vec<_> = (0..200)
            .map(|_| {
                let upstream = upstream.clone();
                tokio::spawn(async move { answer(&upstream, Repeat::Never).await })
            })
            .collect();
        for call in calls {
            assert_eq!(call.await.unwrap().unwrap(), br#"{"fine":true}"#);
        }
        assert_eq!((outside.connections(), upstream.clone().report().connections), ((8, 8), 8));
    });
    let seen = &outside.requests("/v1/thing")[0];
    assert_eq!((seen.json(), seen.header("authorization")), (json!({}), None));
    assert_eq!(ended(&upstream, CallEnd::Answered), 200);
}

#[test]
fn who_finds_no_free_connection_is_told_so_and_the_next_one_finds_one() {
    let outside = Outside::new(fine());
    let upstream = upstream(&outside.url, |setup| {
        setup.most_connections = 1;
        setup.patience.place = SHORT;
    });
    runtime().block_on(async {
        outside.next(vec![events_begin(), chunk("a"), Part::UntilGone]);
        let mut held = upstream.send(&ask(), Repeat::Never).await.unwrap();
        assert_eq!(held.piece().await.unwrap().unwrap(), "a");
        assert_eq!(answer(&upstream, Repeat::Safe).await, Err(UpstreamError::Busy));
        drop(held);
        wait_for("it is closed", || outside.open() == 0);
        assert!(answer(&upstream, Repeat::Never).await.is_ok());
    });
    assert_eq!((outside.connections().1, ended(&upstream, CallEnd::Busy)), (1, 1));
    assert_eq!(ended(&upstream, CallEnd::Left), 1);
}

#[test]
fn dropping_an_answer_closes_its_connection_within_50_ms() {
    let outside = Outside::new(vec![events_begin(), chunk("a"), Part::UntilGone]);
    let upstream = upstream(&outside.url, |_| {});
    runtime().block_on(async {
        let mut reply = upstream.send(&ask(), Repeat::Never).await.unwrap();
        assert_eq!(reply.piece().await.unwrap().unwrap(), "a");
        let left = Instant::now();
        drop(reply);
        wait_for("it is seen", || !outside.gone().is_empty());
        assert!(outside.gone()[0] - left < Duration::from_millis(50));
        // Also before there is an answer.
        outside.usually(vec![Part::UntilGone]);
        let waiting = answer(&upstream, Repeat::Safe);
        assert!(tokio::time::timeout(SHORT, waiting).await.is_err());
        wait_for("it is seen again", || outside.gone().len() == 2);
    });
    assert_eq!(ended(&upstream, CallEnd::Left), 2);
}

#[test]
fn each_stage_has_its_own_limit() {
    // Longer than whoever answers may be late: only what it does on purpose is too slow.
    const SHORT: Duration = Duration::from_millis(500);
    let outside = Outside::new(vec![Part::UntilGone]);
    let begins = || vec![events_begin(), chunk("a"), Part::UntilGone];
    let drips = (0..100).flat_map(|_| [chunk("a"), Part::Pause(SHORT / 4)]).collect();
    runtime().block_on(async {
        let limited = |change: fn(&mut Patience)| upstream(&outside.url, |setup| change(&mut setup.patience));
        let first = limited(|patience| {
            (patience.place, patience.connect, patience.first_byte) = (SHORT, SHORT, SHORT);
        });
        let told = answer(&first, Repeat::Safe).await;
        assert_eq!(told, Err(UpstreamError::TimedOut(Stage::FirstByte)));
        let silence = limited(|patience| patience.silence = SHORT);
        outside.next(begins());
        assert_eq!(answer(&silence, Repeat::Safe).await, Err(UpstreamError::TimedOut(Stage::Silence)));
        let total = limited(|patience| patience.total = 2 * SHORT);
        outside.next([vec![events_begin()], drips].concat());
        assert_eq!(answer(&total, Repeat::Safe).await, Err(UpstreamError::TimedOut(Stage::Total)));
        assert_eq!(answer(&total, Repeat::Safe).await, Err(UpstreamError::TimedOut(Stage::Total)));
    });
    // Who is late to be read is left before that.
    wait_for("all have come", || outside.requests("/v1/thing").len() >= 4);
    assert_eq!(outside.requests("/v1/thing").len(), 4, "what took too long is not repeated");
}

#[test]
fn what_was_not_answered_is_sent_again_only_where_that_is_safe() {
    let outside = Outside::new(fine());
    runtime().block_on(async {
        let upstream = upstream(&outside.url, |setup| setup.breaker.threshold = 100);
        for broken in
            [vec![Part::Close], refusal(503, &[], "x"), refusal(429, &[("Retry-After", "0.1")], "x")]
        {
            outside.next(broken.clone());
            outside.next(broken.clone());
            assert!(answer(&upstream, Repeat::Safe).await.is_ok());
            outside.next(broken);
            assert!(answer(&upstream, Repeat::Never).await.is_err());
        }
        let before = outside.requests("/v1/thing").len();
        outside.usually(vec![Part::Close]);
        assert!(matches!(answer(&upstream, Repeat::Safe).await, Err(UpstreamError::Unreachable(_))));
        let times = outside.requests("/v1/thing").len() - before;
        assert!((3..=4).contains(&times), "{times}: once more when a connection had rested");
        for fault in [400, 401, 404, 422] {
            outside.next(refusal(fault, &[], "x"));
            assert!(answer(&upstream, Repeat::Safe).await.is_err());
        }
        assert_eq!(outside.requests("/v1/thing").len() - before, times + 4);
    });
}

#[test]
fn a_long_wait_that_is_asked_for_is_told_instead_of_waited() {
    let outside = Outside::new(refusal(429, &[("Retry-After", "17")], "rate_limit_exceeded"));
    let upstream = upstream(&outside.url, |_| {});
    let began = Instant::now();
    let told = runtime().block_on(answer(&upstream, Repeat::Safe)).unwrap_err();
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    assert_eq!(told.retry_after(), Some(Duration::from_secs(17)));
    assert_eq!(told.to_string(), "it answered 429 (rate_limit_exceeded)");
    assert_eq!(outside.requests("/v1/thing").len(), 1);
}

#[test]
fn a_connection_the_upstream_closed_while_it_rested_is_not_missed() {
    let outside = Outside::new(fine());
    let upstream = upstream(&outside.url, |_| {});
    runtime().block_on(async {
        for _ in 0..20 {
            // Closed right after its answer: the next call may find it or not.
            outside.next([fine(), vec![Part::Close]].concat());
            answer(&upstream, Repeat::Safe).await.unwrap();
            wait_for("it is closed", || outside.open() == 0);
        }
    });
    assert_eq!(ended(&upstream, CallEnd::Answered), 20);
}

#[test]
fn who_fails_too_often_is_left_alone_then_tried_once_and_healed_by_a_success() {
    let outside = Outside::new(refusal(500, &[], "x"));
    let recovery = Duration::from_secs(5);
    let upstream = upstream(&outside.url, |setup| setup.breaker.recovery = recovery);
    let failing = || async { answer(&upstream, Repeat::Never).await.unwrap_err() };
    runtime().block_on(async {
        for _ in 0..3 {
            assert_eq!(upstream.clone().report().circuit, Circuit::Closed);
            assert!(matches!(failing().await, UpstreamError::Refused { status: 500, .. }));
        }
        assert_eq!(upstream.clone().report().circuit, Circuit::Open);
        let UpstreamError::CircuitOpen { retry_after } = failing().await else { panic!("it was asked") };
        assert!(retry_after <= recovery && upstream.clone().report().retry_after.unwrap() <= recovery);
        assert_eq!(outside.requests("/v1/thing").len(), 3, "it is left alone");
        wait_for("it has rested", || upstream.clone().report().circuit == Circuit::HalfOpen);
        assert!(matches!(failing().await, UpstreamError::Refused { .. }));
        assert_eq!(upstream.clone().report().circuit, Circuit::Open, "the trial failed");
        wait_for("it has rested again", || upstream.clone().report().circuit == Circuit::HalfOpen);
        outside.next(vec![events_begin(), chunk("a"), Part::Pause(SHORT), end()]);
        outside.usually(fine());
        let mut trial = upstream.send(&ask(), Repeat::Safe).await.unwrap();
        assert!(matches!(failing().await, UpstreamError::CircuitOpen { .. }), "one trial at a time");
        assert_eq!(trial.piece().await.unwrap().unwrap(), "a");
        assert_eq!(upstream.clone().report().circuit, Circuit::Closed, "it answers");
        assert!(answer(&upstream, Repeat::Never).await.is_ok());
        assert_eq!(trial.piece().await.unwrap(), None);
    });
    assert_eq!(outside.requests("/v1/thing").len(), 6);
    assert_eq!((ended(&upstream, CallEnd::Refused), ended(&upstream, CallEnd::CircuitOpen)), (4, 2));
}

#[test]
fn answers_that_are_interrupted_heal_as_whole_ones_do() {
    let outside = Outside::new(refusal(500, &[], "x"));
    let upstream = upstream(&outside.url, |setup| setup.breaker.recovery = Duration::from_secs(5));
    let circuit = || upstream.clone().report().circuit;
    let fails = || async { drop(answer(&upstream, Repeat::Never).await.unwrap_err()) };
    let interrupted = || async {
        outside.next(vec![events_begin(), chunk("a"), Part::UntilGone]);
        let mut reply = upstream.send(&ask(), Repeat::Never).await.unwrap();
        assert_eq!(reply.piece().await.unwrap().unwrap(), "a");
    };
    runtime().block_on(async {
        for _ in 0..3 {
            fails().await;
            fails().await;
            interrupted().await;
            assert_eq!(circuit(), Circuit::Closed, "two in a row are not three");
        }
        for _ in 0..3 {
            fails().await;
        }
        assert_eq!(circuit(), Circuit::Open);
        wait_for("it has rested", || circuit() == Circuit::HalfOpen);
        outside.next(vec![Part::UntilGone]);
        let asked = outside.requests("/v1/thing").len();
        let request = ask();
        tokio::select! {
            _ = upstream.send(&request, Repeat::Never) => panic!("it says nothing"),
            () = async { while outside.requests("/v1/thing").len() == asked { tokio::task::yield_now().await } } => {}
        }
        assert_eq!(circuit(), Circuit::HalfOpen, "nothing is known");
        interrupted().await;
        assert_eq!(circuit(), Circuit::Closed);
    });
    assert_eq!((ended(&upstream, CallEnd::Left), ended(&upstream, CallEnd::CircuitOpen)), (5, 0));
}

#[test]
fn broken_answers_are_told_apart() {
    let outside = Outside::new(fine());
    let upstream = upstream(&outside.url, |setup| setup.breaker.threshold = 100);
    runtime().block_on(async {
        outside.next(vec![Part::Send(b"SSH-2.0-OpenSSH_9.2\r\n".to_vec())]);
        assert_eq!(answer(&upstream, Repeat::Safe).await, Err(UpstreamError::Garbage("it is not HTTP")));
        outside.next(vec![events_begin(), chunk("a"), Part::Close]);
        assert!(matches!(answer(&upstream, Repeat::Safe).await, Err(UpstreamError::Unreachable(_))));
        let large = "x".repeat(2 << 20);
        outside.next(vec![events_begin(), chunk(&large), Part::UntilGone]);
        assert_eq!(answer(&upstream, Repeat::Safe).await, Err(UpstreamError::Garbage("it is too long")));
        outside.next(vec![Part::Send(
            b"HTTP/1.1 302 Found\r\nLocation: http://evil/\r\nContent-Length: 0\r\n\r\n".to_vec(),
        )]);
        assert!(matches!(
            answer(&upstream, Repeat::Safe).await,
            Err(UpstreamError::Refused { status: 302, .. })
        ));
    });
    let nobody = Refusing::new();
    let upstream = self::upstream(&format!("http://{nobody}"), |_| {});
    let told = runtime().block_on(answer(&upstream, Repeat::Safe));
    assert!(matches!(told, Err(UpstreamError::Unreachable(_))), "{told:?}");
}

#[test]
fn of_a_head_and_of_a_refusal_so_much_is_read_and_no_more() {
    let outside = Outside::new(fine());
    let upstream = upstream(&outside.url, |setup| setup.breaker.threshold = 100);
    let refused = |length: usize, body: &str| {
        let head = format!("HTTP/1.1 400 Bad Request\r\nContent-Length: {length}\r\n\r\n{body}");
        Part::Send(head.into_bytes())
    };
    let named = |bytes: usize| {
        let known = r#"{"error": {"code": "named"}}"#;
        format!("{known}{}", " ".repeat(bytes - known.len()))
    };
    runtime().block_on(async {
        let code = async || match answer(&upstream, Repeat::Safe).await {
            Err(UpstreamError::Refused { status: 400, code, .. }) => code,
            other => panic!("{other:?}"),
        };
        for (bytes, told) in [(16 << 10, Some("named")), ((16 << 10) + 1, None)] {
            outside.next(vec![refused(bytes, &named(bytes))]);
            assert_eq!(code().await.as_deref(), told, "{bytes} bytes");
        }
        outside.next(vec![refused(1000, &named(999)), Part::UntilGone]);
        assert_eq!(code().await, None, "the last byte is not waited for");
        for (bytes, is_read) in [(48 << 10, true), (96 << 10, false)] {
            let long = "y".repeat(bytes);
            outside.next(whole(200, &[("X-Long", &long)], &json!({"fine": true})));
            let told = answer(&upstream, Repeat::Never).await;
            assert_eq!(told.is_ok(), is_read, "{bytes} bytes: {told:?}");
        }
        answer(&upstream, Repeat::Never).await.unwrap();
    });
}

#[test]
fn health_knows_whether_it_answers_without_waiting() {
    let outside = Outside::new(fine());
    let upstream = upstream(&outside.url, |setup| setup.probe = Some("models"));
    let runtime = runtime();
    let _inside = runtime.enter();
    assert_eq!(upstream.state(), ServiceState::Disconnected, "nothing is known yet");
    wait_for("it was looked at", || upstream.state() == ServiceState::Connected);
    assert_eq!(outside.requests("/v1/models").len(), 1, "and not again for a while");
    assert_eq!(upstream.clone().report().calls, [0; 8], "a look is no call");
    outside.usually(refusal(401, &[], "invalid_api_key"));
    assert!(runtime.block_on(answer(&upstream, Repeat::Never)).is_err());
    assert_eq!(upstream.state(), ServiceState::Disconnected, "a call has shown it");
    assert_eq!(upstream.clone().report().circuit, Circuit::Closed, "a wrong key is not its fault");
}

#[test]
fn a_trial_that_is_refused_for_what_it_asks_heals_too() {
    let outside = Outside::new(refusal(500, &[], "x"));
    let upstream = upstream(&outside.url, |setup| setup.breaker.recovery = SHORT);
    runtime().block_on(async {
        for _ in 0..3 {
            answer(&upstream, Repeat::Never).await.unwrap_err();
        }
        wait_for("it has rested", || upstream.clone().report().circuit == Circuit::HalfOpen);
        outside.usually(refusal(400, &[], "context_length_exceeded"));
        answer(&upstream, Repeat::Safe).await.unwrap_err();
        assert_eq!(upstream.clone().report().circuit, Circuit::Closed);
    });
}
