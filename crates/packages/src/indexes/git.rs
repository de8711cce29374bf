//! Git: the addresses that it fetches from in the stead of others.

use std::collections::BTreeMap;

use super::{Indexes, secrets};
use crate::Host;
use crate::address::Address;

const FILE: &str = "/etc/gitconfig";

pub(super) fn find(host: &Host, found: &mut Indexes) {
    // Each entry is its file, a zero, its name, a line end, its value, and a zero.
    let Some(answer) = host.run("git", &["config", "--list", "--show-origin", "-z"]) else { return };
    let mut parts = answer.split('\0');
    // By the address that is used, those that it stands for.
    let mut instead: BTreeMap<String, Vec<String>> = BTreeMap::new();
    while let (Some(origin), Some(entry)) = (parts.next(), parts.next()) {
        let origin = origin.strip_prefix("file:").unwrap_or(origin);
        let (name, value) = entry.split_once('\n').unwrap_or((entry, ""));
        let lower = name.to_ascii_lowercase();
        if lower.ends_with(".extraheader") || lower.ends_with(".sslkey") {
            found.withhold(origin);
        } else if lower.starts_with("http.") && lower.ends_with(".proxy") && !value.is_empty() {
            secrets::proxy(found, value, origin);
        } else if lower.starts_with("url.") && lower.ends_with(".insteadof") {
            let base = name.get("url.".len()..name.len() - ".insteadof".len()).unwrap_or_default();
            if let Some(base) = found.open(base, origin)
                && let Some(value) = stood_for(found, value, origin)
            {
                instead.entry(base).or_default().push(value);
            }
        }
    }
    let mut text = String::new();
    for (base, values) in instead {
        text.push_str(&format!("[url {}]\n", quoted(&base)));
        for value in values {
            text.push_str(&format!("\tinsteadOf = {}\n", quoted(&value)));
        }
    }
    if !text.is_empty() {
        found.file(FILE, text);
    }
}

/// Not reached any more, so its host stays closed. It may be a part of an address, or a word.
fn stood_for(found: &mut Indexes, value: &str, origin: &str) -> Option<String> {
    match Address::parse(value) {
        Address::Remote(remote) if !remote.had_secret => Some(value.to_owned()),
        Address::Local(_) => Some(value.to_owned()),
        Address::Unclear if !value.trim_end_matches('@').contains('@') => Some(value.to_owned()),
        _ => {
            found.withhold(origin);
            None
        }
    }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', ""))
}
