//! Chance that can be repeated.

use std::time::Duration;

use store::{Rng, SystemRng};

/// SplitMix64.
pub(crate) struct Dice(u64);

impl Dice {
    /// Tells how to have the same again; that is shown when the test fails.
    pub(crate) fn new() -> Self {
        let given = std::env::var("STEAD_TEST_SEED").ok().map(|seed| seed.parse().unwrap());
        let seed = given.unwrap_or_else(|| SystemRng.bits() as u64);
        eprintln!("with the same dice: STEAD_TEST_SEED={seed}");
        Self(seed)
    }

    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From 0 to below `end`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        (self.roll() % end as u64) as usize
    }

    pub(crate) fn millis(&mut self, from: u64, to: u64) -> Duration {
        Duration::from_millis(from + self.roll() % (to - from))
    }

    /// Dice for somebody else, so that nobody's depend on who rolls first.
    pub(crate) fn another(&mut self) -> Self {
        Self(self.roll())
    }
}
