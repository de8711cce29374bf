//! The architecture as the crates' manifests show it: who may depend on whom, and on what from outside.

use anyhow::{Context, Result};
use toml::{Table, Value};

use super::{File, Finding};

/// The dependency arrow. A crate may depend on crates of its own rank or below, never above. Crates of one rank do not
/// depend on each other's insides by convention, and cannot in a circle: cargo refuses that.
const ARROW: &[(&str, u8)] = &[
    ("wire", 0),
    ("hand-protocol", 1),
    ("handd", 2),
    ("session", 2),
    ("store", 3),
    ("bus", 4),
    ("context", 4),
    ("hands", 4),
    ("images", 4),
    ("mcp", 4),
    ("model", 4),
    ("packages", 4),
    ("tools", 4),
    ("vault", 4),
    ("brain", 5),
    ("bus-nats", 5),
    ("gateway", 5),
    ("hands-docker", 5),
    ("hands-kubernetes", 5),
    ("peers", 5),
    ("schedule", 5),
    ("webhooks", 5),
    ("worker", 5),
    ("api", 6),
    ("environments", 6),
    ("shelf", 6),
    // Above all but the binary: only the wiring may know which database there is.
    ("store-postgres", 7),
    ("store-sqlite", 7),
    ("stead", 8),
    // Beside the product: they may use all of it, and nothing of it may use them outside its tests.
    ("benches", 9),
    ("sim", 9),
    ("testkit", 9),
    ("xtask", 9),
];

/// Dependencies from outside that only some crates may have, so that each can be replaced in one place.
const ONLY: &[(&str, &[&str])] = &[
    ("async-nats", &["bus-nats"]),
    ("axum", &["api", "benches", "testkit"]),
    ("object_store", &["shelf"]),
    ("rmcp", &["mcp"]),
    ("rusqlite", &["benches", "store-sqlite"]),
    ("sqlx", &["store-postgres", "store-sqlite"]),
];

/// What would let the pure core wait, read a clock, roll dice or reach the machine.
const NOT_PURE: &[&str] = &[
    "async",
    "chrono",
    "fastrand",
    "futures",
    "getrandom",
    "hyper",
    "jiff",
    "libc",
    "mio",
    "nix",
    "rand",
    "reqwest",
    "rustix",
    "smol",
    "time",
    "tokio",
    "uuid",
    "web-time",
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// `[dependencies]` and `[build-dependencies]`.
    Shipped,
    /// `[dev-dependencies]`: a test may reach up, since nothing that is shipped does.
    Test,
}

struct Dependency {
    name: String,
    kind: Kind,
}

pub(crate) fn check(files: &[File]) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for file in files.iter().filter(|file| file.path.ends_with("Cargo.toml")) {
        let manifest: Table = file.text.parse().with_context(|| format!("{} is not TOML", file.path))?;
        let name = manifest.get("package").and_then(|package| package.get("name")).and_then(Value::as_str);
        // The workspace's own manifest names no package.
        let Some(name) = name else { continue };
        let dependencies = dependencies(&manifest);
        findings.extend(only(file, name, &dependencies));
        findings.extend(arrow(file, name, &dependencies));
        if name == "session" {
            findings.extend(pure(file, &dependencies));
        }
    }
    Ok(findings)
}

fn only(file: &File, name: &str, dependencies: &[Dependency]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (outside, may) in ONLY {
        for dependency in dependencies {
            if is_of(&dependency.name, outside) && !may.contains(&name) {
                let who = may.join(", ");
                findings.push(Finding::new(file, 0, format!("only {who} may depend on `{}`", dependency.name)));
            }
        }
    }
    findings
}

fn arrow(file: &File, name: &str, dependencies: &[Dependency]) -> Vec<Finding> {
    let Some(own) = rank(name) else {
        let what = format!("`{name}` has no place in the dependency arrow: give it one in xtask/src/tidy/manifests.rs");
        return vec![Finding::new(file, 0, what)];
    };
    let shipped = dependencies.iter().filter(|dependency| dependency.kind == Kind::Shipped);
    let upward = shipped.filter(|dependency| rank(&dependency.name).is_some_and(|theirs| theirs > own));
    let what = |up: &Dependency| format!("`{name}` must not depend on `{}`, which is above it", up.name);
    upward.map(|up| Finding::new(file, 0, what(up))).collect()
}

/// `session` folds a log into a state. The same log gives the same state on every machine, forever, only if nothing but
/// the log can be read from there.
fn pure(file: &File, dependencies: &[Dependency]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for dependency in dependencies.iter().filter(|dependency| dependency.kind == Kind::Shipped) {
        let name = dependency.name.as_str();
        if rank(name).is_some() && name != "wire" {
            findings.push(Finding::new(file, 0, format!("`session` depends on `wire` alone, not on `{name}`")));
        }
        if NOT_PURE.iter().any(|family| is_of(name, family)) {
            findings.push(Finding::new(file, 0, format!("`session` is pure, which `{name}` would end")));
        }
    }
    findings
}

/// Whether a crate is `family` or one of those named after it, as `tokio-util` is of `tokio`.
fn is_of(name: &str, family: &str) -> bool {
    name.strip_prefix(family).is_some_and(|rest| rest.is_empty() || rest.starts_with(['-', '_']))
}

fn rank(name: &str) -> Option<u8> {
    ARROW.iter().find(|(known, _)| *known == name).map(|(_, rank)| *rank)
}

/// All dependencies of a manifest, those of single targets too, under the names they have in the registry.
fn dependencies(manifest: &Table) -> Vec<Dependency> {
    let mut tables = vec![manifest];
    if let Some(targets) = manifest.get("target").and_then(Value::as_table) {
        tables.extend(targets.values().filter_map(Value::as_table));
    }
    let sections =
        [("dependencies", Kind::Shipped), ("build-dependencies", Kind::Shipped), ("dev-dependencies", Kind::Test)];
    let mut found = Vec::new();
    for table in tables {
        for (section, kind) in sections {
            for (key, value) in table.get(section).and_then(Value::as_table).into_iter().flatten() {
                let name = value.get("package").and_then(Value::as_str).unwrap_or(key).to_owned();
                found.push(Dependency { name, kind });
            }
        }
    }
    found
}
