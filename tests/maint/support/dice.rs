//! Random tests: the seed is printed, and taken back from `TEST_SEED`. How often is taken from `TEST_ROUNDS`.

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

/// Waits for a random moment of somebody else's work: the one place where a test has to let time pass.
#[expect(clippy::disallowed_methods, reason = "the kill has to fall at a random moment")]
pub fn some_time(dice: &mut Dice, most_micros: u64) {
    std::thread::sleep(std::time::Duration::from_micros(dice.below(most_micros)));
}

/// How many rounds: `usual`, or more when `TEST_ROUNDS` (set by `tests/run --long`) says so.
pub fn rounds(usual: u32) -> u32 {
    #[expect(clippy::disallowed_methods, reason = "the long variant is asked for from outside")]
    let factor = std::env::var("TEST_ROUNDS").ok().and_then(|rounds| rounds.parse::<u32>().ok());
    usual * factor.unwrap_or(1)
}
