//! Services outside that hear and speak: what they are asked, byte for byte, and what becomes of a turn when they fail.

use std::time::{Duration, Instant};

use companion::config::{Hearing, ServerConfig, Speaking, SpeechApi};
use companion::domain::persona::VoiceSettings;
use companion::domain::secret::ApiKey;
use serde_json::{Value, json};

use crate::support::outside::{Outside, Part, refusal, sound, whole};
use crate::support::voice::{ALOUD, coded, recording, recordings, seconds, spoken};
use crate::support::{TestApp, wait_for};

const HEAR: &str = "/v1/audio/transcriptions";
const SPEAK: &str = "/v1/audio/speech";

fn api(outside: &Outside, model: &str, voice: &str) -> SpeechApi {
    let key = Some(ApiKey::new("the-key".to_owned()));
    SpeechApi { base: outside.url.parse().unwrap(), key, model: model.to_owned(), voice: voice.to_owned() }
}

fn hears(outside: &Outside, text: &str) -> TestApp {
    outside.usually(whole(200, &[], &json!({"text": text})));
    TestApp::spawn_with(|config| hear_there(config, outside))
}

fn hear_there(config: &mut ServerConfig, outside: &Outside) {
    config.speech.hearing = Some(Hearing::Api(api(outside, "whisper-large-v3", "")));
    config.outside.breaker.threshold = 3;
}

fn speak_there(config: &mut ServerConfig, outside: &Outside) {
    config.speech.speaking = Some(Speaking::OpenAi(api(outside, "tts-1", "alloy")));
    config.outside.breaker.threshold = 3;
}

fn wav(text: &str) -> Vec<u8> {
    coded(&spoken(text), &["-f", "wav"])
}

fn mp3(text: &str) -> Vec<u8> {
    coded(&spoken(text), &["-b:a", "64k", "-f", "mp3"])
}

#[test]
fn a_recording_is_sent_with_the_name_and_type_that_its_bytes_have() {
    let outside = Outside::new(Vec::new());
    let app = hears(&outside, "I feel calm");
    let talk = app.start_session();
    for (format, bytes) in recordings() {
        assert_eq!(app.speak_to(&talk, &bytes).expect(200).json()["transcription"], "I feel calm");
        let seen = outside.requests(HEAR).pop().unwrap();
        assert_eq!(seen.header("authorization"), Some("Bearer the-key"));
        let boundary =
            seen.header("content-type").unwrap().strip_prefix("multipart/form-data; boundary=").unwrap();
        let mime = if format == "mp3" {
            "mpeg"
        } else if format == "m4a" {
            "mp4"
        } else {
            format
        };
        let expected = [
            format!(
                "--{boundary}\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nwhisper-large-v3\r\n\
                 --{boundary}\r\nContent-Disposition: form-data; name=\"response_format\"\r\n\r\nverbose_json\r\n\
                 --{boundary}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"recording.{format}\"\r\n\
                 Content-Type: audio/{mime}\r\n\r\n"
            )
            .into_bytes(),
            bytes,
            format!("\r\n--{boundary}--\r\n").into_bytes(),
        ];
        assert!(seen.body == expected.concat(), "{format}");
    }
}

#[test]
fn what_a_recogniser_makes_of_silence_is_not_heard() {
    let outside = Outside::new(Vec::new());
    let app = hears(&outside, "Thanks for watching!");
    let talk = app.start_session();
    let heard = |answer: &Value| {
        outside.next(whole(200, &[], answer));
        app.speak_to(&talk, &recording("webm")).expect(200).json()["transcription"].clone()
    };
    assert_eq!(heard(&json!({"text": " Thanks for watching!"})), "");
    let silent = json!([{"no_speech_prob": 0.93}, {"no_speech_prob": 0.81}]);
    assert_eq!(heard(&json!({"text": "Thank you.", "segments": silent})), "");
    let spoken = json!([{"no_speech_prob": 0.93}, {"no_speech_prob": 0.02}]);
    assert_eq!(heard(&json!({"text": "Thank you.", "segments": spoken})), "Thank you.");
    assert_eq!(heard(&json!({"text": "Thank you.", "segments": []})), "Thank you.");
    assert_eq!(heard(&json!({"text": "Thank you.", "segments": null})), "Thank you.");
}

