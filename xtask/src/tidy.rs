//! The checks that no compiler makes: which crate may depend on which, how long a file may be, whether every document
//! can be found. They run as `cargo xtask tidy` and as a test.
//!
//! Every check is a function from the tree's files to findings, so each is tested on a made-up tree.

mod docs;
mod manifests;
mod sources;
#[cfg(test)]
mod tests;
mod tree;

use std::fmt;
use std::path::Path;

use anyhow::Result;

pub(crate) use self::tree::File;

/// One thing that is not as the house wants it. Line 0 means the file as a whole.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Finding {
    pub(crate) path: String,
    pub(crate) line: usize,
    pub(crate) what: String,
}

impl Finding {
    pub(crate) fn new(file: &File, line: usize, what: impl Into<String>) -> Self {
        Self { path: file.path.clone(), line, what: what.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(formatter, "{}: {}", self.path, self.what),
            line => write!(formatter, "{}:{line}: {}", self.path, self.what),
        }
    }
}

/// Prints what is wrong with the tree and returns how many things are.
pub(crate) fn report(root: &Path) -> Result<usize> {
    let files = tree::read(root)?;
    let findings = check(&files)?;
    for finding in &findings {
        println!("{finding}");
    }
    println!("tidy: {} files read, {} findings", files.len(), findings.len());
    Ok(findings.len())
}

/// All checks, their findings in the order of the files.
pub(crate) fn check(files: &[File]) -> Result<Vec<Finding>> {
    let mut findings = manifests::check(files)?;
    findings.extend(sources::check(files));
    findings.extend(docs::check(files));
    findings.sort();
    Ok(findings)
}
