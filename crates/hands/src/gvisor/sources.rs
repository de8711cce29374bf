//! Where this machine gets its packages from, and so which command gets it a gVisor.
//!
//! Debian has a gVisor that is new enough only among its backports. Those lie on the same host as the release itself,
//! which is named nowhere but in the machine's own configuration.

use std::{fs, path::Path};

const APT: &str = "/etc/apt";

/// Suites that are never older than their backports would be, and have none.
const WITHOUT: [&str; 5] = ["sid", "unstable", "testing", "experimental", "rc-buggy"];

const BACKPORTS: &str = "-backports";

/// The command that installs gVisor here. None where this machine does not get its packages from a Debian.
pub(super) fn fix() -> Option<String> {
    command(&text(Path::new(APT)))
}

/// The suite of backports for the Debian that these sources are of: the text of `/etc/apt/sources.list` and of the
/// files in `/etc/apt/sources.list.d`, in either format.
#[must_use]
pub fn suite_from_sources(text: &str) -> Option<String> {
    release(text).map(|source| backports(&source.suite))
}

fn command(text: &str) -> Option<String> {
    let source = release(text)?;
    let suite = backports(&source.suite);
    let install = format!("apt-get update && apt-get install -t {suite} runsc");
    if sources(text).any(|other| other.suite == suite && other.place == source.place) {
        return Some(install);
    }
    let signed = source.signed_by.map(|key| format!("[signed-by={key}] ")).unwrap_or_default();
    let line = format!("deb {signed}{} {suite} main", source.place);
    Some(format!("echo '{line}' > {APT}/sources.list.d/backports.list && {install}"))
}

fn backports(suite: &str) -> String {
    format!("{suite}{BACKPORTS}")
}

/// The release itself, not its updates, of an archive that is Debian's by the name of its directory.
fn release(text: &str) -> Option<Source> {
    sources(text).find(|source| {
        let plain = source.suite.chars().all(|letter| letter.is_ascii_alphanumeric());
        let debian = source.place.trim_end_matches('/').rsplit('/').next() == Some("debian");
        plain && debian && !WITHOUT.contains(&source.suite.as_str())
    })
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Source {
    place: String,
    suite: String,
    /// The file with the key that its packages are signed with.
    signed_by: Option<String>,
}

/// Every suite at every place that is enabled.
fn sources(text: &str) -> impl Iterator<Item = Source> {
    let lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
    let mut paragraphs = vec![Vec::new()];
    for line in lines {
        match paragraphs.last_mut() {
            Some(paragraph) if !line.trim().is_empty() => paragraph.push(line),
            _ => paragraphs.push(Vec::new()),
        }
    }
    paragraphs.into_iter().flat_map(|paragraph| {
        let mut found: Vec<_> = paragraph.iter().filter_map(|line| one_line(line)).collect();
        found.extend(fields(&paragraph));
        found
    })
}

/// `deb [option=value …] place suite component …`
fn one_line(line: &str) -> Option<Source> {
    let rest = line.trim().strip_prefix("deb")?.strip_prefix([' ', '\t'])?.trim_start();
    let (options, rest) = match rest.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?,
        None => ("", rest),
    };
    let mut words = rest.split_ascii_whitespace();
    let (place, suite) = (words.next()?.to_owned(), words.next()?.to_owned());
    let signed_by = options.split_ascii_whitespace().find_map(|option| option.strip_prefix("signed-by="));
    Some(Source { place, suite, signed_by: signed_by.and_then(file) })
}

/// A paragraph of `Name: value` fields, where a line that begins with a space continues the one before.
fn fields(paragraph: &[&str]) -> Vec<Source> {
    let value = |name: &str| {
        let mut lines = paragraph.iter().skip_while(|line| strip(line, name).is_none());
        let first = lines.next().and_then(|line| strip(line, name))?;
        let more = lines.take_while(|line| line.starts_with([' ', '\t']));
        Some(more.fold(first.to_owned(), |value, line| value + " " + line.trim()))
    };
    let words = |name: &str| {
        let value = value(name).unwrap_or_default();
        value.split_ascii_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    let enabled = value("Enabled").is_none_or(|enabled| !enabled.trim().eq_ignore_ascii_case("no"));
    if !enabled || !words("Types").iter().any(|kind| kind == "deb") {
        return Vec::new();
    }
    let signed_by = value("Signed-By").as_deref().and_then(file);
    let suites = words("Suites");
    let at = |place: String| suites.iter().map(move |suite| (place.clone(), suite.clone()));
    let found = words("URIs").into_iter().flat_map(at);
    found.map(|(place, suite)| Source { place, suite, signed_by: signed_by.clone() }).collect()
}

fn strip<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let (found, value) = line.split_once(':')?;
    found.eq_ignore_ascii_case(name).then(|| value.trim())
}

/// A key may also stand there itself; such a one cannot be named on a line.
fn file(key: &str) -> Option<String> {
    let key = key.trim();
    (key.starts_with('/') && !key.contains([' ', ','])).then(|| key.to_owned())
}

/// All of apt's sources, each file after an empty line.
fn text(apt: &Path) -> String {
    let parts = fs::read_dir(apt.join("sources.list.d")).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut files: Vec<_> = parts
        .filter(|path| path.extension().is_some_and(|kind| kind == "list" || kind == "sources"))
        .chain([apt.join("sources.list")])
        .collect();
    files.sort();
    files.iter().filter_map(|path| fs::read_to_string(path).ok()).fold(String::new(), |all, text| all + &text + "\n\n")
}

#[cfg(test)]
mod tests;