#[test]
fn hearing_that_fails_is_told_as_what_it_is() {
    let outside = Outside::new(Vec::new());
    let app = hears(&outside, "I feel calm");
    let talk = app.start_session();
    let ask = |script: Vec<Part>| {
        outside.next(script);
        app.speak_to(&talk, &recording("ogg"))
    };
    ask(refusal(400, &[], "invalid_file")).refused(400, "validation_error");
    let unauthorized = ask(refusal(401, &[], "invalid_api_key")).refused(503, "service_unavailable");
    assert!(!unauthorized.text().contains("secret"), "{}", unauthorized.text());
    let busy =
        ask(refusal(429, &[("Retry-After", "7")], "rate_limit_exceeded")).refused(503, "service_unavailable");
    assert_eq!(busy.header("retry-after"), "7");
    app.speak_to(&talk, &recording("ogg")).expect(200);
    ask(whole(200, &[], &json!({"no": "text"}))).refused(503, "service_unavailable");
    assert_eq!(app.count("checkpoints"), 1);
}

#[test]
fn hearing_that_is_down_is_refused_within_a_second_asked_no_more_for_a_while_and_speaks_of_itself_in_health()
{
    let outside = Outside::new(Vec::new());
    let app = hears(&outside, "I feel calm");
    let talk = app.start_session();
    wait_for("it was looked at", || app.get("/api/v1/health").json()["services"]["stt"] == "connected");
    outside.usually(refusal(500, &[], "down"));
    for _ in 0..3 {
        app.speak_to(&talk, &recording("ogg")).refused(503, "service_unavailable");
    }
    let asked = outside.requests(HEAR).len();
    assert!((3..=9).contains(&asked), "{asked}");
    let began = Instant::now();
    let refused = app.speak_to(&talk, &recording("ogg")).refused(503, "service_unavailable");
    assert!(began.elapsed() < Duration::from_secs(1), "at once");
    assert!(refused.header("retry-after").parse::<u64>().unwrap() > 2);
    assert_eq!(outside.requests(HEAR).len(), asked, "it is left alone");
    assert_eq!(app.get("/api/v1/health").json()["services"]["stt"], "disconnected");
    app.say(&talk, "writing works").expect(200);
    assert_eq!(app.count("checkpoints"), 1);
}

#[test]
fn hearing_that_answers_nonsense_is_as_good_as_down() {
    let outside = Outside::new(Vec::new());
    let app = hears(&outside, "I feel calm");
    let talk = app.start_session();
    outside.usually(whole(200, &[], &json!({"error": {"message": "quota"}})));
    let asked = || outside.requests(HEAR).len();
    for times in 1..=3 {
        app.speak_to(&talk, &recording("ogg")).refused(503, "service_unavailable");
        assert_eq!(asked(), times, "it was answered, and another try would be answered the same");
    }
    app.speak_to(&talk, &recording("ogg")).refused(503, "service_unavailable");
    assert_eq!(asked(), 3, "it is left alone");
    assert_eq!(app.get("/api/v1/health").json()["services"]["stt"], "disconnected");
    let told = app.get("/metrics").expect(200).text();
    assert!(told.contains("companion_upstream_calls_total{upstream=\"stt\",end=\"garbage\"} 3"), "{told}");
}

#[test]
fn a_transcript_that_nobody_can_have_said_is_not_read_to_its_end() {
    let outside = Outside::new(Vec::new());
    let app = hears(&outside, &"x".repeat(1 << 20));
    app.speak_to(&app.start_session(), &recording("ogg")).refused(503, "service_unavailable");
    outside.usually(whole(200, &[], &json!({"text": "I feel calm"})));
    app.speak_to(&app.start_session(), &recording("ogg")).expect(200);
}

