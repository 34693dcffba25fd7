//! Random tests: the seed is printed, and taken back from `TEST_SEED`. How often is taken from `TEST_ROUNDS`.

use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

/// A small generator (xorshift64*, Vigna 2016): enough to spread moments, and replayable.
pub struct Dice(u64);

impl Dice {
    /// Seeded from `TEST_SEED`, else from the system; prints the seed.
    pub fn new(test: &str) -> Self {
        #[expect(clippy::disallowed_methods, reason = "a failed random test has to be replayable")]
        let given = std::env::var("TEST_SEED").ok().and_then(|seed| seed.parse().ok());
        let seed = given.unwrap_or_else(|| uuid::Uuid::new_v4().as_u64_pair().0);
        #[expect(clippy::print_stdout, reason = "a failed random test has to be replayable")]
        {
            println!("{test}: replay with TEST_SEED={seed}");
        }
        Self(seed | 1)
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) % bound
    }
}

/// Waits for a random moment of somebody else's work.
pub fn some_time(dice: &mut Dice, most_micros: u64) {
    pass(Duration::from_micros(dice.below(most_micros)));
}

/// The one place where a test has to let time pass.
#[expect(clippy::disallowed_methods, reason = "the kill has to fall at a random moment")]
fn pass(time: Duration) {
    std::thread::sleep(time);
}

/// How many rounds: `usual`, or more when `TEST_ROUNDS` (set by `tests/run --long`) says so.
pub fn rounds(usual: u32) -> u32 {
    #[expect(clippy::disallowed_methods, reason = "the long variant is asked for from outside")]
    let factor = std::env::var("TEST_ROUNDS").ok().and_then(|rounds| rounds.parse::<u32>().ok());
    usual * factor.unwrap_or(1)
}

/// Kills that fall at random moments of a command's usual run: so many that find it still running. Those of what has ended
/// already try nothing and do not count.
pub struct Kills {
    what: &'static str,
    wanted: u32,
    dice: Dice,
    usual: Duration,
    done: u32,
    met: u32,
}

impl Kills {
    /// So many of a command that takes as long as the shortest of three runs takes here and now. Work may have to be laid
    /// out before each.
    pub fn of(
        (what, wanted): (&'static str, u32),
        prepare: impl Fn(),
        command: impl Fn() -> Command,
    ) -> Self {
        let timed = || {
            prepare();
            // Before it is started: on a busy machine it may be done before this thread goes on.
            let began = Instant::now();
            let child = command().spawn().unwrap();
            let output = child.wait_with_output().unwrap();
            assert!(output.status.success(), "{what}: {}", String::from_utf8_lossy(&output.stderr));
            began.elapsed()
        };
        let usual = timed().min(timed()).min(timed());
        Self { what, wanted, dice: Dice::new(what), usual, done: 0, met: 0 }
    }

    /// The number of the next kill, from 1 on; `None` once enough have met the command, or as many have not.
    pub fn next(&self) -> Option<u32> {
        (self.met < self.wanted && self.done < self.wanted * 2).then_some(self.done + 1)
    }

    /// Kills the process some time after now; true when it was still running then, which only its end tells.
    pub fn kill(&mut self, mut child: Child) -> bool {
        let delay = Duration::from_micros(self.dice.below(self.usual.as_micros().try_into().unwrap()));
        pass(delay);
        child.kill().unwrap();
        let met = child.wait().unwrap().signal() == Some(9);
        self.done += 1;
        self.met += u32::from(met);
        if !met {
            // It was quicker than it usually is.
            self.usual = (self.usual + delay) / 2;
        }
        met
    }

    /// As many as were wanted have met a running process.
    #[track_caller]
    pub fn assert_met(self) {
        let Self { what, wanted, usual, done, met, .. } = self;
        // Past the harness, which keeps what a test prints to itself.
        let mut shown = std::io::stderr().lock();
        writeln!(shown, "{what}: {met} of {done} kills met it running; a run took {usual:?}").unwrap();
        assert!(met >= wanted, "{what}: only {met} of {done} kills met it running; a run took {usual:?}");
    }
}
