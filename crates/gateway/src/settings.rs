//! What holds for the whole installation, from the operator's `[network]` section.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::address::{Class, class, is_opened, is_own, judged};
use crate::host::Name;
use crate::{Host, HostPattern, KeyPlace};

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// Addresses that may be reached besides public ones.
    pub allow_private: Vec<IpNet>,
    /// Asked before DNS. An address that stands here may be reached under its name, whatever it is.
    pub hosts: BTreeMap<Name, IpAddr>,
    /// What package managers need. These may lead to private addresses, as mirrors inside a company do, and to those that
    /// networks take for private ones, as nobody else has them; never to loopback, link-local or metadata ones.
    pub package_hosts: Vec<HostPattern>,
    /// Certificates trusted besides the system's, once the gateway speaks TLS itself.
    pub extra_ca: Option<PathBuf>,
    /// Where the keys of stored secrets are. None: no secret is sealed or opened.
    pub keys: Option<KeyPlace>,
    /// Lets limited sandboxes offer Encrypted Client Hello. Its outer name is still compared; the inner one cannot be.
    pub encrypted_client_hello: bool,
}

impl Settings {
    /// Why `host` must not be reached at `address`, if it must not.
    pub(crate) fn forbids(&self, host: &Host, address: IpAddr) -> Option<Class> {
        let address = address.to_canonical();
        if let Host::Name(name) = host
            && self.hosts.get(name).is_some_and(|own| own.to_canonical() == address)
        {
            return None;
        }
        let class = self.class(address)?;
        let is_mirror = matches!(class, Class::Private | Class::Shared | Class::Documentation | Class::Benchmarking)
            && self.package_hosts.iter().any(|pattern| pattern.matches(host));
        (!is_mirror && !is_opened(address, class, &self.allow_private)).then_some(class)
    }

    /// A range that is opened, or a mirror in it, does not open this machine's own address there.
    fn class(&self, address: IpAddr) -> Option<Class> {
        match class(address) {
            None | Some(Class::Private | Class::Shared) if is_own(address) || is_own(judged(address)) => {
                Some(Class::Own)
            }
            class => class,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Settings {
        serde_json::from_str(
            r#"{
                "allow_private": ["10.1.0.0/16"],
                "hosts": {"Models.Internal.": "127.0.0.1"},
                "package_hosts": ["packages.example.com"]
            }"#,
        )
        .unwrap()
    }

    fn forbids(host: &str, address: &str) -> Option<Class> {
        settings().forbids(&host.parse().unwrap(), address.parse().unwrap())
    }

    #[test]
    fn private_addresses_need_the_operators_word() {
        assert_eq!(forbids("example.com", "1.1.1.1"), None);
        assert_eq!(forbids("example.com", "10.1.2.3"), None);
        assert_eq!(forbids("example.com", "10.2.0.1"), Some(Class::Private));
        assert_eq!(forbids("example.com", "127.0.0.1"), Some(Class::Loopback));
    }

    #[test]
    fn a_host_of_the_operators_is_reached_at_its_address_alone() {
        assert_eq!(forbids("models.internal", "127.0.0.1"), None);
        assert_eq!(forbids("models.internal", "::ffff:127.0.0.1"), None);
        assert_eq!(forbids("models.internal", "127.0.0.2"), Some(Class::Loopback));
    }

    #[test]
    fn package_hosts_may_be_private_and_no_more() {
        assert_eq!(forbids("packages.example.com", "10.2.0.1"), None);
        assert_eq!(forbids("packages.example.com", "100.64.0.1"), None);
        assert_eq!(forbids("packages.example.com", "203.0.113.7"), None);
        assert_eq!(forbids("example.com", "203.0.113.7"), Some(Class::Documentation));
        assert_eq!(forbids("packages.example.com", "169.254.169.254"), Some(Class::Metadata));
        assert_eq!(forbids("packages.example.com", "127.0.0.1"), Some(Class::Loopback));
    }

    #[test]
    fn settings_survive_their_text() {
        let text = serde_json::to_string(&settings()).unwrap();
        assert_eq!(serde_json::from_str::<Settings>(&text).unwrap(), settings());
    }
}
