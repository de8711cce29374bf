//! Figures and how they are printed.

use std::time::Duration;

use anyhow::Result;

use crate::baseline;
use crate::options::Options;

/// Says what the figures were made on, and opens the table.
pub(crate) fn head(options: &Options) -> Result<()> {
    let cores = std::thread::available_parallelism()?;
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let sync = ms(baseline::sync(&options.directory)?);
    let kernel = kernel.trim();
    println!("{cores} cores, shared by server, generator and model stub; Linux {kernel}; one synced write: {sync}");
    println!("\n| figure | measured | goal | baseline in the same run |\n|---|---|---|---|");
    Ok(())
}

pub(crate) fn row(figure: &str, measured: &str, goal: &str, baseline: &str) {
    let or_dash = |text: &str| if text.is_empty() { "-".to_owned() } else { text.to_owned() };
    println!("| {figure} | {measured} | {} | {} |", or_dash(goal), or_dash(baseline));
}

/// How long each of many alike things took.
#[derive(Default)]
pub(crate) struct Times(Vec<Duration>);

impl Times {
    pub(crate) fn push(&mut self, time: Duration) {
        self.0.push(time);
    }

    pub(crate) fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn median(&self) -> Duration {
        self.within(50)
    }

    pub(crate) fn p99(&self) -> Duration {
        self.within(99)
    }

    /// The time within which this share of them was done; zero when there is none.
    fn within(&self, percent: usize) -> Duration {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let rank = (sorted.len() * percent).div_ceil(100);
        sorted.get(rank.saturating_sub(1)).copied().unwrap_or_default()
    }
}

pub(crate) fn ms(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1e3)
}

pub(crate) fn mib(kib: u64) -> String {
    format!("{:.1} MiB", kib as f64 / 1024.0)
}

/// The baseline's cell: what was measured, what it took, and how many times that the figure is.
pub(crate) fn against(what: &str, baseline: Duration, figure: Duration) -> String {
    let ratio = figure.as_secs_f64() / baseline.as_secs_f64();
    let told = format!("{what}: {}", ms(baseline));
    // Nothing is a multiple of nothing.
    if ratio.is_finite() { format!("{told}; {ratio:.1} times that") } else { told }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_of_times_is_taken_by_rank() {
        let mut times = Times::default();
        assert_eq!(times.median(), Duration::ZERO);
        for number in (1..=100).rev() {
            times.push(Duration::from_millis(number));
        }
        assert_eq!(times.median(), Duration::from_millis(50));
        assert_eq!(times.p99(), Duration::from_millis(99));
    }

    #[test]
    fn a_baseline_of_nothing_has_no_multiple() {
        let figure = Duration::from_millis(5);
        assert_eq!(against("alone", Duration::ZERO, figure), "alone: 0.00 ms");
        assert_eq!(against("alone", Duration::from_millis(2), figure), "alone: 2.00 ms; 2.5 times that");
    }
}
