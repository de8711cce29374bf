//! What others learn of a gateway without asking it: what it has left in its directory.

use std::fs;
use std::path::{Path, PathBuf};

use crate::audit;
use crate::held::LOCK;

/// Below the gateway's directory.
pub(crate) const AUDIT: &str = "audit";

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Traces {
    /// The process that runs there, or that ran there last.
    pub pid: Option<u32>,
    /// The file that audit records go to.
    pub audit: Option<PathBuf>,
}

impl Traces {
    pub fn of(directory: &Path) -> Self {
        let pid = fs::read_to_string(directory.join(LOCK)).ok().and_then(|text| text.trim().parse().ok());
        Self { pid, audit: audit::newest(&directory.join(AUDIT)) }
    }
}
