//! `docs/openapi.json`: written by the server itself, kept in the repository, compared on every run.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::command::{cargo, command, run};

const FILE: &str = "docs/openapi.json";

/// The server as users build it.
pub(crate) fn binary(root: &Path) -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    root.join(target).join("release/stead")
}

pub(crate) fn write(root: &Path) -> Result<()> {
    let text = generate(root)?;
    std::fs::write(root.join(FILE), text).with_context(|| format!("cannot write {FILE}"))?;
    println!("wrote {FILE}");
    Ok(())
}

/// Whether the file says what the server says; prints the first line that differs.
pub(crate) fn check(root: &Path) -> Result<bool> {
    let generated = generate(root)?;
    let kept = std::fs::read_to_string(root.join(FILE)).with_context(|| format!("cannot read {FILE}"))?;
    let Some((line, was, is)) = first_difference(&kept, &generated) else { return Ok(true) };
    println!("{FILE}:{line} differs from what the server says; `cargo xtask openapi` writes it anew");
    println!("  the file:   {was}");
    println!("  the server: {is}");
    Ok(false)
}

/// Whether there is a file to compare with.
pub(crate) fn is_kept(root: &Path) -> bool {
    root.join(FILE).exists()
}

fn generate(root: &Path) -> Result<String> {
    run(cargo(root).args(["build", "--release", "--locked"]))?;
    let output = command(root, binary(root)).arg("openapi").output().context("cannot start `stead openapi`")?;
    ensure!(output.status.success(), "`stead openapi` failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    let mut text = String::from_utf8(output.stdout).context("`stead openapi` did not print UTF-8")?;
    text.truncate(text.trim_end().len());
    text.push('\n');
    Ok(text)
}

fn first_difference(kept: &str, generated: &str) -> Option<(usize, String, String)> {
    let (mut left, mut right) = (kept.lines(), generated.lines());
    for line in 1.. {
        match (left.next(), right.next()) {
            (None, None) => break,
            (was, is) if was == is => {}
            (was, is) => {
                let shown = |line: Option<&str>| line.unwrap_or("(ends here)").trim().to_owned();
                return Some((line, shown(was), shown(is)));
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_differing_line_is_named() {
        assert_eq!(first_difference("{\n}\n", "{\n}\n"), None);
        assert_eq!(first_difference("a\nb\n", "a\nc\n"), Some((2, "b".to_owned(), "c".to_owned())));
        assert_eq!(first_difference("a\n", "a\nc\n"), Some((2, "(ends here)".to_owned(), "c".to_owned())));
    }
}
