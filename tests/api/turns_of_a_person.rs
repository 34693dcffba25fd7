//! How many turns one person may take: at once, and in a day.

use std::num::NonZeroU32;
use std::time::Duration;

use companion::config::ServerConfig;
use serde_json::{Value, json};

use crate::support::model::{Gate, Step, pieces};
use crate::support::scrape::Scrape;
use crate::support::voice::{ESPEAK, Programs, recording};
use crate::support::{Talk, TestApp, wait_for};

const TURN: &str = "11111111-1111-4111-8111-111111111111";
/// From the beginning of every test, 13:54:09.123, to midnight.
const UNTIL_MIDNIGHT: Duration = Duration::from_millis(((10 * 60 + 5) * 60 + 50) * 1000 + 877);

fn turn(talk: &Talk, message: &str) -> Value {
    json!({"session_id": talk.session, "message": message})
}

fn with_turns_a_day(turns: u32) -> TestApp {
    TestApp::spawn_with(|config| config.limits.daily_turns_per_person = NonZeroU32::new(turns))
}

#[test]
fn of_one_person_so_many_turns_run_at_once_and_nobody_else_waits_for_them() {
    let app = TestApp::spawn_with(|config| config.limits.max_turns_per_person = 2);
    let talk = app.start_session();
    let gates = [app.model.hold_next("a", ""), app.model.hold_next("b", "")];
    let mut running = ["one", "two"].map(|said| app.stream(&turn(&app.start_session_of(&talk.token), said)));
    for streamed in &mut running {
        assert_eq!(streamed.event().unwrap().name, "token");
    }
    let refused = app.say(&talk, "three").refused(429, "rate_limited");
    assert_eq!(refused.header("retry-after"), "2");
    assert_eq!(app.stream(&turn(&talk, "three")).head.status, 429);
    assert_eq!(app.model.begun(), 2, "no model is asked for an answer that is refused");
    app.say(&app.start_session(), "I am someone else").expect(200);
    gates.iter().for_each(Gate::open);
    for streamed in &mut running {
        assert_eq!(streamed.events().last().unwrap().name, "done");
    }
    wait_for("there is a place again", || app.say(&talk, "three").status == 200);
    assert_eq!(app.said(&talk), ["three"]);
}

#[test]
fn after_the_turns_of_the_day_one_is_told_when_the_next_day_begins() {
    let app = with_turns_a_day(2);
    let talk = app.start_session();
    app.say(&talk, "one").expect(200);
    let elsewhere = app.start_session_of(&talk.token);
    app.say(&elsewhere, "two").expect(200);
    let refused = app.say(&talk, "three").refused(429, "rate_limited");
    let seconds = UNTIL_MIDNIGHT.as_secs() + 1;
    assert_eq!(refused.header("retry-after"), seconds.to_string());
    assert_eq!(app.stream(&turn(&talk, "three")).head.header("retry-after"), seconds.to_string());
    assert_eq!(app.model.begun(), 2, "no model is asked for an answer that is refused");
    app.say(&app.start_session(), "I am someone else").expect(200);

    app.delete(&elsewhere, "").expect(204);
    app.say(&talk, "three").refused(429, "rate_limited");
    let app = app.restart_with(|config| config.limits.daily_turns_per_person = NonZeroU32::new(2));
    app.say(&talk, "three").refused(429, "rate_limited");
    app.clock.advance(UNTIL_MIDNIGHT - Duration::from_millis(1));
    assert_eq!(app.say(&talk, "three").refused(429, "rate_limited").header("retry-after"), "1");
    app.clock.advance(Duration::from_millis(1));
    app.say(&talk, "three").expect(200);
    app.say(&talk, "four").expect(200);
    app.say(&talk, "five").refused(429, "rate_limited");
    assert_eq!(app.said(&talk), ["one", "three", "four"]);
}

#[test]
fn of_many_turns_at_once_just_as_many_pass_as_the_day_has() {
    let app = with_turns_a_day(5);
    let first = app.start_session();
    let talks: Vec<_> = (0..8).map(|_| app.start_session_of(&first.token)).collect();
    let statuses: Vec<_> = std::thread::scope(|scope| {
        let asked: Vec<_> = talks.iter().map(|talk| scope.spawn(|| app.say(talk, "hello").status)).collect();
        asked.into_iter().map(|asked| asked.join().unwrap()).collect()
    });
    let passed = statuses.iter().filter(|status| **status == 200).count();
    assert_eq!((passed, app.model.begun(), app.count("checkpoints")), (5, 5, 5), "{statuses:?}");
    assert!(statuses.iter().all(|status| [200, 429].contains(status)), "{statuses:?}");
}

#[test]
fn what_is_sent_again_or_failed_by_the_model_is_not_counted_and_what_was_left_is() {
    let app = with_turns_a_day(2);
    let talk = app.start_session();
    let named = json!({"session_id": talk.session, "message": "one", "turn_id": TURN});
    app.model.next(vec![Step::Unavailable]);
    app.chat(&named).refused(503, "service_unavailable");
    for _ in 0..3 {
        app.chat(&named).expect(200);
    }
    let _never_opened = app.model.hold_next("some", " words");
    let mut left = app.stream(&turn(&talk, "two"));
    assert_eq!(left.event().unwrap().name, "token");
    drop(left);
    wait_for("the turn is dropped", || app.model.dropped() == 1);
    app.model.next(pieces(&["never asked for"]));
    app.say(&talk, "three").refused(429, "rate_limited");
    app.chat(&named).expect(200);
    assert_eq!(app.said(&talk), ["one"]);
}

