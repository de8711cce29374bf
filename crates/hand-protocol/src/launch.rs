//! What the host tells `handd launch` on its standard input, and what that answers on its standard output: one JSON
//! document each way. Both ends are of one build, for the host carries `handd` inside it.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The sandbox to make. Paths are the host's, absolute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Launch {
    /// The hand's own directory: `socket` and `journal` are made in it, and its `uploads` is shown inside, read-only.
    pub directory: PathBuf,
    /// The prepared root, which becomes the lower layer. Its `usr` holds only directories: the host's `/usr` lies below.
    pub base: PathBuf,
    pub identity: Identity,
    /// Processes and threads.
    pub processes: u64,
    /// Bytes in the private writable layer.
    pub disk: u64,
    /// Files that put whoever writes a `0` to them under limits: one for each hierarchy of control groups.
    pub cgroups: Vec<PathBuf>,
    /// Passed on to the daemon.
    pub incarnation: String,
    /// Passed on to the daemon.
    pub orphan_seconds: u64,
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
