//! A language model over the network: what it is asked, what becomes of its answers, and of its failures.

use std::time::{Duration, Instant};

use companion::domain::secret::Secret;
use serde_json::{Value, json};

use crate::refusing::Refusing;
use crate::support::llm::{asked, asking, asking_with, event, finished, says, word};
use crate::support::outside::{Outside, Part, chunk, end, events_begin, refusal, whole};
use crate::support::scrape::Scrape;
use crate::support::{Talk, TestApp, wait_for};

fn streamed(app: &TestApp, talk: &Talk, message: &str) -> Vec<(String, Value)> {
    let events = app.stream(&json!({"session_id": talk.session, "message": message})).events();
    events.into_iter().map(|event| (event.name, event.data)).collect()
}

#[test]
fn a_reply_streams_word_by_word_and_is_kept() {
    let outside = Outside::new(says(&["Gr\u{fc}\u{df}", "e ", "dich"]));
    let app = asking(&outside);
    wait_for("it was looked at", || outside.connections().0 == 1);
    let talk = app.start_session();
    let told = streamed(&app, &talk, "Hallo");
    let words: Vec<_> = told[..3].iter().map(|(_, data)| data["text"].as_str().unwrap()).collect();
    assert_eq!(words, ["Gr\u{fc}\u{df}", "e ", "dich"]);
    assert_eq!((told[3].0.as_str(), &told[3].1["text"]), ("done", &json!("Gr\u{fc}\u{df}e dich")));
    // Nobody waits for the end that follows the last word; until then the connection is in use.
    let answered = "companion_upstream_calls_total{upstream=\"llm\",end=\"answered\"}";
    wait_for("the connection is given back", || Scrape::of(&app).value(answered) == 1.0);
    let body = app.say(&talk, "und jetzt?").expect(200).json();
    assert_eq!((&body["text"], &body["degraded"]), (&json!("Gr\u{fc}\u{df}e dich"), &json!([])));
    assert_eq!(app.said(&talk), ["Hallo", "und jetzt?"]);
    let request = &outside.requests("/v1/chat/completions")[1];
    assert_eq!(request.header("authorization"), Some("Bearer sk-very-secret"));
    assert_eq!(request.header("content-type"), Some("application/json"));
    let asked = request.json();
    assert_eq!((&asked["model"], &asked["stream"]), (&json!("large"), &json!(true)));
    assert_eq!(asked["messages"][0]["role"], "system");
    let history = json!([
        {"role": "user", "content": "Hallo"},
        {"role": "assistant", "content": "Gr\u{fc}\u{df}e dich"},
        {"role": "user", "content": "und jetzt?"},
    ]);
    assert_eq!(asked["messages"].as_array().unwrap()[1..], *history.as_array().unwrap());
    assert_eq!(outside.connections().0, 2, "one for the look, one for both turns");
}

#[test]
fn markdown_is_plain_prose_as_it_streams_and_as_it_is_kept() {
    let outside =
        Outside::new(says(&["## He", "llo\n\nThis is **im", "portant**, `re", "ally`.\n\n* one\n* two"]));
    let app = asking(&outside);
    let talk = app.start_session();
    let told = streamed(&app, &talk, "Hallo");
    let tokens = told.iter().filter(|(name, _)| name == "token");
    let words: Vec<_> = tokens.map(|(_, data)| data["text"].as_str().unwrap()).collect();
    let prose = "Hello\n\nThis is important, really.\n\n- one\n- two";
    assert_eq!(words.concat(), prose);
    assert!(words.len() > 2, "it is told as it comes: {words:?}");
    assert_eq!(told.last().unwrap().1["text"], prose);
    let messages = app.session(&talk, "").expect(200).json()["messages"].clone();
    assert_eq!(messages[1]["text"], prose);
}

#[test]
fn the_first_word_is_told_while_the_model_still_writes() {
    let outside = Outside::new(says(&["x"]));
    let app = asking(&outside);
    let talk = app.start_session();
    outside.next(vec![events_begin(), word("At "), Part::UntilGone]);
    let mut stream = app.stream(&json!({"session_id": talk.session, "message": "hello"}));
    assert_eq!(stream.event().unwrap().data, json!({"text": "At "}));
}

