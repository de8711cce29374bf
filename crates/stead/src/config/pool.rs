//! `[pool]`: sandboxes that are made before anybody asks for one, where making one takes long.

use std::time::Duration;

use anyhow::ensure;
use serde::{Deserialize, Serialize};

/// Each takes memory and a little of a processor while it waits; nobody means to have so many.
const MOST: usize = 1_000;

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Pool {
    /// Sandboxes that are ready at the same time; 0 for none.
    pub(crate) max: usize,
    /// As many are kept ready as were asked for in so many minutes.
    pub(crate) minutes: u64,
}

impl Default for Pool {
    fn default() -> Self {
        Self { max: 4, minutes: 10 }
    }
}

impl Pool {
    pub(super) fn check(&self) -> anyhow::Result<()> {
        ensure!(self.max <= MOST, "pool.max is {}: no more than {MOST} sandboxes are kept ready", self.max);
        ensure!(self.minutes > 0, "pool.minutes is 0: set pool.max to 0 to keep no sandboxes ready");
        Ok(())
    }

    pub(crate) fn options(&self) -> hands::pool::Options {
        hands::pool::Options { most: self.max, remember: Duration::from_secs(self.minutes.saturating_mul(60)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Flags};

    fn load(text: &str) -> Result<Pool, String> {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("stead.toml");
        std::fs::write(&file, format!("[pool]\n{text}\n")).unwrap();
        let loaded = Config::load(Some(&file), &Flags::default());
        loaded.map(|config| config.pool).map_err(|error| format!("{error:#}"))
    }

    #[test]
    fn what_is_written_reaches_the_pool() {
        let options = load("max = 9\nminutes = 2").unwrap().options();
        assert_eq!((options.most, options.remember), (9, Duration::from_secs(120)));
        assert_eq!(load("max = 0").unwrap().options().most, 0);
    }

    #[test]
    fn nonsense_is_refused_by_its_key() {
        for (text, key) in
            [("max = 1001", "pool.max"), ("max = -1", "max"), ("minutes = 0", "pool.minutes"), ("size = 1", "size")]
        {
            let error = load(text).unwrap_err();
            assert!(error.contains(key), "{text}: {error}");
        }
    }
}
