//! Requests that no friend would send: each gets one answer with the right status, and the server goes on.

use serde_json::json;

use crate::caching::assets;
use crate::support::wire::Answer;
use crate::support::{TestApp, seed};

const CHAT: &str = "/api/v1/chat";
/// What an attacker wants a proxy in front to take for a request of somebody else.
const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nHost: x\r\nX-Request-ID: smuggled\r\n\r\n";

/// Everything that comes back to these bytes, until the server closes the connection.
fn all_that_comes(app: &TestApp, bytes: impl AsRef<[u8]>) -> String {
    let mut wire = app.wire();
    wire.try_send(bytes.as_ref());
    String::from_utf8(wire.broken()).unwrap()
}

fn head(lines: &str) -> String {
    format!("POST {CHAT} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n{lines}\r\n\r\n")
}

#[test]
fn whatever_is_unclear_about_where_a_body_ends_is_refused_and_ends_the_connection() {
    let app = TestApp::spawn();
    for lines in [
        "Content-Length: 6\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 6",
        "Content-Length: 5\r\nContent-Length: 6",
        "Content-Length: 5\r\nContent-Length: 5",
        "Content-Length: 5, 5",
        "Content-Length: 5 5",
        "Content-Length: +5",
        "Content-Length: -5",
        "Content-Length: 0x5",
        "Content-Length: 5e0",
        "Content-Length: ",
        "Content-Length : 5",
        "Content-Length\t: 5",
        " Content-Length: 5",
        "Content-Length: 18446744073709551616",
        "Content-Length: 99999999999999999999999999999999",
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding: chunked, identity",
        "Transfer-Encoding: chunked, chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
        "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: gzip, chunked",
        "Transfer-Encoding : chunked",
        "Transfer-Encoding:\x0bchunked",
        "X: y\r\n Transfer-Encoding: chunked",
        "X: y\rTransfer-Encoding: chunked",
        "X: y\0z",
    ] {
        let told = all_that_comes(&app, format!("{}0\r\n\r\n{SMUGGLED}", head(lines)));
        assert!(told.starts_with("HTTP/1.1 400 "), "{lines:?}: {told}");
        assert_eq!(told.matches("HTTP/1.1 ").count(), 1, "{lines:?}: {told}");
        assert!(told.to_ascii_lowercase().contains("connection: close"), "{lines:?}: {told}");
    }
    assert_eq!(app.model.begun(), 0);
    app.get("/livez").expect(200);
}

#[test]
fn a_chunk_whose_size_is_no_size_is_refused_and_ends_the_connection() {
    let app = TestApp::spawn();
    for chunk in [
        "-1\r\n",
        "0x5\r\n",
        "5 5\r\n",
        "+5\r\n",
        "\r\n",
        "g\r\n",
        "fffffffffffffffff\r\n",
        "5\r\nhelloX\r\n",
        "5\n",
    ] {
        let told = all_that_comes(&app, format!("{}{chunk}{SMUGGLED}", head("Transfer-Encoding: chunked")));
        assert!(told.starts_with("HTTP/1.1 400 "), "{chunk:?}: {told}");
        assert_eq!(told.matches("HTTP/1.1 ").count(), 1, "{chunk:?}: {told}");
    }
    let told = all_that_comes(&app, format!("{}ffffffffffffffff\r\n", head("Transfer-Encoding: chunked")));
    assert!(told.starts_with("HTTP/1.1 4"), "{told}");
    app.get("/livez").expect(200);
}

#[test]
fn what_a_client_writes_never_becomes_a_header_of_the_answer() {
    let app = TestApp::spawn_with(|config| {
        config.allowed_origins = vec!["https://app.example.org".to_owned()];
    });
    let evil = [
        "%0d%0aX-Injected: 1",
        "a\u{85}X-Injected: 1",
        "\\r\\nX-Injected: 1",
        "a\tX-Injected: 1",
        "%E5%98%8A%E5%98%8DX-Injected: 1",
    ];
    for text in evil {
        for name in [
            "X-Request-ID",
            "Origin",
            "Host",
            "Cookie",
            "X-Companion-Person",
            "Accept",
            "Range",
            "If-None-Match",
            "If-Range",
            "X-Forwarded-For",
            "X-Forwarded-Proto",
            "Access-Control-Request-Method",
        ] {
            let host = if name == "Host" { "" } else { "Host: x\r\n" };
            for (method, path) in [("GET", "/"), ("GET", "/api/v1/me"), ("OPTIONS", CHAT)] {
                let sent =
                    format!("{method} {path} HTTP/1.1\r\n{host}{name}: {text}\r\nConnection: close\r\n\r\n");
                let answer = app.raw(sent);
                assert!(answer.status < 500, "{name}: {text}");
                assert!(answer.header("x-injected").is_empty(), "{name}: {text}");
                assert!(
                    answer.headers.iter().all(|(_, value)| !value.contains("Injected")),
                    "{name}: {text}: {:?}",
                    answer.headers
                );
            }
        }
        let in_path = app.raw_get(&format!("/static/{}", text.replace([' ', '\t', '\u{85}'], "")));
        assert!(in_path.headers.iter().all(|(_, value)| !value.contains("Injected")), "{text}");
    }
    // Bare ends of lines, which some programs take for whole ones.
    for bare in ["a\rX-Injected: 1", "a\0X-Injected: 1"] {
        let sent = format!("GET / HTTP/1.1\r\nHost: x\r\nX-Request-ID: {bare}\r\nConnection: close\r\n\r\n");
        assert_eq!(app.raw(sent).expect(400).header("x-injected"), "");
    }
}

