//! Many replies that are streamed at the same time.

use futures_util::future::join_all;

use crate::support::{Flooded, KIB, Wire, address_of, turn};

const REPLIES: usize = 1000;

#[test]
fn a_thousand_streamed_replies_begun_within_10_seconds_are_all_whole_and_take_80_kib_each_at_most() {
    let persona = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&persona, long_winded()).unwrap();
    let flooded = Flooded::start(&[("PERSONA_FILE", persona.path().to_str().unwrap())]);
    flooded.warm_up();
    let before = flooded.resident();
    let mut wires = Vec::new();
    for first in (0..REPLIES).step_by(100) {
        let to = flooded.address;
        let some = (first..first + 100).map(|number| async move {
            let mut wire = Wire::connect(&address_of(number), to).await;
            let session = wire.start_session().await;
            (wire, session)
        });
        wires.extend(flooded.runtime.block_on(join_all(some)));
    }
    let replies = wires.into_iter().map(|(wire, session)| flooded.runtime.spawn(whole_reply(wire, session)));
    let replies: Vec<_> = replies.collect();
    let mut at_once = 0.0_f64;
    let mut most = 0;
    while replies.iter().any(|reply| !reply.is_finished()) {
        at_once = at_once.max(flooded.runtime.block_on(flooded.gauge("companion_inflight_turns")));
        most = most.max(flooded.resident());
    }
    for reply in flooded.runtime.block_on(join_all(replies)) {
        let text = reply.unwrap();
        assert!(text.contains("event: done") && text.ends_with("\r\n0\r\n\r\n"), "not whole: {text}");
    }
    let each = most.saturating_sub(before) / REPLIES as u64;
    println!("{at_once} at once, {each} bytes each");
    assert!(at_once >= REPLIES as f64, "only {at_once} ran at the same time");
    assert!(each <= 80 * KIB, "{each} bytes each");
}

/// Who takes ten seconds to say it: at 25 ms a word, all have begun before the first has ended.
fn long_winded() -> String {
    let words = "word ".repeat(400);
    let persona = include_str!("../../src/config/persona.toml");
    // What it says of itself comes word by word; what words of self-harm are answered with comes at once.
    let (before, honesty) = persona.split_once("honesty = \"\"\"\n").unwrap();
    format!("{before}honesty = \"\"\"\n{words}{honesty}")
}

/// What is answered to a turn, head and all.
async fn whole_reply(mut wire: Wire, session: String) -> String {
    let said = "Connection: close\r\nAccept: text/event-stream";
    let request = String::from_utf8(turn(&session, "Are you a person?", "text/event-stream")).unwrap();
    wire.send(request.replacen("Accept: text/event-stream", said, 1).as_bytes()).await;
    String::from_utf8(wire.rest().await).unwrap()
}
