//! A program that runs a sandbox's processes in the launcher's place: a kernel in user space, or a container runtime.
//!
//! Around it lies a root of its own, with nothing in it but what it needs: the names below. The system that the processes
//! see is one directory of that root.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::Socket;

/// Its program.
pub const KERNEL: &str = "/kernel";
/// What it loads, where it is not static.
pub const LIBRARIES: &str = "/lib";
/// The daemon's program.
pub const DAEMON: &str = "/handd";
/// What the sandbox has for a root.
pub const ROOT: &str = "/root";
/// The session's input files.
pub const UPLOADS: &str = "/uploads";
/// Holds the container's configuration, `config.json`.
pub const BUNDLE: &str = "/bundle";
/// Where it keeps its own records.
pub const STATE: &str = "/state";

/// What runs the processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A kernel of its own, gVisor's. It has no use for sockets that the host listens on.
    Kernel,
    /// A container runtime, which leaves the processes to this machine's kernel, and our filter between them.
    Runtime,
}

/// Which program, and what it is told. Paths are the host's, absolute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Guest {
    pub kind: Kind,
    pub kernel: PathBuf,
    /// What its program loads, its loader included. Empty if it is static.
    pub libraries: Vec<PathBuf>,
    /// `handd` as a file, for programs are loaded by their path alone.
    pub daemon: PathBuf,
    /// What its program is started with, before its command.
    pub arguments: Vec<String>,
    /// The container's configuration, by the OCI runtime specification.
    pub configuration: String,
}

/// What the launcher tells the porter that it becomes, as the one argument of `handd porter`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Porter {
    pub kind: Kind,
    pub arguments: Vec<String>,
    /// Bytes that the processes may hold.
    pub memory: u64,
    /// Bytes that they may write.
    pub disk: u64,
    /// The kinds of the descriptors from [`crate::SOCKETS_FD`] on.
    pub sockets: Vec<Socket>,
    /// The descriptor on which to say that nothing starts. Closed once it has.
    pub verdict: i32,
}
