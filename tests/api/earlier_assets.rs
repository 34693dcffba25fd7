//! A page that was cached before an upgrade still finds its files: those of the two releases before are served from disk.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use companion::web::assets::{ASSETS, RELEASE};

use crate::support::{TestApp, files_below, wait_for};

const FOREVER: &str = "public, max-age=31536000, immutable";
/// Of the releases before, the oldest first.
const EARLIER: [&str; 3] = ["0.0.1-0123456789abcdef", "0.0.2-0123456789abcdef", "0.0.3-0123456789abcdef"];

fn place(app: &TestApp) -> PathBuf {
    app.data_dir().join("assets")
}

/// What a release of that number would have left.
fn leave(app: &TestApp, number: u32) {
    let release = place(app).join(EARLIER[number as usize]);
    fs::create_dir_all(&release).unwrap();
    let name = format!("page-000000000000000{number}.js");
    for (ending, bytes) in
        [("", format!("release {number}")), (".br", format!("br {number}")), (".gz", "gz".into())]
    {
        fs::write(release.join(format!("{name}{ending}")), bytes).unwrap();
    }
    fs::write(release.join("notes.txt"), "not a file of the page").unwrap();
    let at = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000 + u64::from(number));
    fs::File::open(&release).unwrap().set_modified(at).unwrap();
}

fn url(number: u32) -> String {
    format!("/static/page-000000000000000{number}.js")
}

/// A server after three upgrades.
fn upgraded() -> TestApp {
    let app = TestApp::spawn();
    fs::remove_dir_all(place(&app)).unwrap();
    (0..3).for_each(|number| leave(&app, number));
    app.restart_with(|_| {})
}

#[test]
fn of_three_earlier_releases_two_are_served_and_the_third_is_gone() {
    let app = upgraded();
    app.get(&url(0)).refused(404, "not_found");
    for number in [1, 2] {
        let whole = app.get(&url(number)).expect(200);
        assert_eq!(whole.text(), format!("release {number}"));
        assert_eq!(whole.header("cache-control"), FOREVER);
        assert_eq!(whole.header("content-type"), "text/javascript; charset=utf-8");
        assert_eq!((whole.header("vary"), whole.header("content-encoding")), ("accept-encoding", ""));
        assert_eq!(whole.header("content-disposition"), "");
        whole.assert_on_every_response();
    }
    wait_for("the oldest has gone", || !place(&app).join(EARLIER[0]).exists());
    let names =
        || fs::read_dir(place(&app)).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    wait_for("its own files are there", || names().any(|name| name == RELEASE));
    let mut left: Vec<_> = names().collect();
    left.sort();
    assert_eq!(left, [EARLIER[1], EARLIER[2], RELEASE]);
}

#[test]
fn a_file_of_an_earlier_release_is_negotiated_cut_and_asked_for_again() {
    let app = upgraded();
    for (accepted, coding, body) in
        [("gzip, br", "br", "br 2"), ("gzip", "gzip", "gz"), ("*;q=0.5", "br", "br 2")]
    {
        let accept = ("accept-encoding", accepted);
        let answer = app.get_with(&url(2), &[accept]).expect(200);
        assert_eq!((answer.header("content-encoding"), answer.text().as_str()), (coding, body));
        assert_eq!((answer.header("vary"), answer.header("cache-control")), ("accept-encoding", FOREVER));
        let tag = answer.header("etag");
        let held = app.get_with(&url(2), &[accept, ("if-none-match", tag)]).expect(304);
        assert_eq!((held.header("cache-control"), held.header("vary")), (FOREVER, "accept-encoding"));
        let part = app.get_with(&url(2), &[accept, ("range", "bytes=1-"), ("if-range", tag)]).expect(206);
        assert_eq!((part.text().as_str(), part.header("cache-control")), (&body[1..], FOREVER));
        let other =
            app.get_with(&url(2), &[accept, ("range", "bytes=1-"), ("if-range", "\"other\"")]).expect(200);
        assert_eq!(other.text(), body);
    }
    let behind = app.get_with(&url(2), &[("range", "bytes=99-")]).refused(416, "range_not_satisfiable");
    assert_eq!(behind.header("content-range"), "bytes */9");
    app.get_with(&url(2), &[("accept-encoding", "*;q=0")]).refused(406, "validation_error");
    app.get_with(&url(2), &[("if-match", "\"other\"")]).expect(412);
    let mut wire = app.wire();
    wire.send(format!("HEAD {} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", url(2)));
    let head = wire.head().expect(200);
    assert_eq!((head.header("content-length"), head.header("cache-control")), ("9", FOREVER));
    assert_eq!(wire.rest(), b"");
    assert_eq!(
        app.ask("POST", &url(2), &[], b"").refused(405, "method_not_allowed").header("allow"),
        "GET, HEAD"
    );
}