#[test]
fn hearing_that_hangs_is_given_up_in_time() {
    let outside = Outside::new(vec![Part::UntilGone]);
    let app = TestApp::spawn_with(|config| {
        hear_there(config, &outside);
        config.speech.hearing_timeout = Duration::from_secs(3);
    });
    app.speak_to(&app.start_session(), &recording("wav")).refused(504, "upstream_timeout");
    wait_for("the connection is closed", || outside.gone().len() == 1);
}

#[test]
fn elevenlabs_is_asked_as_its_documentation_says() {
    let outside = Outside::new(Vec::new());
    let root = outside.url.trim_end_matches("/v1").to_owned();
    let app = TestApp::spawn_with(|config| {
        let mut api = api(&outside, "eleven_flash_v2_5", "JBFqnCBsd6RMkjVDRZzb");
        api.base = root.parse().unwrap();
        config.speech.speaking = Some(Speaking::ElevenLabs(api));
        let settings = json!({"stability": 0.5, "similarity_boost": 0.75, "style": 0, "use_speaker_boost": true, "speed": 0.9});
        config.persona.voice = serde_json::from_value::<VoiceSettings>(settings).ok();
    });
    let talk = app.start_session();
    let file = mp3("You said hello");
    outside.usually(sound(&file));
    let body = json!({"session_id": talk.session, "message": "hello", "speak": true});
    let reply = app.chat(&body).expect(200).json();
    assert_eq!(reply["degraded"], json!([]));
    let heard = app.get(reply["audio_url"].as_str().unwrap()).expect(200);
    assert_eq!((heard.header("content-type"), heard.body == file), ("audio/mpeg", true));
    let path = "/v1/text-to-speech/JBFqnCBsd6RMkjVDRZzb/stream?output_format=mp3_44100_128";
    let seen = outside.requests(path).pop().unwrap();
    assert!(seen.head.starts_with("POST "), "{}", seen.head);
    assert_eq!((seen.header("xi-api-key"), seen.header("authorization")), (Some("the-key"), None));
    assert_eq!(
        (seen.header("content-type"), seen.header("accept")),
        (Some("application/json"), Some("audio/mpeg"))
    );
    let expected = json!({
        "text": "You said: hello",
        "model_id": "eleven_flash_v2_5",
        "voice_settings": {"stability": 0.5, "similarity_boost": 0.75, "style": 0.0, "use_speaker_boost": true, "speed": 0.9},
    });
    assert_eq!(seen.json(), expected);
}

#[test]
fn an_openai_compatible_voice_speaks_each_sentence_and_the_files_are_joined() {
    let outside = Outside::new(Vec::new());
    let app = TestApp::spawn_with(|config| speak_there(config, &outside));
    let talk = app.start_session();
    let files = [mp3("Hello there."), mp3("How are you?")];
    files.iter().for_each(|file| outside.next(sound(file)));
    app.model.next(crate::support::model::pieces(&["Hello there. ", "How are you?"]));
    let events = app.stream(&json!({"session_id": talk.session, "message": "hi", "speak": true})).events();
    let done = &events.last().unwrap().data;
    assert_eq!(done["degraded"], json!([]));
    let whole = seconds(&app.get(done["audio_url"].as_str().unwrap()).expect(200).body);
    let together = seconds(&files[0]) + seconds(&files[1]);
    assert!((whole - together).abs() < 0.3, "{whole} s is not {together} s");
    let asked: Vec<_> = outside.requests(SPEAK).iter().map(|seen| seen.json()).collect();
    let of =
        |text: &str| json!({"model": "tts-1", "input": text, "voice": "alloy", "response_format": "mp3"});
    assert_eq!(asked, [of("Hello there."), of("How are you?")]);
}

