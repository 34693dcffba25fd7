//! `import-langgraph` killed again and again beside people who talk: nothing half, nothing twice, nothing lost.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::kills::times;
use crate::support::House;
use crate::support::dice::{Dice, Kills, some_time};
use crate::support::langgraph::{Predecessor, imported};

/// Takes everything that was imported away again, so that there is something to import.
fn start_over(house: &House) {
    let db = house.db();
    db.busy_timeout(Duration::from_secs(10)).unwrap();
    db.execute_batch(
        "BEGIN IMMEDIATE;
         DELETE FROM checkpoints WHERE session_id IN (SELECT session_id FROM imported_threads);
         CREATE TEMP TABLE gone AS SELECT session_id FROM imported_threads;
         DELETE FROM imported_threads;
         DELETE FROM sessions WHERE id IN (SELECT session_id FROM gone);
         DROP TABLE gone;
         UPDATE totals SET sessions = (SELECT count(*) FROM sessions), checkpoints = (SELECT count(*) FROM checkpoints);
         COMMIT",
    )
    .unwrap();
}

/// What is there of a thread is how it began.
fn assert_nothing_torn(house: &House, source: &Predecessor) {
    for (thread, said) in &source.said {
        let there = imported(house, thread);
        assert!(said.starts_with(&there), "{thread} holds something else than it began with");
    }
    let db = house.db();
    let wrong = "SELECT count(*) FROM sessions WHERE checkpoints <>
        (SELECT count(*) FROM checkpoints WHERE session_id = sessions.id)";
    assert_eq!(db.query_row(wrong, [], |row| row.get::<_, u32>(0)).unwrap(), 0);
}

#[test]
fn killed_imports_are_completed_by_the_next_while_people_talk() {
    let source = Predecessor::written(&["many", "40", "6"]);
    let before = source.bytes();
    let arguments = ["import-langgraph", source.path()];
    let house = House::built();
    let server = house.start();
    let talk = server.start_session();
    let mut token = house.maint(&arguments).expect(0).report["person_token"].clone();
    let import = || house.maint_command(&arguments);
    let mut kills = Kills::of(("import-langgraph", times("import-langgraph")), || start_over(&house), import);
    let mut complete = || {
        let ran = house.maint(&arguments).expect(0);
        source.assert_all_in(&house);
        if ran.report["person_token"].is_string() {
            token = ran.report["person_token"].clone();
        }
    };
    let mut finished = true;
    let stop = AtomicBool::new(false);
    let said = std::thread::scope(|scope| {
        let talking = scope.spawn(|| {
            let mut said = 0_u32;
            while !stop.load(Ordering::Relaxed) {
                let (status, body) = server.say(&talk, &format!("number {said}"));
                assert_eq!(status, 200, "{body}");
                said += 1;
                some_time(&mut Dice::new("talk"), 100_000);
            }
            said
        });
        while let Some(round) = kills.next() {
            // One that was killed is gone on with, up to three times.
            if round % 4 == 1 || finished {
                start_over(&house);
            }
            finished = !kills.kill(import().spawn().unwrap());
            assert_nothing_torn(&house, &source);
            if round % 4 == 0 {
                complete();
            }
        }
        complete();
        stop.store(true, Ordering::Relaxed);
        talking.join().unwrap()
    });
    let expected: Vec<_> = (0..said).map(|number| format!("number {number}")).collect();
    assert_eq!(server.history(&talk), expected, "those who talked noticed nothing");
    let thread = source.said.keys().next().unwrap().clone();
    let imported = crate::support::Talk { session: thread, token: token.as_str().unwrap().to_owned() };
    assert_eq!(server.history(&imported).len(), 6, "the token that was told opens the sessions");
    assert_eq!(house.maint(&arguments).expect(0).report["turns_already_there"], source.turns());
    assert_eq!(source.bytes(), before);
    server.stop();
    house.assert_sound();
    kills.assert_met();
}

#[test]
fn a_token_that_was_never_told_is_made_anew() {
    let source = Predecessor::written(&["many", "1", "2"]);
    let house = House::built();
    let arguments = ["import-langgraph", source.path()];
    let first = house.maint(&arguments).expect(0).report["person_token"].clone();
    house.db().execute("UPDATE import_owner SET told = 0", []).unwrap();
    start_over(&house);
    let second = house.maint(&arguments).expect(0).report["person_token"].clone();
    assert!(second.is_string() && second != first);
    let people: u32 = house.db().query_row("SELECT count(*) FROM persons", [], |row| row.get(0)).unwrap();
    assert_eq!(people, 1);
}