#[test]
fn whoever_leaves_takes_the_upstream_call_with_them_within_50_ms() {
    let outside = Outside::new(says(&["x"]));
    let app = asking(&outside);
    let talk = app.start_session();
    for begins in [vec![events_begin(), word("At ")], vec![]] {
        let before = outside.gone().len();
        let waits = begins.is_empty();
        outside.next([begins, vec![Part::UntilGone]].concat());
        let turns = asked(&outside).len();
        let mut stream = app.stream(&json!({"session_id": talk.session, "message": "hello"}));
        wait_for("the model is asked", || asked(&outside).len() > turns);
        if !waits {
            stream.event().unwrap();
        }
        let left = Instant::now();
        drop(stream);
        wait_for("the model's server sees it", || outside.gone().len() > before);
        let took = outside.gone()[before] - left;
        assert!(took < Duration::from_millis(50), "{took:?}");
    }
    assert_eq!(app.count("checkpoints"), 0);
    app.say(&talk, "hello again").expect(200);
}

#[test]
fn a_model_that_fails_is_told_and_nothing_is_kept() {
    let outside = Outside::new(says(&["well"]));
    let app = asking_with(&outside, |config| config.outside.breaker.threshold = 1000);
    let talk = app.start_session();
    let cut = vec![events_begin(), word("At "), Part::Close];
    let ends = vec![events_begin(), word("At "), end()];
    let html = vec![events_begin(), chunk("<html>busy</html>\n\n"), end()];
    let garbage = vec![events_begin(), chunk("data: {\"choices\": 7}\n\n"), end()];
    let fails =
        vec![events_begin(), word("At "), chunk("data: {\"error\": {\"message\": \"x\"}}\n\n"), end()];
    let empty = [vec![events_begin()], finished()].concat();
    let long = vec![events_begin(), chunk(&format!("data: {}", "x".repeat(70_000))), Part::UntilGone];
    let not_utf8 =
        vec![events_begin(), Part::Send(b"16\r\ndata: {\"choices\":\xff\xff}\r\n".to_vec()), end()];
    let other = whole(200, &[], &json!({"choices": []}));
    let (blank, marks) = (says(&[" \n", "\n "]), says(&["~~~\n", "~~~\n> "]));
    for script in [cut, ends, html, garbage, fails, empty, blank, marks, long, not_utf8, other] {
        outside.next(script);
        let refused = app.say(&talk, "hello").refused(503, "service_unavailable");
        assert_eq!(refused.header("retry-after"), "2");
    }
    for status in [400, 401, 404, 422] {
        outside.next(refusal(status, &[], "some_code"));
        app.say(&talk, "hello").refused(503, "service_unavailable");
    }
    for (asked, told) in [("17", "17"), ("3600", "3600"), ("3601", "3600"), ("18", "18")] {
        outside.next(refusal(429, &[("Retry-After", asked)], "rate_limit_exceeded"));
        let refused = app.say(&talk, "hello").refused(503, "service_unavailable");
        assert_eq!(refused.header("retry-after"), told);
    }
    outside.usually(refusal(500, &[], "x"));
    app.say(&talk, "hello").refused(503, "service_unavailable");
    let told = streamed(&app, &talk, "hello");
    assert_eq!((told[0].0.as_str(), &told[0].1["error"]), ("error", &json!("service_unavailable")));
    assert_eq!(app.count("checkpoints"), 0);
    outside.usually(says(&["well"]));
    outside.next(refusal(500, &[], "x"));
    app.say(&talk, "hello").expect(200);
    assert_eq!(app.said(&talk), ["hello"]);
}

