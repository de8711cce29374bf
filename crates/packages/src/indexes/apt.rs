//! apt: its sources, in both of their formats, and the keys that they are signed with.

mod sources;

use std::path::{Component, Path, PathBuf};

use self::sources::Sources;
use super::{Indexes, secrets};
use crate::Host;
use crate::address::is_seen_inside;

const DIRECTORY: &str = "/etc/apt";

/// A host that takes old or misdated indexes does so because its mirror has them.
const FOLLOWED: [&str; 4] =
    ["Acquire::Check-Date", "Acquire::Check-Valid-Until", "Acquire::Languages", "Acquire::Max-ValidTime"];

pub(super) fn find(host: &Host, found: &mut Indexes) {
    let directory = Path::new(DIRECTORY);
    let mut files = vec![directory.join("sources.list")];
    files.extend(host.list(&directory.join("sources.list.d")));
    let has_kind = |path: &Path, kind: &str| path.extension().is_some_and(|extension| extension == kind);
    for path in files {
        let Some(text) = host.read(&path) else { continue };
        let mut sources = Sources::new(host, found, &path);
        let kept = if has_kind(&path, "list") {
            sources.lines(&text)
        } else if has_kind(&path, "sources") {
            sources.stanzas(&text)
        } else {
            continue;
        };
        if !kept.trim().is_empty() {
            found.file(path, kept);
        }
    }
    keys(host, found);
    configuration(host, found);
    for name in ["auth.conf", "auth.conf.d"] {
        let path = directory.join(name);
        if host.exists(&path) && (name == "auth.conf" || !host.list(&path).is_empty()) {
            found.withhold(&path.display().to_string());
        }
    }
}

/// Those that hold for every source. Sources that name theirs have told already.
fn keys(host: &Host, found: &mut Indexes) {
    let directory = Path::new(DIRECTORY);
    let mut paths = vec![directory.join("trusted.gpg")];
    paths.extend(host.list(&directory.join("trusted.gpg.d")));
    for path in paths {
        key(host, found, path);
    }
}

/// Only what is called a key is taken, and only where public keys are.
fn key(host: &Host, found: &mut Indexes, path: PathBuf) {
    let is_key = path.extension().is_some_and(|extension| extension == "gpg" || extension == "asc");
    let is_public = path.starts_with(DIRECTORY) && !path.components().any(|part| part == Component::ParentDir);
    if is_seen_inside(&path) || !host.exists(&path) {
        return;
    }
    if is_key && is_public {
        if !found.settings.keys.contains(&path) {
            found.settings.keys.push(path);
        }
    } else {
        found.note(format!("apt: the key {} is left out, for sandboxes do not see it", path.display()));
    }
}

/// Each line of the dump is a name, and a value in quotation marks before a semicolon.
fn configuration(host: &Host, found: &mut Indexes) {
    let Some(dump) = host.run("apt-config", &["dump"]) else { return };
    let mut kept = String::new();
    for line in dump.lines() {
        let Some((name, value)) = line.split_once(' ') else { continue };
        let value = value.trim().trim_end_matches(';').trim_matches('"');
        let plain = name.trim_end_matches("::");
        if FOLLOWED.contains(&plain) && !value.is_empty() && !value.contains(['"', '\\']) {
            kept.push_str(&format!("{name} \"{value}\";\n"));
        }
        let has_proxy = plain.split("::").any(|part| part.eq_ignore_ascii_case("proxy"));
        let is_proxy = has_proxy && plain.starts_with("Acquire::");
        if is_proxy && !value.is_empty() && value != "DIRECT" && value != "false" {
            secrets::proxy(found, value, plain);
        }
    }
    if !kept.is_empty() {
        found.file(Path::new(DIRECTORY).join("apt.conf.d/91host"), kept);
    }
}
