//! `[limits]`: what one sandbox may use.

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Limits {
    pub(crate) memory_mib: u64,
    pub(crate) processes: u64,
    pub(crate) disk_mib: u64,
    /// Processors, also a part of one; 0 for as much as there is.
    pub(crate) cpus: f64,
    /// Open files of one process.
    pub(crate) open_files: u64,
    /// Seconds that one call may take.
    pub(crate) call_seconds: u64,
    /// Seconds that a sandbox outlives the server.
    pub(crate) orphan_seconds: u64,
}

impl Default for Limits {
    fn default() -> Self {
        let hands::Limits { memory, processes, disk, cpus, open_files, call_seconds, orphan_seconds } =
            hands::Limits::default();
        Self {
            memory_mib: memory >> 20,
            processes,
            disk_mib: disk >> 20,
            cpus: cpus as f64 / 1_000.0,
            open_files,
            call_seconds,
            orphan_seconds,
        }
    }
}

impl Limits {
    pub(super) fn check(&self) -> anyhow::Result<()> {
        self.read().map(drop)
    }

    /// In the units of those who make sandboxes.
    pub(crate) fn of_a_sandbox(&self) -> hands::Limits {
        self.read().unwrap_or_default()
    }

    fn read(&self) -> anyhow::Result<hands::Limits> {
        let Self { memory_mib, processes, disk_mib, cpus, open_files, call_seconds, orphan_seconds } = self;
        let values: [&dyn std::fmt::Display; 7] =
            [memory_mib, processes, disk_mib, cpus, open_files, call_seconds, orphan_seconds];
        let mut limits = hands::Limits::default();
        for (name, value) in hands::limits::NAMES.into_iter().zip(values) {
            limits.set(name, &value.to_string()).with_context(|| format!("limits.{name}"))?;
        }
        Ok(limits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Flags};

    fn load(text: &str) -> Result<Limits, String> {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("stead.toml");
        std::fs::write(&file, format!("[limits]\n{text}\n")).unwrap();
        let loaded = Config::load(Some(&file), &Flags::default());
        loaded.map(|config| config.limits).map_err(|error| format!("{error:#}"))
    }

    #[test]
    fn what_is_left_out_is_as_sandboxes_have_it() {
        assert_eq!(load("").unwrap().of_a_sandbox(), hands::Limits::default());
    }

    #[test]
    fn what_is_written_reaches_the_sandbox_in_its_units() {
        let text = "memory_mib = 64\nprocesses = 32\ndisk_mib = 8\ncpus = 1.5\nopen_files = 64\ncall_seconds = 9";
        let expected = hands::Limits {
            memory: 64 << 20,
            processes: 32,
            disk: 8 << 20,
            cpus: 1_500,
            open_files: 64,
            call_seconds: 9,
            ..hands::Limits::default()
        };
        assert_eq!(load(text).unwrap().of_a_sandbox(), expected);
        // A whole number is a number too.
        assert_eq!(load("cpus = 2").unwrap().of_a_sandbox().cpus, 2_000);
    }

    #[test]
    fn nonsense_is_refused_by_its_key() {
        for (text, key) in [
            ("memory_mib = 0", "limits.memory_mib"),
            ("memory_mib = 9000000000000", "limits.memory_mib"),
            ("processes = 1", "limits.processes"),
            ("disk_mib = 0", "limits.disk_mib"),
            ("open_files = 3", "limits.open_files"),
            ("call_seconds = 0", "limits.call_seconds"),
            ("orphan_seconds = 0", "limits.orphan_seconds"),
            ("cpus = -1", "limits.cpus"),
            ("cpus = 0.001", "limits.cpus"),
            ("cpus = inf", "limits.cpus"),
            ("cpus = nan", "limits.cpus"),
            ("cpu = 1", "cpu"),
        ] {
            let error = load(text).unwrap_err();
            assert!(error.contains(key), "{text}: {error}");
        }
    }
}