#[test]
fn a_model_that_is_silent_is_given_up() {
    // Longer than whoever answers may be late: only what it does on purpose is too slow.
    const SHORT: Duration = Duration::from_millis(500);
    // Its first word has to come before it is given up.
    let late = Outside::new(vec![events_begin(), word("At "), Part::UntilGone]);
    let patient = asking_with(&late, |config| {
        config.outside.llm.as_mut().unwrap().silence = Duration::from_secs(3);
        config.outside.workflow = Duration::from_secs(15);
    });
    let mut begun =
        patient.stream(&json!({"session_id": patient.start_session().session, "message": "hello"}));
    let outside = Outside::new(vec![Part::UntilGone]);
    let app = asking_with(&outside, |config| {
        config.outside.llm.as_mut().unwrap().silence = SHORT;
        config.outside.workflow = 5 * SHORT;
        config.outside.breaker.threshold = 1000;
    });
    let talk = app.start_session();
    app.say(&talk, "hello").refused(504, "upstream_timeout");
    outside.next(vec![events_begin(), Part::UntilGone]);
    app.say(&talk, "hello").refused(504, "upstream_timeout");
    let drips = (0..200).flat_map(|_| [word("a "), Part::Pause(SHORT / 4)]);
    outside.next(std::iter::once(events_begin()).chain(drips).collect());
    app.say(&talk, "hello").refused(504, "upstream_timeout");
    let told = begun.events();
    assert_eq!((told[0].name.as_str(), told[1].name.as_str()), ("token", "error"));
    assert_eq!(told[1].data["error"], "upstream_timeout");
    wait_for("all are dropped", || outside.open() <= 1 && late.open() <= 1);
    assert_eq!((app.count("checkpoints"), patient.count("checkpoints")), (0, 0));
}

#[test]
fn a_model_that_never_ends_is_cut_off_and_what_it_said_is_kept() {
    let outside = Outside::new(says(&["x"]));
    let app = asking(&outside);
    let talk = app.start_session();
    let endless = (0..20).map(|_| word(&"y".repeat(4096))).chain([Part::UntilGone]);
    outside.next(std::iter::once(events_begin()).chain(endless).collect());
    let text = app.say(&talk, "hello").expect(200).json()["text"].as_str().unwrap().len();
    assert_eq!(text, 32 * 1024);
    wait_for("it is dropped", || outside.gone().len() == 1);
}

#[test]
fn a_stream_without_its_last_mark_is_whole_when_the_model_said_that_it_is_done() {
    let outside = Outside::new(says(&["x"]));
    let app = asking(&outside);
    let talk = app.start_session();
    outside.next(vec![events_begin(), word("done"), event(&json!({"content": ""}), Some("stop")), end()]);
    assert_eq!(app.say(&talk, "hello").expect(200).json()["text"], "done");
}

#[test]
fn two_hundred_turns_share_the_connections_there_may_be() {
    let script = says(&["x"]);
    let slow =
        [vec![script[0].clone(), Part::Pause(Duration::from_millis(20))], script[1..].to_vec()].concat();
    let outside = Outside::new(slow);
    let app = asking_with(&outside, |config| config.outside.most_connections = 16);
    // The look has a connection of its own, which is closed.
    wait_for("it was looked at", || outside.connections().0 == 1 && outside.open() == 0);
    let talks: Vec<_> = (0..200).map(|_| app.start_session()).collect();
    std::thread::scope(|scope| {
        for talk in &talks {
            let app = &app;
            scope.spawn(move || app.say(talk, "hello").expect(200));
        }
    });
    assert_eq!(asked(&outside).len(), 200);
    assert!(outside.connections().1 <= 16, "{:?}", outside.connections());
}

#[test]
fn a_model_that_keeps_failing_is_left_alone_and_health_metrics_and_status_say_so() {
    let outside = Outside::new(says(&["well"]));
    let app = asking_with(&outside, |config| {
        config.outside.breaker.threshold = 2;
        config.access.admin_token = Some(Secret::new("admin-token"));
    });
    let health = |app: &TestApp| app.get("/api/v1/health").expect(200).json();
    wait_for("it was looked at", || health(&app)["services"]["llm"] == "connected");
    assert_eq!(health(&app)["status"], "healthy");
    let talk = app.start_session();
    outside.usually(refusal(500, &[], "x"));
    app.say(&talk, "one").refused(503, "service_unavailable");
    app.say(&talk, "two").refused(503, "service_unavailable");
    let asked_before = asked(&outside).len();
    let refused = app.say(&talk, "three").refused(503, "service_unavailable");
    let wait: u64 = refused.header("retry-after").parse().unwrap();
    assert!((1..=30).contains(&wait), "{wait}");
    assert_eq!(asked(&outside).len(), asked_before);
    assert_eq!(
        (&health(&app)["status"], &health(&app)["services"]["llm"]),
        (&json!("degraded"), &json!("disconnected"))
    );
    app.get("/readyz").expect(200);
    let told = Scrape::of(&app);
    let circuit = |state: &str| {
        told.value(&format!("companion_upstream_circuit{{upstream=\"llm\",state=\"{state}\"}}"))
    };
    assert_eq!((circuit("open"), circuit("closed"), circuit("half_open")), (1.0, 0.0, 0.0));
    let calls =
        |end: &str| told.value(&format!("companion_upstream_calls_total{{upstream=\"llm\",end=\"{end}\"}}"));
    assert_eq!((calls("refused"), calls("circuit_open"), calls("answered")), (2.0, 1.0, 0.0));
    assert_eq!(told.value("companion_upstream_up{upstream=\"llm\"}"), 0.0);
    let headers = [("authorization", "Bearer admin-token")];
    let status = app.get_with("/api/v1/admin/status", &headers).expect(200).json();
    let llm = &status["upstreams"][0];
    assert_eq!(
        (&llm["name"], &llm["circuit"], &llm["calls"]["refused"]),
        (&json!("llm"), &json!("open"), &json!(2))
    );
    assert!(llm["retry_after_seconds"].as_f64().unwrap() <= 30.0);
}

