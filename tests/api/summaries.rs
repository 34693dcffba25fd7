//! Long conversations are summed up beside the turns, and the model goes on with the summary and the last messages.

use std::time::Duration;

use companion::config::ServerConfig;
use serde_json::{Value, json};

use crate::support::llm::{asked, asking_with, says};
use crate::support::outside::{Outside, Part, refusal};
use crate::support::{TestApp, wait_for};

fn short(config: &mut ServerConfig) {
    config.outside.summary.trigger = 6;
    config.outside.summary.keep = 2;
    config.outside.breaker.threshold = 1000;
}

/// What was asked of one of the models.
fn asked_of(outside: &Outside, model: &str) -> Vec<Vec<Value>> {
    let all = asked(outside).into_iter().filter(|body| body["model"] == model);
    all.map(|body| body["messages"].as_array().unwrap().clone()).collect()
}

fn summed_up(app: &TestApp) -> u64 {
    app.count("sessions WHERE summary IS NOT NULL")
}

#[test]
fn a_long_conversation_goes_on_with_its_summary_and_the_last_messages() {
    let outside = Outside::new(says(&["They like ", "tea."]));
    let app = asking_with(&outside, short);
    let talk = app.start_session();
    for said in ["one", "two", "three"] {
        app.say(&talk, said).expect(200);
    }
    assert_eq!(
        (summed_up(&app), asked_of(&outside, "small").len()),
        (0, 0),
        "six messages are not more than six"
    );
    app.say(&talk, "four").expect(200);
    wait_for("it is summed up", || summed_up(&app) == 1);
    let small = &asked_of(&outside, "small")[0];
    let told = small[1]["content"].as_str().unwrap();
    assert!(
        told.contains("Person: one") && told.contains("Person: three") && !told.contains("four"),
        "{told}"
    );
    app.say(&talk, "five").expect(200);
    let large = asked_of(&outside, "large").pop().unwrap();
    let system = large[0]["content"].as_str().unwrap();
    assert!(system.contains("<summary>\n- They like tea.\n</summary>"), "{system}");
    let said: Vec<_> = large[1..].iter().map(|message| message["content"].as_str().unwrap()).collect();
    assert_eq!(said, ["four", "They like tea.", "five"]);
    // It is the person's like all that is kept of them.
    let export = app.export(&talk.token).expect(200).json();
    assert_eq!(export["sessions"][0]["summary"], "They like tea.");
    for said in ["six", "seven"] {
        app.say(&talk, said).expect(200);
    }
    wait_for("it is summed up again", || asked_of(&outside, "small").len() == 2);
    let told = asked_of(&outside, "small")[1][1]["content"].as_str().unwrap().to_owned();
    assert!(told.starts_with("<notes>\nThey like tea.\n</notes>"), "{told}");
    assert!(told.contains("Person: four") && told.contains("Person: six"), "{told}");
    assert!(!told.contains("three") && !told.contains("seven"), "{told}");
    assert_eq!(app.said(&talk).len(), 7, "nothing is lost to a summary");
    app.delete(&talk, "").expect(204);
    assert_eq!(app.count("sessions"), 0);
}

#[test]
fn a_turn_never_waits_for_a_summary_nor_fails_with_it() {
    let outside = Outside::new(says(&["well"]));
    let app = asking_with(&outside, short);
    let talk = app.start_session();
    for said in ["one", "two", "three"] {
        app.say(&talk, said).expect(200);
    }
    outside.next(says(&["well"]));
    // This one is the summary's, and it hangs.
    outside.next(vec![Part::UntilGone]);
    for said in ["four", "five", "six"] {
        app.say(&talk, said).expect(200);
        wait_for("the summary is asked for", || asked_of(&outside, "small").len() == 1);
    }
    assert_eq!((summed_up(&app), asked_of(&outside, "small").len()), (0, 1), "one at a time");
    let said: Vec<_> = asked_of(&outside, "large").pop().unwrap()[1..].to_vec();
    assert_eq!(said.len(), 11, "until there is a summary the model sees all");
    let began = std::time::Instant::now();
    app.finish();
    assert!(began.elapsed() < Duration::from_secs(10), "the server's end does not wait for it");
}

#[test]
fn a_summary_that_fails_is_tried_again_after_the_next_turn() {
    let outside = Outside::new(says(&["well"]));
    let app = asking_with(&outside, short);
    let talk = app.start_session();
    for said in ["one", "two", "three"] {
        app.say(&talk, said).expect(200);
    }
    outside.next(says(&["well"]));
    outside.next(refusal(404, &[], "model_not_found"));
    app.say(&talk, "four").expect(200);
    wait_for("it is asked for", || asked_of(&outside, "small").len() == 1);
    wait_for("it is summed up", || {
        app.say(&talk, "and").expect(200);
        summed_up(&app) == 1
    });
}

#[test]
fn what_was_deleted_meanwhile_is_not_summed_up() {
    let outside = Outside::new(says(&["well"]));
    let app = asking_with(&outside, short);
    let talk = app.start_session();
    for said in ["one", "two", "three"] {
        app.say(&talk, said).expect(200);
    }
    let slow = says(&["They like tea."]);
    outside.next(says(&["well"]));
    outside.next([vec![Part::Pause(Duration::from_millis(200))], slow].concat());
    app.say(&talk, "four").expect(200);
    wait_for("it is asked for", || asked_of(&outside, "small").len() == 1);
    app.delete(&talk, "").expect(204);
    app.say(&app.start_session(), "hello").expect(200);
    assert_eq!(
        app.db().query_row("SELECT max(summary IS NULL) FROM sessions", [], |row| row.get(0)),
        Ok(true)
    );
    assert_eq!(app.export(&talk.token).expect(200).json()["sessions"], json!([]));
}
