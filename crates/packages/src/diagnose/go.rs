//! Go.

use super::output::Output;
use super::{Failure, Kind};

const NETWORK: [&str; 8] = [
    "dial tcp",
    "i/o timeout",
    "connection refused",
    "connection reset by peer",
    "no such host",
    "TLS handshake timeout",
    "x509: ",
    "unexpected EOF",
];

const SERVER: [&str; 5] = ["429 Too Many", "500 Internal", "502 Bad Gateway", "503 Service", "504 Gateway"];

const NOT_FOUND: [&str; 13] = [
    "404 Not Found",
    "410 Gone",
    "403 Forbidden",
    "no matching versions for query",
    "unknown revision",
    "but does not contain package",
    "unrecognized import path",
    "malformed module path",
    "invalid version",
    "cannot find module providing package",
    "no secure protocol found for repository",
    "could not read Username",
    "epository not found",
];

const CONFLICT: [&str; 4] =
    ["requires go >=", "version constraints conflict", "contains replace directives", "contains exclude directives"];

pub(super) fn diagnose(output: &Output) -> Option<Failure> {
    if let Some(package) = output.between("package ", " is not a main package") {
        let message = format!("go: `{package}` is a library: it has no program to install");
        return Some(Failure::of(Kind::Other, package, message));
    }
    let (line, rest) = output.lines().find_map(|line| {
        let rest = line.strip_prefix("go: ").or_else(|| line.strip_prefix("go install "))?;
        (!rest.starts_with("downloading ") && !rest.starts_with("finding ")).then_some((line, rest))
    })?;
    let has = |signs: &[&str]| signs.iter().any(|sign| line.contains(sign)) || output.line_with_any(signs).is_some();
    // The name that was asked for stands before the first colon that a space follows.
    let package = rest.split_once(": ").map(|(name, _)| name).filter(|name| !name.contains(' '));
    let named = package.unwrap_or("a module");
    let reason = rest.split_once(": ").map_or(rest, |(_, reason)| reason);
    let (kind, message) = if has(&CONFLICT) {
        (Kind::Conflict, format!("go: `{named}` cannot be built here: {reason}"))
    } else if has(&NETWORK) || has(&SERVER) {
        (Kind::Network, format!("go: the proxy or the host of `{named}` could not be reached: {reason}"))
    } else if has(&NOT_FOUND) {
        (Kind::NotFound, format!("go: there is no `{named}`: {reason}"))
    } else {
        (Kind::Other, format!("go: {rest}"))
    };
    Some(Failure::new(kind, package.map(str::to_owned), message))
}
