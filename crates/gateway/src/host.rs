//! Whom a program asks for: a name, or an address. Parsed once, into the one spelling that everything here compares.

mod pattern;

pub use pattern::HostPattern;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;
use std::sync::Arc;

use idna::AsciiDenyList;
use serde::{Deserialize, Serialize};

/// Bytes of a name, and of one label of it. The wire format of DNS allows no more.
const LONGEST_NAME: usize = 253;
const LONGEST_LABEL: usize = 63;

/// What cannot be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    #[error("no host is named")]
    Empty,
    /// Resolvers, libraries and kernels read such spellings differently: `0x7f.1`, `2130706433`, `0177.0.0.1`.
    #[error("an address must be written plainly, as four decimal numbers or as IPv6 in brackets")]
    Address,
    #[error("that is no host name")]
    Name,
    #[error("that is no port")]
    Port,
}

/// A domain name in lower case and ASCII, without a dot at its end. Never one that could be taken for an address.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(Arc<str>);

impl Name {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is a name below `parent`, and not `parent` itself.
    pub(crate) fn is_below(&self, parent: &Self) -> bool {
        self.0.strip_suffix(parent.as_str()).is_some_and(|rest| rest.ends_with('.'))
    }
}

impl FromStr for Name {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let ascii = idna::domain_to_ascii_cow(text.as_bytes(), AsciiDenyList::URL).map_err(|_| Invalid::Name)?;
        let ascii = ascii.strip_suffix('.').unwrap_or(&ascii);
        if ascii.is_empty() {
            return Err(Invalid::Empty);
        }
        if ascii.rsplit('.').next().is_some_and(looks_numeric) {
            return Err(Invalid::Address);
        }
        if ascii.len() > LONGEST_NAME || !ascii.split('.').all(is_label) {
            return Err(Invalid::Name);
        }
        Ok(Self(ascii.into()))
    }
}

/// What ends in a number is an address to those who follow the URL standard, and to `inet_aton`.
fn looks_numeric(label: &str) -> bool {
    let hexadecimal = |rest: &str| rest.bytes().all(|byte| byte.is_ascii_hexdigit());
    label.bytes().all(|byte| byte.is_ascii_digit()) || label.strip_prefix("0x").is_some_and(hexadecimal)
}

fn is_label(label: &str) -> bool {
    let is_known = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_';
    (1..=LONGEST_LABEL).contains(&label.len()) && label.bytes().all(is_known)
}

impl TryFrom<String> for Name {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        text.parse()
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.as_str().to_owned()
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Addresses of version 4 that are wrapped into version 6 are unwrapped.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Host {
    Name(Name),
    Address(IpAddr),
}

impl From<IpAddr> for Host {
    fn from(address: IpAddr) -> Self {
        Self::Address(address.to_canonical())
    }
}

impl From<Name> for Host {
    fn from(name: Name) -> Self {
        Self::Name(name)
    }
}

impl FromStr for Host {
    type Err = Invalid;

    /// As it stands in a URL: IPv6 in brackets.
    fn from_str(text: &str) -> Result<Self, Invalid> {
        if let Some(inner) = text.strip_prefix('[') {
            let address = inner.strip_suffix(']').and_then(|inner| inner.parse::<Ipv6Addr>().ok());
            return address.map(|address| IpAddr::from(address).into()).ok_or(Invalid::Address);
        }
        match text.parse::<Ipv4Addr>() {
            Ok(address) => Ok(Self::Address(address.into())),
            Err(_) => text.parse().map(Self::Name),
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => name.fmt(f),
            Self::Address(address) => address.fmt(f),
        }
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A host as it stands in a URL or a `Host` header, with its port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Authority {
    pub(crate) host: Host,
    pub(crate) port: Option<u16>,
}

impl FromStr for Authority {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        // A colon inside brackets is not the one before a port.
        let end = text.rfind(']').map_or(0, |bracket| bracket + 1);
        let tail = text.get(end..).unwrap_or_default();
        let (host, port) = match tail.find(':') {
            Some(colon) => (text.get(..end + colon).unwrap_or_default(), tail.get(colon + 1..)),
            None => (text, None),
        };
        Ok(Self { host: host.parse()?, port: port.map(parse_port).transpose()?.flatten() })
    }
}

/// Nothing after the colon means the scheme's own port.
fn parse_port(digits: &str) -> Result<Option<u16>, Invalid> {
    if digits.is_empty() {
        return Ok(None);
    }
    // The parser would take a sign as well.
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Invalid::Port);
    }
    digits.parse().map(Some).map_err(|_| Invalid::Port)
}

#[cfg(test)]
mod tests;
