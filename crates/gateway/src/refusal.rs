//! Why something was not let through, in a code for programs and a sentence for whoever reads the agent's output.

use std::net::IpAddr;

use http::StatusCode;
use serde::Serialize;

use crate::address::Class;

/// Stable: operators count by them, and the header of a refusal carries them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Code {
    HostNotAllowed,
    HostInvalid,
    AddressNotListed,
    AddressForbidden,
    /// In the range that stands for names, but not handed out, or too long ago.
    AddressUnknown,
    NameUnresolved,
    Unreachable,
    SniMissing,
    SniMismatch,
    SniEncrypted,
    NotTls,
    HostMismatch,
    RequestMalformed,
    ProtocolUnsupported,
    TooManyConnections,
    EgressLimit,
    AuditUnavailable,
    Timeout,
}

impl Code {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::HostNotAllowed => "host_not_allowed",
            Self::HostInvalid => "host_invalid",
            Self::AddressNotListed => "address_not_listed",
            Self::AddressForbidden => "address_forbidden",
            Self::AddressUnknown => "address_unknown",
            Self::NameUnresolved => "name_unresolved",
            Self::Unreachable => "unreachable",
            Self::SniMissing => "sni_missing",
            Self::SniMismatch => "sni_mismatch",
            Self::SniEncrypted => "sni_encrypted",
            Self::NotTls => "not_tls",
            Self::HostMismatch => "host_mismatch",
            Self::RequestMalformed => "request_malformed",
            Self::ProtocolUnsupported => "protocol_unsupported",
            Self::TooManyConnections => "too_many_connections",
            Self::EgressLimit => "egress_limit",
            Self::AuditUnavailable => "audit_unavailable",
            Self::Timeout => "timeout",
        }
    }

    pub(crate) fn status(self) -> StatusCode {
        match self {
            Self::HostInvalid | Self::RequestMalformed | Self::ProtocolUnsupported => StatusCode::BAD_REQUEST,
            Self::NameUnresolved | Self::Unreachable => StatusCode::BAD_GATEWAY,
            Self::Timeout => StatusCode::GATEWAY_TIMEOUT,
            Self::TooManyConnections | Self::AuditUnavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::EgressLimit => StatusCode::PAYLOAD_TOO_LARGE,
            _ => StatusCode::FORBIDDEN,
        }
    }
}

/// What was refused, and why. Its parts are those that were known by then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) code: Code,
    pub(crate) host: Option<String>,
    pub(crate) port: Option<u16>,
    pub(crate) address: Option<IpAddr>,
    pub(crate) class: Option<Class>,
}

/// Characters of a host that was never understood, as it is repeated and recorded.
const LONGEST_HOST: usize = 255;

impl Refusal {
    pub(crate) fn new(code: Code) -> Self {
        Self { code, host: None, port: None, address: None, class: None }
    }

    /// What is not understood may hold anything: it is cut, and told without what would steer a terminal.
    pub(crate) fn host(mut self, host: &str) -> Self {
        self.host = Some(host.chars().filter(|letter| !letter.is_control()).take(LONGEST_HOST).collect());
        self
    }

    pub(crate) fn port(mut self, port: u16) -> Self {
        self.port = Some(port);
        self
    }

    pub(crate) fn address(mut self, address: IpAddr) -> Self {
        self.address = Some(address);
        self
    }

    pub(crate) fn class(mut self, class: Class) -> Self {
        self.class = Some(class);
        self
    }

    /// One sentence that says what was refused and who can change it.
    pub(crate) fn sentence(&self) -> String {
        let host = self.host.as_deref().unwrap_or("the host");
        match self.code {
            Code::HostNotAllowed => format!(
                "{host} is not among the hosts that this environment allows; the agent's author can add it to \
                 allowed_hosts in the environment's networking."
            ),
            Code::HostInvalid => format!(
                "{host} is no host that can be asked for; use a domain name, or an address in its plain spelling."
            ),
            Code::AddressNotListed => format!(
                "{host} is an address that this environment does not list; ask for the host by its name, or have the \
                 agent's author add the address to allowed_hosts in the environment's networking."
            ),
            Code::AddressForbidden => {
                let address = self.address.map_or_else(|| "an address".into(), |address| address.to_string());
                let class = self.class.map_or_else(|| "special".into(), |class| class.to_string());
                format!(
                    "{host} leads to {address} ({class}), which sandboxes may not reach; the operator can open it \
                     with allow_private or hosts in the [network] section."
                )
            }
            Code::AddressUnknown => {
                format!("The address {host} stands for no name any more; look the name up again and retry.")
            }
            Code::NameUnresolved => format!("The name {host} could not be resolved; check its spelling, or retry."),
            Code::Unreachable => format!("{host} could not be reached; check the host and port, or retry."),
            Code::SniMissing => format!(
                "The TLS connection to {host} names no server (SNI), which this environment requires; use a client \
                 that sends it."
            ),
            Code::SniMismatch => {
                format!("The TLS connection asks for another server than {host}, which this environment forbids.")
            }
            Code::SniEncrypted => format!(
                "The TLS connection to {host} offers Encrypted Client Hello, which this environment forbids; switch \
                 it off in the client, or have the operator set encrypted_client_hello in the [network] section."
            ),
            Code::NotTls => format!("Only TLS may be spoken to {host} on this port in this environment."),
            Code::HostMismatch => {
                format!("The Host header differs from {host}, the host that was connected to, which is forbidden here.")
            }
            Code::RequestMalformed => {
                "The request is malformed or ambiguous (length, transfer encoding, Host or target), and was not \
                 forwarded."
                    .into()
            }
            Code::ProtocolUnsupported => {
                "The proxy forwards http:// requests and opens tunnels with CONNECT or SOCKS5; anything else is \
                 refused."
                    .into()
            }
            Code::TooManyConnections => {
                "Too many connections are open at once in this sandbox; close some, or have the operator raise the \
                 limit."
                    .into()
            }
            Code::EgressLimit => {
                "This sandbox has sent as many bytes as it may; the operator can raise its egress limit.".into()
            }
            Code::AuditUnavailable => {
                "The gateway cannot write its audit records just now and lets nothing through without them; the \
                 operator should look at its disk."
                    .into()
            }
            Code::Timeout => format!("Nothing came from {host} in time; retry."),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_written_alike_in_a_header_and_in_a_record() {
        let all = [
            Code::HostNotAllowed,
            Code::HostInvalid,
            Code::AddressNotListed,
            Code::AddressForbidden,
            Code::AddressUnknown,
            Code::NameUnresolved,
            Code::Unreachable,
            Code::SniMissing,
            Code::SniMismatch,
            Code::SniEncrypted,
            Code::NotTls,
            Code::HostMismatch,
            Code::RequestMalformed,
            Code::ProtocolUnsupported,
            Code::TooManyConnections,
            Code::EgressLimit,
            Code::AuditUnavailable,
            Code::Timeout,
        ];
        for code in all {
            assert_eq!(serde_json::to_value(code).unwrap(), code.as_str());
        }
    }

    #[test]
    fn a_sentence_repeats_nothing_that_would_steer_a_terminal() {
        let refusal = Refusal::new(Code::HostInvalid).host("a\u{1b}[2Jb\r\nX: y");
        assert!(refusal.sentence().starts_with("a[2JbX: y is no host"), "{}", refusal.sentence());
        let long = Refusal::new(Code::HostInvalid).host(&"x".repeat(10_000));
        assert_eq!(long.host.map(|host| host.len()), Some(LONGEST_HOST));
    }
}
