//! What one sandbox may do: whom it may ask for, and how much of everything it may use.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{Host, HostPattern};

/// Whom a sandbox may reach. That an address is public, or opened by the operator, is asked besides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Policy {
    Unrestricted,
    Limited { hosts: Vec<HostPattern> },
}

impl Policy {
    pub fn permits(&self, host: &Host) -> bool {
        match self {
            Self::Unrestricted => true,
            Self::Limited { hosts } => hosts.iter().any(|pattern| pattern.matches(host)),
        }
    }

    pub(crate) fn is_limited(&self) -> bool {
        matches!(self, Self::Limited { .. })
    }
}

/// What one sandbox may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Limits {
    /// Open at once.
    pub connections: u32,
    /// Bytes sent out over the sandbox's whole life.
    pub egress_bytes: Option<u64>,
    /// A connection on which nothing moves for so long is closed.
    pub idle_seconds: u64,
}

/// Seconds. Clocks have an end, and nothing that waits longer is waited for.
const LONGEST_IDLE: u64 = 365 * 24 * 60 * 60;

impl Limits {
    pub(crate) fn idle(&self) -> Duration {
        Duration::from_secs(self.idle_seconds.min(LONGEST_IDLE))
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self { connections: 256, egress_bytes: None, idle_seconds: 600 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limited_means_what_is_listed_and_nothing_else() {
        let policy: Policy =
            serde_json::from_str(r#"{"type": "limited", "hosts": ["example.com", "*.example.org", "192.0.2.1"]}"#)
                .unwrap();
        let permits = |host: &str| policy.permits(&host.parse().unwrap());
        assert!(permits("example.com") && permits("a.example.org") && permits("192.0.2.1"));
        assert!(!permits("www.example.com") && !permits("example.org") && !permits("192.0.2.2"));
        assert!(!Policy::Limited { hosts: Vec::new() }.permits(&"example.com".parse().unwrap()));
        assert!(Policy::Unrestricted.permits(&"example.com".parse().unwrap()));
    }

    #[test]
    fn a_list_with_an_entry_that_is_no_host_is_refused_whole() {
        let wrong = r#"{"type": "limited", "hosts": ["example.com", "0x7f.1"]}"#;
        assert!(serde_json::from_str::<Policy>(wrong).is_err());
    }

    #[test]
    fn limits_that_are_not_given_have_their_defaults() {
        let limits: Limits = serde_json::from_str(r#"{"egress_bytes": 7}"#).unwrap();
        assert_eq!(limits, Limits { egress_bytes: Some(7), ..Limits::default() });
    }
}
