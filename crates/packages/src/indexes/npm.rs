//! npm: `npmrc` files, variables, and its own answer.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::{Indexes, certificates, secrets};
use crate::Host;
use crate::ini;

const FILE: &str = "/etc/npmrc";

const NAME: &str = "registry";

const SECRETS: [&str; 7] = ["auth", "authtoken", "certfile", "key", "keyfile", "otp", "password"];

pub(super) fn find(host: &Host, found: &mut Indexes) {
    // By name: the value, and the file or variable that it stands in. Later ones win.
    let mut options: BTreeMap<String, (String, String)> = BTreeMap::new();
    for path in files(host) {
        let origin = path.display().to_string();
        let text = host.read(&path).unwrap_or_default();
        // Here, white space before a name means nothing.
        let text = text.lines().map(str::trim_start).collect::<Vec<_>>().join("\n");
        for entry in ini::parse(&text, &['=']) {
            if is_secret(&entry.name) {
                found.withhold(&origin);
            }
            let value = expand(host, entry.value.trim_matches(['"', '\'']));
            options.insert(entry.name, (value, origin.clone()));
        }
    }
    for (name, value) in &host.environment {
        let Some(option) = name.to_ascii_lowercase().strip_prefix("npm_config_").map(str::to_owned) else { continue };
        let option = if option.starts_with('@') { option } else { option.replace('_', "-") };
        if is_secret(&option) {
            found.withhold(name);
        } else if !value.is_empty() {
            options.insert(option, (value.clone(), name.clone()));
        }
    }
    // Its own word on the index counts, for it knows its built-in one and every other place.
    let answer = host.run("npm", &["config", "get", NAME]);
    if let Some(answer) = answer.as_deref().map(str::trim).filter(|answer| answer.contains("://")) {
        let origin = options.get(NAME).map_or_else(|| "npm".to_owned(), |(_, origin)| origin.clone());
        // It hides passwords in its answer; that there is one still has to be told.
        if let Some((configured, _)) = options.get(NAME).cloned() {
            found.open(&configured, &origin);
        }
        options.insert(NAME.to_owned(), (answer.to_owned(), origin));
    }
    if !options.contains_key(NAME) {
        found.note("npm: its own index is not known, for the host has no npm to ask");
    }
    for name in ["https-proxy", "proxy"] {
        if let Some((address, origin)) = options.get(name).filter(|(address, _)| address.contains('.')) {
            secrets::proxy(found, address, origin);
        }
    }
    // Commands go to where they are found, and packages to where `NODE_PATH` leads.
    let mut text = "prefix=/usr/local\nupdate-notifier=false\nfund=false\n".to_owned();
    for (name, (value, origin)) in &options {
        let value = if name == NAME || (name.starts_with('@') && name.ends_with(":registry")) {
            found.open(value, origin)
        } else if name == "cafile" {
            certificates::bundle(host, found, Path::new(value), origin)
        } else {
            None
        };
        if let Some(value) = value {
            text.push_str(&format!("{name}={value}\n"));
        }
    }
    found.file(FILE, text);
    found.set("NPM_CONFIG_GLOBALCONFIG", FILE);
    found.set("NODE_PATH", "/usr/local/lib/node_modules");
}

fn files(host: &Host) -> Vec<PathBuf> {
    let variable = |name: &str| host.variable(name).or_else(|| host.variable(&name.to_ascii_lowercase()));
    let mut files = vec![PathBuf::from(FILE)];
    let global = variable("NPM_CONFIG_GLOBALCONFIG").map(str::to_owned);
    let global = global.or_else(|| host.run("npm", &["config", "get", "globalconfig"]));
    files.extend(global.map(|path| PathBuf::from(path.trim())).filter(|path| path.is_absolute()));
    files.push(variable("NPM_CONFIG_USERCONFIG").map_or_else(|| host.home().join(".npmrc"), PathBuf::from));
    files.dedup();
    files
}

/// As `//registry.example.com/:_authToken`, or without an address before it.
fn is_secret(name: &str) -> bool {
    let option = name.rsplit(':').next().unwrap_or(name).trim_start_matches(['_', '-']).to_ascii_lowercase();
    SECRETS.contains(&option.as_str())
}

/// `${NAME}` stands for a variable. One that is not set stays as it is, and makes the address unclear.
fn expand(host: &Host, text: &str) -> String {
    let mut expanded = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        let Some((name, after)) = after.split_once('}') else { break };
        expanded.push_str(before);
        match host.variable(name) {
            Some(value) => expanded.push_str(value),
            None => expanded.push_str(&format!("${{{name}}}")),
        }
        rest = after;
    }
    expanded.push_str(rest);
    expanded
}
