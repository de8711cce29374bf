//! One file of sources: read line by line, and written again without what cannot be used inside.

use std::path::{Path, PathBuf};

use super::super::Indexes;
use super::key;
use crate::Host;
use crate::address::is_seen_inside;

pub(super) struct Sources<'a> {
    host: &'a Host,
    found: &'a mut Indexes,
    origin: String,
}

impl<'a> Sources<'a> {
    pub(super) fn new(host: &'a Host, found: &'a mut Indexes, path: &Path) -> Self {
        Self { host, found, origin: path.display().to_string() }
    }

    /// `deb [options] address suite components…`, one on a line.
    pub(super) fn lines(&mut self, text: &str) -> String {
        let mut kept = String::new();
        for line in text.lines() {
            let line = line.split('#').next().unwrap_or_default().trim();
            let Some((kind, rest)) = line.split_once(char::is_whitespace) else { continue };
            if kind != "deb" && kind != "deb-src" {
                continue;
            }
            let (options, rest) = match rest.trim_start().strip_prefix('[').and_then(|rest| rest.split_once(']')) {
                Some((options, rest)) => (Some(options.trim()), rest.trim_start()),
                None => (None, rest.trim_start()),
            };
            let Some((address, suite)) = rest.split_once(char::is_whitespace) else { continue };
            let Some(address) = self.address(address) else { continue };
            self.signed_by(options.unwrap_or_default().split_whitespace().filter_map(|option| {
                let (name, value) = option.split_once('=')?;
                name.eq_ignore_ascii_case("signed-by").then_some(value)
            }));
            let options = options.map(|options| format!("[{options}] ")).unwrap_or_default();
            kept.push_str(&format!("{kind} {options}{address} {}\n", suite.trim()));
        }
        kept
    }

    /// Fields with a colon, whose values go on in lines that begin with white space; an empty line between two sources.
    pub(super) fn stanzas(&mut self, text: &str) -> String {
        let mut kept = String::new();
        let mut stanza: Vec<(String, String)> = Vec::new();
        // One more line, so that the last stanza ends too.
        for line in text.lines().filter(|line| !line.starts_with('#')).chain([""]) {
            if line.trim().is_empty() {
                kept.push_str(&self.stanza(&stanza).unwrap_or_default());
                stanza.clear();
            } else if line.starts_with([' ', '\t']) {
                if let Some((_, value)) = stanza.last_mut() {
                    value.push('\n');
                    value.push_str(line);
                }
            } else if let Some((name, value)) = line.split_once(':') {
                stanza.push((name.trim().to_owned(), value.trim().to_owned()));
            }
        }
        kept
    }

    fn stanza(&mut self, fields: &[(String, String)]) -> Option<String> {
        let is_off = |(name, value): &(String, String)| {
            name.eq_ignore_ascii_case("enabled") && ["no", "false", "0", "off"].contains(&value.as_str())
        };
        if fields.iter().any(is_off) {
            return None;
        }
        let mut text = String::new();
        let mut has_address = false;
        for (name, value) in fields {
            let value = if name.eq_ignore_ascii_case("uris") {
                let kept: Vec<String> = value.split_whitespace().filter_map(|address| self.address(address)).collect();
                has_address = !kept.is_empty();
                kept.join(" ")
            } else {
                // Otherwise it is the key itself.
                if name.eq_ignore_ascii_case("signed-by") && value.starts_with('/') {
                    self.signed_by(value.split_whitespace());
                }
                value.clone()
            };
            text.push_str(&format!("{name}: {value}\n"));
        }
        has_address.then(|| text + "\n")
    }

    fn signed_by<'b>(&mut self, values: impl Iterator<Item = &'b str>) {
        for path in values.flat_map(|value| value.split(',')).filter(|value| value.starts_with('/')) {
            key(self.host, self.found, PathBuf::from(path));
        }
    }

    fn address(&mut self, address: &str) -> Option<String> {
        // A list of mirrors is a file of the host.
        if let Some(path) = address.strip_prefix("mirror+file:") {
            let path = PathBuf::from(path.strip_prefix("//").unwrap_or(path));
            return self.mirrors(&path).then(|| address.to_owned());
        }
        if address.starts_with("cdrom:") {
            return None;
        }
        let address = address.strip_prefix("copy:").map_or_else(|| address.to_owned(), |path| format!("file:{path}"));
        self.found.open(&address, &self.origin)
    }

    /// Each line is an address, and perhaps what it is good for. True if there is any.
    fn mirrors(&mut self, path: &Path) -> bool {
        let Some(list) = self.host.read(path) else {
            self.found.note(format!("{}: the list of mirrors {} is not there", self.origin, path.display()));
            return false;
        };
        let origin = path.display().to_string();
        let mut kept = String::new();
        for line in list.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let (address, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
            if let Some(address) = self.found.open(address, &origin) {
                kept.push_str(format!("{address}\t{}", rest.trim()).trim_end());
                kept.push('\n');
            }
        }
        let has_any = !kept.is_empty();
        if has_any && !is_seen_inside(path) && !self.found.settings.files.iter().any(|(known, _)| known == path) {
            self.found.file(path, kept);
        }
        has_any
    }
}
