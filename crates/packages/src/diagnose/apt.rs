//! apt.

use super::output::{Output, between};
use super::{Failure, Kind};

const NETWORK: [&str; 8] = [
    "Failed to fetch ",
    "Temporary failure resolving",
    "Could not resolve '",
    "Could not connect to ",
    "Connection timed out",
    "Some index files failed to download",
    "Unable to fetch some archives",
    "Certificate verification failed",
];

pub(super) fn diagnose(output: &Output) -> Option<Failure> {
    // What was not fetched is why a package is not known, so it comes first.
    network(output).or_else(|| not_found(output)).or_else(|| conflict(output)).or_else(|| {
        if let Some(package) = output.between("dpkg: error processing package ", " ") {
            let reason = output.lines_after("dpkg: error processing package ").next().unwrap_or("its script failed");
            let message = format!("apt: `{package}` could not be set up: {reason}");
            return Some(Failure::of(Kind::Other, package, message));
        }
        let line = output.lines().find_map(|line| line.strip_prefix("E: "))?;
        Some(Failure::new(Kind::Other, None, format!("apt: {line}")))
    })
}

fn network(output: &Output) -> Option<Failure> {
    let line = output.line_with_any(&NETWORK)?;
    let line = line.strip_prefix("E: ").or_else(|| line.strip_prefix("W: ")).unwrap_or(line).trim();
    Some(Failure::new(Kind::Network, package(output), format!("apt: a source could not be reached: {line}")))
}

/// Also the one that is missed only because nothing was fetched.
fn package(output: &Output) -> Option<String> {
    let place = ["by glob '", "by regex '"].iter().find_map(|sign| output.between(sign, "'"));
    place
        .or_else(|| output.after("E: Unable to locate package "))
        .or_else(|| output.between("E: Package '", "' has no installation candidate"))
        .or_else(|| {
            let mut errors = output.lines().filter(|line| line.starts_with("E: "));
            errors.find_map(|line| between(line, "' for '", "' was not found"))
        })
        .map(str::to_owned)
}

fn not_found(output: &Output) -> Option<Failure> {
    let package = package(output)?;
    let version = output.between("E: Version '", "'").or_else(|| output.between("E: Release '", "'"));
    let message = match version {
        Some(version) => format!("apt: there is no `{package}` of version or release {version} in the sources"),
        None => format!("apt: there is no `{package}` in the sources"),
    };
    Some(Failure::of(Kind::NotFound, &package, message))
}

fn conflict(output: &Output) -> Option<Failure> {
    const SIGN: &str = "The following packages have unmet dependencies:";
    if !output.contains(SIGN) {
        return None;
    }
    // As ` name : Depends: other (= 1) but it is not going to be installed`.
    let first = output.lines_after(SIGN).next().unwrap_or_default();
    let package = first.split_once(" : ").map(|(package, _)| package.trim().to_owned());
    let message = format!("apt: the packages cannot be installed together: {first}");
    Some(Failure::new(Kind::Conflict, package, message))
}
