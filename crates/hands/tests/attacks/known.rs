//! What is not held, everywhere or where the server may do less than root: `docs/SECURITY.md` says each of these too.

use std::fs;

use rustix::process::geteuid;

use crate::house::is_on_gvisor;

/// Where something is known not to be held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Where {
    Everywhere,
    /// The server is an ordinary user, who is also whom everybody inside is outside.
    Ordinary,
    /// On gVisor, which keeps no process of a user from another of the same.
    Gvisor,
    /// The server may not set limits that bind its children for good (`CAP_SYS_RESOURCE`).
    WithoutResources,
}

const DEVICES: &str = "the device files are the host's own, shown inside";

const DAEMON: &str = "the daemon has the user of what it runs: a session can spoil its own";

const KNOWN: &[(&str, Where, &str)] = &[
    ("exhaustion/descriptors_under_way", Where::Ordinary, "counted for the one user that all sandboxes share"),
    ("devices/shared_times", Where::Everywhere, DEVICES),
    ("exhaustion/device_locks", Where::Everywhere, DEVICES),
    ("exhaustion/local_buffers", Where::Ordinary, "without control groups the kernel's memory is not bounded"),
    ("exhaustion/memory_files", Where::Ordinary, "without control groups the kernel's memory is not bounded"),
    ("exhaustion/network_buffers", Where::Everywhere, "the kernel counts them apart from other memory, or not at all"),
    ("exhaustion/pipe_buffers", Where::Ordinary, "counted for the one user that all sandboxes share"),
    ("exhaustion/pipe_contents", Where::Ordinary, "without control groups the kernel's memory is not bounded"),
    ("handd/descriptor_files", Where::Gvisor, "the daemon's files can be opened: a session can spoil its own journal"),
    ("handd/limits", Where::Gvisor, DAEMON),
    ("handd/private_files", Where::Gvisor, "what the daemon was started with can be read, and holds no secret"),
    ("handd/settings", Where::Gvisor, DAEMON),
    ("handd/descriptor_files", Where::Ordinary, "the numbers of its descriptors are seen; none can be opened"),
    ("handd/settings", Where::Ordinary, "the daemon's files belong to the user that everybody inside is"),
    ("proc/keys_listing", Where::Ordinary, "the names of that user's keys are seen; none can be read"),
    ("proc/oom_score", Where::WithoutResources, "the score is only a floor for whoever sets it with this capability"),
    ("files/mount_table", Where::Everywhere, "the path of the data directory is seen, and nothing in it"),
    ("handd/scheduling", Where::Everywhere, "the daemon has the user of what it runs: a session can slow its own"),
    ("session/device_watch", Where::Everywhere, DEVICES),
];

/// Why this attack is known not to be held here.
pub(crate) fn known(title: &str) -> Option<&'static str> {
    KNOWN.iter().find(|(known, here, _)| *known == title && here.is_here()).map(|(_, _, why)| *why)
}

impl Where {
    fn is_here(self) -> bool {
        match self {
            Self::Everywhere => true,
            Self::Ordinary => !geteuid().is_root(),
            Self::Gvisor => is_on_gvisor(),
            Self::WithoutResources => !has_resources(),
        }
    }
}

fn has_resources() -> bool {
    const SYS_RESOURCE: u32 = 24;
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    line.and_then(|bits| u64::from_str_radix(bits.trim(), 16).ok()).is_some_and(|bits| (bits >> SYS_RESOURCE) & 1 == 1)
}
