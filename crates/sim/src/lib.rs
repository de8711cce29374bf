//! The whole system at its trait seams, in virtual time, under seeded faults.
//!
//! Real are the brains, the sessions and the reference store; simulated are the clock, the dice, the models, the
//! sandboxes, the doorbells, the machines, and the weather around each node. [`run`] plays one seed: nodes are killed
//! at any await and come back, or do not; they freeze, their stores fall silent or slow, they do not reach each other,
//! and what they have sent arrives when they are long dead; doorbells are lost and doubled; sandboxes die, alone or
//! with all of their home; clocks jump. When the faults end, everything must come to rest, nothing must be left behind,
//! and [`check`] must find nothing wrong. The same seed gives the same bytes.

mod boxes;
mod chaos;
pub mod check;
mod client;
mod dice;
mod elsewhere;
mod hands;
mod leaks;
mod model;
mod node;
mod places;
mod relay;
mod time;
mod weather;
mod world;

pub use check::Totals;
pub use world::{Outcome, run};

#[cfg(test)]
mod tests {
    #[test]
    fn the_same_seed_gives_the_same_bytes() {
        for seed in [1, 2, 3] {
            let (first, second) = (super::run(seed), super::run(seed));
            assert_eq!(first.digest, second.digest, "seed {seed}");
            assert_eq!(first.faults, second.faults, "seed {seed}");
        }
    }
}