#[test]
fn who_leaves_while_the_turn_is_counted_has_it_back() {
    let app = with_turns_a_day(1);
    let talk = app.start_session();
    let connections = || Scrape::of(&app).value("companion_open_connections");
    wait_for("nobody else is connected", || connections() == 1.0);
    let db = app.db();
    db.execute_batch("BEGIN IMMEDIATE").unwrap();
    let body = turn(&talk, "one").to_string();
    let mut left = app.wire();
    left.send(format!(
        "POST /api/v1/chat HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    ));
    assert!(left.is_silent_for(Duration::from_millis(300)), "it cannot be counted yet");
    drop(left);
    wait_for("it has left", || connections() == 1.0);
    db.execute_batch("COMMIT").unwrap();
    wait_for("there is a turn again", || app.say(&talk, "two").status == 200);
    app.say(&talk, "three").refused(429, "rate_limited");
    assert_eq!((app.said(&talk), app.model.begun()), (vec!["two".to_owned()], 1));
}

#[test]
fn without_the_setting_turns_are_not_counted() {
    let app = TestApp::spawn();
    let talk = app.start_session();
    for number in 0..20 {
        app.say(&talk, &number.to_string()).expect(200);
    }
    let app = app.restart_with(|config| config.limits.daily_turns_per_person = NonZeroU32::new(1));
    app.say(&talk, "the first that counts").expect(200);
    app.say(&talk, "one more").refused(429, "rate_limited");
}

#[test]
fn words_of_self_harm_are_answered_also_after_the_turns_of_the_day_and_are_none_of_them() {
    let app = with_turns_a_day(1);
    let talk = app.start_session();
    for _ in 0..2 {
        let answered = app.say(&talk, "I want to die").expect(200).json()["text"].to_string();
        assert!(answered.contains("findahelpline.com"), "{answered}");
    }
    app.say(&talk, "one").expect(200);
    app.say(&talk, "two").refused(429, "rate_limited");
    app.say(&talk, "I want to die").expect(200);
    app.say(&talk, "three").refused(429, "rate_limited");
}

#[test]
fn after_the_turns_of_the_day_ten_recordings_are_heard_and_further_ones_are_told_where_help_is() {
    let programs = Programs::new();
    let hears = "cat \"$1\" > /dev/null; echo x >> \"$HERE/runs\"; cat \"$HERE/said\"";
    let one_a_day = |config: &mut ServerConfig| config.limits.daily_turns_per_person = NonZeroU32::new(1);
    let app = programs.server_with(hears, ESPEAK, one_a_day);
    let talk = app.start_session();
    let speak = |said: &str| {
        std::fs::write(programs.path("said"), said).unwrap();
        app.speak_to(&talk, &recording("wav"))
    };
    let heard = || programs.noted("runs").lines().count();
    app.say(&talk, "one").expect(200);
    speak("I want to die").expect(200);
    for _ in 0..10 {
        let refused = speak("and another one").refused(429, "rate_limited");
        assert!(!refused.text().contains("findahelpline.com"), "{}", refused.text());
    }
    assert_eq!(heard(), 11);
    let refused = speak("I want to die").refused(429, "rate_limited");
    assert!(refused.text().contains("findahelpline.com"), "{}", refused.text());
    assert_eq!(refused.header("retry-after"), (UNTIL_MIDNIGHT.as_secs() + 1).to_string());
    assert_eq!(heard(), 11);
    app.speak_to(&app.start_session(), &recording("wav")).expect(200);
    app.clock.advance(UNTIL_MIDNIGHT);
    speak("I had a strange dream").expect(200);
    speak("and another one").refused(429, "rate_limited");
    assert_eq!(app.said(&talk), ["one", "I want to die", "I had a strange dream"]);
}

#[test]
fn a_recording_is_counted_once_it_is_known_what_is_said_in_it() {
    let programs = Programs::new();
    let one_a_day = |config: &mut ServerConfig| config.limits.daily_turns_per_person = NonZeroU32::new(1);
    let app = programs.server_with("cat \"$1\" > /dev/null; cat \"$HERE/said\"", ESPEAK, one_a_day);
    let talk = app.start_session();
    let mut socket = app.socket(&talk);
    let mut ends_with = |said: &str, end: &str| {
        std::fs::write(programs.path("said"), said).unwrap();
        socket.speak(&recording("wav"), None);
        socket.until(end)
    };
    ends_with("", "audio_end");
    ends_with("I want to die", "audio_end");
    ends_with("I had a strange dream", "audio_end");
    assert_eq!(ends_with("and another one", "error")["code"], "rate_limited");
    ends_with("I want to die", "audio_end");
    assert_eq!(app.said(&talk), ["I want to die", "I had a strange dream", "I want to die"]);
}
