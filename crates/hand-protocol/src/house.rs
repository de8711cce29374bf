//! A sandbox that somebody else has made, as a container engine does: there is no launcher around the daemon, which finds
//! its own files and opens its own socket.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::Serve;

/// The daemon's own directory in such a sandbox.
pub const HOUSE: &str = "/.stead";
pub const HOUSE_DAEMON: &str = "/.stead/handd";
pub const HOUSE_SOCKET: &str = "/.stead/socket";
pub const HOUSE_JOURNAL: &str = "/.stead/journal";

/// What the daemon is told, as the one argument of `handd house`. It is the sandbox's first process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct House {
    /// Made anew. `handd relay` carries a connection from outside to it.
    pub socket: PathBuf,
    /// Gone on with, if it is there.
    pub journal: PathBuf,
    pub serve: Serve,
}
