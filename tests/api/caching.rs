//! What may be kept, how long and by whom: the whole table, and the ways around it.

use std::collections::BTreeSet;

use crate::support::{TestApp, seed};

const FOREVER: &str = "public, max-age=31536000, immutable";
const SHORT: &str = "public, max-age=300";
const PRIVATE: &str = "no-cache, no-store, must-revalidate";

/// Every file the page needs, found as a browser finds them: by following what pages and modules refer to.
pub fn assets(app: &TestApp) -> Vec<String> {
    let mut found = BTreeSet::new();
    let mut unread = vec!["/".to_owned()];
    while let Some(path) = unread.pop() {
        let text = app.get(&path).expect(200).text();
        for (at, _) in text.match_indices("/static/") {
            let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '/');
            let name: String = text[at..].chars().take_while(|c| is_name(*c)).collect();
            // Pictures refer to nothing.
            if found.insert(name.clone()) && !name.ends_with(".png") {
                unread.push(name);
            }
        }
    }
    assert!(found.len() >= 5, "the page refers to its files: {found:?}");
    found.into_iter().collect()
}

#[test]
fn every_file_of_the_page_carries_its_hash_and_is_kept_for_good() {
    use sha2::Digest;
    let app = TestApp::spawn();
    for name in assets(&app) {
        let answer = app.get(&name).expect(200);
        assert_eq!(answer.header("cache-control"), FOREVER, "{name}");
        let digest = sha2::Sha256::digest(&answer.body);
        let hash: String = digest.iter().map(|byte| format!("{byte:02x}")).take(8).collect();
        assert!(name.contains(&format!("-{hash}.")), "{name} is named after other content");
    }
}

#[test]
fn the_service_worker_is_told_every_file_of_the_page_but_its_pictures_and_is_asked_for_each_time() {
    let app = TestApp::spawn();
    let worker = app.get("/sw.js").expect(200);
    assert_eq!(worker.header("content-type"), "text/javascript; charset=utf-8");
    assert_eq!(worker.header("cache-control"), "no-store");
    let text = worker.text();
    let told: BTreeSet<&str> =
        text.split('"').filter(|name| name.starts_with("/static/") && name.contains('.')).collect();
    let files = assets(&app);
    let expected: BTreeSet<&str> =
        files.iter().map(String::as_str).filter(|name| !name.ends_with(".png")).collect();
    assert_eq!(told, expected);
}

#[test]
fn the_page_is_kept_for_minutes_and_then_asked_for_by_its_tag() {
    let app = TestApp::spawn();
    for path in ["/", "/index.html"] {
        let whole = app.get(path).expect(200);
        let tag = whole.header("etag");
        assert_eq!(whole.header("cache-control"), SHORT);
        assert!(tag.starts_with('"') && tag.len() > 10, "a strong tag: {tag}");
        let held = app.get_with(path, &[("if-none-match", tag)]).expect(304);
        assert_eq!((held.header("cache-control"), held.header("etag")), (SHORT, tag));
        assert_eq!(held.body, b"");
        let part = app.get_with(path, &[("range", "bytes=0-14")]).expect(206);
        assert_eq!((part.text().as_str(), part.header("cache-control")), ("<!doctype html>", SHORT));
    }
}

#[test]
fn a_file_is_negotiated_cut_and_asked_for_again() {
    let app = TestApp::spawn();
    let file = assets(&app).into_iter().find(|name| name.ends_with(".css")).unwrap();
    let whole = app.get(&file).expect(200);
    let mut tags = BTreeSet::new();
    for (accepted, coding) in [("br, gzip", "br"), ("gzip", "gzip"), ("identity", "")] {
        let answer = app.get_with(&file, &[("accept-encoding", accepted)]).expect(200);
        assert_eq!(answer.header("content-encoding"), coding);
        assert_eq!(answer.header("vary"), "accept-encoding");
        assert_eq!(answer.header("cache-control"), FOREVER);
        assert_eq!(answer.body == whole.body, coding.is_empty());
        assert!(tags.insert(answer.header("etag").to_owned()), "each coding has a tag of its own");
        let held = [("accept-encoding", accepted), ("if-none-match", answer.header("etag"))];
        let held = app.get_with(&file, &held).expect(304);
        assert_eq!((held.header("cache-control"), held.body.len()), (FOREVER, 0));
        let part = [("accept-encoding", accepted), ("range", "bytes=2-5")];
        let part = app.get_with(&file, &part).expect(206);
        assert_eq!(part.body, answer.body[2..6]);
        assert_eq!(part.header("content-range"), format!("bytes 2-5/{}", answer.body.len()));
        assert_eq!(part.header("cache-control"), FOREVER);
    }
    let other = app.get_with(&file, &[("if-none-match", "\"other\"")]).expect(200);
    assert_eq!(other.body, whole.body);
}

