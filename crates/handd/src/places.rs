//! Where things are. Fields, not constants, so that tests can put them elsewhere.

use std::{
    ffi::OsString,
    path::{Component, Path, PathBuf},
};

#[derive(Debug, Clone)]
pub(crate) struct Places {
    pub(crate) workspace: PathBuf,
    pub(crate) home: PathBuf,
    pub(crate) outputs: PathBuf,
    pub(crate) overflow: PathBuf,
    /// What every command finds set besides.
    pub(crate) environment: Vec<(OsString, OsString)>,
}

impl Places {
    pub(crate) fn of_the_sandbox() -> Self {
        Self {
            workspace: hand_protocol::WORKSPACE.into(),
            home: "/root".into(),
            outputs: hand_protocol::OUTPUTS.into(),
            overflow: hand_protocol::OVERFLOW.into(),
            // The launcher has chosen all of it.
            environment: std::env::vars_os().collect(),
        }
    }

    #[cfg(test)]
    pub(crate) fn below(root: &Path) -> Self {
        Self {
            workspace: root.join("workspace"),
            home: root.join("root"),
            outputs: root.join("outputs"),
            overflow: root.join("tool_outputs"),
            environment: Vec::new(),
        }
    }

    /// A path as the model gives it: relative ones are relative to the workspace.
    pub(crate) fn resolve(&self, path: &str) -> PathBuf {
        clean(&self.workspace.join(path))
    }
}

/// Takes `.`, `..` and doubled slashes out of a path by its letters alone, as a shell's `cd` does.
pub(crate) fn clean(path: &Path) -> PathBuf {
    let mut cleaned = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                cleaned.pop();
            }
            other => cleaned.push(other.as_os_str()),
        }
    }
    cleaned
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relative_path_starts_at_the_workspace() {
        let places = Places::of_the_sandbox();
        assert_eq!(places.resolve("src/main.rs"), Path::new("/workspace/src/main.rs"));
        assert_eq!(places.resolve("/etc/hosts"), Path::new("/etc/hosts"));
        assert_eq!(places.resolve(""), Path::new("/workspace"));
    }

    #[test]
    fn dots_and_doubled_slashes_are_taken_out() {
        assert_eq!(clean(Path::new("/a/./b//../c")), Path::new("/a/c"));
        assert_eq!(clean(Path::new("/../../etc")), Path::new("/etc"));
    }
}
