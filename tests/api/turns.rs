//! Turns at the same time, turns sent again, clients that leave, servers that stop.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::model::pieces;
use crate::support::wire::{Answer, Event};
use crate::support::{Talk, TestApp, agent, wait_for};

const TURN: &str = "11111111-1111-4111-8111-111111111111";

fn turn(talk: &Talk, message: &str) -> Value {
    json!({"session_id": talk.session, "message": message})
}

fn named(talk: &Talk, message: &str) -> Value {
    json!({"session_id": talk.session, "message": message, "turn_id": TURN})
}

fn done(events: &[Event]) -> &Value {
    let last = events.last().unwrap();
    assert_eq!(last.name, "done", "{}", last.data);
    &last.data
}

#[test]
fn a_turn_sent_again_answers_with_what_was_kept() {
    let app = TestApp::spawn();
    let talk = app.start_session();
    let first = app.chat(&named(&talk, "hello")).expect(200).json();
    let again = app.chat(&named(&talk, "hello")).expect(200).json();
    let streamed = app.stream(&named(&talk, "hello")).events();
    for reply in [&again, done(&streamed)] {
        assert_eq!(reply["checkpoint_id"], first["checkpoint_id"]);
        assert_eq!(reply["text"], first["text"]);
    }
    assert_eq!(streamed[0].data["text"], first["text"], "the pieces are the text here too");
    assert_eq!((app.model.begun(), app.said(&talk)), (1, vec!["hello".to_owned()]));
    let elsewhere = app.start_session_of(&talk.token);
    let other = app.chat(&named(&elsewhere, "hello")).expect(200).json();
    assert_ne!(other["checkpoint_id"], first["checkpoint_id"], "a turn id names a turn of one session");
}

#[test]
fn a_turn_sent_again_while_it_runs_joins_it() {
    let app = TestApp::spawn();
    let talk = app.start_session();
    let gate = app.model.hold_next("some", " words");
    let mut first = app.stream(&named(&talk, "hello"));
    assert_eq!(first.event().unwrap().data["text"], "some");
    // Its head comes once the server has seen that it is the same turn.
    let mut second = app.stream(&named(&talk, "hello"));
    std::thread::scope(|scope| {
        let third = scope.spawn(|| app.chat(&named(&talk, "hello")).expect(200).json());
        gate.open();
        let (first, second, third) = (first.events(), second.events(), third.join().unwrap());
        assert_eq!(done(&first)["text"], "some words");
        assert_eq!(done(&second)["checkpoint_id"], done(&first)["checkpoint_id"]);
        assert_eq!(second[0].data["text"], "some words");
        assert_eq!(third["checkpoint_id"], done(&first)["checkpoint_id"]);
    });
    assert_eq!((app.model.begun(), app.count("checkpoints")), (1, 1));
}

#[test]
fn many_requests_for_one_turn_are_one_turn() {
    let app = TestApp::spawn();
    let talk = app.start_session();
    let replies: Vec<_> = std::thread::scope(|scope| {
        let ask = || {
            let events = app.stream(&named(&talk, "hello")).events();
            let pieces = events.iter().filter(|event| event.name == "token");
            let together: String = pieces.map(|event| event.data["text"].as_str().unwrap()).collect();
            assert_eq!(done(&events)["text"], together.as_str());
            done(&events)["checkpoint_id"].clone()
        };
        let asked: Vec<_> = (0..16).map(|_| scope.spawn(ask)).collect();
        asked.into_iter().map(|reply| reply.join().unwrap()).collect()
    });
    assert!(replies.iter().all(|reply| *reply == replies[0]), "{replies:?}");
    assert_eq!(app.said(&talk), ["hello"]);
}

#[test]
fn a_turn_that_failed_can_be_sent_again() {
    let app = TestApp::spawn();
    let talk = app.start_session();
    app.model.next(vec![crate::support::model::Step::TimedOut]);
    app.chat(&named(&talk, "hello")).refused(504, "upstream_timeout");
    app.chat(&named(&talk, "hello")).expect(200);
    assert_eq!(app.said(&talk), ["hello"]);
}

#[test]
fn who_leaves_a_stream_takes_the_models_work_along() {
    let app = TestApp::spawn();
    let talk = app.start_session();
    let _never_opened = app.model.hold_next("some", " words");
    let mut streamed = app.stream(&turn(&talk, "hello"));
    assert_eq!(streamed.event().unwrap().data["text"], "some");
    drop(streamed);
    wait_for("the model's work is dropped", || app.model.dropped() == 1);
    app.say(&talk, "back again").expect(200);
    assert_eq!(app.said(&talk), ["back again"]);
}

