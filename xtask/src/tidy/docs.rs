//! Documents: each can be reached from README, and no link among them leads nowhere.

use std::collections::BTreeSet;

use super::{File, Finding};

struct Link {
    line: usize,
    /// Relative to the root.
    target: String,
}

pub(crate) fn check(files: &[File]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut linked = BTreeSet::new();
    for file in files.iter().filter(|file| is_document(&file.path)) {
        for link in links(file) {
            if !exists(files, &link.target) {
                findings.push(Finding::new(file, link.line, format!("the link to `{}` leads nowhere", link.target)));
            }
            let from_front = file.path == "README.md" || file.path.starts_with("docs/");
            if from_front && link.target != file.path {
                linked.insert(link.target);
            }
        }
    }
    for file in files.iter().filter(|file| file.path.starts_with("docs/") && !linked.contains(&file.path)) {
        findings.push(Finding::new(file, 0, "nothing links to it: name it in README.md or in another document"));
    }
    findings
}

fn is_document(path: &str) -> bool {
    path.ends_with(".md") && (path.starts_with("docs/") || !path.contains('/'))
}

fn exists(files: &[File], target: &str) -> bool {
    let below = format!("{target}/");
    target.is_empty() || files.iter().any(|file| file.path == target || file.path.starts_with(&below))
}

/// The links of a Markdown file that lead to files of the tree.
fn links(file: &File) -> Vec<Link> {
    let directory = file.path.rsplit_once('/').map_or("", |(directory, _)| directory);
    let mut links = Vec::new();
    let mut in_code = false;
    for (index, line) in file.text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        } else if !in_code {
            // Every second part stands between backticks: code, in which nothing is a link.
            let prose: String = line.split('`').step_by(2).collect();
            let written = destinations(&prose).into_iter().filter(|written| is_local(written));
            links.extend(written.map(|written| Link { line: index + 1, target: resolve(directory, written) }));
        }
    }
    links
}

/// What stands in `[text](here "title")`, `[label]: here`, and `src="here"` or `href="here"`.
fn destinations(prose: &str) -> Vec<&str> {
    let mut found = Vec::new();
    for (open, close) in [("](", ')'), ("src=\"", '"'), ("href=\"", '"')] {
        for (start, _) in prose.match_indices(open) {
            let rest = &prose[start + open.len()..];
            found.extend(rest.split(close).next().and_then(|inside| inside.split_whitespace().next()));
        }
    }
    if prose.starts_with('[') {
        found.extend(prose.split_once("]: ").and_then(|(_, rest)| rest.split_whitespace().next()));
    }
    found
}

fn is_local(written: &str) -> bool {
    !written.starts_with('#') && !written.contains("://") && !written.starts_with("mailto:")
}

/// From the root: without `.`, `..`, the part after `#`, and brackets around the whole.
fn resolve(directory: &str, written: &str) -> String {
    let path = written.trim_matches(['<', '>']).split('#').next().unwrap_or_default();
    let mut parts: Vec<&str> = if path.starts_with('/') { Vec::new() } else { directory.split('/').collect() };
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.retain(|part| !part.is_empty());
    parts.join("/")
}
