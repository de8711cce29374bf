//! What a sandbox of namespaces needs to know to be a container of a runtime.

use std::{io, path::PathBuf};

use hand_protocol::{
    Serve,
    guest::{Guest, Kind},
};

use super::{BACKEND, Runtime, runtime::Found};
use crate::{Limits, Spec, bundle, namespace::Fact, within::Engine};

/// Threads of a runtime while it starts, and of the porter.
const THREADS: u64 = 64;

/// Bytes that a runtime takes while it starts, with the copy that it may make of its own program.
const OWN_MEMORY: u64 = 64 << 20;

pub(super) struct Configured {
    found: Found,
    data_dir: PathBuf,
}

impl Configured {
    pub(super) fn new(found: Found, data_dir: PathBuf) -> Self {
        Self { found, data_dir }
    }
}

impl Engine for Configured {
    fn backend(&self) -> &'static str {
        BACKEND
    }

    fn guest(&self, spec: &Spec, serve: &Serve) -> io::Result<Guest> {
        // The porter's processes are in their groups already, and there are none that a runtime could change.
        let argument = match self.found.runtime {
            Runtime::Crun => "--cgroup-manager=disabled",
            Runtime::Runc => "--rootless=true",
        };
        Ok(Guest {
            kind: Kind::Runtime,
            kernel: self.found.program.clone(),
            libraries: self.found.libraries.clone(),
            daemon: bundle::file(Kind::Runtime, &self.data_dir)?,
            arguments: vec![argument.to_owned()],
            configuration: bundle::write(Kind::Runtime, spec, serve)?,
        })
    }

    fn room(&self, limits: &Limits) -> Limits {
        let processes = limits.processes.saturating_add(THREADS);
        Limits { processes, memory: limits.memory.saturating_add(OWN_MEMORY), ..*limits }
    }

    fn facts(&self) -> Vec<Fact> {
        let Found { runtime, version, .. } = &self.found;
        let how = format!(
            "this machine's: a container of {runtime} {version}, in namespaces and a root of its own; no capability in \
             any set, no new privileges, our filter on system calls"
        );
        vec![Fact { part: "kernel", how, better: None }, Fact { part: "put away", how: "never".into(), better: None }]
    }
}