#[test]
fn who_leaves_without_the_whole_answer_takes_the_models_work_along() {
    let app = TestApp::spawn();
    let talk = app.start_session();
    let _never_opened = app.model.hold_next("some", " words");
    let mut wire = app.wire();
    let body = turn(&talk, "hello").to_string();
    wire.send(format!(
        "POST /api/v1/chat HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    ));
    wait_for("the model answers", || app.model.begun() == 1);
    drop(wire);
    wait_for("the model's work is dropped", || app.model.dropped() == 1);
    assert_eq!(app.count("checkpoints"), 0);
}

#[test]
fn a_named_turn_is_finished_and_kept_for_who_left() {
    let app = TestApp::spawn();
    let talk = app.start_session();
    let gate = app.model.hold_next("some", " words");
    let mut streamed = app.stream(&named(&talk, "hello"));
    assert_eq!(streamed.event().unwrap().data["text"], "some");
    drop(streamed);
    // Someone without a turn id leaves later: once that was noticed, so was this.
    let _never_opened = app.model.hold_next("other", "");
    let mut other = app.stream(&turn(&app.start_session(), "not kept"));
    assert_eq!(other.event().unwrap().data["text"], "other");
    drop(other);
    wait_for("that one's work is dropped", || app.model.dropped() == 1);
    gate.open();
    wait_for("the turn is kept", || app.count("checkpoints") == 1);
    let found = app.chat(&named(&talk, "hello")).expect(200).json();
    assert_eq!(found["text"], "some words");
    assert_eq!((app.said(&talk), app.model.begun()), (vec!["hello".to_owned()], 2));
}

#[test]
fn a_named_turn_that_nobody_comes_back_for_is_given_up_after_ten_seconds() {
    let app = TestApp::spawn();
    let talk = app.start_session();
    let _never_opened = app.model.hold_next("some", " words");
    let mut streamed = app.stream(&named(&talk, "hello"));
    assert_eq!(streamed.event().unwrap().data["text"], "some");
    let left = std::time::Instant::now();
    drop(streamed);
    wait_for("the model's work is dropped", || app.model.dropped() == 1);
    assert!(left.elapsed().as_secs() >= 9, "{:?}", left.elapsed());
    assert_eq!(app.count("checkpoints"), 0);
    assert_eq!(app.chat(&named(&talk, "hello")).expect(200).json()["text"], "You said: hello");
}

#[test]
fn the_model_waits_for_who_reads_slowly() {
    // So much is not written and read within a minute on every machine, and how long a turn may take is not what is asked.
    let app = TestApp::spawn_with(|config| config.outside.workflow = Duration::from_secs(3600));
    let (talk, other) = (app.start_session(), app.start_session());
    let piece = "word ".repeat(200);
    app.model.next(pieces(&vec![piece.as_str(); 30_000]));
    let mut unread = app.stream(&turn(&talk, "tell me all"));
    for _ in 0..20 {
        app.say(&other, "hello").expect(200);
    }
    assert_eq!(app.count("checkpoints"), 20, "the long reply has not been made to its end");
    done(&unread.events());
    assert_eq!(app.count("checkpoints"), 21);
}

#[test]
fn beyond_the_most_turns_one_is_told_to_come_back() {
    let app = TestApp::spawn_with(|config| config.limits.max_turns = 2);
    let talk = app.start_session();
    let gates = [app.model.hold_next("a", ""), app.model.hold_next("b", "")];
    let mut running = ["one", "two"].map(|said| app.stream(&turn(&app.start_session(), said)));
    for streamed in &mut running {
        assert_eq!(streamed.event().unwrap().name, "token");
    }
    let refused = app.say(&talk, "three").refused(503, "server_busy");
    assert_eq!(refused.header("retry-after"), "2");
    assert_eq!(app.stream(&turn(&talk, "three")).head.status, 503);
    app.sessions(&talk.token, "").expect(200);
    gates.iter().for_each(crate::support::model::Gate::open);
    for streamed in &mut running {
        done(&streamed.events());
    }
    wait_for("there is a place again", || app.say(&talk, "three").status == 200);
    assert_eq!(app.said(&talk).last().unwrap(), "three");
}

#[test]
fn a_session_deleted_meanwhile_ends_its_turn_and_keeps_nothing() {
    let app = TestApp::spawn();
    let talk = app.start_session();
    let gate = app.model.hold_next("some", " words");
    let mut streamed = app.stream(&turn(&talk, "hello"));
    assert_eq!(streamed.event().unwrap().name, "token");
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| app.say(&talk, "hello"));
        app.delete(&talk, "").expect(204);
        gate.open();
        waiting.join().unwrap().refused(404, "session_not_found");
    });
    let error = streamed.events().pop().unwrap();
    assert_eq!((error.name.as_str(), &error.data["error"]), ("error", &json!("session_not_found")));
    assert_eq!((app.count("checkpoints"), app.count("sessions")), (0, 0));
}

