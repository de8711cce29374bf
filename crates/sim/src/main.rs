//! `sim`: many seeds, or one again.

use std::process::ExitCode;

use clap::Parser;

/// Seeded runs of the whole system under faults
#[derive(Parser)]
struct Arguments {
    /// How many seeds to run
    #[arg(long, default_value_t = 200)]
    seeds: u64,
    /// The first seed
    #[arg(long, default_value_t = 1)]
    from: u64,
    /// Run this seed alone, and tell what the brains say (STEAD_LOG)
    #[arg(long)]
    seed: Option<u64>,
}

/// In so many worlds everything happens.
const ENOUGH: u64 = 50;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let (from, seeds) = arguments.seed.map_or((arguments.from, arguments.seeds), |seed| (seed, 1));
    if arguments.seed.is_some() {
        let filter = tracing_subscriber::EnvFilter::try_from_env("STEAD_LOG").unwrap_or_else(|_| "info".into());
        tracing_subscriber::fmt().with_env_filter(filter).without_time().with_writer(std::io::stderr).init();
    }
    let (mut passed, mut failed) = (0, 0);
    let (mut rows, mut calls, mut acknowledged, mut rests, mut minutes) = (0, 0, 0, 0, 0);
    for seed in from..from.saturating_add(seeds) {
        let outcome = sim::run(seed);
        rows += outcome.rows;
        calls += outcome.totals.calls;
        acknowledged += outcome.totals.acknowledged;
        rests += outcome.totals.rests;
        minutes += outcome.minutes;
        if outcome.faults.is_empty() {
            passed += 1;
            continue;
        }
        failed += 1;
        println!("seed {seed} fails; again with: cargo xtask sim --seed {seed}");
        outcome.faults.iter().take(10).for_each(|fault| println!("  {fault}"));
    }
    println!(
        "{rows} rows, {calls} calls, {rests} sandboxes put away and {acknowledged} acknowledged events in {minutes} \
         simulated minutes"
    );
    if seeds >= ENOUGH && (calls == 0 || rests == 0) {
        println!("a world in which nothing is done shows nothing");
        failed += 1;
    }
    println!("{passed} passed, {failed} failed");
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