#[test]
fn a_wrong_key_and_a_model_that_is_down_show_in_health() {
    let outside = Outside::new(refusal(401, &[], "invalid_api_key"));
    let app = asking(&outside);
    let llm = |app: &TestApp| app.get("/api/v1/health").expect(200).json()["services"]["llm"].clone();
    wait_for("it was looked at", || llm(&app) == "connected");
    app.say(&app.start_session(), "hello").refused(503, "service_unavailable");
    assert_eq!(llm(&app), "disconnected");
    app.finish();
    let nobody = Refusing::new();
    let app = asking_with(&outside, |config| {
        config.outside.llm.as_mut().unwrap().base = format!("http://{nobody}/v1").parse().unwrap();
    });
    assert_eq!(llm(&app), "disconnected");
    let talk = app.start_session();
    app.say(&talk, "hello").refused(503, "service_unavailable");
    let body = app.say(&talk, "I want to kill myself").expect(200).json();
    assert!(body["text"].as_str().unwrap().contains("findahelpline.com"), "{body}");
}

#[test]
fn a_model_that_hangs_holds_nothing_else_up_all_else_is_answered_within_500_ms() {
    let outside = Outside::new(vec![events_begin(), Part::UntilGone]);
    let app = asking(&outside);
    let talks: Vec<_> = (0..50).map(|_| app.start_session()).collect();
    let hanging: Vec<_> = talks
        .iter()
        .map(|talk| app.stream(&json!({"session_id": talk.session, "message": "hello"})))
        .collect();
    wait_for("all hang", || asked(&outside).len() == 50);
    outside.usually(says(&["well"]));
    let others: Vec<_> = (0..20).map(|_| app.start_session()).collect();
    let mut longest = Duration::ZERO;
    for talk in others.iter().cycle().take(100) {
        for ask in [&|| app.say(talk, "hello"), &|| app.get("/"), &|| app.get("/api/v1/health")]
            as [&dyn Fn() -> _; 3]
        {
            let began = Instant::now();
            ask().expect(200);
            longest = longest.max(began.elapsed());
        }
    }
    assert!(longest < Duration::from_millis(500), "{longest:?}");
    drop(hanging);
    wait_for("all are dropped", || outside.gone().len() == 50);
}

#[test]
fn words_of_self_harm_get_care_and_help_whatever_the_model_says_and_when_it_is_down() {
    let outside = Outside::new(says(&["Go on then."]));
    let app = asking(&outside);
    let talk = app.start_session();
    let body = app.say(&talk, "I want to kill myself").expect(200).json();
    assert!(body["text"].as_str().unwrap().contains("findahelpline.com"), "{body}");
    let told = streamed(&app, &talk, "I really want to die");
    assert_eq!((told[0].0.as_str(), told[1].0.as_str()), ("token", "done"));
    assert!(told[1].1["text"].as_str().unwrap().contains("findahelpline.com"));
    assert_eq!(asked(&outside), [json!(null); 0], "the model is not asked");
    app.say(&talk, "thank you").expect(200);
    let asked = asked(&outside);
    assert_eq!(asked[0]["messages"][1]["content"], "I want to kill myself", "and it knows what was said");
    assert!(asked[0]["messages"][0]["content"].as_str().unwrap().contains("findahelpline.com"));
}

