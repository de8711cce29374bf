//! What a sandbox of namespaces needs to know to run on gVisor.

use std::{
    io,
    path::{Path, PathBuf},
};

use hand_protocol::{
    Serve,
    guest::{Guest, Kind},
};
use parking_lot::Mutex;

use super::{
    BACKEND, facts,
    runsc::{Platform, Runsc},
};
use crate::{Limits, Spec, bundle, namespace::Fact, within::Engine};

/// Processes and threads of this machine for each of gVisor's: one that stands in for it, and those that wait for it.
const STAND_INS: u64 = 4;
/// And those of gVisor's own.
const THREADS: u64 = 256;

/// Bytes of memory that gVisor needs for itself.
const OWN_MEMORY: u64 = 256 << 20;

pub(super) struct Kernel {
    runsc: Runsc,
    data_dir: PathBuf,
    platform: Mutex<Platform>,
}

impl Kernel {
    pub(super) fn new(runsc: Runsc, data_dir: &Path) -> Self {
        let platform = runsc.platforms.first().copied().unwrap_or(Platform::Ptrace);
        Self { runsc, data_dir: data_dir.to_owned(), platform: Mutex::new(platform) }
    }

    pub(super) fn platforms(&self) -> Vec<Platform> {
        self.runsc.platforms.clone()
    }

    pub(super) fn platform(&self) -> Platform {
        *self.platform.lock()
    }

    pub(super) fn use_platform(&self, platform: Platform) {
        *self.platform.lock() = platform;
    }
}

impl Engine for Kernel {
    fn backend(&self) -> &'static str {
        BACKEND
    }

    fn guest(&self, spec: &Spec, serve: &Serve) -> io::Result<Guest> {
        Ok(Guest {
            kind: Kind::Kernel,
            kernel: self.runsc.program.clone(),
            libraries: Vec::new(),
            daemon: bundle::file(Kind::Kernel, &self.data_dir)?,
            arguments: arguments(self.platform(), spec.network.is_some()),
            configuration: bundle::write(Kind::Kernel, spec, serve)?,
        })
    }

    fn room(&self, limits: &Limits) -> Limits {
        room(limits)
    }

    fn facts(&self) -> Vec<Fact> {
        facts::own(&self.runsc.version, self.platform())
    }
}

/// The number of processes is enforced inside; a gVisor that may make no more threads dies, and all its processes with it.
fn room(limits: &Limits) -> Limits {
    let processes = limits.processes.saturating_mul(STAND_INS).saturating_add(THREADS);
    Limits { processes, memory: limits.memory.saturating_add(OWN_MEMORY), ..*limits }
}

/// What `runsc` is told before its command.
fn arguments(platform: Platform, network: bool) -> Vec<String> {
    let platform = format!("--platform={platform}");
    // With a way out, gVisor leaves its sockets to this machine's kernel, in a network namespace where every address is
    // the gateway's. Its own network would need an interface there, and has no way to local addresses.
    let network = if network { "--network=host" } else { "--network=none" };
    let fixed = [
        // The porter's processes are in their groups already.
        "--ignore-cgroups",
        // What is written belongs in our own layer, whose size is bounded, and which is kept.
        "--overlay2=none",
        // Nobody else writes there while a sandbox lives, so gVisor need not look again at each name.
        "--file-access=exclusive",
        // The input files come and go.
        "--file-access-mounts=shared",
        // Opens files itself rather than ask a second process for each. It sees no other files than that one.
        "--directfs=true",
        "--host-uds=none",
        "--host-fifo=none",
    ];
    [platform.as_str(), network].into_iter().chain(fixed).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_sandbox_with_a_way_out_uses_the_hosts_sockets() {
        assert!(arguments(Platform::Systrap, true).contains(&"--network=host".to_owned()));
        let alone = arguments(Platform::Ptrace, false);
        assert!(alone.contains(&"--network=none".to_owned()) && alone.contains(&"--platform=ptrace".to_owned()));
    }

    #[test]
    fn the_groups_leave_room_for_gvisor_and_never_run_over() {
        let limits = Limits { processes: 100, memory: 1 << 30, ..Limits::default() };
        let allowed = room(&limits);
        assert_eq!((allowed.processes, allowed.memory, allowed.disk), (656, (1 << 30) + (256 << 20), limits.disk));
        let most = Limits { processes: u64::MAX, memory: u64::MAX, ..limits };
        let allowed = room(&most);
        assert_eq!((allowed.processes, allowed.memory), (u64::MAX, u64::MAX));
    }
}
