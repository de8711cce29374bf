//! What one sandbox may use, and the names under which people set it.

use serde::{Deserialize, Serialize};

/// What one sandbox may use. Each is enforced by whichever means the machine has; `stead doctor` says which.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Limits {
    /// Bytes of resident memory, summed over the sandbox's processes.
    pub memory: u64,
    /// Processes and threads.
    pub processes: u64,
    /// Bytes in the private writable layer.
    pub disk: u64,
    /// Thousandths of one processor; 0 for as much as there is.
    pub cpus: u64,
    /// Open files of one process.
    pub open_files: u64,
    /// Seconds that one call may take.
    pub call_seconds: u64,
    /// Seconds a sandbox lives on with no server attached, before it ends itself.
    pub orphan_seconds: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory: 2 << 30,
            processes: 512,
            disk: 1 << 30,
            cpus: 0,
            open_files: 65_536,
            call_seconds: 3_600,
            orphan_seconds: 600,
        }
    }
}

/// The daemon in each sandbox has two dozen threads of its own, and needs files for as many connections.
const FEWEST_PROCESSES: u64 = 32;
const FEWEST_OPEN_FILES: u64 = 64;
/// Less than this no shell can work with.
const LEAST_MEMORY_MIB: u64 = 16;
/// Of any number, that sums of them stay within what a machine can count.
const MOST: u64 = 1 << 30;

/// Processors: from a hundredth, below which the kernel does not count, to more than any machine has.
const LEAST_CPUS: f64 = 0.01;
const MOST_CPUS: f64 = 10_000.0;

/// Why a limit cannot be set so.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    #[error("there is no such limit: they are {}", NAMES.join(", "))]
    Unknown,
    #[error("{0} is not a number")]
    NotANumber(String),
    #[error("{value} is out of range: give a number from {least} to {most}")]
    OutOfRange { value: String, least: String, most: String },
}

/// Those that can be set by name, in the units that the names tell.
pub const NAMES: [&str; 7] =
    ["memory_mib", "processes", "disk_mib", "cpus", "open_files", "call_seconds", "orphan_seconds"];

impl Limits {
    /// Sets the limit of this name: a whole number, and for processors also a part of one, with 0 for no limit.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), Unusable> {
        if name == "cpus" {
            self.cpus = thousandths(value)?;
            return Ok(());
        }
        let (place, least, unit) = match name {
            "memory_mib" => (&mut self.memory, LEAST_MEMORY_MIB, 1 << 20),
            "processes" => (&mut self.processes, FEWEST_PROCESSES, 1),
            "disk_mib" => (&mut self.disk, 1, 1 << 20),
            "open_files" => (&mut self.open_files, FEWEST_OPEN_FILES, 1),
            "call_seconds" => (&mut self.call_seconds, 1, 1),
            "orphan_seconds" => (&mut self.orphan_seconds, 1, 1),
            _ => return Err(Unusable::Unknown),
        };
        *place = whole(value, least)?.saturating_mul(unit);
        Ok(())
    }
}

/// A number that a limit can be, from the least that this one can be.
pub fn whole(value: &str, least: u64) -> Result<u64, Unusable> {
    let out_of_range =
        || Unusable::OutOfRange { value: shown(value), least: least.to_string(), most: MOST.to_string() };
    let is_number = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number {
        return Err(Unusable::NotANumber(shown(value)));
    }
    // Whatever has more digits than the type holds is more than the most.
    value.parse().ok().filter(|number| (least..=MOST).contains(number)).ok_or_else(out_of_range)
}

fn thousandths(value: &str) -> Result<u64, Unusable> {
    let cpus: f64 = value.parse().map_err(|_| Unusable::NotANumber(shown(value)))?;
    if cpus == 0.0 || (LEAST_CPUS..=MOST_CPUS).contains(&cpus) {
        return Ok((cpus * 1_000.0).round() as u64);
    }
    let (least, most) = (format!("{LEAST_CPUS}, or 0 for no limit,"), MOST_CPUS.to_string());
    Err(Unusable::OutOfRange { value: shown(value), least, most })
}

fn shown(value: &str) -> String {
    value.chars().take(40).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_limit_is_set_by_its_name_in_its_unit() {
        let mut limits = Limits::default();
        let numbers = ["64", "33", "8", "1.5", "65", "9", "7"];
        for (name, number) in NAMES.into_iter().zip(numbers) {
            limits.set(name, number).unwrap();
        }
        let expected = Limits {
            memory: 64 << 20,
            processes: 33,
            disk: 8 << 20,
            cpus: 1_500,
            open_files: 65,
            call_seconds: 9,
            orphan_seconds: 7,
        };
        assert_eq!(limits, expected);
        limits.set("cpus", "0").unwrap();
        assert_eq!(limits.cpus, 0);
    }

    #[test]
    fn nonsense_changes_nothing() {
        let mut limits = Limits::default();
        for (name, value) in [
            ("memory_mib", "0"),
            ("memory_mib", "9000000000000"),
            ("memory_mib", "99999999999999999999999999"),
            ("memory_mib", "-1"),
            ("memory_mib", "+64"),
            ("memory_mib", "64.5"),
            ("memory_mib", ""),
            ("processes", "1"),
            ("disk_mib", "0"),
            ("open_files", "3"),
            ("call_seconds", "0"),
            ("orphan_seconds", "0"),
            ("cpus", "-1"),
            ("cpus", "0.001"),
            ("cpus", "inf"),
            ("cpus", "nan"),
            ("cpu", "1"),
        ] {
            assert!(limits.set(name, value).is_err(), "{name}: {value}");
        }
        assert_eq!(limits, Limits::default());
    }
}
