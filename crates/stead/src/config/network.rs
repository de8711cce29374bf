//! `[network]`: what sandboxes may reach beside public addresses, and how much of it.

use std::collections::BTreeMap;
use std::fs::File;
use std::net::IpAddr;
use std::path::PathBuf;

use anyhow::{Context as _, ensure};
use gateway::{HostPattern, KeyPlace, Name, Settings};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Network {
    /// Addresses that may be reached besides public ones.
    pub(crate) allow_private: Vec<IpNet>,
    /// Names and their addresses, asked before DNS. Each may be reached there, whatever the address is.
    pub(crate) hosts: BTreeMap<Name, IpAddr>,
    /// Certificates that are trusted besides the system's: a file in PEM form.
    pub(crate) extra_ca: Option<PathBuf>,
    /// What `allow_package_managers` opens, besides the indexes that this machine's own package managers use.
    pub(crate) package_hosts: Vec<HostPattern>,
    /// Whether limited environments let clients hide whom they talk to.
    pub(crate) encrypted_client_hello: bool,
    /// What one sandbox may send in its life.
    pub(crate) egress_mib: Option<u64>,
    /// Connections that one sandbox may have open at once.
    pub(crate) connections: u32,
}

impl Default for Network {
    fn default() -> Self {
        Self {
            allow_private: Vec::new(),
            hosts: BTreeMap::new(),
            extra_ca: None,
            package_hosts: Vec::new(),
            encrypted_client_hello: false,
            egress_mib: None,
            connections: gateway::Limits::default().connections,
        }
    }
}

impl Network {
    pub(super) fn check(&self) -> anyhow::Result<()> {
        if let Some(path) = &self.extra_ca {
            File::open(path).with_context(|| format!("network.extra_ca: {} cannot be read", path.display()))?;
        }
        ensure!(self.connections > 0, "network.connections is 0: a sandbox that reaches anything needs one");
        ensure!(self.egress_mib != Some(0), "network.egress_mib is 0: leave it out for no limit");
        Ok(())
    }

    /// As the gateway is told.
    pub(crate) fn settings(&self, keys: Option<KeyPlace>) -> Settings {
        let absolute = |path: &PathBuf| std::path::absolute(path).unwrap_or_else(|_| path.clone());
        Settings {
            allow_private: self.allow_private.clone(),
            hosts: self.hosts.clone(),
            package_hosts: self.package_hosts.clone(),
            extra_ca: self.extra_ca.as_ref().map(absolute),
            keys,
            encrypted_client_hello: self.encrypted_client_hello,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::{Config, Flags};

    fn load(text: &str) -> Result<Network, String> {
        let directory = tempfile::tempdir().unwrap();
        let file: &Path = &directory.path().join("stead.toml");
        std::fs::write(file, text).unwrap();
        let loaded = Config::load(Some(file), &Flags::default());
        loaded.map(|config| config.network).map_err(|error| format!("{error:#}"))
    }

    #[test]
    fn what_is_written_is_what_the_gateway_is_told() {
        let text = r#"
            [network]
            allow_private = ["10.1.0.0/16", "fd00:1::/64"]
            package_hosts = ["*.packages.example", "mirror.example"]
            egress_mib = 100

            [network.hosts]
            "name.internal" = "127.0.0.1"
            "Other.Internal." = "fd00:1::7"
        "#;
        let network = load(text).unwrap();
        let settings = network.settings(None);
        assert_eq!(settings.allow_private, ["10.1.0.0/16".parse().unwrap(), "fd00:1::/64".parse::<IpNet>().unwrap()]);
        let hosts: Vec<_> = settings.hosts.iter().map(|(name, address)| (name.as_str(), address.to_string())).collect();
        assert_eq!(hosts, [("name.internal", "127.0.0.1".to_owned()), ("other.internal", "fd00:1::7".to_owned())]);
        assert_eq!(settings.package_hosts.len(), 2);
        assert_eq!((network.egress_mib, network.connections), (Some(100), 256));
        assert_eq!(load("").unwrap().settings(None), Settings::default());
    }

    #[test]
    fn an_error_names_the_key() {
        for (text, key) in [
            ("allow_private = [\"10.1.0.0/99\"]", "network.allow_private"),
            ("allow_private = \"10.1.0.0/16\"", "network.allow_private"),
            ("package_hosts = [\"0x7f.1\"]", "network.package_hosts"),
            ("hosts = { \"name.internal\" = \"somewhere\" }", "network.hosts"),
            ("hosts = { \"no name\" = \"127.0.0.1\" }", "network.hosts"),
            ("extra_ca = \"there-is-no-such.pem\"", "network.extra_ca"),
            ("egress_mib = 0", "network.egress_mib"),
            ("connections = 0", "network.connections"),
            ("allowed = []", "allowed"),
        ] {
            let error = load(&format!("[network]\n{text}\n")).unwrap_err();
            assert!(error.contains(key), "{text}: {error}");
        }
    }
}