#[test]
fn a_turn_of_a_deleted_session_never_comes_into_another_one() {
    let app = TestApp::spawn();
    let talk = app.start_session();
    let gate = app.model.hold_next("some", " words");
    let mut streamed = app.stream(&turn(&talk, "a secret"));
    assert_eq!(streamed.event().unwrap().name, "token");
    app.delete(&talk, "").expect(204);
    // The newest row's number is free again, and the next session gets it.
    let stranger = app.start_session();
    gate.open();
    let error = streamed.events().pop().unwrap();
    assert_eq!((error.name.as_str(), &error.data["error"]), ("error", &json!("session_not_found")));
    assert_eq!(app.said(&stranger), [""; 0]);
    assert_eq!(app.session(&stranger, "").json()["title"], Value::Null);
}

/// So many turns of one session at once, as their answers come; after `full` of them `then` is done.
fn at_once(app: &TestApp, talk: &Talk, turns: usize, full: usize, then: impl FnOnce()) -> Vec<Answer> {
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        for number in 0..turns {
            let tell = tell.clone();
            scope.spawn(move || tell.send(app.say(talk, &format!("turn {number}"))).unwrap());
        }
        let mut answers: Vec<_> = told.iter().take(full).collect();
        then();
        answers.extend(told.iter().take(turns - full));
        answers
    })
}

#[test]
fn turns_at_the_same_time_are_all_kept_each_in_the_knowledge_of_those_before() {
    let app = TestApp::spawn();
    let talk = app.start_session();
    for answer in at_once(&app, &talk, 8, 0, || {}) {
        answer.expect(200);
    }
    let mut kept = app.said(&talk);
    for (number, history) in app.model.histories().iter().enumerate() {
        let remembered: Vec<_> = history.iter().map(|exchange| exchange.said.clone()).collect();
        assert_eq!(remembered, kept[..number]);
    }
    kept.sort();
    assert_eq!(kept, (0..8).map(|number| format!("turn {number}")).collect::<Vec<_>>());
    assert_eq!(app.session(&talk, "").json()["checkpoints"], 8);
}

#[test]
fn the_offline_companion_does_not_repeat_itself_to_many_turns_at_once() {
    let app = TestApp::spawn();
    app.model.leave_it_to_the_offline_companion();
    for _ in 0..4 {
        let talk = app.start_session();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| app.say(&talk, "I want to die").expect(200));
            }
        });
        let messages = app.session(&talk, "").json()["messages"].as_array().unwrap().clone();
        let answers: Vec<_> = messages.iter().filter(|message| message["role"] == "assistant").collect();
        assert_eq!(answers.len(), 8);
        assert!(answers.windows(2).all(|pair| pair[0]["text"] != pair[1]["text"]), "{answers:#?}");
    }
}

#[test]
fn of_ten_turns_at_once_in_one_session_one_is_told_to_wait() {
    let app = TestApp::spawn();
    let talk = app.start_session();
    let gate = app.model.hold_next("some", " words");
    let mut answers = at_once(&app, &talk, 10, 1, || gate.open());
    let refused = answers.remove(0).refused(409, "turn_in_progress");
    assert_eq!(refused.header("retry-after"), "2");
    for answer in answers {
        answer.expect(200);
    }
    assert_eq!(app.said(&talk).len(), 9);
}

#[test]
fn sessions_do_not_wait_for_each_other_and_waiting_turns_hold_no_place() {
    let app = TestApp::spawn_with(|config| config.limits.max_turns = 2);
    let (talk, elsewhere) = (app.start_session(), app.start_session());
    let gate = app.model.hold_next("some", " words");
    let mut running = app.stream(&turn(&talk, "first"));
    assert_eq!(running.event().unwrap().name, "token");
    let waiting = at_once(&app, &talk, 9, 1, || {
        app.say(&elsewhere, "hello").expect(200);
        gate.open();
    });
    done(&running.events());
    assert_eq!(waiting.iter().filter(|answer| answer.status == 200).count(), 8);
    assert_eq!(app.said(&talk)[0], "first");
}

