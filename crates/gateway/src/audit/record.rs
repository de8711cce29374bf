//! The shape of a line.

use std::net::IpAddr;

use serde::Serialize;
use wire::Timestamp;

use crate::refusal::Code;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    Decision,
    End,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    Allow,
    Deny,
}

/// How a program asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Protocol {
    Connect,
    Socks5,
    Http,
    Https,
    Tcp,
    Dns,
}

/// What was not known when it was written is left out.
#[derive(Debug, Serialize)]
pub(crate) struct Record<'a> {
    pub(crate) time: Timestamp,
    pub(crate) kind: Kind,
    pub(crate) sandbox: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) session: Option<&'a str>,
    /// Counted from the gateway's start: tells which end belongs to which decisions.
    pub(crate) connection: u64,
    pub(crate) protocol: Protocol,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) host: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) address: Option<IpAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) port: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) verdict: Option<Verdict>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) code: Option<Code>,
    /// Bytes that left.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) up: Option<u64>,
    /// Bytes that came back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) down: Option<u64>,
}
