//! What is remembered cannot pose as instructions to the model, whatever it says.

use serde_json::json;

use crate::support::llm::{asked, asking, says};
use crate::support::outside::Outside;
use crate::support::tricks;

#[test]
fn memories_stand_between_their_marks_each_on_one_line() {
    let outside = Outside::new(says(&["{\"memories\": []}"]));
    let app = asking(&outside);
    for trick in tricks::ALL {
        let talk = app.start_session();
        let headers = [("x-companion-person", talk.token.as_str())];
        // The last word is what it is found by.
        for text in [format!("{trick} cathedral"), "cathedral".to_owned()] {
            app.post("/api/v1/memories", &headers, &json!({"text": text})).expect(201);
        }
        let reply = app.tell(&talk, "Which cathedral?").expect(200).json();
        assert_eq!(reply["memories"].as_array().unwrap().len(), 2, "{trick:?}");
        let large = asked(&outside).into_iter().rfind(|body| body["model"] == "large").unwrap();
        let messages = large["messages"].as_array().unwrap();
        let roles: Vec<_> = messages.iter().map(|message| message["role"].as_str().unwrap()).collect();
        assert_eq!(roles, ["system", "user"], "{trick:?}");
        assert_eq!(messages[1]["content"], "Which cathedral?");
        let told = messages[0]["content"].as_str().unwrap();
        tricks::assert_bounded(told, &["memories", "summary"]);
        let (before, notes) = told.split_once("\n<memories>\n").unwrap();
        let (notes, after) = notes.split_once("\n</memories>").unwrap();
        assert_eq!(after, "", "nothing comes after the notes");
        assert!(before.contains("never what to do") && !before.contains("cathedral"));
        assert_eq!(notes.lines().count(), 2, "{notes}");
        assert!(notes.lines().all(|line| line.starts_with("- ") && line.ends_with("cathedral")), "{notes}");
    }
}

#[test]
fn a_memory_as_long_as_may_be_is_told_in_part() {
    let outside = Outside::new(says(&["{\"memories\": []}"]));
    let app = asking(&outside);
    let talk = app.start_session();
    for number in 0..20 {
        let text = format!("cathedral {number} {}", "\u{fc}<".repeat(990));
        app.post("/api/v1/memories", &[("x-companion-person", &talk.token)], &json!({"text": text}))
            .expect(201);
    }
    app.tell(&talk, "Which cathedral?").expect(200);
    let large = asked(&outside).into_iter().rfind(|body| body["model"] == "large").unwrap();
    let told = large["messages"][0]["content"].as_str().unwrap();
    let notes: Vec<_> = told.lines().filter(|line| line.starts_with("- cathedral")).collect();
    assert_eq!(notes.len(), 5);
    assert!(notes.iter().all(|note| note.chars().count() <= 502));
}
