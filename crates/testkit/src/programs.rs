//! Programs that few machines have: `make test` gets them and says where, or somebody has installed them.

use std::path::{Path, PathBuf};

use crate::process::{in_path, missing};

/// Names the directory, absolute, that has programs for tests.
pub const DIRECTORY: &str = "STEAD_TEST_TOOLS";

/// The program of this name. That directory comes first: what a machine has installed may be too old. `None` if there
/// is no such program, which is said, and an error under `CI=true`.
pub fn find(name: &str) -> Result<Option<PathBuf>, String> {
    let directory = std::env::var_os(DIRECTORY).map(PathBuf::from).filter(|directory| directory.is_absolute());
    let found = directory.as_deref().and_then(|directory| among(directory, name)).or_else(|| in_path(name));
    found.map_or_else(|| missing(name), |program| Ok(Some(program)))
}

fn among(directory: &Path, name: &str) -> Option<PathBuf> {
    Some(directory.join(name)).filter(|program| program.is_file())
}