#[test]
fn a_long_text_is_spoken_in_passages_of_which_each_is_short_enough_for_the_service() {
    let outside = Outside::new(Vec::new());
    let app = TestApp::spawn_with(|config| speak_there(config, &outside));
    let talk = app.start_session();
    let sentence = "All of this has to be read to its very end, however long it may be. ";
    // Nearly twice as much as OpenAI takes at once.
    let text = sentence.repeat(115).trim().to_owned();
    for (file, kind) in [(mp3("One after the other."), "audio/mpeg"), (wav("One by one."), "audio/wav")] {
        let before = outside.requests(SPEAK).len();
        let answer = sound(&file);
        outside.answers(move |seen| {
            let chars = seen.json()["input"].as_str().unwrap().chars().count();
            if chars > 4096 { refusal(400, &[], "string_above_max_length") } else { answer.clone() }
        });
        app.model.next(crate::support::model::pieces(&[&text]));
        let reply =
            app.chat(&json!({"session_id": talk.session, "message": "read", "speak": true})).expect(200);
        let reply = reply.json();
        assert_eq!(reply["degraded"], json!([]));
        let whole = app.get(reply["audio_url"].as_str().unwrap()).expect(200);
        assert_eq!(whole.header("content-type"), kind);
        let form = [("session_id", None, talk.session.as_bytes()), ("text", None, text.as_bytes())];
        let aloud = app.send_form(ALOUD, &form).expect(200);
        for heard in [whole.body, aloud.body] {
            let (lasts, once) = (seconds(&heard), seconds(&file));
            assert!((lasts - 2.0 * once).abs() < 0.3, "{lasts} s of {once} s twice");
        }
        let asked = outside.requests(SPEAK);
        let said = asked[before..].iter().map(|seen| seen.json()["input"].as_str().unwrap().to_owned());
        let said: Vec<_> = said.collect();
        assert_eq!((said.len(), said[..2].join(" "), said[2..].join(" ")), (4, text.clone(), text.clone()));
    }
}

#[test]
fn a_passage_that_fails_ends_the_sound_and_leaves_the_text() {
    let outside = Outside::new(refusal(400, &[], "no"));
    let app = TestApp::spawn_with(|config| speak_there(config, &outside));
    let talk = app.start_session();
    let text = "All of this has to be read to its very end. ".repeat(150).trim().to_owned();
    let file = mp3("One after the other.");
    outside.next(sound(&file));
    app.model.next(crate::support::model::pieces(&[&text]));
    let reply = app.chat(&json!({"session_id": talk.session, "message": "read", "speak": true})).expect(200);
    let reply = reply.json();
    assert_eq!((&reply["text"], &reply["degraded"]), (&json!(text), &json!(["speech"])));
    assert_eq!(outside.requests(SPEAK).len(), 2);
    outside.next(sound(&file));
    let mut wire = app.begin_aloud(&talk, &text);
    assert_eq!(wire.head().status, 200);
    let rest = wire.broken();
    assert!(!rest.is_empty() && !rest.ends_with(b"0\r\n\r\n"), "what was cut does not look whole");
}

#[test]
fn who_leaves_while_a_passage_is_spoken_is_spoken_no_other() {
    let outside = Outside::new(Vec::new());
    let app = TestApp::spawn_with(|config| speak_there(config, &outside));
    let talk = app.start_session();
    let text = "All of this has to be read to its very end. ".repeat(150);
    let head = b"HTTP/1.1 200 OK\r\nContent-Type: audio/mpeg\r\nContent-Length: 9000000\r\n\r\n";
    outside.usually(vec![Part::Send([&head[..], &mp3("On and on.")].concat()), Part::UntilGone]);
    let mut leaves = app.begin_aloud(&talk, &text);
    assert_eq!(leaves.head().status, 200);
    drop(leaves);
    wait_for("the connection is closed", || !outside.gone().is_empty());
    std::thread::park_timeout(Duration::from_millis(100));
    assert_eq!(outside.requests(SPEAK).len(), 1);
}