#[test]
fn what_is_paid_for_is_not_started_where_strangers_reach_it() {
    let dir = tempfile::TempDir::new().unwrap();
    let start = |more: &[(&str, &str)]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_companion"));
        command.env_clear().current_dir(dir.path()).env("DATA_DIR", "data").env("HOST", "0.0.0.0");
        command.env("LLM_API_KEY", "sk-very-secret").envs(more.iter().copied());
        command.output().unwrap()
    };
    let output = start(&[("PORT", "none")]);
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{told}");
    assert!(told.contains("ALLOW_ANONYMOUS") && told.contains("PORT=\"none\""), "all at once: {told}");
    assert_eq!(told.lines().count(), 3, "{told}");
    assert!(!told.contains("sk-very") && !dir.path().join("data").exists(), "{told}");
}

#[test]
fn a_stream_is_understood_however_it_is_written() {
    let outside = Outside::new(says(&["x"]));
    let app = asking_with(&outside, |config| config.outside.breaker.threshold = 1000);
    let talk = app.start_session();
    let hello = r#"data: {"choices": [{"delta": {"content": "Hello "}}]}"#;
    let you = r#"data: {"choices": [{"delta": {"content": "you."}, "finish_reason": "stop"}]}"#;
    let thought = r#"data: {"choices": [{"delta": {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]}]}}]}"#;
    let parts = r#"data: {"choices": [{"delta": {"content": [{"type": "text", "text": "Hel"}, {"type": "text", "text": "lo "}]}}]}"#;
    let other = r#"data: {"choices": [{"delta": {"content": [{"type": "reasoning", "text": "Hm."}, {"type": "image", "text": 7}, null]}}]}"#;
    let bare = r#"data: {"choices": [{"delta": {"content": ["He", {"text": "llo"}, {"type": "output_text", "text": " "}]}}]}"#;
    let nothing = r#"data: {"choices": [{"delta": {"role": "assistant", "content": null}}]}"#;
    let used = r#"data: {"choices": null, "usage": {"total_tokens": 3}}"#;
    for stream in [
        format!("\u{feff}{hello}\n\n{you}\n\ndata: [DONE]\n\n"),
        format!("{hello}\r\r{you}\r\rdata: [DONE]\r\r"),
        format!(": wait\r\n\r\n{hello}\r\n\r\n{you}\r\n\r\ndata: [DONE] \r\n\r\n"),
        format!("data:\n\n{hello}\n\ndata: \n\n{you}\n\n{used}\n\ndata: [DONE]\n\n"),
        format!("{thought}\n\n{parts}\n\n{nothing}\n\n{you}\n\ndata: [DONE]\n\n"),
        format!("{other}\n\n{bare}\n\n{you}\n\ndata: [DONE]\n\n"),
    ] {
        outside.next(vec![events_begin(), chunk(&stream), end()]);
        assert_eq!(app.say(&talk, "hello").expect(200).json()["text"], "Hello you.", "{stream:?}");
    }
}

#[test]
fn what_a_model_thinks_is_neither_told_nor_kept_nor_an_answer() {
    let outside = Outside::new(says(&["<th", "ink>\nThey seem ", "sad.\n</think>", "\n\nI am ", "here."]));
    let app = asking_with(&outside, |config| config.outside.breaker.threshold = 1000);
    let talk = app.start_session();
    let told = streamed(&app, &talk, "hello");
    let tokens = told.iter().filter(|(name, _)| name == "token");
    let words: Vec<_> = tokens.map(|(_, data)| data["text"].as_str().unwrap()).collect();
    assert_eq!(words, ["I am ", "here."]);
    assert_eq!(told.last().unwrap().1["text"], "I am here.");
    let messages = app.session(&talk, "").expect(200).json()["messages"].clone();
    assert_eq!(messages[1]["text"], "I am here.");
    outside.next(says(&["<think>They seem sad.</think>\n"]));
    app.say(&talk, "hello").refused(503, "service_unavailable");
    assert_eq!(app.said(&talk), ["hello"]);
}

