//! Where an image comes from, as text and parsed.

use std::{fmt, path::PathBuf, str::FromStr};

use crate::Digest;

const MAX_NAME: usize = 255;
const MAX_TAG: usize = 128;

/// What an operator or an environment names as its base.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// `dir:/path`: a directory that is used where it is. Whoever has it changes it only while nothing uses it.
    Directory(PathBuf),
    /// `tar:/path`: a tarball of a root file system, plain or compressed with gzip, zstd or xz.
    Tar(PathBuf),
    /// `oci:/path` or `oci:/path:tag`: an OCI layout, as a directory or an uncompressed tarball, or what `docker save`
    /// writes.
    Layout { path: PathBuf, tag: Option<String> },
    /// `registry://host[:port]/name[:tag][@digest]`, or without `registry://`, then also without a host.
    Registry(Reference),
}

/// An image in a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// `host` or `host:port`. None for the registry that is configured as the default.
    pub registry: Option<String>,
    pub name: String,
    /// `latest` if neither a tag nor a digest was given.
    pub tag: Option<String>,
    /// Goes before the tag, which is then only for people.
    pub digest: Option<Digest>,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` names no image: {reason}")]
pub struct NotASource {
    pub text: String,
    pub reason: &'static str,
}

impl FromStr for Source {
    type Err = NotASource;

    fn from_str(text: &str) -> Result<Self, NotASource> {
        parse(text).map_err(|reason| NotASource { text: text.chars().take(500).collect(), reason })
    }
}

fn parse(text: &str) -> Result<Source, &'static str> {
    if let Some(rest) = text.strip_prefix("registry://") {
        let (host, rest) = rest.split_once('/').ok_or("no name follows the host")?;
        return Ok(Source::Registry(reference(Some(host), rest)?));
    }
    if let Some(path) = text.strip_prefix("dir:") {
        return Ok(Source::Directory(absolute(path)?));
    }
    if let Some(path) = text.strip_prefix("tar:") {
        return Ok(Source::Tar(absolute(path)?));
    }
    if let Some(rest) = text.strip_prefix("oci:") {
        let (path, tag) = match rest.rsplit_once(':') {
            Some((path, tag)) if !tag.contains('/') => (path, Some(tag)),
            _ => (rest, None),
        };
        if tag.is_some_and(|tag| !is_tag(tag)) {
            return Err("what follows the last colon is no tag");
        }
        return Ok(Source::Layout { path: absolute(path)?, tag: tag.map(str::to_owned) });
    }
    // As everywhere else: what looks like a host before the first slash is one.
    Ok(Source::Registry(match text.split_once('/') {
        Some((host, rest)) if host.contains(['.', ':']) || host == "localhost" => reference(Some(host), rest)?,
        _ => reference(None, text)?,
    }))
}

fn absolute(path: &str) -> Result<PathBuf, &'static str> {
    if path.starts_with('/') { Ok(path.into()) } else { Err("a path must start with a slash") }
}

fn reference(registry: Option<&str>, text: &str) -> Result<Reference, &'static str> {
    if registry.is_some_and(|host| !is_host(host)) {
        return Err("the registry is not a host, or a host and a port");
    }
    let (text, digest) = match text.split_once('@') {
        Some((text, digest)) => (text, Some(digest.parse().map_err(|_| "its digest is not a sha256 one")?)),
        None => (text, None),
    };
    let (name, tag) = match text.split_once(':') {
        Some((name, tag)) => (name, Some(tag)),
        None => (text, None),
    };
    if !is_name(name) {
        return Err("its name is not in small letters, digits and single marks, in parts joined by slashes");
    }
    if tag.is_some_and(|tag| !is_tag(tag)) {
        return Err("its tag has other characters than letters, digits, `_`, `.` and `-`, or too many");
    }
    let tag = tag.or(digest.is_none().then_some("latest"));
    Ok(Reference { registry: registry.map(str::to_owned), name: name.to_owned(), tag: tag.map(str::to_owned), digest })
}

/// Whether it can stand between `https://` and a path, and mean nothing but a host and a port there.
pub(crate) fn is_host(text: &str) -> bool {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || ".-:[]".contains(letter);
    text.chars().all(plain) && reqwest::Url::parse(&format!("https://{text}/")).is_ok_and(|url| url.path() == "/")
}