#[test]
fn speech_that_is_down_outside_leaves_the_text_and_is_left_alone() {
    let outside = Outside::new(refusal(500, &[], "down"));
    let app = TestApp::spawn_with(|config| speak_there(config, &outside));
    let talk = app.start_session();
    let body = json!({"session_id": talk.session, "message": "hello", "speak": true});
    for _ in 0..4 {
        let reply = app.chat(&body).expect(200).json();
        assert_eq!((&reply["text"], &reply["degraded"]), (&json!("You said: hello"), &json!(["speech"])));
        assert!(reply.get("audio_url").is_none());
    }
    let asked = outside.requests(SPEAK).len();
    app.chat(&body).expect(200);
    assert_eq!(outside.requests(SPEAK).len(), asked);
    assert_eq!(app.get("/api/v1/health").json()["services"]["tts"], "disconnected");
    for wrong in [whole(200, &[], &json!({"not": "sound"})), sound(b"no sound either"), sound(b"")] {
        let outside = Outside::new(wrong);
        let app = TestApp::spawn_with(|config| speak_there(config, &outside));
        let body = json!({"session_id": app.start_session().session, "message": "hello", "speak": true});
        assert_eq!(app.chat(&body).expect(200).json()["degraded"], json!(["speech"]));
    }
}

#[test]
fn an_interruption_closes_the_voices_connection_within_50_ms() {
    let outside = Outside::new(Vec::new());
    let programs = crate::support::voice::Programs::new();
    let hears = programs.script("hears", "echo hello");
    let app = TestApp::spawn_with(|config| {
        speak_there(config, &outside);
        config.speech.hearing = Some(Hearing::Command(hears));
    });
    let file = mp3("This goes on and on");
    let head = b"HTTP/1.1 200 OK\r\nContent-Type: audio/mpeg\r\nContent-Length: 9000000\r\n\r\n";
    outside.usually(vec![Part::Send([&head[..], &file].concat()), Part::UntilGone]);
    let mut socket = app.socket(&app.start_session());
    socket.speak(&recording("webm"), None);
    assert_eq!(socket.until("audio_start")["mime"], "audio/mpeg");
    let interrupted = Instant::now();
    socket.interrupt(None);
    assert_eq!(socket.until("audio_end")["interrupted"], true);
    wait_for("the connection is closed", || !outside.gone().is_empty());
    let took = outside.gone()[0].saturating_duration_since(interrupted);
    assert!(took < Duration::from_millis(50), "{took:?}");
}

#[test]
fn a_server_that_only_writes_is_not_said_to_hear_or_speak() {
    let outside = Outside::new(refusal(404, &[], "not_found"));
    let app = TestApp::spawn_with(|config| {
        hear_there(config, &outside);
        speak_there(config, &outside);
    });
    let service = |name: &str| app.get("/api/v1/health").expect(200).json()["services"][name].clone();
    wait_for("it answers a look", || service("stt") == "connected" && service("tts") == "connected");
    let talk = app.start_session();
    let body = json!({"session_id": talk.session, "message": "hello", "speak": true});
    assert_eq!(app.chat(&body).expect(200).json()["degraded"], json!(["speech"]));
    app.speak_to(&talk, &recording("ogg")).refused(503, "service_unavailable");
    assert_eq!((service("stt"), service("tts")), (json!("disconnected"), json!("disconnected")));
    let looks = || outside.requests("/v1/models").len();
    let before = looks();
    wait_for("it is looked at again", || service("stt") == "disconnected" && looks() >= before + 2);
    std::thread::park_timeout(Duration::from_millis(100));
    assert_eq!((service("stt"), service("tts")), (json!("disconnected"), json!("disconnected")));
    outside.usually(whole(200, &[], &json!({"text": "I feel calm"})));
    app.speak_to(&talk, &recording("ogg")).expect(200);
    assert_eq!((service("stt"), service("tts")), (json!("connected"), json!("disconnected")));
}