#[test]
fn an_address_that_is_a_trick_leads_nowhere() {
    let app = TestApp::spawn();
    let long = format!("/{}", "a/".repeat(8000));
    for target in [
        "/../../etc/passwd",
        "/..%2f..%2fetc%2fpasswd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/%c0%ae%c0%ae/etc/passwd",
        "/static/%c0%ae%c0%ae%c0%afetc/passwd",
        "/static/..\\..\\etc\\passwd",
        "/static/%00",
        "/%00",
        "/%ff%fe",
        "/%",
        "/%zz",
        "/static//etc/passwd",
        "/static/;/../../etc/passwd",
        "/api/v1/sessions/../../../etc/passwd",
        "/api/v1/sessions/%2e%2e%2f%2e%2e",
        "/api/v1/voice/audio/..%2f..%2fcompanion.db",
        "/assets/../companion.db",
        "file:///etc/passwd",
        "http://127.0.0.1/etc/passwd",
        "//etc/passwd",
        "*",
        &long,
    ] {
        let answer = app.raw_get(target);
        assert!(matches!(answer.status, 400 | 401 | 404), "{target}: {}", answer.status);
        assert!(!String::from_utf8_lossy(&answer.body).contains("root:"), "{target}");
    }
    for line in [
        "GET  / HTTP/1.1",
        "GET / HTTP/1.1 x",
        "GET / HTTP/9.9",
        "GET / HTTP/2.0",
        "GET /",
        "GET",
        "G\0T / HTTP/1.1",
        "GET /\0 HTTP/1.1",
        "GET /\u{7f} HTTP/1.1",
        "CONNECT x:443 HTTP/1.1",
        "GET / FTP/1.1",
        "PRI * HTTP/2.0",
    ] {
        let told = all_that_comes(&app, format!("{line}\r\nHost: x\r\nConnection: close\r\n\r\n"));
        assert!(told.starts_with("HTTP/1.1 4"), "{line:?}: {told}");
    }
    app.get("/livez").expect(200);
}

#[test]
fn no_range_makes_an_answer_longer_than_the_file() {
    let app = TestApp::spawn();
    let talk = app.start_session();
    app.say(&talk, "read this to me").expect(200);
    let audio = format!("/api/v1/voice/audio/{}", seed::audio(&app, &talk, "mp3", b"0123456789"));
    let file = assets(&app).remove(0);
    let many = format!("bytes={}", vec!["0-0"; 3000].join(","));
    let overlapping = format!("bytes={}", vec!["0-"; 1300].join(","));
    for path in [audio, file] {
        let whole = app.get(&path).expect(200).body.len();
        for range in [
            many.as_str(),
            &overlapping,
            "bytes=5-2",
            "bytes=-0",
            "bytes=--5",
            "bytes=-",
            "bytes=",
            "bytes",
            "bytes=a-b",
            "bytes=0-0,-1",
            "bytes=0-18446744073709551615",
            "bytes=18446744073709551615-18446744073709551615",
            "bytes=99999999999999999999-",
            "bytes=-99999999999999999999",
            "items=0-1",
            "bytes=0-0\u{e4}",
        ] {
            let sent =
                format!("GET {path} HTTP/1.1\r\nHost: x\r\nRange: {range}\r\nConnection: close\r\n\r\n");
            let answer = app.raw(sent);
            assert!(matches!(answer.status, 200 | 206 | 400 | 416), "{path} {range:.40}: {}", answer.status);
            if answer.status < 300 {
                assert!(answer.body.len() <= whole, "{path} {range:.40}: {} bytes", answer.body.len());
            }
        }
    }
}

