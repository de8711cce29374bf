//! What the host tells `handd launch` on its standard input, and what that answers on its standard output: one JSON
//! document each way. Both ends are of one build, for the host carries `handd` inside it.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::{SESSION, Socket, WORKSPACE, guest::Guest};

/// The sandbox to make. Paths are the host's, absolute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Launch {
    /// The hand's own directory: `socket`, `journal` and [`crate::LEFT`] are made in it, and its `uploads` is shown inside,
    /// read-only.
    pub directory: PathBuf,
    /// The prepared root, which becomes the lowest layer. Its `usr` holds only directories: the host's `/usr` lies below.
    pub base: PathBuf,
    /// Whether the base is a whole system instead, as an image's is: then nothing of the host's `/usr` is seen.
    pub is_whole: bool,
    /// What lies over the base, read-only, the highest first: each with a `root` and, over a base that is not whole, a
    /// `usr`.
    pub layers: Vec<PathBuf>,
    /// A directory on disk that takes what is written, in place of memory: what becomes a layer.
    pub keep: Option<PathBuf>,
    /// Whiteouts over what only the host's root may read of its `/usr`. With them, what root owns there belongs to root
    /// inside, as with the base, and can be replaced wherever it is.
    pub mask: Option<PathBuf>,
    /// A checkpoint that the private writable layer begins with.
    pub restore: Option<PathBuf>,
    /// Whether there is a way to a gateway.
    pub network: bool,
    /// Set in every process's environment besides what all sandboxes have.
    pub environment: Vec<(String, String)>,
    pub identity: Identity,
    pub limits: Limits,
    /// Files that put whoever writes a `0` to them under limits: one for each hierarchy of control groups.
    pub cgroups: Vec<PathBuf>,
    /// Passed on to the daemon.
    pub incarnation: String,
    /// Passed on to the daemon.
    pub orphan_seconds: u64,
    /// What runs the processes. None: the launcher itself, on this machine's own kernel.
    pub guest: Option<Guest>,
    /// Whether nothing is to hold the processes back: they are this user's, on this machine, whose files they all see, and
    /// `base`, `layers`, `identity` and most limits mean nothing. [`OWN`] of the directory shows in its places.
    pub is_open: bool,
}

/// Below the hand's directory, where nothing holds its processes back: a directory that is the sandbox's own, and where it
/// shows.
pub const OWN: [(&str, &str); 2] = [("own/workspace", WORKSPACE), ("own/session", SESSION)];

/// What the launcher tells the daemon that it becomes, as the one argument of `handd serve`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Serve {
    pub incarnation: String,
    pub orphan_seconds: u64,
    pub limits: Limits,
    /// The kinds of the descriptors from [`crate::SOCKETS_FD`] on.
    pub sockets: Vec<Socket>,
}

/// What the launcher and the daemon enforce by themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Processes and threads.
    pub processes: u64,
    /// Bytes in the private writable layer.
    pub disk: u64,
    /// Open files of one process.
    pub open_files: u64,
    /// Seconds that one call may take.
    pub call_seconds: u64,
    /// Bytes of memory that the host ends processes at. Only told of, in what the model reads.
    pub memory: u64,
}

/// Whom the sandbox's users are outside. Root inside is never root outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The user outside who is user 0 inside; further ones follow it.
    pub uid: u32,
    pub gid: u32,
    /// How many users, and groups, there are inside: 65,536 where root may hand them out, else 1.
    pub count: u32,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "launched", rename_all = "snake_case")]
pub enum Launched {
    /// The daemon runs, and its socket takes connections.
    Ready {
        /// As the host sees it.
        pid: i32,
    },
    Failed {
        /// What was being set up.
        step: String,
        /// Why it failed, and where that is known, what an operator can do.
        reason: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_survives_the_round_trip() {
        for answer in
            [Launched::Ready { pid: 7 }, Launched::Failed { step: "user namespace".into(), reason: "EPERM".into() }]
        {
            let text = serde_json::to_string(&answer).unwrap();
            assert_eq!(serde_json::from_str::<Launched>(&text).unwrap(), answer);
        }
    }
}