#[test]
fn a_range_or_a_coding_that_cannot_be_had_is_an_error_and_not_kept() {
    let app = TestApp::spawn();
    let file = assets(&app).into_iter().find(|name| name.ends_with(".css")).unwrap();
    let behind = app.get_with(&file, &[("range", "bytes=99999999-")]).refused(416, "range_not_satisfiable");
    assert!(behind.header("content-range").starts_with("bytes */"));
    app.get_with(&file, &[("accept-encoding", "identity;q=0")]).refused(406, "validation_error");
}

#[test]
fn head_tells_what_get_would_and_sends_nothing() {
    let app = TestApp::spawn();
    let file = assets(&app).remove(0);
    for (path, status) in [
        ("/", 200),
        (file.as_str(), 200),
        ("/api/v1/health", 200),
        ("/livez", 200),
        ("/readyz", 200),
        ("/static/none.js", 404),
        ("/nowhere", 404),
    ] {
        let got = app.get(path).expect(status);
        let mut wire = app.wire();
        wire.send(format!("HEAD {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"));
        let head = wire.head().expect(status);
        for name in ["content-length", "content-type", "cache-control", "etag", "vary"] {
            // Each error's body tells the id of its own request, always equally long.
            assert_eq!(head.header(name), got.header(name), "{name} of {path}");
        }
        assert_eq!(wire.rest(), b"", "{path}");
    }
}

#[test]
fn answers_of_the_api_are_never_kept() {
    let app = TestApp::spawn();
    let talk = app.start_session();
    let audio = seed::audio(&app, &talk, "mp3", b"0123456789");
    let audio = format!("/api/v1/voice/audio/{audio}");
    for path in ["/api/v1/health", "/api/v1/sessions", "/api/v1/me", "/api/v1/me/export", &audio] {
        assert_eq!(app.get_as(&talk.token, path).expect(200).header("cache-control"), PRIVATE, "{path}");
    }
    assert_eq!(app.get_with(&audio, &[("range", "bytes=0-1")]).expect(206).header("cache-control"), PRIVATE);
    assert_eq!(app.delete(&talk, "").expect(204).header("cache-control"), PRIVATE);
}

#[test]
fn what_is_no_file_of_the_page_is_an_error_in_json() {
    let app = TestApp::spawn();
    let known = assets(&app).remove(0);
    let (stem, ending) = known.rsplit_once('.').unwrap();
    let unhashed = known.rsplit_once('-').map(|(stem, _)| format!("{stem}.{ending}")).unwrap();
    let other_end = if stem.ends_with('0') { '1' } else { '0' };
    let other_hash = format!("{}{other_end}.{ending}", &stem[..stem.len() - 1]);
    for path in [
        "/static/",
        "/static",
        "/static/index.html",
        "/missing.html",
        &unhashed,
        &other_hash,
        &format!("{known}/"),
        &format!("{known}.map"),
        &format!("{known}.br"),
    ] {
        app.get(path).refused(404, "not_found");
    }
    assert_eq!(app.get(&format!("{known}?v=2")).expect(200).header("cache-control"), FOREVER);
}

const TRICKS: [&str; 15] = [
    "../Cargo.toml",
    "../../../../etc/passwd",
    "%2e%2e/Cargo.toml",
    "%2e%2e%2fCargo.toml",
    "..%2fCargo.toml",
    "..%5cCargo.toml",
    "..\\Cargo.toml",
    "%252e%252e%252fCargo.toml",
    "/etc/passwd",
    "//etc/passwd",
    "%2fetc%2fpasswd",
    "./././../Cargo.toml",
    "Cargo.toml%00.js",
    "%ff%fe",
    "%c0%ae%c0%ae/Cargo.toml",
];

