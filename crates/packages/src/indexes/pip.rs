//! pip: its files and variables, and the index that is built into it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::{Indexes, certificates, secrets};
use crate::Host;
use crate::ini::{self, Entry};

const FILE: &str = "/etc/pip.conf";

/// Where Python is installed, then what pip has for those who configure nothing.
const BUILT_IN: &str = "import sys
print(sys.prefix)
from pip._internal.models.index import PyPI
print(PyPI.simple_url)
print(PyPI.file_storage_domain)";

/// Only these are taken over: the rest is about the host's own directories and habits.
const PLAIN: [&str; 6] = ["no-index", "pre", "prefer-binary", "retries", "timeout", "trusted-host"];
const INDEXES: [&str; 3] = ["extra-index-url", "find-links", "index-url"];

/// By name: the value, and the file or variable that it stands in.
type Options = BTreeMap<String, (String, String)>;

pub(super) fn find(host: &Host, found: &mut Indexes) {
    let answer = ["/usr/bin/python3", "python3"].iter().find_map(|python| {
        let answer = host.run(python, &["-c", BUILT_IN])?;
        let lines: Vec<String> = answer.lines().map(|line| line.trim().to_owned()).collect();
        (lines.len() == 3).then_some(lines)
    });
    let prefix = answer.as_ref().and_then(|lines| lines.first()).map(PathBuf::from);
    let options = options(host, prefix.as_deref());
    let text = |name: &str| options.get(name).map(|(value, _)| value.as_str());
    let is_without = text("no-index").is_some_and(|value| ["1", "true", "yes", "on"].contains(&value));
    if text("index-url").is_none() && !is_without {
        match answer.as_deref() {
            Some([_, index, files]) => {
                found.open(index, "pip");
                found.open(&format!("https://{files}"), "pip");
            }
            _ => found.note("pip: its own index is not known, for the host's python3 has no pip to ask"),
        }
    }
    let written = write(host, found, &options);
    found.file(FILE, written);
    if let Some((_, origin)) = options.get("client-cert") {
        found.withhold(origin);
    }
    if let Some((address, origin)) = options.get("proxy") {
        secrets::proxy(found, address, origin);
    }
}

fn write(host: &Host, found: &mut Indexes, options: &Options) -> String {
    // The system's Python is the one that agents run. Its packages are no distribution's to guard in a sandbox, which
    // is thrown away.
    let mut text = "[global]\nbreak-system-packages = true\nroot-user-action = ignore\n\
                    disable-pip-version-check = true\n"
        .to_owned();
    for (name, (value, origin)) in options {
        let values: Vec<String> = if INDEXES.contains(&name.as_str()) {
            value.split_whitespace().filter_map(|address| found.open(address, origin)).collect()
        } else if PLAIN.contains(&name.as_str()) {
            value.split_whitespace().map(str::to_owned).collect()
        } else if name == "cert" {
            certificates::bundle(host, found, Path::new(value), origin).into_iter().collect()
        } else {
            continue;
        };
        match values.as_slice() {
            [] => {}
            [one] => text.push_str(&format!("{name} = {one}\n")),
            more => text.push_str(&format!("{name} =\n    {}\n", more.join("\n    "))),
        }
    }
    text
}

/// Later ones win, in pip's own order: what is for all commands, from every file, then what is for `install`, then the
/// environment.
fn options(host: &Host, prefix: Option<&Path>) -> Options {
    let mut all = Options::new();
    let mut install = Options::new();
    for path in files(host, prefix) {
        let origin = path.display().to_string();
        for Entry { section, name, value } in ini::parse(&host.read(&path).unwrap_or_default(), &['=', ':']) {
            let place = match section.as_str() {
                "global" => &mut all,
                "install" => &mut install,
                _ => continue,
            };
            place.insert(normal(&name), (value, origin.clone()));
        }
    }
    all.append(&mut install);
    for (name, value) in &host.environment {
        if let Some(option) = name.strip_prefix("PIP_").map(normal)
            && !value.is_empty()
        {
            all.insert(option, (value.clone(), name.clone()));
        }
    }
    all
}

/// As pip reads names, and with one name for what it has two for.
fn normal(name: &str) -> String {
    let name = name.to_ascii_lowercase().replace('_', "-");
    match name.trim_start_matches("--") {
        "default-timeout" => "timeout".to_owned(),
        "pypi-url" => "index-url".to_owned(),
        other => other.to_owned(),
    }
}

fn files(host: &Host, prefix: Option<&Path>) -> Vec<PathBuf> {
    let own = host.variable("PIP_CONFIG_FILE");
    // pip's way to have no files at all.
    if own == Some("/dev/null") {
        return Vec::new();
    }
    let shared = host.variable("XDG_CONFIG_DIRS").unwrap_or("/etc/xdg");
    let shared = shared.split(':').map(|directory| Path::new(directory).join("pip/pip.conf"));
    let mut files: Vec<PathBuf> = shared.collect();
    files.push(FILE.into());
    files.push(host.home().join(".pip/pip.conf"));
    files.push(host.config().join("pip/pip.conf"));
    files.extend(prefix.map(|prefix| prefix.join("pip.conf")));
    files.extend(own.map(PathBuf::from));
    files
}