#[test]
fn a_turn_sent_again_while_it_waits_joins_it_and_one_kept_before_does_not_wait() {
    let app = TestApp::spawn_with(|config| config.limits.session_queue = 1);
    let talk = app.start_session();
    let before =
        json!({"session_id": talk.session, "message": "hello", "turn_id": uuid::Uuid::new_v4().to_string()});
    let kept = app.chat(&before).expect(200).json();
    let gate = app.model.hold_next("some", " words");
    let mut running = app.stream(&turn(&talk, "first"));
    assert_eq!(running.event().unwrap().name, "token");
    std::thread::scope(|scope| {
        let waiting: Vec<_> = (0..3).map(|_| scope.spawn(|| app.chat(&named(&talk, "second")))).collect();
        assert_eq!(app.chat(&before).expect(200).json()["checkpoint_id"], kept["checkpoint_id"]);
        gate.open();
        let ids = waiting
            .into_iter()
            .map(|reply| reply.join().unwrap().expect(200).json()["checkpoint_id"].clone());
        let ids: Vec<_> = ids.collect();
        assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    });
    done(&running.events());
    assert_eq!(app.said(&talk), ["hello", "first", "second"]);
}

#[test]
fn who_leaves_while_waiting_holds_nobody_up() {
    let app = TestApp::spawn();
    let talk = app.start_session();
    let gate = app.model.hold_next("some", " words");
    let _never_opened = app.model.hold_next("other", "");
    let mut running = app.stream(&turn(&talk, "first"));
    assert_eq!(running.event().unwrap().name, "token");
    let body = turn(&talk, "not kept").to_string();
    let mut wire = app.wire();
    wire.send(format!(
        "POST /api/v1/chat HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    ));
    drop(wire);
    gate.open();
    done(&running.events());
    // The second reply never comes: whoever got it has left and been noticed, or is this one, who goes too.
    let mut probe = app.wire();
    let body = turn(&talk, "nor this").to_string();
    probe.send(format!(
        "POST /api/v1/chat HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    ));
    wait_for("the second reply is begun", || app.model.begun() >= 2);
    drop(probe);
    // Twice, where the probe is noticed in the middle of a reply of its own.
    wait_for("and dropped", || app.model.dropped() >= 1);
    app.say(&talk, "second").expect(200);
    assert!(!app.said(&talk).contains(&"not kept".to_owned()));
}

fn posted(body: &Value) -> String {
    let body = body.to_string();
    format!(
        "POST /api/v1/chat HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

#[test]
fn a_named_turn_waits_on_and_is_kept_for_who_left() {
    let app = TestApp::spawn();
    let talk = app.start_session();
    let gate = app.model.hold_next("some", " words");
    let mut running = app.stream(&turn(&talk, "first"));
    assert_eq!(running.event().unwrap().name, "token");
    let mut wire = app.wire();
    wire.send(posted(&named(&talk, "second")));
    assert!(wire.is_silent_for(Duration::from_secs(1)), "it stands in line");
    drop(wire);
    // Someone else leaves later: once that was noticed, so was this.
    let _never_opened = app.model.hold_next("other", "");
    let mut other = app.stream(&turn(&app.start_session(), "not kept"));
    assert_eq!(other.event().unwrap().data["text"], "other");
    drop(other);
    wait_for("that one's work is dropped", || app.model.dropped() == 1);
    gate.open();
    done(&running.events());
    wait_for("both are kept", || app.count("checkpoints") == 2);
    assert_eq!(app.said(&talk), ["first", "second"]);
    assert_eq!(app.chat(&named(&talk, "second")).expect(200).json()["text"], "You said: second");
    assert_eq!(app.model.begun(), 3, "it was answered once");
}

#[test]
fn a_named_turn_that_nobody_comes_back_for_leaves_the_line_after_ten_seconds() {
    let app = TestApp::spawn_with(|config| config.limits.session_queue = 1);
    let talk = app.start_session();
    let gate = app.model.hold_next("some", " words");
    let mut running = app.stream(&turn(&talk, "first"));
    assert_eq!(running.event().unwrap().name, "token");
    let mut wire = app.wire();
    wire.send(posted(&named(&talk, "second")));
    assert!(wire.is_silent_for(Duration::from_secs(1)), "it stands in line");
    let left = std::time::Instant::now();
    drop(wire);
    // Each comes to the next thread: once they have answered, none of them was too busy to refuse the probe.
    let threads = std::thread::available_parallelism().unwrap().get();
    wait_for("there is room in the line", || {
        let mut probe = app.wire();
        probe.send(posted(&turn(&talk, "third")));
        probe.is_silent_for(Duration::from_secs(2)) && {
            (0..2 * threads).for_each(|_| drop(app.get("/livez").expect(200)));
            probe.is_silent_for(Duration::from_millis(100))
        }
    });
    assert!(left.elapsed().as_secs() >= 9, "{:?}", left.elapsed());
    gate.open();
    done(&running.events());
    assert!(!app.said(&talk).contains(&"second".to_owned()));
}

#[test]
fn who_joined_a_turn_that_was_left_while_it_waited_goes_on_with_it() {
    let app = TestApp::spawn();
    let talk = app.start_session();
    let gate = app.model.hold_next("some", " words");
    let mut running = app.stream(&turn(&talk, "first"));
    assert_eq!(running.event().unwrap().name, "token");
    let body = named(&talk, "second").to_string();
    let ask = || {
        let mut wire = app.wire();
        wire.send(format!(
            "POST /api/v1/chat HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ));
        // By the time this is answered it stands in line; if it did not, the other would be the one to wait.
        app.sessions(&talk.token, "").expect(200);
        wire
    };
    let (left, mut joined, mut joined_too) = (ask(), ask(), ask());
    drop(left);
    // Someone else leaves later: once that was noticed, so was this.
    let _never_opened = app.model.hold_next("other", "");
    let mut other = app.stream(&turn(&app.start_session(), "not kept"));
    assert_eq!(other.event().unwrap().data["text"], "other");
    drop(other);
    wait_for("that one's work is dropped", || app.model.dropped() == 1);
    gate.open();
    let reply = joined.answer().expect(200).json();
    assert_eq!(reply["text"], "You said: second");
    assert_eq!(joined_too.answer().expect(200).json()["checkpoint_id"], reply["checkpoint_id"]);
    done(&running.events());
    assert_eq!((app.said(&talk), app.model.begun()), (vec!["first".to_owned(), "second".to_owned()], 3));
}

#[test]
fn turns_that_wait_are_refused_when_the_server_stops() {
    let mut app = TestApp::spawn();
    let talk = app.start_session();
    let gate = app.model.hold_next("some", " words");
    let mut running = app.stream(&turn(&talk, "first"));
    assert_eq!(running.event().unwrap().name, "token");
    let (url, body) = (app.url.clone(), turn(&talk, "waits").to_string());
    let waiting = std::thread::spawn(move || {
        let request = agent().post(format!("{url}/api/v1/chat")).header("content-type", "application/json");
        request.send(body.as_bytes()).unwrap().status().as_u16()
    });
    app.begin_to_stop();
    assert_eq!(waiting.join().unwrap(), 503, "while the first one still runs");
    gate.open();
    assert_eq!(done(&running.events())["text"], "some words");
}

#[test]
fn a_stopping_server_finishes_what_runs_and_refuses_what_is_new() {
    let mut app = TestApp::spawn();
    let talk = app.start_session();
    let gate = app.model.hold_next("some", " words");
    let mut running = app.stream(&turn(&talk, "before the end"));
    assert_eq!(running.event().unwrap().name, "token");
    app.begin_to_stop();
    wait_for("the server is stopping", || app.get("/readyz").status == 503);
    let ready = app.get("/readyz").refused(503, "service_unavailable");
    assert_eq!(ready.json()["reasons"], json!(["stopping"]));
    app.get("/livez").expect(200);
    let refused = app.say(&talk, "too late").refused(503, "service_unavailable");
    assert_eq!(refused.header("retry-after"), "2");
    app.post("/api/v1/session/start", &[], &json!({})).refused(503, "service_unavailable");
    gate.open();
    assert_eq!(done(&running.events())["text"], "some words");
    let app = app.restart_with(|_| {});
    assert_eq!(app.said(&talk), ["before the end"]);
    assert_eq!(app.count("sessions"), 1);
}

#[test]
fn a_second_signal_ends_a_stopping_server_at_once() {
    let mut app = TestApp::spawn();
    let talk = app.start_session();
    let _never_opened = app.model.hold_next("some", " words");
    let mut running = app.stream(&turn(&talk, "hello"));
    assert_eq!(running.event().unwrap().name, "token");
    app.begin_to_stop();
    wait_for("the server is stopping", || app.get("/readyz").status == 503);
    app.cut();
    assert!(!running.broken().contains("event: "));
    let app = app.restart_with(|_| {});
    assert_eq!(app.said(&talk), [""; 0]);
}
