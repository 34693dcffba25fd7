//! Long work shows how far it is: a bar on a terminal, a line every 10 s in a log.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStderr, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};

use crate::support::{House, seed};

/// A house with so many expired sessions that their deletion takes a while.
fn with_expired(sessions: u32) -> House {
    let house = House::built();
    seed::sessions(&mut house.db(), sessions, 1, seed::now() - 400 * 86_400_000);
    house
}

/// A cleanup of 20,000 that stands still once it has told what it found, what it tells from then on, and where that is; `None` where
/// it was faster.
fn stopped_after_its_analysis() -> Option<(Child, BufReader<ChildStderr>, House)> {
    let house = with_expired(20_000);
    let mut command = house.maint_command(&["cleanup-sessions", "--force"]);
    let mut job = command.stdout(Stdio::null()).spawn().unwrap();
    let mut told = BufReader::new(job.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("session_cleanup_analysis") {
        line.clear();
        assert_ne!(told.read_line(&mut line).unwrap(), 0, "it ended without telling what it found");
    }
    let pid = Pid::from_child(&job);
    kill_process(pid, Signal::STOP).unwrap();
    let stands = WaitIdOptions::STOPPED | WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
    if waitid(WaitId::Pid(pid), stands).unwrap().unwrap().stopped() {
        return Some((job, told, house));
    }
    assert!(job.wait().unwrap().success());
    None
}

#[test]
fn without_a_terminal_a_line_tells_every_ten_seconds_how_far_it_is() {
    let met = (0..10).find_map(|_| stopped_after_its_analysis());
    let (mut job, mut told, _house) = met.expect("a cleanup is always faster than the test");
    // The clock goes on where the job stands still.
    std::thread::park_timeout(Duration::from_secs(11));
    let went_on = Instant::now();
    kill_process(Pid::from_child(&job), Signal::CONT).unwrap();
    let mut rest = String::new();
    told.read_to_string(&mut rest).unwrap();
    assert!(job.wait().unwrap().success(), "{rest}");
    let lines: Vec<_> = rest.lines().filter(|line| line.contains("Still at work: ")).collect();
    let more = usize::try_from(went_on.elapsed().as_secs() / 10).unwrap();
    assert!((1..=1 + more).contains(&lines.len()), "{rest}");
    assert!(lines[0].contains("\"total\":20000") && lines[0].contains("sessions deleted"), "{}", lines[0]);
}

#[test]
fn on_a_terminal_a_bar_does_and_quiet_shows_none() {
    for (quiet, shown) in [("", true), (" --quiet", false)] {
        let job = format!("cleanup-sessions --force{quiet}");
        assert_eq!(shows_bar(&with_expired(2000), &job, "sessions deleted"), shown, "{job}");
    }
    let house = House::built();
    let session = seed::sessions(&mut house.db(), 1, 1, seed::now())[0];
    for number in 0..10 {
        seed::memory(&house.db(), session, &format!("I like tea {number}"));
    }
    assert!(shows_bar(&house, "reindex-memories", "memories indexed"));
}

/// Whether a bar with this name is seen on a terminal where the job runs, and how far it is.
fn shows_bar(house: &House, job: &str, name: &str) -> bool {
    let maint = env!("CARGO_BIN_EXE_companion-maint");
    // Gives the job a terminal, and copies to its own output what is seen there.
    let mut command = house.command("script");
    command.env("TERM", "xterm");
    command.args(["-qec", &format!("{maint} {job}"), "/dev/null"]);
    let ran = command.output().unwrap();
    let seen = String::from_utf8_lossy(&ran.stdout).into_owned();
    assert!(ran.status.success(), "{seen}");
    let shown = seen.contains(&format!("{name}     "));
    assert!(!shown || seen.contains('%'), "{seen:?}");
    shown
}
