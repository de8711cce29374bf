//! RubyGems.

use super::output::{Output, between};
use super::{Failure, Kind};

const NETWORK: [&str; 7] = [
    "Unable to download data from",
    "Gem::RemoteFetcher::FetchError",
    "Errno::ECONNREFUSED",
    "Errno::ECONNRESET",
    "Net::OpenTimeout",
    "SocketError",
    "too many connection resets",
];

const UNSATISFIABLE: [&str; 2] = ["Gem::UnsatisfiableDependencyError", "Gem::DependencyResolutionError"];

pub(super) fn diagnose(output: &Output) -> Option<Failure> {
    not_found(output).or_else(|| installing(output)).or_else(|| {
        if let Some(line) = output.line_with_any(&NETWORK) {
            let message = format!("gem: the source could not be reached: {}", line.trim());
            return Some(Failure::new(Kind::Network, None, message));
        }
        if let Some(line) = output.line_with_any(&UNSATISFIABLE) {
            let reason = output.lines_after(line).find(|line| !line.is_empty()).unwrap_or(line.trim());
            let package = between(reason, "requested '", "'").and_then(|wanted| wanted.split(' ').next());
            return Some(Failure::new(Kind::Conflict, package.map(str::to_owned), format!("gem: {reason}")));
        }
        let line = output.lines().find_map(|line| line.strip_prefix("ERROR:"))?.trim();
        Some(Failure::new(Kind::Other, None, format!("gem: {line}")))
    })
}

fn not_found(output: &Output) -> Option<Failure> {
    let line = output.line_with("Could not find a valid gem '")?;
    let package = between(line, "valid gem '", "'")?;
    let version = between(line, "' (", ")").filter(|version| *version != ">= 0");
    let wanted = version.map_or_else(|| package.to_owned(), |version| format!("{package} {version}"));
    // With a reason after it, nobody has said that the gem is not there.
    if line.contains("here is why") || output.line_with_any(&NETWORK).is_some() {
        let message = format!("gem: the source could not be reached, so `{wanted}` was not found");
        return Some(Failure::of(Kind::Network, package, message));
    }
    let others = output.after("Possible alternatives: ");
    let others = others.map(|others| format!("; there are {others}")).unwrap_or_default();
    Some(Failure::of(Kind::NotFound, package, format!("gem: there is no `{wanted}` in the sources{others}")))
}

fn installing(output: &Output) -> Option<Failure> {
    let package = output.after("Error installing ")?.trim_end_matches(':');
    let reason = output.lines_after("Error installing ").find(|line| !line.is_empty()).unwrap_or("it failed");
    if output.contains("requires Ruby version") || output.contains("to support your Ruby") {
        let message = format!("gem: `{package}` is for another Ruby: {reason}");
        return Some(Failure::of(Kind::Conflict, package, message));
    }
    if output.contains("can't find header files for ruby") {
        let message = format!(
            "gem: `{package}` has to be compiled, and the base has no headers of Ruby: install them on the host \
             (Debian package `ruby-dev`), or take a base image that has them"
        );
        return Some(Failure::of(Kind::Other, package, message));
    }
    let is_conflict = output.contains("conflicts with") || output.contains("Unable to resolve");
    let kind = if is_conflict { Kind::Conflict } else { Kind::Other };
    Some(Failure::of(kind, package, format!("gem: `{package}` could not be installed: {reason}")))
}
