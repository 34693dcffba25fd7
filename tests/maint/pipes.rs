//! Pipes that nobody reads: a log's, a backup's.

use std::io::{BufRead, BufReader, PipeReader, Read};
use std::path::PathBuf;
use std::process::Child;

use rustix::process::{Pid, Signal, kill_process};

use crate::support::{House, full_pipe, names, seed, wait_for};

fn house() -> House {
    let house = House::built();
    seed::sessions(&mut house.db(), 3, 2, seed::now());
    house
}

/// What lies where copies are made that go into a pipe.
fn copies(house: &House) -> Vec<PathBuf> {
    names(&house.dir.join(".companion-tmp-backup"), "")
}

/// A backup into a pipe that nobody reads.
fn into_full_pipe(house: &House, arguments: &[&str]) -> (PipeReader, Child) {
    let (unread, full) = full_pipe();
    let mut command = house.maint_command(&[&["backup-db", "--stdout"], arguments].concat());
    let child = command.stdout(full).spawn().unwrap();
    (unread, child)
}

/// The same: its copy is there and stays.
fn unread_backup(house: &House) -> (PipeReader, Child) {
    let (unread, child) = into_full_pipe(house, &[]);
    wait_for("the copy is made", || copies(house).len() == 1);
    (unread, child)
}

fn killed_backup(house: &House) {
    let (_unread, mut child) = unread_backup(house);
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(copies(house).len(), 1, "a copy of everything");
}

#[test]
fn the_copy_that_a_killed_backup_left_goes_with_the_next_one() {
    let house = house();
    for next in [&["backup-db"][..], &["backup-db", "--stdout", "--quiet"]] {
        killed_backup(&house);
        assert!(house.maint_command(next).output().unwrap().status.success());
        house.assert_no_temporary_files();
    }
}

#[test]
fn the_copy_that_a_killed_backup_left_goes_when_the_server_starts() {
    let house = house();
    killed_backup(&house);
    let server = house.start();
    assert!(copies(&house).is_empty());
    server.stop();
}

#[test]
fn a_backup_that_nobody_reads_ends_when_its_time_is_up() {
    let house = house();
    let (_unread, child) = into_full_pipe(&house, &["--max-runtime", "5s"]);
    let told = ended(child);
    assert!(told.contains("--max-runtime 5s"), "{told}");
    house.assert_no_temporary_files();
}

#[test]
fn a_backup_that_nobody_reads_ends_when_it_is_told_to() {
    let house = house();
    let (mut reader, child) = unread_backup(&house);
    // Room for its beginning, and not for all of it: once that is taken it waits for the reader.
    let all = rustix::io::ioctl_fionread(&reader).unwrap();
    reader.read_exact(&mut [0; 4096]).unwrap();
    wait_for("it has begun to write", || rustix::io::ioctl_fionread(&reader).unwrap() > all - 4096);
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    let told = ended(child);
    assert!(told.contains("stopped"), "{told}");
    house.assert_no_temporary_files();
}

/// Waits for the end of a run that does not succeed, and returns what it said on stderr.
fn ended(mut child: Child) -> String {
    wait_for("the backup has ended", || child.try_wait().unwrap().is_some());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn a_server_whose_log_nobody_reads_serves_and_stops() {
    let house = House::new();
    let (_unread, full) = full_pipe();
    let mut server = house.listen_unread(full.into()).unwrap();
    server.wait_until_ready();
    let talk = server.start_session();
    assert_eq!(server.say(&talk, "hello").0, 200);
    assert_eq!(server.terminate(), 0);
}

#[test]
fn a_log_that_is_read_late_is_whole() {
    let house = House::new();
    let (late, full) = full_pipe();
    let mut server = house.listen_unread(full.into()).unwrap();
    server.wait_until_ready();
    server.start_session();
    let reading =
        std::thread::spawn(move || BufReader::new(late).lines().map(Result::unwrap).collect::<Vec<_>>());
    assert_eq!(server.terminate(), 0);
    drop(server);
    let log = reading.join().unwrap();
    for event in ["server_started", "session_started", "server_stopped"] {
        assert!(log.iter().any(|line| line.contains(event)), "{event}: {log:?}");
    }
}