#[test]
fn what_a_model_said_is_kept_however_the_connection_ends_once_it_is_done() {
    let outside = Outside::new(says(&["well"]));
    let app = asking_with(&outside, |config| config.outside.breaker.threshold = 2);
    let talk = app.start_session();
    let done = vec![events_begin(), word("all of "), event(&json!({"content": "it"}), Some("stop"))];
    let nonsense = chunk("data: {\"choices\": 7}\n\n");
    let failing = chunk("data: {\"error\": {\"message\": \"x\"}}\n\n");
    let long = chunk(&format!("data: {}", "x".repeat(70_000)));
    for after in [Part::UntilGone, Part::Close, nonsense, failing, long] {
        outside.next([done.clone(), vec![after, Part::UntilGone]].concat());
        let began = Instant::now();
        assert_eq!(app.say(&talk, "hello").expect(200).json()["text"], "all of it");
        // The model may be silent for 20 s.
        assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    }
    assert_eq!(app.say(&app.start_session(), "hello").expect(200).json()["text"], "well");
    let calls = |end: &str| {
        Scrape::of(&app).value(&format!("companion_upstream_calls_total{{upstream=\"llm\",end=\"{end}\"}}"))
    };
    wait_for("all of them were answered", || calls("answered") == 6.0);
    assert_eq!((calls("timed_out"), calls("unreachable"), calls("garbage")), (0.0, 0.0, 0.0));
    wait_for("what goes on is dropped", || outside.open() <= 1);
}

#[test]
fn a_model_that_is_done_with_each_word_is_heard_to_its_end() {
    let outside = Outside::new(says(&["x"]));
    let app = asking(&outside);
    let each = |text: &str| event(&json!({"content": text}), Some("stop"));
    // All of them together take longer than what comes behind a last word is waited for; none of them alone does.
    let words: Vec<_> = (0..30).map(|number| format!("word {number}, ")).chain(["end".to_owned()]).collect();
    let slowly = words.iter().flat_map(|word| [Part::Pause(Duration::from_millis(50)), each(word)]);
    outside.next(std::iter::once(events_begin()).chain(slowly).chain([end()]).collect());
    let body = app.say(&app.start_session(), "hello").expect(200).json();
    assert_eq!(body["text"], words.concat());
}

#[test]
fn what_a_model_will_not_answer_takes_it_from_nobody_else() {
    let outside = Outside::new(says(&["well"]));
    let app = asking_with(&outside, |config| config.outside.breaker.threshold = 2);
    let llm = |app: &TestApp| app.get("/api/v1/health").expect(200).json()["services"]["llm"].clone();
    let talk = app.start_session();
    let filtered = vec![events_begin(), event(&json!({}), Some("content_filter")), end()];
    let nothing = vec![events_begin(), chunk("data: [DONE]\n\n"), end()];
    let thoughts = says(&["<think>Hm.</think>"]);
    let endless = (0..80).map(|_| word(&"hm, ".repeat(1024)));
    let endless: Vec<_> =
        [events_begin(), word("<think>")].into_iter().chain(endless).chain([Part::UntilGone]).collect();
    for script in [filtered, nothing, thoughts, endless] {
        outside.next(script);
        app.say(&talk, "hello").refused(503, "service_unavailable");
        assert_eq!(llm(&app), "connected");
    }
    wait_for("endless thoughts are dropped", || outside.gone().len() == 1);
    app.say(&app.start_session(), "hello").expect(200);
}

#[test]
fn long_thoughts_take_nothing_from_the_answer() {
    let thoughts = "They seem sad. ".repeat(4000);
    let outside = Outside::new(says(&["<think>", &thoughts, "</think>", "I am ", "here."]));
    let app = asking(&outside);
    assert_eq!(app.say(&app.start_session(), "hello").expect(200).json()["text"], "I am here.");
}

#[test]
fn a_model_that_only_thinks_is_given_up_and_one_that_answers_after_long_thoughts_is_not() {
    let outside = Outside::new(says(&["well"]));
    let app = asking(&outside);
    let talk = app.start_session();
    // 4 KiB in each event.
    let thinks = |events: usize| {
        let thoughts = (0..events).map(|_| word(&"y".repeat(4096)));
        [vec![events_begin(), word("<think>")], thoughts.collect()].concat()
    };
    outside.next([thinks(65), vec![Part::UntilGone]].concat());
    app.say(&talk, "hello").refused(503, "service_unavailable");
    wait_for("it is dropped", || outside.gone().len() == 1);
    outside.next([thinks(63), vec![word("</think>"), word("I am here.")], finished()].concat());
    assert_eq!(app.say(&talk, "hello").expect(200).json()["text"], "I am here.");
}