#[test]
fn no_path_leads_out_of_what_is_served() {
    let app = TestApp::spawn();
    for trick in TRICKS {
        for (below, code) in [("/static/", "not_found"), ("/api/v1/voice/audio/", "")] {
            let answer = app.raw_get(&format!("{below}{trick}")).expect(404);
            let told = answer.code();
            assert_eq!(answer.header("cache-control"), "no-store", "{below}{trick}");
            assert_eq!(answer.header("content-type"), "application/json");
            assert!(told == code || code.is_empty() && told.ends_with("not_found"), "{below}{trick}: {told}");
            assert_eq!(answer.json()["request_id"], answer.header("x-request-id"));
        }
    }
}

#[test]
fn a_real_file_beside_the_audio_is_not_served() {
    let app = TestApp::spawn();
    for (name, words) in [("audio/note.mp3", "a foreign file"), ("note.mp3", "a file above")] {
        std::fs::write(app.data_dir().join(name), words).unwrap();
    }
    for name in ["note.mp3", "../note.mp3", "%2e%2e%2fnote.mp3", "..%2fcompanion.db", "../companion.db"] {
        let answer = app.raw_get(&format!("/api/v1/voice/audio/{name}")).expect(404);
        assert_eq!(answer.header("content-type"), "application/json", "{name}");
    }
}

#[test]
fn another_spelling_of_an_address_is_kept_just_as_the_address() {
    let app = TestApp::spawn();
    let asset = assets(&app).remove(0).replace("/static/", "/%73tatic/");
    for (path, expected) in [
        ("/%61pi/v1/health", PRIVATE),
        ("/api/%761/health", PRIVATE),
        (asset.as_str(), FOREVER),
        ("/index%2ehtml", SHORT),
        ("/%6civez", "no-store"),
    ] {
        assert_eq!(app.raw_get(path).expect(200).header("cache-control"), expected, "{path}");
    }
    app.raw_get("/%73tatic/none.js").refused(404, "not_found");
    app.raw_get("/%61pi/v1/nothing").refused(404, "not_found");
}

#[test]
fn another_spelling_of_an_address_is_never_kept_longer_than_the_address() {
    let app = TestApp::spawn();
    let talk = app.start_session();
    for path in
        ["/%61pi/v1/me", "/api/v1/%6de", "//api/v1/me", "/api//v1/me", "/api/v1/me/", "/api/v1/me.html"]
    {
        let answer = app.raw(format!(
            "GET {path} HTTP/1.1\r\nHost: x\r\nX-Companion-Person: {}\r\nConnection: close\r\n\r\n",
            talk.token
        ));
        assert!(
            answer.header("cache-control").contains("no-store"),
            "{path}: {}",
            answer.header("cache-control")
        );
    }
}

#[test]
fn a_file_in_memory_is_answered_by_the_same_rules_as_all_else() {
    let app = TestApp::spawn();
    let file = assets(&app).remove(0);
    let mut wire = app.wire();
    wire.send(format!("GET {file} HTTP/1.1\r\nHost: x\r\nContent-Length: 1073741824\r\n\r\n"));
    wire.answer().refused(413, "request_too_large");
    app.ask("POST", &file, &[], b"").refused(405, "method_not_allowed");
    let answer = app.get_with(&file, &[("x-request-id", "mine")]).expect(200);
    answer.assert_on_every_response();
    assert_eq!(answer.header("x-request-id"), "mine");
    let friend = "https://app.example.org";
    let app = TestApp::spawn_with(|config| config.allowed_origins = vec![friend.to_owned()]);
    let theirs = app.get_with(&file, &[("origin", friend)]).expect(200);
    assert_eq!(theirs.header("access-control-allow-origin"), friend);
    let ours = app.get(&file).expect(200);
    assert!(ours.header("vary").to_lowercase().contains("origin"), "a cache must tell the two apart");
    assert!(ours.header("vary").contains("accept-encoding"));
}