/// The distribution specification's form of a repository's name.
fn is_name(name: &str) -> bool {
    name.len() <= MAX_NAME && name.split('/').all(is_part)
}

fn is_part(part: &str) -> bool {
    let word = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit();
    let separates = |mark: &str| matches!(mark, "." | "_" | "__") || mark.bytes().all(|byte| byte == b'-');
    part.starts_with(word) && part.ends_with(word) && part.split(word).all(|mark| mark.is_empty() || separates(mark))
}

fn is_tag(tag: &str) -> bool {
    let within = |letter: char| letter.is_ascii_alphanumeric() || "_.-".contains(letter);
    !tag.is_empty() && tag.len() <= MAX_TAG && tag.chars().all(within) && !tag.starts_with(['.', '-'])
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory(path) => write!(f, "dir:{}", path.display()),
            Self::Tar(path) => write!(f, "tar:{}", path.display()),
            Self::Layout { path, tag: None } => write!(f, "oci:{}", path.display()),
            Self::Layout { path, tag: Some(tag) } => write!(f, "oci:{}:{tag}", path.display()),
            Self::Registry(reference) => reference.fmt(f),
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(registry) = &self.registry {
            write!(f, "registry://{registry}/")?;
        }
        f.write_str(&self.name)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        self.digest.as_ref().map_or(Ok(()), |digest| write!(f, "@{digest}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Source {
        text.parse().unwrap()
    }

    fn image(registry: Option<&str>, name: &str, tag: Option<&str>, digest: Option<Digest>) -> Source {
        let (registry, tag) = (registry.map(str::to_owned), tag.map(str::to_owned));
        Source::Registry(Reference { registry, name: name.to_owned(), tag, digest })
    }

    #[test]
    fn every_form_is_read_and_written() {
        let digest = Digest::of(b"");
        let layout = |tag: Option<&str>| Source::Layout { path: "/a:b/c".into(), tag: tag.map(str::to_owned) };
        let cases = [
            ("dir:/srv/root", Source::Directory("/srv/root".into())),
            ("tar:/srv/root.tar.gz", Source::Tar("/srv/root.tar.gz".into())),
            ("oci:/a:b/c", layout(None)),
            ("oci:/a:b/c:v1", layout(Some("v1"))),
            ("registry://images.example:5000/a/b:v1", image(Some("images.example:5000"), "a/b", Some("v1"), None)),
            ("registry://[::1]:5000/a:v1", image(Some("[::1]:5000"), "a", Some("v1"), None)),
            ("python:3.12", image(None, "python", Some("3.12"), None)),
            ("team/base:1", image(None, "team/base", Some("1"), None)),
        ];
        for (text, source) in cases {
            assert_eq!(parsed(text), source);
            assert_eq!(source.to_string(), text);
        }
        let pinned = format!("base@{digest}");
        assert_eq!(parsed(&pinned), image(None, "base", None, Some(digest.clone())));
        let both = format!("base:v1@{digest}");
        assert_eq!(parsed(&both), image(None, "base", Some("v1"), Some(digest)));
        assert_eq!(parsed(&both).to_string(), both);
    }

    #[test]
    fn what_is_left_out_is_filled_in() {
        assert_eq!(parsed("python"), image(None, "python", Some("latest"), None));
        assert_eq!(parsed("localhost/a"), image(Some("localhost"), "a", Some("latest"), None));
        assert_eq!(parsed("images.example/a/b"), image(Some("images.example"), "a/b", Some("latest"), None));
    }

    #[test]
    fn what_could_reach_elsewhere_is_refused() {
        let refused = [
            "",
            "dir:rootfs",
            "tar:",
            "oci:layout:v1",
            "oci:/layout:v 1",
            "registry://images.example",
            "registry:///a",
            "registry://user:secret@images.example/a",
            "registry://images.example?x/a",
            "registry://images.example/../v2/a",
            "registry://images.example/a%2fb",
            "registry://images.example/A",
            "base:",
            "base:..",
            "base@sha256:00",
            "a//b",
            "a/",
            "a___b",
            "-a",
            "base:v1:v2",
        ];
        for text in refused {
            assert!(text.parse::<Source>().is_err(), "{text}");
        }
    }
}