#[test]
fn nothing_else_that_lies_there_can_be_had() {
    let app = TestApp::spawn();
    (0..3).for_each(|number| leave(&app, number));
    let release = place(&app).join(EARLIER[2]);
    fs::write(app.data_dir().join("secret-0123456789abcdef.js"), "secret").unwrap();
    std::os::unix::fs::symlink(app.data_dir().join("companion.db"), release.join("link-0123456789abcdef.js"))
        .unwrap();
    fs::create_dir(release.join("dir-0123456789abcdef.js")).unwrap();
    let app = app.restart_with(|_| {});
    app.get(&url(2)).expect(200);
    for name in [
        "notes.txt",
        "link-0123456789abcdef.js",
        "dir-0123456789abcdef.js",
        "page-0000000000000002.js.br",
        "page-0000000000000002.js.gz",
        &format!("{}/page-0000000000000002.js", EARLIER[2]),
        "../secret-0123456789abcdef.js",
        "%2e%2e%2fsecret-0123456789abcdef.js",
        "..%2f..%2fsecret-0123456789abcdef.js",
        "../../secret-0123456789abcdef.js",
        "%2e%2e/%2e%2e/companion.db",
    ] {
        let answer = app.raw_get(&format!("/static/{name}")).expect(404);
        assert_eq!(
            (answer.code().as_str(), answer.header("cache-control")),
            ("not_found", "no-store"),
            "{name}"
        );
    }
    // A link that came after the start, in the place of a file that was there.
    let file = release.join("page-0000000000000002.js");
    fs::remove_file(&file).unwrap();
    app.get(&url(2)).refused(404, "not_found");
    std::os::unix::fs::symlink(app.data_dir().join("companion.db"), &file).unwrap();
    app.get(&url(2)).refused(404, "not_found");
}

#[test]
fn a_server_leaves_its_files_as_it_serves_them() {
    use std::os::unix::fs::PermissionsExt;
    let app = TestApp::spawn();
    let own = place(&app).join(RELEASE);
    wait_for("its files are there", || own.is_dir());
    for asset in ASSETS {
        for (ending, bytes) in
            [("", Some(&asset.identity)), (".br", asset.br.as_ref()), (".gz", asset.gzip.as_ref())]
        {
            let path = own.join(format!("{}{ending}", asset.name.replace('/', "+")));
            assert_eq!(fs::read(&path).ok().as_deref(), bytes.map(|variant| variant.bytes), "{path:?}");
        }
    }
    for file in files_below(&place(&app)) {
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o7777, 0o600);
    }
    let before = files_below(&place(&app));
    let app = app.restart_with(|_| {});
    let app = app.restart_with(|_| {});
    assert_eq!(files_below(&place(&app)).len(), before.len(), "the same files are not kept again");
}

#[test]
fn where_its_files_cannot_be_left_the_server_serves_all_the_same() {
    let app = TestApp::spawn();
    let app = app.restart_with(|config| {
        let place = config.storage.data_dir.join("assets");
        fs::remove_dir_all(&place).unwrap();
        fs::write(place, "in the way").unwrap();
    });
    app.say(&app.start_session(), "hello").expect(200);
    app.get("/").expect(200);
    app.get(&url(2)).refused(404, "not_found");
    assert_eq!(fs::read_to_string(place(&app)).unwrap(), "in the way");
}

#[test]
fn on_a_low_disk_nothing_is_left() {
    let app = TestApp::spawn_with(|config| config.storage.min_free_disk_bytes = u64::MAX);
    (0..3).for_each(|number| leave(&app, number));
    let app = app.restart_with(|config| config.storage.min_free_disk_bytes = u64::MAX);
    wait_for("the oldest has gone", || !place(&app).join(EARLIER[0]).exists());
    app.get(&url(2)).expect(200);
    assert!(!place(&app).join(RELEASE).exists());
}
