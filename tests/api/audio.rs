//! Hearing an audio reply again.

use crate::support::{Talk, TestApp, seed};

fn with_audio(format: &str) -> (TestApp, Talk, String) {
    let app = TestApp::spawn();
    let talk = app.start_session();
    app.say(&talk, "read this to me").expect(200);
    let id = seed::audio(&app, &talk, format, b"0123456789");
    (app, talk, format!("/api/v1/voice/audio/{id}"))
}

#[test]
fn audio_comes_with_its_own_type_and_needs_no_token() {
    for (format, mime) in [
        ("mp3", "audio/mpeg"),
        ("wav", "audio/wav"),
        ("ogg", "audio/ogg"),
        ("webm", "audio/webm"),
        ("m4a", "audio/mp4"),
        ("flac", "audio/flac"),
    ] {
        let (app, _, path) = with_audio(format);
        let answer = app.get(&path).expect(200);
        assert_eq!((answer.header("content-type"), answer.body.as_slice()), (mime, &b"0123456789"[..]));
        assert_eq!(
            answer.header("content-disposition"),
            "inline",
            "its name is a secret of the conversation"
        );
    }
}

#[test]
fn audio_can_be_asked_for_in_part_and_again() {
    let (app, _, path) = with_audio("mp3");
    let tag = app.get(&path).expect(200).header("etag").to_owned();
    assert!(tag.starts_with('"'), "a strong tag: {tag}");
    for (range, content_range, body) in [
        ("bytes=2-4", "bytes 2-4/10", "234"),
        ("bytes=7-", "bytes 7-9/10", "789"),
        ("bytes=-2", "bytes 8-9/10", "89"),
    ] {
        let part = app.get_with(&path, &[("range", range)]).expect(206);
        assert_eq!((part.header("content-range"), part.text().as_str()), (content_range, body));
        assert_eq!(part.header("etag"), tag);
    }
    let held = app.get_with(&path, &[("if-none-match", &tag)]).expect(304);
    assert_eq!((held.body.len(), held.header("etag")), (0, tag.as_str()));
    app.get_with(&path, &[("if-none-match", "\"other\"")]).expect(200);
    let behind = app.get_with(&path, &[("range", "bytes=10-")]).refused(416, "range_not_satisfiable");
    assert_eq!(behind.header("content-range"), "bytes */10");
    let mut wire = app.wire();
    wire.send(format!("HEAD {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"));
    assert_eq!(wire.head().expect(200).header("content-length"), "10");
    assert_eq!(wire.rest(), b"");
}

#[test]
fn audio_that_expired_is_not_found_whether_row_or_file_went_first() {
    let (app, _, path) = with_audio("mp3");
    let id = path.rsplit('/').next().unwrap();
    std::fs::remove_file(app.data_dir().join("audio").join(format!("{id}.mp3"))).unwrap();
    app.get(&path).refused(404, "audio_not_found");
    let (app, _, path) = with_audio("mp3");
    app.db().execute_batch("DELETE FROM audio").unwrap();
    app.get(&path).refused(404, "audio_not_found");
}

#[test]
fn an_id_of_no_audio_is_not_found() {
    let (app, talk, path) = with_audio("mp3");
    for id in ["nonsense", "00000000-0000-4000-8000-000000000000", &talk.session, "%20", "%00", "a.mp3"] {
        app.get(&format!("/api/v1/voice/audio/{id}")).refused(404, "audio_not_found");
    }
    app.get(&format!("{path}.mp3")).refused(404, "audio_not_found");
    app.get(&format!("{path}/")).refused(404, "not_found");
}
