//! What is asked and answered.

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use vault::{Place, Sealed};

use crate::{KeyNames, Limits, Policy, Settings, SocketKind, Usage};

/// The version that is spoken, and the one before it that is spoken too: a server that was brought up to date finds the
/// gateway of the old one.
pub(super) const PROTOCOL: u32 = 2;
const OLDEST: u32 = 1;

/// The version for a connection with one who speaks up to `theirs`. None if there is none.
pub(super) fn agreed(theirs: u32) -> Option<u32> {
    let newest = theirs.min(PROTOCOL);
    (newest >= OLDEST).then_some(newest)
}

/// A sandbox to serve. Its sockets travel along, in the order of `sockets`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attach {
    /// Names it for good, in requests and records.
    pub sandbox: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    pub policy: Policy,
    #[serde(default)]
    pub limits: Limits,
    #[serde(default)]
    pub sockets: Vec<SocketKind>,
}

/// A sandbox that is served.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed {
    pub sandbox: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    pub sockets: Vec<SocketKind>,
    pub usage: Usage,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "snake_case")]
pub(super) enum Request {
    Hello {
        protocol: u32,
    },
    Attach(Attach),
    Update {
        sandbox: String,
        policy: Policy,
    },
    Detach {
        sandbox: String,
    },
    List,
    Settings {
        settings: Settings,
    },
    Usage {
        sandbox: String,
    },
    Stop,
    KeyNames,
    GenerateKey,
    RotateKey,
    Seal {
        place: Place,
        secret: Exposed,
    },
    Rewrap {
        place: Place,
        sealed: Sealed,
    },
    /// Whether it opens. What is in it is not told.
    Check {
        place: Place,
        sealed: Sealed,
    },
}

/// A secret on its way to where it is sealed. It travels in this direction alone.
#[derive(Debug, Clone)]
pub(super) struct Exposed(pub(super) SecretString);

impl Serialize for Exposed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.expose_secret())
    }
}

impl<'de> Deserialize<'de> for Exposed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(text.into()))
    }
}

/// Why nothing was done with a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// There is none yet.
    NoKey,
    /// It was sealed with a key that is not among those here.
    UnknownKey,
    /// It was changed, or belongs elsewhere.
    Damaged,
    /// An operator has to mend it.
    Unusable,
    /// It may work the next time.
    Provider,
}

impl From<&vault::Error> for Fault {
    fn from(error: &vault::Error) -> Self {
        match error {
            vault::Error::NoKey => Self::NoKey,
            vault::Error::UnknownKey(_) => Self::UnknownKey,
            vault::Error::Damaged => Self::Damaged,
            vault::Error::Unusable(_) => Self::Unusable,
            vault::Error::Provider(_) => Self::Provider,
        }
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub(super) enum Answer {
    Welcome { protocol: u32 },
    Done,
    List { sandboxes: Vec<Listed> },
    Usage { usage: Usage },
    KeyNames { names: KeyNames },
    Key { name: String },
    Sealed { sealed: Sealed },
    Faulty { fault: Fault, message: String },
    Refused { message: String },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_written_as_documented() {
        let text = r#"{
            "request": "attach", "sandbox": "sbx_1", "session": "sesn_1",
            "policy": {"type": "limited", "hosts": ["example.com"]},
            "limits": {"connections": 8},
            "sockets": ["proxy", "dns_udp"]
        }"#;
        let Request::Attach(attach) = serde_json::from_str(text).unwrap() else { panic!("another request") };
        assert_eq!(attach.sockets, [SocketKind::Proxy, SocketKind::DnsUdp]);
        assert_eq!(attach.limits, Limits { connections: 8, ..Limits::default() });
        let hello = serde_json::to_value(Request::Hello { protocol: 1 }).unwrap();
        assert_eq!(hello, serde_json::json!({"request": "hello", "protocol": 1}));
        let stop = serde_json::to_value(Request::Stop).unwrap();
        assert_eq!(stop, serde_json::json!({"request": "stop"}));
    }

    #[test]
    fn what_a_later_version_adds_is_passed_over() {
        let text = r#"{"request": "detach", "sandbox": "sbx_1", "reason": "later"}"#;
        assert!(matches!(serde_json::from_str(text), Ok(Request::Detach { .. })));
    }

    #[test]
    fn versions_meet_at_the_lower_one_if_it_is_still_spoken() {
        assert_eq!(agreed(PROTOCOL), Some(PROTOCOL));
        assert_eq!(agreed(PROTOCOL + 7), Some(PROTOCOL));
        assert_eq!(agreed(OLDEST - 1), None);
    }
}