#[test]
fn a_compressed_body_is_refused_unread() {
    let app = TestApp::spawn();
    let talk = app.start_session();
    let body = json!({"session_id": talk.session, "message": "hello"}).to_string();
    for coding in ["gzip", "br", "deflate", "zstd", "x-gzip", "gzip, identity", "identity, gzip", "\u{e4}"] {
        for path in [CHAT, "/api/v1/session/start"] {
            let sent = format!(
                "POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Encoding: {coding}\r\n\
                 Connection: close\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            );
            app.raw(sent).refused(415, "unsupported_media_type");
        }
        for path in ["/api/v1/voice/process", "/api/v1/voice/stream-tts"] {
            for kind in ["multipart/form-data; boundary=b", "application/x-www-form-urlencoded"] {
                let sent = format!(
                    "POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: {kind}\r\nContent-Encoding: {coding}\r\n\
                     Connection: close\r\nContent-Length: 4\r\n\r\na=bc"
                );
                app.raw(sent).refused(415, "unsupported_media_type");
            }
        }
    }
    assert_eq!(app.model.begun(), 0);
    let headers = [("content-type", "application/json"), ("content-encoding", "identity")];
    app.ask("POST", CHAT, &headers, body.as_bytes()).expect(200);
}

#[test]
fn a_form_where_none_is_taken_is_refused_however_it_is_made() {
    let app = TestApp::spawn();
    let endless = format!("multipart/form-data; boundary={}", "b".repeat(10_000));
    for kind in
        ["multipart/form-data", "multipart/form-data; boundary=", "multipart/form-data; boundary=b", &endless]
    {
        for body in [
            "",
            "--b",
            "--b\r\n",
            "--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n",
            "--b--\r\n--b",
        ] {
            let headers = [("content-type", kind)];
            let answer = app.ask("POST", CHAT, &headers, body.as_bytes());
            answer.refused(415, "unsupported_media_type");
        }
    }
}

#[test]
fn json_that_is_deep_or_no_text_is_refused_wherever_there_is_a_body() {
    let app = TestApp::spawn();
    let talk = app.start_session();
    let deep = ["[".repeat(100_000), "{\"a\":".repeat(100_000), format!("{{\"x\":{}", "[".repeat(100_000))];
    let mut bodies: Vec<_> = deep.into_iter().map(String::into_bytes).collect();
    bodies.push(b"{\"title\":\"\xff\",\"message\":\"\xff\",\"remember\":\"\xff\"}".to_vec());
    bodies.push(b"\xff\xfe{\0}\0".to_vec());
    bodies.push(br#"{"title":"\ud800","message":"\ud800","remember":"\ud800"}"#.to_vec());
    bodies.push(br#"{"title":1e999999,"message":1e999999,"remember":1e999999}"#.to_vec());
    let session = format!("/api/v1/sessions/{}", talk.session);
    for body in &bodies {
        for (method, path) in [("POST", CHAT), ("POST", "/api/v1/session/start"), ("PATCH", session.as_str())]
        {
            let headers = [("content-type", "application/json"), ("x-companion-person", talk.token.as_str())];
            app.ask(method, path, &headers, body).refused(400, "validation_error");
        }
    }
    assert_eq!(app.model.begun(), 0);
}

#[test]
fn what_nobody_asked_for_is_skipped_however_deep_it_is() {
    let app = TestApp::spawn();
    let talk = app.start_session();
    let (open, close) = ("[".repeat(1_000_000), "]".repeat(1_000_000));
    let body = format!(r#"{{"session_id":"{}","message":"hello","x":{open}1{close}}}"#, talk.session);
    app.ask("POST", CHAT, &[("content-type", "application/json")], body.as_bytes()).expect(200);
    assert_eq!(app.said(&talk), ["hello"]);
}

#[test]
fn headers_and_queries_that_are_no_text_are_refused_or_taken_for_nothing() {
    let app = TestApp::spawn();
    let talk = app.start_session();
    let ask = |target: &[u8], header: &[u8]| -> Answer {
        let begin = [b"GET ", target, b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n", header, b"\r\n\r\n"];
        app.raw(begin.concat())
    };
    for name in ["X-Companion-Person", "Cookie", "Authorization"] {
        let header = [name.as_bytes(), b": \xff\xfe"].concat();
        ask(b"/api/v1/sessions", &header).refused(401, "unauthorized");
    }
    let token = format!("X-Companion-Person: {}", talk.token);
    for query in ["limit=%ff", "cursor=%ff%fe", "limit=%00", "limit=1%0d%0a", "cursor=%"] {
        let target = format!("/api/v1/sessions?{query}");
        ask(target.as_bytes(), token.as_bytes()).refused(400, "validation_error");
    }
    ask(b"/livez", b"Accept: \xff").expect(200);
    ask(b"/", b"Accept-Encoding: \xff").expect(200);
    assert!(matches!(ask(b"/\xff", b"X: y").status, 400 | 404));
}
