//! Go: what `go env` says.

use std::collections::BTreeMap;

use super::Indexes;
use crate::Host;
use crate::address::Address;

const NAMES: [&str; 8] =
    ["GOPROXY", "GOSUMDB", "GONOSUMDB", "GOPRIVATE", "GONOPROXY", "GOINSECURE", "GOVCS", "GOFLAGS"];

/// Of the flags, those that have to do with fetching. Others name directories of the host, or how it likes to build.
const FLAGS: [&str; 4] = ["-mod=", "-modcacherw", "-insecure", "-buildvcs="];

pub(super) fn find(host: &Host, found: &mut Indexes) {
    let values = values(host);
    if values.is_empty() {
        found.note("go: where modules come from is not known, for the host has no go to ask");
    }
    for name in NAMES {
        let Some(value) = values.get(name).filter(|value| !value.is_empty()) else { continue };
        let value = match name {
            "GOPROXY" => proxies(found, value),
            "GOSUMDB" => database(found, value),
            "GOFLAGS" => {
                let kept: Vec<&str> =
                    value.split_whitespace().filter(|flag| FLAGS.iter().any(|kind| flag.starts_with(kind))).collect();
                kept.join(" ")
            }
            _ => {
                patterns(found, name, value);
                value.clone()
            }
        };
        if !value.is_empty() {
            found.set(name, value);
        }
    }
}

/// Without a `go` to ask, the variables and the file that it would have read.
fn values(host: &Host) -> BTreeMap<String, String> {
    let mut arguments = vec!["env", "-json"];
    arguments.extend(NAMES);
    if let Some(answer) = ["go", "/usr/local/go/bin/go"].iter().find_map(|program| host.run(program, &arguments))
        && let Ok(values) = serde_json::from_str(&answer)
    {
        return values;
    }
    let file = host.variable("GOENV").map_or_else(|| host.config().join("go/env"), Into::into);
    let text = host.read(&file).unwrap_or_default();
    let lines = text.lines().filter_map(|line| line.trim().split_once('='));
    let mut values: BTreeMap<_, _> = lines.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    for name in NAMES {
        if let Some(value) = host.variable(name) {
            values.insert(name.to_owned(), value.to_owned());
        }
    }
    values.retain(|name, _| NAMES.contains(&name.as_str()));
    values
}

/// The separators have meanings of their own, and stay.
fn proxies(found: &mut Indexes, value: &str) -> String {
    let mut kept = String::new();
    for part in value.split_inclusive([',', '|']) {
        let address = part.trim_end_matches([',', '|']);
        let separator = part.get(address.len()..).unwrap_or_default();
        let address = match address.trim() {
            "" => continue,
            word @ ("direct" | "off") => Some(word.to_owned()),
            address => found.open(address, "GOPROXY"),
        };
        if let Some(address) = address {
            kept.push_str(&address);
            kept.push_str(separator);
        }
    }
    if kept == "direct" {
        found.note("GOPROXY: every module comes from a host of its own, and none of these is known beforehand");
    }
    kept.trim_end_matches([',', '|']).to_owned()
}

/// A name, which is a host too, perhaps with its key; and perhaps an address in its stead.
fn database(found: &mut Indexes, value: &str) -> String {
    let mut words = value.split_whitespace();
    let Some(name) = words.next().filter(|name| *name != "off") else { return value.to_owned() };
    let kept = match words.next() {
        Some(address) => found.open(address, "GOSUMDB").map(|address| format!("{name} {address}")),
        None => {
            let host = name.split('+').next().unwrap_or(name);
            found.open(&format!("https://{host}"), "GOSUMDB").map(|_| name.to_owned())
        }
    };
    kept.unwrap_or_default()
}

/// Of modules that are not asked for at the proxy: the first part of each is a host.
fn patterns(found: &mut Indexes, name: &str, value: &str) {
    if !["GOPRIVATE", "GONOPROXY"].contains(&name) {
        return;
    }
    for pattern in value.split(',').map(str::trim).filter(|pattern| !pattern.is_empty() && *pattern != "none") {
        let first = pattern.split('/').next().unwrap_or(pattern);
        match Address::parse(&format!("https://{first}")) {
            Address::Remote(remote) => {
                found.hosts.insert(remote.host);
            }
            _ => found.note(format!("{name}: the hosts that {pattern} stands for are not known beforehand")),
        }
    }
}
