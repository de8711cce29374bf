//! Cargo.

use super::output::Output;
use super::{Failure, Kind};

const NETWORK: [&str; 8] = [
    "failed to download from",
    "failed to get successful HTTP response",
    "spurious network error",
    "Could not resolve host",
    "Couldn't resolve host",
    "Could not connect to server",
    "Timeout was reached",
    "network failure seems to have happened",
];

pub(super) fn diagnose(output: &Output) -> Option<Failure> {
    named(output).or_else(|| network(output)).or_else(|| built(output)).or_else(|| {
        let line = output.lines().find_map(|line| line.strip_prefix("error: "))?;
        Some(Failure::new(Kind::Other, None, format!("cargo: {line}")))
    })
}

fn named(output: &Output) -> Option<Failure> {
    if let Some(package) = output.between("error: could not find `", "` in ") {
        // A version that nobody asked for is a star.
        let version = output.between("with version `", "`").filter(|version| *version != "*");
        if output.contains("(1 tries remaining)") || output.contains("(1 try remaining)") {
            // It has gone on with the index that it has, which is none.
            let message = format!("cargo: the index could not be reached, so `{package}` was not found");
            return Some(Failure::of(Kind::Network, package, message));
        }
        let message = match version {
            Some(version) => format!("cargo: there is no `{package}` of version {version} in the index"),
            None => format!("cargo: there is no `{package}` in the index"),
        };
        return Some(Failure::of(Kind::NotFound, package, message));
    }
    if let Some(package) = output.between("error: no matching package named `", "`") {
        return Some(Failure::of(Kind::NotFound, package, format!("cargo: there is no `{package}` in the index")));
    }
    if let Some(package) = output.between("there is nothing to install in `", "`") {
        let name = first(package);
        let message = format!("cargo: `{name}` is a library: it has no programs to install");
        return Some(Failure::of(Kind::Other, name, message));
    }
    if let Some(package) = output.between("cannot install package `", "`") {
        let name = first(package);
        let reason = output.after("`, it requires").unwrap_or("another compiler");
        let message = format!("cargo: `{name}` cannot be built here: it requires {reason}");
        return Some(Failure::of(Kind::Conflict, name, message));
    }
    let package = output
        .between("failed to select a version for the requirement `", "`")
        .or_else(|| output.between("failed to select a version for `", "`"))?;
    let name = first(package);
    let message = format!("cargo: there is no version of `{name}` that suits all that need it: {package}");
    Some(Failure::of(Kind::Conflict, name, message))
}

fn network(output: &Output) -> Option<Failure> {
    let line = output.line_with_any(&NETWORK)?.trim();
    // Each attempt that is followed by another is told too, and what failed in the end may be the build.
    if output.contains("error: failed to compile `") && !output.contains("error: failed to download") {
        return built(output);
    }
    Some(Failure::new(Kind::Network, None, format!("cargo: the index could not be reached: {line}")))
}

fn built(output: &Output) -> Option<Failure> {
    let package = output.between("failed to compile `", "`")?;
    let name = first(package);
    let is_reason = |line: &&str| line.starts_with("error") && !line.contains("failed to compile");
    let reason = output.lines().find(is_reason).unwrap_or("its build failed");
    let needs_newer = output.line_with_any(&["requires rustc ", "is not supported by the following package"]);
    let kind = if needs_newer.is_some() { Kind::Conflict } else { Kind::Other };
    let reason = needs_newer.unwrap_or(reason).trim();
    Some(Failure::of(kind, name, format!("cargo: `{name}` could not be built: {reason}")))
}

/// Of `name v1.0.0` or `name = "^1"`, the name.
fn first(package: &str) -> &str {
    package.split_whitespace().next().unwrap_or(package)
}
