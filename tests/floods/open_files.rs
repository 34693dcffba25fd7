//! How many files a server may have open, and what it says when they are too few for its connections.

use crate::support::{Flooded, Wire, companion};

#[test]
fn the_soft_limit_is_raised_to_what_the_connections_need() {
    let flooded = Flooded::start_under("ulimit -Sn 256", &[("MAX_CONNECTIONS", "1000")]);
    assert_eq!(flooded.open_files(), 2256);
    let held = flooded.runtime.block_on(async {
        let mut held = Vec::new();
        for _ in 0..250 {
            let mut wire = Wire::connect("127.0.0.1", flooded.address).await;
            wire.start_session().await;
            held.push(wire);
        }
        held
    });
    assert_eq!(held.len(), 250);
}

#[test]
fn too_low_a_hard_limit_is_told_in_one_line_and_there_are_fewer_connections() {
    let flooded = Flooded::start_under("ulimit -n 1000", &[]);
    let log = flooded.log_with("open_files_too_few");
    let lines: Vec<_> = log.lines().filter(|line| line.contains("open_files_too_few")).collect();
    assert_eq!(lines.len(), 1, "{log}");
    for part in ["\"hard_limit\":1000", "\"needed\":16640", "\"connections\":372", "ulimit -Hn"] {
        assert!(lines[0].contains(part), "{part} is not in {}", lines[0]);
    }
}

#[test]
fn each_service_outside_needs_files_of_its_own() {
    let nobody = "http://127.0.0.1:9/v1";
    // It hears where the model is.
    let services = [
        ("LLM_BASE_URL", nobody),
        ("TTS_BASE_URL", nobody),
        ("EMBEDDING_BASE_URL", nobody),
        ("EMBEDDING_MODEL_NAME", "any"),
        ("QDRANT_URL", "http://127.0.0.1:9"),
    ];
    let flooded = Flooded::start_under("ulimit -n 2000", &services);
    let log = flooded.log_with("open_files_too_few");
    let line = log.lines().find(|line| line.contains("open_files_too_few")).unwrap();
    for part in ["\"needed\":17680", "\"connections\":352"] {
        assert!(line.contains(part), "{part} is not in {line}");
    }
}

#[test]
fn a_limit_that_leaves_none_for_connections_is_no_start() {
    let dir = tempfile::tempdir().unwrap();
    let told = companion("ulimit -n 200", dir.path()).output().unwrap();
    assert_eq!(told.status.code(), Some(1));
    assert_eq!(
        String::from_utf8(told.stderr).unwrap(),
        "companion: 200 open files are allowed (ulimit -Hn), too few for any connection; MAX_CONNECTIONS needs 16640\n"
    );
}
