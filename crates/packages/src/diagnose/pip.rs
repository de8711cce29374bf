//! pip.

use super::output::{Output, between};
use super::{Failure, Kind};

const NETWORK: [&str; 9] = [
    "Retry(total=0,",
    "NewConnectionError",
    "NameResolutionError",
    "ReadTimeoutError",
    "ConnectTimeoutError",
    "Connection aborted",
    "ProxyError",
    "SSLError",
    "IncompleteRead",
];

pub(super) fn diagnose(output: &Output) -> Option<Failure> {
    conflict(output).or_else(|| not_found(output)).or_else(|| build(output)).or_else(|| {
        if let Some(line) = output.line_with_any(&NETWORK) {
            return Some(Failure::new(Kind::Network, None, format!("pip: the index could not be reached: {line}")));
        }
        let line = output.lines().find_map(|line| line.strip_prefix("ERROR: "))?;
        let package = between(line, "Invalid requirement: '", "'").map(str::to_owned);
        Some(Failure::new(Kind::Other, package, format!("pip: {line}")))
    })
}

fn conflict(output: &Output) -> Option<Failure> {
    if let Some(what) = output.between("ERROR: Cannot install ", " because ") {
        // As `a==1, b==2 and c`.
        let first = what.split([',', ' ']).next().unwrap_or(what);
        let causes: Vec<&str> =
            output.lines_after("The conflict is caused by:").take_while(|line| !line.is_empty()).collect();
        let message = format!("pip: {what} cannot be installed together: {}", causes.join("; "));
        return Some(Failure::of(Kind::Conflict, first, message));
    }
    let (package, rest) = output.lines().find_map(|line| {
        let rest = line.strip_prefix("ERROR: Package '")?;
        rest.split_once("' requires a different Python: ")
    })?;
    Some(Failure::of(Kind::Conflict, package, format!("pip: `{package}` is for another Python: {rest}")))
}

fn not_found(output: &Output) -> Option<Failure> {
    let package = output.after("ERROR: No matching distribution found for ")?;
    // It may be wanted by another, as `x>=2 (from y)`.
    let package = package.split(" (from ").next().unwrap_or(package);
    let versions = output.between("(from versions: ", ")").filter(|versions| *versions != "none");
    if versions.is_none() && output.line_with_any(&NETWORK).is_some() {
        let message = format!("pip: the index could not be reached, so `{package}` was not found");
        return Some(Failure::of(Kind::Network, package, message));
    }
    let reason = match versions.and_then(|versions| versions.rsplit(", ").next()) {
        Some(last) => format!("there is no version that fits, the last one is {last}"),
        None if output.contains("that require a different python version") => {
            "every version of it is for another Python".to_owned()
        }
        None => "there is no such package for this Python and system in the configured index".to_owned(),
    };
    Some(Failure::of(Kind::NotFound, package, format!("pip: `{package}` cannot be installed: {reason}")))
}

fn build(output: &Output) -> Option<Failure> {
    let package = output.after("ERROR: Failed building wheel for ").or_else(|| {
        let list = output.after("Could not build wheels for ").or_else(|| output.after("Failed to build "))?;
        list.split([',', ' ']).next()
    });
    let package = match package {
        Some(package) => Some(package.to_owned()),
        None if output.contains("error: subprocess-exited-with-error") => None,
        None => return None,
    };
    let reason = output.lines().map(str::trim).find(|line| line.contains("error: ") && !line.contains("subprocess-"));
    let named = package.as_deref().unwrap_or("one of the packages");
    let message = format!("pip: `{named}` could not be built: {}", reason.unwrap_or("its build failed"));
    Some(Failure::new(Kind::Other, package, message))
}
