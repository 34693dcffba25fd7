//! What a restore makes of tokens that were replaced since, of links and of recovery codes; and what cleanup does.

use serde_json::{Value, json};

use crate::support::{House, Server, Talk, agent};

fn ask(server: &Server, token: &str, what: &str) -> Value {
    let url = format!("{}/api/v1/me/{what}", server.url);
    let mut answer = agent().post(url).header("x-companion-person", token).send_empty().unwrap();
    assert_eq!(answer.status(), 200, "{what}");
    answer.body_mut().read_json().unwrap()
}

fn text(body: &Value, field: &str) -> String {
    body[field].as_str().unwrap().to_owned()
}

fn link_of(server: &Server, token: &str) -> String {
    text(&ask(server, token, "link"), "link").split_once('#').unwrap().1.to_owned()
}

fn code_of(server: &Server, token: &str) -> String {
    text(&ask(server, token, "recovery"), "recovery_code")
}

/// What is said to whoever opens a link or types in a code: 200 lets them in.
fn open_link(server: &Server, secret: &str) -> u16 {
    server.post("/me/link/redeem", &json!({"secret": secret})).0
}

fn enter_code(server: &Server, code: &str) -> u16 {
    server.post("/me/recovery/redeem", &json!({"code": code})).0
}

/// Opens a link as a program that is somebody else so far; its token from then on.
fn token_by_link(server: &Server, secret: &str) -> String {
    let url = format!("{}/api/v1/me/link/redeem", server.url);
    let stranger = server.start_session();
    let opened = agent().post(url).header("x-companion-person", &stranger.token);
    let mut answer = opened.send_json(json!({"secret": secret})).unwrap();
    text(&answer.body_mut().read_json().unwrap(), "token")
}

fn is_somebody(server: &Server, token: &str) -> bool {
    let url = format!("{}/api/v1/me", server.url);
    agent().get(url).header("x-companion-person", token).call().unwrap().status() == 200
}

/// Two people with ways in, a backup, and what has become of their ways in since.
struct Story {
    house: House,
    talk: Talk,
    /// Of the first one: their token from after the backup, their code from before and that from after it.
    token: String,
    codes: [String; 2],
    /// Of the other: a browser that is them by a link, a link, and their code.
    device: String,
    link: String,
    code: String,
    stayed: String,
}

fn story() -> Story {
    let house = House::built();
    let server = house.start();
    let (talk, other) = (server.start_session(), server.start_session());
    assert_eq!(server.say(&talk, "before the backup").0, 200);
    let before = code_of(&server, &talk.token);
    let code = code_of(&server, &other.token);
    let (used, link) = (link_of(&server, &other.token), link_of(&server, &other.token));
    house.maint(&["backup-db"]).expect(0);
    let token = text(&ask(&server, &talk.token, "rotate"), "token");
    let after = code_of(&server, &token);
    let device = token_by_link(&server, &used);
    server.stop();
    Story { house, talk, token, codes: [before, after], device, link, code, stayed: other.token }
}

#[test]
fn a_restore_brings_no_link_back_and_no_token_or_code_that_was_replaced() {
    let story = story();
    story.house.maint(&["restore-db", "latest", "--yes"]).expect(0);
    story.house.assert_sound();
    let server = story.house.start();
    assert!(!is_somebody(&server, &story.talk.token), "somebody may have had it");
    assert_eq!(enter_code(&server, &story.codes[0]), 404);
    assert_eq!(open_link(&server, &story.link), 404, "the backup does not know which were used");
    let talk = Talk { token: story.token, ..story.talk };
    assert_eq!(server.history(&talk), ["before the backup"], "and nobody is locked out");
    for code in [&story.codes[1], &story.code] {
        assert_eq!(enter_code(&server, code), 200);
    }
    assert!(is_somebody(&server, &story.device) && is_somebody(&server, &story.stayed));
    server.stop();
}

#[test]
fn where_there_is_no_database_any_more_everything_is_as_in_the_backup_but_the_links() {
    let story = story();
    for part in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(story.house.dir.join(format!("companion.db{part}")));
    }
    story.house.maint(&["restore-db", "latest", "--yes"]).expect(0);
    let server = story.house.start();
    assert_eq!(server.history(&story.talk), ["before the backup"]);
    assert!(!is_somebody(&server, &story.token) && !is_somebody(&server, &story.device));
    for code in [&story.codes[0], &story.code] {
        assert_eq!(enter_code(&server, code), 200);
    }
    assert_eq!(open_link(&server, &story.link), 404);
    server.stop();
}

#[test]
fn a_database_that_cannot_be_read_is_no_reason_not_to_restore() {
    let story = story();
    // The tables are named as ever, and lead to pages of something else.
    let bytes = std::fs::read(story.house.database()).unwrap();
    let mut damaged = bytes[..4096].to_vec();
    damaged.resize(bytes.len(), 0xA5);
    std::fs::write(story.house.database(), damaged).unwrap();
    let ran = story.house.maint(&["restore-db", "latest", "--yes"]).expect(0);
    ran.tells("good again");
    let server = story.house.start();
    assert_eq!(server.history(&story.talk), ["before the backup"]);
    server.stop();
}

#[test]
fn links_that_have_expired_go_with_a_cleanup() {
    let house = House::built();
    let server = house.start();
    let talk = server.start_session();
    let (_, kept) = (link_of(&server, &talk.token), link_of(&server, &talk.token));
    house.db().execute("UPDATE links SET expires_at = 1 WHERE id = 1", []).unwrap();
    house.maint(&["cleanup-sessions"]).expect(0);
    let left: u64 = house.db().query_row("SELECT count(*) FROM links", [], |row| row.get(0)).unwrap();
    assert_eq!(left, 1);
    assert_eq!(open_link(&server, &kept), 200);
    server.stop();
}
