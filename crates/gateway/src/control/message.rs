//! What is asked and answered.

use serde::{Deserialize, Serialize};

use crate::{Limits, Policy, Settings, SocketKind, Usage};

/// The version that is spoken, and the one before it that is spoken too: a server that was brought up to date finds the
/// gateway of the old one.
pub(super) const PROTOCOL: u32 = 1;
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
    Hello { protocol: u32 },
    Attach(Attach),
    Update { sandbox: String, policy: Policy },
    Detach { sandbox: String },
    List,
    Settings { settings: Settings },
    Usage { sandbox: String },
    Stop,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub(super) enum Answer {
    Welcome { protocol: u32 },
    Done,
    List { sandboxes: Vec<Listed> },
    Usage { usage: Usage },
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
