//! npm.

use super::output::{Output, between};
use super::{Failure, Kind};

const NETWORK: [&str; 13] = [
    "ECONNREFUSED",
    "ECONNRESET",
    "EAI_AGAIN",
    "ENOTFOUND",
    "ETIMEDOUT",
    "EHOSTUNREACH",
    "ENETUNREACH",
    "ERR_SOCKET_TIMEOUT",
    "FETCH_ERROR",
    "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
    "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
    "SELF_SIGNED_CERT_IN_CHAIN",
    "CERT_HAS_EXPIRED",
];

pub(super) fn diagnose(output: &Output) -> Option<Failure> {
    // Before version 10 it says `npm ERR!`.
    let said: Vec<&str> =
        output.lines().filter_map(|line| said(line, "error").or_else(|| said(line, "ERR!"))).collect();
    let find = |before: &str, after: &str| said.iter().find_map(|line| between(line, before, after));
    let code = said.iter().find_map(|line| line.strip_prefix("code "))?.trim();
    let is_detail = |line: &str| ["code ", "errno ", "syscall "].iter().any(|word| line.starts_with(*word));
    let first = said.iter().find(|line| !line.is_empty() && !is_detail(line)).copied().unwrap_or(code);
    Some(match code {
        "E404" => {
            let package = find("The requested resource '", "'").or_else(|| find("'", "'"));
            let package = package.map(|package| package.trim_end_matches("@*").to_owned());
            let named = package.as_deref().unwrap_or("one of the packages");
            let message = format!("npm: there is no `{named}` in the configured registry");
            Failure::new(Kind::NotFound, package.clone(), message)
        }
        "ETARGET" => {
            let found = said.iter().find_map(|line| line.split_once("No matching version found for "));
            let package = found.map(|(_, rest)| rest.trim_end().trim_end_matches('.').trim_end_matches(" with a date"));
            let named = package.unwrap_or("one of the packages");
            Failure::new(
                Kind::NotFound,
                package.map(str::to_owned),
                format!("npm: there is no such version of the package: `{named}`"),
            )
        }
        "ERESOLVE" => {
            let package = said.iter().find_map(|line| line.strip_prefix("While resolving: ")).map(str::to_owned);
            let mut after = said.iter().skip_while(|line| !line.starts_with("Could not resolve dependency:")).skip(1);
            let wanted = after.next().map_or("", |line| line.trim());
            let named = package.as_deref().unwrap_or("the packages");
            let message = format!("npm: what `{named}` needs cannot be had together: {wanted}");
            Failure::new(Kind::Conflict, package.clone(), message)
        }
        "EBADENGINE" | "EBADPLATFORM" | "ENOTSUP" => {
            let package = said.iter().find_map(|line| {
                let signs = ["version of node/npm: ", "Unsupported platform for "];
                let (_, rest) = signs.iter().find_map(|sign| line.split_once(*sign))?;
                rest.split([' ', ':']).next().map(str::to_owned)
            });
            Failure::new(Kind::Conflict, package, format!("npm: {first}"))
        }
        "EINVALIDPACKAGENAME" => {
            let package = find("Invalid package name \"", "\"").map(str::to_owned);
            Failure::new(Kind::NotFound, package, format!("npm: {first}"))
        }
        code if NETWORK.contains(&code) || is_server_error(code) => {
            Failure::new(Kind::Network, None, format!("npm: the registry could not be reached ({code}): {first}"))
        }
        _ => Failure::new(Kind::Other, None, format!("npm: {first}")),
    })
}

/// What npm says after its own name, without the code that it repeats before many lines.
fn said<'a>(line: &'a str, word: &str) -> Option<&'a str> {
    let rest = line.strip_prefix("npm ")?.strip_prefix(word)?.trim_start();
    ["notarget ", "network ", "notsup "].iter().find_map(|word| rest.strip_prefix(*word)).or(Some(rest))
}

fn is_server_error(code: &str) -> bool {
    code.strip_prefix("E5").is_some_and(|rest| rest.len() == 2) || code == "E429"
}
