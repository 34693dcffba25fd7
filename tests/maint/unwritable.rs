//! Standard streams that cannot be written, and lines that say each thing once.

use std::fs::{File, OpenOptions};
use std::process::{Command, Stdio};

use crate::support::House;

fn full() -> File {
    OpenOptions::new().write(true).open("/dev/full").unwrap()
}

fn server(house: &House) -> Command {
    let mut command = house.command(env!("CARGO_BIN_EXE_companion"));
    command.env("PORT", "0").stdout(Stdio::null());
    command
}

#[test]
fn a_line_that_cannot_be_written_changes_no_exit_code() {
    let house = House::built();
    let wrong = || House::at(house.dir.clone()).with("BACKUP_KEEP", "0");
    assert_eq!(server(&wrong()).stderr(full()).status().unwrap().code(), Some(2));
    assert_eq!(wrong().maint_command(&["status"]).stderr(full()).status().unwrap().code(), Some(2));
    assert_eq!(house.maint_command(&["backup-db"]).stderr(full()).status().unwrap().code(), Some(0));
    let to_a_pipe = house.maint_command(&["backup-db", "--stdout"]).stderr(full()).output().unwrap();
    assert_eq!(to_a_pipe.status.code(), Some(0));
    let first = house.start();
    assert_eq!(server(&house).stderr(full()).status().unwrap().code(), Some(1), "a second server is refused");
    first.stop();
}

#[test]
fn a_report_that_cannot_be_delivered_is_no_success_but_one_nobody_wants_to_read_on_is() {
    let house = House::built();
    for arguments in [&["status"][..], &["status", "--json"], &["list-backups"]] {
        let ran = house.maint_command(arguments).stdout(full()).output().unwrap();
        assert_eq!(ran.status.code(), Some(1), "{arguments:?}");
        assert!(String::from_utf8(ran.stderr).unwrap().contains("report could not be written"));
    }
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    assert_eq!(house.maint_command(&["status"]).stdout(writer).status().unwrap().code(), Some(0));
}

#[test]
fn a_pipe_that_takes_nothing_is_told_as_such() {
    let house = House::built();
    let ran = house.maint_command(&["backup-db", "--stdout", "--json"]).stdout(full()).output().unwrap();
    assert_eq!(ran.status.code(), Some(1));
    let told = String::from_utf8(ran.stderr).unwrap();
    let report: serde_json::Value = serde_json::from_str(told.lines().last().unwrap()).unwrap();
    let error = report["errors"][0]["error"].as_str().unwrap();
    assert!(error.starts_with("write to stdout: No space left on device"), "{error}");
    assert!(!told.contains("companion-tmp"), "{told}");
    house.assert_no_temporary_files();
}

#[test]
fn each_cause_is_told_once() {
    let house = House::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let told = server(&house).env("DATA_DIR", "/proc/nowhere").output().unwrap().stderr;
    let told = String::from_utf8(told).unwrap();
    assert_eq!(told.matches("(os error").count(), 1, "{told}");
    let told = String::from_utf8(server(&house).env("PORT", port).output().unwrap().stderr).unwrap();
    assert_eq!(told.matches("(os error").count(), 1, "{told}");
    let house = House::built();
    std::fs::write(house.database(), [b"SQLite format 3\0".as_slice(), &[1; 4096]].concat()).unwrap();
    let told = String::from_utf8(server(&house).output().unwrap().stderr).unwrap();
    let line = told.lines().last().unwrap();
    let parts: Vec<_> = line.split(": ").collect();
    let mut distinct = parts.clone();
    distinct.sort_unstable();
    distinct.dedup();
    assert_eq!(distinct.len(), parts.len(), "{line}");
}
