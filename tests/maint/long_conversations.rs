//! A conversation that is too long to be deleted at once is there whole or, from the first portion on, for nobody.

use serde_json::Value;

use crate::kills::lengthen;
use crate::support::seed::{self, DAY};
use crate::support::{House, Server, Talk, agent, wait_for};

const TURNS: u32 = 3000;

fn number(house: &House, sql: &str) -> u32 {
    house.db().query_row(sql, [], |row| row.get(0)).unwrap()
}

fn sessions_of(server: &Server, talk: &Talk) -> usize {
    let asked = agent().get(format!("{}/api/v1/sessions", server.url));
    let mut answer = asked.header("x-companion-person", &talk.token).call().unwrap();
    let body: Value = answer.body_mut().read_json().unwrap();
    body["sessions"].as_array().unwrap().len()
}

/// A cleanup that does not get further than somewhere in the midst of a long conversation; how many turns it left of it.
fn begun(house: &House, talk: &Talk) -> u32 {
    let mut db = house.db();
    lengthen(&db, talk, TURNS);
    db.execute("UPDATE sessions SET last_active_at = ?1", [seed::now() - 8 * DAY]).unwrap();
    seed::sign_of_life(&mut db);
    db.execute_batch(&format!(
        "CREATE TRIGGER stuck BEFORE DELETE ON checkpoints WHEN old.said = '{TURNS}'
         BEGIN SELECT RAISE(ABORT, 'no further'); END"
    ))
    .unwrap();
    let report = house.maint(&["cleanup-sessions"]).expect(1).tells("no further").report;
    db.execute_batch("DROP TRIGGER stuck").unwrap();
    let left = number(house, "SELECT checkpoints FROM sessions ORDER BY last_active_at LIMIT 1");
    assert!(0 < left && left < TURNS, "{left}");
    assert_eq!(
        (&report["sessions_before"], &report["sessions_deleted"], &report["sessions_remaining"]),
        (&2.into(), &1.into(), &1.into())
    );
    assert_eq!(report["checkpoints_deleted"], TURNS - left);
    left
}

#[test]
fn a_long_conversation_of_which_a_stopped_cleanup_left_some_is_gone_and_the_next_run_takes_the_rest() {
    let house = House::new();
    let server = house.start();
    let talk = server.start_session();
    let left = begun(&house, &talk);
    for (status, body) in [server.say(&talk, "hello?"), server.say(&talk, "is there nobody?")] {
        assert_eq!((status, &body["error"]), (404, &"session_not_found".into()));
    }
    assert_eq!(sessions_of(&server, &talk), 0);
    let status = house.maint(&["status"]).expect(0).report;
    assert_eq!(
        (&status["next_cleanup_sessions"], &status["next_cleanup_checkpoints"]),
        (&0.into(), &left.into())
    );
    for arguments in [&["cleanup-sessions", "--dry-run"][..], &["cleanup-sessions"]] {
        let report = house.maint(arguments).expect(0).report;
        assert_eq!((&report["sessions_before"], &report["sessions_remaining"]), (&1.into(), &1.into()));
        assert_eq!(
            (&report["sessions_deleted"], &report["checkpoints_deleted"]),
            (&0.into(), &left.into()),
            "{arguments:?}"
        );
    }
    let rows = ["sessions", "checkpoints", "memories", "deletions"];
    let rows = rows.map(|table| number(&house, &format!("SELECT count(*) FROM {table}")));
    assert_eq!(rows, [1, 1, 1, 0], "the sign of life, and what was learned in the long one");
    server.stop();
    house.assert_sound();
}

#[test]
fn a_long_conversation_of_which_a_stopped_cleanup_left_some_goes_at_the_servers_next_start_too() {
    let house = House::new();
    let server = house.start();
    let talk = server.start_session();
    begun(&house, &talk);
    server.kill();
    let server = house.start();
    wait_for("the rest is gone", || number(&house, "SELECT count(*) FROM sessions") == 1);
    assert_eq!(number(&house, "SELECT count(*) FROM memories"), 1, "what was learned in it stays");
    server.stop();
    house.assert_sound();
}

#[test]
fn what_is_left_of_a_long_conversation_is_deleted_for_whoever_asks() {
    let house = House::new();
    let server = house.start();
    let talk = server.start_session();
    begun(&house, &talk);
    assert_eq!(server.delete(&talk, &format!("/sessions/{}", talk.session)), 204);
    assert_eq!(number(&house, "SELECT count(*) FROM memories"), 0, "with what was learned in it");
    server.stop();
    house.assert_sound();
}
