//! The files that the checks look at. Read from the disk rather than asked of git: a source archive has no history.

use std::path::Path;

use anyhow::{Context, Result};

/// Built, fetched or written by a run: not ours to check.
const NOT_OURS: &[&str] = &["target", "node_modules", "dist", "__pycache__", "venv"];

/// Directories whose name starts with a dot are somebody's cache, except these.
const DOTTED_AND_OURS: &[&str] = &[".cargo", ".ci", ".github"];

/// What the demo writes when it is run in the tree.
const DEMO_OUTPUT: &str = "demo/out";

/// One file of the tree.
pub(crate) struct File {
    /// Relative to the root, with `/` between the parts.
    pub(crate) path: String,
    /// Empty for a file that is not UTF-8: an image can be linked to, and has no lines to check.
    pub(crate) text: String,
}

/// Every file below `root` that is ours, in the order of their paths.
pub(crate) fn read(root: &Path) -> Result<Vec<File>> {
    let mut files = Vec::new();
    walk(root, "", &mut files)?;
    files.sort_by(|left, right| left.path.cmp(&right.path));
    Ok(files)
}

fn walk(root: &Path, below: &str, files: &mut Vec<File>) -> Result<()> {
    let directory = root.join(below);
    let entries = std::fs::read_dir(&directory).with_context(|| format!("cannot list {}", directory.display()))?;
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = if below.is_empty() { name.clone() } else { format!("{below}/{name}") };
        // A symbolic link is what it is, not where it leads: following one could leave the tree or never end.
        let kind = entry.file_type()?;
        if kind.is_dir() && is_ours(&name, &path) {
            walk(root, &path, files)?;
        } else if kind.is_file() {
            let bytes = std::fs::read(entry.path()).with_context(|| format!("cannot read {path}"))?;
            files.push(File { path, text: String::from_utf8(bytes).unwrap_or_default() });
        }
    }
    Ok(())
}

fn is_ours(name: &str, path: &str) -> bool {
    if path == DEMO_OUTPUT || NOT_OURS.contains(&name) {
        return false;
    }
    !name.starts_with('.') || DOTTED_AND_OURS.contains(&name)
}
