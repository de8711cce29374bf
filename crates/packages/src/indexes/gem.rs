//! RubyGems: its sources, as it says them or as its files do.

use std::net::IpAddr;
use std::path::PathBuf;

use super::Indexes;
use crate::Host;
use crate::address::Address;

const FILE: &str = "/etc/gemrc";

pub(super) fn find(host: &Host, found: &mut Indexes) {
    let mut sources = configured(host);
    // It may hide passwords in its answer, so the files come first: they tell where a secret is.
    let answer = host.run("gem", &["sources", "--list"]);
    let listed = answer.iter().flat_map(|answer| answer.lines()).map(str::trim).filter(|line| line.contains("://"));
    let listed: Vec<_> = listed.map(|line| (line.to_owned(), "gem".to_owned())).collect();
    if listed.is_empty() && sources.is_empty() {
        found.note("gem: its sources are not known, for the host has no gem to ask");
        return;
    }
    sources.extend(listed);
    let mut kept: Vec<String> = Vec::new();
    for (source, origin) in sources {
        let Some(source) = found.open(&source, &origin) else { continue };
        index(found, &source);
        let known = |kept: &String| kept.trim_end_matches('/') == source.trim_end_matches('/');
        if !kept.iter().any(known) {
            kept.push(source);
        }
    }
    let mut text = "---\n:sources:\n".to_owned();
    for source in &kept {
        text.push_str(&format!("- {source}\n"));
    }
    if kept.is_empty() {
        text = "---\n".to_owned();
    }
    text.push_str("gem: --no-document\n");
    found.file(FILE, text);
    // Where Ruby was built for another prefix, it looks for the file elsewhere.
    found.set("GEMRC", FILE);
}

/// For a source at the top of a site, RubyGems reads the index at the name `index` below it, if there is one.
fn index(found: &mut Indexes, source: &str) {
    if let Address::Remote(remote) = Address::parse(source)
        && remote.host.split('.').count() == 2
        && remote.host.parse::<IpAddr>().is_err()
    {
        found.hosts.insert(format!("index.{}", remote.host));
    }
}

/// The list below `:sources:`. Nothing else of these files is needed, so this is no reader of YAML.
fn configured(host: &Host) -> Vec<(String, String)> {
    let mut files = vec![PathBuf::from(FILE), host.home().join(".gemrc"), host.config().join("gem/gemrc")];
    files.extend(host.variable("GEMRC").into_iter().flat_map(|list| list.split([':', ';'])).map(PathBuf::from));
    let mut sources = Vec::new();
    for path in files {
        let mut is_list = false;
        for line in host.read(&path).unwrap_or_default().lines() {
            match line.trim().strip_prefix("- ") {
                Some(source) if is_list => {
                    let source = source.trim().trim_matches(['"', '\'']).to_owned();
                    sources.push((source, path.display().to_string()));
                }
                Some(_) => {}
                None => is_list = line.trim().trim_start_matches(':').trim_end() == "sources:",
            }
        }
    }
    sources
}
