//! Addresses of indexes: which host they lead to, and how they read without the credentials in them.

use std::net::Ipv6Addr;
use std::path::{Component, Path, PathBuf};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Address {
    Remote(Remote),
    Local(PathBuf),
    /// Neither, or written so that one cannot tell where its credentials end: never to be copied.
    Unclear,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Remote {
    /// Without credentials.
    pub(crate) text: String,
    /// In small letters, without a port; an address of version 6 without its brackets.
    pub(crate) host: String,
    pub(crate) had_secret: bool,
}

impl Address {
    pub(crate) fn parse(text: &str) -> Self {
        let text = text.trim();
        if text.starts_with('/') {
            return Self::local(text);
        }
        let Some((scheme, rest)) = text.split_once("://") else {
            return match text.strip_prefix("file:") {
                Some(path) if path.starts_with('/') => Self::local(path),
                _ => scp(text).map_or(Self::Unclear, Self::Remote),
            };
        };
        if scheme.is_empty() || !scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte)) {
            return Self::Unclear;
        }
        if scheme == "file" || scheme.ends_with("+file") {
            return Self::local(rest.strip_prefix("localhost").unwrap_or(rest));
        }
        remote(scheme, rest).map_or(Self::Unclear, Self::Remote)
    }

    fn local(path: &str) -> Self {
        if path.starts_with('/') { Self::Local(PathBuf::from(path)) } else { Self::Unclear }
    }
}

/// Every sandbox has the host's `/usr`; nothing else of the host is at its place there.
pub(crate) fn is_seen_inside(path: &Path) -> bool {
    path.starts_with("/usr") && !path.components().any(|part| part == Component::ParentDir)
}

fn remote(scheme: &str, rest: &str) -> Option<Remote> {
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, tail) = rest.split_at(end);
    let (user, place) = match authority.rsplit_once('@') {
        Some((user, place)) => (Some(user), place),
        None => (None, authority),
    };
    let host = host(place)?;
    // A query is no part of an index's address, but now and then it is a signature.
    let path = tail.split(['?', '#']).next().unwrap_or_default();
    let has_query = tail.contains('?');
    // A password with a slash in it puts its end, and the real host, where the path should be.
    let is_torn = path.split('/').any(|part| part.find('@').is_some_and(|at| at > 0));
    if is_torn || path.chars().any(|character| character.is_whitespace() || character.is_control()) {
        return None;
    }
    // Over SSH the name alone is no secret, and there is no access without it.
    let name = user.and_then(|user| user.split(':').next()).filter(|_| scheme.ends_with("ssh"));
    let had_secret = has_query || user.is_some_and(|user| name != Some(user));
    let text = match name.filter(|name| is_name(name)) {
        Some(name) => format!("{scheme}://{name}@{place}{path}"),
        None => format!("{scheme}://{place}{path}"),
    };
    Some(Remote { text, host, had_secret })
}

/// As Git writes places over SSH: `git@host:path`.
fn scp(text: &str) -> Option<Remote> {
    let (user, rest) = text.split_once('@')?;
    let (place, _) = rest.split_once(':')?;
    let host = host(place)?;
    is_name(user).then(|| Remote { text: text.to_owned(), host, had_secret: false })
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

fn host(place: &str) -> Option<String> {
    let (host, port) = match place.strip_prefix('[') {
        Some(rest) => {
            let (address, after) = rest.split_once(']')?;
            address.parse::<Ipv6Addr>().ok()?;
            (address, after.strip_prefix(':').unwrap_or(after))
        }
        None => {
            let (host, port) = place.split_once(':').unwrap_or((place, ""));
            if !is_name(host) {
                return None;
            }
            (host, port)
        }
    };
    let host = host.trim_end_matches('.');
    (!host.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit())).then(|| host.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(text: &str) -> (String, String, bool) {
        match Address::parse(text) {
            Address::Remote(Remote { text, host, had_secret }) => (text, host, had_secret),
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn a_host_is_found_whatever_is_around_it() {
        for (text, host) in [
            ("https://Packages.Example.com/simple/", "packages.example.com"),
            ("sparse+https://index.example.com:443/a/", "index.example.com"),
            ("http://[2001:db8::1]:8080/x", "2001:db8::1"),
            ("http://10.0.0.7:4873", "10.0.0.7"),
            ("ssh://git@code.example.com:22/x.git", "code.example.com"),
            ("git@code.example.com:group/x.git", "code.example.com"),
            ("https://npm.example.com/@scope/", "npm.example.com"),
        ] {
            assert_eq!(seen(text), (text.to_owned(), host.to_owned(), false));
        }
    }

    #[test]
    fn credentials_are_taken_out() {
        for (text, clean) in [
            ("https://me:hush@a.example.com/simple", "https://a.example.com/simple"),
            ("https://hush@a.example.com:8443/simple", "https://a.example.com:8443/simple"),
            ("https://me:hu@sh@a.example.com", "https://a.example.com"),
            ("https://a.example.com/x?signature=hush#hush", "https://a.example.com/x"),
            ("ssh://git:hush@a.example.com/x", "ssh://git@a.example.com/x"),
        ] {
            let (clean_text, _, had_secret) = seen(text);
            assert_eq!((clean_text.as_str(), had_secret), (clean, true));
        }
    }

    #[test]
    fn what_is_no_plain_address_is_not_guessed_at() {
        for text in [
            "https://me:hu/sh@a.example.com/",
            "https://me:12/hush@a.example.com/",
            "https://${USER}@/",
            "https://",
            "https://a b.example.com/",
            "https://a.example.com/x\ny",
            "direct",
            "://a.example.com",
            "me:hush@a.example.com:x",
        ] {
            assert_eq!(Address::parse(text), Address::Unclear, "{text}");
        }
    }

    #[test]
    fn directories_are_told_apart() {
        for text in ["/opt/wheels", "file:///opt/wheels", "file:/opt/wheels", "file://localhost/opt/wheels"] {
            assert_eq!(Address::parse(text), Address::Local("/opt/wheels".into()), "{text}");
        }
        assert!(is_seen_inside(Path::new("/usr/share/wheels")));
        assert!(!is_seen_inside(Path::new("/usr/../opt/wheels")));
        assert!(!is_seen_inside(Path::new("/usrlocal")));
    }
}
